"""Stopping a run from outside, so that it can go on later.

SIGTERM or SIGUSR1 on any rank, or a file `SAVE_AND_EXIT` in the run's folder: the step ends, all ranks save and leave
with `EXIT_STOPPED`, which the batch system answers by queueing the job again. A file `KILL_SWITCH`: the same, but it
leaves with an error, and nothing starts in the folder until the file is gone.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from manifests.errors import BuildError

EXIT_STOPPED: Final = 85
"""Stopped on request with a checkpoint to go on from."""
SAVE_AND_EXIT: Final = "SAVE_AND_EXIT"
KILL_SWITCH: Final = "KILL_SWITCH"
STOPPED: Final = "STOPPED"
"""In the run's folder while a stopped run waits to go on: launchers between us and the batch system lose exit codes."""
SIGNALS: Final = (signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """Whether this rank was asked to stop; what one rank knows the others learn in the step's reduction."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self.received = ""
        """Name of the signal or file."""

    def requested(self) -> bool:
        """True from the first request on."""
        for name in (KILL_SWITCH, SAVE_AND_EXIT):
            if not self.received and (self._run / name).exists():
                self.received = name
        return bool(self.received)

    @contextlib.contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Take the signals over for the block; the main thread alone may."""
        before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, _frame: object) -> None:
        self.received = self.received or signal.Signals(number).name


def mark_started(run: Path) -> None:
    """The run is going on; rank 0 alone."""
    (run / STOPPED).unlink(missing_ok=True)


def mark_stopped(run: Path, reason: str) -> int:
    """Note that the run stopped with a checkpoint, and say with which exit code; rank 0 alone.

    BuildError if the kill-switch lies there, so that nothing queues the run again.
    """
    (run / SAVE_AND_EXIT).unlink(missing_ok=True)
    if (run / KILL_SWITCH).exists():
        raise BuildError(
            f"stopped by {KILL_SWITCH}, with a checkpoint.",
            where=str(run),
            fix=f"Delete {run / KILL_SWITCH} to let it go on.",
        )
    (run / STOPPED).write_text(f"{reason}\n", encoding="utf-8")
    return EXIT_STOPPED
