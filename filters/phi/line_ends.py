"""Identifiers that a line end cuts in two: what stands around line ends, read as if the lines went on.

`617-` and `555-0142` on the next line are a phone number to whoever reads them, and so is the number below `MRN:`.
"""

from __future__ import annotations

import re

from filters.phi import names, structured
from filters.phi.finding import Finding, View

_REACH = 60
"""Characters on both sides of a line end that are read; the longest shapes are about as long."""
_NEAR = 30
_CUE = 40
"""Characters before an identifier in which the words that say what it is stand."""
_LINE_END = re.compile(r"(?<=\S)[ \t\r]*\n[ \t]*(?=[^\s*\u2022-])")
"""Between two lines with text, the second no item of a list."""
_TELLING = re.compile(r"[\d@]|://|www\.")
"""All shapes but ages in words hold one of these."""
_NAME_GOES_ON = re.compile(r"[A-Z]")
_INSIDE = "-/.@"
"""What stands inside identifiers without a space after it."""


def find(view: View, entities: frozenset[str]) -> list[Finding]:
    """Findings that reach over a line end, or whose words may, at the view's own offsets."""
    text = view.text
    if "\n" not in text:
        return []
    found: list[Finding] = []
    pieces: list[tuple[int, int]] = []
    for match in _LINE_END.finditer(text):
        start, end = match.span()
        named = "NAME" in entities and _NAME_GOES_ON.match(text, end)
        if not named and not _TELLING.search(text, max(0, start - _NEAR), end + _NEAR):
            continue
        # Whole words: half a number looks like another.
        first = max(text.rfind(" ", 0, max(0, start - _REACH)), 0)
        last = text.find(" ", end + _REACH)
        last = len(text) if last < 0 else last
        if pieces and first <= pieces[-1][1]:
            pieces[-1] = (pieces[-1][0], last)
        else:
            pieces.append((first, last))
    for first, last in pieces:
        found += _across(text, first, last, entities)
    return found


def _across(text: str, first: int, last: int, entities: frozenset[str]) -> list[Finding]:
    """Findings in `text[first:last]` at its line ends."""
    parts: list[str] = []
    origin: list[int] = []
    borders: list[int] = []
    at = first
    for match in _LINE_END.finditer(text, first, last):
        parts.append(text[at : match.start()])
        origin += range(at, match.start())
        borders.append(len(origin))
        if text[match.start() - 1] not in _INSIDE:
            parts.append(" ")
            origin.append(match.start())
        at = match.end()
    parts.append(text[at:last])
    origin += range(at, last)
    joined = View("".join(parts))
    found = []
    there = structured.find(joined, entities)
    if "NAME" in entities:
        there += names.find(joined)
    for one in there:
        if any(one.start - _CUE < border < one.end for border in borders):
            start, end = origin[one.start], origin[one.end - 1] + 1
            found.append(Finding(start, end, one.entity, one.detector, one.score))
    return found
