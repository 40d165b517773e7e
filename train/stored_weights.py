"""The weights of a checkpoint, read from its files one by one: any engine, stage and number of ranks, no GPU.

Files are memory-mapped: nothing but the weight that is read is in memory, also where every rank holds a part of it.
What is read is the fp32 master copy where the engine kept one. DeepSpeed's layout is that of 0.19's
`deepspeed.utils.zero_to_fp32`, which for stages 1 and 2 would put the whole model into memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.errors import BuildError
from train.checkpoint import ENGINE, TrainState


@dataclass(frozen=True, slots=True)
class Stored:
    """A weight on disk."""

    shape: tuple[int, ...]
    read: Callable[[], Any]
    """A tensor of its own on CPU, fp32 or as it was stored."""


def stored_weights(checkpoint: Path, state: TrainState) -> dict[str, Stored]:
    """Trained weights, and persistent buffers, by the names of the run's model; of a run with adapters those alone."""
    folder = checkpoint / ENGINE
    try:
        if state.engine == "torch":
            return _of_torch(folder / "torch.pt")
        return _of_deepspeed(folder / "deepspeed", state)
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise BuildError(
            f"its weights cannot be read: {type(error).__name__}: {error}",
            where=str(folder),
            fix="Export another checkpoint of the run.",
        ) from error


def _of_torch(file: Path) -> dict[str, Stored]:
    return {name: _plain(tensor) for name, tensor in _load(file)["masters"].items()}


def _of_deepspeed(folder: Path, state: TrainState) -> dict[str, Stored]:
    stage, world = state.zero_stage, state.world
    # Of rank 0; under stage 3 each rank has one, and frozen parts in it.
    named = "zero_pp_rank_{}_mp_rank_00_model_states.pt" if stage == 3 else "mp_rank_00_model_states.pt"
    models = [_load(folder / named.format(rank)) for rank in range(world if stage == 3 else 1)]
    first = models[0]
    found = {name: _plain(first["module"][name]) for name in first["buffer_names"] if name in first["module"]}
    for name, shape in (first["frozen_param_shapes"] or {}).items():
        parts = [model["frozen_param_fragments"][name] for model in models]
        found[name] = _pieces(tuple(shape), [part.flatten() for part in parts])
    if stage == 0:
        return found | _of_stage_0(first)
    ranks = [_load(_optimizer_file(folder, rank))["optimizer_state_dict"] for rank in range(world)]
    count = ranks[0]["partition_count"]
    if (max(count) if isinstance(count, list) else count) != world:
        raise ValueError(f"optimizer files of {count} ranks, and the checkpoint's state says {world}")
    shapes = first["param_shapes"]
    return found | (_of_stage_3(shapes, ranks) if stage == 3 else _of_stage_1(shapes, ranks))


def _of_stage_0(model: Mapping[str, Any]) -> dict[str, Stored]:
    """Whole weights; in half precision their masters lie in the optimizer, in the order of its groups."""
    names: dict[tuple[int, tuple[int, ...]], str] = {}
    for name, tensor in model["module"].items():
        if name not in model["buffer_names"]:
            names.setdefault((tensor.data_ptr(), tuple(tensor.shape)), name)  # a tied weight once
    module = {name: model["module"][name] for name in names.values()}
    masters = (model["optimizer"] or {}).get("fp32_groups")
    if masters is None:
        return {name: _plain(tensor) for name, tensor in module.items()}
    # As `train.model.parameter_groups` makes them.
    ordered = [n for n, t in module.items() if t.ndim > 1] + [n for n, t in module.items() if t.ndim <= 1]
    flat = [tensor for group in masters for tensor in group]
    if [tuple(module[name].shape) for name in ordered] != [tuple(tensor.shape) for tensor in flat]:
        raise ValueError("master weights are not in the order of the model's")
    return {name: _plain(tensor) for name, tensor in zip(ordered, flat, strict=True)}


def _of_stage_1(groups: Sequence[Mapping[str, Any]], ranks: Sequence[Mapping[str, Any]]) -> dict[str, Stored]:
    """Stages 1 and 2: a group's weights end to end, cut into as many parts as ranks."""
    found = {}
    paddings = ranks[0].get("param_alignment_paddings")
    for number, shapes in enumerate(groups):
        parts = [rank["single_partition_of_fp32_groups"][number] for rank in ranks]
        behind = paddings[number] if paddings else [0] * len(shapes)
        begin = 0
        for (name, shape), padding in zip(shapes.items(), behind, strict=True):
            end = begin + math.prod(shape)
            found[name] = _pieces(tuple(shape), list(_between(parts, begin, end)))
            begin = end + padding
        held = sum(len(part) for part in parts)
        if not 0 <= held - begin < 2 * len(ranks) + 1:
            raise ValueError(f"group {number} has {held:,} numbers, its weights {begin:,}")
    return found


def _of_stage_3(groups: Sequence[Mapping[str, Any]], ranks: Sequence[Mapping[str, Any]]) -> dict[str, Stored]:
    """Every weight cut into as many parts as ranks, those of a rank end to end, over its sub-groups."""
    found = {}
    begin = 0
    for name, shape in ((name, shape) for group in groups for name, shape in group.items()):
        end = begin + -(-math.prod(shape) // len(ranks))
        parts = [piece for rank in ranks for piece in _between(rank["fp32_flat_groups"], begin, end)]
        found[name] = _pieces(tuple(shape), parts)
        begin = end
    held = sum(len(group) for group in ranks[0]["fp32_flat_groups"])
    if held != begin:
        raise ValueError(f"a rank has {held:,} numbers, its weights {begin:,}")
    return found


def _between(parts: Sequence[Any], begin: int, end: int) -> Iterator[Any]:
    """The pieces of flat tensors that, laid end to end, are the numbers from `begin` to `end`."""
    at = 0
    for part in parts:
        a, b = max(begin, at), min(end, at + len(part))
        if a < b:
            yield part.detach()[a - at : b - at]
        at += len(part)


def _pieces(shape: tuple[int, ...], parts: Sequence[Any]) -> Stored:
    def read() -> Any:
        import torch

        return torch.cat([part.detach() for part in parts])[: math.prod(shape)].reshape(shape)

    return Stored(shape, read)


def _plain(tensor: Any) -> Stored:
    return Stored(tuple(tensor.shape), lambda: tensor.detach().clone())


def _optimizer_file(folder: Path, rank: int) -> Path:
    for half in ("bf16_", "fp16_", ""):
        file = folder / f"{half}zero_pp_rank_{rank}_mp_rank_00_optim_states.pt"
        if file.is_file():
            return file
    raise FileNotFoundError(f"no optimizer file of rank {rank}")


def _load(file: Path) -> Any:
    import torch

    # DeepSpeed pickles classes of its own. The file is one that this run wrote, as its digests say.
    return torch.load(file, map_location="cpu", mmap=True, weights_only=False)
