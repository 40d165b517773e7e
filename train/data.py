"""Batches from shards: plain arrays in a global order that no world size changes.

Position p of an epoch is one row of the shards (`mixing.order`). A step takes the next `rows_per_batch * world_size`
positions, and rank r the positions r, r + world_size, ... of them. The state of a run is therefore one number, the
rows consumed, and it may go on with another world size or batch size.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mixing.order import epoch_order
from mixing.reader import Shards, open_shards
from mixing.rows import REMOVED_KEY, Rows

IGNORED = -100
"""Label of a target that is not learned: padding, a document border, the other side of a conversation."""
FILLER = -1
"""`source` and `row` of a row that fills the last batch of an epoch: no tokens, no labels."""

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one rank trains on in one step. B rows, L = sequence length; int64 throughout."""

    input_ids: Any
    """[B, L]"""
    labels: Any
    """[B, L]; the next token of the same document, else `IGNORED`."""
    position_ids: Any
    """[B, L]; restarts at 0 with every document."""
    segment_ids: Any
    """[B, L]; number of the document inside the row, from 1; 0 is padding."""
    source: Any
    """[B]; index into the shards' sources, `FILLER` for a row that is not one."""
    tokens: Any
    """[B]; stored tokens of the row: summed by source over an epoch they equal `index.json`."""
    row: Any
    """[B]; number of the row in the shards, or `FILLER`."""
    rows_consumed: int
    """Rows of this epoch that all ranks together have had, this batch included: `start_row` to go on from here."""


def batches(
    path: str | Path | Shards,
    *,
    rows_per_batch: int,
    rank: int = 0,
    world_size: int = 1,
    start_row: int = 0,
    epoch: int = 0,
    seed: int = 0,
    drop_last: bool = False,
    as_torch: bool = False,
) -> Iterator[Batch]:
    """The batches of one rank over one epoch, from row `start_row` of its order on.

    `rows_per_batch` is per rank. All ranks make the same number of equal batches: the last one is filled up with rows
    without tokens or labels, or left out with `drop_last`. `as_torch` gives tensors instead of numpy arrays.
    """
    assert rows_per_batch > 0, "a batch has at least one row"
    assert 0 <= rank < world_size, "rank is one of world_size"
    shards = path if isinstance(path, Shards) else open_shards(path)
    order = epoch_order(len(shards), seed, epoch, shards.window_rows)
    step = rows_per_batch * world_size
    for begin in range(start_row, len(shards), step):
        end = min(begin + step, len(shards))
        if drop_last and end - begin < step:
            return
        rows = order.rows(np.arange(begin + rank, end, world_size))
        batch = make_batch(shards, rows, rows_per_batch, rows_consumed=end)
        yield _torch(batch) if as_torch else batch


def steps(
    shards: Shards,
    *,
    rows_per_step: int,
    micro_rows: int,
    rank: int = 0,
    world_size: int = 1,
    start_row: int = 0,
    epoch: int = 0,
    seed: int = 0,
) -> Iterator[list[Batch]]:
    """This rank's micro-batches of every step of an epoch, from row `start_row` on.

    Step t has the rows at positions [t * rows_per_step, (t + 1) * rows_per_step) whatever the world size; every step
    has equally many micro-batches, the last one's filled up with rows that teach nothing.
    """
    assert rows_per_step % (micro_rows * world_size) == 0, "a step is whole micro-batches on every rank"
    accumulation = rows_per_step // (micro_rows * world_size)
    parts = batches(
        shards,
        rows_per_batch=micro_rows,
        rank=rank,
        world_size=world_size,
        start_row=start_row,
        epoch=epoch,
        seed=seed,
    )
    while step := list(itertools.islice(parts, accumulation)):
        filler = make_batch(shards, [], micro_rows, rows_consumed=step[-1].rows_consumed)
        yield step + [filler] * (accumulation - len(step))


def all_steps(
    shards: Shards,
    *,
    epochs: int,
    epoch: int = 0,
    start_row: int = 0,
    rows_per_step: int,
    micro_rows: int,
    rank: int = 0,
    world_size: int = 1,
    seed: int = 0,
) -> Iterator[tuple[int, int, list[Batch]]]:
    """`steps` of a whole run, from row `start_row` of `epoch` on, each with its epoch and the row it begins at."""
    for number in range(epoch, epochs):
        begin = start_row if number == epoch else 0
        for step in steps(
            shards,
            rows_per_step=rows_per_step,
            micro_rows=micro_rows,
            rank=rank,
            world_size=world_size,
            start_row=begin,
            epoch=number,
            seed=seed,
        ):
            yield number, begin, step
            begin = step[-1].rows_consumed


def make_batch(shards: Shards, rows: npt.ArrayLike, n_rows: int, *, rows_consumed: int) -> Batch:
    """The batch of these rows of the shards, filled up to `n_rows`."""
    wanted = np.asarray(rows, dtype=np.int64)
    length = shards.sequence_length
    shape = (n_rows, length)
    batch = Batch(
        input_ids=np.full(shape, shards.index["tokenizer"]["pad_id"], dtype=np.int64),
        labels=np.full(shape, IGNORED, dtype=np.int64),
        position_ids=np.tile(np.arange(length), (n_rows, 1)),
        segment_ids=np.zeros(shape, dtype=np.int64),
        source=np.full(n_rows, FILLER, dtype=np.int64),
        tokens=np.zeros(n_rows, dtype=np.int64),
        row=np.full(n_rows, FILLER, dtype=np.int64),
        rows_consumed=rows_consumed,
    )
    if not len(wanted):
        return batch
    taken = shards.rows(wanted)
    here = slice(0, len(wanted))
    segments, positions = _documents(taken)
    batch.input_ids[here] = taken.input_ids[:, :-1]
    batch.segment_ids[here] = segments[:, :-1]
    batch.position_ids[here] = positions[:, :-1]
    labels = batch.labels[here]
    labels[:] = taken.input_ids[:, 1:]
    # The label of a document's last token would be the first of the next one, or padding.
    row, last = np.repeat(np.arange(len(taken)), np.diff(taken.offsets)), taken.doc_ends - 1
    inside = last < length
    labels[row[inside], last[inside]] = IGNORED
    labels[segments[:, :-1] == 0] = IGNORED
    if taken.loss_mask is not None:
        labels[taken.loss_mask[:, 1:] == 0] = IGNORED
    batch.source[here] = taken.source
    batch.tokens[here] = taken.tokens
    batch.row[here] = wanted
    return batch


def _documents(rows: Rows) -> tuple[Int64Array, Int64Array]:
    """Segment number and position of every token of the rows; padding is segment 0 and counts on from its start."""
    n_rows, width = rows.input_ids.shape
    counts = np.diff(rows.offsets)
    # Pieces of all rows in order, with each row's padding as one more piece behind its documents.
    places = np.cumsum(counts + 1) - 1
    lengths = np.empty(len(rows.doc_ends) + n_rows, dtype=np.int64)
    numbers = np.zeros(len(lengths), dtype=np.int64)
    documents = np.ones(len(lengths), dtype=bool)
    documents[places] = False
    lengths[places] = width - rows.used
    lengths[documents] = rows.lengths
    first = np.repeat(rows.offsets[:-1], counts)
    numbers[documents] = np.where(rows.doc_key == REMOVED_KEY, 0, np.arange(len(rows.doc_ends)) - first + 1)
    starts = np.cumsum(lengths) - lengths
    segments = np.repeat(numbers, lengths).reshape(n_rows, width)
    positions = np.arange(n_rows * width) - np.repeat(starts, lengths)
    return segments, positions.reshape(n_rows, width)


def counts(step: Sequence[Batch], n_sources: int, *, per_conversation: bool = False) -> list[float]:
    """Labels of a step that are learned (or conversations), then its stored tokens by source; this rank's."""
    learned, tokens = 0, np.zeros(n_sources, dtype=np.int64)
    for batch in step:
        learned += (
            learned_conversations(batch) if per_conversation else int((np.asarray(batch.labels) != IGNORED).sum())
        )
        source = np.asarray(batch.source)
        np.add.at(tokens, source[source != FILLER], np.asarray(batch.tokens)[source != FILLER])
    return [float(learned), *tokens.astype(float).tolist()]


def conversation_weights(batch: Batch) -> npt.NDArray[np.float32]:
    """[B, L]; 1 / learned tokens of its conversation where a label is learned, 0 elsewhere.

    `[sft] loss = "conversation"`: each counts the same, however long its answers. One lies whole in a row
    (`mixing.conversations`), so the row alone says it, and no packing, accumulation or number of ranks changes it.
    """
    learned, place, n_places = _conversations(batch)
    counted = np.bincount(place[learned], minlength=n_places)
    weights = np.zeros(learned.shape, dtype=np.float32)
    weights[learned] = 1.0 / counted[place[learned]]
    return weights


def learned_conversations(batch: Batch) -> int:
    """Conversations of the batch of which something is learned."""
    learned, place, n_places = _conversations(batch)
    return int(np.count_nonzero(np.bincount(place[learned], minlength=n_places)))


def _conversations(batch: Batch) -> tuple[npt.NDArray[np.bool_], Int64Array, int]:
    """Which labels are learned, a number for the conversation of each, and how many numbers there are."""
    segments = np.asarray(batch.segment_ids)
    width = int(segments.max(initial=0)) + 1
    place = segments + width * np.arange(len(segments))[:, None]
    return np.asarray(batch.labels) != IGNORED, place, width * len(segments)


def _torch(batch: Batch) -> Batch:
    import torch

    arrays = ("input_ids", "labels", "position_ids", "segment_ids", "source", "tokens", "row")
    return replace(batch, **{name: torch.from_numpy(getattr(batch, name)) for name in arrays})
