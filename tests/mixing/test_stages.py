"""Stages: exact totals, curves that are the inverse of the integral, and how wrong a straight piece may be."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from manifests.errors import RecipeError
from manifests.windows import ANNEAL_PIECES
from mixing.schedule import Schedule
from mixing.stages import Stage, check_stages, stage_curves, total_shares

MELLAMA = {"bio": 15, "clinical": 1, "general": 4}
STAGES = [Stage(0.5, MELLAMA), Stage(0.75, {"bio": 1, "clinical": 1, "general": 0}), Stage(1.0, MELLAMA, anneal=True)]


def shares_at(progress: float, name: str) -> float:
    """By definition, stage by stage."""
    begin, before = 0.0, 0.0
    for stage in STAGES:
        after = stage.shares[name] / sum(stage.shares.values())
        if progress < stage.until:
            along = (progress - begin) / (stage.until - begin)
            return before + (after - before) * along if stage.anneal else after
        begin, before = stage.until, after
    return before


def test_totals_are_the_integrals_exactly() -> None:
    totals = total_shares(STAGES)
    assert totals["clinical"] == Fraction(1, 20) / 2 + Fraction(1, 2) / 4 + (Fraction(1, 2) + Fraction(1, 20)) / 2 / 4
    assert sum(totals.values()) == 1
    steps = (np.arange(200_000) + 0.5) / 200_000
    for name, total in totals.items():
        assert np.mean([shares_at(p, name) for p in steps[::50]]) == pytest.approx(float(total), abs=1e-3)


def test_one_stage_is_the_constant_mixture() -> None:
    assert total_shares([Stage(1.0, MELLAMA)]) == {
        "bio": Fraction(15, 20),
        "clinical": Fraction(1, 20),
        "general": Fraction(4, 20),
    }
    for curve in stage_curves([Stage(1.0, MELLAMA)]).values():
        assert (curve.used, curve.progress) == ((0.0, 1.0), (0.0, 1.0))


def test_curves_keep_the_shares_at_every_moment_within_half_a_piece() -> None:
    curves, totals = stage_curves(STAGES), total_shares(STAGES)
    for name, curve in curves.items():
        used, progress = np.asarray(curve.used), np.asarray(curve.progress)
        rising = np.diff(used) > 0
        slope = np.diff(used)[rising] / np.diff(progress)[rising] * float(totals[name])
        middle = ((progress[1:] + progress[:-1]) / 2)[rising]
        wanted = np.array([shares_at(p, name) for p in middle])
        assert np.abs(slope - wanted).max() < 1e-6, "a piece has the mean share of its stretch"
        ends = np.array([shares_at(p - 1e-9, name) for p in progress[1:][rising]])
        assert np.abs(slope - ends).max() <= 0.5 / ANNEAL_PIECES / 2 + 1e-6, (
            "and is wrong at its end by half its change"
        )


def test_a_part_that_rests_has_no_row_in_that_stage() -> None:
    totals, curves = total_shares(STAGES), stage_curves(STAGES)
    n = 100_000
    counts = [round(float(totals[name]) * n) for name in MELLAMA]
    source, _ = Schedule(counts, dict(enumerate(curves[name] for name in MELLAMA))).slice(0, n)
    assert not (source[50_002:74_998] == 2).any()
    for number, name in enumerate(MELLAMA):
        for start in range(0, n, 1000):
            wanted = sum(shares_at((start + k) / n, name) for k in range(0, 1000, 20)) / 50 * 1000
            assert abs(int((source[start : start + 1000] == number).sum()) - wanted) < 12


def test_parts_that_begin_late_or_end_early() -> None:
    stages = [Stage(0.5, {"x": 1, "y": 0}), Stage(1.0, {"x": 0, "y": 1})]
    curves = stage_curves(stages)
    assert (curves["x"].used, curves["x"].progress) == ((0.0, 1.0), (0.0, 0.5))
    assert (curves["y"].used, curves["y"].progress) == ((0.0, 1.0), (0.5, 1.0))
    source, _ = Schedule([500, 500], {0: curves["x"], 1: curves["y"]}).slice(0, 1000)
    assert source.tolist() == [0] * 500 + [1] * 500


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        ([Stage(0.5, MELLAMA)], "the last stage ends at 0.5"),
        ([Stage(0.5, MELLAMA), Stage(0.5, MELLAMA)], "stage 2 ends at 0.5, and it begins at 0.5"),
        ([Stage(1.0, {"bio": 1, "clinical": 1})], "stage 1 gives no share to 'general'"),
        ([Stage(1.0, {**MELLAMA, "other": 1})], "names 'other', which is no group"),
        ([Stage(1.0, MELLAMA, anneal=True)], "the first stage anneals"),
        ([Stage(1.0, dict.fromkeys(MELLAMA, 0))], "has the shares 0, 0, 0"),
        ([Stage(1.0, {**MELLAMA, "bio": -1})], "has the shares -1"),
        ([Stage(1.0, {**MELLAMA, "general": 0})], "'general' has no share in any stage"),
    ],
)
def test_stages_that_say_too_little_are_refused(stages: list[Stage], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        check_stages(stages, list(MELLAMA))
