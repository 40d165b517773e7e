"""A run on screen: one line that moves on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import re
import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
SECONDS = 10.0
"""Between lines where there is no terminal."""


def visible(text: str) -> str:
    """The text with control characters written out, lines and tabs kept: those of a terminal could clear or retitle it.

    What a file of conversations holds and what a model generates is not ours.
    """
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class ProgressLine:
    """Rank 0's line; the others' is silent."""

    def __init__(self, total_steps: int, *, silent: bool) -> None:
        self._total = total_steps
        # A log has no width; rich would break the line at 80.
        console = Console(stderr=True)
        self._console = None if silent else console if console.is_terminal else Console(stderr=True, width=200)
        self._live: Live | None = None
        self._said = 0.0

    @property
    def on_terminal(self) -> bool:
        """Whether somebody looks at it now; else it is a log, which is kept and passed on."""
        return self._console is not None and self._console.is_terminal

    def say(self, sentence: object) -> None:
        """One sentence that stays."""
        if self._console is not None:
            said = visible(sentence) if isinstance(sentence, str) else sentence
            self._console.print(said, highlight=False, markup=False)

    def step(self, record: dict[str, Any], *, rows_left: int, rows: int) -> None:
        """Show a step as `metrics.jsonl` has it."""
        if self._console is None:
            return
        line = self._line(record, rows_left=rows_left, rows=rows)
        if self._console.is_terminal:
            if self._live is None:
                self._live = Live(console=self._console, refresh_per_second=4, transient=False)
                self._live.start()
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"))
        elif time.monotonic() - self._said >= SECONDS or rows_left == 0:
            self._said = time.monotonic()
            self.say(line)

    def close(self) -> None:
        """Leave the last line where it is."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _line(self, record: dict[str, Any], *, rows_left: int, rows: int) -> str:
        left = rows_left / rows * record["seconds"]
        wait = record["data_wait"]
        return (
            f"step {record['step']:,}/{self._total:,}  loss {record['loss']:.3f}  gnorm {record['gnorm']:.2f}  "
            f"lr {record['lr']:.2e}  {record['tokens_per_second']:,.0f} tok/s"
            + (f"  mfu {record['mfu']:.1%}" if record["mfu"] is not None else "")
            + (f"  waits {wait:.0%}" if wait > 0.02 else "")
            + f"  {_duration(left)} left"
        )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}" if hours else f"{minutes}m{rest:02d}"
