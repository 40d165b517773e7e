"""Text to token ids, at the speed of the fast encoder and with the ids of the reference one.

`fastokens` encodes; the `tokenizers` library, whose ids are the definition, encodes the first documents of every
block too, and takes over the block where the two differ or where the fast encoder does not support the file.
Special tokens spelled out in a text stay text: a scraped page that says `</s>` cannot end a document.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from manifests.errors import RecipeError
from mixing.word_split import split_at_words

TokenArray = npt.NDArray[np.unsignedinteger[Any]]
"""uint16 where the vocabulary allows, else uint32."""

UINT16_VOCABULARY = 65536
"""Largest vocabulary whose ids fit in uint16."""

_CHECKED_DOCUMENTS = 16
_CHECKED_CHARACTERS = 4096
"""What the reference encoder sees of each block: 16 documents, the first 4,096 characters of each. At 20 times the
cost per character that is 1-2 % of a 60 MB block."""
_REFERENCE_BATCH = 256
"""Texts per call of the reference encoder; its per-token objects are large."""

_PROBE = (
    "INR 2.0–3.0; dose ≥ 5 mg/kg (0.5–1 µg·kg⁻¹), pH<7.35\r\n\r\n| K+ | 3,5 |\t±\u00a0x̄ = 10⁻³ Ångström don't WE'LL\n"
    "  two  spaces\u2009thin\u200bzero 12345678901 ﬁ é e\u0301 αβγ 中文 العربية 👩‍⚕️ <s> </s> <unk> [SEP] <|endoftext|> "
)
"""What encoders are known to disagree on: quotes, digits, runs of space, combining marks, spelled special tokens."""

_BEGIN = ("<s>", "<|begin_of_text|>", "<bos>", "[BOS]", "<|startoftext|>", "<|endoftext|>")
_END = ("</s>", "<|end_of_text|>", "<eos>", "[EOS]", "<|endoftext|>", "<|im_end|>")
_PADDING = ("<pad>", "[PAD]", "<|pad|>", "<|finetune_right_pad_id|>", "<|endoftext|>")
"""Names tried, in this order, where no `tokenizer_config.json` beside the file says which token it is."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of some documents, end to end."""

    ids: TokenArray
    offsets: npt.NDArray[np.int64]
    """Document i has `ids[offsets[i]:offsets[i + 1]]`; one more entry than documents."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> TokenArray:
        return self.ids[self.offsets[i] : self.offsets[i + 1]]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each document."""
        return np.diff(self.offsets)


def join(parts: Sequence[Encoded]) -> Encoded:
    """All documents of `parts`, in order; at least one part."""
    lengths = np.concatenate([part.lengths for part in parts])
    return Encoded(np.concatenate([part.ids for part in parts]), np.concatenate(([0], np.cumsum(lengths))))


class Encoder:
    """Encodes documents with the Hugging Face `tokenizer.json` at `path`; RecipeError if that file cannot serve.

    Truncation and padding that the file asks for are switched off: no token is lost or invented.
    """

    def __init__(self, path: str, *, bos: bool, eos: bool) -> None:
        # Tasks are the parallelism; threads inside each would only fight over the same cores.
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        os.environ.setdefault("RAYON_NUM_THREADS", "1")
        self.path = path
        content = _read(path)
        self.file_sha256 = hashlib.sha256(content).hexdigest()
        table = _parse(content, path)
        names = _configured_names(Path(path))
        self._load_library(table)
        self.bos_id = self._token(names.get("bos_token"), _BEGIN, wanted=bos, key="bos", path=path)
        self.eos_id = self._token(names.get("eos_token"), _END, wanted=eos, key="eos", path=path)
        padding = self._token(names.get("pad_token"), _PADDING, wanted=False, key="pad", path=path)
        self.pad_id = next(token for token in (padding, self.eos_id, 0) if token is not None)
        """Fills the unused end of a row; never counted, never learned from."""
        self.bos, self.eos = bos, eos
        # A begin or end token that the file does not mark as special would be produced by text that spells it.
        control = {token for token in (self.bos_id, self.eos_id) if token is not None}
        marked = [entry for entry in table.get("added_tokens") or [] if entry["id"] in control and not entry["special"]]
        for entry in marked:
            entry["special"] = True
        if marked:
            self._load_library(table)
        self.dtype = np.dtype(np.uint16 if self.vocab_size <= UINT16_VOCABULARY else np.uint32)
        self._fast: Any = None
        self._refusal = ""
        self._load_fast(table)
        self.engine: Literal["fastokens", "tokenizers"] = "tokenizers"
        """Which library encodes the present block."""
        self.reason = ""
        """Why it is not the fast one; empty if it is."""
        self.start_block()

    def start_block(self) -> None:
        """Begin a new block: its first documents are checked afresh, so no block depends on the one before."""
        self._to_check = _CHECKED_DOCUMENTS
        self.engine, self.reason = ("tokenizers", self._refusal) if self._fast is None else ("fastokens", "")

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Ids of each text, with the begin and end tokens asked for."""
        given = list(texts)
        if self.engine == "fastokens" and self._to_check:
            sample = [text[:_CHECKED_CHARACTERS] for text in given[: self._to_check]]
            self._to_check -= len(sample)
            if not self._agree(sample):
                self._fall_back("its ids differ from those of the tokenizers library")
        flat, offsets = self._encode_fast(given) if self.engine == "fastokens" else self._encode_reference(given)
        return self._framed(flat, offsets)

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of `ids`, special tokens spelled out."""
        return str(self._library.decode(np.asarray(ids).tolist(), skip_special_tokens=False))

    def describe(self) -> dict[str, Any]:
        """What `index.json` says of the tokenizer; no path, which differs between machines."""
        return {
            "sha256": self.file_sha256,
            "vocab_size": self.vocab_size,
            "bos_id": self.bos_id,
            "eos_id": self.eos_id,
            "pad_id": self.pad_id,
            "bos": self.bos,
            "eos": self.eos,
        }

    def _load_library(self, table: dict[str, Any]) -> None:
        from tokenizers import Tokenizer

        try:
            self._library = Tokenizer.from_str(json.dumps(table))
        except Exception as error:  # noqa: BLE001  # the library raises bare Exception
            raise _unusable(self.path, f"not a tokenizer.json: {error}") from None
        self._library.no_truncation()
        self._library.no_padding()
        self._library.encode_special_tokens = True
        self._ids: dict[str, int] = self._library.get_vocab(with_added_tokens=True)
        if not self._library.get_vocab(with_added_tokens=False):
            raise _unusable(self.path, "its vocabulary is empty")
        self.vocab_size: int = max(self._ids.values()) + 1

    def _load_fast(self, table: dict[str, Any]) -> None:
        import fastokens

        try:
            fast = fastokens.Tokenizer.from_json_str(json.dumps(split_at_words(table)))
        except ValueError as error:
            self._refusal = f"fastokens does not support this file: {error}"
            return
        fast.no_truncation()
        fast.no_padding()
        self._fast = fast
        spelled = " ".join(entry["content"] for entry in table.get("added_tokens") or [])
        if not self._agree([_PROBE, f"a {spelled} b", spelled.replace(" ", "")]):
            self._fast, self._refusal = None, "fastokens encodes the probe text differently"

    def _token(self, configured: str | None, usual: Iterable[str], *, wanted: bool, key: str, path: str) -> int | None:
        found = next((self._ids[name] for name in ([configured] if configured else usual) if name in self._ids), None)
        if found is None and wanted:
            tried = repr(configured) if configured else ", ".join(usual)
            raise RecipeError(
                f"the tokenizer has no {key} token (looked for {tried}).",
                where=path,
                why=f"[tokenizer] {key} = true puts one at every document.",
                fix=f"Set {key} = false, or name it as {key}_token in a tokenizer_config.json beside the file.",
            )
        return found

    def _agree(self, texts: list[str]) -> bool:
        try:
            flat, offsets = self._flat(texts)
        except (ValueError, RuntimeError):
            return False
        reference, reference_offsets = self._encode_reference(texts)
        return np.array_equal(offsets, reference_offsets) and np.array_equal(flat, reference)

    def _fall_back(self, reason: str) -> None:
        self.engine, self.reason = "tokenizers", reason

    def _flat(self, texts: list[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        ids, offsets = self._fast.encode_batch_flat(texts, add_special_tokens=False, split_special_tokens=True)
        return np.frombuffer(ids, dtype="<u4"), np.frombuffer(offsets, dtype="<u8").astype(np.int64)

    def _encode_fast(self, texts: list[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        try:
            return self._flat(texts)
        except (ValueError, RuntimeError):
            # Its regular expressions have step limits that the reference does not know. No detail: it may quote text.
            self._fall_back("fastokens could not encode a document")
        return self._encode_reference(texts)

    def _encode_reference(self, texts: list[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        pieces: list[npt.NDArray[np.uint32]] = [np.zeros(0, dtype=np.uint32)]
        lengths = [0]
        for start in range(0, len(texts), _REFERENCE_BATCH):
            batch = texts[start : start + _REFERENCE_BATCH]
            for encoding in self._library.encode_batch_fast(batch, add_special_tokens=False):
                pieces.append(np.asarray(encoding.ids, dtype=np.uint32))
                lengths.append(len(pieces[-1]))
        return np.concatenate(pieces), np.cumsum(lengths)

    def _framed(self, flat: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64]) -> Encoded:
        extra = int(self.bos) + int(self.eos)
        if not extra:
            return Encoded(flat.astype(self.dtype), offsets)
        wider = offsets + extra * np.arange(len(offsets))
        ids: TokenArray = np.empty(int(wider[-1]), dtype=self.dtype)
        is_text = np.ones(len(ids), dtype=bool)
        if self.bos and self.bos_id is not None:
            is_text[wider[:-1]] = False
            ids[wider[:-1]] = self.bos_id
        if self.eos and self.eos_id is not None:
            is_text[wider[1:] - 1] = False
            ids[wider[1:] - 1] = self.eos_id
        ids[is_text] = flat
        return Encoded(ids, wider)


def _unusable(path: str, what: str) -> RecipeError:
    return RecipeError(
        f"{what}.",
        where=path,
        why="[tokenizer] file must be the tokenizer.json that Hugging Face models ship.",
        fix="Point it at that file; `tokenizer.save_pretrained(folder)` writes one.",
    )


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from None


def _parse(content: bytes, path: str) -> dict[str, Any]:
    try:
        table = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise _unusable(path, "not JSON") from None
    if not isinstance(table, dict) or "model" not in table:
        raise _unusable(path, "not a tokenizer.json: it has no `model`")
    return table


def _configured_names(path: Path) -> dict[str, str]:
    """Token names by role, from the `tokenizer_config.json` beside the file, if there is one."""
    config = path.with_name("tokenizer_config.json")
    try:
        table = json.loads(config.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, json.JSONDecodeError, UnicodeDecodeError):
        raise _unusable(str(config), "cannot be read as JSON") from None
    names: dict[str, str] = {}
    for key in ("bos_token", "eos_token", "pad_token"):
        value = table.get(key)
        content = value.get("content") if isinstance(value, dict) else value
        if isinstance(content, str):
            names[key] = content
    return names
