from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from engine_run import run_engine
from tiny_shards import tiny_shards

pytestmark = pytest.mark.slow
DEEPSPEED = "deepspeed.runtime.engine.DeepSpeedEngine"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows with ragged masks: means of means would differ from the mean."""
    return tiny_shards(tmp_path_factory.mktemp("parity"), rows=60, loss_mask=True)


@pytest.fixture(scope="module")
def alone(shards: Path) -> dict[str, Any]:
    """Three steps of 16 rows on the torch engine: what every other arrangement has to repeat."""
    return run_engine(shards, "parallel.engine=torch", "batch.rows=16")


def same(found: dict[str, Any], expected: dict[str, Any], *, tolerance: float) -> None:
    assert found["tokens"] == expected["tokens"]
    assert not any(found["skipped"])
    for name in ("loss", "norm"):
        assert found[name] == pytest.approx(expected[name], rel=tolerance)
    for one, other in zip(found["by_source"], expected["by_source"], strict=True):
        assert one == pytest.approx(other, rel=tolerance)
    assert found["shapes"] == expected["shapes"]
    assert found["weights"] == pytest.approx(expected["weights"], rel=tolerance)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_every_zero_stage_computes_what_torch_does(shards: Path, alone: dict[str, Any], stage: int) -> None:
    found = run_engine(shards, f"parallel.zero_stage={stage}", "batch.rows=16", "batch.micro_rows=4", world=2)
    assert found["wrapper"] == DEEPSPEED
    assert found["rotary"] == ["torch.float32"]
    assert found["threads"] == 1
    assert "built successfully" not in found["output"], "no op is compiled at the start"
    same(found, alone, tolerance=2e-5)


@pytest.mark.parametrize(("world", "micro"), [(1, 4), (2, 8), (4, 4), (4, 1)])
def test_world_and_accumulation_change_neither_loss_nor_gradient(
    shards: Path, alone: dict[str, Any], world: int, micro: int
) -> None:
    found = run_engine(shards, "batch.rows=16", f"batch.micro_rows={micro}", world=world)
    same(found, alone, tolerance=2e-5)


def test_the_same_world_repeats_itself_to_the_last_bit(shards: Path) -> None:
    runs = [run_engine(shards, "batch.rows=16", "batch.micro_rows=4", world=2, AGAIN=str(n)) for n in range(2)]
    for name in ("loss", "norm", "by_source", "weights"):
        assert runs[0][name] == runs[1][name]


def half(stage: int, *more: str) -> Sequence[str]:
    return ("model.dtype=bf16", "batch.rows=16", "batch.micro_rows=4", f"parallel.zero_stage={stage}", *more)


@pytest.mark.parametrize("stage", [1, 3])
def test_half_precision_keeps_masters_and_rotary_in_fp32(shards: Path, alone: dict[str, Any], stage: int) -> None:
    found = run_engine(shards, *half(stage), world=2)
    assert found["rotary"] == found["master_dtypes"] == ["torch.float32"]
    assert found["weight_dtypes"] == ["torch.bfloat16"]
    assert found["loss"] == pytest.approx(alone["loss"], rel=2e-3)
    assert found["norm"] == pytest.approx(alone["norm"], rel=3e-2)


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_the_torch_engine_has_masters_too(shards: Path, alone: dict[str, Any], dtype: str) -> None:
    found = run_engine(shards, "parallel.engine=torch", f"model.dtype={dtype}", "batch.rows=16", "batch.micro_rows=4")
    assert found["rotary"] == found["master_dtypes"] == ["torch.float32"]
    assert not any(found["skipped"])
    assert found["loss"] == pytest.approx(alone["loss"], rel=2e-3)
    assert found["norm"] == pytest.approx(alone["norm"], rel=3e-2)
