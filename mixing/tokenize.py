"""Text to token ids, at the speed of the fast encoder and with the ids of the reference one (`mixing.engine`).

Special tokens spelled out in a text stay text: a scraped page that says `</s>` cannot end a document. One id stands for
marks that our readers wrote (`manifests.markers`) where they are named, and for the control tokens of a chat template.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from manifests.errors import RecipeError
from manifests.markers import OURS, plain
from mixing.engine import Engine, load, unusable
from mixing.template_forms import Segment
from mixing.tokenizer_file import configured_names, parse_table, read_file, special_ids, text_of
from mixing.word_prefix import prefix_of, without_prefix

TokenArray = npt.NDArray[np.unsignedinteger[Any]]
"""uint16 where the vocabulary allows, else uint32."""

UINT16_VOCABULARY = 65536
"""Largest vocabulary whose ids fit in uint16."""

_BEGIN = ("<s>", "<|begin_of_text|>", "<bos>", "[BOS]", "<|startoftext|>", "<|endoftext|>")
_END = ("</s>", "<|end_of_text|>", "<eos>", "[EOS]", "<|endoftext|>", "<|im_end|>")
_PADDING = ("<pad>", "[PAD]", "<|pad|>", "<|finetune_right_pad_id|>", "<|endoftext|>")
"""Names tried, in this order, where no `tokenizer_config.json` beside the file says which token it is."""

_START, _REST, _TOKEN = 0, 1, 2
"""Kinds of pieces: text that gets the file's prefix, text that goes on, a token."""

Piece = str | int
"""Text, or one token by its id. Text beside text goes on where the other ended."""


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

    Truncation and padding that the file asks for are switched off: no token is lost or invented. `special` are names
    of added tokens: marks of ours to encode as one id each, and control tokens that segments may use.
    """

    def __init__(self, path: str, *, bos: bool, eos: bool, special: Sequence[str] = ()) -> None:
        # Tasks are the parallelism; threads inside each would only fight over the same cores.
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        os.environ.setdefault("RAYON_NUM_THREADS", "1")
        self.path = path
        content = read_file(path)
        self.file_sha256 = hashlib.sha256(content).hexdigest()
        text = text_of(content, path)
        table = parse_table(text, path)
        loaded = load(text, path)
        self._library = loaded.library
        if not self._library.get_vocab_size(with_added_tokens=False):
            raise unusable(path, "its vocabulary is empty")
        self._ids: dict[str, int] = self._library.get_vocab(with_added_tokens=True)
        self.vocab_size: int = max(self._ids.values()) + 1
        marked = [entry["special"] for entry in table.get("added_tokens") or []]
        self.special = special_ids(table, list(special), path)
        """Id of each token named."""
        names = configured_names(Path(path))
        self.bos_id = self._token(names.get("bos_token"), _BEGIN, wanted=bos, key="bos")
        self.eos_id = self._token(names.get("eos_token"), _END, wanted=eos, key="eos")
        padding = self._token(names.get("pad_token"), _PADDING, wanted=False, key="pad")
        self.pad_id = next(token for token in (padding, self.eos_id, 0) if token is not None)
        """Fills the unused end of a row; never counted, never learned from."""
        self.bos, self.eos = bos, eos
        # A begin or end token that the file does not mark as special would be produced by text that spells it.
        for entry in table.get("added_tokens") or []:
            entry["special"] |= entry["id"] in (self.bos_id, self.eos_id)
        self.dtype = np.dtype(np.uint16 if self.vocab_size <= UINT16_VOCABULARY else np.uint32)
        self._table = table
        self._prefix = prefix_of(table)
        as_given = marked == [entry["special"] for entry in table.get("added_tokens") or []]
        self._start = Engine(table, path, loaded=loaded if as_given else None)
        self._continuing: Engine | None = None
        self._check_out_of_reach()
        longest_first = sorted(self.special, key=len, reverse=True)
        self._marks = re.compile(f"{OURS}({'|'.join(map(re.escape, longest_first))})") if special else None

    @property
    def engine(self) -> Literal["fastokens", "tokenizers"]:
        """Which library encodes the present block; the reference one if any part of it needs it."""
        return next((one.name for one in self._engines if one.reason), "fastokens")

    @property
    def reason(self) -> str:
        """Why it is not the fast one; empty if it is."""
        return next((one.reason for one in self._engines if one.reason), "")

    @property
    def _engines(self) -> list[Engine]:
        return [self._start] if self._continuing is None else [self._start, self._continuing]

    def start_block(self) -> None:
        """Begin a new block: its first documents are checked afresh, so no block depends on the one before."""
        for one in self._engines:
            one.start_block()

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Ids of each text, with the begin and end tokens asked for; a mark of ours that is not named is plain text."""
        given = list(texts)
        if not any(OURS in text for text in given):
            return self._framed(*self._start.encode(given))
        if self._marks is None:
            return self._framed(*self._start.encode([plain(text) for text in given]))
        flat, offsets, _ = self._encode_pieces([self._pieces(text) for text in given])
        return self._framed(flat, offsets)

    def encode_segments(self, conversations: Sequence[Sequence[Segment]]) -> tuple[Encoded, npt.NDArray[np.uint8]]:
        """Ids of conversations from `mixing.template`, and beside each id 1 where it is learned.

        Begin and end tokens are those of the segments. The ids of a prompt do not depend on the answer after it.
        """
        documents = [[self._piece(one) for one in segments] for segments in conversations]
        flat, offsets, lengths = self._encode_pieces(documents)
        learn = np.asarray([one.learn for segments in conversations for one in segments], dtype=np.uint8)
        return Encoded(flat.astype(self.dtype), offsets), np.repeat(learn, lengths)

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
            **({"special": self.special} if self.special else {}),
        }

    def _token(self, configured: str | None, usual: Iterable[str], *, wanted: bool, key: str) -> int | None:
        found = next((self._ids[name] for name in ([configured] if configured else usual) if name in self._ids), None)
        if found is None and wanted:
            tried = repr(configured) if configured else ", ".join(usual)
            raise RecipeError(
                f"the tokenizer has no {key} token (looked for {tried}).",
                where=self.path,
                why=f"[tokenizer] {key} = true puts one at every document.",
                fix=f"Set {key} = false, or name it as {key}_token in a tokenizer_config.json beside the file.",
            )
        return found

    def _check_out_of_reach(self) -> None:
        control = {token for token in (self.bos_id, self.eos_id, *self.special.values()) if token is not None}
        spelled = [name for name, number in self._ids.items() if number in control]
        flat, _ = self._start.encode([f"{before}{name}" for name in spelled for before in ("", " ", "a")])
        self.start_block()
        if made := control & set(flat.tolist()):
            names = ", ".join(repr(name) for name in spelled if self._ids[name] in made)
            raise RecipeError(
                f"text that spells {names} becomes that control token in this file.",
                where=self.path,
                why="A page could end a document or speak in another's turn.",
                fix="Use other names for these tokens: `medtrove tokenizer extend` adds them at the end.",
            )

    def _pieces(self, text: str) -> list[Piece]:
        if OURS not in text or self._marks is None:
            return [text] if text else []
        parts: list[Piece] = []
        for number, part in enumerate(self._marks.split(text)):
            if number % 2:
                parts.append(self.special[part])
            elif letters := plain(part):
                parts.append(letters)
        return parts

    def _piece(self, segment: Segment) -> Piece:
        if segment.kind == "text":
            return segment.text
        found = {"bos": self.bos_id, "eos": self.eos_id}.get(segment.kind, self.special.get(segment.text))
        if found is None:
            name = segment.text if segment.kind == "special" else segment.kind
            raise RecipeError(
                f"the chat template uses the token {name!r}, which the encoder does not know.",
                where=self.path,
                why="Spelled as text it would be letters, and no control token.",
                fix="Name it in [tokenizer] special, or as bos_token or eos_token in tokenizer_config.json.",
            )
        return found

    def _encode_pieces(
        self, documents: Sequence[Sequence[Piece]]
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Ids end to end, where each document begins, and the length of each piece."""
        texts: tuple[list[str], list[str]] = ([], [])
        tokens: list[int] = []
        kinds: list[int] = []
        for pieces in documents:
            before: Piece | None = None
            for piece in pieces:
                if isinstance(piece, int):
                    tokens.append(piece)
                    kinds.append(_TOKEN)
                else:
                    goes_on = isinstance(before, str) or (before is not None and self._prefix == "first")
                    kind = _REST if goes_on and self._prefix != "none" else _START
                    texts[kind].append(piece)
                    kinds.append(kind)
                before = piece
        kind_of = np.asarray(kinds, dtype=np.int8)
        lengths = np.ones(len(kinds), dtype=np.int64)
        ids_of: list[npt.NDArray[np.uint32]] = []
        for kind in (_START, _REST):
            flat, offsets = self._engine(kind).encode(texts[kind]) if texts[kind] else _NOTHING
            lengths[kind_of == kind] = np.diff(offsets)
            ids_of.append(flat)
        ids_of.append(np.asarray(tokens, dtype=np.uint32))
        token_kind = np.repeat(kind_of, lengths)
        ids = np.empty(len(token_kind), dtype=np.uint32)
        for kind, flat in enumerate(ids_of):
            ids[token_kind == kind] = flat
        ends = np.concatenate(([0], np.cumsum(lengths)))
        first = np.concatenate(([0], np.cumsum([len(pieces) for pieces in documents], dtype=np.int64)))
        return ids, ends[first], lengths

    def _engine(self, kind: int) -> Engine:
        if kind == _START:
            return self._start
        if self._continuing is None:
            self._continuing = Engine(without_prefix(self._table), self.path)
        return self._continuing

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


_NOTHING = (np.zeros(0, dtype=np.uint32), np.zeros(1, dtype=np.int64))
