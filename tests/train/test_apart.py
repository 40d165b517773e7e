from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_models import FAMILIES, VOCABULARY, tiny_config, tiny_model

from manifests.errors import RecipeError
from train.apart import check_documents_apart
from train.attention import attention_kind

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")


def check(model: Any) -> None:
    check_documents_apart(model, kind=attention_kind(model), vocabulary=VOCABULARY)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_the_families_we_promise_pass(tmp_path: Path, family: str, dtype: str) -> None:
    config = tiny_config(tmp_path, family, model={"dtype": dtype}, parallel={"engine": "deepspeed"})
    model = tiny_model(config)
    check(model)
    assert model.training
    assert all(p.grad is None for p in model.parameters())


OTHERS: dict[str, dict[str, Any]] = {
    "cohere": {"model_type": "cohere", "logit_scale": 0.25, "pad_token_id": None},
    "granite": {"model_type": "granite", "logits_scaling": 4.0, "embedding_multiplier": 2.0},
    "gpt_neox": {"model_type": "gpt_neox", "layer_types": None},
    "phi3": {"model_type": "phi3", "sliding_window": 4},
    "olmo2": {"model_type": "olmo2"},
    "mixtral": {"model_type": "mixtral", "num_local_experts": 4, "sliding_window": 4},
}


@pytest.mark.parametrize("family", OTHERS)
def test_families_without_a_promise_pass_if_they_hold_it(tmp_path: Path, family: str) -> None:
    check(tiny_model(tiny_config(tmp_path, shape=OTHERS[family])))


def test_a_family_that_mixes_tokens_outside_of_attention_is_refused(tmp_path: Path) -> None:
    """Lfm2's convolutions run over the row; transformers takes it for a model like others."""
    shape = {"model_type": "lfm2", "layer_types": ["conv", "full_attention"]}
    with pytest.raises(RecipeError, match="changes with the document before it"):
        check(tiny_model(tiny_config(tmp_path, shape=shape)))


def test_an_output_that_is_scaled_in_an_unknown_way_is_refused(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(tmp_path, "gemma2"))
    model.config.logit_scale = 0.5  # ours obeys it, Gemma's forward does not know it
    with pytest.raises(RecipeError, match="own logits"):
        check(model)
