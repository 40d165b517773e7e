"""Rotary frequencies, always fp32 and always those of the configuration.

Loaded under `deepspeed.zero.Init` in bf16, or cast with the rest of a model, `inv_freq` becomes bf16: phases are then
wrong by up to 1.2 rad at distance 1,000 and 5 rad at 4,095 (Llama-2), and the exported model, whose frequencies
transformers computes anew, is not the one that was trained (DeepSpeed#4932, transformers#28685).
"""

from __future__ import annotations

from typing import Any

from manifests.errors import RecipeError


def repair_rotary(model: Any) -> None:
    """Recomputes every rotary buffer of a model in fp32, in place; to be called again whenever a model was cast.

    A fresh module of the same class and configuration gives the values, so that every type of scaling (linear,
    dynamic, yarn, llama3, longrope) and pairs of them (Gemma 3) come out as transformers makes them.
    """
    import torch

    for name, module in model.named_modules():
        buffers = [key for key, _ in module.named_buffers(recurse=False) if key.endswith("inv_freq")]
        if buffers:
            fresh = _fresh(name, module)
            for key in buffers:
                made = getattr(fresh, key)
                module.register_buffer(key, made.to(getattr(module, key).device), persistent=False)
        scale = getattr(module, "scalar_embed_scale", None)
        if scale is not None and getattr(module, "embed_scale", None) is not None:
            device = module.embed_scale.device
            module.register_buffer("embed_scale", torch.tensor(scale, dtype=torch.float32, device=device), False)


def _fresh(name: str, module: Any) -> Any:
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            fresh = type(module)(config=module.config)
    except (TypeError, AttributeError) as error:
        raise RecipeError(
            f"the rotary frequencies of {type(module).__name__} ({name}) cannot be computed again.",
            why=f"Cast to half precision they would be wrong at long distances ({error}).",
            fix="Train a base of another architecture.",
        ) from error
    finally:
        torch.set_default_dtype(before)
    return fresh
