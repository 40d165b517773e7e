from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_models import FAMILIES
from tiny_runs import tiny_run

from manifests.errors import CheckFailed, RecipeError
from train.taint import AGREEMENT, is_restricted

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")
pytest.importorskip("peft")

IDS = [[1, 5, 9, 100, 17, 3, 64, 81]]


def adapters(folder: Path, family: str = "llama", *, tokens: bool = False, **options: Any) -> tuple[Path, Any]:
    """A run with adapters on an exported bf16 base, and its engine; with `tokens` three that the base lacks."""
    from train.export import export

    small, _ = tiny_run(folder / "small", family)
    export(small, str(folder / "base"), dtype="bf16", without_tokenizer=True)
    more: dict[str, Any] = {"model": {"base": str(folder / "base")}, "lora": {"r": 4}, **options}
    if tokens:
        known = {"sha256": "0" * 64, "vocab_size": 131, "bos_id": 0, "eos_id": 1, "pad_id": 1}
        more |= {"sft": {"added_tokens": [128, 129, 130]}, "vocabulary": 131, "tokenizer": known}
    return tiny_run(folder / "lora", family, steps=3, **more)


def engine_logits(engine: Any) -> Any:
    from train.attention import plain_attention

    engine.module.eval()
    with torch.no_grad(), plain_attention(engine.module):
        return engine.module(input_ids=torch.tensor(IDS), use_cache=False).logits.float()


def merged(run: Path, output: Path, dtype: str = "fp32") -> Any:
    from train.merge import merge

    return merge(run, str(output), dtype=dtype, without_tokenizer=True)


def reloaded(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    with torch.no_grad():
        return AutoModelForCausalLM.from_pretrained(folder).eval()(input_ids=torch.tensor(IDS)).logits.float()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_merged_model_is_the_adapter_on_its_base(tmp_path: Path, family: str) -> None:
    """T9: the engine's logits, those of the merged folder, and those of peft's own reading of the exported adapter."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from train.export import export

    run, engine = adapters(tmp_path, family)
    expected = engine_logits(engine)
    facts = merged(run, tmp_path / "merged")
    assert facts.compared.effect > 0.1, "the adapter does something"
    assert facts.compared.exact <= facts.compared.exact_bound < facts.compared.effect / 20
    assert torch.allclose(reloaded(tmp_path / "merged"), expected, atol=1e-4)
    export(run, str(tmp_path / "adapter"), dtype="fp32", without_tokenizer=True)
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    with torch.no_grad():
        theirs = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()(input_ids=torch.tensor(IDS)).logits
    assert torch.allclose(theirs, expected, atol=1e-4)


def test_in_bf16_the_difference_is_that_of_rounding(tmp_path: Path) -> None:
    run, engine = adapters(tmp_path)
    facts = merged(run, tmp_path / "merged", "bf16")
    assert facts.compared.exact < 1e-3 < facts.compared.difference < facts.compared.bound
    assert not facts.compared.drowned
    assert (reloaded(tmp_path / "merged") - engine_logits(engine)).abs().max() < 0.3


def test_tokens_that_were_added_are_merged_too(tmp_path: Path) -> None:
    run, engine = adapters(tmp_path, tokens=True)
    merged(run, tmp_path / "merged")
    from transformers import AutoModelForCausalLM

    ids = torch.tensor([[128, 5, 129, 130, 7]])
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    from train.attention import plain_attention

    engine.module.eval()
    with torch.no_grad(), plain_attention(engine.module):
        expected = engine.module(input_ids=ids, use_cache=False).logits
        assert torch.allclose(model(input_ids=ids).logits, expected, atol=1e-4)
    assert model.config.vocab_size == 136


@pytest.mark.parametrize("fault", ["left-out", "scaled"])
def test_a_wrong_merge_is_refused(tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from peft.tuners.lora import Linear

    run, _ = adapters(tmp_path)
    right = Linear.get_delta_weight
    seen: list[Any] = []

    def wrong(self: Any, adapter: str) -> Any:
        seen.append(self)
        factor = (0.0 if len(seen) == 1 else 1.0) if fault == "left-out" else 1.2
        return right(self, adapter) * factor

    monkeypatch.setattr(Linear, "get_delta_weight", wrong)
    with pytest.raises(CheckFailed, match="not what was trained"):
        merged(run, tmp_path / "merged")
    assert seen
    assert not (tmp_path / "merged").exists()


def test_a_run_without_adapters_has_nothing_to_merge(tmp_path: Path) -> None:
    run, _ = tiny_run(tmp_path)
    with pytest.raises(RecipeError, match=r"train export"):
        merged(run, tmp_path / "merged")


def test_a_merged_model_and_an_adapter_of_restricted_rows_are_restricted(tmp_path: Path) -> None:
    from train.export import export

    run, _ = adapters(tmp_path, restricted=True)
    merged(run, tmp_path / "merged")
    export(run, str(tmp_path / "adapter"), dtype="bf16", without_tokenizer=True)
    for folder in (tmp_path / "merged", tmp_path / "adapter"):
        assert is_restricted(folder)
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "adapter" / "medtrove.json").unlink()
    assert is_restricted(tmp_path / "adapter"), "by its safetensors alone"
    assert json.loads((tmp_path / "merged" / "medtrove.json").read_text())["kind"] == "merged"
    wide = tmp_path / "wide"
    wide.mkdir(mode=0o755)
    with pytest.raises(RecipeError) as caught:
        merged(run, wide)
    assert AGREEMENT in str(caught.value)
