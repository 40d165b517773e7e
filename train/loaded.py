"""Models to ask questions of: a run's checkpoint, or a Hugging Face folder, with our attention and loss."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manifests.errors import BuildError, RecipeError
from train.attention import NAMES, register_attention, resolve_attention
from train.config import RunConfig, parse_config
from train.lora import CONFIG as ADAPTER
from train.loss import add_loss
from train.model import build_model, model_shape
from train.model_folder import check_names, embedding_name, empty_model, quiet
from train.rotary import repair_rotary
from train.stored_weights import stored_weights
from train.trained import Trained

KINDS = ("bf16", "fp32")


def load_trained(trained: Trained, dtype: str) -> Any:
    """The model of a checkpoint in eval mode, its weights in `dtype`; a run with adapters has its base in it too.

    On CPU, 2 or 4 bytes a parameter. A base that was quantised for training is loaded whole.
    """
    config = plain(trained.config, dtype)
    stored = stored_weights(trained.checkpoint, trained.state)
    if not config.lora.r:
        return _whole(trained, config, stored)
    known = trained.tokenizer
    with quiet():
        model = build_model(
            config,
            vocabulary=known["vocab_size"],
            bos_id=known["bos_id"],
            eos_id=known["eos_id"],
            pad_id=known["pad_id"],
        )
    ours = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    found = {name: weight.shape for name, weight in stored.items()}
    if found != {name: tuple(weight.shape) for name, weight in ours.items()}:
        raise BuildError(
            "the adapter of the checkpoint is not what [lora] asks for.",
            where=str(trained.checkpoint),
            fix="Name another checkpoint of the run.",
        )
    _copy(ours, stored)
    return model.eval()


def load_folder(folder: Path, tokenizer: Mapping[str, Any], *, length: int, dtype: str) -> Any:
    """The model of a Hugging Face folder in eval mode, for rows of `length` tokens of this tokenizer."""
    if (folder / ADAPTER).is_file() and not (folder / "config.json").is_file():
        raise RecipeError(
            "is an adapter, not a model.",
            where=str(folder),
            why="Alone it computes nothing.",
            fix="Give its run, or what `medtrove train merge` made of it.",
        )
    table = {
        "name": "evaluate",
        "description": "a model to be asked",
        "model": {"base": str(folder), "dtype": dtype},
        "data": {"sequence_length": length},
        "optim": {"lr": 1.0},
    }
    with quiet():
        model = build_model(
            parse_config(table, where=str(folder)),
            vocabulary=tokenizer["vocab_size"],
            bos_id=tokenizer["bos_id"],
            eos_id=tokenizer["eos_id"],
            pad_id=tokenizer["pad_id"],
        )
    return model.eval()


def plain(config: RunConfig, dtype: str) -> RunConfig:
    """The configuration for a look at its model: whole weights in one dtype, nothing that only training needs."""
    model = {"dtype": dtype, "quantize": "none", "compile": False, "recompute": "none", "attention": "auto"}
    # The engine of many ranks is the one that leaves weights in the model's dtype.
    return config.model_copy(
        update={
            "model": config.model.model_copy(update=model),
            "parallel": config.parallel.model_copy(update={"engine": "deepspeed", "zero_stage": 0}),
        }
    )


def _whole(trained: Trained, config: RunConfig, stored: Mapping[str, Any]) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    known = trained.tokenizer
    bare = empty_model(config, known)
    name = embedding_name(bare)
    rows = stored[name].shape[0] if name in stored else 0
    weights = check_names(empty_model(config, known, rows=rows), stored, str(trained.checkpoint))
    shape = model_shape(
        config,
        vocabulary=known["vocab_size"],
        bos_id=known["bos_id"],
        eos_id=known["eos_id"],
        pad_id=known["pad_id"],
    )
    shape.vocab_size = rows
    register_attention()
    kind = resolve_attention("auto", shape, gpu=torch.cuda.is_available(), dtype=config.model.dtype)
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[config.model.dtype]
    model = AutoModelForCausalLM.from_config(shape, dtype=dtype, attn_implementation=NAMES[kind])
    states = dict(model.named_parameters()) | {n: b for n, b in model.named_buffers() if n in weights}
    _copy(states, weights)
    model.get_input_embeddings().padding_idx = None
    repair_rotary(model)
    add_loss(model)
    return model.eval()


def _copy(ours: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    import torch

    with torch.no_grad():
        for name, weight in ours.items():
            weight.copy_(stored[name].read())
