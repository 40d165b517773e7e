"""Shards read back: memory-mapped, without torch, any row at once.

    >>> shards = open_shards("build/latest/shards")          # doctest: +SKIP
    >>> shards[0].input_ids, shards.sources[shards[0].source]  # doctest: +SKIP

A folder that is unfinished, of another version, or whose files are missing or cut short is refused when opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.errors import BuildError
from manifests.store import Store
from mixing.rows import BATCH_ROWS, Rows, TokenArray, arrange, from_batch

INDEX = "index.json"
VERSION = 1
"""Of `index.json` and the columns; raised when a reader of the old ones would be wrong."""


@dataclass(frozen=True, slots=True)
class Row:
    """One training row; arrays are views of the mapped file."""

    input_ids: TokenArray
    """Sequence length + 1 tokens; inputs are `[:-1]`, targets `[1:]`."""
    source: int
    """Index into `Shards.sources`."""
    doc_ends: npt.NDArray[np.int32]
    doc_key: npt.NDArray[np.uint64]
    continues: bool
    loss_mask: npt.NDArray[np.uint8] | None = None

    @property
    def n_tokens(self) -> int:
        """Stored tokens, padding not counted."""
        return int(self.doc_ends[-1]) if len(self.doc_ends) else 0


class Shards:
    """All rows of a folder, in file order, which is the training order of epoch 0."""

    def __init__(self, folder: Path, index: dict[str, Any]) -> None:
        self.folder, self.index = folder, index
        self.sources: list[str] = index["sources"]
        self.sequence_length: int = index["sequence_length"]
        self.row_tokens: int = index["row_tokens"]
        self.dtype = np.dtype(index["dtype"])
        self.restricted: bool = index["restricted"]
        self.window_rows: int = index["window_rows"]
        self._ends = np.cumsum([0] + [shard["rows"] for shard in index["shards"]])
        self._batches: dict[int, list[Rows]] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, i: int) -> Row:
        if not -len(self) <= i < len(self):
            raise IndexError(f"row {i} of {len(self)}")
        number, inside = self._place(i % len(self))
        batch, at = divmod(inside, BATCH_ROWS)
        return _row(self._shard(number)[batch], at)

    def __iter__(self) -> Iterator[Row]:
        for number in range(self.n_shards):
            yield from self.shard(number)

    @property
    def n_shards(self) -> int:
        return len(self.index["shards"])

    def shard(self, number: int) -> Iterator[Row]:
        """The rows of one file."""
        for batch in self._shard(number):
            for at in range(len(batch)):
                yield _row(batch, at)

    def batches(self, number: int) -> list[Rows]:
        """The record batches of one file, as views."""
        return self._shard(number)

    def take(self, rows: npt.ArrayLike) -> Rows:
        """The rows at these numbers (0 to len - 1), in that order, copied; at least one."""
        wanted = np.asarray(rows, dtype=np.int64)
        number = np.searchsorted(self._ends, wanted, side="right") - 1
        inside = wanted - self._ends[number]
        batch = inside // BATCH_ROWS
        order = np.lexsort((batch, number))
        changes = (np.diff(number[order]) != 0) | (np.diff(batch[order]) != 0)
        runs = np.split(order, np.flatnonzero(changes) + 1)
        return arrange([(self._shard(int(number[r[0]]))[int(batch[r[0]])], inside[r] % BATCH_ROWS, r) for r in runs])

    def _place(self, i: int) -> tuple[int, int]:
        number = int(np.searchsorted(self._ends, i, side="right")) - 1
        return number, int(i - self._ends[number])

    def _shard(self, number: int) -> list[Rows]:
        if number not in self._batches:
            path = self.folder / self.index["shards"][number]["file"]
            try:
                with pa.ipc.open_stream(pa.memory_map(str(path))) as stream:
                    self._batches[number] = [from_batch(batch) for batch in stream]
            except pa.ArrowInvalid:
                raise _unusable(path, "is not an Arrow stream, or is damaged") from None
        return self._batches[number]


def open_shards(path: str | Path | Store) -> Shards:
    """The shards in the local folder `path`; BuildError if they are not whole or not of a version known here."""
    folder = path.local() if isinstance(path, Store) else Path(path)
    try:
        index = json.loads((folder / INDEX).read_bytes())
    except (OSError, json.JSONDecodeError, UnicodeDecodeError):
        raise BuildError(
            f"no readable {INDEX} here.",
            where=str(folder),
            why="It is written last, so this folder is unfinished, or is no folder of shards.",
            fix="Run `medtrove build` to its end, or give the folder that holds it.",
        ) from None
    version = index.get("version") if isinstance(index, dict) else None
    if version != VERSION:
        raise BuildError(
            f"shards of version {version!r}; this medtrove reads version {VERSION}.",
            where=str(folder / INDEX),
            why="Columns may mean something else.",
            fix="Use the medtrove that wrote them, or build them again.",
        )
    for record in index["shards"]:
        file = folder / record["file"]
        if not file.is_file():
            raise _unusable(file, f"is missing ({record['rows']:,} rows)")
        size = file.stat().st_size
        if size != record["bytes"]:
            raise _unusable(file, f"has {size:,} bytes, and {INDEX} says {record['bytes']:,}")
    return Shards(folder, index)


def _row(batch: Rows, at: int) -> Row:
    assert batch.source is not None, "rows of a shard name their source"
    begin, end = int(batch.offsets[at]), int(batch.offsets[at + 1])
    return Row(
        input_ids=batch.input_ids[at],
        source=int(batch.source[at]),
        doc_ends=batch.doc_ends[begin:end],
        doc_key=batch.doc_key[begin:end],
        continues=bool(batch.continues[at]),
        loss_mask=None if batch.loss_mask is None else batch.loss_mask[at],
    )


def _unusable(file: Path, what: str) -> BuildError:
    return BuildError(
        f"the shard {what}.",
        where=str(file),
        why="Training on part of a corpus would not be the mixture its index states.",
        fix="Copy the folder again, or rebuild: `medtrove build` writes missing shards alone.",
    )
