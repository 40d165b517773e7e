"""Start the ranks of a run on this machine, wait for them, and say how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from train.config import RunConfig
from train.signals import EXIT_STOPPED, SAVE_AND_EXIT, STOPPED

_SECONDS = 0.5
"""Between looks whether somebody asked the run to stop."""


def local_ranks(config: RunConfig) -> int:
    """Ranks of one node: as `[cluster]` says, else one for each GPU, else one."""
    cluster = config.cluster
    if config.parallel.engine == "torch":
        return 1
    return cluster.ranks_per_node or cluster.gpus_per_node or 1


def command(module: str, arguments: Sequence[str], *, n_ranks: int) -> list[str]:
    """What starts `n_ranks` of a module on this machine, on a free port."""
    if n_ranks == 1:
        return [sys.executable, "-m", module, *arguments]
    launcher = [sys.executable, "-m", "train.torchrun", "--standalone", "--nproc-per-node", str(n_ranks)]
    return [*launcher, "-m", module, *arguments]


def environment(n_ranks: int) -> dict[str, str]:
    """Of the ranks: the cores shared out, and room for one rank's long work while the others wait."""
    found = dict(os.environ)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found.setdefault("OMP_NUM_THREADS", str(max(1, cores // n_ranks)))
    found.setdefault("DEEPSPEED_TIMEOUT", "60")
    found.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    found.setdefault("TOKENIZERS_PARALLELISM", "false")
    return found


def launch(module: str, arguments: Sequence[str], *, n_ranks: int, run: Path) -> int:
    """Run the ranks to their end: 0 done, 85 stopped and resumable, otherwise the failure's code.

    A signal here, or Ctrl-C, asks the ranks to finish their step, save and leave; a second Ctrl-C ends them at once.
    Torch's launcher would give them 30 seconds for that, less than a step of a large model: they are asked by the
    file `SAVE_AND_EXIT`, and the launcher never hears of the signal.
    """

    asked = threading.Event()
    (run / STOPPED).unlink(missing_ok=True)
    # In a session of their own, so that a terminal's Ctrl-C comes to us alone.
    ranks = subprocess.Popen(
        command(module, arguments, n_ranks=n_ranks), env=environment(n_ranks), start_new_session=True
    )
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        code = _wait(ranks, run, asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if asked.is_set():
            (run / SAVE_AND_EXIT).unlink(missing_ok=True)
    return EXIT_STOPPED if code in (0, EXIT_STOPPED) and (run / STOPPED).exists() else code


def _wait(ranks: subprocess.Popen[bytes], run: Path, asked: threading.Event) -> int:
    while True:
        try:
            # Again and again: ranks that are still starting take the file for an earlier process's and remove it.
            if asked.is_set():
                (run / SAVE_AND_EXIT).touch()
            return ranks.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        except KeyboardInterrupt:
            if asked.is_set():
                os.killpg(ranks.pid, signal.SIGTERM)
                return ranks.wait()
            asked.set()
            sys.stderr.write("\nmedtrove: the step ends and is saved; Ctrl-C again to stop at once.\n")
