"""A run's folder and `run.json`: what was started, on which shards, how it stands. Private if the shards are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from manifests.errors import BuildError, RecipeError
from manifests.store import Store
from mixing.reader import INDEX, Shards, open_shards
from train.config import RunConfig, dump_config
from train.ledger import shards_fingerprint

RUN = "run.json"
CONFIG = "config.toml"


def find_shards(named: str, out: Path = Path("build")) -> Path:
    """The folder of shards that a build's folder, a folder of shards, or `latest` (below `out`) names."""
    if named == "latest":
        pointer = out / "latest"
        if not pointer.is_file():
            raise BuildError(
                "no build yet.",
                where=str(out),
                why="[data] shards = 'latest' is the newest build below it.",
                fix="Run `make corpus`, or name a build's folder with --shards.",
            )
        named = str(out / pointer.read_text(encoding="utf-8").strip())
    for folder in (Path(named), Path(named) / "shards"):
        if (folder / INDEX).is_file():
            return folder
    raise BuildError(
        f"no {INDEX} here or in shards/.",
        where=named,
        why="It is written last: a folder without it is no finished build.",
        fix="Name a build's folder with --shards.",
    )


def check_shards(config: RunConfig, shards: Shards) -> None:
    """RecipeError unless the run's configuration is for shards like these."""
    if shards.sequence_length != config.data.sequence_length:
        raise RecipeError(
            f"the shards have rows of {shards.sequence_length:,} tokens, [data] sequence_length is "
            f"{config.data.sequence_length:,}.",
            where=str(shards.folder),
            why="Rows are packed when the corpus is built and are not cut again.",
            fix=f"Build with [mixture] sequence_length = {config.data.sequence_length}, or train with "
            f"--set data.sequence_length={shards.sequence_length}.",
        )
    if not len(shards):
        raise RecipeError("the shards have no rows.", where=str(shards.folder), fix="Build the corpus again.")


def validation_of(shards: Shards) -> Shards | None:
    """The rows held out of the same build, or None where it has none."""
    folder = shards.folder.parent / "validation"
    if not (folder / INDEX).is_file():
        return None
    held_out = open_shards(folder)
    return held_out if len(held_out) else None


def run_folder(config: RunConfig, shards: Shards) -> Path:
    """`[run] out`/`id`; without an id the name and the shards' fingerprint, so that a rerun finds itself."""
    return Path(config.run.out) / (config.run.id or f"{config.name}@{shards_fingerprint(shards)}")


def open_run(run: Path, config: RunConfig, *, shards: Path, restricted: bool, **facts: Any) -> None:
    """Make the folder and write `config.toml` and `run.json`."""
    try:
        run.parent.mkdir(parents=True, exist_ok=True)
        run.mkdir(mode=0o700 if restricted else 0o777, exist_ok=True)
        if restricted:
            run.chmod(0o700)
    except OSError as error:
        raise BuildError(
            f"the run's folder cannot be made: {error.strerror}.",
            where=str(error.filename or run),
            why="Checkpoints and metrics are written there.",
            fix="Give another folder with --run DIR.",
        ) from None
    store = Store(run, mode=0o600 if restricted else None)
    store.write_bytes(CONFIG, dump_config(config).encode())
    known = {"id": run.name, "preset": config.name, "shards": str(shards.resolve()), "restricted": restricted}
    store.write_json(RUN, known | facts)


def update_run(run: Path, **facts: Any) -> None:
    """Change some facts of `run.json`."""
    known = read_run(run)
    Store(run, mode=0o600 if known["restricted"] else None).write_json(RUN, known | facts)


def read_run(run: Path) -> dict[str, Any]:
    """The parsed `run.json`."""
    path = run / RUN
    if not path.is_file():
        raise BuildError(f"no {RUN} here.", where=str(run), fix="Give the folder of a run with --run DIR.")
    facts: dict[str, Any] = json.loads(path.read_bytes())
    return facts
