from __future__ import annotations

import json
from itertools import product

import pytest

from manifests.errors import RecipeError
from train.config import load_config, presets
from train.engine import for_world
from train.engine_deepspeed import deepspeed_config


def values(table: object) -> list[object]:
    return [value for inner in table.values() for value in values(inner)] if isinstance(table, dict) else [table]


@pytest.mark.parametrize("preset", presets())
def test_it_is_complete_and_leaves_nothing_to_guess(preset: str) -> None:
    config = load_config(preset)
    table = deepspeed_config(config, config.parallel.tensor_parallel * config.parallel.sequence_parallel * 2)
    assert "auto" not in values(table)
    assert not {"optimizer", "scheduler"} & table.keys()
    json.dumps(table)
    zero = table["zero_optimization"]
    assert zero["overlap_comm"] is config.parallel.overlap_comm
    assert zero["stage3_gather_16bit_weights_on_model_save"] is True
    assert table["zero_force_ds_cpu_optimizer"] is False
    assert table["zero_allow_untested_optimizer"] is True


def test_batch_sizes_are_the_real_ones() -> None:
    for world, micro, gas in product((1, 2, 4), (1, 4), (1, 16)):
        table = deepspeed_config(
            load_config("sample", [f"batch.micro_rows={micro}", f"batch.accumulation={gas}"]), world
        )
        assert table["gradient_accumulation_steps"] == gas
        assert table["train_batch_size"] == world * micro * gas


def test_micro_batches_add_up_in_fp32() -> None:
    def dtype(*overrides: str) -> str:
        found = deepspeed_config(load_config("sample", ["model.dtype=bf16", *overrides]), 2)
        return str(found["data_types"]["grad_accum_dtype"])

    assert dtype() == "fp32"
    assert dtype("batch.accumulation=1") == "bf16"
    assert dtype("parallel.gradients=model") == "bf16"
    assert dtype("parallel.zero_stage=0") == "bf16"


def test_the_rows_of_a_step_stay_whatever_the_world() -> None:
    config = load_config("sample", ["batch.micro_rows=4", "batch.accumulation=2"])
    first = for_world(config, 4)
    assert (first.batch.rows, first.batch.micro_rows, first.batch.accumulation) == (32, 4, 2)
    for world, micro, gas in ((1, 4, 8), (2, 4, 4), (16, 2, 1), (32, 1, 1)):
        batch = for_world(config, world, rows=32).batch
        assert (batch.rows, batch.micro_rows, batch.accumulation) == (32, micro, gas)
    with pytest.raises(RecipeError, match="cannot be shared by 5 ranks"):
        for_world(config, 5, rows=32)
