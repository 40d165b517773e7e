"""Which documents are validation: whole units, by the hash of the unit.

A unit is a patient, in whichever source the notes are, or else everything that might say the same: the component over
candidate pairs before any guard. What training must not have seen is then on one side as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dedup.buckets import Flags, Positions
from dedup.shingles import Hashes, mixed

HUGE_SHARE = 100
"""A unit of more than one in so many of a source's documents is not taken merely to give the source a unit."""


def unit_hashes(keys: Hashes, seed: int) -> Hashes:
    """A uniform 64-bit number for every unit key, another for every seed."""
    return mixed(keys ^ mixed(np.array([seed % 2**64], dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)))


def validation(
    units: Positions, sources: Positions, hashes: Hashes, fractions: Sequence[float], names: Sequence[str]
) -> Flags:
    """For every document whether it is validation; `units` and `sources` are numbers from 0, `hashes` one per unit.

    `fractions` has one for every source. A unit is taken if its hash is below that part of the range, the largest one
    where it has documents of several sources. Each source has at least one unit if it has two: the one of the least
    hash that is not huge (then the smallest) and leaves every source something to train on. A source with the fraction
    0 asks for none, and has in validation only what is in a unit of another's.
    """
    if max(fractions, default=0.0) <= 0 or not len(units):
        return np.zeros(len(units), dtype=bool)
    n_sources = len(names)
    shares, counts = np.unique(units * n_sources + sources, return_counts=True)
    books = _Books(shares // n_sources, shares % n_sources, counts, hashes, n_sources)
    limits = np.array([min(int(fraction * 2**64), 2**64 - 1) for fraction in fractions], dtype=np.uint64)
    limit = np.zeros(len(hashes), dtype=np.uint64)
    np.maximum.at(limit, shares // n_sources, limits[shares % n_sources])
    books.taken = hashes < limit
    in_order = sorted(range(n_sources), key=lambda source: names[source])
    for source in in_order:
        books.leave_something(source)
    for source in in_order:
        if fractions[source] > 0:
            books.take_one(source)
    return books.taken[units]


class _Books:
    """How many documents of each source each unit holds, and which units are taken."""

    def __init__(
        self,
        units: Positions,
        sources: Positions,
        counts: npt.NDArray[np.int64],
        hashes: Hashes,
        n_sources: int,
    ) -> None:
        self.units, self.sources, self.counts, self.hashes = units, sources, counts, hashes
        self.sizes = np.bincount(sources, weights=counts, minlength=n_sources).astype(np.int64)
        self.taken: Flags = np.zeros(len(hashes), dtype=bool)

    def _left(self) -> npt.NDArray[np.int64]:
        taken = self.taken[self.units]
        gone = np.bincount(self.sources[taken], weights=self.counts[taken], minlength=len(self.sizes))
        left: npt.NDArray[np.int64] = self.sizes - gone.astype(np.int64)
        return left

    def leave_something(self, source: int) -> None:
        """Give the unit with the largest hash back to a source that has nothing left to train on."""
        if self.sizes[source] > 0 and self._left()[source] == 0:
            own = self.units[self.sources == source]
            self.taken[own[np.argmax(self.hashes[own])]] = False

    def take_one(self, source: int) -> None:
        """Take a unit for a source that has none."""
        left = self._left()
        if left[source] != self.sizes[source]:
            return
        own = self.sources == source
        emptied = np.zeros(len(self.hashes), dtype=bool)
        emptied[self.units[left[self.sources] <= self.counts]] = True
        open_ = own & ~emptied[self.units]
        if not open_.any():
            return
        units, counts = self.units[open_], self.counts[open_]
        huge = np.maximum(counts, max(self.sizes[source] // HUGE_SHARE, 1))
        self.taken[units[np.lexsort((self.hashes[units], huge))[0]]] = True
