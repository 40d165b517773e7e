"""Training rows in memory, and their Arrow form: what blocks and shards have in common.

Columns: `input_ids` (sequence length + 1 tokens), `source` (shards only), `doc_ends` (ends inside the row; the last is
the tokens used), `doc_key` (one per end), `continues`, and `loss_mask` where a corpus has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

TokenArray = npt.NDArray[np.unsignedinteger[Any]]

REMOVED_KEY = 0
"""`doc_key` of a stretch of padding where a document was before a takedown."""

BATCH_ROWS = 1000
"""Rows of one Arrow record batch; `datasets` finds a row by bisecting batches of this size."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows, column by column."""

    input_ids: TokenArray
    """[rows, row tokens]"""
    offsets: npt.NDArray[np.int64]
    """Row i has `doc_ends[offsets[i]:offsets[i + 1]]`, and `doc_key` alike."""
    doc_ends: npt.NDArray[np.int32]
    doc_key: npt.NDArray[np.uint64]
    continues: npt.NDArray[np.bool_]
    source: npt.NDArray[np.uint16] | None = None
    loss_mask: npt.NDArray[np.uint8] | None = None
    """[rows, row tokens]; 1 where the token is learned."""

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def used(self) -> npt.NDArray[np.int64]:
        """Tokens of each row up to its padding: the last of its ends."""
        filled = np.diff(self.offsets) > 0
        used = np.zeros(len(self), dtype=np.int64)
        used[filled] = self.doc_ends[self.offsets[1:][filled] - 1]
        return used

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each document piece, parallel to `doc_ends`."""
        ends = self.doc_ends.astype(np.int64)
        starts = np.concatenate((np.zeros(min(1, len(ends)), dtype=np.int64), ends[:-1]))
        starts[self.offsets[:-1][np.diff(self.offsets) > 0]] = 0
        return ends - starts

    @property
    def tokens(self) -> npt.NDArray[np.int64]:
        """Stored tokens of each row: neither padding nor what a takedown has removed."""
        removed = self.doc_key == REMOVED_KEY
        row = np.repeat(np.arange(len(self)), np.diff(self.offsets))[removed]
        return self.used - np.bincount(row, weights=self.lengths[removed], minlength=len(self)).astype(np.int64)

    def take(self, indices: npt.ArrayLike) -> Rows:
        """The rows at `indices`, copied."""
        index = np.asarray(indices, dtype=np.int64)
        return arrange([(self, index, np.arange(len(index)))])

    def of_source(self, source: npt.ArrayLike) -> Rows:
        """The same rows, each with its source's index."""
        return replace(self, source=np.broadcast_to(np.asarray(source, dtype=np.uint16), len(self)).copy())


Pick = tuple[Rows, npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Some rows, the indices of those wanted, and the places where they go."""


def arrange(picks: Sequence[Pick]) -> Rows:
    """Rows picked from several places, in one order, each token copied once; the places are all of range(n)."""
    n = sum(len(index) for _, index, _ in picks)
    model = picks[0][0]
    counts = np.zeros(n, dtype=np.int64)
    for rows, index, places in picks:
        counts[places] = np.diff(rows.offsets)[index]
    offsets = np.concatenate(([0], np.cumsum(counts)))
    result = Rows(
        input_ids=np.empty((n, model.input_ids.shape[1]), dtype=model.input_ids.dtype),
        offsets=offsets,
        doc_ends=np.empty(int(offsets[-1]), dtype=np.int32),
        doc_key=np.empty(int(offsets[-1]), dtype=np.uint64),
        continues=np.empty(n, dtype=bool),
        source=None if model.source is None else np.empty(n, dtype=np.uint16),
        loss_mask=None if model.loss_mask is None else np.empty((n, model.input_ids.shape[1]), dtype=np.uint8),
    )
    for rows, index, places in picks:
        for name in ("input_ids", "continues", "source", "loss_mask"):
            to, of = getattr(result, name), getattr(rows, name)
            assert (to is None) == (of is None), "all rows have the same columns"
            if to is not None:
                to[places] = of[index]
        inside = _counting(counts[places])
        to_flat = np.repeat(offsets[places], counts[places]) + inside
        of_flat = np.repeat(rows.offsets[index], counts[places]) + inside
        result.doc_ends[to_flat] = rows.doc_ends[of_flat]
        result.doc_key[to_flat] = rows.doc_key[of_flat]
    return result


def _counting(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0, 1, ... up to each count, one after the other."""
    before = np.cumsum(counts) - counts
    numbers: npt.NDArray[np.int64] = np.arange(int(counts.sum())) - np.repeat(before, counts)
    return numbers


def concatenate(parts: Sequence[Rows]) -> Rows:
    """All rows of `parts`, in order; at least one part, all with the same columns."""
    ends = np.cumsum([len(part) for part in parts])
    return arrange(
        [(part, np.arange(len(part)), np.arange(end - len(part), end)) for part, end in zip(parts, ends, strict=True)]
    )


def row_schema(row_tokens: int, dtype: npt.DTypeLike, *, source: bool, loss_mask: bool = False) -> pa.Schema:
    """The Arrow schema of rows; `dtype` is uint16 or uint32."""
    token = pa.from_numpy_dtype(np.dtype(dtype))
    # Nullable by declaration, never null in fact: the form `datasets` declares, so it maps the file without a cast.
    fields = [pa.field("input_ids", pa.list_(token, row_tokens))]
    if source:
        fields.append(pa.field("source", pa.uint16()))
    fields += [
        pa.field("doc_ends", pa.list_(pa.int32())),
        pa.field("doc_key", pa.list_(pa.uint64())),
        pa.field("continues", pa.bool_()),
    ]
    if loss_mask:
        fields.append(pa.field("loss_mask", pa.list_(pa.uint8(), row_tokens)))
    return pa.schema(fields)


def to_batch(rows: Rows) -> pa.RecordBatch:
    """`rows` as one Arrow record batch, without copying the tokens."""
    row_tokens = rows.input_ids.shape[1]
    token = pa.from_numpy_dtype(rows.input_ids.dtype)
    offsets = to_array(rows.offsets, pa.int32())
    columns: dict[str, Any] = {
        "input_ids": pa.FixedSizeListArray.from_arrays(to_array(rows.input_ids.reshape(-1), token), row_tokens),
        "doc_ends": pa.ListArray.from_arrays(offsets, to_array(rows.doc_ends, pa.int32())),
        "doc_key": pa.ListArray.from_arrays(offsets, to_array(rows.doc_key, pa.uint64())),
        "continues": to_array(rows.continues, pa.bool_()),
    }
    if rows.source is not None:
        columns["source"] = to_array(rows.source, pa.uint16())
    if rows.loss_mask is not None:
        mask = to_array(rows.loss_mask.reshape(-1), pa.uint8())
        columns["loss_mask"] = pa.FixedSizeListArray.from_arrays(mask, row_tokens)
    schema = row_schema(
        row_tokens, rows.input_ids.dtype, source=rows.source is not None, loss_mask=rows.loss_mask is not None
    )
    return pa.record_batch([columns[name] for name in schema.names], schema=schema)


def to_array(values: npt.NDArray[Any], type_: pa.DataType) -> pa.Array:
    """`values` as an Arrow array of integers or truth values, without nulls and, where the type fits, without a copy.

    OverflowError for a number that the type does not hold.
    """
    # Not `pa.array`: given a numpy array it imports pandas where that is installed, which takes longer than a shard.
    if pa.types.is_boolean(type_):
        found = np.packbits(values, bitorder="little")
    else:
        found = np.ascontiguousarray(values, dtype=str(type_))
        if found.dtype != values.dtype and not np.array_equal(found, values):
            raise OverflowError(f"numbers that {type_} does not hold")
    return pa.Array.from_buffers(type_, len(values), [None, pa.py_buffer(found)])


def to_numbers(array: pa.Array) -> npt.NDArray[Any]:
    """The integers or truth values of an Arrow array, as a view where they are not single bits.

    ValueError where the array has nulls.
    """
    # Not `to_numpy`, which imports pandas too.
    if array.null_count:
        raise ValueError(f"{array.null_count} nulls in a column that has none")
    is_bits = pa.types.is_boolean(array.type)
    dtype = np.dtype(bool if is_bits else str(array.type))
    if not len(array):
        return np.zeros(0, dtype=dtype)
    data = array.buffers()[1]
    if is_bits:
        past = array.offset + len(array)
        bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8, count=-(-past // 8)), count=past, bitorder="little")
        return bits[array.offset :].astype(bool)
    return np.frombuffer(data, dtype=dtype, count=len(array), offset=array.offset * dtype.itemsize)


def from_batch(batch: pa.RecordBatch) -> Rows:
    """The rows of a record batch; tokens, ends and keys are views of its buffers."""
    ends, keys = batch.column("doc_ends"), batch.column("doc_key")
    offsets = to_numbers(ends.offsets).astype(np.int64)
    names = batch.schema.names
    return Rows(
        input_ids=_matrix(batch.column("input_ids")),
        offsets=offsets - offsets[0],
        doc_ends=_items(ends),
        doc_key=_items(keys),
        continues=to_numbers(batch.column("continues")),
        source=to_numbers(batch.column("source")) if "source" in names else None,
        loss_mask=_matrix(batch.column("loss_mask")) if "loss_mask" in names else None,
    )


def _items(column: pa.ListArray) -> npt.NDArray[Any]:
    offsets = to_numbers(column.offsets)
    return to_numbers(column.values)[offsets[0] : offsets[-1]]


def _matrix(column: pa.FixedSizeListArray) -> npt.NDArray[Any]:
    # Not `flatten`, which imports all of `pyarrow.compute`.
    matrix = to_numbers(column.values).reshape(-1, column.type.list_size)
    return matrix[column.offset : column.offset + len(column)]
