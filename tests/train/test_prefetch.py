from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from train.prefetch import prefetched


def test_items_come_in_order() -> None:
    assert list(prefetched(range(100), depth=3)) == list(range(100))
    assert list(prefetched([])) == []


def test_what_the_thread_raises_is_raised_here_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the disk is gone")

    running = prefetched(items())
    assert [next(running), next(running)] == [1, 2]
    with pytest.raises(ValueError, match="the disk is gone"):
        next(running)


def test_stopping_early_ends_the_thread_which_was_never_far_ahead() -> None:
    taken = itertools.count()
    last = 0

    def items() -> Iterator[int]:
        nonlocal last
        while True:
            last = next(taken)
            yield last

    running = prefetched(items(), depth=2)
    assert [next(running), next(running)] == [0, 1]
    running.close()
    assert last <= 5
    assert not any(thread.name == "prefetch" for thread in threading.enumerate())
