"""Which source stands at each position of the shards, in closed form.

Row k of a source with n rows is due at progress (k + 1/2) / n; all rows are ordered by (progress, source). Before
any position the source then has its share of the rows to within 1/2 row plus rounding, whatever the other
sources do:

    in any window of m rows, a source of share w has w*m rows, to within 1 + w * max(0, n_sources - 2).

With a `Curve` a source's rows are spread by that curve instead of evenly (`mixing.stages`). The bound then holds
against that curve, w being the largest share that the source has anywhere; `manifests.windows` has it against the
recipe.
Every task computes the same order alone: only float64 division, multiplication and addition, one operation at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """How far through the corpus a source is when a given part of it has been used: a rising line through points."""

    used: tuple[float, ...] = (0.0, 1.0)
    """Parts of the source, from 0 to 1, rising; one twice where the source rests, and progress jumps."""
    progress: tuple[float, ...] = (0.0, 1.0)
    """Progress through the corpus at each, from 0 to 1, not falling."""

    def __post_init__(self) -> None:
        assert len(self.used) == len(self.progress) >= 2, "one progress for each point"
        assert self.used[0] == 0.0, "a curve begins with nothing used"
        assert self.used[-1] == 1.0, "a curve ends with all used"
        assert all(a <= b for a, b in pairwise(self.used)), "parts used rise"
        assert self.used[0] < self.used[1], "a curve begins with use"
        assert self.used[-2] < self.used[-1], "a curve ends with use"
        assert all(a <= b for a, b in pairwise(self.progress)), "progress does not fall"
        assert 0.0 <= self.progress[0] <= self.progress[-1] <= 1.0, "progress lies between 0 and 1"

    def __call__(self, used: FloatArray) -> FloatArray:
        """Progress at `used`, never falling."""
        x, y = np.asarray(self.used), np.asarray(self.progress)
        segment = np.clip(np.searchsorted(x, used, side="right") - 1, 0, len(x) - 2)
        # Separate operations: a fused multiply-add would round otherwise on some machines.
        along = (used - x[segment]) / (x[segment + 1] - x[segment])
        rise = along * (y[segment + 1] - y[segment])
        result: FloatArray = np.minimum(y[segment] + rise, y[segment + 1])
        return result


class Schedule:
    """The order of all rows of all sources; `row_counts[s]` rows of source s, spread evenly or along `curves[s]`."""

    def __init__(self, row_counts: Sequence[int], curves: Mapping[int, Curve] | None = None) -> None:
        assert all(n >= 0 for n in row_counts), "row counts are counts"
        self.row_counts = np.asarray(row_counts, dtype=np.int64)
        self.curves = dict(curves or {})
        self.n_rows = int(self.row_counts.sum())

    def __len__(self) -> int:
        return self.n_rows

    def slice(self, start: int, stop: int) -> tuple[npt.NDArray[np.uint16], Int64Array]:
        """Source and row-of-that-source at the positions from `start` up to `stop`; memory grows with their number."""
        stop = min(stop, self.n_rows)
        if start >= stop:
            return np.zeros(0, dtype=np.uint16), np.zeros(0, dtype=np.int64)
        first = self._before(self._moment(start, at_most=True))
        past = self._before(self._moment(stop, at_most=False))
        source = np.repeat(np.arange(len(first)), past - first)
        k = np.concatenate([np.arange(a, b) for a, b in zip(first, past, strict=True)])
        order = np.lexsort((source, self._progress(source, k)))
        skip = start - int(first.sum())
        chosen = order[skip : skip + stop - start]
        return source[chosen].astype(np.uint16), k[chosen]

    def _progress(self, source: Int64Array, k: Int64Array) -> FloatArray:
        used: FloatArray = (k + 0.5) / self.row_counts[source]
        for s, curve in self.curves.items():
            mine = source == s
            used[mine] = curve(used[mine])
        return used

    def _before(self, moment: float) -> Int64Array:
        """Rows of each source due before `moment`: bisection on k, with the very values that order the rows."""
        low = np.zeros(len(self.row_counts), dtype=np.int64)
        high = self.row_counts.copy()
        sources = np.arange(len(low))
        while (open_ := low < high).any():
            middle = (low[open_] + high[open_]) // 2
            early = self._progress(sources[open_], middle) < moment
            low[open_] = np.where(early, middle + 1, low[open_])
            high[open_] = np.where(early, high[open_], middle)
        return low

    def _moment(self, position: int, *, at_most: bool) -> float:
        """The latest moment with at most `position` rows before it, or the earliest with at least as many."""
        low, high = 0.0, 2.0  # nothing is due before 0, everything before 2
        while True:
            middle = (low + high) / 2
            if middle in (low, high):
                return low if at_most else high
            count = int(self._before(middle).sum())
            if count == position:
                return middle
            if count < position:
                low = middle
            else:
                high = middle


def window_bound(row_counts: Sequence[int], source: int) -> float:
    """Rows by which any window may differ from the source's share of it, under an even schedule."""
    total = sum(row_counts)
    n_sources = sum(1 for n in row_counts if n)
    return 1.0 + row_counts[source] / total * max(0, n_sources - 2) if total else 0.0
