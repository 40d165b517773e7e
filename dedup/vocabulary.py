"""What each white-space-delimited chunk of text says, worked out once: its words' hashes and its numbers' sum.

A text is cut into chunks and each chunk is looked up with array operations alone, many texts at once: no string is made
for a chunk met before. A chunk is known by 64 bits of its bytes; among a million chunks two coincide once in thirty
million times.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import xxhash

from dedup.buckets import Flags, Positions
from dedup.shingles import Hashes, Split, mixed, numbers_sum, word_hash

CHUNKS = 1_000_000
"""Chunks remembered, in a table of 64 MB; the vocabulary starts afresh beyond."""

LONG_CHUNK = 256
"""Bytes beyond which a chunk is hashed by itself: an address, a sequence, a script without spaces."""

_FIRST_SIZE = 1 << 12
_SPACE_BYTES = np.zeros(256, dtype=bool)
_SPACE_BYTES[[*range(0x09, 0x0E), *range(0x1C, 0x21)]] = True
_WIDE_SPACES = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_MAY_HOLD_NUMBERS = re.compile(r"[^\x00-/:-\x7f]")
_LOW_BYTES = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)
_PADDING = b" " * 9  # a last space, and eight bytes so that a whole word can be read at any byte
_Number = TypeVar("_Number", np.int64, np.uint64)
_KEY, _WORD, _NUMBERS, _N_WORDS = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What some texts say, one after the other."""

    words: Hashes
    """Hashes of the words of all texts."""
    ends: Positions
    """Where each text's words end in `words`; the first text's begin at 0."""
    numbers: Hashes
    """The sum of the hashes of each text's numbers, modulo 2**64."""


class Vocabulary:
    """Reads texts into hashes and remembers the chunks, so `words` and `numbers` need no memory of their own."""

    def __init__(self, words: Split, numbers: Split) -> None:
        self._words, self._numbers = words, numbers
        self._forget()

    def read(self, texts: Sequence[str]) -> Reading:
        """The words' hashes in order and the numbers' sums of `texts`."""
        data, first_bytes = _joined(texts)
        starts, ends = _chunks(data)
        keys = _keys(data, starts, ends)
        rows = self._rows(data, starts, ends, keys)
        n_words = rows[:, _N_WORDS].astype(np.int64)
        single = n_words == 1
        last_chunks = np.searchsorted(starts, first_bytes[1:])
        word_ends = _before(n_words, last_chunks)
        several = bool((n_words > 1).any())
        hashes = self._several(rows, n_words, single) if several else rows[single, _WORD]
        sums = _before(rows[:, _NUMBERS], last_chunks)
        if self._n > CHUNKS:
            self._forget()
        return Reading(hashes, word_ends, np.diff(sums, prepend=np.uint64(0)))

    def _several(self, rows: Hashes, n_words: Positions, single: Flags) -> Hashes:
        """The words' hashes where some chunks hold more than one word."""
        ends = np.cumsum(n_words)
        hashes = np.empty(int(ends[-1]), dtype=np.uint64)
        hashes[ends[single] - 1] = rows[single, _WORD]
        for chunk in np.flatnonzero(n_words > 1).tolist():
            hashes[ends[chunk] - n_words[chunk] : ends[chunk]] = self._lists[int(rows[chunk, _WORD])]
        return hashes

    def _rows(self, data: bytes, starts: Positions, ends: Positions, keys: Hashes) -> Hashes:
        """The table's row of every chunk, after learning those it does not hold."""
        slots = self._find(keys)
        new = np.flatnonzero(self._table[slots, _KEY] != keys)
        if len(new):
            _, first = np.unique(keys[new], return_index=True)
            learned = new[first]
            self._learn(data, starts[learned].tolist(), ends[learned].tolist(), keys[learned])
            slots = self._find(keys)
        rows: Hashes = self._table[slots]
        return rows

    def _find(self, keys: Hashes) -> Positions:
        """The slot of each key, or the empty one where it would go."""
        slots = (keys >> self._shift).astype(np.int64)
        there = self._table[slots, _KEY]
        astray = np.flatnonzero((there != keys) & (there != 0))
        while len(astray):
            slots[astray] = (slots[astray] + 1) % len(self._table)
            there = self._table[slots[astray], _KEY]
            astray = astray[(there != keys[astray]) & (there != 0)]
        return slots

    def _learn(self, data: bytes, starts: list[int], ends: list[int], keys: Hashes) -> None:
        words_of, numbers_of, held = self._words, self._numbers, self._lists
        words_column, sums, counts = [], [], []
        for start, end in zip(starts, ends, strict=True):
            chunk = data[start:end].decode("utf-8", "surrogatepass")
            words = words_of(chunk)
            counts.append(len(words))
            if len(words) == 1:
                words_column.append(word_hash(words[0]))
            else:
                words_column.append(len(held) if words else 0)
                if words:
                    held.append(np.array([word_hash(word) for word in words], dtype=np.uint64))
            # Numbers are made of digits; most chunks hold none, and asking costs as much as all the rest.
            sums.append(numbers_sum(numbers_of(chunk)) if _MAY_HOLD_NUMBERS.search(chunk) else 0)
        columns = [keys, *(np.array(column, dtype=np.uint64) for column in (words_column, sums, counts))]
        self._n += len(keys)
        if 2 * self._n > len(self._table):
            known = self._table[self._table[:, _KEY] != 0]
            self._make_table(1 << (2 * self._n).bit_length())
            self._insert(known)
        self._insert(np.column_stack(columns))

    def _insert(self, rows: Hashes) -> None:
        """Put rows with new keys into the table; where two want one slot, the later in turn moves on."""
        while len(rows):
            slots = self._find(rows[:, _KEY])
            self._table[slots] = rows
            rows = rows[self._table[slots, _KEY] != rows[:, _KEY]]

    def _forget(self) -> None:
        self._n = 0
        self._lists: list[Hashes] = []
        self._make_table(_FIRST_SIZE)

    def _make_table(self, size: int) -> None:
        self._table = np.zeros((size, 4), dtype=np.uint64)
        self._shift = np.uint64(64 - (size.bit_length() - 1))


def _joined(texts: Sequence[str]) -> tuple[bytes, Positions]:
    """All texts as bytes with white space between them, and where each begins; last, where all end."""
    encoded = [
        (text if text.isascii() else _WIDE_SPACES.sub(" ", text)).encode("utf-8", "surrogatepass") for text in texts
    ]
    first_bytes = np.cumsum([1, *(len(text) + 1 for text in encoded)])
    return b" ".join((b"", *encoded, _PADDING)), first_bytes


def _chunks(data: bytes) -> tuple[Positions, Positions]:
    """First byte and end of every run of bytes that are not white space."""
    space = _SPACE_BYTES[np.frombuffer(data, dtype=np.uint8)]
    edges = np.flatnonzero(space[1:] != space[:-1]) + 1
    return edges[0::2], edges[1::2]


def _keys(data: bytes, starts: Positions, ends: Positions) -> Hashes:
    """64 bits of the bytes of every chunk, never 0."""
    eight_bytes: Hashes = np.ndarray((len(data) - 7,), np.dtype("<u8"), data, 0, (1,))
    left = ends - starts
    keys = eight_bytes[starts] & _LOW_BYTES[np.minimum(left, 8)]
    keys = mixed(keys ^ (left.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)))
    longer, at = np.flatnonzero(left > 8), 8
    while len(longer) and at < LONG_CHUNK:
        rest = left[longer] - at
        keys[longer] = mixed(keys[longer] ^ (eight_bytes[starts[longer] + at] & _LOW_BYTES[np.minimum(rest, 8)]))
        longer, at = longer[rest > 8], at + 8
    for chunk in longer.tolist():
        keys[chunk] = xxhash.xxh3_64_intdigest(data[int(starts[chunk]) : int(ends[chunk])])
    return np.maximum(keys, np.uint64(1))


def _before(values: npt.NDArray[_Number], ends: Positions) -> npt.NDArray[_Number]:
    """The sum of `values` before each of `ends`, wrapping around."""
    sums = np.zeros(len(values) + 1, dtype=values.dtype)
    np.cumsum(values, out=sums[1:])
    before: npt.NDArray[_Number] = sums[ends]
    return before
