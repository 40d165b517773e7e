"""A source cut into tasks of about equal bytes."""

from __future__ import annotations

from collections.abc import Iterable


def chunk_by_bytes(sizes: Iterable[int], limit: int) -> tuple[list[list[int]], int]:
    """Rows in order, cut into tasks of about `limit` bytes, each [start, stop), and the bytes of all.

    At least one task, even for nothing.
    """
    tasks = [[0, 0]]
    held = total = 0
    for row, size in enumerate(sizes):
        if row > tasks[-1][0] and held + size > limit:
            tasks.append([row, row])
            held = 0
        tasks[-1][1] = row + 1
        held += size
        total += size
    return tasks, total
