"""Windows against the recipe's shares: the bound holds for every window of every schedule, and lies are seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.windows import Expectation, WindowDeviations
from mixing.schedule import Schedule
from mixing.stages import Stage, stage_curves, total_shares

PARTS = ("a", "b", "c")


@st.composite
def schedules(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[int], list[str]]:
    """Stages, rows of each source, and each source's part: as a recipe makes them, rows a little off the shares."""
    n_stages = draw(st.integers(1, 4))
    ends = sorted(draw(st.sets(st.integers(1, 19), min_size=n_stages - 1, max_size=n_stages - 1)))
    stages = []
    for number, end in enumerate([*ends, 20]):
        shares = {part: float(draw(st.integers(0, 9))) for part in PARTS}
        shares["a"] += 1.0 if not any(shares.values()) or number == 0 else 0.0
        stages.append({"until": end / 20, "shares": shares, "anneal": bool(number) and draw(st.booleans())})
    totals = total_shares([Stage(s["until"], s["shares"], anneal=s["anneal"]) for s in stages])
    n_rows = draw(st.integers(20, 3000))
    part_of, counts = [], []
    for part in PARTS:
        for share in draw(st.sampled_from([(1.0,), (0.5, 0.5), (0.9, 0.06, 0.04)])):
            part_of.append(part)
            counts.append(max(0, int(float(totals[part]) * n_rows * share) + draw(st.integers(-2, 2))))
            counts[-1] = counts[-1] if totals[part] else 0
    return stages, counts, part_of


def order(stages: list[dict[str, Any]], counts: list[int], part_of: list[str]) -> Any:
    curves = stage_curves([Stage(s["until"], s["shares"], anneal=s["anneal"]) for s in stages])
    used = {number: curves[part] for number, part in enumerate(part_of) if part in curves}
    return Schedule(counts, used).slice(0, sum(counts))[0]


@given(schedules(), st.integers(1, 400))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_every_window_is_within_the_bound(made: Any, window: int) -> None:
    stages, counts, part_of = made
    stages = [stage for stage in stages if any(stage["shares"].values())]
    totals = total_shares([Stage(s["until"], s["shares"], anneal=s["anneal"]) for s in stages])
    if not all(totals.values()) or not sum(counts):
        return
    source = order(stages, counts, part_of)
    expected = Expectation(counts, part_of, stages)
    found = WindowDeviations(expected, window)
    for start in range(0, len(source), 37):
        found.add(source[start : start + 37])
    assert (found.largest <= expected.bounds(window) + 1e-6).all()


@given(schedules(), st.integers(1, 60), st.integers(1, 50))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_largest_deviation_is_that_of_every_pair_of_positions(made: Any, window: int, step: int) -> None:
    _, counts, part_of = made
    counts = [min(n, 30) for n in counts]
    if not sum(counts):
        return
    expected = Expectation(counts, part_of)
    source = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    off = np.stack([np.concatenate(([0], np.cumsum(source == s))) for s in range(len(counts))], axis=1).astype(float)
    off -= expected(np.arange(len(source) + 1))
    largest = max(
        (np.abs(off[b] - off[a]) for a in range(len(off)) for b in range(a + 1, min(a + window, len(off) - 1) + 1)),
        key=lambda one: one.max(),
    ).max()
    found = WindowDeviations(expected, window)
    for start in range(0, len(source), step):
        found.add(source[start : start + step])
    assert found.largest.max() == pytest.approx(largest)


def test_a_window_that_begins_in_an_earlier_shard_is_seen_from_the_later_one() -> None:
    counts, part_of = [300, 100], ["a", "b"]
    source = np.random.default_rng(0).permutation(np.repeat([0, 1], counts))
    expected = Expectation(counts, part_of)
    whole = WindowDeviations(expected, 50)
    whole.add(source)
    parts = []
    for first in (0, 130, 260):
        one = WindowDeviations(expected, 50, first=max(0, first - 50))
        one.add(source[max(0, first - 50) : first + 130])
        parts.append(one.largest)
    assert np.maximum.reduce(parts) == pytest.approx(whole.largest)


def test_rows_in_another_order_than_the_recipe_says_break_the_bound() -> None:
    counts, part_of = [1500, 100, 400], ["a", "b", "c"]
    expected = Expectation(counts, part_of)
    swapped = Schedule(counts).slice(0, 2000)[0].copy()
    first, second = np.flatnonzero(swapped == 1)[10], np.flatnonzero(swapped == 1)[14]
    swapped[[first, second + 1]], swapped[second + 1 - 20] = 0, 1
    honest, lie = WindowDeviations(expected, 255), WindowDeviations(expected, 255)
    honest.add(Schedule(counts).slice(0, 2000)[0])
    lie.add(swapped)
    assert (honest.largest <= expected.bounds(255)).all()
    assert (lie.largest > expected.bounds(255)).any()


def test_the_bound_of_a_constant_and_of_an_annealed_mixture_at_full_size() -> None:
    # 129B tokens in rows of 4,097: 15:1:4, then 8:2:0 in the last fifth.
    counts, part_of = [22_668_000, 2_046_000, 6_772_000], ["a", "b", "c"]
    window = (1 << 20) // 4097
    assert Expectation(counts, part_of).bounds(window).max() < 1.75
    stages = [
        {"until": 0.8, "shares": {"a": 15.0, "b": 1.0, "c": 4.0}},
        {"until": 1.0, "shares": {"a": 8.0, "b": 2.0, "c": 0.0}, "anneal": True},
    ]
    # The share of "a" changes by 0.05: less than a row of 255 in any piece.
    assert Expectation(counts, part_of, stages).bounds(window).max() < 2.1
