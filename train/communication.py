"""What the ranks send each other in a micro-step, against the time they compute: exposed or hidden.

Stage 3 gathers the 16-bit weights forward and backward and scatters the gradients: three times the model into every
node and micro-step (a frozen base: twice, it has no gradients). Stage 2 scatters gradients every micro-step; stages 0
and 1 move gradients and weights once a step. Tensor parallelism sums activations four times a layer, six with
recomputation, inside the node.
"""

from __future__ import annotations

from dataclasses import dataclass

from train.architecture import Architecture
from train.config import RunConfig
from train.fitting import changed, largest_micro_rows
from train.hardware import Gpu
from train.memory import base_bytes, memory, trainable_parameters
from train.throughput import hardware_flops_per_token

COMPUTE_SHARE = 0.75
"""Of the peak, while a GPU computes and waits for nobody: the shortest time that traffic could hide behind."""
EXPOSED = 0.5
"""Ratio from which another layout is proposed: beyond it traffic no longer hides behind the computation."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Of one micro-step of one rank."""

    bytes: float
    """Into one node, or into one GPU where there is one node."""
    gigabytes_per_second: float
    seconds: float
    compute_seconds: float

    @property
    def ratio(self) -> float:
        """Communication by computation; above `EXPOSED` it costs time."""
        return self.seconds / self.compute_seconds


def traffic(shape: Architecture, config: RunConfig, gpu: Gpu) -> Traffic:
    """The communication of this configuration on this kind of GPU."""
    cluster, parallel = config.cluster, config.parallel
    nodes, tensor = cluster.nodes, parallel.tensor_parallel
    ranks = nodes * max(cluster.gpus_per_node, 1)
    data_parallel = max(ranks // (tensor * parallel.sequence_parallel), 1)
    stage = parallel.zero_stage if parallel.engine == "deepspeed" else 0
    learns = 2.0 * trainable_parameters(shape, config)
    if stage == 3:
        gathers = 1 if parallel.hpz > 1 and nodes > 1 else 2
        whole = gathers * (base_bytes(shape, config) if config.lora.r else learns) + learns
    elif stage == 2:
        whole = learns + learns / config.batch.accumulation
    else:
        whole = 2 * learns / config.batch.accumulation
    if data_parallel == 1:
        whole = 0.0
    elif nodes == 1:
        whole *= (data_parallel - 1) / data_parallel / tensor
    link = gpu.link if nodes == 1 else cluster.node_gigabytes_per_second or gpu.node_link
    tokens = config.batch.micro_rows * config.data.sequence_length
    inside = 0.0
    if tensor > 1:
        sums = 6 if config.model.recompute == "full" else 4
        inside = shape.layers * sums * 2 * (tensor - 1) / tensor * tokens * shape.hidden * 2.0
    shared = tensor * parallel.sequence_parallel
    compute = hardware_flops_per_token(shape, config) * tokens / (COMPUTE_SHARE * gpu.teraflops * 1e12) / shared
    return Traffic(whole + inside, link, whole / (link * 1e9) + inside / (gpu.link * 1e9), compute)


def proposals(shape: Architecture, config: RunConfig, gpu: Gpu) -> list[tuple[str, Traffic]]:
    """Other layouts of the same step that fit this GPU, with what they would send; least exposed first."""
    found = []
    for words, other in [*_larger_micro_steps(shape, config, gpu), *_others(config)]:
        ranks = other.cluster.nodes * other.cluster.gpus_per_node // other.parallel.tensor_parallel
        if memory(shape, other, data_parallel=max(ranks, 1)).total <= gpu.usable_bytes:
            found.append((words, traffic(shape, other, gpu)))
    return sorted(found, key=lambda pair: pair[1].ratio)


def _larger_micro_steps(shape: Architecture, config: RunConfig, gpu: Gpu) -> list[tuple[str, RunConfig]]:
    """The same step in fewer, larger micro-steps, if they fit: weights are gathered less often."""
    cluster, batch = config.cluster, config.batch
    ranks = max(cluster.nodes * cluster.gpus_per_node // config.parallel.tensor_parallel, 1)
    of_rank = batch.rows // ranks if batch.rows else batch.micro_rows * batch.accumulation
    most = largest_micro_rows(shape, config, gpu, ranks, of_rank)
    if most <= batch.micro_rows:
        return []
    keys = {"micro_rows": most, "accumulation": of_rank // most}
    return [(f"micro_rows = {most} with accumulation = {of_rank // most}", changed(config, batch=keys))]


def _others(config: RunConfig) -> list[tuple[str, RunConfig]]:
    per_node, nodes = config.cluster.gpus_per_node, config.cluster.nodes
    found = []
    if config.parallel.zero_stage == 3:
        found.append(("zero_stage = 1", changed(config, parallel={"zero_stage": 1, "hpz": 1})))
        if nodes > 1 and config.parallel.hpz == 1:
            found.append((f"hpz = {per_node}", changed(config, parallel={"hpz": per_node})))
    if config.parallel.tensor_parallel == 1 and per_node > 1 and not config.lora.r:
        one = {"zero_stage": 1, "tensor_parallel": per_node, "hpz": 1}
        more = config.batch.accumulation * per_node
        words = f"tensor_parallel = {per_node} with zero_stage = 1 and accumulation = {more}"
        words += " (elsewhere: not in this loop)"
        found.append((words, changed(config, parallel=one, batch={"accumulation": more})))
    return found
