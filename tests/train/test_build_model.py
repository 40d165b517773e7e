from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_models import FAMILIES, LENGTH, VOCABULARY, tiny_batch, tiny_config, tiny_model

from manifests.errors import RecipeError
from train.attention import attention_kind
from train.loss import token_losses
from train.model import build_model, parameter_groups, repair_rotary

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")

BATCH = tiny_batch([[5, 9, 14], [32]])


def saved(folder: Path, family: str = "llama", **options: Any) -> Path:
    """A tiny base on disk."""
    base = folder / "base"
    tiny_model(tiny_config(folder, family, **options)).save_pretrained(base)
    return base


def loss(model: Any) -> Any:
    return token_losses(model, BATCH, n_sources=3, kind=attention_kind(model), chunk_tokens=9).loss


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_is_a_base_with_the_same_loss(tmp_path: Path, family: str) -> None:
    base = saved(tmp_path, family)
    expected = loss(tiny_model(tiny_config(tmp_path, family)))
    model = tiny_model(tiny_config(tmp_path, family, model={"base": str(base)}))
    assert loss(model).item() == pytest.approx(expected.item(), rel=1e-7)
    assert model.training


def test_new_weights_come_from_the_seed_alone(tmp_path: Path) -> None:
    def first(**options: Any) -> Any:
        torch.rand(7)
        return tiny_model(tiny_config(tmp_path, **options)).get_input_embeddings().weight.detach()

    state = torch.get_rng_state()
    weights = first(run={"seed": 3})
    assert torch.equal(weights, first(run={"seed": 3}, model={"attention": "eager"}))
    assert torch.equal(
        weights.bfloat16(), first(run={"seed": 3}, model={"dtype": "bf16"}, parallel={"engine": "deepspeed"})
    )
    assert not torch.equal(weights, first(run={"seed": 4}))
    torch.set_rng_state(state)
    tiny_model(tiny_config(tmp_path))
    assert torch.equal(torch.get_rng_state(), state), "the run's own random numbers are left alone"


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "default", "rope_theta": 1e4},
        {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4},
        {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4},
        {"rope_type": "yarn", "factor": 2.0, "rope_theta": 1e4, "original_max_position_embeddings": 32},
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
            "rope_theta": 1e4,
        },
    ],
    ids=lambda rope: rope["rope_type"],
)
def test_rotary_frequencies_are_fp32_again_after_a_cast(tmp_path: Path, rope: dict[str, Any]) -> None:
    model = tiny_model(tiny_config(tmp_path, shape={"rope_parameters": rope}))
    rotary = model.model.rotary_emb
    expected = rotary.inv_freq.clone()
    assert expected.dtype == torch.float32
    model.to(torch.bfloat16)
    assert model.model.rotary_emb.inv_freq.dtype == torch.bfloat16, "the trap is there"
    repair_rotary(model)
    assert rotary.inv_freq.dtype == torch.float32
    assert torch.equal(rotary.inv_freq, expected)
    assert torch.equal(rotary.original_inv_freq, expected)


def test_both_sets_of_a_local_and_global_model_are_repaired(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(tmp_path, "gemma3"))
    before = {name: b.clone() for name, b in model.named_buffers()}
    assert sum("inv_freq" in name for name in before) == 4
    model.to(torch.bfloat16)
    repair_rotary(model)
    after = dict(model.named_buffers())
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before if "inv_freq" in name or "scale" in name)


def test_matrices_decay_and_each_weight_is_updated_once(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(tmp_path, "opt"))
    decay, rest = parameter_groups(model, 0.1)
    assert (decay["weight_decay"], rest["weight_decay"]) == (0.1, 0.0)
    assert all(p.ndim == 2 for p in decay["params"])
    assert all(p.ndim == 1 for p in rest["params"])
    everything = [*decay["params"], *rest["params"]]
    assert len({id(p) for p in everything}) == len(everything) == len(list(model.parameters()))
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_recomputed_layers_give_the_same_loss_and_gradients(tmp_path: Path) -> None:
    calls: list[int] = []
    found = []
    for recompute in ("none", "full"):
        model = tiny_model(tiny_config(tmp_path, model={"recompute": recompute}))
        model.model.layers[0].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
        value = loss(model)
        value.backward()
        found.append((value.item(), [p.grad for p in model.parameters()]))
        assert len(calls) == {"none": 1, "full": 1 + 2}[recompute]
    assert found[0][0] == found[1][0]
    assert all(torch.equal(a, b) for a, b in zip(found[0][1], found[1][1], strict=True))


# torch's tracer looks at .grad of what it traces.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.parametrize(
    ("family", "recompute", "r"), [("llama", "none", 4), ("mistral", "full", 0), ("qwen2", "full", 4)]
)
def test_compiled_layers_compute_the_same(
    tmp_path: Path, family: str, recompute: str, r: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced whole, recomputed or not; what the tracer makes is run as it is, for the real compiler takes minutes."""
    import torch._dynamo

    traced: list[int] = []

    def backend(graph: Any, _inputs: Any) -> Any:
        traced.append(len(graph.graph.nodes))
        return graph.forward

    compile_layer = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda layer: compile_layer(layer, backend=backend, fullgraph=True))
    found = []
    for compiled in (False, True):
        section = {"compile": compiled, "recompute": recompute}
        model = tiny_model(tiny_config(tmp_path, family, model=section, lora={"r": r}))
        value = loss(model)
        value.backward()
        found.append((value.item(), [p.grad for p in model.parameters() if p.requires_grad]))
    torch._dynamo.reset()
    assert traced
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    for plain, other in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(other, plain, rtol=1e-4, atol=1e-4)


def test_dropout_of_a_base_is_off(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(tmp_path, "opt"))
    assert model.config.dropout == 0.0
    assert loss(model).item() == loss(model).item()


def refused(tmp_path: Path, family: str = "llama", **options: Any) -> str:
    with pytest.raises(RecipeError) as caught:
        tiny_model(tiny_config(tmp_path, family, **options))
    return str(caught.value)


def test_a_base_that_does_not_fit_the_shards_is_refused(tmp_path: Path) -> None:
    base = saved(tmp_path)
    config = tiny_config(tmp_path, model={"base": str(base)})
    with pytest.raises(RecipeError, match=r"knows 128 tokens, the shards use 129.*tokenizer"):
        build_model(config, vocabulary=VOCABULARY + 1, bos_id=0, eos_id=1, pad_id=1)
    assert "takes 64 positions, a row has 65" in refused(
        tmp_path, model={"base": str(base)}, data={"sequence_length": 65}
    )
    assert "takes 8 positions, a row has 32" in refused(tmp_path, shape={"max_position_embeddings": 8})


def test_a_base_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    assert "no such folder" in refused(tmp_path, model={"base": str(tmp_path / "nowhere")})
    base = saved(tmp_path)
    options: dict[str, Any] = {"model": {"base": str(base)}}
    weights = base / "model.safetensors"
    whole = weights.read_bytes()
    for data in (whole[:-1], whole[:100], b"", b"PK\x03\x04" + whole[4:]):
        weights.write_bytes(data)
        assert "not a whole safetensors file" in refused(tmp_path, **options)
    weights.unlink()
    assert "lacks model.safetensors" in refused(tmp_path, **options)
    (base / "pytorch_model.bin").write_bytes(b"x")
    assert "a pickle that could run code" in refused(tmp_path, **options)
    (base / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "one.safetensors"}}))
    assert "lacks one.safetensors" in refused(tmp_path, **options)
    (base / "config.json").write_text("{")
    assert "is not JSON" in refused(tmp_path, **options)
    (base / "config.json").unlink()
    assert "no file" in refused(tmp_path, **options)


def test_weights_that_the_config_asks_for_and_the_file_lacks_are_refused(tmp_path: Path) -> None:
    base = saved(tmp_path)
    shape = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(shape | {"num_hidden_layers": 3, "layer_types": None}))
    assert "lacks 9 weights" in refused(tmp_path, model={"base": str(base)})
    (base / "config.json").write_text(json.dumps(shape | {"intermediate_size": 64}))
    assert "mismatch" in refused(tmp_path, model={"base": str(base)}).lower()


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({"model_type": "bert"}, "looks ahead"),
        ({"model_type": "t5"}, "left to right"),
        ({"model_type": "bloom", "n_head": 4}, "own way"),
        ({"model_type": "nothing"}, "not understood"),
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else "",
)
def test_architectures_that_cannot_be_done_are_refused_by_name(
    tmp_path: Path, shape: dict[str, Any], reason: str
) -> None:
    (tmp_path / "llama.json").unlink(missing_ok=True)
    with pytest.raises(RecipeError, match=reason) as caught:
        tiny_model(tiny_config(tmp_path, shape=shape))
    assert shape["model_type"] in str(caught.value)


def test_a_quantised_base_without_its_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = saved(tmp_path)
    monkeypatch.setattr("train.quantized.find_spec", lambda _: None)
    options: dict[str, Any] = {"model": {"base": str(base), "quantize": "4bit"}, "lora": {"r": 2}}
    assert "pip install" in refused(tmp_path, **options)
    options["model"] = {"quantize": "4bit"}
    assert "Random weights" in refused(tmp_path, **options)


def test_the_length_of_a_row_may_be_the_models_own(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(tmp_path, "opt", shape={"max_position_embeddings": LENGTH}))
    assert torch.isfinite(loss(model))
