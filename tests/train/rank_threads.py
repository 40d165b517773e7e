"""Ranks as threads, for what saving and resuming agree on between them without torch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor


class ThreadGroup:
    """One rank of several threads; collectives that not all of them reach raise instead of hanging."""

    def __init__(self, rank: int, world: int, slots: list[list[float]], barrier: threading.Barrier) -> None:
        self.rank, self.world, self._slots, self._barrier = rank, world, slots, barrier

    def any(self, flag: bool) -> bool:
        return self.sum([float(flag)])[0] > 0

    def sum(self, values: Sequence[float]) -> list[float]:
        self._slots[self.rank] = list(values)
        self._barrier.wait()
        total = [sum(column) for column in zip(*self._slots, strict=True)]
        self._barrier.wait()
        return total

    def barrier(self) -> None:
        self._barrier.wait()


def on_ranks(world: int, work: Callable[[ThreadGroup], object]) -> list[object]:
    """What `work` returned or raised on each rank."""
    slots: list[list[float]] = [[] for _ in range(world)]
    barrier = threading.Barrier(world, timeout=20)

    def one(rank: int) -> object:
        try:
            return work(ThreadGroup(rank, world, slots, barrier))
        except Exception as error:  # noqa: BLE001  # handed to the test
            return error

    with ThreadPoolExecutor(world) as pool:
        return list(pool.map(one, range(world)))
