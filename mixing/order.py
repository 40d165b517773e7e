"""In which order a source's rows are used, and in which order later epochs read the shards.

Both are pure functions of a seed, computed for any position alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mixing.permute import permute, seed_of

Int64Array = npt.NDArray[np.int64]

WINDOW_TOKENS = 1 << 20
"""Tokens of one window of `epoch_order`: within it rows are permuted, and the windows among each other."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where rows of a source come from: parallel arrays."""

    pass_number: Int64Array
    block: Int64Array
    row: Int64Array


class SourceOrder:
    """The rows of one source: pass after pass, blocks permuted in each pass and rows permuted in each block.

    `passes[p][b]` is the number of rows of block b in pass p.
    """

    def __init__(self, passes: Sequence[Sequence[int]], source: str, seed: int) -> None:
        self._source, self._seed = source, seed
        pass_of, block_of, rows_of = [], [], []
        for number, counts in enumerate(passes):
            order = permute(np.arange(len(counts)), len(counts), seed_of(seed, source, number))
            pass_of.append(np.full(len(counts), number))
            block_of.append(order)
            rows_of.append(np.asarray(counts, dtype=np.int64)[order])
        self._pass = np.concatenate([np.zeros(0, dtype=np.int64), *pass_of])
        self._block = np.concatenate([np.zeros(0, dtype=np.int64), *block_of])
        self._rows = np.concatenate([np.zeros(0, dtype=np.int64), *rows_of])
        self._ends = np.cumsum(self._rows)
        self.n_rows = int(self._rows.sum())

    def locate(self, k: npt.ArrayLike) -> Placed:
        """Pass, block and row inside the block of the k-th rows."""
        wanted = np.asarray(k, dtype=np.int64)
        run = np.searchsorted(self._ends, wanted, side="right")
        inside = wanted - (self._ends[run] - self._rows[run])
        row = np.empty_like(wanted)
        for number in np.unique(run).tolist():
            here = run == number
            seed = seed_of(self._seed, self._source, int(self._pass[number]), int(self._block[number]))
            row[here] = permute(inside[here], int(self._rows[number]), seed)
        return Placed(self._pass[run], self._block[run], row)


def window_rows(row_tokens: int) -> int:
    """Rows of one window for rows of this length."""
    return max(1, WINDOW_TOKENS // row_tokens)


class EpochOrder:
    """Reading order of one epoch: epoch 0 is file order, later ones permute windows, and rows within windows.

    An aligned window holds the same rows in every epoch, so what the schedule promises of it holds in all of them.
    """

    def __init__(self, n_rows: int, seed: int, epoch: int, window: int) -> None:
        assert window > 0, "a window holds at least one row"
        self.n_rows, self._seed, self._epoch, self._window = n_rows, seed, epoch, window
        self._n_windows = -(-n_rows // window)
        self._last_rows = n_rows - (self._n_windows - 1) * window
        # The last window is shorter; windows read after it begin earlier by what it lacks.
        windows = np.arange(self._n_windows)
        self._short_at = self._n_windows
        if epoch and self._n_windows:
            placed = permute(windows, self._n_windows, seed_of(seed, "windows", epoch))
            self._short_at = int(np.flatnonzero(placed == self._n_windows - 1)[0])

    def __len__(self) -> int:
        return self.n_rows

    def __getitem__(self, position: int) -> int:
        """The row read at `position`."""
        return int(self.rows(np.asarray([position]))[0])

    def rows(self, positions: npt.ArrayLike) -> Int64Array:
        """The rows read at `positions`."""
        wanted = np.asarray(positions, dtype=np.int64)
        if not self._epoch:
            return wanted.copy()
        lacking = self._window - self._last_rows
        after_short = wanted >= self._short_at * self._window + self._last_rows
        shifted = wanted + np.where(after_short, lacking, 0)
        place, inside = np.divmod(shifted, self._window)
        window = permute(place, self._n_windows, seed_of(self._seed, "windows", self._epoch))
        result = np.empty_like(wanted)
        for number in np.unique(window).tolist():
            here = window == number
            rows = self._last_rows if number == self._n_windows - 1 else self._window
            seed = seed_of(self._seed, "window", self._epoch, number)
            result[here] = number * self._window + permute(inside[here], rows, seed)
        return result


def epoch_order(n_rows: int, seed: int, epoch: int, window: int) -> EpochOrder:
    """The reading order of `epoch`; the same for every world size, batch size and number of workers."""
    return EpochOrder(n_rows, seed, epoch, window)
