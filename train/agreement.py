"""What saving and resuming need to know of the processes of a run: two reductions, and which one this is.

Both engines offer it; `Alone` is a run of one process, for tests and for commands outside a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from manifests.errors import BuildError


class Group(Protocol):
    """The processes of a run. Every method is a collective: all ranks call it, in the same order."""

    @property
    def rank(self) -> int: ...

    @property
    def world(self) -> int: ...

    def any(self, flag: bool) -> bool:  # noqa: FBT001  # the contract of the engines
        """Whether the flag is up on at least one rank."""
        ...

    def sum(self, values: Sequence[float]) -> list[float]:
        """The sums over the ranks, the same on all."""
        ...

    def barrier(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Alone:
    """A run of one process."""

    rank: int = 0
    world: int = 1

    def any(self, flag: bool) -> bool:  # noqa: FBT001
        return flag

    def sum(self, values: Sequence[float]) -> list[float]:
        return list(values)

    def barrier(self) -> None:
        return None


def together(group: Group, what: str, action: Callable[[], object] | None) -> None:
    """Run `action` here (None: nothing to do on this rank); BuildError on every rank if it failed on one.

    Without it the ranks that went well would wait in the next collective for one that is gone.
    """
    failure: Exception | None = None
    try:
        if action is not None:
            action()
    except Exception as error:  # noqa: BLE001  # raised below, once the other ranks know
        failure = error
    if not group.any(failure is not None):
        return
    if failure is None:
        raise BuildError(f"{what} failed on another rank.", why="That rank says why; all stop together.")
    # A full disk is a RuntimeError of torch's.
    if not isinstance(failure, OSError | RuntimeError):
        raise failure
    reason = failure.strerror or str(failure) if isinstance(failure, OSError) else str(failure)
    raise BuildError(
        f"{what} failed on rank {group.rank}: {reason.splitlines()[0] if reason else type(failure).__name__}.",
        why="What is on disk from before is untouched.",
        fix="Make room or correct the folder, then start again with --resume auto.",
    ) from failure


def first_says(group: Group, number: int) -> int:
    """The number that rank 0 gives, on all ranks; exact below 2^53."""
    return int(group.sum([float(number if group.rank == 0 else 0)])[0])
