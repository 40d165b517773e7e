"""New tokens of a base: resized with the mean, trained alone beside adapters, saved as peft saves them, merged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from manifests.errors import RecipeError
from train.config import RunConfig

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")

from tiny_models import LENGTH, VOCABULARY, tiny_batch, tiny_config, tiny_model  # noqa: E402

from train.added_tokens import merge_rows  # noqa: E402
from train.data import IGNORED, Batch  # noqa: E402
from train.lora import adapter_state, save_adapter  # noqa: E402
from train.loss import token_losses  # noqa: E402
from train.model import build_model  # noqa: E402

NEW = [VOCABULARY, VOCABULARY + 1, VOCABULARY + 2]
LORA = {"r": 4, "alpha": 8.0}
FAMILIES = ["llama", "mistral", "gemma3", "opt"]
"""Tied and not, with a scaled embedding, with projections."""


@pytest.fixture(params=FAMILIES)
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    shape = {"tie_word_embeddings": request.param not in ("mistral", "opt")}
    made = tiny_model(tiny_config(tmp_path, request.param, shape=shape))
    folder = tmp_path / "base"
    made.save_pretrained(folder)
    return folder


def config_of(base: Path, **sections: Any) -> RunConfig:
    sections = {"sft": {"added_tokens": NEW}, "lora": LORA} | sections
    return tiny_config(base.parent, model={"base": str(base)}, **sections)


def built(config: RunConfig) -> Any:
    return build_model(config, vocabulary=VOCABULARY + len(NEW), bos_id=0, eos_id=NEW[0], pad_id=1)


def batch() -> Batch:
    made = tiny_batch([[10, 9], [30]], seed=3)
    for row, place in ((0, 3), (0, 12), (1, 5), (1, 20)):
        made.input_ids[row, place] = NEW[place % 3]
        made.labels[row, place - 1] = NEW[place % 3]
    return made


def logits(model: Any, ids: Any) -> Any:
    from train.documents import document_inputs

    model.eval()
    with torch.no_grad():
        rows = [[LENGTH]] * len(ids)
        plain = tiny_batch(rows)
        plain.input_ids[:] = ids
        return model(**document_inputs(plain, "sdpa", "cpu")).logits


def test_rows_are_added_up_to_a_multiple_of_eight_and_begin_as_the_mean(base: Path) -> None:
    plain = build_model(config_of(base, sft={}, lora={}), vocabulary=VOCABULARY, bos_id=0, eos_id=1, pad_id=1)
    model = built(config_of(base, lora={}))
    for before, after in (
        (plain.get_input_embeddings(), model.get_input_embeddings()),
        (plain.get_output_embeddings(), model.get_output_embeddings()),
    ):
        assert after.weight.shape[0] == 136
        assert torch.equal(after.weight[:VOCABULARY], before.weight)
        mean = before.weight.mean(0)
        assert torch.allclose(after.weight[VOCABULARY:], mean.expand(8, -1), atol=1e-7)
        assert after.weight.requires_grad
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == (
        plain.get_output_embeddings().weight is plain.get_input_embeddings().weight
    )
    assert model.config.vocab_size == 136
    ids = tiny_batch([[LENGTH]]).input_ids
    assert torch.allclose(logits(model, ids)[..., :VOCABULARY], logits(plain, ids), atol=1e-6)


def test_rows_that_the_base_has_in_reserve_are_used_and_the_mean_is_of_tokens_alone(tmp_path: Path) -> None:
    tiny_model(tiny_config(tmp_path)).save_pretrained(tmp_path / "base")
    config = config_of(tmp_path / "base", sft={"added_tokens": [120, 121]}, lora={})
    plain = build_model(config_of(tmp_path / "base", sft={}, lora={}), vocabulary=120, bos_id=0, eos_id=1, pad_id=1)
    weight = build_model(config, vocabulary=122, bos_id=0, eos_id=1, pad_id=1).get_input_embeddings().weight
    before = plain.get_input_embeddings().weight
    assert weight.shape == before.shape
    assert torch.allclose(weight[120:122], before[:120].mean(0).expand(2, -1), atol=1e-7)
    assert torch.equal(weight[122:], before[122:])


def test_a_gap_below_the_first_new_token_is_refused(tmp_path: Path) -> None:
    tiny_model(tiny_config(tmp_path)).save_pretrained(tmp_path / "base")
    with pytest.raises(RecipeError, match="the first new token is 150, and the base has 128"):
        build_model(
            config_of(tmp_path / "base", sft={"added_tokens": [150]}), vocabulary=151, bos_id=0, eos_id=1, pad_id=1
        )


def test_the_new_rows_get_the_gradient_of_the_whole_matrix_and_nothing_else_of_it_any(base: Path) -> None:
    config = config_of(base)
    model, whole = built(config), built(config_of(base, lora={}))
    chunk = 7  # the output layer is called chunk by chunk, its hook too
    token_losses(model, batch(), n_sources=3, kind="sdpa", chunk_tokens=chunk).loss.backward()
    token_losses(whole, batch(), n_sources=3, kind="sdpa", chunk_tokens=chunk).loss.backward()
    trained = {name for name, one in model.named_parameters() if one.requires_grad}
    assert all("lora_" in name or name.endswith("token_adapter.trainable_tokens_delta") for name in trained)
    for side in ("get_input_embeddings", "get_output_embeddings"):
        module, other = getattr(model, side)(), getattr(whole, side)()
        assert module.weight.grad is None
        rows = getattr(module, "token_adapter", None) or model.get_input_embeddings().token_adapter
        gradient = rows.trainable_tokens_delta.grad
        assert gradient.abs().sum() > 0
        assert torch.allclose(gradient, other.weight.grad[NEW], rtol=1e-4, atol=1e-5)


def trained(model: Any, steps: int = 3) -> Any:
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=1e-2, weight_decay=0.0)
    for _ in range(steps):
        optimizer.zero_grad()
        token_losses(model, batch(), n_sources=3, kind="sdpa", chunk_tokens=0).loss.backward()
        optimizer.step()
    return model


def test_peft_loads_the_adapter_as_it_was_saved_and_merges_to_the_same_model(base: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    model = trained(built(config_of(base)))
    ids = batch().input_ids
    expected = logits(model, ids)
    plain = built(config_of(base, lora={}))
    assert (logits(plain, ids) - expected).abs().max() > 1e-2
    folder = tmp_path / "adapter"
    folder.mkdir()
    save_adapter(model, folder, state=adapter_state(model), base=str(base))
    theirs = PeftModel.from_pretrained(plain, str(folder))
    assert torch.allclose(logits(theirs, ids), expected, atol=1e-5)
    assert torch.allclose(logits(theirs.merge_and_unload(), ids), expected, atol=1e-4)


def test_merged_rows_leave_no_trace(base: Path, tmp_path: Path) -> None:
    model = trained(built(config_of(base)))
    ids = batch().input_ids
    expected = logits(model, ids)
    merge_rows(model)
    merged = model.merge_and_unload()
    assert torch.allclose(logits(merged, ids), expected, atol=1e-4)
    assert not [name for name in merged.state_dict() if "token_adapter" in name or "lora" in name]
    merged.save_pretrained(tmp_path / "merged")
    again = build_model(
        tiny_config(tmp_path, model={"base": str(tmp_path / "merged")}),
        vocabulary=VOCABULARY + len(NEW),
        bos_id=0,
        eos_id=NEW[0],
        pad_id=1,
    )
    assert torch.allclose(logits(again, ids), expected, atol=1e-4)


def test_labels_of_the_test_batch_hold_the_new_tokens() -> None:
    labels = batch().labels
    assert {NEW[0], NEW[2]} <= set(labels[labels != IGNORED].tolist())
