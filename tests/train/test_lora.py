from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_models import FAMILIES, tiny_batch, tiny_config, tiny_model

from manifests.errors import BuildError, RecipeError
from train.attention import attention_kind, document_inputs
from train.lora import adapter_state, load_adapter, save_adapter
from train.loss import token_losses
from train.model import parameter_groups

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")

BATCH = tiny_batch([[5, 9, 14], [32]])
LORA = {"r": 4, "alpha": 8.0}


def step(model: Any, optimizer: Any) -> float:
    sums = token_losses(model, BATCH, n_sources=3, kind=attention_kind(model), chunk_tokens=9)
    (sums.loss / sums.tokens).backward()
    optimizer.step()
    optimizer.zero_grad()
    return float(sums.loss.detach() / sums.tokens)


def trained(model: Any, steps: int = 3) -> list[float]:
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.0), lr=1e-2)
    return [step(model, optimizer) for _ in range(steps)]


def logits(model: Any) -> Any:
    with torch.no_grad():
        return model(**document_inputs(BATCH, attention_kind(model), "cpu")).logits


@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_learns_is_saved_merged_and_loaded(tmp_path: Path, family: str) -> None:
    from peft import PeftModel

    config = tiny_config(tmp_path, family, lora=LORA)
    model = tiny_model(config)
    before = {name: p.detach().clone() for name, p in model.named_parameters() if not p.requires_grad}
    losses = trained(model)
    assert losses[-1] < losses[0]
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters() if name in before)

    state = adapter_state(model)
    n_linear = {"opt": 6 * 2 + 2}.get(family, 7 * 2)
    assert len(state) == 2 * n_linear
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    folder = tmp_path / "adapter"
    folder.mkdir()
    save_adapter(model, folder, state=state, base="somewhere/base")
    expected = logits(model.eval())

    again = tiny_model(config)
    load_adapter(again, folder)
    assert torch.equal(logits(again.eval()), expected), "resumed"

    read_by_peft = PeftModel.from_pretrained(tiny_model(tiny_config(tmp_path, family)), folder).eval()
    assert torch.equal(logits(read_by_peft), expected), "peft reads what we write"

    merged = model.merge_and_unload()
    assert (logits(merged) - expected).abs().max() < 1e-5
    assert (logits(tiny_model(tiny_config(tmp_path, family)).eval()) - expected).abs().max() > 1e-3


def test_the_adapter_alone_is_trained_and_saved(tmp_path: Path) -> None:
    from safetensors import safe_open

    model = tiny_model(tiny_config(tmp_path, lora=LORA | {"targets": ["q_proj", "v_proj"]}))
    names = {name for name, p in model.named_parameters() if p.requires_grad}
    assert len(names) == 2 * 2 * 2
    assert all("lora_" in name for name in names)
    trained(model, 2)
    save_adapter(model, tmp_path, state=adapter_state(model), base="b", dtype="bf16")
    with safe_open(str(tmp_path / "adapter_model.safetensors"), "pt") as file:
        assert {key.split(".lora_")[0].rpartition(".")[2] for key in file.keys()} == {"q_proj", "v_proj"}  # noqa: SIM118
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.bfloat16}  # noqa: SIM118


def test_an_adapter_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(tmp_path, lora=LORA))
    with pytest.raises(BuildError, match="every B is zero"):
        adapter_state(model)
    assert adapter_state(model, trained=False)
    with pytest.raises(BuildError, match="no tensors"):
        adapter_state(tiny_model(tiny_config(tmp_path)))


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(tmp_path, lora=LORA))
    save_adapter(model, tmp_path, state=adapter_state(model, trained=False), base="b")
    for other in ({"r": 2}, {"r": 4, "targets": ["q_proj"]}):
        with pytest.raises(BuildError, match="not of this model"):
            load_adapter(tiny_model(tiny_config(tmp_path, lora=other)), tmp_path)


def test_targets_that_are_no_modules_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"names no module .* down_proj, .* q_proj"):
        tiny_model(tiny_config(tmp_path, lora={"r": 2, "targets": ["query"]}))


def test_adapters_are_fp32_on_a_half_precision_base(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(tmp_path, model={"dtype": "bf16"}, lora=LORA))
    dtypes = {p.requires_grad: p.dtype for p in model.parameters()}
    assert dtypes == {True: torch.float32, False: torch.bfloat16}


def test_new_rows_of_the_embedding_train_with_the_adapter(tmp_path: Path) -> None:
    from train.model import finish_model

    config = tiny_config(tmp_path, lora=LORA)
    model = finish_model(tiny_model(config, adapters=False), config, new_tokens=[5, 6])
    table = model.get_input_embeddings()
    trained(model, 2)
    state = adapter_state(model)
    deltas = [name for name in state if "trainable_tokens_delta" in name]
    assert deltas, f"{table} has no rows that train"
    assert state[deltas[0]].shape == (2, 32)


def test_recomputed_layers_give_an_adapter_the_same_gradients(tmp_path: Path) -> None:
    found = []
    for recompute in ("none", "full"):
        model = tiny_model(tiny_config(tmp_path, model={"recompute": recompute}, lora=LORA))
        token_losses(model, BATCH, n_sources=3, kind="sdpa", chunk_tokens=9).loss.backward()
        found.append({name: p.grad for name, p in model.named_parameters() if p.requires_grad})
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert any(gradient.any() for gradient in found[1].values())


def test_an_adapter_starts_from_the_seed(tmp_path: Path) -> None:
    def start(seed: int) -> Any:
        torch.rand(3)
        model = tiny_model(tiny_config(tmp_path, lora=LORA, run={"seed": seed}))
        return next(p.detach() for name, p in model.named_parameters() if "lora_A" in name)

    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))


@pytest.mark.parametrize("family", ["llama", "opt"])
@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_an_adapter_learns_on_a_quantised_base(tmp_path: Path, family: str, bits: str) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra `quantized` is not installed")
    wide = {"hidden_size": 64, "head_dim": 16, "word_embed_proj_dim": 64, "ffn_dim": 64, "intermediate_size": 64}
    shape = {name: wide[name] for name in wide if family == "llama" or name not in ("head_dim", "intermediate_size")}
    if family == "llama":
        shape = {name: shape[name] for name in ("hidden_size", "head_dim", "intermediate_size")}
    base = tmp_path / "base"
    plain = tiny_model(tiny_config(tmp_path, family, shape=shape))
    plain.save_pretrained(base)
    expected = trained(plain, 1)[0]
    section = {"base": str(base), "quantize": bits, "recompute": "full"}
    model = tiny_model(tiny_config(tmp_path, family, model=section, lora=LORA))
    stored = {p.dtype for p in model.parameters() if not p.requires_grad}
    assert {"8bit": torch.int8, "4bit": torch.uint8}[bits] in stored
    losses = trained(model)
    assert losses[0] == pytest.approx(expected, rel=0.1)
    assert losses[-1] < losses[0]
    assert adapter_state(model)
