"""What a run will need and take, before anything is loaded: memory, batch, speed, days, checkpoints, communication.

Every figure is arithmetic on the architecture, the maker's peaks and others' published speeds; none is measured here.
Torch is not needed: a plan is made on a laptop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from manifests.errors import RecipeError
from train.architecture import Architecture
from train.communication import EXPOSED, Traffic, proposals, traffic
from train.config import RunConfig
from train.fitting import chosen_micro_rows, largest_micro_rows, nearest
from train.hardware import Gpu, gpu_named
from train.memory import Memory, checkpoint_bytes, memory, trainable_parameters
from train.throughput import Speed, flops_per_token, speed

STORAGE = 10.0
"""GB/s into the checkpoint folder of a parallel filesystem, all ranks together; `plan --storage` says otherwise."""
SPARE = 1.10
"""Time to ask for: a tenth more, for restarts, validation and checkpoints."""
MIN_STILL = 0.05
"""Share of weights that would stand still in pure bf16 from which a plan says so."""
NO_GPU = "No GPU is named, so fit and speed are not judged: --set cluster.gpu=h100-80 and cluster.gpus_per_node=8."


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is trained on: by source, and who says so; nothing by source where that is not known yet."""

    by_source: Mapping[str, int]
    origin: str
    rows: int = 0
    """Of an epoch; 0: not known, and counted as if rows were full."""
    sequence_length: int = 0
    """Of the rows; 0: not known."""
    restricted: bool = False
    vocabulary: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole answer; `dataclasses.asdict` is its JSON."""

    name: str
    description: str
    gpu: str
    nodes: int
    gpus: int
    data_parallel: int
    sequence_length: int
    sequence_length_published: bool
    parameters: int
    trainable: int
    memory: Memory
    usable_bytes: float
    """0: a CPU run, whose memory is not judged."""
    fits: bool
    nearest: list[str]
    """What would fit, if this does not: nearest first."""
    micro_rows: int
    accumulation: int
    rows_per_step: int
    tokens_per_step: int
    steps: int
    warmup_steps: int
    epochs: int
    tokens: Tokens
    flops_per_token: float
    speed: Speed | None
    gpu_hours: tuple[float, float] | None
    """Least, most; None where the tokens or the speed are not known."""
    days: tuple[float, float] | None
    checkpoint_bytes: float
    checkpoint_seconds: float
    export_bytes: float
    traffic: Traffic | None
    notes: list[str] = field(default_factory=list)

    @property
    def total_tokens(self) -> int:
        """Of all epochs."""
        return sum(self.tokens.by_source.values()) * self.epochs


def ranks_of(config: RunConfig) -> int:
    """Processes of a run, as `[cluster]` has them; the torch engine is one."""
    cluster = config.cluster
    if config.parallel.engine == "torch":
        return 1
    return cluster.nodes * (cluster.ranks_per_node or cluster.gpus_per_node or 1)


def make_plan(config: RunConfig, shape: Architecture, tokens: Tokens, *, storage: float = STORAGE) -> Plan:
    """The plan of a configuration for what is to be trained on; RecipeError where no batch can be made."""
    cluster, parallel, batch = config.cluster, config.parallel, config.batch
    gpu = gpu_named(cluster.gpu) if cluster.gpu and cluster.gpus_per_node else None
    ranks = ranks_of(config)
    data_parallel = ranks // (parallel.tensor_parallel * parallel.sequence_parallel)
    rows_of_rank = _rows_of_rank(config, data_parallel)
    micro = batch.micro_rows if gpu is None else chosen_micro_rows(shape, config, gpu, data_parallel, rows_of_rank)
    need = memory(shape, config, data_parallel=data_parallel, micro_rows=micro)
    fits = gpu is None or need.total <= gpu.usable_bytes
    length = config.data.sequence_length
    rows = tokens.rows or math.ceil(sum(tokens.by_source.values()) / (length + 1))
    rows_per_step = rows_of_rank * data_parallel
    steps = math.ceil(rows / rows_per_step) * config.data.epochs
    found = speed(shape, config, gpu) if gpu else None
    trained = rows * length * config.data.epochs
    hours = (trained / found.high / 3600, trained / found.low / 3600) if found and trained else None
    sizes = checkpoint_bytes(shape, config)
    made = config.model_copy(update={"batch": batch.model_copy(update={"micro_rows": micro})})
    moved = traffic(shape, made, gpu) if gpu and ranks > 1 else None
    plan = Plan(
        name=config.name,
        description=config.description,
        gpu=gpu.title if gpu else "CPU",
        nodes=cluster.nodes,
        gpus=ranks if gpu else 0,
        data_parallel=data_parallel,
        sequence_length=length,
        sequence_length_published=config.published.sequence_length,
        parameters=shape.parameters,
        trainable=trainable_parameters(shape, config),
        memory=need,
        usable_bytes=gpu.usable_bytes if gpu else 0.0,
        fits=fits,
        nearest=[] if fits or gpu is None else nearest(shape, config, gpu),
        micro_rows=micro,
        accumulation=rows_of_rank // micro,
        rows_per_step=rows_per_step,
        tokens_per_step=rows_per_step * length,
        steps=steps,
        warmup_steps=config.optim.warmup_steps or round(config.optim.warmup * steps),
        epochs=config.data.epochs,
        tokens=tokens,
        flops_per_token=flops_per_token(shape, length, lora=config.lora.r > 0),
        speed=found,
        gpu_hours=hours,
        days=(hours[0] / ranks / 24, hours[1] / ranks / 24) if hours else None,
        checkpoint_bytes=sizes,
        checkpoint_seconds=sizes / (storage * 1e9),
        export_bytes=2.0 * (trainable_parameters(shape, config) if config.lora.r else shape.parameters),
        traffic=moved,
    )
    plan.notes.extend(_notes(config, shape, gpu, plan))
    return plan


def standing_still(lr: float, sigma: float = 0.02) -> float:
    """Share of bf16 weights, normal with deviation `sigma`, that a step of `lr` leaves as they are.

    A bf16 weight in [2^e, 2^(e+1)) is known to 2^(e-7); what is less than half of that is rounded away.
    """
    least = 2.0 ** math.ceil(math.log2(lr) + 8)
    return math.erfc(least / sigma / math.sqrt(2))


def _rows_of_rank(config: RunConfig, data_parallel: int) -> int:
    batch = config.batch
    if not batch.rows:
        return batch.micro_rows * batch.accumulation
    if batch.rows % data_parallel:
        sizes = [n for n in range(1, batch.rows + 1) if batch.rows % n == 0]
        near = sorted(sizes, key=lambda n: abs(n - data_parallel))[:4]
        raise RecipeError(
            f"{batch.rows} rows by step cannot be shared by {data_parallel} ranks of data parallelism.",
            where="[batch] rows",
            why="Every rank takes as many rows as the others.",
            fix=f"Take {', '.join(map(str, sorted(near)))} ranks, or other rows.",
        )
    return batch.rows // data_parallel


def _notes(config: RunConfig, shape: Architecture, gpu: Gpu | None, plan: Plan) -> list[str]:
    notes = []
    wanted, length = plan.tokens.sequence_length, config.data.sequence_length
    if wanted and wanted != length:
        notes.append(
            f"The rows ({plan.tokens.origin}) have {wanted:,} tokens, this run wants {length:,}: refused. "
            f"Build with sequence_length = {length}, or --set data.sequence_length={wanted}."
        )
    if not config.published.sequence_length and config.published.source:
        notes.append(f"{config.published.source} did not publish a sequence length; {length:,} is our choice.")
    still = standing_still(config.optim.lr)
    if not config.lora.r and config.model.dtype == "bf16" and still > MIN_STILL:
        notes.append(
            f"16-bit weights without an fp32 master copy (8 bytes a parameter) are not offered: at lr "
            f"{config.optim.lr:g}, {still:.1%} of bf16 weights would not move in a step."
        )
    return notes + (_machine_notes(config, shape, gpu, plan) if gpu else [NO_GPU])


def _machine_notes(config: RunConfig, shape: Architecture, gpu: Gpu, plan: Plan) -> list[str]:
    notes = []
    if config.parallel.offload_optimizer:
        host = plan.memory.host / 2**30 * ranks_of(config) / config.cluster.nodes
        notes.append(
            f"The optimizer steps on the CPU: every node needs {host:,.0f} GiB of host memory for it, and the speed "
            "above does not include its step; accumulate much."
        )
    if plan.micro_rows != config.batch.micro_rows:
        notes.append(
            f"micro_rows = {config.batch.micro_rows} does not fit; {plan.micro_rows} with accumulation "
            f"{plan.accumulation} is the same step."
        )
    elif plan.fits:
        most = largest_micro_rows(shape, config, gpu, plan.data_parallel, plan.micro_rows * plan.accumulation)
        if most > plan.micro_rows:
            notes.append(f"micro_rows = {most} would fit as well, and larger micro-steps are faster.")
    if plan.traffic and plan.traffic.ratio > EXPOSED:
        better = [pair for pair in proposals(shape, config, gpu) if pair[1].ratio < plan.traffic.ratio]
        told = "; ".join(f"{words}: {moved.ratio:.2f}" for words, moved in better)
        notes.append(
            f"Communication takes {plan.traffic.ratio:.2f} of the computation's time, too much to hide. "
            f"Better: {told or 'a faster network, or larger micro_rows'}."
        )
    if config.parallel.tensor_parallel > 1 or config.parallel.sequence_parallel > 1:
        notes.append("The loop does not share tensors or sequences yet: this layout is for `medtrove export megatron`.")
    if config.published.layout and config.published.layout[1] > 1:
        notes.append(
            "DeepSpeed has no pipeline stage for Hugging Face models, so the seed's tensor x pipeline layout is not "
            "copied: here it is ZeRO-3. `medtrove export megatron --launch "
            f"{config.name}` writes the shards and a launch file for Megatron-LM with the published layout."
        )
    return notes
