"""A build folder, read: where each part of its manifest lies and how its JSON files are shaped.

`stages.jsonl`  one line per stage and source, in order: stage, source, fingerprint, in, kept, dropped {reason: n},
                edited {rule: n}, counts {name: n}, tokens (or null); the line of `prepare` has `removed` too:
                what cleaning took from the kept documents (`manifests.removed.SourceRemoved`)
`sources.json`  {source: {card, snapshot, digest, items, items_gave_documents, merged_away, quarantined {reason: n}}}
`mixture.json`  {total_tokens, realised_tokens, bound_text, groups [...], sources [{source, group, documents,
                validation_documents, unique_tokens, epochs, max_epochs, effective_tokens, target_tokens, target_share,
                realised_share, error_tokens, bound_tokens}]}
`shards.json`   the list `shards` of `shards/index.json`
`recipe.toml`   the resolved recipe
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any, cast

from manifests.errors import BuildError
from manifests.store import Store

STAGES = "manifest/stages.jsonl"
SOURCES = "manifest/sources.json"
MIXTURE = "manifest/mixture.json"
SHARDS = "manifest/shards.json"
RECIPE = "manifest/recipe.toml"
RUN = "manifest/run.jsonl"
INDEX = "shards/index.json"
VALIDATION_INDEX = "validation/index.json"

ACTIVE_STAGES = ("prepare", "dedup", "tokenize", "mix")
"""Stages with a line per source, in the order in which documents meet them."""


def read_json(build: Store, path: str) -> Any:
    """The JSON file `path`; BuildError if it is missing or damaged."""
    try:
        return build.read_json(path)
    except FileNotFoundError:
        raise _unusable(build, path, "is missing") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise _unusable(build, path, "is not valid JSON") from None


def read_lines(build: Store, path: str) -> list[dict[str, Any]]:
    """The JSON lines of `path`; BuildError if it is missing or damaged."""
    try:
        lines = build.read_bytes(path).decode().splitlines()
        return [json.loads(line) for line in lines]
    except FileNotFoundError:
        raise _unusable(build, path, "is missing") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise _unusable(build, path, "is not JSON, one object a line") from None


def stages(build: Store) -> list[dict[str, Any]]:
    """Lines of stages.jsonl."""
    return read_lines(build, STAGES)


def sources(build: Store) -> dict[str, dict[str, Any]]:
    """sources.json: source -> what it is and what became of its items."""
    return cast("dict[str, dict[str, Any]]", read_json(build, SOURCES))


def sources_in_order(build: Store) -> dict[str, dict[str, Any]]:
    """sources.json in the order of the recipe, which is that of the rows' source numbers."""
    found = sources(build)
    order = [name for name in read_json(build, INDEX)["sources"] if name in found]
    return {name: found[name] for name in [*order, *(name for name in found if name not in order)]}


def mixture(build: Store) -> dict[str, Any]:
    """mixture.json."""
    return cast("dict[str, Any]", read_json(build, MIXTURE))


def corpus(build: Store) -> dict[str, Any]:
    """corpus.json; BuildError if the build is not finished."""
    return cast("dict[str, Any]", read_json(build, "corpus.json"))


def recipe(build: Store) -> dict[str, Any]:
    """The resolved recipe as a parsed TOML table."""
    try:
        return tomllib.loads(build.read_bytes(RECIPE).decode())
    except FileNotFoundError:
        raise _unusable(build, RECIPE, "is missing") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise _unusable(build, RECIPE, "is not valid TOML") from None


def rules_of(table: Mapping[str, Any], source: str) -> list[tuple[str, dict[str, Any]]]:
    """(rule, parameters) as `source` meets them, in order, of a resolved recipe."""
    own = table.get("sources", {}).get(source, {}).get("rules", {})
    return [
        (rule["rule"], {**rule.get("parameters", {}), **own.get(rule["rule"], {})})
        for rule in table.get("rules", [])
        if not rule.get("sources") or source in rule["sources"]
    ]


def _unusable(build: Store, path: str, what: str) -> BuildError:
    return BuildError(
        f"{path} {what}.",
        where=build.url,
        why="A build says through it what it holds.",
        fix="Run `medtrove build` to its end again: finished stages are not repeated.",
    )
