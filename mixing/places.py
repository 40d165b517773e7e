"""Which row of which packed block stands at a position of the shards, and where a document goes on that is cut.

`index.json` alone says it: its schedule names the rows of every block of every pass. A block lays a document that is
longer than a row in consecutive rows, so two pieces that follow each other there belong together wherever the schedule
has put them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from manifests.errors import BuildError
from mixing.order import SourceOrder
from mixing.reader import INDEX, Shards
from mixing.schedule import Curve, Schedule

Int64Array = npt.NDArray[np.int64]

NOWHERE = -1
"""In place of the next row, where a row's last document ends in it."""


class Places:
    """The rows of the shards by the order in which their blocks hold them: source, pass, block, row laid end to end."""

    def __init__(self, shards: Shards) -> None:
        self.n_rows = len(shards)
        schedule = shards.index["schedule"]
        self._schedule: Schedule | None = None
        if schedule.get("kind") == "by source":
            return
        if "blocks" not in schedule:
            raise BuildError(
                f"{INDEX} does not say how many rows each block had.",
                where=str(shards.folder / INDEX),
                why="Without it the pieces of a document longer than a row cannot be put in order.",
                fix="Run `medtrove build` again: shards written by this medtrove say it.",
            )
        # Not the order in the file, whose keys are sorted: where two sources are due at once, the first has the place.
        names = [name for name in shards.sources if name in schedule["rows"]]
        curves = {
            names.index(name): Curve(tuple(c["used"]), tuple(c["progress"])) for name, c in schedule["curves"].items()
        }
        passes = [[np.asarray(rows, dtype=np.int64) for rows in schedule["blocks"][name]] for name in names]
        self._schedule = Schedule([schedule["rows"][name] for name in names], curves)
        self._orders = [
            SourceOrder([rows.tolist() for rows in one], name, schedule["seed"])
            for name, one in zip(names, passes, strict=True)
        ]
        # Number of the first row of each block of each pass of each source.
        self._first: list[list[Int64Array]] = []
        begin = 0
        for one in passes:
            self._first.append([])
            for rows in one:
                self._first[-1].append(begin + np.cumsum(rows) - rows)
                begin += int(rows.sum())

    def numbers(self, start: int, stop: int) -> Int64Array:
        """The number in block order of each row from `start` up to `stop`."""
        if self._schedule is None:
            return np.arange(start, min(stop, self.n_rows))
        source, k = self._schedule.slice(start, stop)
        result = np.empty(len(k), dtype=np.int64)
        for s in np.unique(source).tolist():
            here = np.flatnonzero(source == s)
            placed = self._orders[s].locate(k[here])
            for pass_number in np.unique(placed.pass_number).tolist():
                mine = placed.pass_number == pass_number
                result[here[mine]] = self._first[s][pass_number][placed.block[mine]] + placed.row[mine]
        return result


def following(shards: Shards) -> Int64Array:
    """For every row the row in which its last document goes on, or `NOWHERE`; 24 bytes a row while it is made."""
    n = len(shards)
    flags = [rows.continues for number in range(shards.n_shards) for rows in shards.batches(number)]
    continues = np.concatenate([np.zeros(0, dtype=bool), *flags])
    result = np.full(n, NOWHERE, dtype=np.int64)
    if not continues.any():
        return result
    places, number = Places(shards), np.empty(n, dtype=np.int64)
    for shard in range(shards.n_shards):
        begin, end = shards.first_row(shard), shards.first_row(shard + 1)
        number[begin:end] = places.numbers(begin, end)
    row_at = np.empty(n, dtype=np.int64)
    row_at[number] = np.arange(n)
    later = np.flatnonzero(continues)
    if not number[later].all():
        raise BuildError(
            f"row {int(later[number[later] == 0][0]):,} continues a document, but no row comes before it in its block.",
            where=str(shards.folder),
            why="The order of the rows is not the one that the index states.",
            fix="Run `medtrove verify`; if it finds the shards damaged, build again.",
        )
    result[row_at[number[later] - 1]] = later
    return result
