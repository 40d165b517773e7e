"""`plan` against the tables worked out by hand before it was written (facts, sections 2.9, 3.1, 3.3 and 4.3)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from manifests.errors import RecipeError
from train.architecture import Architecture, architecture_of, from_config_json
from train.communication import traffic
from train.config import RunConfig, load_config, presets
from train.fitting import changed
from train.hardware import ANCHORS, GPUS, anchors_for, gpu_named
from train.memory import base_bytes, checkpointed, logits, memory
from train.plan import Plan, Tokens, make_plan, standing_still
from train.plan_screen import plan_facts, plan_screen
from train.throughput import flops_per_token

GIB = 1 << 30
TOKENS_129B = Tokens({"biomedical": 96_750_000_000, "clinical": 6_450_000_000, "general": 25_800_000_000}, "Me-LLaMA")
SIZES = ("1b", "3b", "7b", "8b", "13b", "70b")
BASES = {
    "1b": "meta-llama/Llama-3.2-1B",
    "3b": "meta-llama/Llama-3.2-3B",
    "7b": "meta-llama/Llama-2-7b-hf",
    "8b": "meta-llama/Meta-Llama-3-8B",
    "13b": "meta-llama/Llama-2-13b-hf",
    "70b": "meta-llama/Llama-2-70b-hf",
}
PARAMETERS = {
    "1b": 1_235_814_400,
    "3b": 3_212_749_824,
    "7b": 6_738_415_616,
    "8b": 8_030_261_248,
    "13b": 13_015_864_320,
    "70b": 68_976_648_192,
}
"""As the checkpoints' own files add up; the 1B and 3B tie their output to the embedding."""


def config_of(size: str, *overrides: str) -> RunConfig:
    common = [f'model.base="{BASES[size]}"', "data.sequence_length=4096", "batch.micro_rows=1"]
    return load_config("lora-70b", [*common, *overrides])


def shape_of(size: str) -> Architecture:
    return architecture_of(config_of(size))


def planned(preset: str, *overrides: str, tokens: Tokens = TOKENS_129B) -> Plan:
    config = load_config(preset, overrides)
    return make_plan(config, architecture_of(config, vocabulary=tokens.vocabulary), tokens)


@pytest.mark.parametrize("size", SIZES)
def test_parameters_are_counted_exactly(size: str) -> None:
    assert shape_of(size).parameters == PARAMETERS[size]


# Section 3.3, row "full, 16 B/param (18)": whole GiB there, so half a GiB and a rounding of 18 against 17.9.
FULL = {"1b": (18, 21), "3b": (48, 54), "7b": (100, 113), "8b": (120, 135), "13b": (194, 218), "70b": (1028, 1156)}


@pytest.mark.parametrize("size", SIZES)
def test_states_of_full_training(size: str) -> None:
    config = config_of(size, "lora.r=0", "parallel.zero_stage=1", 'parallel.gradients="model"')
    states = memory(shape_of(size), config, data_parallel=1)
    without, whole = FULL[size]
    assert states.states / GIB == pytest.approx(whole, abs=0.6)
    assert (states.states - states.gradient_copy) / GIB == pytest.approx(without, abs=0.6)
    torch_engine = changed(config, parallel={"engine": "torch"})
    assert memory(shape_of(size), torch_engine, data_parallel=1).states == states.states


# Row "LoRA bf16 base": one decimal there.
BF16_BASE = {"1b": 2.3, "3b": 6.0, "7b": 12.6, "8b": 15.0, "13b": 24.2, "70b": 128.5}
# Rows "int8" and "nf4" there take 1.05 and 0.56 bytes for EVERY weight. bitsandbytes leaves embeddings and output in 16
# bits, which is 1.1 GB more for a Llama-3 8B: the published nf4 file of it has 5.7 GB, not 4.5. So the cells are met by
# the linear layers and embeddings as the table counted them; what `plan` says more is exactly the 16-bit part.
INT8_BASE = {"1b": 1.2, "3b": 3.1, "7b": 6.6, "8b": 7.9, "13b": 12.7, "70b": 67.5}
NF4_BASE = {"1b": 0.6, "3b": 1.7, "7b": 3.5, "8b": 4.2, "13b": 6.8, "70b": 36}


@pytest.mark.parametrize("size", SIZES)
def test_frozen_bases(size: str) -> None:
    shape, stage = shape_of(size), "parallel.zero_stage=2"
    assert base_bytes(shape, config_of(size)) / GIB == pytest.approx(BF16_BASE[size], abs=0.06)
    rest = shape.parameters - shape.linear_parameters
    for kind, table, assumed in (("8bit", INT8_BASE, 1.05), ("4bit", NF4_BASE, 0.56)):
        found = base_bytes(shape, config_of(size, f'model.quantize="{kind}"', stage))
        as_the_table = (found - 2 * rest) + assumed * rest
        # 5 and 8 % less: the table's 1.05 and 0.56 against 1.0 and 0.516 (double quantisation of the scales).
        assert as_the_table / GIB == pytest.approx(table[size], rel=0.09, abs=0.06), kind
        assert found > as_the_table


def test_an_nf4_llama_3_8b_is_as_large_as_its_published_file() -> None:
    found = base_bytes(shape_of("8b"), config_of("8b", 'model.quantize="4bit"', "parallel.zero_stage=2"))
    assert found / 1e9 == pytest.approx(5.70, abs=0.03)  # unsloth/llama-3-8b-bnb-4bit: 5.70 GB of safetensors


# Rows "checkpointed activations" and "logits without fused CE", per 4,096 tokens.
ACTIVATIONS = {"1b": 0.25, "3b": 0.66, "7b": 1.0, "8b": 1.0, "13b": 1.6, "70b": 5.0}
LOGITS = {"1b": 4.9, "3b": 4.9, "7b": 1.2, "8b": 4.9, "13b": 1.2, "70b": 1.2}


@pytest.mark.parametrize("size", SIZES)
def test_activations_and_logits(size: str) -> None:
    shape = shape_of(size)
    assert checkpointed(shape, 4096) / GIB == pytest.approx(ACTIVATIONS[size], abs=0.05)
    assert logits(shape, config_of(size), 1) / GIB == pytest.approx(LOGITS[size], abs=0.05)
    quarter = changed(config_of(size), model={"loss_chunk_tokens": 1024})
    assert logits(shape, quarter, 1) == logits(shape, config_of(size), 1) / 4


# Section 3.1: GFLOP per token at 4,096, two decimals of agreement.
GFLOP = {"1b": 8.2, "3b": 21.4, "7b": 42.9, "8b": 48.2}


@pytest.mark.parametrize("size", GFLOP)
def test_operations_by_token(size: str) -> None:
    assert flops_per_token(shape_of(size), 4096) / 1e9 == pytest.approx(GFLOP[size], abs=0.06)


# Section 4.3: 70B on A100, tokens/s a GPU, all 160, GPU-hours and days; GPU-hours and days of the 13B. The table's
# tokens/s include attention and count the embedding (0.4 %); its hours are 6ND without attention, so those of `plan`
# are 3.5 % (70B) and 6.3 % (13B) more. Compared like with like, all agree within 0.6 %.
TABLE_4_3 = {
    0.35: (254, 40.6e3, 136e3, 35.4, 25.6e3, 6.7),
    0.40: (290, 46.4e3, 119e3, 30.9, 22.4e3, 5.8),
    0.45: (327, 52.3e3, 106e3, 27.5, 19.9e3, 5.2),
    0.50: (363, 58.1e3, 95e3, 24.8, 17.9e3, 4.7),
    0.53: (385, 61.6e3, 90e3, 23.3, 16.9e3, 4.4),
}


@pytest.mark.parametrize("mfu", TABLE_4_3)
def test_days_of_160_gpus(mfu: float, monkeypatch: pytest.MonkeyPatch) -> None:
    each, together, hours_70b, days_70b, hours_13b, days_13b = TABLE_4_3[mfu]
    monkeypatch.setattr("train.throughput.anchors_for", lambda *_: [replace(ANCHORS[0], mfu=mfu)])
    for preset, hours, days in (("mellama-70b", hours_70b, days_70b), ("mellama-13b", hours_13b, days_13b)):
        plan = planned(preset)
        shape = architecture_of(load_config(preset))
        assert plan.speed is not None
        assert plan.gpu_hours is not None
        assert plan.days is not None
        # The table left attention out of the hours, and looked-up embeddings in.
        like = 6 * shape.parameters / plan.flops_per_token
        assert plan.gpu_hours[0] * like == pytest.approx(hours, rel=0.006)
        assert plan.days[0] * like == pytest.approx(days, rel=0.012)  # one decimal there
        if preset == "mellama-70b":
            assert plan.speed.low == pytest.approx(each, rel=0.006)
            assert plan.speed.low * plan.gpus == pytest.approx(together, rel=0.006)


def test_mellama_70b_as_worked_out_by_hand() -> None:
    plan = planned("mellama-70b")
    assert (plan.gpus, plan.rows_per_step, plan.tokens_per_step) == (160, 2560, 10_485_760)
    # 12,302 and 615 there; a row also trains the token after it, so there are 0.02 % fewer.
    assert plan.steps == pytest.approx(12_302, abs=3)
    assert plan.warmup_steps == 615
    assert plan.checkpoint_bytes / 1e9 == pytest.approx(966, abs=1)
    assert plan.checkpoint_bytes / 160 / 1e9 == pytest.approx(6, abs=0.05)
    assert plan.checkpoint_seconds == pytest.approx(97, abs=0.5)
    assert plan.export_bytes / 1e9 == pytest.approx(138, abs=0.5)
    assert plan.total_tokens == 129_000_000_000
    assert plan.fits
    assert not plan.sequence_length_published


def test_traffic_of_zero_3_behind_eight_cards_and_one() -> None:
    shape, config = shape_of("70b"), load_config("mellama-70b")
    eight = traffic(shape, config, GPUS["a100-80"])
    assert eight.bytes / 1e9 == pytest.approx(414, abs=1)
    assert eight.seconds == pytest.approx(2.1, abs=0.05)
    assert eight.compute_seconds == pytest.approx(9.7, rel=0.04)  # attention left out there
    one = traffic(shape, changed(config, cluster={"node_gigabytes_per_second": 25.0}), GPUS["a100-80"])
    assert one.seconds == pytest.approx(16.6, abs=0.1)
    assert one.ratio > 1 > 0.5 > eight.ratio
    told = " ".join(planned("mellama-70b", "cluster.node_gigabytes_per_second=25").notes)
    assert "tensor_parallel = 8 with zero_stage = 1 and accumulation = 128" in told
    assert "hpz = 8" in told
    assert "too much to hide" not in " ".join(planned("mellama-70b").notes)


# Section 2.9, GiB of states by GPU. Gradients are 16-bit there.
LAYOUTS = [
    ("1b", 1, 1, "lora.r=0 parallel.zero_stage=1", 21, 0.5),
    ("3b", 1, 1, "lora.r=0 parallel.zero_stage=1", 54, 0.5),
    ("7b", 1, 1, "lora.r=0 parallel.zero_stage=1", 113, 0.5),
    ("7b", 8, 1, "lora.r=0 parallel.zero_stage=1", 36, 0.5),
    ("13b", 8, 1, "lora.r=0 parallel.zero_stage=3", 27, 0.5),
    ("13b", 8, 1, "lora.r=0 parallel.zero_stage=1", 70, 0.5),
    ("13b", 160, 1, "lora.r=0 parallel.zero_stage=1", 50, 0.5),
    ("70b", 160, 1, "lora.r=0 parallel.zero_stage=3", 7.2, 0.05),
    ("70b", 20, 8, "lora.r=0 parallel.zero_stage=1 parallel.tensor_parallel=8", 38, 0.5),
    ("70b", 8, 1, "parallel.zero_stage=3", 16, 0.6),  # adapters of rank 16 are 0.2 GiB of it
]


@pytest.mark.parametrize(("size", "data_parallel", "tensor", "keys", "expected", "tolerance"), LAYOUTS)
def test_layouts(size: str, data_parallel: int, tensor: int, keys: str, expected: float, tolerance: float) -> None:
    config = config_of(size, *keys.split(), 'parallel.gradients="model"')
    assert config.parallel.tensor_parallel == tensor
    found = memory(shape_of(size), config, data_parallel=data_parallel)
    assert found.states / GIB == pytest.approx(expected, abs=tolerance)


def test_zero_plus_plus_keeps_a_second_copy_in_the_node() -> None:
    plain = load_config("mellama-70b")
    with_copy = changed(plain, parallel={"hpz": 8})
    more = (memory(shape_of("70b"), with_copy, data_parallel=160).buffers) - (
        memory(shape_of("70b"), plain, data_parallel=160).buffers
    )
    assert more / GIB == pytest.approx(16, abs=0.1)


def test_fp32_gradients_do_not_fit_stage_1_at_13b_and_the_nearest_that_fits_is_named() -> None:
    plan = planned("mellama-13b", "parallel.zero_stage=1", 'model.recompute="none"')
    assert not plan.fits
    assert "parallel.zero_stage = 2" in " ".join(plan.nearest)
    for words in ("parallel.zero_stage = 3", "cluster.gpu = 'h200-141'"):
        assert words in plan.nearest, plan.nearest
    assert planned("mellama-13b", "parallel.zero_stage=2").fits


def test_what_the_nearest_says_does_fit() -> None:
    plan = planned("lora-70b-8bit", 'cluster.gpu="a100-80"')
    assert not plan.fits
    assert "model.quantize = '4bit'" in plan.nearest
    assert planned("lora-70b-8bit", 'cluster.gpu="a100-80"', "model.quantize=4bit").fits


def test_a_micro_batch_that_does_not_fit_is_made_smaller_and_the_step_kept() -> None:
    plan = planned("1b-1gpu", "batch.micro_rows=64", "batch.accumulation=1", 'cluster.gpu="a100-80"')
    assert plan.fits
    assert plan.micro_rows < 64
    assert plan.micro_rows * plan.accumulation == 64
    assert "is the same step" in " ".join(plan.notes)


def test_rows_that_ranks_cannot_share_are_refused_with_sizes_that_work() -> None:
    with pytest.raises(RecipeError, match=r"512 rows .* 120 ranks .* Take 16, 32, 64, 128"):
        planned("meditron-70b", "cluster.nodes=15")


@pytest.mark.parametrize(("lr", "share"), [(8e-6, 0.845), (1.5e-4, 0.002)])
def test_bf16_weights_stand_still(lr: float, share: float) -> None:
    assert standing_still(lr) == pytest.approx(share, abs=0.001)


def test_pure_bf16_is_refused_aloud_where_it_would_not_train() -> None:
    assert "84.5% of bf16 weights would not move" in " ".join(planned("mellama-70b").notes)
    assert "would not move" not in " ".join(planned("meditron-70b").notes)
    with pytest.raises(RecipeError, match="master"):
        load_config("mellama-70b", ["optim.master=bf16"])


def test_meditrons_pipeline_is_said_to_be_missing() -> None:
    told = " ".join(planned("meditron-70b").notes)
    assert "no pipeline stage" in told
    assert "medtrove export megatron --launch meditron-70b" in told
    assert "no pipeline stage" not in " ".join(planned("meditron-7b").notes)


@pytest.mark.parametrize("name", presets())
def test_every_preset_plans_and_fits(name: str) -> None:
    tokens = replace(TOKENS_129B, vocabulary=8192) if load_config(name).model.architecture else TOKENS_129B
    plan = planned(name, tokens=tokens)
    assert plan.name == name
    assert plan.fits
    assert plan.rows_per_step == plan.micro_rows * plan.accumulation * plan.data_parallel
    assert plan.micro_rows == load_config(name).batch.micro_rows
    json.dumps(plan_facts(plan))
    plan_screen(plan)


def test_a_preset_says_which_of_its_keys_nobody_published() -> None:
    for name in presets():
        config = load_config(name)
        for key in config.published.ours:
            section, _, field = key.partition(".")
            assert hasattr(getattr(config, section), field), (name, key)
        assert bool(config.published.source) or not config.published.sequence_length


def test_every_published_speed_says_whose_it_is() -> None:
    for anchor in ANCHORS:
        assert 0.2 < anchor.mfu < 0.65
        assert anchor.who
    for gpu in GPUS.values():
        assert len(anchors_for(gpu, 7_000_000_000)) >= 2
    with pytest.raises(RecipeError, match="a100-80"):
        gpu_named("a100")


OTHERS = [
    ({"model_type": "mistral", "num_key_value_heads": 8, "intermediate_size": 14336}, 7_241_732_096),
    (
        {"model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24}
        | {"num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True},
        494_032_768,
    ),
    (
        {"model_type": "gemma", "hidden_size": 2048, "intermediate_size": 16384, "num_hidden_layers": 18}
        | {"num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 256, "vocab_size": 256000},
        2_506_172_416,
    ),
    (
        {"model_type": "opt", "hidden_size": 768, "ffn_dim": 3072, "num_hidden_layers": 12, "vocab_size": 50272}
        | {"num_attention_heads": 12, "max_position_embeddings": 2048, "word_embed_proj_dim": 768},
        125_239_296,
    ),
]


@pytest.mark.parametrize(("table", "parameters"), OTHERS)
def test_other_families_are_counted_exactly(table: dict[str, object], parameters: int) -> None:
    common = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 32000}
    assert from_config_json({**common, **table}, where="test").parameters == parameters


def test_an_unknown_family_is_refused_by_name() -> None:
    with pytest.raises(RecipeError, match="'mamba'"):
        from_config_json({"model_type": "mamba"}, where="test")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["parallel.hpz=3"], "hpz = 3 with 8 ranks"),
        (["parallel.zero_stage=1", "parallel.tensor_parallel=3"], "= 3 with 160 ranks"),
        (["parallel.zero_stage=0", "parallel.offload_optimizer=true"], "offload_optimizer without ZeRO"),
        (["published.layout=[8, 8]"], "layout has 2 numbers"),
    ],
)
def test_layouts_that_cannot_be_are_refused(overrides: list[str], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load_config("mellama-70b", overrides)


def test_a_quantised_base_is_not_cut() -> None:
    with pytest.raises(RecipeError, match="quantize = '4bit' with tensor_parallel = 2"):
        load_config("lora-70b-4bit", ["parallel.tensor_parallel=2", "parallel.zero_stage=1"])
