"""Checkpoints of a run: whole or not there, checked before they are used, thinned by a policy.

`<run>/checkpoints/step-00000040/` holds `state.json` (where the run stands), `engine/` (weights and optimizer) and
`digests.json`. It is written under another name, synced, and renamed; `latest.json` of the run names the newest.
A process killed at any moment leaves the checkpoints it had, and at most a folder ending in `.tmp`, which the next
start removes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from manifests.errors import BuildError
from train.agreement import Alone, Group, first_says, first_words, together
from train.digests import damage, sync_folder, write_digests, write_json, write_share

VERSION = 1
CHECKPOINTS: Final = "checkpoints"
ENGINE: Final = "engine"
STATE: Final = "state.json"
LATEST: Final = "latest.json"
LOCK: Final = "lock"
_NAME = re.compile(r"step-(\d{8,})")
# What a killed process may leave: being written, being deleted, converted for another number of ranks.
_LEFTOVER = re.compile(r"step-\d{8,}\.(tmp|removing|universal|universal\.tmp)")


@dataclass(frozen=True, slots=True)
class TrainState:
    """Where a run stands: with the same shards, seed and configuration it decides all that follows."""

    shards_fingerprint: str
    seed: int
    """Of the order of the rows."""
    epoch: int
    rows_done: int
    """Rows of this epoch that all ranks together have had."""
    step: int
    """Optimizer steps of the run, over all epochs."""
    rows_per_step: int
    world: int
    """Ranks of data parallelism that wrote the checkpoint."""
    zero_stage: int
    engine: str
    config_sha256: str
    restricted: bool
    tokens_by_source: dict[str, int] = field(default_factory=dict)
    """Stored tokens consumed in this epoch."""
    config: dict[str, Any] = field(default_factory=dict)
    """The keys of the configuration that alter the numbers, `section.key` -> value."""
    more: dict[str, Any] = field(default_factory=dict)
    """What else the loop wants back: JSON only."""
    version: int = VERSION


def step_name(step: int) -> str:
    """Folder of a step's checkpoint: `step-00000040`."""
    return f"step-{step:08d}"


def save_checkpoint(run: Path, state: TrainState, write: Callable[[Path], object], *, group: Group) -> Path:
    """Write the run's checkpoint of this step and return its folder; all ranks call it.

    `write` gets an existing folder and puts this rank's part of the engine there. If it fails on one rank, BuildError
    comes on all of them, the half-written folder is gone and the checkpoints of before are as they were.
    """
    final = run / CHECKPOINTS / step_name(state.step)
    if group.any(group.rank == 0 and final.exists()):
        return _same(final, state)
    partial = final.with_name(final.name + ".tmp")
    what = f"Writing the checkpoint of step {state.step:,} to {final}"
    first = group.rank == 0
    try:
        together(group, what, (lambda: _begin(partial, state)) if first else None)
        together(group, what, lambda: write(partial / ENGINE))
        together(group, what, lambda: write_share(partial, group.rank, group.world, private=state.restricted))
        together(group, what, (lambda: _finish(partial, final, state, group.world)) if first else None)
    except BuildError:
        if first:
            shutil.rmtree(partial, ignore_errors=True)
        raise
    return final


def _same(final: Path, state: TrainState) -> Path:
    """The checkpoint that already is there, if it is of this very state: saved by schedule and again at the end."""
    there = read_state(final)
    if (there.rows_done, there.epoch, there.shards_fingerprint) == (
        state.rows_done,
        state.epoch,
        state.shards_fingerprint,
    ):
        return final
    raise BuildError(
        f"{final} is there already, of another run: {there.rows_done:,} rows into epoch {there.epoch}, "
        f"not {state.rows_done:,} into {state.epoch}.",
        why="A checkpoint is never written over another.",
        fix="Give this run a folder of its own with --run DIR.",
    )


def _begin(partial: Path, state: TrainState) -> None:
    mode = 0o700 if state.restricted else 0o777
    partial.parent.mkdir(mode=mode, exist_ok=True)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=mode)
    (partial / ENGINE).mkdir(mode=mode)
    write_json(partial / STATE, dataclasses.asdict(state))


def _finish(partial: Path, final: Path, state: TrainState, world: int) -> None:
    write_digests(partial, world, private=state.restricted)
    partial.rename(final)
    sync_folder(final.parent)
    write_latest(final.parent.parent, final, state)


def write_latest(run: Path, checkpoint: Path, state: TrainState) -> None:
    """Say in `latest.json` which checkpoint is the newest; for people and scripts, a resume looks at the folders."""
    where = {"checkpoint": f"{CHECKPOINTS}/{checkpoint.name}", "step": state.step, "epoch": state.epoch}
    write_json(run / LATEST, where | {"rows_done": state.rows_done})
    if state.restricted:
        (run / LATEST).chmod(0o600)
    sync_folder(run)


def read_state(checkpoint: Path) -> TrainState:
    """The state of a checkpoint; BuildError if it is none that this medtrove reads."""
    path = checkpoint / STATE
    try:
        table = json.loads(path.read_bytes())
        state = TrainState(**table)
    except OSError as error:
        raise BuildError(f"cannot be read: {error.strerror}.", where=str(path)) from None
    except (ValueError, TypeError):
        raise BuildError("is no state of a training run.", where=str(path)) from None
    if state.version != VERSION:
        raise BuildError(f"is of version {state.version}, this medtrove reads {VERSION}.", where=str(path))
    return state


def checkpoints(run: Path) -> list[Path]:
    """The checkpoints of a run by their names, oldest first; not checked."""
    folder = run / CHECKPOINTS
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def fault(checkpoint: Path, group: Group | None = None) -> str:
    """Why the checkpoint cannot be used, or nothing; every file is read, the ranks sharing the work. Collective."""
    group = group or Alone()
    if words := first_words(group, damage(checkpoint, group.rank, group.world)):
        return words.partition(": ")[2]
    # The same bytes on all ranks by now, so they think alike of what they mean.
    try:
        read_state(checkpoint)
    except BuildError as error:
        return f"{STATE} {error.what.rstrip('.')}"
    return ""


def newest(run: Path, *, say: Callable[[str], object], group: Group | None = None) -> tuple[Path, TrainState] | None:
    """The newest checkpoint that is whole, and its state; for every one passed over, one sentence to `say` on rank 0.

    None if there is no checkpoint at all; BuildError if there are some and none can be used.
    """
    group = group or Alone()
    steps = [int(path.name.removeprefix("step-")) for path in checkpoints(run)]
    bad = 0
    while (step := first_says(group, steps.pop() if steps else -1)) >= 0:
        path = run / CHECKPOINTS / step_name(step)
        reason = fault(path, group)
        if not reason:
            return path, read_state(path)
        bad += 1
        if group.rank == 0:
            say(f"Checkpoint {path} is not used: {reason}. The one before it is tried.")
    if bad:
        raise BuildError(
            f"none of the {bad} checkpoints in {run / CHECKPOINTS} can be used.",
            why="Starting again from nothing would hide the loss.",
            fix="Restore one from a copy, or start afresh in another folder with --run DIR.",
        )
    return None


def set_aside(run: Path, *, after: int, word: str) -> list[Path]:
    """Rename the checkpoints of steps greater than `after`, so that the way on from there never meets them."""
    aside = []
    for path in checkpoints(run):
        if int(path.name.removeprefix("step-")) > after:
            target = path.with_name(f"{path.name}.{word}")
            number = 1
            while target.exists():
                number += 1
                target = path.with_name(f"{path.name}.{word}-{number}")
            aside.append(path.rename(target))
    return aside


def prune(run: Path, keep: int, keep_every_steps: int = 0, *, protect: Path | None = None) -> list[Path]:
    """Delete all but the newest `keep` checkpoints, multiples of `keep_every_steps`, and `protect`; rank 0 alone."""
    assert keep >= 1, "the newest checkpoint always stays"
    removed = []
    for path in checkpoints(run)[:-keep]:
        step = int(path.name.removeprefix("step-"))
        if (keep_every_steps and step % keep_every_steps == 0) or (protect and path.resolve() == protect.resolve()):
            continue
        # Under another name first: a process killed in the middle leaves nothing that looks like a checkpoint.
        going = path.rename(path.with_name(path.name + ".removing"))
        shutil.rmtree(going)
        removed.append(path)
    return removed


def remove_leftovers(run: Path) -> list[str]:
    """Delete what a killed process left half-done; rank 0 alone, under the run's lock."""
    folder = run / CHECKPOINTS
    found = [path for path in folder.iterdir() if _LEFTOVER.fullmatch(path.name)] if folder.is_dir() else []
    for path in found:
        shutil.rmtree(path)
    return sorted(path.name for path in found)


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Only one process writes a run at a time; BuildError if another does. Rank 0 alone.

    The lock goes with its process, however that ends. Where the file system knows no locks, nothing is checked.
    """
    run.mkdir(parents=True, exist_ok=True)
    number = os.open(run / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BuildError(
                "another process is training in this folder.",
                where=str(run),
                why="Two would overwrite each other's checkpoints.",
                fix="Wait for it, stop it, or give another folder with --run DIR.",
            ) from None
        except OSError:
            pass
        yield
    finally:
        os.close(number)
