"""Combinations that cannot work, refused before anything is loaded, each with its reason and the nearest that works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manifests.errors import RecipeError

if TYPE_CHECKING:
    from train.config import RunConfig


def check_combinations(config: RunConfig, where: str) -> None:
    """RecipeError for the first combination that no machine can run."""
    model, parallel, optim, cluster = config.model, config.parallel, config.optim, config.cluster
    shared = parallel.tensor_parallel * parallel.sequence_parallel
    per_node = cluster.ranks_per_node or cluster.gpus_per_node or 1
    refusals = [
        (
            bool(model.base) == bool(model.architecture),
            "[model] needs exactly one of base and architecture.",
            "One is a checkpoint to go on from, the other a shape with random weights.",
            "Give one of them.",
        ),
        (
            model.quantize != "none" and config.lora.r == 0,
            f"[model] quantize = {model.quantize!r} without [lora].",
            "A quantised weight takes no gradient.",
            "Set lora.r = 8, or quantize = 'none'.",
        ),
        (
            model.quantize != "none" and parallel.engine == "deepspeed" and parallel.zero_stage == 3,
            f"[model] quantize = {model.quantize!r} with ZeRO stage 3.",
            "Stage 3 would partition quantised weights as if they were numbers (bitsandbytes#1451, peft#2016).",
            "Set parallel.zero_stage = 2.",
        ),
        (
            model.compile and parallel.engine == "deepspeed" and parallel.zero_stage > 1,
            f"[model] compile with ZeRO stage {parallel.zero_stage}.",
            "Gathering weights inside a compiled layer crashes (DeepSpeed#7228, #7487).",
            "Set parallel.zero_stage = 1, or compile = false.",
        ),
        (
            parallel.engine == "torch" and (parallel.tensor_parallel > 1 or parallel.sequence_parallel > 1),
            "[parallel] the torch engine runs on one rank.",
            "One process has nobody to share tensors or sequences with.",
            "Set tensor_parallel = sequence_parallel = 1.",
        ),
        (
            parallel.tensor_parallel > 1 and parallel.zero_stage == 3,
            f"[parallel] tensor_parallel = {parallel.tensor_parallel} with ZeRO stage 3.",
            "DeepSpeed's AutoTP takes stages 0 to 2.",
            "Set tensor_parallel = 1; or zero_stage = 1, to plan what `medtrove export megatron` is for.",
        ),
        (
            parallel.hpz > 1 and parallel.zero_stage != 3,
            f"[parallel] hpz = {parallel.hpz} with ZeRO stage {parallel.zero_stage}.",
            "The secondary partition is one of stage 3.",
            "Set zero_stage = 3, or hpz = 1.",
        ),
        (
            optim.min_lr > optim.lr,
            f"[optim] min_lr = {optim.min_lr} above lr = {optim.lr}.",
            "The schedule falls from lr to min_lr.",
            "Swap them.",
        ),
        (
            optim.warmup_steps > 0 and optim.warmup > 0,
            f"[optim] both warmup = {optim.warmup} and warmup_steps = {optim.warmup_steps}.",
            "They say the same thing twice.",
            "Set one of them to 0.",
        ),
        (
            parallel.offload_optimizer and (parallel.engine == "torch" or parallel.zero_stage == 0),
            "[parallel] offload_optimizer without ZeRO.",
            "DeepSpeed moves the states that a stage from 1 on owns.",
            "Set engine = 'deepspeed' and zero_stage = 1, or offload_optimizer = false.",
        ),
        (
            model.quantize != "none" and parallel.tensor_parallel > 1,
            f"[model] quantize = {model.quantize!r} with tensor_parallel = {parallel.tensor_parallel}.",
            "A quantised matrix cannot be cut: its scales belong to whole rows and blocks.",
            "Set tensor_parallel = 1; the adapters are small enough for ZeRO stage 2.",
        ),
        (
            parallel.hpz > 1 and per_node % parallel.hpz != 0,
            f"[parallel] hpz = {parallel.hpz} with {per_node} ranks in a node.",
            "The secondary partition lies within a node.",
            f"Set hpz = {per_node}, or gpus_per_node to a multiple of {parallel.hpz}.",
        ),
        (
            shared > 1 and cluster.nodes * per_node % shared != 0,
            f"[parallel] tensor_parallel x sequence_parallel = {shared} with {cluster.nodes * per_node} ranks.",
            "Every model needs as many ranks as it is cut into.",
            f"Set [cluster] to a multiple of {shared} ranks.",
        ),
        (
            bool(config.published.layout) and len(config.published.layout) != 3,
            f"[published] layout has {len(config.published.layout)} numbers.",
            "It is tensor, pipeline and data parallelism.",
            "Give three numbers, or none.",
        ),
    ]
    for refused, what, why, fix in refusals:
        if refused:
            raise RecipeError(what, where=where, why=why, fix=fix)


def check_runs(config: RunConfig) -> None:
    """RecipeError for what can be planned but not run by this trainer's loop."""
    parallel = config.parallel
    if parallel.tensor_parallel > 1 or parallel.sequence_parallel > 1:
        raise RecipeError(
            f"[parallel] tensor_parallel = {parallel.tensor_parallel}, "
            f"sequence_parallel = {parallel.sequence_parallel}.",
            why="The loop shares rows among ranks; it does not yet share tensors or sequences.",
            fix="Set both to 1 and zero_stage = 3, or `medtrove export megatron`.",
        )
