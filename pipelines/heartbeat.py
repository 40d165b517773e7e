"""How a running task says that it lives and how far it is; the runner decides what becomes of it.

Outside our local runner nothing listens, and the calls cost nothing. No text of a document passes here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

INTERVAL_SECONDS = 0.2
"""Beats closer than this are not sent: a step may call for every document."""

_listener: Callable[[int, str], None] | None = None
_last_sent = 0.0


def listen(listener: Callable[[int, str], None] | None) -> None:
    """Send the beats of this process to `listener(units done, note)`; None stops it."""
    global _listener, _last_sent
    _listener, _last_sent = listener, 0.0


def beat(done: int, note: str = "") -> None:
    """Say that `done` units of the current task are done."""
    global _last_sent
    if _listener is not None and (now := time.monotonic()) - _last_sent >= INTERVAL_SECONDS:
        _last_sent = now
        _listener(done, note)
