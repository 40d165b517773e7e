"""Shards read back: memory-mapped, without torch, any row at once, in the order of any epoch.

    >>> shards = open_shards("build/latest/shards")                    # doctest: +SKIP
    >>> shards[0].input_ids, shards.sources[shards[0].source]          # doctest: +SKIP
    >>> for tokens in shards.read(8, epoch=1, seed=7, start_row=640):  # doctest: +SKIP
    ...     ...  # int64 [8, sequence length + 1]; state of the run: the rows had so far

A folder that is unfinished, foreign, of another version, or whose files are missing or cut short is refused when
opened; a file that is no shard of it, when first read. `Shards.verify` compares every byte with the index.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.errors import BuildError
from manifests.store import Store
from mixing.order import EpochOrder, epoch_order
from mixing.rows import BATCH_ROWS, REMOVED_KEY, Pick, Rows, TokenArray, arrange, from_batch, row_schema

INDEX = "index.json"
VERSION = 1
"""Of `index.json` and the columns; raised when a reader of the old ones would be wrong."""

_KEYS = {"dtype", "loss_mask", "restricted", "row_tokens", "sequence_length", "shards", "sources", "totals"}
_VIEWS = 1024
"""Record batches kept as views, about 10 kB each."""

Int64Array = npt.NDArray[np.int64]


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
        """Stored tokens: neither padding nor what a takedown has removed."""
        lengths = np.diff(self.doc_ends, prepend=0)
        return int(lengths[self.doc_key != REMOVED_KEY].sum())


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
        self._files: dict[int, list[pa.RecordBatch]] = {}
        self._views: dict[tuple[int, int], Rows] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    @overload
    def __getitem__(self, i: int) -> Row: ...
    @overload
    def __getitem__(self, i: slice) -> Rows: ...
    def __getitem__(self, i: int | slice) -> Row | Rows:
        """One row as views, or a slice of rows, copied; an empty slice is an IndexError."""
        if isinstance(i, slice):
            return self.rows(np.arange(*i.indices(len(self))))
        if not -len(self) <= i < len(self):
            raise IndexError(f"row {i} of {len(self)}")
        number, inside = self.place(i % len(self))
        batch, at = divmod(inside, BATCH_ROWS)
        return _row(self._batch(number, batch), at)

    def __iter__(self) -> Iterator[Row]:
        for number in range(self.n_shards):
            yield from self.shard(number)

    @property
    def n_shards(self) -> int:
        return len(self.index["shards"])

    def shard(self, number: int) -> Iterator[Row]:
        """The rows of one file."""
        for batch in self.batches(number):
            for at in range(len(batch)):
                yield _row(batch, at)

    def batches(self, number: int) -> Iterator[Rows]:
        """The record batches of one file, as views."""
        return (from_batch(batch) for batch in self._file(number))

    def place(self, i: int) -> tuple[int, int]:
        """The file that holds row i, and the row's number in it."""
        number = int(np.searchsorted(self._ends, i, side="right")) - 1
        return number, int(i - self._ends[number])

    def first_row(self, number: int) -> int:
        """Number of the first row of a file among all rows."""
        return int(self._ends[number])

    def rows(self, indices: npt.ArrayLike) -> Rows:
        """All columns of the rows at these numbers (0 to len - 1), in that order, copied; at least one."""
        n_rows, picks = self._picks(indices)
        if not n_rows:
            raise IndexError("no rows were asked for")
        return arrange(picks)

    def tokens(self, indices: npt.ArrayLike, dtype: npt.DTypeLike = np.int64) -> npt.NDArray[Any]:
        """The tokens of the rows at these numbers alone, as [rows, sequence length + 1] of `dtype`."""
        n_rows, picks = self._picks(indices)
        result = np.empty((n_rows, self.row_tokens), dtype=dtype)
        for rows, at, places in picks:
            if len(at) == n_rows and int(at[-1]) - int(at[0]) == n_rows - 1 and bool((np.diff(at) == 1).all()):
                # Neighbours are cast where they lie; picked rows are copied first.
                result[:] = rows.input_ids[int(at[0]) : int(at[0]) + n_rows]
            else:
                result[places] = rows.input_ids[at]
        return result

    def order(self, epoch: int, seed: int = 0) -> EpochOrder:
        """Which row is read at which position of an epoch; epoch 0 is file order whatever the seed."""
        return epoch_order(len(self), seed, epoch, self.window_rows)

    def read(
        self, rows_per_batch: int, *, epoch: int = 0, seed: int = 0, start_row: int = 0, dtype: npt.DTypeLike = np.int64
    ) -> Iterator[npt.NDArray[Any]]:
        """The tokens of an epoch from position `start_row` on, batch by batch; the last one may be shorter.

        The state of a reader is a row count: `start_row` plus the rows it was given, with any other batch size.
        """
        assert rows_per_batch > 0, "a batch has at least one row"
        order = self.order(epoch, seed)
        # The permutation costs least for many positions at once.
        ahead = rows_per_batch * max(1, self.window_rows // rows_per_batch)
        for begin in range(start_row, len(self), ahead):
            rows = order.rows(np.arange(begin, min(begin + ahead, len(self))))
            for a in range(0, len(rows), rows_per_batch):
                yield self.tokens(rows[a : a + rows_per_batch], dtype)

    def verify(self, part: int = 0, parts: int = 1) -> None:
        """Read every file, or one part of the files, and compare sha256 with the index; BuildError names the first
        that differs.
        """
        for record in self.index["shards"][part::parts]:
            path = self.folder / record["file"]
            with path.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != record["sha256"]:
                    raise _unusable(path, f"is not the one that {INDEX} names: its sha256 differs")

    def _picks(self, indices: npt.ArrayLike) -> tuple[int, list[Pick]]:
        """How many rows are wanted, and by record batch: which of its rows, and their places among the wanted."""
        wanted = np.atleast_1d(np.asarray(indices, dtype=np.int64))
        if len(wanted) and not 0 <= int(wanted.min()) <= int(wanted.max()) < len(self):
            raise IndexError(f"rows {int(wanted.min())} to {int(wanted.max())} of {len(self)}")
        number = np.searchsorted(self._ends, wanted, side="right") - 1
        batch, at = np.divmod(wanted - self._ends[number], BATCH_ROWS)
        order = np.lexsort((batch, number))
        changes = np.flatnonzero((np.diff(number[order]) != 0) | (np.diff(batch[order]) != 0)) + 1
        groups = np.split(order, changes) if len(order) else []
        return len(wanted), [(self._batch(int(number[g[0]]), int(batch[g[0]])), at[g], g) for g in groups]

    def _batch(self, number: int, batch: int) -> Rows:
        found = self._views.get((number, batch))
        if found is None:
            if len(self._views) >= _VIEWS:
                self._views.clear()
            found = self._views[number, batch] = from_batch(self._file(number)[batch])
        return found

    def _file(self, number: int) -> list[pa.RecordBatch]:
        """The record batches of one file: its metadata is walked through, its rows are not touched."""
        if number not in self._files:
            record = self.index["shards"][number]
            path = self.folder / record["file"]
            try:
                # Not Arrow's own memory map: it asks the system for every batch it walks over, that is for all the
                # file (`MemoryMappedFile::ReadAt` advises WILLNEED; 1 GB read for the first batch of 8 rows).
                with path.open("rb") as file:
                    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                # Nor the system's reading ahead, up to 8 MB around each of the headers.
                mapped.madvise(mmap.MADV_RANDOM)
                with pa.ipc.open_stream(pa.py_buffer(mapped)) as stream:
                    schema, batches = stream.schema.remove_metadata(), list(stream)
                mapped.madvise(mmap.MADV_NORMAL)
            except (pa.ArrowInvalid, OSError, ValueError):
                raise _unusable(path, "is not an Arrow stream, or is damaged") from None
            expected = row_schema(self.row_tokens, self.dtype, source=True, loss_mask=self.index["loss_mask"])
            if schema != expected:
                raise _unusable(path, f"is of another corpus: its columns are not those of {INDEX}")
            sizes = [batch.num_rows for batch in batches]
            if sum(sizes) != record["rows"] or any(size != BATCH_ROWS for size in sizes[:-1]):
                raise _unusable(path, f"has {sum(sizes):,} rows in {len(sizes):,} batches, and {INDEX} says otherwise")
            self._files[number] = batches
        return self._files[number]


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
    keys = index.keys() if isinstance(index, dict) else set()
    # A later version may have other keys, but it has these two.
    if not keys >= {"version", "row_tokens"} or (index["version"] == VERSION and not keys >= _KEYS):
        raise BuildError(
            f"this {INDEX} is not of medtrove shards.",
            where=str(folder / INDEX),
            why="Other formats name their index so too, MosaicML's MDS among them.",
            fix="Give the folder `shards` of a build.",
        )
    version = index["version"]
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
