from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixing.order import SourceOrder, epoch_order, window_rows
from mixing.permute import mix64, permute, seed_of
from mixing.schedule import Schedule, window_bound


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
@settings(max_examples=150, deadline=None)
def test_permute_is_a_permutation_computed_point_by_point(n: int, seed: int) -> None:
    whole = permute(np.arange(n), n, seed)
    assert sorted(whole.tolist()) == list(range(n))
    some = np.arange(0, n, 7)
    assert np.array_equal(permute(some, n, seed), whole[some])


def test_permute_mixes_small_and_large_ranges() -> None:
    for n in (2, 3, 4, 6):
        seen = {tuple(permute(np.arange(n), n, seed).tolist()) for seed in range(8000)}
        assert len(seen) == {2: 2, 3: 6, 4: 24, 6: 720}[n]
    moved = permute(np.arange(100_000), 100_000, 5)
    assert abs(np.corrcoef(np.arange(100_000), moved)[0, 1]) < 0.02
    assert (np.abs(np.diff(moved)) < 100).mean() < 0.01


def test_values_are_pinned_for_ever() -> None:
    # Shards already built depend on these: they may never change.
    assert mix64(0).tolist() == [16294208416658607535]  # the published first output of splitmix64 from seed 0
    assert seed_of(7, "pmc", 0) == seed_of(7, "pmc", 0) != seed_of(7, "pmc", 1)
    assert permute(np.arange(10), 10, 42).tolist() == [9, 2, 6, 3, 0, 7, 1, 4, 5, 8]
    assert permute(np.arange(5), 1000, 42).tolist() == [662, 636, 374, 839, 844]


PASSES = st.lists(st.lists(st.integers(0, 40), max_size=5), max_size=4)


@given(PASSES, st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_each_pass_holds_every_row_of_every_block_once(passes: list[list[int]], seed: int) -> None:
    order = SourceOrder(passes, "pmc", seed)
    placed = order.locate(np.arange(order.n_rows))
    assert order.n_rows == sum(sum(counts) for counts in passes)
    assert (np.diff(placed.pass_number) >= 0).all()
    got = sorted(zip(placed.pass_number.tolist(), placed.block.tolist(), placed.row.tolist(), strict=True))
    assert got == [(p, b, r) for p, counts in enumerate(passes) for b, n in enumerate(counts) for r in range(n)]
    if order.n_rows:
        k = order.n_rows // 2
        one = order.locate([k])
        assert (one.pass_number[0], one.block[0], one.row[0]) == (
            placed.pass_number[k],
            placed.block[k],
            placed.row[k],
        )


def test_passes_and_sources_differ_in_order() -> None:
    order = SourceOrder([[500, 500], [500, 500]], "pmc", 1)
    placed = order.locate(np.arange(2000))
    assert not np.array_equal(placed.row[:1000], placed.row[1000:])
    assert not np.array_equal(SourceOrder([[500, 500]], "pubmed", 1).locate(np.arange(1000)).row, placed.row[:1000])


@given(st.integers(0, 500), st.integers(1, 60), st.integers(0, 4), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_an_epoch_is_a_permutation_of_windows_and_of_rows_in_them(n: int, window: int, epoch: int, seed: int) -> None:
    order = epoch_order(n, seed, epoch, window)
    rows = order.rows(np.arange(n))
    assert sorted(rows.tolist()) == list(range(n))
    if epoch == 0:
        assert rows.tolist() == list(range(n))
    # Windows are read one after the other: each is one run.
    runs = 1 + int((np.diff(rows // window) != 0).sum()) if n else 0
    assert runs == -(-n // window)
    for position in range(0, n, 17):
        assert order[position] == rows[position]


def test_epochs_differ_and_keep_the_window_law() -> None:
    counts = [1500, 100, 400]
    source, _ = Schedule(counts).slice(0, 2000)
    window = 100
    first, second = (epoch_order(2000, 3, epoch, window).rows(np.arange(2000)) for epoch in (1, 2))
    assert (first != second).mean() > 0.9
    for rows in (first, second):
        for start in range(0, 2000, window):
            for s, n in enumerate(counts):
                seen = int((source[rows[start : start + window]] == s).sum())
                assert abs(seen - window * n / 2000) <= window_bound(counts, s)


@pytest.mark.parametrize(("row_tokens", "expected"), [(513, 2044), (4097, 255), (2**21, 1)])
def test_a_window_is_about_a_million_tokens(row_tokens: int, expected: int) -> None:
    assert window_rows(row_tokens) == expected
