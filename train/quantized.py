"""A frozen base in 8 or 4 bits under adapters (QLoRA, Dettmers et al., arXiv:2305.14314), by bitsandbytes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from manifests.errors import RecipeError
from train.config import ModelSection


def quantization_config(model: ModelSection) -> Any:
    """transformers' settings for `model.quantize`, None for `none`; RecipeError where this machine cannot."""
    if model.quantize == "none":
        return None
    if not model.base:
        raise RecipeError(
            f"[model] quantize = {model.quantize!r} with an architecture.",
            why="Random weights are not worth keeping: adapters would learn on noise.",
            fix="Give model.base, or set quantize = 'none'.",
        )
    if find_spec("bitsandbytes") is None:
        raise RecipeError(
            f"[model] quantize = {model.quantize!r} needs bitsandbytes, which is not installed.",
            fix="pip install 'medtrove[quantized]', or set model.quantize = 'none'.",
        )
    import torch
    from transformers import BitsAndBytesConfig

    if model.quantize == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[model.dtype]
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
