"""The weighted shards: Arrow IPC streams that any trainer can map, and the small files that describe them.

A folder holds `*.arrow` (uncompressed streams of about 1,000 rows a batch), `state.json` and `dataset_info.json`, with
which `datasets.load_from_disk` maps the folder as it is, and `index.json`, written last: its presence says that the
folder is whole. Rows front to back are the mixture in training order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.identity import fingerprint
from manifests.schema import PLACEMENTS
from manifests.store import Store
from mixing.order import window_rows
from mixing.reader import INDEX, VERSION, Row, Shards, open_shards
from mixing.rows import BATCH_ROWS, Rows, concatenate, row_schema, to_array, to_batch

__all__ = [
    "INDEX",
    "VERSION",
    "Row",
    "ShardRecord",
    "Shards",
    "open",
    "open_shards",
    "write_folder_files",
    "write_shard",
]

open = open_shards
"""`mixing.shards.open(path)[i]`: one row of a folder of shards."""


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """What `index.json` says of one file."""

    file: str
    rows: int
    bytes: int
    sha256: str
    tokens: dict[str, int]
    """Stored tokens, padding not counted, by source id; sources without any are left out."""


def shard_name(number: int) -> str:
    """File name of the shard `number`."""
    return f"shard-{number:05d}.arrow"


def write_shard(
    stream: IO[bytes],
    parts: Iterable[Rows],
    *,
    file: str,
    sources: Sequence[str],
    row_tokens: int,
    dtype: npt.DTypeLike,
    loss_mask: bool = False,
) -> ShardRecord:
    """Write the rows of `parts`, whatever their sizes, in batches of `BATCH_ROWS`; memory is two batches."""
    counted = _Counted(stream)
    totals = np.zeros(len(sources), dtype=np.int64)
    n_rows = 0
    schema = row_schema(row_tokens, dtype, source=True, loss_mask=loss_mask)
    with pa.ipc.new_stream(counted, schema) as writer:
        for rows in _in_batches(parts):
            assert rows.source is not None, "rows of a shard name their source"
            np.add.at(totals, rows.source, rows.tokens)
            n_rows += len(rows)
            writer.write_batch(to_batch(rows))
    tokens = {source: int(n) for source, n in zip(sources, totals, strict=True) if n}
    return ShardRecord(file, n_rows, counted.n_bytes, counted.digest.hexdigest(), tokens)


def placements_of(rows: Rows, *, epochs: npt.ArrayLike, shard: int, first_row: int) -> pa.Table:
    """`PLACEMENTS` of these rows, which begin at `first_row` of the shard; `epochs` has each row's pass."""
    counts = np.diff(rows.offsets)
    row = np.repeat(np.arange(len(rows)), counts)
    epoch = np.broadcast_to(np.asarray(epochs, dtype=np.int64), len(rows))[row]
    columns = [
        rows.doc_key,
        epoch,
        np.full(len(row), shard),
        row + first_row,
        rows.doc_ends - rows.lengths,
        rows.lengths,
    ]
    return pa.table(
        [to_array(column, field.type) for column, field in zip(columns, PLACEMENTS, strict=True)], schema=PLACEMENTS
    )


def write_folder_files(
    store: Store,
    records: Sequence[ShardRecord],
    *,
    sources: Sequence[str],
    sequence_length: int,
    dtype: npt.DTypeLike,
    tokenizer: Mapping[str, Any],
    schedule: Mapping[str, Any],
    restricted: bool,
    split: str = "train",
    loss_mask: bool = False,
) -> dict[str, Any]:
    """Write `state.json`, `dataset_info.json` and, last, `index.json` for these files; the index is returned.

    `tokenizer` is `Encoder.describe()`; `schedule` says how the order was made (kind, seed, rows by source).
    """
    token = np.dtype(dtype).name
    row_tokens = sequence_length + 1
    tokens = {source: sum(record.tokens.get(source, 0) for record in records) for source in sources}
    n_rows = sum(record.rows for record in records)
    index = {
        "version": VERSION,
        "split": split,
        "sequence_length": sequence_length,
        "row_tokens": row_tokens,
        "dtype": token,
        "loss_mask": loss_mask,
        "tokenizer": dict(tokenizer),
        "schedule": dict(schedule),
        "window_rows": window_rows(row_tokens),
        "sources": list(sources),
        "restricted": restricted,
        "shards": [asdict(record) for record in records],
        "totals": {
            "rows": n_rows,
            "bytes": sum(record.bytes for record in records),
            "tokens": sum(tokens.values()),
            "padding": n_rows * row_tokens - sum(tokens.values()),
            "tokens_by_source": tokens,
        },
    }
    store.write_json(
        "state.json",
        {
            "_data_files": [{"filename": record.file} for record in records],
            "_fingerprint": fingerprint([record.sha256 for record in records]),
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": split,
        },
    )
    store.write_json("dataset_info.json", {"features": _features(token, row_tokens, loss_mask=loss_mask)})
    store.write_json(INDEX, index)
    return index


def _features(token: str, row_tokens: int, *, loss_mask: bool) -> dict[str, Any]:
    # "Sequence" is read by every release of `datasets`; its newer name "List" only by 4 and later.
    def value(dtype: str) -> dict[str, Any]:
        return {"dtype": dtype, "_type": "Value"}

    def many(dtype: str, length: int = -1) -> dict[str, Any]:
        return {"feature": value(dtype), "length": length, "_type": "Sequence"}

    features = {
        "input_ids": many(token, row_tokens),
        "source": value("uint16"),
        "doc_ends": many("int32"),
        "doc_key": many("uint64"),
        "continues": value("bool"),
    }
    return features | {"loss_mask": many("uint8", row_tokens)} if loss_mask else features


def _in_batches(parts: Iterable[Rows]) -> Iterable[Rows]:
    waiting: list[Rows] = []
    n_waiting = 0
    for part in parts:
        if not waiting and len(part) == BATCH_ROWS:
            yield part
            continue
        waiting.append(part)
        n_waiting += len(part)
        while n_waiting >= BATCH_ROWS:
            together = concatenate(waiting)
            yield together.take(np.arange(BATCH_ROWS))
            n_waiting -= BATCH_ROWS
            waiting = [together.take(np.arange(BATCH_ROWS, len(together)))] if n_waiting else []
    if n_waiting:
        yield concatenate(waiting)


class _Counted:
    """A stream that counts and hashes what passes through it."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.n_bytes = 0
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self.digest.update(view)
        self.n_bytes += view.nbytes
        self._stream.write(view)
        return view.nbytes

    def flush(self) -> None:
        self._stream.flush()

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """The stream below belongs to the caller."""
