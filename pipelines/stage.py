"""A stage: one step of the build for one source, in a folder named by its fingerprint.

A stage is finished when its `stage.json`, written last, is there and every file it lists has the size it says.
Everything else in the folder is work in progress: a rerun trusts a task only if that task's mark and files agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from manifests.store import Store

MARK_FOLDER = "done"
"""One JSON file per finished task: what it wrote (with sizes) and what it counted."""


@dataclass(frozen=True)
class Stage:
    """One step of the build, as planned."""

    name: str
    """`acquire`, `profile`, `prepare`, `dedup`, `tokenize`, `weigh`, `fraction`, `mix`, `assemble`."""
    source: str
    """Source id, or `all`."""
    fingerprint: str
    """What the result depends on, as 16 hex digits; empty while an input is not known yet."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """What went into the fingerprint, for `plan` and for the stage's own record."""

    @property
    def path(self) -> str:
        """Folder of the stage, relative to the output."""
        return f"stages/{self.name}/{self.source}@{self.fingerprint}"


def files_hold(store: Store, files: Mapping[str, int]) -> bool:
    """True when every file is there with the size stated."""
    return all(store.exists(name) and store.size(name) == size for name, size in files.items())


def task_mark(rank: int) -> str:
    return f"{MARK_FOLDER}/{rank:05d}.json"


def write_task_mark(store: Store, rank: int, files: Sequence[str], facts: Mapping[str, Any]) -> None:
    """Say that the task is finished: its files with their sizes, and what it counted."""
    store.write_json(task_mark(rank), {"files": {name: store.size(name) for name in files}, "facts": dict(facts)})


def task_is_done(store: Store, rank: int) -> bool:
    """True when the task's mark is there and its files are as the mark says."""
    if not store.exists(task_mark(rank)):
        return False
    return files_hold(store, store.read_json(task_mark(rank))["files"])


def stage_is_done(store: Store) -> bool:
    """True when the stage's record is there and all its files are as the record says."""
    if not store.exists("stage.json"):
        return False
    return files_hold(store, store.read_json("stage.json")["files"])


def begin_stage(store: Store, tasks: Sequence[Any]) -> None:
    """Record the tasks' inputs; work of an earlier try with other inputs is deleted, not trusted."""
    recorded = {"tasks": list(tasks)}
    if store.exists("tasks.json") and store.read_json("tasks.json") == recorded:
        return
    store.remove("")
    store.write_json("tasks.json", recorded)


def finish_stage(store: Store, stage: Stage, n_tasks: int) -> dict[str, Any]:
    """Gather the tasks' marks into `stage.json`, which finishes the stage."""
    marks = [store.read_json(task_mark(rank)) for rank in range(n_tasks)]
    record = {
        "stage": stage.name,
        "source": stage.source,
        "fingerprint": stage.fingerprint,
        "inputs": dict(stage.inputs),
        "files": {name: size for mark in marks for name, size in sorted(mark["files"].items())},
        "facts": [mark["facts"] for mark in marks],
    }
    store.write_json("stage.json", record)
    return record
