"""A stage: one step of the build for one source, in a folder named by its fingerprint.

A stage is finished when its `stage.json`, written last, is there and every file it lists has the size it says.
Everything else in the folder is work in progress: a rerun trusts a task only if that task's mark and files agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from manifests.store import Store

ALL = "all"
"""Source of a stage over all sources."""

MARK_FOLDER = "done"
"""One JSON file per finished task: what it wrote (with sizes) and what it counted."""


@dataclass(frozen=True)
class Stage:
    """One step of the build, as planned."""

    name: str
    """`acquire`, `profile`, `lines`, `prepare`, `dedup`, `tokenize`, `weigh`, `fraction`, `mix`, `assemble`."""
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


def write_task_mark(
    store: Store,
    rank: int,
    files: Sequence[str],
    facts: Mapping[str, Any],
    *,
    results: Store | None = None,
    result_files: Sequence[str] = (),
) -> None:
    """Say that the task is finished: its files with their sizes, and what it counted.

    `results` is where `result_files` lie when that is not the stage's own folder (shards lie in the build).
    """
    mark: dict[str, Any] = {"files": {name: store.size(name) for name in files}, "facts": dict(facts)}
    if results is not None:
        mark["results"] = {name: results.size(name) for name in result_files}
    store.write_json(task_mark(rank), mark)


def task_is_done(store: Store, rank: int, results: Store | None = None) -> bool:
    """True when the task's mark is there and its files are as the mark says."""
    if not store.exists(task_mark(rank)):
        return False
    return _holds(store.read_json(task_mark(rank)), store, results)


def stage_is_done(store: Store, results: Store | None = None) -> bool:
    """True when the stage's record is there and all its files are as the record says."""
    if not store.exists("stage.json"):
        return False
    return _holds(store.read_json("stage.json"), store, results)


def _holds(record: Mapping[str, Any], store: Store, results: Store | None) -> bool:
    return files_hold(store, record["files"]) and files_hold(results or store, record.get("results", {}))


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
        "results": {name: size for mark in marks for name, size in sorted(mark.get("results", {}).items())},
        "facts": [mark["facts"] for mark in marks],
    }
    store.write_json("stage.json", record)
    return record
