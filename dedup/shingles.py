"""Shingles: every run of n successive words of a text as one 64-bit hash.

A word is hashed once (xxh3_64 of its UTF-8 bytes); a shingle is the sum of its words' hashes, each times an odd
constant of its place, through the finaliser of MurmurHash3, all modulo 2**64: a pure function of the words.
Numbers stay as they are: a dose variant has other shingles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import xxhash

Hashes = npt.NDArray[np.uint64]
Split = Callable[[str], list[str]]
"""Text -> its words, or its numbers. Never reaches across white space: the answer is that of its chunks in a row."""

PIECE_CHARACTERS = 1 << 18
"""A text is read in pieces of about this length, so that a document of any size needs the same memory."""

_SPACE = re.compile(r"\s")
_MASK = (1 << 64) - 1


@lru_cache
def _place_constants(n: int) -> tuple[np.uint64, ...]:
    # The first outputs of splitmix64 from state 0, made odd: multiplication by each is a bijection.
    values, state = [], 0
    for _ in range(n):
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        values.append((mixed ^ (mixed >> 31)) | 1)
    return tuple(map(np.uint64, values))


def mixed(values: Hashes) -> Hashes:
    """Every value through the 64-bit finaliser of MurmurHash3, a bijection in which each bit depends on all."""
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))


def word_hash(word: str) -> int:
    """xxh3_64 of the word's UTF-8 bytes; half a surrogate pair counts as the three bytes it would be."""
    return xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))


def combined(word_hashes: Hashes, n: int) -> Hashes:
    """Hashes of all runs of `n` successive words, in order; one of the whole if there are fewer than `n`."""
    n = min(n, len(word_hashes))
    if n == 0:
        return np.empty(0, dtype=np.uint64)
    runs = len(word_hashes) - n + 1
    total = np.zeros(runs, dtype=np.uint64)
    for place, constant in enumerate(_place_constants(n)):
        total += word_hashes[place : place + runs] * constant
    return mixed(total)


def shingle_hashes(words: Sequence[str], n: int) -> Hashes:
    """One hash for every run of `n` words, in order and with repetitions; shorter sequences are one shingle.

    >>> len(shingle_hashes("give five milligrams once a day".split(), 5))
    2
    """
    return combined(np.fromiter(map(word_hash, words), dtype=np.uint64, count=len(words)), n)


def pieces(text: str, size: int = PIECE_CHARACTERS) -> Iterator[str]:
    """`text` in pieces of about `size` characters, cut at white space alone."""
    start = 0
    while len(text) - start > size:
        cut = _SPACE.search(text, start + size)
        if cut is None:
            break
        yield text[start : cut.start()]
        start = cut.start()
    yield text[start:] if start else text


def grouped(texts: Sequence[str], size: int = PIECE_CHARACTERS) -> Iterator[Sequence[str]]:
    """`texts` in runs of up to about `size` characters in all; a longer text is alone."""
    start = total = 0
    for at, text in enumerate(texts):
        if at > start and total + len(text) > size:
            yield texts[start:at]
            start, total = at, 0
        total += len(text)
    if start < len(texts):
        yield texts[start:]


def numbers_sum(numbers: Sequence[str]) -> int:
    """The multiset of `numbers` as 64 bits: the sum of their hashes, whatever their order."""
    return sum(map(word_hash, numbers)) & _MASK
