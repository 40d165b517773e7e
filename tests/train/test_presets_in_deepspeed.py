"""Every preset as DeepSpeed reads it, and every shape as transformers builds it (T12)."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from train.architecture import from_config_json
from train.config import load_config, presets
from train.plan import ranks_of

pytestmark = pytest.mark.slow
WITH_DEEPSPEED = [name for name in presets() if load_config(name).parallel.engine == "deepspeed"]
SHAPES = sorted(
    entry.name.removesuffix(".json")
    for entry in (resources.files("train") / "presets").iterdir()
    if entry.name.endswith(".json")
)


@pytest.mark.parametrize("name", WITH_DEEPSPEED)
def test_a_preset_parses_in_deepspeed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deepspeed = pytest.importorskip("deepspeed")
    from train.engine_deepspeed import deepspeed_config

    config = load_config(name)
    world = ranks_of(config)
    table = deepspeed_config(config, world)
    # As if that many ranks had joined: it checks the batch against them.
    monkeypatch.setattr("deepspeed.runtime.config.dist.get_rank", lambda: 0)
    monkeypatch.setattr("deepspeed.runtime.config.dist.get_world_size", lambda: world)
    parsed = deepspeed.DeepSpeedConfig(json.loads(json.dumps(table)))
    assert parsed.world_size == world
    zero: Any = parsed.zero_config
    assert zero.stage == config.parallel.zero_stage
    assert parsed.train_micro_batch_size_per_gpu == config.batch.micro_rows
    assert parsed.gradient_accumulation_steps == config.batch.accumulation
    rows = config.batch.rows or config.batch.micro_rows * config.batch.accumulation * world
    assert parsed.train_batch_size == rows
    assert parsed.gradient_clipping == config.optim.clip
    assert parsed.bfloat16_config.enabled == (config.model.dtype == "bf16")
    assert zero.zero_hpz_partition_size == config.parallel.hpz
    assert (zero.offload_optimizer is not None) == config.parallel.offload_optimizer
    assert zero.overlap_comm is False
    assert '"auto"' not in json.dumps(table)


@pytest.mark.parametrize("name", SHAPES)
def test_transformers_builds_as_many_parameters_as_are_counted(name: str) -> None:
    torch = pytest.importorskip("torch")
    from transformers import AutoConfig, AutoModelForCausalLM

    table = json.loads((resources.files("train") / "presets" / f"{name}.json").read_text())
    table.setdefault("vocab_size", 8192)
    shape = AutoConfig.for_model(**table)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape)
    model.tie_weights()
    assert sum(weight.numel() for weight in model.parameters()) == from_config_json(table, where=name).parameters


FAMILIES: list[dict[str, Any]] = [
    {"model_type": "mistral", "intermediate_size": 96, "num_key_value_heads": 2},
    {"model_type": "qwen2", "intermediate_size": 96, "num_key_value_heads": 2, "tie_word_embeddings": True},
    {"model_type": "qwen3", "intermediate_size": 96, "num_key_value_heads": 2, "head_dim": 24},
    {"model_type": "gemma", "intermediate_size": 96, "num_key_value_heads": 1, "head_dim": 32},
    {"model_type": "gemma2", "intermediate_size": 96, "num_key_value_heads": 1, "head_dim": 32},
    {"model_type": "gemma3_text", "intermediate_size": 96, "num_key_value_heads": 1, "head_dim": 32},
    {"model_type": "llama", "intermediate_size": 96, "attention_bias": True, "mlp_bias": True},
    {"model_type": "opt", "ffn_dim": 96, "word_embed_proj_dim": 64, "max_position_embeddings": 128},
    {"model_type": "opt", "ffn_dim": 96, "word_embed_proj_dim": 64, "enable_bias": False},
]


@pytest.mark.parametrize("more", FAMILIES, ids=lambda table: table["model_type"])
def test_every_family_is_counted_as_transformers_builds_it(more: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    from transformers import AutoConfig, AutoModelForCausalLM

    table = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 500, **more}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**table))
    model.tie_weights()
    assert sum(weight.numel() for weight in model.parameters()) == from_config_json(table, where="here").parameters
