"""Sorted part files into one sorted stream of tables, in constant memory.

Every task leaves rows sorted by the table's key. Parts are read batch by batch; whatever lies below the least key
that may still come is sorted and handed on. Part files that are not sorted are an error that names the file.
"""

from __future__ import annotations

import bisect
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.errors import BuildError
from manifests.store import Store
from manifests.write import writing_table

ROWS_IN_MEMORY = 200_000
"""Rows of all open parts together; each part holds at least `LEAST_BATCH` of them."""
LEAST_BATCH = 1024
FAN_IN = 64
"""Parts read at the same time, about 10 MB of pages each; more are first merged in groups, in a temporary folder."""


@dataclass(frozen=True, slots=True)
class PartFile:
    """A sorted Parquet file that a task left."""

    store: Store
    path: str
    skip: frozenset[str] = frozenset()
    """doc_ids whose rows of this part never enter the books: second records of an id."""

    def __str__(self) -> str:
        return f"{self.store.url}/{self.path}"


class _Open:
    """A part being read: a buffer of rows not yet handed on, and their keys."""

    def __init__(self, part: PartFile, schema: pa.Schema, keys: Sequence[str], batch_rows: int) -> None:
        self.part, self.schema, self.keys = part, schema, keys
        self._stream = part.store.reading(part.path)
        try:
            file = pq.ParquetFile(self._stream, buffer_size=1 << 16)
            missing = [name for name in schema.names if name not in file.schema_arrow.names]
        except pa.ArrowInvalid:
            raise _unusable(part, "is not a Parquet file, or is cut short") from None
        if missing:
            raise _unusable(part, f"has no column {missing[0]!r}")
        self._batches = file.iter_batches(batch_size=batch_rows, columns=schema.names)
        self._skip = pa.array(sorted(part.skip)) if part.skip else None
        self.rows: pa.Table = schema.empty_table()
        self.key: pa.Array = merge_key(self.rows, keys)
        self.finished = False
        self.fill()

    @property
    def first(self) -> Any:
        return self.key[0].as_py() if len(self.key) else None

    @property
    def last(self) -> Any:
        return self.key[-1].as_py()

    def fill(self) -> None:
        """Append the next batch to the buffer, or note that there is none."""
        for batch in self._batches:
            more = pa.Table.from_batches([batch]).select(self.schema.names).cast(self.schema)
            if self._skip is not None:
                more = more.filter(pc.invert(pc.is_in(more.column("doc_id"), value_set=self._skip)))
            if len(more):
                break
        else:
            self.finished = True
            self.close()
            return
        key = merge_key(more, self.keys)
        ordered = pc.all(pc.less_equal(key[:-1], key[1:])).as_py() if len(key) > 1 else True
        if not ordered or (len(self.key) and key[0].as_py() < self.last):
            raise _unusable(self.part, f"is not sorted by {', '.join(self.keys)}")
        self.rows = pa.concat_tables([self.rows, more])
        self.key = pa.concat_arrays([self.key, key])

    def close(self) -> None:
        self._stream.close()

    def below(self, bound: Any) -> pa.Table:
        """Take the rows whose key is below `bound`; all, if it is None."""
        n = len(self.key) if bound is None else bisect.bisect_left(_Keys(self.key), bound)
        taken, self.rows, self.key = self.rows.slice(0, n), self.rows.slice(n), self.key[n:]
        return taken


class _Keys(Sequence[Any]):
    """An Arrow array as `bisect` wants it."""

    def __init__(self, array: pa.Array) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: Any) -> Any:
        return self._array[index].as_py()


def merge_key(rows: pa.Table, keys: Sequence[str]) -> pa.Array:
    """One comparable value per row that orders as `keys` do, or as the first of them."""
    columns = [rows.column(name).combine_chunks() for name in keys]
    if len(columns) == 1:
        key = columns[0]
    elif all(pa.types.is_string(column.type) for column in columns):
        # No id holds a NUL, and it sorts before everything: the joined strings order as the pairs do.
        key = pc.binary_join_element_wise(*columns, "\0")
    else:
        high, low = (pc.cast(column, pa.int64()) for column in columns[:2])
        key = pc.add(pc.shift_left(high, 32), low)
    return key.combine_chunks() if isinstance(key, pa.ChunkedArray) else key


def merged(
    parts: Sequence[PartFile], schema: pa.Schema, *, sort: Sequence[str], key: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Tables of the rows of all parts in the order of `sort`; rows of one `key` are never in two tables.

    `key` is the prefix of `sort` that the merge goes by (by default all of it): strings, or two columns of int32.
    """
    keys = tuple(sort if key is None else key)
    if len(parts) <= FAN_IN:
        yield from _merged(parts, schema, sort, keys)
        return
    size = -(-len(parts) // FAN_IN)
    with tempfile.TemporaryDirectory() as folder:
        groups = [PartFile(Store(folder), f"{number}.parquet") for number in range(-(-len(parts) // size))]
        for number, group in enumerate(groups):
            with writing_table(group.store, group.path, schema) as writer:
                for rows in merged(parts[number * size : (number + 1) * size], schema, sort=sort, key=keys):
                    writer.add(rows)
        yield from _merged(groups, schema, sort, keys)


def _merged(
    parts: Sequence[PartFile], schema: pa.Schema, sort: Sequence[str], keys: Sequence[str]
) -> Iterator[pa.Table]:
    batch_rows = max(LEAST_BATCH, min(65_536, ROWS_IN_MEMORY // max(1, len(parts))))
    waiting = sorted(
        ((first, number) for number, part in enumerate(parts) if (first := _first_key(part, schema, keys)) is not None),
        reverse=True,
    )
    reading: list[_Open] = []

    def least_to_come() -> Any:
        return min((one.last for one in reading if not one.finished), default=None)

    while reading or waiting:
        bound = least_to_come()
        while waiting and (bound is None or waiting[-1][0] <= bound):
            reading.append(_Open(parts[waiting.pop()[1]], schema, keys, batch_rows))
            bound = least_to_come()
        if waiting:
            bound = waiting[-1][0] if bound is None else min(bound, waiting[-1][0])
        taken = [rows for one in reading if len(rows := one.below(bound))]
        if taken:
            yield pa.concat_tables(taken).sort_by([(name, "ascending") for name in sort])
        for one in reading:
            if not one.finished and (not len(one.key) or one.last == bound):
                one.fill()
        reading = [one for one in reading if not one.finished or len(one.key)]


class Follower:
    """Another sorted table, read alongside: asked for keys in ascending order."""

    def __init__(self, parts: Sequence[PartFile], schema: pa.Schema, key: str) -> None:
        self._tables = merged(parts, schema, sort=[key])
        self._key = key
        self._rows: pa.Table = schema.empty_table()

    def upto(self, key: Any) -> pa.Table:
        """The rows not yet given whose key is at most `key`; all that are left, if it is None."""
        while key is None or not len(self._rows) or self._rows.column(self._key)[-1].as_py() <= key:
            more = next(self._tables, None)
            if more is None:
                break
            self._rows = pa.concat_tables([self._rows, more])
        n = len(self._rows)
        if key is not None and n:
            n = bisect.bisect_right(_Keys(self._rows.column(self._key).combine_chunks()), key)
        taken, self._rows = self._rows.slice(0, n), self._rows.slice(n)
        return taken


def _first_key(part: PartFile, schema: pa.Schema, keys: Sequence[str]) -> Any:
    """Key of the part's first row; None if it has none."""
    only = pa.schema([schema.field(name) for name in keys])
    opened = _Open(part, only, keys, 1)
    opened.close()
    return opened.first


def _unusable(part: PartFile, what: str) -> BuildError:
    return BuildError(
        f"a part of the manifest {what}.",
        where=str(part),
        why="The manifest is merged from complete, sorted parts only.",
        fix="Remove the stage's folder and build again; other stages are not repeated.",
    )
