"""The first line of a run's metrics: what ran, on what, and the constants its figures are made with."""

from __future__ import annotations

from typing import Any

from mixing.reader import Shards
from train.config import RunConfig
from train.engine import Engine
from train.hardware import GPUS, gpu_named
from train.ledger import shards_fingerprint
from train.metrics import FORMULAS, flops_per_token


def header(config: RunConfig, engine: Engine, shards: Shards) -> dict[str, Any]:
    """Facts of a run that no step changes; FLOPs by the formulas that stand beside them."""
    shape = engine.module.config
    trained, frozen = multiplied(engine.module)
    width = (getattr(shape, "head_dim", None) or shape.hidden_size // shape.num_attention_heads) * (
        shape.num_attention_heads
    )
    flops = flops_per_token(
        trained=trained,
        frozen=frozen,
        layers=shape.num_hidden_layers,
        width=width,
        length=shards.sequence_length,
    )
    name, peak = _gpu(config, engine)
    return {
        "preset": config.name,
        "formulas": FORMULAS,
        "shards_fingerprint": shards_fingerprint(shards),
        "sequence_length": shards.sequence_length,
        "rows": len(shards),
        "rows_per_step": config.batch.rows,
        "micro_rows": config.batch.micro_rows,
        "accumulation": config.batch.accumulation,
        "epochs": config.data.epochs,
        "world": engine.world,
        "engine": config.parallel.engine,
        "zero_stage": config.parallel.zero_stage,
        "dtype": config.model.dtype,
        "device": name,
        "n_trained": trained,
        "n_frozen": frozen,
        "layers": shape.num_hidden_layers,
        "width": width,
        "model_flops_per_token_causal": flops.causal,
        "model_flops_per_token_full": flops.full,
        "gpu_peak_tflops": peak,
        "planned": shards.index["totals"]["tokens_by_source"],
    }


def multiplied(model: Any) -> tuple[int, int]:
    """Parameters that multiply a token, trained and frozen: an embedding only where it is the output layer as well."""
    embedding = model.get_input_embeddings().weight
    output = model.get_output_embeddings()
    looked_up = embedding if output is None or output.weight is not embedding else None
    trained = frozen = 0
    for weight in model.parameters():
        if weight is looked_up:
            continue
        n = getattr(weight, "ds_numel", weight.numel())  # partitioned by ZeRO-3 it holds nothing itself
        trained, frozen = (trained + n, frozen) if weight.requires_grad else (trained, frozen + n)
    return trained, frozen


def _gpu(config: RunConfig, engine: Engine) -> tuple[str, float | None]:
    """The device's name, and its 16-bit peak where the configuration or the name says which it is."""
    if engine.device.type != "cuda":
        return "cpu", None
    import torch

    name = torch.cuda.get_device_name(engine.device)
    if config.cluster.gpu:
        return name, gpu_named(config.cluster.gpu).teraflops
    plain = name.replace(" ", "").upper()
    return name, next((gpu.teraflops for gpu in GPUS.values() if gpu.name.split("-")[0].upper() in plain), None)
