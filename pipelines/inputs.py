"""The user's own files as sources: what `local-files` finds becomes the recipe that is built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from manifests.errors import RecipeError
from manifests.identity import fingerprint
from pipelines.optional import rules_of
from pipelines.recipe import Recipe

LOADER = "local"
"""Loader of the cards whose sources are filled from the command line."""


def with_inputs(recipe: Recipe, paths: Sequence[str]) -> Recipe:
    """`recipe` with its local sources filled from `paths`; sources of which nothing is found are left out.

    The snapshot's name says which files it was made of (path, size and time of change), so that changed files make a
    new one and unchanged ones are not read again.
    """
    local = [source for source in recipe.sources if source.startswith("local-")]
    if not local and not paths:
        return recipe
    if not local:
        raise RecipeError(
            "takes no files.",
            where=recipe.name,
            why="Its sources are fetched; only recipes with local-* sources read files from the command line.",
            fix="Use the recipe local-files, or leave the paths out.",
        )
    if not paths:
        raise RecipeError(
            "needs the files or folders to read.",
            where=recipe.name,
            fix=f'medtrove build {recipe.name} FOLDER...    or: make corpus RECIPE={recipe.name} INPUT="FOLDER..."',
        )
    from scrapers.local import discover

    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        raise RecipeError("no such file or folder.", where=missing[0], fix="Correct the path.")
    found = discover(paths)
    sources = {}
    for source in recipe.sources:
        if source not in local:
            sources[source] = recipe.sources[source]
        elif files := found.get(source):
            use = recipe.sources[source]
            state = [[path, (status := Path(path).stat()).st_size, status.st_mtime_ns] for path in files]
            options = {**use.options, "paths": list(files)}
            snapshot = f"files-{fingerprint(state)}"
            sources[source] = use.model_copy(update={"snapshot": snapshot, "options": options})
    if not sources:
        raise RecipeError(
            "nothing there that any reader knows.",
            where=", ".join(paths),
            why="Known are JATS, MEDLINE XML, notes CSV, JSON lines, guideline and QA archives.",
            fix="Check the folder; `medtrove build` tells of every file what it is once there is one it can read.",
        )
    priority = [source for source in recipe.dedup.priority if source in sources]
    dedup = recipe.dedup.model_copy(update={"priority": priority})
    return recipe.model_copy(update={"sources": sources, "dedup": dedup, "rules": rules_of(recipe, sources)})


def as_trial(recipe: Recipe, limit: int) -> Recipe:
    """`recipe` whose snapshots bear names of their own: a trial of `limit` items must not stand for the source."""
    sources = {
        name: use.model_copy(update={"snapshot": f"{use.snapshot}-trial-{limit}"})
        for name, use in recipe.sources.items()
    }
    return recipe.model_copy(update={"sources": sources})
