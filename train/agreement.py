"""What saving and resuming need to know of the processes of a run: two reductions, and which one this is.

Both engines offer it; `Alone` is a run of one process, for tests and for commands outside a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from manifests.errors import BuildError, CorpusError


class FailedElsewhere(BuildError):
    """Another rank failed, and says why; this one only ends with it."""


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
    """Run `action` here (None: nothing to do on this rank); if it failed on one rank, an error with its words on all.

    Without it the ranks that went well would wait in the next collective for one that is gone.
    """
    failure: Exception | None = None
    try:
        if action is not None:
            action()
    except Exception as error:  # noqa: BLE001  # raised below, once the other ranks know
        failure = error
    words = first_words(group, _words(failure) if failure else "")
    if isinstance(failure, CorpusError):
        raise failure
    if words:
        raise (BuildError if failure else FailedElsewhere)(
            f"{what} failed on rank {words}.",
            why="What is on disk from before is untouched.",
            fix="Make room or correct the folder, then start again with --resume auto.",
        ) from failure


def _words(failure: Exception) -> str:
    # torch reports a full disk as RuntimeError, with a trace behind the first line.
    reason = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
    return reason.strip().split("\n")[0].rstrip(".") or type(failure).__name__


def first_words(group: Group, words: str) -> str:
    """Number and words of the first rank that has some, `3: No space left on device`, on all ranks; else nothing."""
    speaking = group.sum([float(bool(words) and rank == group.rank) for rank in range(group.world)])
    if not any(speaking):
        return ""
    speaker = next(rank for rank, flag in enumerate(speaking) if flag)
    own = words.encode() if group.rank == speaker else b""
    length = int(group.sum([float(len(own))])[0])
    codes = group.sum([float(code) for code in own] or [0.0] * length)
    return f"{speaker}: {bytes(map(int, codes)).decode()}"


def first_says(group: Group, number: int) -> int:
    """The number that rank 0 gives, on all ranks; exact below 2^53."""
    return int(group.sum([float(number if group.rank == 0 else 0)])[0])
