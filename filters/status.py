"""What the source itself says about a document: its status and its licence."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from filters.rule import Drop, Keep, Rule, Verdict
from manifests.document import Document
from manifests.errors import RecipeError

STATUSES = ("retracted", "superseded", "archived", "notice")
"""What `source.status` can drop; `notice` is a correction or expression of concern, which extraction counts as
`extract.notice`."""


def status_rule(*, drop: Sequence[str] = ("retracted",)) -> Rule:
    """Drop documents whose status is named in `drop`: any of `STATUSES`."""
    unknown = sorted(set(drop) - set(STATUSES))
    if unknown:
        raise RecipeError(
            f"source.status cannot drop {unknown[0]!r}.",
            why=f"A document is one of {', '.join(STATUSES)}, or current.",
            fix="Correct drop in the recipe.",
        )
    dropped = frozenset(drop)

    def rule(document: Document, /) -> Verdict:
        if document.document_status in dropped:
            return Drop(f"source.{document.document_status}")
        if "notice" in dropped and document.counts.get("extract.notice"):
            return Drop("source.notice")
        return Keep()

    return rule


def licence_rule(*, allowed: Sequence[str]) -> Rule:
    """Drop documents whose own licence matches none of `allowed`: shell-style patterns, in any case.

    `CC-BY-4.0` is one licence, `CC-BY-[0-9]*` all versions of plain CC BY, `CC-BY-*` also NC and ND, `*` everything,
    `unknown` included.
    """
    if isinstance(allowed, str) or not allowed:
        raise RecipeError(
            f"licence.allowed needs a list of licences, not {allowed!r}.",
            why="With none allowed, every document would be dropped.",
            fix='Write for example allowed = ["CC0-1.0", "CC-BY-[0-9]*"], or ["*"] for any.',
        )
    patterns = [pattern.casefold() for pattern in allowed]
    known: dict[str, bool] = {}

    def rule(document: Document, /) -> Verdict:
        fits = known.get(document.licence)
        if fits is None:
            licence = document.licence.casefold()
            fits = known[document.licence] = any(fnmatch.fnmatchcase(licence, pattern) for pattern in patterns)
        return Keep() if fits else Drop("licence.not_allowed")

    return rule


status_rule.version = 1  # type: ignore[attr-defined]
licence_rule.version = 1  # type: ignore[attr-defined]
