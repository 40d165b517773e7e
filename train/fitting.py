"""What fits on a GPU: the micro-batch of a step, and the nearest change to a configuration that does not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from manifests.errors import RecipeError
from train.architecture import Architecture
from train.combinations import check_combinations
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
    """Changes, each enough by itself, that make a configuration fit: first those of settings, then of hardware.

    Each is written as its keys, so that `--set` with all of them is a configuration that loads and fits.
    """
    found = []
    for keys, remark in _changes(config):
        # Alone, or with what else has to be given up for it.
        for more in ({}, {"recompute": "full"}, {"recompute": "full", "loss_chunk_tokens": 1024}):
            wanted = {**keys, "model": {**keys.get("model", {}), **more}}
            if _runs(shape, changed(config, **wanted), gpu):
                found.append(_words(config, wanted) + remark)
                break
    larger = (name for name, other in GPUS.items() if other.memory_gib > gpu.memory_gib and _runs(shape, config, other))
    found += [f"cluster.gpu = {name!r}" for name in itertools.islice(larger, 1)]
    if config.parallel.engine == "deepspeed":
        for nodes in (2, 4, 8, 16, 32, 64):
            if nodes > config.cluster.nodes and _runs(shape, changed(config, cluster={"nodes": nodes}), gpu):
                found.append(f"cluster.nodes = {nodes}")
                break
    return found


def changed(config: RunConfig, **sections: Mapping[str, object]) -> RunConfig:
    """The configuration with keys of its sections set; combinations are not checked again."""
    return config.model_copy(
        update={name: getattr(config, name).model_copy(update=keys) for name, keys in sections.items()}
    )


def _ranks(config: RunConfig) -> int:
    cluster, parallel = config.cluster, config.parallel
    if parallel.engine == "torch":
        return 1
    ranks = cluster.nodes * (cluster.ranks_per_node or cluster.gpus_per_node or 1)
    return max(ranks // (parallel.tensor_parallel * parallel.sequence_parallel), 1)


def _runs(shape: Architecture, config: RunConfig, gpu: Gpu) -> bool:
    """Whether a configuration is allowed, its ranks can share a step's rows, and it fits with one row at a time."""
    ranks = _ranks(config)
    try:
        check_combinations(config, "")
    except RecipeError:
        return False
    return config.batch.rows % ranks == 0 and fits(shape, config, gpu, data_parallel=ranks, micro_rows=1)


def _words(config: RunConfig, keys: Mapping[str, Mapping[str, object]]) -> str:
    """What differs from the configuration: `parallel.zero_stage = 3 with model.recompute = 'full'`."""
    return " with ".join(
        f"{section}.{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
        for section, values in keys.items()
        for key, value in values.items()
        if getattr(getattr(config, section), key) != value
    )


def _changes(config: RunConfig) -> Iterator[tuple[dict[str, dict[str, object]], str]]:
    """Keys to try, by section, with a remark."""
    model, parallel = config.model, config.parallel
    if model.recompute == "none":
        yield {"model": {"recompute": "full"}}, ""
    if model.loss_chunk_tokens == 0 or model.loss_chunk_tokens > 1024:
        yield {"model": {"loss_chunk_tokens": 1024}}, ""
    stage = parallel.zero_stage if parallel.engine == "deepspeed" else 0
    for higher in range(stage + 1, 4):
        other: dict[str, dict[str, object]] = {"parallel": {"zero_stage": higher, "engine": "deepspeed"}}
        if _ranks(changed(config, **other)) > 1:
            yield other, ""
    if not config.lora.r:
        if not parallel.offload_optimizer:
            yield (
                {"parallel": {"offload_optimizer": True, "engine": "deepspeed", "zero_stage": max(stage, 1)}},
                " (slow)",
            )
        yield {"lora": {"r": 16}}, " (adapters instead of all weights)"
    else:
        for quantised in {"none": ("8bit", "4bit"), "8bit": ("4bit",), "4bit": ()}[model.quantize]:
            yield {"model": {"quantize": quantised}, "parallel": {"zero_stage": min(parallel.zero_stage, 2)}}, ""
