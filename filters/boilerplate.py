"""Boilerplate: the lines a publisher prints into most of its documents leave, each counted under its hash.

Which lines: those of a file, or those that a pass of the build learnt from how many documents of the source hold them
(`filters.line_counts`). The list chooses among removable lines alone (`filters.furniture`): one with a number in it
stays, whatever the list says.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from filters.furniture import MAX_CHARACTERS, line_hash, removable
from filters.line_counts import MIN_DOCUMENTS, MIN_SHARE, Thresholds, hashes_of
from filters.lines import without_gaps
from filters.rule import Drop, Edit, Keep, Rule, Verdict
from manifests.boilerplate import CHARACTERS_MEASURE, LINES_MEASURE, RULE
from manifests.document import Document
from manifests.errors import RecipeError
from manifests.store import Store

LEARN = "learn"
"""Value of `lines` for which the build learns them from the source itself."""


class Removed(NamedTuple):
    """What `without` took out."""

    text: str
    lines: Mapping[str, int]
    """Hash (16 hex digits) -> times the line left."""
    characters: Mapping[str, int]
    """Hash -> characters of those lines as they stood, without their line ends."""


def learning(parameters: Mapping[str, Any]) -> Thresholds | None:
    """From where on the rule learns its lines with these parameters; None if they name a file of lines."""
    lines = parameters.get("lines")
    given = {name: parameters[name] for name in ("min_share", "min_documents") if name in parameters}
    if not isinstance(lines, str) or not lines:
        raise RecipeError(
            f"clean.boilerplate has lines = {lines!r}.",
            why="It takes out the lines of a list, and needs to know of which.",
            fix=f'Write lines = "{LEARN}" to learn them from the source, or the path of a file of lines.',
        )
    if lines == LEARN:
        return Thresholds(**given)
    if given:
        raise RecipeError(
            f"clean.boilerplate has {next(iter(given))} beside the file {lines!r}.",
            why="A file says itself which lines leave; thresholds are for learning them.",
            fix=f'Remove it, or write lines = "{LEARN}".',
        )
    return None


def without(text: str, hashes: frozenset[int]) -> Removed:
    """`text` without those lines; the rest unchanged but for the gaps left."""
    lines: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    kept = []
    for line in text.split("\n"):
        if line and len(line) <= MAX_CHARACTERS and (hashed := line_hash(line)) in hashes and removable(line):
            lines[f"{hashed:016x}"] += 1
            characters[f"{hashed:016x}"] += len(line)
        else:
            kept.append(line)
    return Removed(without_gaps(kept), lines, characters) if lines else Removed(text, {}, {})


def boilerplate_rule(*, lines: str, min_share: float = MIN_SHARE, min_documents: int = MIN_DOCUMENTS) -> Rule:
    """Take out repeated lines. Each count carries the hash under which its line is listed.

    `lines`: "learn", and a pass of the build finds the lines that stand in `min_share` of the source's documents and in
    `min_documents`; or the file (a path or URL) of a list, as such a pass leaves it.
    """
    if lines == LEARN:
        raise RecipeError(
            f'clean.boilerplate was given lines = "{LEARN}", and nothing was learnt.',
            why="Lines are learnt by a pass over the whole source, before the rule meets its first document.",
            fix="Run it in a build, or name the file of lines that a build left.",
        )
    return rule_of_lines(hashes_of(read_lines_file(lines), lines))


def rule_of_lines(hashes: frozenset[int]) -> Rule:
    """The rule for lines with these hashes."""

    def rule(document: Document, /) -> Verdict:
        removed = without(document.text, hashes)
        if not removed.lines:
            return Keep({"boilerplate_share": 0.0})
        measures = {"boilerplate_share": round(1 - len(removed.text) / max(len(document.text), 1), 6)}
        measures |= {f"{LINES_MEASURE}{hashed}": float(n) for hashed, n in removed.lines.items()}
        measures |= {f"{CHARACTERS_MEASURE}{hashed}": float(n) for hashed, n in removed.characters.items()}
        counts = {RULE: sum(removed.lines.values())}
        counts |= {f"{RULE}:{hashed}": n for hashed, n in sorted(removed.lines.items())}
        if not removed.text.strip():
            return Drop("clean.empty", 0, 1, measures, counts=counts)
        return Edit(removed.text, counts, measures)

    return rule


boilerplate_rule.version = 2  # type: ignore[attr-defined]


def read_lines_file(path: str) -> Any:
    """The content of a file of lines, at a path or URL; RecipeError if it cannot be read."""
    folder, name = posixpath.split(path)
    try:
        return Store(folder or ".").read_json(name)
    except (OSError, ValueError) as error:
        raise RecipeError(
            f"the boilerplate lines {path!r} cannot be read: {error}.", fix="Correct lines in clean.boilerplate."
        ) from None
