"""The ranks of a run: who am I, on which device, and the process group that joins us.

Started by torch's launcher (`train.torchrun`, or inside srun), which sets RANK, WORLD_SIZE and LOCAL_RANK; a process
without them is the only rank and makes no group.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from train.agreement import Alone, Group


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of the run."""

    rank: int
    world: int
    local_rank: int


def ranks() -> Ranks:
    """What the launcher says; rank 0 of 1 without one."""
    return Ranks(
        rank=int(os.environ.get("RANK", "0")),
        world=int(os.environ.get("WORLD_SIZE", "1")),
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
    )


def device() -> Any:
    """The device of this rank: its GPU, or the CPU where there is none."""
    import torch

    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # else DeepSpeed warns that it found no GPU
        return torch.device("cpu")
    torch.cuda.set_device(ranks().local_rank)
    return torch.device("cuda", ranks().local_rank)


def join(engine: str) -> Group:
    """The group of this run's ranks: for `deepspeed` a process group (NCCL between GPUs, gloo between CPUs), made now.

    Work of one rank that the others wait for (an export of 138 GB) takes longer than DeepSpeed's ten minutes, so the
    limit is `DEEPSPEED_TIMEOUT` minutes, an hour unless it is set.
    """
    if engine == "torch":
        return Alone()
    import torch

    where = device()
    _silence()
    minutes = int(os.environ.setdefault("DEEPSPEED_TIMEOUT", "60"))
    if not torch.distributed.is_initialized():
        here = ranks()
        limit = timedelta(minutes=minutes)
        # Alone, a store inside the process: a port could be another run's.
        store = None if "RANK" in os.environ else torch.distributed.HashStore()
        os.environ.update(RANK=str(here.rank), WORLD_SIZE=str(here.world), LOCAL_RANK=str(here.local_rank))
        torch.distributed.init_process_group(
            _backend(), store=store, rank=here.rank, world_size=here.world, timeout=limit
        )
        import deepspeed

        # On CPU it would compile a shared-memory all-reduce: 40 s and a g++ at the first start, sums in another order.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        # Takes the group over; looking for MPI would fail on a machine that has none.
        deepspeed.init_distributed(dist_backend=_backend(), auto_mpi_discovery=False, verbose=False)
    return ProcessGroup(where)


class ProcessGroup:
    """The ranks of a process group; every method is a collective."""

    def __init__(self, device: Any) -> None:
        import torch

        self.rank: int = torch.distributed.get_rank()
        self.world: int = torch.distributed.get_world_size()
        self._device = device

    def sum(self, values: Sequence[float]) -> list[float]:
        import torch

        total = torch.tensor(values, dtype=torch.float64, device=self._device)
        torch.distributed.all_reduce(total)
        return [float(value) for value in total.tolist()]

    def any(self, flag: bool) -> bool:  # noqa: FBT001  # the contract of the engines
        return self.sum([float(flag)])[0] > 0

    def barrier(self) -> None:
        import torch

        torch.distributed.barrier()


def leave() -> None:
    """Take the group down after all have arrived: a rank that ends early kills the threads of the others' group."""
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def lost_peers(error: RuntimeError) -> bool:
    """Whether a collective failed because another rank is gone: that rank's end is the fault, not this one's."""
    import torch

    kinds = [getattr(torch.distributed, name, ()) for name in ("DistBackendError", "DistNetworkError")]
    return isinstance(error, tuple(kind for kind in kinds if kind)) or "third_party/gloo" in str(error)


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed torch for one step of one rank, so that a resumed run draws (dropout) what the whole run would have."""
    import torch

    torch.manual_seed((seed * 1_000_003 + step) * 4_099 + rank)


def _silence() -> None:
    """Third parties' warnings that nobody who trains can act on, by their text."""
    # DeepSpeed 0.19.8 calls what torch 2.13 renamed.
    for name in ("all_gather_into_tensor", "reduce_scatter_tensor"):
        warnings.filterwarnings(
            "ignore", message=rf"`torch\.distributed\.{name}` is deprecated", category=FutureWarning
        )


def _backend() -> str:
    import torch

    return "nccl" if torch.cuda.is_available() else "gloo"
