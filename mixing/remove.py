"""Takedown: the tokens of a document replaced by padding, where they lie, in blocks and shards.

Rows keep their number, length and place, so nothing else of the corpus changes and training states stay valid. The
stretch keeps its entry in `doc_ends` with the `doc_key` 0: neither learned from nor counted.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixing.rows import REMOVED_KEY, Rows, from_batch, to_batch
from mixing.shards import ShardRecord, write_shard


def blank(rows: Rows, doc_keys: npt.ArrayLike, pad_id: int) -> Rows:
    """The same rows with padding in place of these documents; other rows and keys are left as they are."""
    gone = np.isin(rows.doc_key, np.asarray(doc_keys, dtype=np.uint64)) & (rows.doc_key != REMOVED_KEY)
    if not gone.any():
        return rows
    ids = rows.input_ids.copy()
    mask = None if rows.loss_mask is None else rows.loss_mask.copy()
    row = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
    ends, lengths = rows.doc_ends.astype(np.int64), rows.lengths
    for piece in np.flatnonzero(gone).tolist():
        stretch = slice(ends[piece] - lengths[piece], ends[piece])
        ids[row[piece], stretch] = pad_id
        if mask is not None:
            mask[row[piece], stretch] = 0
    first = np.diff(rows.offsets) > 0
    continues = rows.continues.copy()
    continues[first] &= ~gone[rows.offsets[:-1][first]]
    keys = np.where(gone, np.uint64(REMOVED_KEY), rows.doc_key)
    return replace(rows, input_ids=ids, doc_key=keys, continues=continues, loss_mask=mask)


def blank_shard(
    path: str | Path, stream: IO[bytes], doc_keys: npt.ArrayLike, *, pad_id: int, sources: list[str]
) -> ShardRecord:
    """Write the shard at `path` to `stream` without these documents; its new record, with the tokens that are left."""
    with pa.ipc.open_stream(pa.memory_map(str(path))) as reader:
        column = reader.schema.field("input_ids").type
        return write_shard(
            stream,
            (blank(from_batch(batch), doc_keys, pad_id) for batch in reader),
            file=Path(path).name,
            sources=sources,
            row_tokens=int(column.list_size),
            dtype=column.value_type.to_pandas_dtype(),
            loss_mask="loss_mask" in reader.schema.names,
        )


def blank_block(path: str | Path, stream: IO[bytes], doc_keys: npt.ArrayLike, *, pad_id: int) -> None:
    """Write the block at `path` to `stream` without these documents; drop their rows from its placements as well."""
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    with pa.ipc.new_file(stream, reader.schema) as writer:
        for number in range(reader.num_record_batches):
            writer.write_batch(to_batch(blank(from_batch(reader.get_batch(number)), doc_keys, pad_id)))
