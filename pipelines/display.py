"""Progress on screen: bars on a terminal, one plain line per event elsewhere."""

from __future__ import annotations

import time
from collections import defaultdict

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from pipelines.executors import StageRun


class PlainDisplay:
    """One line when a stage starts, one when it ends: readable in a log file."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._started: dict[int, float] = {}

    def stage_started(self, run: StageRun, n_tasks: int) -> None:
        self._started[id(run)] = time.monotonic()

    def task_progress(self, run: StageRun, rank: int, done: int, note: str) -> None:
        """Nothing: a line for every beat would drown the log."""

    def task_finished(self, run: StageRun, rank: int) -> None:
        """Nothing: the stage's end says it."""

    def stage_finished(self, run: StageRun) -> None:
        seconds = time.monotonic() - self._started.get(id(run), time.monotonic())
        tasks = f"{len(run.tasks)} task{'s' if len(run.tasks) != 1 else ''}"
        self.console.print(f"  {run.stage.name:<9} {run.stage.source:<16} {tasks:>9} {seconds:6.1f} s", highlight=False)

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to tear down."""


class BarDisplay:
    """A live bar for every stage that runs."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
        )
        self._bars: dict[int, TaskID] = {}
        self._done: defaultdict[int, dict[int, int]] = defaultdict(dict)

    def stage_started(self, run: StageRun, n_tasks: int) -> None:
        total = float(run.units or n_tasks)
        self._bars[id(run)] = self.progress.add_task(f"{run.stage.name} {run.stage.source}", total=total, note="")

    def task_progress(self, run: StageRun, rank: int, done: int, note: str) -> None:
        self._done[id(run)][rank] = done
        if run.units:
            self.progress.update(self._bars[id(run)], completed=sum(self._done[id(run)].values()))
        self.progress.update(self._bars[id(run)], note=note[:40])

    def task_finished(self, run: StageRun, rank: int) -> None:
        if not run.units:
            self.progress.advance(self._bars[id(run)])

    def stage_finished(self, run: StageRun) -> None:
        bar = self._bars[id(run)]
        self.progress.update(bar, completed=self.progress.tasks[bar].total, note="")

    def __enter__(self) -> BarDisplay:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()


def display_for(console: Console) -> PlainDisplay | BarDisplay:
    """Bars if a person watches, lines if a file does."""
    return BarDisplay(console) if console.is_terminal else PlainDisplay(console)
