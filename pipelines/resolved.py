"""The recipe as a manifest has it: every value it takes, without what never changes a byte."""

from __future__ import annotations

import tomli_w

from pipelines.recipe import Recipe

NOT_IN_MANIFEST = ("output", "routes", "network", "executor")
"""Sections of a recipe that never change a byte; they are in run.jsonl, not in the manifest's recipe."""

NOT_IDENTITY = ("delay_seconds", "concurrency", "fetcher", "path", "paths", "min_expected")
"""Options of a loader that never change a document."""

RECIPE = "manifest/recipe.toml"


def resolved_recipe(recipe: Recipe) -> str:
    """`recipe` with every value it takes, as TOML."""
    table = recipe.model_dump(mode="json", exclude=set(NOT_IN_MANIFEST), exclude_none=True)
    for source in table["sources"].values():
        # Where the files lay on this machine is not what they hold.
        source["options"] = {k: v for k, v in source["options"].items() if k not in NOT_IDENTITY}
    return tomli_w.dumps(table)
