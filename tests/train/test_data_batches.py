from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.store import Store
from mixing.reader import Shards, open_shards
from mixing.rows import REMOVED_KEY, Rows, concatenate
from mixing.shards import write_folder_files, write_shard
from train.data import FILLER, IGNORED, Batch, batches, make_batch

ROW = 17
SOURCES = ["articles", "notes", "replay"]


def make_rows(n: int, seed: int, *, loss_mask: bool = False) -> Rows:
    """Rows of documents of random lengths; token = 1 + its position in the document, so borders can be seen."""
    random = np.random.default_rng(seed)
    parts = []
    for _ in range(n):
        ends = np.unique(random.integers(1, ROW + 1, random.integers(1, 5)))
        ids = np.zeros((1, ROW), dtype=np.uint16)
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            ids[0, start:end] = np.arange(1, end - start + 1)
        parts.append(
            Rows(
                input_ids=ids,
                offsets=np.asarray([0, len(ends)]),
                doc_ends=ends.astype(np.int32),
                doc_key=random.integers(1, 2**63, len(ends), dtype=np.uint64),
                continues=np.asarray([bool(random.integers(2))]),
                source=random.integers(0, 3, 1).astype(np.uint16),
                loss_mask=random.integers(0, 2, (1, ROW)).astype(np.uint8) if loss_mask else None,
            )
        )
    return concatenate(parts)


def write(folder: Path, counts: list[int], *, loss_mask: bool = False) -> Shards:
    store, records = Store(folder), []
    for number, n in enumerate(counts):
        file = f"shard-{number:05d}.arrow"
        with store.writing(file) as stream:
            rows = make_rows(n, number, loss_mask=loss_mask)
            records.append(
                write_shard(
                    stream, [rows], file=file, sources=SOURCES, row_tokens=ROW, dtype="uint16", loss_mask=loss_mask
                )
            )
    write_folder_files(
        store,
        records,
        sources=SOURCES,
        sequence_length=ROW - 1,
        dtype="uint16",
        tokenizer={"pad_id": 0, "vocab_size": 50},
        schedule={"kind": "constant"},
        restricted=False,
        loss_mask=loss_mask,
    )
    return open_shards(folder)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    shards = write(tmp_path_factory.mktemp("shards"), [1203, 40, 1])
    shards.window_rows = 100
    return shards


def all_ranks(shards: Shards, world_size: int, **options: int) -> list[list[Batch]]:
    return [list(batches(shards, rank=rank, world_size=world_size, **options)) for rank in range(world_size)]  # type: ignore[arg-type]


def global_rows(ranks: list[list[Batch]]) -> list[int]:
    """Rows in the order in which the ranks together consume them."""
    found = []
    for step in zip(*ranks, strict=True):
        for place in zip(*(batch.row for batch in step), strict=True):
            found += [int(row) for row in place if row != FILLER]
    return found


@given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 1300), st.integers(0, 2))
@settings(max_examples=30, deadline=None)
def test_every_world_size_sees_the_same_order_and_each_row_once(
    shards: Shards, world_size: int, rows_per_batch: int, start_row: int, epoch: int
) -> None:
    ranks = all_ranks(shards, world_size, rows_per_batch=rows_per_batch, start_row=start_row, epoch=epoch, seed=4)
    single = [b for b in batches(shards, rows_per_batch=97, start_row=start_row, epoch=epoch, seed=4)]
    assert global_rows(ranks) == global_rows([single])
    assert len(global_rows(ranks)) == max(0, len(shards) - start_row) == len(set(global_rows(ranks)))
    if ranks[0]:
        assert ranks[0][-1].rows_consumed == len(shards)
        assert all(batch.input_ids.shape == (rows_per_batch, ROW - 1) for rank in ranks for batch in rank)


def test_epoch_zero_is_file_order_and_later_ones_are_not(shards: Shards) -> None:
    orders = [global_rows([list(batches(shards, rows_per_batch=64, epoch=epoch, seed=1))]) for epoch in range(3)]
    assert orders[0] == list(range(len(shards)))
    assert sorted(orders[1]) == sorted(orders[2]) == orders[0]
    assert len({tuple(order) for order in orders}) == 3


def test_a_run_goes_on_where_it_stopped_with_another_world_size(shards: Shards) -> None:
    first = all_ranks(shards, 2, rows_per_batch=50, epoch=1, seed=2)
    done = [rank[:4] for rank in first]
    rest = all_ranks(shards, 3, rows_per_batch=7, epoch=1, seed=2, start_row=done[0][-1].rows_consumed)
    assert global_rows(done) + global_rows(rest) == global_rows(first)


def test_tokens_consumed_by_source_equal_the_index(shards: Shards) -> None:
    for world_size in (1, 3):
        consumed: Counter[str] = Counter()
        for rank in all_ranks(shards, world_size, rows_per_batch=16):
            for batch in rank:
                for source, tokens in zip(batch.source.tolist(), batch.tokens.tolist(), strict=True):
                    if source != FILLER:
                        consumed[SOURCES[source]] += tokens
        assert dict(consumed) == shards.index["totals"]["tokens_by_source"]


def test_labels_positions_and_segments_say_what_the_rows_say(shards: Shards) -> None:
    for batch in list(batches(shards, rows_per_batch=200, epoch=1))[:3]:
        for i, number in enumerate(batch.row.tolist()):
            row = shards[number]
            ids = row.input_ids.astype(np.int64)
            segment = np.zeros(ROW, dtype=np.int64)
            position = np.zeros(ROW, dtype=np.int64)
            for document, end in enumerate(row.doc_ends.tolist()):
                start = 0 if document == 0 else int(row.doc_ends[document - 1])
                segment[start:end] = document + 1
                position[start:end] = np.arange(end - start)
            assert np.array_equal(batch.input_ids[i], ids[:-1])
            assert np.array_equal(batch.segment_ids[i], segment[:-1])
            filled = segment[:-1] > 0
            assert np.array_equal(batch.position_ids[i][filled], position[:-1][filled])
            for j in range(ROW - 1):
                learned = segment[j] == segment[j + 1] and segment[j] > 0
                assert batch.labels[i, j] == (ids[j + 1] if learned else IGNORED)
        # The tokens count their place in the document: a learned target is always the next one.
        learned = batch.labels != IGNORED
        assert (batch.labels[learned] == batch.input_ids[learned] + 1).all()
        assert batch.input_ids.dtype == batch.labels.dtype == batch.position_ids.dtype == np.int64


def test_the_last_batch_is_filled_with_rows_that_teach_nothing(shards: Shards) -> None:
    ranks = all_ranks(shards, 3, rows_per_batch=100)
    assert [len(rank) for rank in ranks] == [5, 5, 5]
    fillers = [batch.row == FILLER for rank in ranks for batch in rank]
    assert sum(int(filler.sum()) for filler in fillers) == 1500 - len(shards)
    for rank in ranks:
        last = rank[-1]
        filler = last.row == FILLER
        assert (last.labels[filler] == IGNORED).all()
        assert (last.segment_ids[filler] == 0).all()
        assert (last.tokens[filler] == 0).all()
    whole = [list(batches(shards, rows_per_batch=100, rank=r, world_size=3, drop_last=True)) for r in range(3)]
    assert [len(rank) for rank in whole] == [4, 4, 4]
    assert global_rows(whole) == list(range(1200))


def test_a_loss_mask_decides_what_is_learned(tmp_path: Path) -> None:
    masked = write(tmp_path, [30], loss_mask=True)
    batch = next(batches(masked, rows_per_batch=30))
    mask = np.stack([row.loss_mask for row in masked if row.loss_mask is not None])
    assert (batch.labels[mask[:, 1:] == 0] == IGNORED).all()
    assert (batch.labels != IGNORED).any()


def test_a_removed_document_is_padding(tmp_path: Path) -> None:
    rows = make_rows(20, 3)
    at = int(np.flatnonzero(np.diff(rows.offsets) >= 3)[0])
    removed = int(rows.offsets[at]) + 1
    rows.doc_key[removed] = REMOVED_KEY
    file = "shard-00000.arrow"
    with Store(tmp_path).writing(file) as stream:
        record = write_shard(stream, [rows], file=file, sources=SOURCES, row_tokens=ROW, dtype="uint16")
    write_folder_files(
        Store(tmp_path),
        [record],
        sources=SOURCES,
        sequence_length=ROW - 1,
        dtype="uint16",
        tokenizer={"pad_id": 0},
        schedule={},
        restricted=False,
    )
    batch = make_batch(open_shards(tmp_path), [at], 1, rows_consumed=1)
    start, end = int(rows.doc_ends[removed - 1]), int(rows.doc_ends[removed])
    assert (batch.segment_ids[0, start : min(end, ROW - 1)] == 0).all()
    assert (batch.labels[0, max(0, start - 1) : end] == IGNORED).all()
    assert batch.segment_ids[0, 0] == 1
    assert batch.tokens[0] == rows.used[at] - (end - start)


def test_tensors_on_request(shards: Shards) -> None:
    torch = pytest.importorskip("torch")
    batch = next(batches(shards, rows_per_batch=4, as_torch=True))
    assert batch.input_ids.dtype == torch.int64
    assert batch.labels.shape == (4, ROW - 1)
