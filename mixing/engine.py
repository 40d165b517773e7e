"""One parsed `tokenizer.json` at work: the fast encoder, held to the ids of the reference one.

`fastokens` encodes; the `tokenizers` library, whose ids are the definition, encodes the first texts of every block
too, and takes over the block where the two differ or where the fast encoder does not support the file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from manifests.errors import RecipeError
from mixing.word_split import split_at_words

_CHECKED_TEXTS = 16
_CHECKED_CHARACTERS = 4096
"""What the reference encoder sees of each block: 16 texts, the first 4,096 characters of each. At 20 times the
cost per character that is 1-2 % of a 60 MB block."""
_REFERENCE_BATCH = 256
"""Texts per call of the reference encoder; its per-token objects are large."""

_HIDDEN = "\ufdd1"
"""Before the name of a token that no text may make: a noncharacter, which cleaning takes out of texts."""

PROBE = (
    "INR 2.0–3.0; dose ≥ 5 mg/kg (0.5–1 µg·kg⁻¹), pH<7.35\r\n\r\n| K+ | 3,5 |\t±\u00a0x̄ = 10⁻³ Ångström don't WE'LL\n"
    "  two  spaces\u2009thin\u200bzero 12345678901 ﬁ é e\u0301 αβγ 中文 العربية 👩‍⚕️ <s> </s> <unk> [SEP] <|endoftext|> "
)
"""What encoders are known to disagree on: quotes, digits, runs of space, combining marks, spelled special tokens."""

Flat = tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]
"""Ids of some texts end to end, and where each begins, with one more entry than texts."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A `tokenizer.json` as text, and the tokenizer that the `tokenizers` library makes of it."""

    text: str
    library: Any


class Engine:
    """Encodes texts as text alone: special tokens that they spell stay text. RecipeError if the file cannot serve.

    `loaded` is what was made of just this `table` before, if anything was: loading costs more than a block's checks.
    """

    def __init__(self, table: dict[str, Any], path: str, *, loaded: Loaded | None = None) -> None:
        hidden = out_of_reach(table)
        if loaded is None or hidden is not table:
            loaded = load(json.dumps(hidden), path)
        self.library = loaded.library
        self.fast: Any = None
        self._refusal = ""
        self._load_fast(hidden, loaded.text)
        self.name: Literal["fastokens", "tokenizers"] = "tokenizers"
        """Which library encodes the present block."""
        self.reason = ""
        """Why it is not the fast one; empty if it is."""
        self.start_block()

    def start_block(self) -> None:
        """Begin a new block: its first texts are checked afresh, so no block depends on the one before."""
        self._to_check = _CHECKED_TEXTS
        self.name, self.reason = ("tokenizers", self._refusal) if self.fast is None else ("fastokens", "")

    def encode(self, texts: Sequence[str]) -> Flat:
        """Ids of each text."""
        given = list(texts)
        if self.name == "fastokens" and self._to_check:
            sample = [text[:_CHECKED_CHARACTERS] for text in given[: self._to_check]]
            self._to_check -= len(sample)
            if not self._agree(sample):
                self._fall_back("its ids differ from those of the tokenizers library")
        if self.name == "fastokens":
            try:
                return self.flat(given)
            except (ValueError, RuntimeError):
                # Its regular expressions have step limits that the reference does not know. No detail: it may quote
                # text.
                self._fall_back("fastokens could not encode a document")
        return self._reference(given)

    def flat(self, texts: list[str]) -> Flat:
        """What the fast encoder makes of them, unchecked."""
        ids, offsets = self.fast.encode_batch_flat(texts, add_special_tokens=False, split_special_tokens=True)
        return np.frombuffer(ids, dtype="<u4"), np.frombuffer(offsets, dtype="<u8").astype(np.int64)

    def _load_fast(self, table: dict[str, Any], text: str) -> None:
        import fastokens

        words = split_at_words(table)
        try:
            fast = fastokens.Tokenizer.from_json_str(text if words is table else json.dumps(words))
        except ValueError as error:
            self._refusal = f"fastokens does not support this file: {error}"
            return
        fast.no_truncation()
        fast.no_padding()
        self.fast = fast
        spelled = " ".join(entry["content"] for entry in table.get("added_tokens") or [])
        if not self._agree([PROBE, f"a {spelled} b", spelled.replace(" ", "")]):
            self.fast, self._refusal = None, "fastokens encodes the probe text differently"

    def _agree(self, texts: list[str]) -> bool:
        try:
            flat, offsets = self.flat(texts)
        except (ValueError, RuntimeError):
            return False
        reference, reference_offsets = self._reference(texts)
        return np.array_equal(offsets, reference_offsets) and np.array_equal(flat, reference)

    def _fall_back(self, reason: str) -> None:
        self.name, self.reason = "tokenizers", reason

    def _reference(self, texts: list[str]) -> Flat:
        pieces: list[npt.NDArray[np.uint32]] = [np.zeros(0, dtype=np.uint32)]
        lengths = [0]
        for start in range(0, len(texts), _REFERENCE_BATCH):
            batch = texts[start : start + _REFERENCE_BATCH]
            for encoding in self.library.encode_batch_fast(batch, add_special_tokens=False):
                pieces.append(np.asarray(encoding.ids, dtype=np.uint32))
                lengths.append(len(pieces[-1]))
        return np.concatenate(pieces), np.cumsum(lengths)


def out_of_reach(table: dict[str, Any]) -> dict[str, Any]:
    """The table with its special tokens under names that no text has, for models that take any piece of their list.

    A Unigram model finds `</s>` in a text because it is in its vocabulary, special or not. BPE is left alone: its
    tokens are made by merges, and none makes a special one.
    """
    model = table["model"]
    if model.get("type") == "BPE" or not isinstance(model.get("vocab"), (list, dict)):
        return table
    special = {entry["content"] for entry in table.get("added_tokens") or [] if entry["special"]}
    special.discard(model.get("unk_token"))
    vocabulary = model["vocab"]
    if isinstance(vocabulary, list):
        unknown = model.get("unk_id")
        vocabulary = [
            [_HIDDEN + piece if piece in special and number != unknown else piece, score]
            for number, (piece, score) in enumerate(vocabulary)
        ]
    else:
        vocabulary = {_HIDDEN + piece if piece in special else piece: number for piece, number in vocabulary.items()}
    added = [entry for entry in table.get("added_tokens") or [] if not entry["special"]]
    return {**table, "model": {**model, "vocab": vocabulary}, "added_tokens": added}


def load_library(table: dict[str, Any], path: str) -> Any:
    """The `tokenizers` library's tokenizer of `table`, that neither cuts nor fills nor sees special tokens in text."""
    return load(json.dumps(table), path).library


def load(text: str, path: str) -> Loaded:
    """The same of a `tokenizer.json` as it stands."""
    from tokenizers import Tokenizer

    try:
        library = Tokenizer.from_str(text)
    except Exception as error:  # noqa: BLE001  # the library raises bare Exception
        raise unusable(path, f"not a tokenizer.json: {error}") from None
    library.no_truncation()
    library.no_padding()
    library.encode_special_tokens = True
    return Loaded(text, library)


def unusable(path: str, what: str) -> RecipeError:
    """The error for a tokenizer file that cannot be used."""
    return RecipeError(
        f"{what}.",
        where=path,
        why="[tokenizer] file must be the tokenizer.json that Hugging Face models ship.",
        fix="Point it at that file; `tokenizer.save_pretrained(folder)` writes one.",
    )
