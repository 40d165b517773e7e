"""What fits on a GPU: the micro-batch of a step, and the nearest change to a configuration that does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from train.architecture import Architecture
from train.config import RunConfig
from train.hardware import GPUS, Gpu
from train.memory import memory


def fits(shape: Architecture, config: RunConfig, gpu: Gpu, *, data_parallel: int, micro_rows: int = 0) -> bool:
    """Whether a rank's memory is below what the GPU can give."""
    return memory(shape, config, data_parallel=data_parallel, micro_rows=micro_rows).total <= gpu.usable_bytes


def chosen_micro_rows(shape: Architecture, config: RunConfig, gpu: Gpu, data_parallel: int, rows: int) -> int:
    """The configuration's micro-batch, or the largest smaller divisor of a rank's `rows` that fits; 1 if none does."""
    asked = min(config.batch.micro_rows, rows)
    sizes = [n for n in range(asked, 0, -1) if rows % n == 0]
    fitting = (n for n in sizes if fits(shape, config, gpu, data_parallel=data_parallel, micro_rows=n))
    return next(fitting, 1)


def largest_micro_rows(shape: Architecture, config: RunConfig, gpu: Gpu, data_parallel: int, rows: int) -> int:
    """The largest divisor of a rank's `rows` that fits, whatever the configuration says; 1 if none does."""
    sizes = [n for n in range(rows, 0, -1) if rows % n == 0]
    return next((n for n in sizes if fits(shape, config, gpu, data_parallel=data_parallel, micro_rows=n)), 1)


def nearest(shape: Architecture, config: RunConfig, gpu: Gpu) -> list[str]:
    """Changes, each enough alone, that make a configuration fit: first those of settings, then of hardware."""
    found = []
    for words, other in _changes(config):
        if fits(shape, other, gpu, data_parallel=_ranks(other), micro_rows=1):
            found.append(words)
    for name, larger in GPUS.items():
        if larger.memory_gib > gpu.memory_gib and fits(
            shape, config, larger, data_parallel=_ranks(config), micro_rows=1
        ):
            found.append(f"cluster.gpu = {name!r}")
            break
    if config.parallel.engine == "deepspeed":
        for nodes in (2, 4, 8, 16, 32, 64):
            other = changed(config, cluster={"nodes": nodes})
            if nodes > config.cluster.nodes and fits(shape, other, gpu, data_parallel=_ranks(other), micro_rows=1):
                found.append(f"cluster.nodes = {nodes}")
                break
    return found


def _ranks(config: RunConfig) -> int:
    cluster, parallel = config.cluster, config.parallel
    ranks = cluster.nodes * (cluster.ranks_per_node or cluster.gpus_per_node or 1)
    return max(ranks // (parallel.tensor_parallel * parallel.sequence_parallel), 1)


def changed(config: RunConfig, **sections: Mapping[str, object]) -> RunConfig:
    """The configuration with keys of its sections set; combinations are not checked again."""
    return config.model_copy(
        update={name: getattr(config, name).model_copy(update=keys) for name, keys in sections.items()}
    )


def _changes(config: RunConfig) -> Iterator[tuple[str, RunConfig]]:
    model, parallel = config.model, config.parallel
    if model.recompute == "none":
        yield "model.recompute = 'full'", changed(config, model={"recompute": "full"})
    if model.loss_chunk_tokens == 0 or model.loss_chunk_tokens > 1024:
        yield "model.loss_chunk_tokens = 1024", changed(config, model={"loss_chunk_tokens": 1024})
    deepspeed: dict[str, object] = {"engine": "deepspeed"}
    recomputed = changed(config, model={"recompute": "full", "loss_chunk_tokens": 1024})
    if _ranks(config) > 1:
        for stage in (1, 2, 3):
            if (parallel.zero_stage < stage or parallel.engine == "torch") and (
                stage < 3 or (model.quantize == "none" and parallel.tensor_parallel == 1)
            ):
                words = f"parallel.zero_stage = {stage}"
                yield words, changed(config, parallel={**deepspeed, "zero_stage": stage})
                if model.recompute == "none":
                    yield f"{words} with recompute", changed(recomputed, parallel={**deepspeed, "zero_stage": stage})
    if not config.lora.r and not parallel.offload_optimizer:
        offload = {**deepspeed, "zero_stage": max(parallel.zero_stage, 1), "offload_optimizer": True}
        yield "parallel.offload_optimizer = true (slow)", changed(recomputed, parallel=offload)
    if not config.lora.r:
        adapters = changed(recomputed, lora={"r": 16, "alpha": 32.0})
        yield "lora.r = 16 (adapters instead of all weights)", adapters
    elif model.quantize != "4bit" and (parallel.engine == "torch" or parallel.zero_stage < 3):
        for quantised in ("8bit", "4bit"):
            if model.quantize != quantised:
                yield f"model.quantize = '{quantised}'", changed(config, model={"quantize": quantised})
