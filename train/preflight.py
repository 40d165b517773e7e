"""Before a long run: is every GPU as fast as the others, does the network carry, is there room for checkpoints?

    python -m torch.distributed.run ... -m train.preflight --folder RUN --need BYTES

Every rank multiplies matrices; all ranks sum a tensor together, then each pair of neighbouring nodes alone. What is
slow is named with its host, so that the next job can exclude it. Exit 1: no room, too few inodes, or a rank at less
than half the median speed. Works on CPUs with gloo.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from train.distributed import device, leave, ranks

SLOW, BROKEN = 0.85, 0.5
"""Shares of the median speed: below the first a rank or pair is named, below the second a run does not start."""
INODES = 10_000
"""Files a run may make: checkpoints of hundreds of ranks."""
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Measured:
    """What one rank saw."""

    rank: int
    host: str
    local_rank: int
    teraflops: float
    """Of a 16-bit matrix product on a GPU, an fp32 one on a CPU."""
    pair_gigabytes_per_second: dict[str, float]
    """Bus bandwidth of an all-reduce between two neighbouring nodes, by their hosts."""


def judge(
    measured: Sequence[Measured], *, free: int, inodes: int, need: int, gpu: bool = True
) -> tuple[list[str], list[str]]:
    """Problems that forbid a start, and warnings; `inodes` is -1 where the filesystem does not count them.

    A slow CPU rank is only a warning: cores are shared with whatever else runs.
    """
    problems: list[str] = []
    warnings: list[str] = []
    if free < need:
        problems.append(f"{free / 1e9:,.1f} GB are free and checkpoints need {need / 1e9:,.1f}.")
    if 0 <= inodes < INODES:
        problems.append(f"{inodes:,} inodes are free, and a run may need {INODES:,}.")
    median = statistics.median(one.teraflops for one in measured)
    for one in measured:
        if one.teraflops < SLOW * median:
            where = f"rank {one.rank} (GPU {one.local_rank} of {one.host}; exclude it with --exclude={one.host})"
            words = f"{where} multiplies at {one.teraflops:,.3g} TFLOP/s, the median is {median:,.3g}."
            (problems if gpu and one.teraflops < BROKEN * median else warnings).append(words)
    pairs = {pair: speed for one in measured for pair, speed in one.pair_gigabytes_per_second.items()}
    usual = statistics.median(pairs.values()) if pairs else 0.0
    for pair, speed in pairs.items():
        if speed < SLOW * usual:
            warnings.append(f"{pair} sum at {speed:,.3g} GB/s, the median pair at {usual:,.3g}.")
    return problems, warnings


def measure() -> tuple[list[Measured], float]:
    """Of all ranks, on every rank; and the bus bandwidth in GB/s of an all-reduce over all (0 for a single rank)."""
    import torch

    here, where = ranks(), device()
    gpu = where.type == "cuda"
    joined = here.world > 1
    if joined:
        torch.distributed.init_process_group("nccl" if gpu else "gloo")
    side, dtype = (8192, torch.bfloat16) if gpu else (512, torch.float32)
    a, b = (torch.ones(side, side, dtype=dtype, device=where) for _ in range(2))
    seconds = _fastest(lambda: a @ b, gpu=gpu)
    tensor = torch.ones((1 << 28 if gpu else 1 << 22) // 4, device=where)
    together, pairs = 0.0, {}
    if joined:
        together = _bus(tensor, None, here.world, gpu=gpu)
        pairs = _pairs(tensor, gpu=gpu)
    mine = Measured(here.rank, socket.gethostname(), here.local_rank, 2 * side**3 / seconds / 1e12, pairs)
    found: list[Any] = [mine]
    if joined:
        found = [None] * here.world
        torch.distributed.all_gather_object(found, mine)
    return found, together


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; rank 0 speaks."""
    parser = argparse.ArgumentParser(prog="python -m train.preflight")
    parser.add_argument("--folder", type=Path, required=True, help="where checkpoints will be written")
    parser.add_argument("--need", type=int, default=0, help="bytes that must be free there")
    options = parser.parse_args(arguments)
    measured, together = measure()
    room = os.statvfs(options.folder)
    free, inodes = room.f_bavail * room.f_frsize, room.f_favail if room.f_files else -1
    problems, warnings = judge(measured, free=free, inodes=inodes, need=options.need, gpu=device().type == "cuda")
    if ranks().rank == 0:
        speeds = [one.teraflops for one in measured]
        facts = {
            "ranks": [asdict(one) for one in measured],
            "all_reduce_gigabytes_per_second": together,
            "free_bytes": free,
            "free_inodes": inodes,
            "problems": problems,
            "warnings": warnings,
        }
        path = options.folder / "preflight.json"
        path.with_suffix(".tmp").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        path.with_suffix(".tmp").replace(path)
        said = [
            f"preflight: {len(measured)} ranks at {min(speeds):,.3g} to {max(speeds):,.3g} TFLOP/s, "
            f"all-reduce {together:,.3g} GB/s, {free / 1e9:,.1f} GB free",
            *(f"preflight warning: {one}" for one in warnings),
            *(f"preflight problem: {one}" for one in problems),
        ]
        sys.stderr.write("\n".join(said) + "\n")
    leave()
    return 1 if problems else 0


def _fastest(work: Callable[[], Any], *, gpu: bool) -> float:
    """Seconds of the fastest of a few tries, the first left out."""
    import torch

    found = []
    for _ in range(_TRIES + 1):
        begin = time.perf_counter()
        work()
        if gpu:
            torch.cuda.synchronize()
        found.append(time.perf_counter() - begin)
    return min(found[1:])


def _bus(tensor: Any, group: Any, size: int, *, gpu: bool) -> float:
    """GB/s over the slowest link of a ring: 2 (n - 1) / n of the bytes pass each (NCCL's bus bandwidth)."""
    import torch

    seconds = _fastest(lambda: torch.distributed.all_reduce(tensor, group=group), gpu=gpu)
    return float(2 * (size - 1) / size * tensor.numel() * tensor.element_size() / seconds / 1e9)


def _pairs(tensor: Any, *, gpu: bool) -> dict[str, float]:
    """Bandwidth of this rank's node with its neighbours, in two rounds so that no node is in two pairs at once."""
    import torch

    here, by_node = ranks(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    nodes = here.world // by_node
    hosts: list[Any] = [None] * here.world
    torch.distributed.all_gather_object(hosts, f"node {here.rank // by_node} ({socket.gethostname()})")
    found = {}
    for first_round in (0, 1):
        for first in range(first_round, nodes - 1, 2):
            members = list(range(first * by_node, (first + 2) * by_node))
            group = torch.distributed.new_group(members)  # every rank makes every group, in the same order
            if here.rank in members:
                speed = _bus(tensor, group, len(members), gpu=gpu)
                found[f"{hosts[members[0]]} and {hosts[members[-1]]}"] = speed
        torch.distributed.barrier()
    return found


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the group that are torn down at exit have ended a good rank with "terminate called".
    os._exit(code)
