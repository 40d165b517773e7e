"""What the commands share: their common options, the console, and the ways to a build or a plan."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from manifests.store import Store

RecipeArgument = Annotated[str, typer.Argument(help="Name of a shipped recipe, or the path of a TOML file.")]
OutOption = Annotated[str, typer.Option("--out", help="Output folder or URL; default: the recipe's.")]
BuildOption = Annotated[str, typer.Option("--build", help="Build folder; default: the latest below ./build.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a screen.")]


def screen() -> Console:
    """Where a person reads."""
    # Off a terminal rich would cut tables at 80 columns; a log file or a pipe has no width.
    return Console() if sys.stdout.isatty() else Console(width=200)


def print_json(value: Any) -> None:
    """`value` as JSON on standard output."""
    typer.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str))


def opened(build: str) -> Store:
    """The build folder asked for, or the latest."""
    from pipelines.build import latest_build, open_build

    return open_build(build) if build else latest_build(Store("build"))


def plan_for(recipe: str, out: str, inputs: list[str], *, trial: int = 0) -> Any:
    """The plan of a recipe's name or path, in an output folder that can be written."""
    from pipelines.inputs import as_trial, with_inputs
    from pipelines.plan import Plan
    from pipelines.recipe import load_recipe, recipe_path

    loaded = with_inputs(load_recipe(recipe), inputs)
    if trial:
        loaded = as_trial(loaded, trial)
    store = Store(out or loaded.output)
    store.check_writable()
    return Plan(loaded, store, base=recipe_path(recipe).resolve().parent)


def vars_of(record: Any) -> dict[str, Any]:
    """A dataclass as JSON, slots or not."""
    from dataclasses import asdict

    return asdict(record)
