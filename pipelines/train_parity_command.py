"""`medtrove train parity PRESET`: do all ranks together compute what one computes alone, on this machine?"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from manifests.errors import BuildError, CheckFailed
from pipelines.command_line import JsonOption, print_json, screen
from pipelines.train_command import PresetArgument, RanksOption, SetOption, ShardsOption


def parity(
    preset: PresetArgument = "sample",
    overrides: SetOption = None,
    shards: ShardsOption = "",
    ranks: RanksOption = 0,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps to compare.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Compare a few steps on all ranks with the same on one, on this machine; exit 1 if they differ."""
    from mixing.reader import open_shards
    from pipelines.train_needs import check_needs
    from train.config import dump_config, load_config
    from train.engine import for_world
    from train.launch import local_ranks
    from train.parity import compare, shrunken
    from train.run_folder import check_shards, find_shards

    config = load_config(preset, overrides or [])
    opened = open_shards(find_shards(shards or config.data.shards))
    check_shards(config, opened)
    check_needs(config)
    n_ranks = ranks or local_ranks(config)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        small = for_world(shrunken(config, folder), n_ranks)
        (folder / "parity.toml").write_text(dump_config(small), encoding="utf-8")
        together = _steps(folder, opened.folder, n_ranks, steps)
        alone = _steps(folder, opened.folder, 1, steps)
    found = compare(together, alone, config.model.dtype)
    if as_json:
        print_json({"ranks": n_ranks, "dtype": config.model.dtype, "steps": [asdict(step) for step in found]})
    else:
        for step in found:
            screen().print(
                f"  step {step.step}: loss {step.loss:.6f} on {n_ranks} ranks, {step.loss_alone:.6f} on one; gradient "
                f"norm {step.norm:.6f}, {step.norm_alone:.6f}{'' if step.same else '  DIFFERENT'}",
                highlight=False,
            )
    if not all(step.same for step in found):
        raise CheckFailed(
            f"{n_ranks} ranks do not compute what one does.",
            where=config.name,
            why="A run on this machine would learn something else than its configuration says.",
            fix="Try parallel.overlap_comm = false and another zero_stage.",
        )


def _steps(folder: Path, shards: Path, n_ranks: int, steps: int) -> dict[str, Any]:
    from train.launch import launch

    report = folder / f"ranks-{n_ranks}.json"
    arguments = ["--config", str(folder / "parity.toml"), "--shards", str(shards), "--report", str(report)]
    code = launch("train.parity", [*arguments, "--steps", str(steps)], n_ranks=n_ranks, run=folder)
    if code or not report.is_file():
        raise BuildError(f"the steps on {n_ranks} rank(s) ended with code {code}; their output is above.")
    found: dict[str, Any] = json.loads(report.read_bytes())
    return found
