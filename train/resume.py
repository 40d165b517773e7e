"""Whether and where a run goes on: the newest whole checkpoint, if it belongs to these shards and these numbers.

What cannot go on exactly is refused with the reason: other shards, keys that alter the numbers, another ZeRO stage,
a number of ranks that the rows of a step cannot be shared by. Another number of ranks is no reason to refuse.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.errors import BuildError, RecipeError
from train.agreement import Group, together
from train.checkpoint import (
    TrainState,
    checkpoints,
    fault,
    locked,
    newest,
    read_state,
    remove_leftovers,
    set_aside,
    write_latest,
)
from train.config import RunConfig
from train.signals import KILL_SWITCH, SAVE_AND_EXIT

# Sections whose keys decide the numbers of a run, and the keys of them that do not: where the shards lie and what is
# compared on its own, and ways to compute the same thing.
_SECTIONS = ("model", "data", "optim", "parallel", "lora", "sft")
_FREE = frozenset(
    {
        "model.licence",
        "model.attention",
        "model.recompute",
        "model.loss_chunk_tokens",
        "model.compile",
        "data.shards",
        "parallel.engine",
        "parallel.zero_stage",
        "parallel.overlap_comm",
        "parallel.offload_optimizer",
        "parallel.hpz",
        "sft.data",
    }
)


@dataclass(frozen=True, slots=True)
class Resumption:
    """The checkpoint a run goes on from."""

    checkpoint: Path
    state: TrainState


def deciding_keys(config: RunConfig) -> dict[str, Any]:
    """The keys that decide the numbers of a run, `section.key` -> value; a checkpoint carries them."""
    table = config.model_dump(mode="json")
    keys = {f"{section}.{key}": value for section in _SECTIONS for key, value in table[section].items()}
    kept = {key: value for key, value in keys.items() if key not in _FREE}
    # The rows of a step are the state's own: `[batch]` may make the same of other factors.
    return kept | {"run.seed": config.run.seed}


def config_digest(config: RunConfig) -> str:
    """sha256 of `deciding_keys` as JSON."""
    return hashlib.sha256(json.dumps(deciding_keys(config), sort_keys=True).encode()).hexdigest()


def prepare_run(
    run: Path, resume: str, config: RunConfig, *, shards_fingerprint: str, group: Group, say: Callable[[str], object]
) -> Resumption | None:
    """Make the run folder ready and decide where to start: a checkpoint, or None for the beginning.

    `resume`: `auto` (the newest whole checkpoint of the run, or the beginning if there is none), `none` (the
    beginning; refused if the run has checkpoints), or a folder: a checkpoint, or a run whose newest is meant. All
    ranks call it; rank 0 holds the run's lock (`checkpoint.locked`).
    """
    first = group.rank == 0
    together(group, f"Opening the run {run}", (lambda: _tidy(run, say)) if first else None)
    found = _find(run, resume, say, group)
    if found is None:
        if first:
            say(f"{run} has no checkpoint: starting at the first row." if resume == "auto" else f"{run} starts afresh.")
        return None
    together(group, f"Resuming from {found.checkpoint}", lambda: check(found, config, shards_fingerprint))
    together(group, f"Opening the run {run}", (lambda: _only_way_on(run, found, say)) if first else None)
    if first:
        state = found.state
        say(
            f"Going on from {found.checkpoint}: step {state.step:,}, {state.rows_done:,} rows into epoch {state.epoch}"
            + (f", written by {state.world} ranks, now {group.world}." if state.world != group.world else ".")
        )
    return found


def check_before_start(run: Path, resume: str, config: RunConfig, *, shards_fingerprint: str) -> None:
    """What can be refused before any rank starts, and before the folder's own configuration is written over.

    BuildError if another process trains in it, RecipeError if its newest checkpoint is of a run that this one cannot
    go on with. The ranks look again, and at every byte.
    """
    if not run.is_dir():
        return
    with locked(run):
        steps = checkpoints(run)
        if resume == "auto" and steps:
            with contextlib.suppress(BuildError):  # damaged: the ranks say so, and look for another
                check(Resumption(steps[-1], read_state(steps[-1])), config, shards_fingerprint)


def check(found: Resumption, config: RunConfig, shards_fingerprint: str) -> None:
    """RecipeError unless the checkpoint's run can go on exactly with this configuration and these shards."""
    state, where = found.state, str(found.checkpoint)
    if state.shards_fingerprint != shards_fingerprint:
        raise RecipeError(
            f"the checkpoint is of shards {state.shards_fingerprint[:12]}, these are {shards_fingerprint[:12]}.",
            where=where,
            why="Its rows are counted in those shards: some of these would be trained on twice and others never.",
            fix="Give the build it was trained on with --shards, or start a new run with --run DIR.",
        )
    if (state.engine, state.zero_stage) != (config.parallel.engine, config.parallel.zero_stage):
        raise RecipeError(
            f"the checkpoint is of engine {state.engine!r} with ZeRO stage {state.zero_stage}, the configuration asks "
            f"for {config.parallel.engine!r} with {config.parallel.zero_stage}.",
            where=where,
            why="DeepSpeed cannot carry an optimizer from one stage to another, only from one number of ranks to "
            "another.",
            fix=f"Set parallel.engine = {state.engine!r} and parallel.zero_stage = {state.zero_stage}; or export its "
            "weights (`medtrove train export`) and start a new run from them with model.base.",
        )
    now = deciding_keys(config)
    changed = [
        f"{key} was {state.config.get(key, 'not there')!r} and is {now.get(key, 'not there')!r}"
        for key in sorted(now.keys() | state.config.keys())
        if state.config.get(key) != now.get(key)
    ]
    if config.batch.rows and config.batch.rows != state.rows_per_step:
        changed.append(f"batch.rows was {state.rows_per_step} and is {config.batch.rows}")
    if changed:
        raise RecipeError(
            f"{len(changed)} keys that decide the numbers have changed: {'; '.join(changed)}.",
            where=where,
            why="The run would be neither the old one nor a new one.",
            fix="Set them back, or start a new run with --run DIR.",
        )


def share_rows(rows: int, world: int, micro_rows: int) -> tuple[int, int]:
    """Micro-batch and accumulation of a rank so that `world` ranks make steps of exactly `rows` rows.

    The micro-batch is the greatest that is not over `micro_rows`, what fits into memory; RecipeError names the
    numbers of ranks that could.
    """
    if rows % world == 0:
        each = rows // world
        micro = max(n for n in range(1, min(micro_rows, each) + 1) if each % n == 0)
        return micro, each // micro
    fits = [n for n in range(1, rows + 1) if rows % n == 0]
    below, above = [n for n in fits if n < world], [n for n in fits if n > world]
    near = [*below[-1:], *above[:1]]
    listed = ", ".join(map(str, fits)) if len(fits) <= 24 else f"the {len(fits)} divisors of {rows}"
    raise RecipeError(
        f"a step of {rows} rows cannot be shared by {world} ranks.",
        why=f"The rows of a step are fixed for a run, so that its curve does not depend on the machine; "
        f"{listed} ranks could.",
        fix=f"Start {' or '.join(map(str, near))} ranks.",
    )


def _tidy(run: Path, say: Callable[[str], object]) -> None:
    if (run / KILL_SWITCH).exists():
        raise BuildError(
            f"{KILL_SWITCH} lies in it, so nothing starts.",
            where=str(run),
            why="Somebody stopped this run and the jobs that would go on with it.",
            fix=f"Delete {run / KILL_SWITCH} to let it go on.",
        )
    if (run / SAVE_AND_EXIT).exists():
        (run / SAVE_AND_EXIT).unlink()
        say(f"{SAVE_AND_EXIT} was left from an earlier process and is removed.")
    if names := remove_leftovers(run):
        say(f"Removed what a killed process left half-done: {', '.join(names)}.")


def _find(run: Path, resume: str, say: Callable[[str], object], group: Group) -> Resumption | None:
    if resume == "auto":
        found = newest(run, say=say, group=group)
        return None if found is None else Resumption(*found)
    if resume == "none":
        if group.any(group.rank == 0 and bool(checkpoints(run))):
            raise BuildError(
                "it has checkpoints, and a run that starts afresh would be mixed with them.",
                where=str(run),
                fix="Go on with --resume auto, or give another folder with --run DIR.",
            )
        return None
    folder = Path(resume)
    if (folder / "checkpoints").is_dir():
        found = newest(folder, say=say, group=group)
        if found is not None:
            return Resumption(*found)
    if not folder.is_dir() or (folder / "checkpoints").is_dir():
        raise BuildError(
            "there is no checkpoint.",
            where=resume,
            why="It was asked for by name, so the run does not start from nothing instead.",
            fix="Give a folder .../checkpoints/step-N or a run's folder, or --resume auto.",
        )
    if reason := fault(folder, group):
        raise BuildError(
            f"the checkpoint cannot be used: {reason}.",
            where=resume,
            why="It was asked for by name, so no other is used instead.",
            fix="Give an earlier one, or --resume auto for the newest that is whole.",
        )
    return Resumption(folder, read_state(folder))


def _only_way_on(run: Path, found: Resumption, say: Callable[[str], object]) -> None:
    """Checkpoints after the one gone on from are of another way on, or damaged: none may be met again."""
    own = found.checkpoint.resolve().parent == (run / "checkpoints").resolve()
    if not own and checkpoints(run):
        raise BuildError(
            f"it has checkpoints of its own, and {found.checkpoint} is not one of them.",
            where=str(run),
            why="Two runs in one folder could not be told apart.",
            fix="Give another folder with --run DIR.",
        )
    if own and (aside := set_aside(run, after=found.state.step, word="aside")):
        say(f"Set aside, since the run goes on from before them: {', '.join(path.name for path in aside)}.")
        write_latest(run, found.checkpoint, found.state)
