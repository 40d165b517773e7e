"""What a command means by RUN or CHECKPOINT: a folder of training, opened for reading."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.errors import BuildError
from mixing.reader import Shards, open_shards
from train.agreement import Alone
from train.checkpoint import CHECKPOINTS, STATE, TrainState, fault, newest, read_state
from train.config import RunConfig, load_config
from train.run_folder import CONFIG, RUN, read_run
from train.taint import restricted_base


@dataclass(frozen=True, slots=True)
class Trained:
    """A run and one checkpoint of it, whole."""

    run: Path
    checkpoint: Path
    state: TrainState
    config: RunConfig
    facts: dict[str, Any]
    """`run.json`."""
    tokenizer: dict[str, Any]
    """As the shards' index describes it: `vocab_size`, `bos_id`, `eos_id`, `pad_id`, `sha256`."""
    shards: Shards | None
    """None where they are not on this machine."""
    restricted: bool


def find_trained(path: Path) -> Trained:
    """The run at `path` with its newest whole checkpoint, or the checkpoint at `path` with its run."""
    if (path / STATE).is_file():
        run, checkpoint = path.resolve().parent.parent, path.resolve()
        if reason := fault(checkpoint, Alone()):
            raise BuildError(f"the checkpoint is not whole: {reason}.", where=str(path), fix="Name another of the run.")
        state = read_state(checkpoint)
    elif (path / RUN).is_file():
        found = newest(path, say=lambda sentence: print(sentence, file=sys.stderr))  # noqa: T201
        if found is None:
            raise BuildError(
                f"the run has no checkpoint in {CHECKPOINTS}/ yet.", where=str(path), fix="Train it to its end."
            )
        run, (checkpoint, state) = path, found
    else:
        raise BuildError(
            f"neither a run ({RUN}) nor a checkpoint ({STATE}).",
            where=str(path),
            fix="Give the folder below runs/, or one of its checkpoints/step-...",
        )
    config, facts = load_config(str(run / CONFIG)), read_run(run)
    folder = Path(facts["shards"])
    shards = open_shards(folder) if folder.is_dir() else None
    tokenizer = shards.index["tokenizer"] if shards else facts.get("tokenizer")
    if tokenizer is None:
        raise BuildError(
            "its shards are not there, and run.json does not describe their tokenizer.",
            where=str(folder),
            why="Vocabulary and special tokens of the model are those of the shards.",
            fix="Copy the shards' folder back: whole, with its index.json.",
        )
    marks = (state.restricted, facts["restricted"], shards is not None and shards.restricted)
    return Trained(
        run, checkpoint, state, config, facts, tokenizer, shards, any(marks) or restricted_base(config.model)
    )
