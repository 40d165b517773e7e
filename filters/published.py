"""Published up to a day: the cutoff of a corpus that rebuilds one of the past.

Sources state a day, a month, a year, or nothing. A date is read as the span it may mean: the document stays if the
whole span lies before the cutoff's end, leaves if the whole span lies after it, and is `unknown` if it states none or
the cutoff lies inside its span. What happens to the unknown is the recipe's to say; there is no default, and both
fates are counted.
"""

from __future__ import annotations

import calendar
import re

from filters.rule import Drop, Keep, Rule, Verdict
from manifests.document import Document
from manifests.errors import RecipeError

POLICIES = ("keep", "drop")
UNKNOWN = "published_unknown"
"""Count of documents kept although nothing tells on which side of the cutoff they lie."""

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")

Day = tuple[int, int, int]


def published_rule(*, until: str, unknown: str) -> Rule:
    """Drop documents published after `until` (`2023`, `2023-08` or `2023-08-31`, the whole of it included).

    `unknown`: "keep" or "drop" what states no date, or only a year or month in which the cutoff lies. The value and
    threshold of a drop are days as numbers, 20230831.
    """
    cutoff = span(until)
    if cutoff is None:
        raise RecipeError(
            f"source.published_until cannot read until = {until!r}.",
            fix='Write a year, a month or a day: "2023", "2023-08", "2023-08-31".',
        )
    if unknown not in POLICIES:
        raise RecipeError(
            f"source.published_until has unknown = {unknown!r}.",
            why="Some documents state no date, or only the year in which the cutoff lies.",
            fix='Write unknown = "keep" or unknown = "drop".',
        )
    last = cutoff[1]
    threshold = _number(last)

    def rule(document: Document, /) -> Verdict:
        stated = span(document.published) or span(str(document.year or ""))
        if stated is not None and stated[0] > last:
            return Drop("source.published_late", _number(stated[0]), threshold)
        if stated is not None and stated[1] <= last:
            return Keep()
        if unknown == "drop":
            return Drop("source.published_unknown", _number(stated[0]) if stated else None, threshold)
        return Keep(counts={UNKNOWN: 1})

    return rule


def span(date: str) -> tuple[Day, Day] | None:
    """First and last day that an ISO date of any precision may mean; None if it is none.

    >>> span("2023-02"), span("2023-02-30"), span("")
    (((2023, 2, 1), (2023, 2, 28)), None, None)
    """
    found = _DATE.fullmatch(date.strip())
    if found is None:
        return None
    year, month, day = (int(part) if part else 0 for part in found.groups())
    if not year or month > 12 or (found[2] and not month):
        return None
    if not month:
        return (year, 1, 1), (year, 12, 31)
    length = calendar.monthrange(year, month)[1]
    if not day:
        return None if found[3] else ((year, month, 1), (year, month, length))
    return None if day > length else ((year, month, day), (year, month, day))


def _number(day: Day) -> float:
    return float(day[0] * 10_000 + day[1] * 100 + day[2])


published_rule.version = 1  # type: ignore[attr-defined]
