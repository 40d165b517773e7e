"""Policies: which identifiers are looked for in a kind of source, and what a hit leads to."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from filters.phi.finding import ENTITIES
from manifests.errors import RecipeError

ACTIONS = ("keep", "flag", "redact", "drop")
"""From the mildest to the strictest; the strictest of a document wins."""

_KEYS = {
    "version",
    "entities",
    "confident_from",
    "on_confident",
    "on_weak",
    "presidio",
    "placeholders",
    "together",
    "exceptions",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What is looked for, and what is done about it."""

    name: str
    version: int
    entities: frozenset[str]
    confident_from: float
    """Score from which a finding is confident; below, it is weak."""
    on_confident: str
    on_weak: str
    presidio: bool
    """True: lines that look like identifiers and are none of ours are read by Presidio's recognisers too."""
    placeholders: str
    """`keep`, or `typed`: `[**Known lastname 123**]` becomes `[NAME]`."""
    together: frozenset[str]
    """Kinds that count only where all of them stand in one paragraph, and then are flagged."""
    exceptions: Mapping[str, tuple[str, str]]
    """Entity -> (action on a confident hit, on a weak one), where they differ from the rest."""

    def action(self, entity: str, score: float) -> str:
        """What a finding of `entity` with `score` leads to."""
        if entity in self.together:
            return "flag"
        confident, weak = self.exceptions.get(entity, (self.on_confident, self.on_weak))
        return confident if score >= self.confident_from else weak


def shipped() -> list[str]:
    """Names of the policies that come with medtrove."""
    folder = resources.files("filters.phi") / "policies"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def policy_path(name: str) -> Path:
    """The file of the policy called `name`, or `name` itself if it is a TOML file; RecipeError if neither."""
    if name in shipped():
        return Path(str(resources.files("filters.phi"))) / "policies" / f"{name}.toml"
    if name.endswith(".toml") and Path(name).is_file():
        return Path(name)
    raise RecipeError(
        f"no PHI policy called {name!r}.",
        why=f"Shipped are {', '.join(shipped())}.",
        fix="Give one of these, or the path of a TOML file of your own.",
    )


def load_policy(name: str) -> Policy:
    """The policy called `name`, or in the TOML file `name`."""
    path = policy_path(name)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"not valid TOML: {error}.", where=str(path), fix="Correct the line it names.") from None
    return parse_policy(table, name=path.stem, where=str(path))


def parse_policy(table: Mapping[str, Any], *, name: str, where: str) -> Policy:
    """The checked policy of a parsed table; `where` stands in messages."""

    def refuse(what: str, known: object) -> RecipeError:
        return RecipeError(what, where=where, why=f"Known are {', '.join(map(str, known))}.", fix="Correct it.")  # type: ignore[call-overload]

    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise refuse(f"unknown key {unknown[0]!r}.", sorted(_KEYS))
    missing = sorted({"entities", "on_confident", "on_weak"} - set(table))
    if missing:
        raise refuse(f"the key {missing[0]!r} is missing.", sorted(_KEYS))
    exceptions = {entity: (pair[0], pair[1]) for entity, pair in dict(table.get("exceptions", {})).items()}
    together = frozenset(table.get("together", ()))
    entities = frozenset(table["entities"]) | together
    for entity in sorted(entities | set(exceptions)):
        if entity not in ENTITIES:
            raise refuse(f"no kind of identifier {entity!r}.", ENTITIES)
    actions = [table["on_confident"], table["on_weak"], *(action for pair in exceptions.values() for action in pair)]
    for action in actions:
        if action not in ACTIONS:
            raise refuse(f"no action {action!r}.", ACTIONS)
    placeholders = table.get("placeholders", "keep")
    if placeholders not in ("keep", "typed"):
        raise refuse(f"no way {placeholders!r} to treat placeholders.", ("keep", "typed"))
    return Policy(
        name=name,
        version=int(table.get("version", 1)),
        entities=entities,
        confident_from=float(table.get("confident_from", 0.7)),
        on_confident=actions[0],
        on_weak=actions[1],
        presidio=bool(table.get("presidio", False)),
        placeholders=placeholders,
        together=together,
        exceptions=exceptions,
    )
