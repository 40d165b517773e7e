"""The model of a run: loaded or new, with our attention and loss, adapters, recomputation and compiled layers.

What a base brings along and training must not have: dropout (one pass over the data needs none, and it would make
worlds of different size differ) is set to 0 here and in what is exported, where it has no effect; the padding id's
embedding takes gradients again, since tokenizers use one id for padding and the end of a text, which is learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manifests.errors import RecipeError
from train.added_tokens import add_tokens
from train.attention import NAMES, register_attention, resolve_attention
from train.base import base_folder, check_weights, read_shape
from train.config import RunConfig
from train.lora import attach_lora
from train.loss import add_loss
from train.quantized import quantization_config
from train.rotary import repair_rotary

__all__ = ["build_model", "finish_model", "parameter_groups", "repair_rotary"]

_DROPOUTS = ("dropout", "attention_dropout", "activation_dropout", "layerdrop", "hidden_dropout", "embd_pdrop")
_MORE_DROPOUTS = ("attn_pdrop", "resid_pdrop", "classifier_dropout", "embedding_dropout", "residual_dropout")


def build_model(
    config: RunConfig,
    *,
    vocabulary: int,
    bos_id: int | None,
    eos_id: int | None,
    pad_id: int | None,
    partitioned: bool = False,
    deepspeed_config: Mapping[str, Any] | None = None,
    adapters: bool = True,
) -> Any:
    """The causal LM of a run, in train mode, on CPU (a quantised one where bitsandbytes needs it).

    Weights are fp32 for the torch engine, which computes in `model.dtype` by autocast; for DeepSpeed, which keeps its
    own fp32 master copies, they are in `model.dtype`. `partitioned` (ZeRO-3): a base is shared out over the ranks while
    it is read, by `deepspeed_config`; new weights are made whole, so that they are the same in every world.
    With `adapters=False` the caller changes the model first and then calls `finish_model`.
    """
    import torch

    shape = model_shape(config, vocabulary=vocabulary, bos_id=bos_id, eos_id=eos_id, pad_id=pad_id)
    kind = resolve_attention(config.model.attention, shape, gpu=torch.cuda.is_available(), dtype=config.model.dtype)
    quantization = quantization_config(config.model)
    register_attention()
    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
    frozen = config.lora.r > 0
    dtype = kinds[config.model.dtype if frozen or config.parallel.engine == "deepspeed" else "fp32"]
    if config.model.base:
        zero3 = (deepspeed_config or _zero3(config)) if partitioned else None
        model = _load(config, shape, dtype, NAMES[kind], zero3, quantization)
    else:
        model = _new(config, shape, dtype, NAMES[kind])
    ahead = {type(module).__name__ for module in model.modules() if getattr(module, "is_causal", None) is False}
    if ahead:
        raise RecipeError(
            f"{shape.model_type!r} looks ahead ({', '.join(sorted(ahead))}).",
            where="[model]",
            why="A token would be learned with itself in sight.",
            fix="Give a causal language model.",
        )
    if config.sft.added_tokens:
        add_tokens(model, config.sft.added_tokens, vocabulary)
    model.config.pad_token_id = pad_id
    embedding = model.get_input_embeddings()
    embedding.padding_idx = None  # else the end of a text, where it is the padding id as well, would never be learned
    repair_rotary(model)
    add_loss(model)
    model.train()
    return finish_model(model, config, new_tokens=config.sft.added_tokens) if adapters else model


def finish_model(model: Any, config: RunConfig, *, new_tokens: list[int] | None = None) -> Any:
    """Adapters, recomputation and compilation, in this order; `new_tokens` as in `attach_lora`."""
    bare = model
    if config.lora.r:
        if config.model.quantize != "none":
            for parameter in model.parameters():
                parameter.requires_grad_(False)
        model = attach_lora(model, config.lora, seed=config.run.seed, new_tokens=new_tokens)
    if config.model.recompute == "full":
        # Not reentrant: adapters in a frozen model get gradients although a layer's input needs none.
        # transformers 5.23 has a new name for it and warns at the old one.
        enable = getattr(bare, "activation_checkpointing_enable", None) or bare.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    if config.model.compile:
        for layer in decoder_layers(bare):
            layer.compile()
    model.train()
    return model


def parameter_groups(model: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Groups for AdamW: matrices decay, norms and biases (one dimension) do not; a tied weight stands once."""
    decay: list[Any] = []
    rest: list[Any] = []
    for _, parameter in model.named_parameters():  # each object once, tied or not
        if parameter.requires_grad:
            shape = getattr(parameter, "ds_shape", parameter.shape)  # partitioned, a parameter is flat or empty
            (decay if len(shape) > 1 else rest).append(parameter)
    groups = [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def decoder_layers(model: Any) -> list[Any]:
    """The repeated layers, outermost of their kind."""
    names = set(getattr(model, "_no_split_modules", None) or ())
    return [module for module in model.modules() if type(module).__name__ in names]


def model_shape(
    config: RunConfig, *, vocabulary: int, bos_id: int | None, eos_id: int | None, pad_id: int | None
) -> Any:
    """transformers' configuration, checked against the shards."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    section = config.model
    where = "[model] base" if section.base else "[model] architecture"
    table = read_shape(section)
    kind = table.pop("model_type")
    if not section.base:
        # The padding id comes after: with it, new weights would have a row of zeros there, often the end of a text.
        table |= {"vocab_size": vocabulary, "bos_token_id": bos_id, "eos_token_id": eos_id, "pad_token_id": None}
    try:
        shape = AutoConfig.for_model(kind, **table)
    except (ValueError, TypeError, KeyError, StrictDataclassError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"model_type {kind!r} is not understood: {reason}", where=where, fix="Correct it.") from error
    if type(shape) not in MODEL_FOR_CAUSAL_LM_MAPPING or getattr(shape, "is_encoder_decoder", False):
        raise RecipeError(
            f"{kind!r} is not a model that writes text from left to right.",
            where=where,
            why="The shards hold running text, learned token by token.",
            fix="Give a causal language model.",
        )
    if not MODEL_FOR_CAUSAL_LM_MAPPING[type(shape)]._supports_attention_backend:
        raise RecipeError(
            f"{kind!r} attends in its own way, which takes no document borders.",
            where=where,
            why="Documents packed into one row would see each other.",
            fix="Use Llama, Mistral, Qwen, Gemma, OPT or another family with transformers' attention interface.",
        )
    if max([shape.vocab_size, *(one + 1 for one in config.sft.added_tokens)]) < vocabulary:
        raise RecipeError(
            f"the base knows {shape.vocab_size:,} tokens, the shards use {vocabulary:,}.",
            where=where,
            why="Ids above its own have no embedding: the shards were made with another tokenizer.",
            fix="Build the shards with the base's tokenizer.",
        )
    most = getattr(shape, "max_position_embeddings", None)
    if most is not None and most < config.data.sequence_length:
        raise RecipeError(
            f"the model takes {most:,} positions, a row has {config.data.sequence_length:,}.",
            where=where,
            why="Positions beyond were never trained, or do not exist.",
            fix=f"Build shards of {most:,} tokens, or take a base with more positions.",
        )
    for name in (*_DROPOUTS, *_MORE_DROPOUTS):
        if getattr(shape, name, None):
            setattr(shape, name, 0.0)
    return shape


def _new(config: RunConfig, shape: Any, dtype: Any, attention: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.run.seed)
        # Drawn in fp32 and rounded after: the same numbers whatever the dtype.
        model = AutoModelForCausalLM.from_config(shape, dtype=torch.float32, attn_implementation=attention)
    return model.to(dtype)


def _load(
    config: RunConfig, shape: Any, dtype: Any, attention: str, settings: Mapping[str, Any] | None, quantization: Any
) -> Any:
    from transformers import AutoModelForCausalLM

    folder = base_folder(config.model)
    check_weights(folder)
    more: dict[str, Any] = {}
    kept = None
    if settings is not None:
        from transformers.integrations import HfDeepSpeedConfig

        kept = HfDeepSpeedConfig(dict(settings))
    if quantization is not None:
        import torch

        more["quantization_config"] = quantization
        more["device_map"] = {"": torch.cuda.current_device() if torch.cuda.is_available() else "cpu"}
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            folder,
            config=shape,
            dtype=dtype,
            attn_implementation=attention,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **more,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise RecipeError(
            f"the weights in {folder} cannot be loaded: {error}", where="[model] base", fix="Fetch the base again."
        ) from error
    lacking = sorted(info["missing_keys"]) + sorted(str(entry) for entry in info["mismatched_keys"])
    if lacking:
        raise RecipeError(
            f"{folder} lacks {len(lacking)} weights that its config.json asks for, {lacking[0]} first.",
            where="[model] base",
            why="They would be random numbers in the middle of a trained model.",
            fix="Fetch the base again, or correct its config.json.",
        )
    if kept is not None:
        model.hf_deepspeed_config = kept  # transformers holds it by a weak reference and asks for it later
    return model


def _zero3(config: RunConfig) -> dict[str, Any]:
    return {
        "train_micro_batch_size_per_gpu": config.batch.micro_rows,
        "gradient_accumulation_steps": config.batch.accumulation,
        "zero_optimization": {"stage": 3, "zero_hpz_partition_size": config.parallel.hpz},
        config.model.dtype: {"enabled": True},
    }
