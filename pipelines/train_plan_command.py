"""`medtrove train plan PRESET`: what a run needs and takes, before anything is loaded; works without torch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from manifests.errors import RecipeError
from pipelines.command_line import JsonOption, plan_for, print_json, screen
from pipelines.train_command import PresetArgument, SetOption, ShardsOption

if TYPE_CHECKING:
    from train.config import RunConfig
    from train.plan import Tokens


def plan_run(
    preset: PresetArgument = "sample",
    overrides: SetOption = None,
    shards: ShardsOption = "",
    recipe: Annotated[str, typer.Option("--recipe", help="Plan for what this recipe would build.")] = "",
    storage: Annotated[float, typer.Option("--storage", min=0.001, help="GB/s into the checkpoint folder.")] = 10.0,
    table: Annotated[str, typer.Option("--table", help="`medalpaca`: its memory table beside ours, Markdown.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Say whether PRESET fits, how long it takes, what checkpoints and network cost; exit 1 if it does not fit."""
    from train.config import load_config
    from train.medalpaca_table import table_facts, table_markdown
    from train.plan_screen import plan_facts, plan_of, plan_screen

    if table:
        if table != "medalpaca":
            raise RecipeError(f"there is no table {table!r}.", where="--table", fix="Write --table medalpaca.")
        print_json(table_facts()) if as_json else typer.echo(table_markdown(), nl=False)
        return
    config = load_config(preset, overrides or [])
    tokens = tokens_of_recipe(recipe) if recipe else None
    if tokens is None and not shards and not _built(config):
        tokens = _unbuilt(config)
    found = plan_of(config, tokens, shards=shards, storage=storage)
    if as_json:
        print_json(plan_facts(found))
    else:
        screen().print(plan_screen(found), highlight=False)
    if not found.fits:
        raise typer.Exit(1)


def _unbuilt(config: RunConfig) -> Tokens | None:
    """Tokens where there are no shards: a recipe's, or none of a number; None where the model's shape needs shards."""
    from train.plan import Tokens

    if config.data.recipe:
        return tokens_of_recipe(config.data.recipe)
    if config.model.base:
        return Tokens({}, "there are no shards here; --shards or --recipe says how many tokens")
    return None


def _built(config: RunConfig) -> bool:
    """Whether there are shards to plan for. The latest build counts if it is one of the preset's recipe, or length."""
    from manifests.errors import BuildError
    from mixing.reader import open_shards
    from train.run_folder import find_shards

    try:
        folder = find_shards(config.data.shards)
    except BuildError:
        return False
    if config.data.shards != "latest":
        return True
    if config.data.recipe:
        facts = folder.parent / "corpus.json"
        return facts.is_file() and json.loads(facts.read_bytes()).get("name") == config.data.recipe
    return open_shards(folder).sequence_length == config.data.sequence_length


def tokens_of_recipe(name: str) -> Tokens:
    """The tokens a recipe is expected to train on, by source; RecipeError where it cannot say."""
    from pipelines.outlook import outlook
    from train.plan import Tokens

    planned = plan_for(name, "", [])
    found = outlook(planned)
    by_source = {row.source: row.effective_tokens for row in found.sources if row.effective_tokens}
    if not by_source:
        raise RecipeError(
            "the recipe does not say how many tokens it expects.",
            where=name,
            why="Days and steps come from them.",
            fix="Build it and plan with --shards.",
        )
    return Tokens(
        by_source=by_source,
        origin=f"expected of the recipe {planned.recipe.name}",
        sequence_length=planned.recipe.mixture.sequence_length,
    )
