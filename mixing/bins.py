"""Documents that fit a row, into as few rows as can be found: bin packing over whole numbers of tokens.

Three quick ways are tried and the best kept. Best-fit decreasing is the safe one. The two others fill one row at a
time and finish it exactly, with one, two or three documents whose lengths make up the room; a set of lengths that
worked is used again as often as the documents allow. Sets of lengths are bits of one integer, so "which two lengths
make 731" is a shift and an AND.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]

_SLACK_TRIED = 8
"""A row that no pair fills exactly is filled to within this many tokens, if a pair does."""
_THIRDS_TRIED = 16
"""Lengths just below a third of the room that are tried as the smallest of three. More of them gained nothing on
thirteen distributions of lengths."""


def fewest_bins(sizes: Int64Array, room: int) -> tuple[Int64Array, Int64Array]:
    """Bin of each size (all between 1 and `room`), and what each bin holds; bins are numbered from 0."""
    if not len(sizes):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    least = least_bins(sizes, room)
    best: tuple[Int64Array, Int64Array] | None = None
    for triples in (True, False, None):
        found = best_fit_decreasing(sizes, room) if triples is None else exact_fill(sizes, room, triples=triples)
        if best is None or len(found[1]) < len(best[1]):
            best = found
        if len(best[1]) == least:
            break
    assert best is not None, "at least one way was tried"
    return best


def least_bins(sizes: Int64Array, room: int) -> int:
    """Bins that no packing can do without: the largest of three bounds."""
    if not len(sizes):
        return 0
    ascending = np.sort(sizes)
    n = len(ascending)
    totals = np.concatenate(([0], np.cumsum(ascending)))
    by_sum = -(-int(totals[-1]) // room)
    # Martello and Toth's L2. For a threshold t: sizes over room - t stand alone, those over room / 2 do not pair up,
    # and those in [t, room / 2] first fill what these leave.
    t = np.unique(np.concatenate(([0], ascending[ascending <= room // 2])))
    half = int(np.searchsorted(ascending, room // 2, side="right"))
    alone = np.maximum(np.searchsorted(ascending, room - t, side="right"), half)
    free = (alone - half) * room - (totals[alone] - totals[half])
    rest = np.maximum(0, totals[half] - totals[np.searchsorted(ascending, t, side="left")] - free)
    by_halves = n - half + int((-(-rest // room)).max())
    # Bins of k and more documents hold sizes whose mean is at most room / k: at most the `many` smallest.
    means = totals[1:] / np.arange(1, n + 1)
    k = np.arange(2, room // int(ascending[0]) + 2)
    many = np.searchsorted(means, room / k, side="right")
    by_count = int(np.ceil(n - float((many / (k * (k - 1))).sum()) - 1e-6))
    return max(by_sum, by_halves, by_count)


def best_fit_decreasing(sizes: Int64Array, room: int) -> tuple[Int64Array, Int64Array]:
    """Each size, largest first, into the fullest bin that takes it.

    Equal sizes are placed together: the fullest bin that takes one of them is, after that, again the fullest that
    takes the next, so it is filled at once. Steps are pairs (size, room left), not documents.
    """
    bin_of = np.zeros(len(sizes), dtype=np.int64)
    held: list[int] = []
    with_left: defaultdict[int, list[int]] = defaultdict(list)
    lefts = 0  # bit r set: some bin has r tokens left
    for size, waiting in _by_size(sizes):
        while len(waiting):
            above = lefts >> size
            if above:
                left = size + (above & -above).bit_length() - 1
                bins = with_left[left]
            else:
                left = room
                bins = list(range(len(held), len(held) - (-len(waiting) // (room // size))))
                held.extend([0] * len(bins))
            fit = left // size
            taken = min(len(bins), -(-len(waiting) // fit))
            chosen = bins[:taken]
            del bins[:taken]
            if not bins:
                lefts &= ~(1 << left)
            placed = waiting[: taken * fit]
            bin_of[placed] = np.repeat(chosen, fit)[: len(placed)]
            counts = [fit] * taken
            counts[-1] = len(placed) - fit * (taken - 1)
            for number, count in zip(chosen, counts, strict=True):
                rest = left - count * size
                held[number] = room - rest
                if rest:
                    with_left[rest].append(number)
                    lefts |= 1 << rest
            waiting = waiting[taken * fit :]
    return bin_of, np.asarray(held, dtype=np.int64)


def exact_fill(sizes: Int64Array, room: int, *, triples: bool) -> tuple[Int64Array, Int64Array]:
    """One bin at a time: the largest size, then sizes that make up the rest exactly, where there are such."""
    waiting = dict(_by_size(sizes))
    stock = _Stock({size: len(documents) for size, documents in waiting.items()}, room)
    bin_of = np.zeros(len(sizes), dtype=np.int64)
    held: list[int] = []
    while stock.sizes:
        pattern = stock.pattern(triples=triples)
        times = stock.use(pattern)
        numbers = np.arange(len(held), len(held) + times)
        for size, count in pattern.items():
            bin_of[waiting[size][: times * count]] = np.repeat(numbers, count)
            waiting[size] = waiting[size][times * count :]
        held.extend([sum(size * count for size, count in pattern.items())] * times)
    return bin_of, np.asarray(held, dtype=np.int64)


class _Stock:
    """Documents left, by size: counts, and the sizes as bits, rising (`sizes`) and falling (`_falling`)."""

    def __init__(self, counts: dict[int, int], room: int) -> None:
        self._room = room
        self._counts = counts
        self.sizes = sum(1 << size for size in counts)
        self._falling = sum(1 << (room - size) for size in counts)
        self._used: dict[int, int] = {}

    def pattern(self, *, triples: bool) -> dict[int, int]:
        """Sizes of one well-filled bin, with the number of each; taken out until `use` books them."""
        self._used = {}
        left = self._room - self._take(self.sizes.bit_length() - 1)
        while fitting := self.sizes & ((2 << left) - 1):
            largest, top = fitting.bit_length() - 1, self.sizes.bit_length() - 1
            if largest == left:
                self._take(left)
                break
            found = self._pair(left) if left <= 2 * top else ()
            if not found and triples and left <= 3 * top:
                found = self._triple(left)
            if not found and left <= 2 * top:
                slacks = range(1, min(_SLACK_TRIED, left - largest - 1) + 1)
                found = next((pair for slack in slacks if (pair := self._pair(left - slack))), ())
            for size in found or (largest,):
                left -= self._take(size)
        return self._used

    def use(self, pattern: dict[int, int]) -> int:
        """Book `pattern` as often as the documents allow, and say how often that is."""
        times = min(self._counts[size] // count for size, count in pattern.items())
        for size, count in pattern.items():
            self._counts[size] -= times * count
            self._show(size, there=self._counts[size] > 0)
        return times

    def _left(self, size: int) -> int:
        return self._counts[size] - self._used.get(size, 0)

    def _take(self, size: int) -> int:
        self._used[size] = self._used.get(size, 0) + 1
        if not self._left(size):
            self._show(size, there=False)
        return size

    def _show(self, size: int, *, there: bool) -> None:
        bit, falling = 1 << size, 1 << (self._room - size)
        self.sizes = self.sizes | bit if there else self.sizes & ~bit
        self._falling = self._falling | falling if there else self._falling & ~falling

    def _pair(self, total: int) -> tuple[int, ...]:
        """Two sizes that make `total`, as equal as can be: the small and the large ones are worth keeping."""
        if total < 2:
            return ()
        half = (total + 1) // 2
        larger = (self.sizes & (self._falling >> (self._room - total))) >> half
        if larger & 1 and total % 2 == 0 and self._left(half) < 2:
            larger &= ~1
        if not larger:
            return ()
        size = half + (larger & -larger).bit_length() - 1
        return size, total - size

    def _triple(self, total: int) -> tuple[int, ...]:
        smaller = self.sizes & ((2 << (total // 3)) - 1)
        for _ in range(_THIRDS_TRIED):
            if not smaller:
                break
            third = smaller.bit_length() - 1
            smaller ^= 1 << third
            pair = self._pair(total - third)
            if pair and self._left(third) > pair.count(third):
                return (third, *pair)
        return ()


def _by_size(sizes: Int64Array) -> list[tuple[int, Int64Array]]:
    """(size, indices in order), largest size first."""
    order = np.argsort(-sizes, kind="stable")
    values, first = np.unique(-sizes[order], return_index=True)
    return [(-int(value), part) for value, part in zip(values, np.split(order, first[1:]), strict=True)]
