from __future__ import annotations

import json
import math
from pathlib import Path

from train.config import load_config
from train.parity import compare, shrunken


def report(loss: float, norm: float) -> dict[str, list[float]]:
    return {"loss": [5.0, loss], "norm": [1.0, norm]}


def test_rounding_is_no_difference_and_anything_else_is() -> None:
    alone = report(5.0, 1.0)
    assert all(step.same for step in compare(report(5.0002, 1.0005), alone, "fp32"))
    assert [step.same for step in compare(report(5.002, 1.0), alone, "fp32")] == [True, False]
    assert [step.same for step in compare(report(5.0, 1.07), alone, "bf16")] == [True, False]
    assert [step.same for step in compare(report(5.0, 2.0), alone, "bf16")] == [True, False]
    assert [step.same for step in compare(report(math.nan, 1.0), alone, "bf16")] == [True, False]
    assert [step.same for step in compare(report(5.0, math.inf), alone, "bf16")] == [True, False]


def test_the_model_is_the_presets_own_with_two_layers(tmp_path: Path) -> None:
    config = load_config("sample")
    small = shrunken(config, tmp_path)
    shape = json.loads(Path(small.model.architecture).read_text())
    assert shape["num_hidden_layers"] == 2
    assert shape["hidden_size"] == 128
    assert small.parallel == config.parallel
    assert small.batch == config.batch
