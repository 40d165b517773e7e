"""What `plan` advises can be done: every change it names loads, fits, and is what this trainer's loop runs."""

from __future__ import annotations

import re

import pytest

from manifests.errors import RecipeError
from train.architecture import architecture_of
from train.combinations import check_runs
from train.config import load_config, presets
from train.plan import Plan, Tokens, make_plan


def planned(preset: str, *overrides: str) -> Plan:
    config = load_config(preset, overrides)
    return make_plan(config, architecture_of(config, vocabulary=8192), Tokens({"one": 10**9}, "a test"))


def keys_of(words: str) -> list[str]:
    """`parallel.zero_stage = 3 with model.recompute = 'full'` as --set takes it."""
    return [key.replace(" = ", "=") for key in re.findall(r"[a-z_]+\.[a-z0-9_]+ = [^ ;,]+", words)]


def test_every_change_that_is_named_can_be_made_and_is_enough() -> None:
    tried = set()
    for name in presets():
        for gpu in ("rtx4090-24", "a100-40", "a100-80"):
            for more in ([], ["lora.r=0"], ["model.compile=true"], ["model.recompute=none"], ["batch.rows=32"]):
                given = [f"cluster.gpu={gpu}", *more]
                try:
                    config = load_config(name, given)
                    plan = planned(name, *given)
                except RecipeError:
                    continue  # no such run, whatever its memory
                if not config.cluster.gpus_per_node or plan.fits:
                    continue
                for words in plan.nearest:
                    tried.add(words)
                    assert planned(name, *given, *keys_of(words)).fits, (name, given, words)
    assert len(tried) > 20


def test_gradients_are_reckoned_as_the_ranks_will_add_them_up() -> None:
    # 160 ranks share 2,560 rows in 16 micro-batches each, whatever `accumulation` says.
    told = planned("mellama-13b", "parallel.zero_stage=2")
    untold = planned("mellama-13b", "parallel.zero_stage=2", "batch.rows=2560", "batch.accumulation=1")
    assert untold.accumulation == 16
    assert untold.memory == told.memory
    alone = planned("mellama-13b", "parallel.zero_stage=2", "batch.accumulation=1")
    assert alone.memory.gradients == told.memory.gradients / 2


def test_what_is_better_than_exposed_traffic_is_first_of_all_what_this_loop_runs() -> None:
    notes = " ".join(planned("meditron-70b").notes)
    assert "micro_rows = 4 with accumulation = 1: 0.41" in notes
    assert "accumulation = 16 (elsewhere: not in this loop)" in notes
    other = planned("meditron-70b", "batch.micro_rows=4", "batch.accumulation=1")
    assert other.traffic is not None
    assert f"{other.traffic.ratio:.2f}" == "0.41"
    with pytest.raises(RecipeError, match="does not yet share tensors"):
        check_runs(load_config("meditron-70b", ["parallel.zero_stage=1", "parallel.tensor_parallel=8"]))


def test_a_checkpoint_has_the_size_that_was_measured() -> None:
    # Files of runs of `sample` in fp32: with DeepSpeed on two ranks, and of `sft-sample` with the torch engine.
    plan = planned("sample")
    assert plan.checkpoint_bytes == 16 * plan.parameters
    assert pytest.approx(16, rel=0.005) == 28_436_543 / 1_774_720
    alone = planned("sample", "parallel.engine=torch")
    assert alone.checkpoint_bytes == 12 * alone.parameters
    assert pytest.approx(12, rel=0.005) == 21_345_622 / 1_774_976
    assert planned("1b-1gpu").checkpoint_bytes == 12 * planned("1b-1gpu").parameters
    assert planned("8b-1gpu").checkpoint_bytes == 14 * planned("8b-1gpu").parameters
