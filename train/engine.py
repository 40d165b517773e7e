"""What the training loop needs of an engine, whichever it is: DeepSpeed on many ranks, or torch on one.

A step's gradient is that of the sum of all its tokens' losses, divided by how many learned tokens the whole step has
on all ranks. World size, accumulation and padding therefore do not change it (the usual mean of means does: 7 % of
the gradient norm on ragged answer masks, measured).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from manifests.errors import RecipeError
from train.config import RunConfig
from train.data import Batch
from train.resume import share_rows


@dataclass(frozen=True, slots=True)
class LossSums:
    """Sums over the learned tokens of all ranks."""

    loss_sum: float
    """Nats; divided by `tokens` it is the loss."""
    tokens: int
    by_source: list[float]
    tokens_by_source: list[int]

    @property
    def loss(self) -> float:
        """Nats a token, NaN where none was learned."""
        return self.loss_sum / self.tokens if self.tokens else math.nan


@dataclass(frozen=True, slots=True)
class StepResult(LossSums):
    """What one step of the optimizer did."""

    grad_norm: float
    """Before clipping; infinite or NaN where the step was not finite."""
    skipped: bool
    """Weights and optimizer are as before: not finite, or over `norm_limit`."""


class Engine(Protocol):
    """A model, its optimizer, and the ranks that share them."""

    rank: int
    world: int
    """Ranks of data parallelism."""
    device: Any
    module: Any
    """The Hugging Face model."""

    def train_step(
        self, micro_batches: Sequence[Batch], *, lr: float, global_tokens: int, norm_limit: float = math.inf
    ) -> StepResult:
        """One step of the optimizer over this rank's micro-batches, as many as `accumulation`.

        `global_tokens`: labels of the whole step that are learned, on all ranks.
        """
        ...

    def evaluate(self, batches: Iterable[Batch]) -> LossSums:
        """The same sums without gradient; every rank brings equally many batches."""
        ...

    def save(self, folder: Path) -> None:
        """Write weights and optimizer into an existing folder; every rank calls it."""
        ...

    def load(self, folder: Path, *, saved_world: int, scratch: Path) -> None:
        """Go on from what `save` wrote on so many ranks; every rank calls it.

        `scratch`: a path that does not exist, for files converted to another number of ranks; gone afterwards.
        """
        ...

    def weights(self) -> dict[str, Any] | None:
        """All weights whole, in fp32 where there are such masters, on rank 0's CPU; None on the others. Collective."""
        ...

    def sum(self, values: Sequence[float]) -> list[float]:
        """Sums over all ranks, in double precision."""
        ...

    def any(self, flag: bool) -> bool:  # noqa: FBT001
        """True everywhere if it is anywhere."""
        ...

    def barrier(self) -> None:
        """Return when all ranks have come here."""
        ...

    def close(self) -> None:
        """Leave the process group; the last call."""
        ...


def make_engine(config: RunConfig, build: Callable[..., Any], *, n_sources: int) -> Engine:
    """The engine that `[parallel] engine` names, around the model that `build(partitioned=..., deepspeed_config=...)`
    makes.

    `partitioned` asks for a model whose weights are shared out while it is made, for ZeRO stage 3. `[batch]` of the
    configuration is that of this world (`for_world`).
    """
    from train.distributed import ranks

    if config.model.tf32:
        import torch

        torch.set_float32_matmul_precision("high")
    if config.parallel.engine == "torch":
        from train.engine_torch import TorchEngine

        check_ranks(config, ranks().world)
        return TorchEngine(config, build(partitioned=False), n_sources=n_sources)
    from train.engine_deepspeed import DeepSpeedEngine

    return DeepSpeedEngine(config, build, n_sources=n_sources)


def check_ranks(config: RunConfig, world: int) -> None:
    """RecipeError if so many ranks cannot share the run."""
    if config.parallel.engine == "torch" and world > 1:
        raise RecipeError(
            f"the torch engine was started on {world} ranks.",
            why="Each of them would train a model of its own.",
            fix="Set parallel.engine = 'deepspeed', or start one rank.",
        )
    for_world(config, max(1, world // (config.parallel.tensor_parallel * config.parallel.sequence_parallel)))


def for_world(config: RunConfig, world: int, *, rows: int = 0) -> RunConfig:
    """The configuration whose `[batch]` says what `world` ranks do: rows of a step, micro-batches, accumulation.

    `rows` fixes the rows of a step, as a resumed run does; 0: `[batch] rows`, or what its factors make.
    """
    batch = config.batch
    rows = rows or batch.rows or batch.micro_rows * batch.accumulation * world
    micro, accumulation = share_rows(rows, world, batch.micro_rows)
    update = {"rows": rows, "micro_rows": micro, "accumulation": accumulation}
    return config.model_copy(update={"batch": batch.model_copy(update=update)})
