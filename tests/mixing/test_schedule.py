from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixing.schedule import Curve, Schedule, window_bound

COUNTS = st.lists(st.integers(0, 60), min_size=1, max_size=6).filter(any)


def brute(counts: list[int]) -> list[tuple[int, int]]:
    rows = [((k + 0.5) / n, s, k) for s, n in enumerate(counts) for k in range(n)]
    return [(s, k) for _, s, k in sorted(rows)]


@given(COUNTS)
@settings(max_examples=200, deadline=None)
def test_every_row_once_in_order_of_progress(counts: list[int]) -> None:
    source, k = Schedule(counts).slice(0, sum(counts))
    assert source.dtype == np.uint16
    assert list(zip(source.tolist(), k.tolist(), strict=True)) == brute(counts)


@given(COUNTS, st.integers(0, 300), st.integers(0, 300))
@settings(max_examples=300, deadline=None)
def test_any_slice_alone_equals_that_part_of_the_whole(counts: list[int], start: int, length: int) -> None:
    source, k = Schedule(counts).slice(start, start + length)
    assert list(zip(source.tolist(), k.tolist(), strict=True)) == brute(counts)[start : start + length]


@given(COUNTS.filter(lambda counts: sum(counts) > 4), st.data())
@settings(max_examples=300, deadline=None)
def test_every_window_keeps_the_shares_within_the_stated_bound(counts: list[int], data: st.DataObject) -> None:
    source, _ = Schedule(counts).slice(0, sum(counts))
    a = data.draw(st.integers(0, len(source)))
    b = data.draw(st.integers(a, len(source)))
    for s, n in enumerate(counts):
        expected = (b - a) * n / sum(counts)
        assert abs(int((source[a:b] == s).sum()) - expected) <= window_bound(counts, s) + 1e-9


def test_a_window_of_a_million_tokens_of_a_real_mixture() -> None:
    counts = [15_000, 1_000, 3_000, 900, 100]
    source, _ = Schedule(counts).slice(0, sum(counts))
    window = (1 << 20) // 4097
    for s, n in enumerate(counts):
        hits = np.concatenate(([0], np.cumsum(source == s)))
        seen = hits[window:] - hits[:-window]
        assert np.abs(seen - window * n / sum(counts)).max() <= window_bound(counts, s)
        assert window_bound(counts, s) <= 1 + 3 * n / sum(counts)


def test_a_shard_of_a_129b_corpus_takes_no_time_and_agrees_with_its_neighbour() -> None:
    schedule = Schedule([23_600_000, 1_570_000, 6_300_000, 17_001, 3])
    began = time.perf_counter()
    source, k = schedule.slice(20_000_000, 20_065_536)
    assert time.perf_counter() - began < 2
    other, other_k = schedule.slice(20_065_000, 20_066_000)
    assert np.array_equal(source[-536:], other[:536])
    assert np.array_equal(k[-536:], other_k[:536])
    for s in range(3):
        mine = k[source == s]
        assert (np.diff(mine) == 1).all()


CURVES = [
    Curve((0.0, 1.0), (0.5, 1.0)),  # begins half-way
    Curve((0.0, 0.5, 1.0), (0.0, 0.9, 1.0)),  # half of it in the last tenth
    Curve((0.0, 1.0), (0.3, 0.3)),  # all at once
]


@pytest.mark.parametrize("curve", CURVES)
@given(counts=COUNTS, start=st.integers(0, 200), length=st.integers(0, 200))
@settings(max_examples=60, deadline=None)
def test_annealed_slices_agree_with_the_whole(counts: list[int], start: int, length: int, curve: Curve) -> None:
    schedule = Schedule(counts, {0: curve})
    source, k = schedule.slice(0, len(schedule))
    part, part_k = schedule.slice(start, start + length)
    assert np.array_equal(source[start : start + length], part)
    assert np.array_equal(k[start : start + length], part_k)
    for s, n in enumerate(counts):
        assert k[source == s].tolist() == list(range(n))


def test_an_annealed_source_follows_its_curve() -> None:
    counts = [1000, 9000]
    schedule = Schedule(counts, {0: CURVES[0]})
    source, _ = schedule.slice(0, 10_000)
    assert (source == 0).argmax() == pytest.approx(4500, abs=2)
    assert (source[4500:] == 0).sum() == 1000
    halves = np.split(source[4500:] == 0, 2)
    assert abs(int(halves[0].sum()) - int(halves[1].sum())) <= 2


def test_nothing_is_scheduled_from_nothing() -> None:
    assert len(Schedule([0, 0]).slice(0, 10)[0]) == 0
    assert len(Schedule([]).slice(0, 10)[0]) == 0
    assert len(Schedule([3]).slice(3, 10)[0]) == 0
