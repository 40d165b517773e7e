"""Verification: candidates are compared by their texts before anything is removed.

A pair is a duplicate if the Jaccard similarity of the two shingle sets reaches the threshold and both texts hold the
same numbers in the same order. Two documents that differ in a number are not duplicates, whatever else they share, and
neither are two that give the same doses to other drugs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xxhash

from dedup.buckets import Flags, Positions, bucketed, linked, with_first
from dedup.clusters import connected
from dedup.shingles import Hashes, Split, shingle_hashes

HELD_SHINGLES = 32_000_000
"""Shingle hashes kept for the next comparison, 256 MB; an abstract has 200, a textbook a million."""

ROUNDS = 16
"""How often a bucket's first document and its duplicates are set aside and the rest compared with the next one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    shingles: Hashes
    """Without repetitions, sorted."""
    numbers: int


class Verifier:
    """Compares texts by position; remembers what it found and, within a bound, what it has read."""

    def __init__(
        self, text_of: Callable[[int], str], words: Split, numbers: Split, *, ngram: int, threshold: float
    ) -> None:
        self._text_of, self._words, self._numbers = text_of, words, numbers
        self._ngram, self._threshold = ngram, threshold
        self._held: OrderedDict[int, _Read] = OrderedDict()
        self._n_held = 0
        self._found: dict[tuple[int, int], float | None] = {}
        self.n_other_order = 0
        """Pairs similar enough that stay apart because the same numbers stand in another order."""

    def similarity(self, one: int, other: int) -> float | None:
        """Jaccard similarity of two positions if they are duplicates, None if they are not."""
        pair = (one, other) if one < other else (other, one)
        if pair not in self._found:
            self._found[pair] = self._compare(self._read(pair[0]), self._read(pair[1]))
        return self._found[pair]

    def holds(self, pairs: Positions) -> Flags:
        """Which of the pairs are duplicates."""
        found = (self.similarity(one, other) is not None for one, other in pairs.tolist())
        return np.fromiter(found, dtype=bool, count=len(pairs))

    @property
    def n_compared(self) -> int:
        return len(self._found)

    def _compare(self, one: _Read, other: _Read) -> float | None:
        similarity = jaccard(one.shingles, other.shingles)
        if similarity < self._threshold:
            return None
        if one.numbers != other.numbers:
            self.n_other_order += 1
            return None
        return similarity

    def _read(self, position: int) -> _Read:
        read = self._held.get(position)
        if read is None:
            text = self._text_of(position)
            numbers = xxhash.xxh3_64_intdigest("\n".join(self._numbers(text)).encode("utf-8", "surrogatepass"))
            read = _Read(np.unique(shingle_hashes(self._words(text), self._ngram)), numbers)
            self._held[position] = read
            self._n_held += len(read.shingles)
            while self._n_held > HELD_SHINGLES and len(self._held) > 2:
                self._n_held -= len(self._held.popitem(last=False)[1].shingles)
        self._held.move_to_end(position)
        return read


def jaccard(one: Hashes, other: Hashes) -> float:
    """Shared hashes over all hashes of two sorted arrays without repetitions; 0 if both are empty."""
    if len(one) > len(other):
        one, other = other, one
    if not len(one):
        return 0.0
    places = np.minimum(np.searchsorted(other, one), len(other) - 1)
    shared = int(np.count_nonzero(other[places] == one))
    return shared / (len(one) + len(other) - shared)


def verified_pairs(bands: Hashes, valid: Flags, salt: Hashes, verifier: Verifier) -> Positions:
    """Candidate pairs that hold, enough of them to connect what a bucket's documents have in common.

    `salt` is a hash of each document's numbers: where those differ nothing can hold, and nothing is compared.

    Within a bucket each document is compared with the first and its predecessor; then the first and its duplicates
    step aside and the rest is compared with the next one, up to `ROUNDS` times. So families of one template, of which
    only some members are duplicates, are sorted out without comparing all with all.
    """
    buckets, members = bucketed(bands, valid, salt)
    held = linked(buckets, members)
    held = held[verifier.holds(held)]
    for _ in range(ROUNDS):
        buckets, members = _without_first(buckets, members, connected(len(valid), held))
        if not len(members):
            break
        pairs = with_first(buckets, members)
        held = np.unique(np.concatenate([held, pairs[verifier.holds(pairs)]]), axis=0)
    return held


def _without_first(buckets: Positions, members: Positions, labels: Positions) -> tuple[Positions, Positions]:
    """Every bucket without its first document and that one's duplicates; buckets of one are left out."""
    if not len(buckets):
        return buckets, members
    first = np.ones(len(buckets), dtype=bool)
    first[1:] = buckets[1:] != buckets[:-1]
    leaders = labels[members[first]][np.cumsum(first) - 1]
    stays = labels[members] != leaders
    buckets, members = buckets[stays], members[stays]
    _, number, size = np.unique(buckets, return_inverse=True, return_counts=True)
    several = size[number] > 1
    return buckets[several], members[several]
