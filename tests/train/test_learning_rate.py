from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.config import OptimSection
from train.learning_rate import learning_rate


def curve(optim: OptimSection, rows: int, rows_per_step: int) -> list[float]:
    return [
        learning_rate(optim, rows_done=done, rows_per_step=rows_per_step, total_rows=rows)
        for done in range(0, rows, rows_per_step)
    ]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("rows_per_step", [10, 40, 50])
def test_another_batch_size_keeps_the_curve(schedule: str, rows_per_step: int) -> None:
    optim = OptimSection(lr=1e-3, min_lr=1e-4, warmup=0.1, schedule=schedule)  # type: ignore[arg-type, call-arg]
    fine = curve(optim, 4000, 1)
    coarse = curve(optim, 4000, rows_per_step)
    for step, rate in enumerate(coarse):
        rows = fine[step * rows_per_step : (step + 1) * rows_per_step]
        assert rate == pytest.approx(sum(rows) / len(rows), rel=0.03)
    assert sum(coarse) * rows_per_step == pytest.approx(sum(fine), rel=1e-3)


def test_the_shape_is_the_one_of_the_formula() -> None:
    optim = OptimSection(lr=8e-6, warmup=0.05, schedule="cosine")  # type: ignore[call-arg]
    rates = curve(optim, 100_000, 1)
    assert rates[0] == pytest.approx(8e-6 * 0.5 / 5000)
    assert max(rates) == pytest.approx(8e-6, rel=1e-3)
    assert rates.index(max(rates)) in (4999, 5000)
    assert rates[52_500] == pytest.approx(4e-6, rel=1e-3)
    assert rates[-1] < 1e-12
    three_quarters = 5000 + 95_000 * 3 // 4
    assert rates[three_quarters] == pytest.approx(8e-6 * (1 + math.cos(0.75 * math.pi)) / 2, rel=1e-3)


def test_warmup_by_steps() -> None:
    optim = OptimSection(lr=1.0, warmup=0.0, warmup_steps=4, schedule="constant")  # type: ignore[call-arg]
    assert curve(optim, 100, 10)[:6] == pytest.approx([0.125, 0.375, 0.625, 0.875, 1.0, 1.0])


@given(st.integers(1, 300), st.integers(1, 400), st.floats(0, 0.9))
def test_it_stays_between_its_bounds(rows: int, rows_per_step: int, warmup: float) -> None:
    optim = OptimSection(lr=1e-3, min_lr=1e-5, warmup=warmup)  # type: ignore[call-arg]
    assert all(0 < rate <= 1e-3 for rate in curve(optim, rows, rows_per_step))
