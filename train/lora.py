"""Adapters (LoRA, Hu et al., arXiv:2106.09685) on a frozen base: attached, gathered, saved in peft's own format.

Only adapters are saved; the base stays what it was. They are fp32, and read from the optimizer's master copies where
an engine keeps some, whatever stage shares them out. A whole extra module to train (`modules_to_save`) is not offered:
under ZeRO-3 it saved empty tensors (peft#2450, #2500).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manifests.errors import BuildError, RecipeError
from train.added_tokens import train_rows
from train.config import LoraSection

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_NAME = "default"
_PARTS = ("lora_A", "lora_B", "trainable_tokens_delta")


def attach_lora(model: Any, section: LoraSection, *, seed: int, new_tokens: list[int] | None = None) -> Any:
    """The model with adapters, everything else frozen; the same from a seed on every rank.

    `new_tokens`: rows of the embedding that are trained too.
    """
    import torch
    from peft import LoraConfig, TaskType, get_peft_model

    targets = "all-linear" if section.targets == ["all-linear"] else list(section.targets)
    settings = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=section.r,
        lora_alpha=section.alpha,
        lora_dropout=section.dropout,
        target_modules=targets,
        bias="none",
    )
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            # peft 0.21 reads a name that transformers 5.23 is giving up
            warnings.filterwarnings(
                "ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning
            )
            torch.manual_seed(seed)
            wrapped = get_peft_model(model, settings)
    except ValueError as error:
        if "arget modules" not in str(error):
            raise
        raise RecipeError(
            f"lora.targets = {section.targets} names no module of {type(model).__name__}.",
            where="[lora] targets",
            fix=f"Name some of {', '.join(linear_names(model))}, or all-linear.",
        ) from error
    if new_tokens:
        train_rows(wrapped, new_tokens)
    return wrapped


def linear_names(model: Any) -> list[str]:
    """Last names of the linear layers, the output layer left out."""
    import torch

    output = model.get_output_embeddings()
    found = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not output
    }
    return sorted(found)


def has_adapters(model: Any) -> bool:
    """Whether `attach_lora` made this model."""
    return hasattr(model, "peft_config")


def adapter_state(model: Any, *, trained: bool = True) -> dict[str, Any]:
    """Adapter tensors by peft's names, fp32, on CPU, complete on every rank; all ranks must call it.

    BuildError for an empty tensor, and with `trained` for an adapter whose B is still zero: it would change nothing.
    """
    state = {}
    for name, parameter in model.named_parameters():
        if not any(f".{part}." in name or name.endswith(f".{part}") for part in _PARTS):
            continue
        state[saved_name(name)] = _whole(parameter)
    check_adapter(state, trained=trained)
    return state


def saved_name(name: str) -> str:
    """What peft calls a parameter of a model with adapters in its files."""
    return name.replace(f".{_NAME}", "")


def check_adapter(state: Mapping[str, Any], *, trained: bool = True) -> None:
    """BuildError for adapter tensors that are none, empty, not finite, or with `trained` as they began."""
    problem = ""
    if not state:
        problem = "has no tensors"
    elif empty := [name for name, tensor in state.items() if tensor.numel() == 0]:
        problem = f"has empty tensors, {empty[0]} first"
    elif trained and not any(tensor.count_nonzero() for name, tensor in state.items() if ".lora_A." not in name):
        problem = "has learned nothing: every B is zero"
    elif not all(tensor.isfinite().all() for tensor in state.values()):
        problem = "has values that are not finite"
    if problem:
        raise BuildError(f"the adapter {problem}.", why="Saved, it would look like one.", fix="Do not use this run.")


def save_adapter(
    model: Any,
    folder: Path,
    *,
    state: Mapping[str, Any],
    base: str,
    dtype: str = "fp32",
    header: Mapping[str, str] | None = None,
) -> None:
    """Writes peft's two files into an existing folder: `adapter_state` in the dtype, and the settings with the base.

    `header`: more entries of the safetensors file's own.
    """
    import torch
    from safetensors.torch import save_file

    kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[dtype]
    save_file(
        {name: tensor.to(kind).contiguous() for name, tensor in state.items()},
        str(folder / WEIGHTS),
        {"format": "pt", **(header or {})},
    )
    settings = model.peft_config[_NAME].to_dict()
    settings["base_model_name_or_path"] = base
    settings["inference_mode"] = True
    if isinstance(settings.get("target_modules"), set | frozenset):
        settings["target_modules"] = sorted(settings["target_modules"])
    (folder / CONFIG).write_text(json.dumps(settings, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8")


def load_adapter(model: Any, folder: Path) -> None:
    """Puts saved adapter tensors into a model that `attach_lora` made, before an engine takes it over.

    BuildError unless the names and shapes are exactly the model's.
    """
    import torch
    from safetensors.torch import load_file

    state = load_file(str(folder / WEIGHTS))
    ours = {
        name.replace(f".{_NAME}", ""): parameter
        for name, parameter in model.named_parameters()
        if any(f".{part}." in name or name.endswith(f".{part}") for part in _PARTS)
    }
    wrong = sorted(set(state) ^ set(ours)) or [name for name in state if state[name].shape != ours[name].shape]
    if wrong:
        raise BuildError(
            f"the adapter in {folder} is not of this model: {wrong[0]}"
            + (f" and {len(wrong) - 1} more." if wrong[1:] else "."),
            why="It was trained with other targets, another rank or another base.",
            fix="Set [lora] and [model] to what its run used.",
        )
    with torch.no_grad():
        for name, parameter in ours.items():
            parameter.copy_(state[name])


def _whole(parameter: Any) -> Any:
    """A parameter in fp32 on CPU: its master copy where DeepSpeed keeps one, gathered where it is shared out."""
    import torch

    if hasattr(parameter, "ds_id") or hasattr(parameter, "_hp_mapping"):
        from deepspeed.utils import safe_get_full_fp32_param

        full = safe_get_full_fp32_param(parameter)
        if full is not None:
            return full.detach().to("cpu", torch.float32).clone()
    if hasattr(parameter, "ds_id"):
        import deepspeed

        with deepspeed.zero.GatheredParameters([parameter]):
            return parameter.detach().to("cpu", torch.float32).clone()
    return parameter.detach().to("cpu", torch.float32).clone()
