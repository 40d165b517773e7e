"""The local runner: datatrove's executor with one process per task, where a death is a result.

datatrove's own local executor waits for ever when a worker is killed, and takes a completion mark for the truth
whatever became of the files. Here each task is a process watched through its sentinel; a task counts as done only
while its mark and its files agree; the tasks of several stages share the workers; a failed task does not stop the
others, and all failures are reported together. A task killed by a signal (mostly: out of memory) is tried once
more, alone.
"""

from __future__ import annotations

import ctypes
import math
import multiprocessing
import os
import resource
import signal
import sys
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from manifests.errors import CheckFailed, CorpusError
from manifests.store import Store
from pipelines import heartbeat
from pipelines.stage import Stage, begin_stage, finish_stage, stage_is_done, task_is_done
from pipelines.steps.seal import SealErrors

PRELOADED = ("pipelines.preload",)
"""Imported once by the fork server, so that a task starts in milliseconds."""


class LocalExecutor(LocalPipelineExecutor):  # type: ignore[misc]  # datatrove has no types
    """One stage's pipeline; its logging folder is the stage's folder, so stock marks stay true."""

    def __init__(self, pipeline: list[PipelineStep], tasks: int, folder: Store, results: Store | None = None) -> None:
        super().__init__(
            pipeline, tasks=tasks, workers=1, logging_dir=folder.full("") if folder.is_local else folder.url
        )
        self.folder = folder
        self.results = results

    def is_rank_completed(self, rank: int) -> bool:
        return bool(super().is_rank_completed(rank)) and task_is_done(self.folder, rank, self.results)

    def get_incomplete_ranks(self, ranks: Any = None, skip_completed: Any = None) -> list[int]:
        return [
            rank for rank in (ranks if ranks is not None else range(self.tasks)) if not self.is_rank_completed(rank)
        ]

    def run_rank(self, rank: int) -> None:
        """Run one task in this process; anything but 0 as local rank keeps datatrove off the terminal."""
        self._run_for_rank(rank, local_rank=1)


@dataclass
class StageRun:
    """A planned stage with the pipeline that does it."""

    stage: Stage
    folder: Store
    tasks: Sequence[Any]
    """What each task gets, JSON; recorded before the first task starts."""
    pipeline: list[PipelineStep]
    restricted: bool = False
    results: Store | None = None
    """Where result files lie when that is not `folder`."""
    units: int = 0
    """Units of progress of the whole stage; 0 if not known."""


class Display(Protocol):
    """What shows progress: bars on a terminal, plain lines elsewhere."""

    def stage_started(self, run: StageRun, n_tasks: int) -> None: ...
    def task_progress(self, run: StageRun, rank: int, done: int, note: str) -> None: ...
    def task_finished(self, run: StageRun, rank: int) -> None: ...
    def stage_finished(self, run: StageRun) -> None: ...


@dataclass
class _Task:
    run: StageRun
    executor: LocalExecutor
    rank: int
    tries: int = 0


@dataclass
class _Failure:
    task: _Task
    sentence: str


@dataclass
class _Live:
    task: _Task
    process: BaseProcess
    connection: Connection
    outcome: str | None = None
    peak_bytes: int = 0


def workers_for(requested: int, gigabytes_each: float) -> int:
    """`requested`, or as many as the cores and the free memory carry (at least 1)."""
    if requested:
        return requested
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min(available_bytes() / (gigabytes_each * 1e9), cores)))


def available_bytes() -> float:
    """Memory that can be had without swapping, as Linux estimates it; unlimited where nothing says."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return math.inf
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), math.inf)


def run_stages(runs: Sequence[StageRun], *, workers: int, display: Display) -> int:
    """Run the stages' unfinished tasks on `workers` processes; CheckFailed names every task that failed.

    Returns the peak resident memory of the largest task, in bytes; 0 if none ran.
    """
    waiting: deque[_Task] = deque()
    left: dict[int, int] = {}
    for run in runs:
        if stage_is_done(run.folder, run.results):
            continue
        begin_stage(run.folder, run.tasks)
        pipeline = [*run.pipeline, SealErrors()] if run.restricted else run.pipeline
        executor = LocalExecutor(pipeline, len(run.tasks), run.folder, run.results)
        ranks = executor.get_incomplete_ranks()
        display.stage_started(run, len(ranks))
        left[id(run)] = len(ranks)
        waiting.extend(_Task(run, executor, rank) for rank in ranks)
        if not ranks:
            finish_stage(run.folder, run.stage, len(run.tasks))
            display.stage_finished(run)
    failures, peak_bytes = _run_tasks(waiting, left, workers=workers, display=display)
    if failures:
        listed = "\n".join(f"  {_name(failure.task)}: {failure.sentence}" for failure in failures)
        raise CheckFailed(
            f"{len(failures)} task(s) failed:\n{listed}\n",
            why="Finished tasks are kept.",
            fix="Correct the cause and run the same command again: it continues where it stopped.",
        )
    return peak_bytes


def _name(task: _Task) -> str:
    return f"{task.run.stage.name} {task.run.stage.source}, task {task.rank}"


def _run_tasks(
    waiting: deque[_Task], left: dict[int, int], *, workers: int, display: Display
) -> tuple[list[_Failure], int]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    live: list[_Live] = []
    alone: deque[_Task] = deque()
    failures: list[_Failure] = []
    peak_bytes = 0
    try:
        while waiting or live or alone:
            while waiting and len(live) < workers:
                live.append(_start(context, waiting.popleft()))
            if not live:
                live.append(_start(context, alone.popleft()))
            ready = wait([one.connection for one in live] + [one.process.sentinel for one in live])
            for one in list(live):
                if one.connection in ready:
                    _listen(one, display)
                if one.process.sentinel not in ready:
                    continue
                one.process.join()
                _listen(one, display)
                live.remove(one)
                one.connection.close()
                peak_bytes = max(peak_bytes, one.peak_bytes)
                sentence = _verdict(one)
                if sentence is None:
                    display.task_finished(one.task.run, one.task.rank)
                    left[id(one.task.run)] -= 1
                    if not left[id(one.task.run)]:
                        finish_stage(one.task.run.folder, one.task.run.stage, len(one.task.run.tasks))
                        display.stage_finished(one.task.run)
                elif (one.process.exitcode or 0) < 0 and one.task.tries < 1:
                    alone.append(_Task(one.task.run, one.task.executor, one.task.rank, one.task.tries + 1))
                else:
                    failures.append(_Failure(one.task, sentence))
    finally:
        for one in live:
            one.process.kill()
            one.process.join()
    return failures, peak_bytes


def _start(context: Any, task: _Task) -> _Live:
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(task.executor, task.rank, sending), daemon=False)
    process.start()
    sending.close()
    return _Live(task, process, receiving)


def _listen(one: _Live, display: Display) -> None:
    try:
        while one.connection.poll():
            kind, done, note = one.connection.recv()
            if kind == "beat":
                display.task_progress(one.task.run, one.task.rank, done, note)
            elif kind == "peak":
                one.peak_bytes = done
            else:
                one.outcome = note
    except (EOFError, OSError):
        return  # the process is gone; its sentinel says so too


def _verdict(one: _Live) -> str | None:
    code = one.process.exitcode or 0
    if code == 0 and one.outcome is None and task_is_done(one.task.run.folder, one.task.rank, one.task.run.results):
        return None
    if code < 0:
        name = signal.Signals(-code).name
        hint = (
            " Often the machine ran out of memory: raise [executor] gigabytes_per_worker." if name == "SIGKILL" else ""
        )
        return f"killed by {name}, twice.{hint}"
    log = f"{one.task.run.folder.url}/logs/task_{one.task.rank:05d}.log"
    return f"{one.outcome or f'ended with exit code {code} without a result.'} Log: {log}"


def _work(executor: LocalExecutor, rank: int, sending: Connection) -> None:
    """Body of a task's process: run it, tell the parent, leave."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    _die_with_parent()
    # datatrove prints every failure to the terminal; the parent says it in a sentence, the task's log has the rest.
    with Path(os.devnull).open("w") as nowhere:
        sys.stderr = nowhere
        heartbeat.listen(lambda done, note: sending.send(("beat", done, note)))
        try:
            executor.run_rank(rank)
        except CorpusError as error:
            sending.send(("failed", 0, str(error)))
        except Exception as error:  # noqa: BLE001  # the boundary of a process: whatever it is becomes a sentence
            frame = traceback.extract_tb(error.__traceback__)[-1]
            sending.send(
                ("failed", 0, f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {error}")
            )
        sys.stderr = sys.__stderr__
    sending.send(("peak", own_peak_bytes(), ""))


def _die_with_parent() -> None:
    """On Linux, let this task be killed when the runner is: a rerun must not meet stragglers of the run before."""
    if sys.platform == "linux":
        # prctl(PR_SET_PDEATHSIG, ...), linux/prctl.h; the fork server, our parent, ends when the runner does.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def own_peak_bytes() -> int:
    """Peak resident memory of this process, in bytes (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
