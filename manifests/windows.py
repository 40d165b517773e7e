"""How far any window of the shards is from the schedule that the recipe asks for, and how far it may be.

A source uses its rows as the shares of its stages say: at progress p of the corpus, the part F(p) of them, F being the
integral of its share from 0 to p, divided by the integral to 1. The shares here are taken from their definition, stage
by stage, without the curves that order the rows. Deviations are in rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

ANNEAL_PIECES = 256
"""A linear change of shares is followed by so many straight pieces of a curve."""

_FINE = 16
"""The recount looks at so many points inside each of them."""


class Expectation:
    """The rows of every source that should lie before any position.

    `stages` are those of a resolved recipe, none for constant shares; `part_of` names each source's part in them.
    """

    def __init__(
        self, row_counts: Sequence[int], part_of: Sequence[str], stages: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self.counts = np.asarray(row_counts, dtype=np.float64)
        self.n_rows = int(sum(row_counts))
        self._n_sources = sum(1 for n in row_counts if n)
        progress, used = _used(stages) if stages else (np.array([0.0, 1.0]), {})
        line = np.array([0.0, 1.0]) if not stages else progress
        self._rows: FloatArray = np.stack(
            [n * used.get(part, line) for n, part in zip(self.counts, part_of, strict=True)], axis=1
        ) if len(row_counts) else np.zeros((2, 0))  # fmt: skip
        self._positions: FloatArray = self._rows.sum(axis=1)
        self._annealed = any(stage.get("anneal") for stage in stages)

    def __call__(self, positions: npt.ArrayLike) -> FloatArray:
        """Expected rows of each source (columns) before each of `positions` (rows)."""
        wanted = np.asarray(positions, dtype=np.float64)
        columns = [np.interp(wanted, self._positions, self._rows[:, s]) for s in range(len(self.counts))]
        return np.stack(columns, axis=1) if columns else np.zeros((len(wanted), 0))

    def bounds(self, window: int) -> FloatArray:
        """Rows by which a window of so many rows may miss each source's part of it.

        1 + share * (sources - 2), `share` being the largest that the source has anywhere: what remains of rounding
        every source to whole rows. Where shares change linearly, `window` times the most that the share changes
        along one straight piece of the curve.
        """
        steps, rows = np.diff(self._positions), np.diff(self._rows, axis=0)
        wide = steps > 0
        shares = rows[wide] / steps[wide][:, None] if wide.any() else np.zeros((1, len(self.counts)))
        bounds = 1.0 + shares.max(axis=0) * max(0, self._n_sources - 2)
        if self._annealed:
            # The change inside one piece: between the first and the last of its fine steps, a step more at each end.
            whole = np.zeros((len(steps), len(self.counts)))
            whole[wide] = shares
            for start in range(0, len(steps), _FINE):
                piece = whole[start : start + _FINE]
                change = (piece.max(axis=0) - piece.min(axis=0)) * (_FINE / (_FINE - 1))
                bounds = np.maximum(bounds, 1.0 + shares.max(axis=0) * max(0, self._n_sources - 2) + window * change)
        result: FloatArray = np.where(self.counts > 0, bounds, 0.0)
        return result


class WindowDeviations:
    """The largest deviation of any window of up to `window` rows, fed with the sources of consecutive rows."""

    def __init__(self, expected: Expectation, window: int, *, first: int = 0) -> None:
        self.expected = expected
        self.window = window
        n = len(expected.counts)
        self._position = first
        self._seen = np.zeros(n)
        # Deviations of the cumulated rows at the last `window` positions: a window is a pair of positions.
        self._last: FloatArray = -expected([first]) if n else np.zeros((1, 0))
        self.largest = np.zeros(n)

    def add(self, sources: npt.NDArray[Any]) -> None:
        """Take the sources, by number, of the next rows."""
        n = len(self.expected.counts)
        if not len(sources) or not n:
            return
        hits = np.cumsum(sources[:, None] == np.arange(n)[None, :], axis=0) + self._seen
        positions = self._position + 1 + np.arange(len(sources))
        together = np.concatenate((self._last, hits - self.expected(positions)))
        span = min(self.window + 1, len(together))
        highest, lowest = _sliding_max(together, span), -_sliding_max(-together, span)
        self.largest = np.maximum(self.largest, (highest - lowest).max(axis=0))
        self._seen = hits[-1].astype(np.float64)
        self._position += len(sources)
        self._last = together[-self.window :]


def _sliding_max(values: FloatArray, span: int) -> FloatArray:
    """The largest of every `span` rows on end, by running maxima from both ends of blocks of that many."""
    n, columns = values.shape
    filled = np.full((-(-n // span) * span, columns), -np.inf)
    filled[:n] = values
    blocks = filled.reshape(-1, span, columns)
    forward = np.maximum.accumulate(blocks, axis=1).reshape(-1, columns)
    backward = np.maximum.accumulate(blocks[:, ::-1], axis=1)[:, ::-1].reshape(-1, columns)
    result: FloatArray = np.maximum(backward[: n - span + 1], forward[span - 1 : n])
    return result


def _used(stages: Sequence[Mapping[str, Any]]) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Points of progress, and the part of each part's rows that is used at them."""
    names = list(stages[0]["shares"])
    progress = [np.zeros(1)]
    density: dict[str, list[FloatArray]] = {name: [] for name in names}
    begin = 0.0
    before: dict[str, float] | None = None
    for stage in stages:
        total = float(sum(stage["shares"].values()))
        after = {name: stage["shares"][name] / total for name in names}
        pieces = ANNEAL_PIECES * _FINE if stage.get("anneal") else _FINE
        edges = begin + (float(stage["until"]) - begin) * np.arange(1, pieces + 1) / pieces
        progress.append(edges)
        for name in names:
            start = before[name] if stage.get("anneal") and before is not None else after[name]
            # The mean share of each step is the share at its middle, constant or linear.
            middle = (np.arange(pieces) + 0.5) / pieces
            width = (float(stage["until"]) - begin) / pieces
            density[name].append((start + (after[name] - start) * middle) * width)
        begin, before = float(stage["until"]), after
    used = {}
    for name in names:
        rising = np.concatenate([np.zeros(1), np.cumsum(np.concatenate(density[name]))])
        used[name] = rising / rising[-1] if rising[-1] > 0 else rising
    return np.concatenate(progress), used
