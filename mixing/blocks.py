"""A block: one run of a source's documents, tokenised and packed into rows; what pass 3 leaves for pass 4.

A block is the documents whose key lies in one of K equal ranges of the 64-bit keys, so it is a random sample of the
source, the same for every number of workers. On disk it is an Arrow IPC file with uncompressed buffers, read through
a memory map, so that any row or document can be fetched alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.errors import BuildError
from mixing.pack import Packing, pack
from mixing.rows import BATCH_ROWS, Pick, Rows, TokenArray, arrange, from_batch, row_schema, to_array, to_batch
from mixing.tokenize import Encoded, join

UInt64Array = npt.NDArray[np.uint64]

BLOCK_PLACEMENTS = pa.schema(
    [
        pa.field("doc_key", pa.uint64(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("start", pa.int32(), nullable=False),  # first token inside the row
        pa.field("doc_start", pa.int32(), nullable=False),  # first token inside the document
        pa.field("length", pa.int32(), nullable=False),
    ]
)
"""Where every piece of every document of a block lies, sorted by (row, start)."""


@dataclass(frozen=True, slots=True)
class Block:
    """A packed block in memory."""

    rows: Rows
    placements: pa.Table
    """`BLOCK_PLACEMENTS`"""
    n_documents: int
    """Documents with at least one token."""
    n_tokens: int
    padding: int
    least_rows: int
    """Rows that no packing of these documents could do without."""


def block_of(doc_keys: npt.ArrayLike, n_blocks: int) -> npt.NDArray[np.int64]:
    """The block, of `n_blocks` (at most 2^31), that each key belongs to."""
    keys = np.atleast_1d(np.asarray(doc_keys, dtype=np.uint64))
    return (((keys >> np.uint64(32)) * np.uint64(n_blocks)) >> np.uint64(32)).astype(np.int64)


def block_range(block: int, n_blocks: int) -> tuple[int, int]:
    """Least key of the block, and the first key past it: `block_of` said the other way round."""
    return (-(-(block << 32) // n_blocks) << 32, -(-((block + 1) << 32) // n_blocks) << 32)


def blocks_needed(n_tokens: int, token_bytes: int, block_bytes: int = 256 << 20) -> int:
    """How many blocks of about `block_bytes` a source of `n_tokens` (or an estimate) makes."""
    return max(1, -(-n_tokens * token_bytes // block_bytes))


def pack_block(
    doc_keys: npt.ArrayLike,
    encoded: Encoded,
    row_tokens: int,
    pad_id: int,
    *,
    units: npt.ArrayLike | None = None,
    loss_mask: npt.NDArray[np.uint8] | None = None,
) -> Block:
    """The block of these documents, in the order given (by key, or by patient and time where `units` is given).

    `loss_mask`, parallel to `encoded.ids`, gives the rows that column; padding is never learned.
    """
    keys = np.asarray(doc_keys, dtype=np.uint64)
    assert len(keys) == len(encoded), "one key for each encoded document"
    packing = pack(encoded.lengths, row_tokens, units=units)
    rows = _fill(keys, encoded, packing, row_tokens, pad_id, loss_mask)
    columns = [keys[packing.document], packing.row, packing.offset, packing.start, packing.length]
    placements = pa.table(
        [to_array(column, field.type) for column, field in zip(columns, BLOCK_PLACEMENTS, strict=True)],
        schema=BLOCK_PLACEMENTS,
    )
    return Block(
        rows=rows,
        placements=placements,
        n_documents=int(np.count_nonzero(encoded.lengths)),
        n_tokens=len(encoded.ids),
        padding=packing.padding,
        least_rows=packing.least_rows,
    )


def reordered(encoded: Encoded, order: Iterable[int]) -> Encoded:
    """The documents of `encoded` in another order."""
    pieces = [Encoded(encoded[i], np.array([0, len(encoded[i])], dtype=np.int64)) for i in order]
    return join(pieces) if pieces else encoded


def write_block(stream: IO[bytes], block: Block) -> None:
    """The block's rows as an Arrow IPC file; its placements go to a table of their own."""
    rows = block.rows
    masked = rows.loss_mask is not None
    schema = row_schema(rows.input_ids.shape[1], rows.input_ids.dtype, source=False, loss_mask=masked)
    with pa.ipc.new_file(stream, schema) as writer:
        for start in range(0, len(rows), BATCH_ROWS):
            writer.write_batch(to_batch(rows.take(np.arange(start, min(start + BATCH_ROWS, len(rows))))))


class BlockFile:
    """A block on the local disk, memory-mapped; rows are read when asked for."""

    def __init__(self, path: str | Path) -> None:
        try:
            self._file = pa.ipc.open_file(pa.memory_map(str(path)))
        except (OSError, pa.ArrowInvalid):
            raise BuildError(
                "not a block of rows, or cut short.",
                where=str(path),
                why="Shards are mixed from complete blocks only.",
                fix="Remove it and build again: `medtrove build` repeats that task alone.",
            ) from None
        self._batches: dict[int, Rows] = {}
        column = self._file.schema.field("input_ids").type
        self.row_tokens = int(column.list_size)
        self.dtype = np.dtype(column.value_type.to_pandas_dtype())
        self.has_loss_mask = "loss_mask" in self._file.schema.names

    def batch(self, number: int) -> Rows:
        """Record batch `number`: rows `number * BATCH_ROWS` and following, as views of the file."""
        if number not in self._batches:
            self._batches[number] = from_batch(self._file.get_batch(number))
        return self._batches[number]

    def __len__(self) -> int:
        n = int(self._file.num_record_batches)
        return (n - 1) * BATCH_ROWS + len(self.batch(n - 1)) if n else 0

    def picks(self, indices: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> list[Pick]:
        """What `arrange` needs to put the rows at `indices` to `places`: one entry for each record batch."""
        number = indices // BATCH_ROWS
        order = np.argsort(number, kind="stable")
        runs = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
        return [(self.batch(int(number[r[0]])), indices[r] % BATCH_ROWS, places[r]) for r in runs if len(r)]

    def take(self, indices: npt.ArrayLike) -> Rows:
        """The rows at `indices`, in that order, copied out of the file."""
        index = np.asarray(indices, dtype=np.int64)
        picked = self.picks(index, np.arange(len(index)))
        return arrange(picked) if picked else _no_rows(self.row_tokens, self.dtype, loss_mask=self.has_loss_mask)

    def ids(self, row: int) -> TokenArray:
        """Tokens of one row, a view of the file."""
        number, inside = divmod(row, BATCH_ROWS)
        view: TokenArray = self.batch(number).input_ids[inside]
        return view

    def loss_mask(self, row: int) -> npt.NDArray[np.uint8]:
        """Loss mask of one row, a view of the file; only where `has_loss_mask`."""
        number, inside = divmod(row, BATCH_ROWS)
        mask = self.batch(number).loss_mask
        assert mask is not None, "the block has a loss mask"
        view: npt.NDArray[np.uint8] = mask[inside]
        return view


def gather(block: BlockFile, placements: pa.Table, doc_keys: npt.ArrayLike) -> Encoded:
    """The token ids of chosen documents of a block, in the order of `doc_keys`; KeyError for one it does not hold."""
    offsets, pieces = _located(placements, doc_keys)
    ids = np.empty(int(offsets[-1]), dtype=block.dtype)
    at = 0
    for row, begin, n in pieces:
        ids[at : at + n] = block.ids(row)[begin : begin + n]
        at += n
    return Encoded(ids, offsets)


def gather_loss_mask(block: BlockFile, placements: pa.Table, doc_keys: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """The loss mask of the same documents, parallel to the ids that `gather` gives."""
    offsets, pieces = _located(placements, doc_keys)
    mask = np.empty(int(offsets[-1]), dtype=np.uint8)
    at = 0
    for row, begin, n in pieces:
        mask[at : at + n] = block.loss_mask(row)[begin : begin + n]
        at += n
    return mask


def _located(placements: pa.Table, doc_keys: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], list[tuple[int, int, int]]]:
    """Where each document begins when they lie end to end, and the pieces: row, first token in it, length."""
    keys = np.asarray(doc_keys, dtype=np.uint64)
    column = placements.column("doc_key").to_numpy()
    row, start, doc_start, length = (
        placements.column(name).to_numpy() for name in ("row", "start", "doc_start", "length")
    )
    by_document = np.lexsort((doc_start, column))
    first = np.searchsorted(column, keys, side="left", sorter=by_document)
    past = np.searchsorted(column, keys, side="right", sorter=by_document)
    missing = keys[first == past]
    if missing.size:
        raise KeyError(f"document {int(missing[0]):016x} is not in this block")
    totals = np.concatenate(([0], np.cumsum(length[by_document], dtype=np.int64)))
    offsets = np.concatenate(([0], np.cumsum(totals[past] - totals[first])))
    pieces = [piece for a, b in zip(first, past, strict=True) for piece in by_document[a:b]]
    return offsets, [(int(row[piece]), int(start[piece]), int(length[piece])) for piece in pieces]


def repack(
    parts: Iterable[tuple[BlockFile, pa.Table, UInt64Array]],
    row_tokens: int,
    pad_id: int,
    *,
    units: npt.ArrayLike | None = None,
) -> Block:
    """One block of the documents chosen from several: (block, its placements, the keys wanted); the fractional pass.

    `units` as in `pack_block`, of all keys together.
    """
    chosen = list(parts)
    gathered = [gather(*part) for part in chosen]
    masked = any(block.has_loss_mask for block, _, _ in chosen)
    return pack_block(
        np.concatenate([keys for _, _, keys in chosen]),
        join(gathered),
        row_tokens,
        pad_id,
        units=units,
        loss_mask=np.concatenate([gather_loss_mask(*part) for part in chosen]) if masked else None,
    )


def _fill(
    keys: UInt64Array,
    encoded: Encoded,
    packing: Packing,
    row_tokens: int,
    pad_id: int,
    loss_mask: npt.NDArray[np.uint8] | None,
) -> Rows:
    flat = np.full(packing.n_rows * row_tokens, pad_id, dtype=encoded.ids.dtype)
    mask = None if loss_mask is None else np.zeros(len(flat), dtype=np.uint8)
    sources = encoded.offsets[packing.document] + packing.start
    targets = packing.row * row_tokens + packing.offset
    for source, target, length in zip(sources.tolist(), targets.tolist(), packing.length.tolist(), strict=True):
        flat[target : target + length] = encoded.ids[source : source + length]
        if mask is not None and loss_mask is not None:
            mask[target : target + length] = loss_mask[source : source + length]
    return Rows(
        input_ids=flat.reshape(-1, row_tokens),
        offsets=np.searchsorted(packing.row, np.arange(packing.n_rows + 1)),
        doc_ends=(packing.offset + packing.length).astype(np.int32),
        doc_key=keys[packing.document],
        continues=packing.continues,
        loss_mask=None if mask is None else mask.reshape(-1, row_tokens),
    )


def _no_rows(row_tokens: int, dtype: np.dtype[np.generic], *, loss_mask: bool) -> Rows:
    return Rows(
        input_ids=np.zeros((0, row_tokens), dtype=dtype),
        offsets=np.zeros(1, dtype=np.int64),
        doc_ends=np.zeros(0, dtype=np.int32),
        doc_key=np.zeros(0, dtype=np.uint64),
        continues=np.zeros(0, dtype=bool),
        loss_mask=np.zeros((0, row_tokens), dtype=np.uint8) if loss_mask else None,
    )
