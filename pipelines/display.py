"""Progress on screen: bars on a terminal, one plain line per event elsewhere."""

from __future__ import annotations

import time

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
    """A live bar for every stage, over all its sources: it fits a small terminal."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=32),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
        )
        self._bars: dict[str, TaskID] = {}
        self._done: dict[tuple[str, int, int], float] = {}

    def stage_started(self, run: StageRun, n_tasks: int) -> None:
        units = float(run.units or n_tasks)
        name = run.stage.name
        if name in self._bars:
            total = self.progress.tasks[self._bars[name]].total or 0.0
            self.progress.update(self._bars[name], total=total + units)
        else:
            self._bars[name] = self.progress.add_task(name, total=units, note="")

    def task_progress(self, run: StageRun, rank: int, done: int, note: str) -> None:
        if run.units:
            self._advance(run, rank, float(done))
        self.progress.update(self._bars[run.stage.name], note=f"{run.stage.source} {note}"[:48])

    def task_finished(self, run: StageRun, rank: int) -> None:
        if not run.units:
            self._advance(run, rank, 1.0)

    def stage_finished(self, run: StageRun) -> None:
        if run.units:
            for key in [key for key in self._done if key[:2] == (run.stage.name, id(run)) and key[2] >= 0]:
                del self._done[key]
            self._advance(run, -1, float(run.units))
        bar = self._bars[run.stage.name]
        if self.progress.tasks[bar].finished:
            self.progress.update(bar, note="")

    def _advance(self, run: StageRun, rank: int, done: float) -> None:
        self._done[run.stage.name, id(run), rank] = done
        total = sum(value for key, value in self._done.items() if key[0] == run.stage.name)
        self.progress.update(self._bars[run.stage.name], completed=total)

    def __enter__(self) -> BarDisplay:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()


def display_for(console: Console) -> PlainDisplay | BarDisplay:
    """Bars if a person watches, lines if a file does."""
    return BarDisplay(console) if console.is_terminal else PlainDisplay(console)
