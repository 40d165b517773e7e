"""Cleaning: typography evened out, and nothing clinical touched.

No number, comparator, unit, bracket or table cell changes: `numeric_tokens(clean(x)) == numeric_tokens(x)`, and
`clean(clean(x)) == clean(x)`. Every edit is counted by its name. Text from a wrong decoding (`â€“`) is repaired line by
line, and only where the repair leaves the numeric tokens of the line as they were.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Literal

from filters.characters import ODD, ODD_ASCII, replacement
from filters.numbers import numeric_tokens
from filters.rule import Drop, Edit, Keep, Rule, Verdict
from manifests.document import Document
from manifests.errors import RecipeError

Quotes = Literal["keep", "straight"]

_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
_LIGATURE = re.compile("[ﬀ-ﬆ]")
_QUOTES = dict.fromkeys("‘’‚‛", "'") | dict.fromkeys("“”„‟", '"')
_QUOTE = re.compile("[‘’‚‛“”„‟]")
# Spaces between two words; not the indentation of a line, and not inside a row of a table.
_SPACE_RUN = re.compile(r"(?<=[^ \n])  +(?=[^ \t\n])")
_TABLE_ROW = re.compile(r"^[ \t]*\|", re.MULTILINE)
_TRAILING = re.compile(r"(?<![ \t])[ \t]+$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")
# The lead byte of a UTF-8 sequence, read as Latin-1 or Windows-1252, before what a continuation byte becomes.
_MOJIBAKE = re.compile("[ÂÃÄÅÎÏÐÑâï][\x80-\xbfŒœŠšŽžŸƒˆ˜–—‘’‚“”„†‡•…‰‹›€™¢-¿]")


def _repaired(line: str, edits: Counter[str]) -> str:
    import ftfy

    repaired = ftfy.fix_encoding(line)
    if repaired == line:
        return line
    if numeric_tokens(repaired) != numeric_tokens(line):
        edits["mojibake_refused"] += 1
        return line
    edits["mojibake"] += 1
    return repaired


def _once(text: str, quotes: Quotes, edits: Counter[str]) -> str:
    if not text.isascii() and _MOJIBAKE.search(text):
        text = "\n".join(_repaired(line, edits) if _MOJIBAKE.search(line) else line for line in text.split("\n"))

    def odd(found: re.Match[str]) -> str:
        name, new = replacement(found[0])
        edits[name] += 1
        return new

    text = (ODD_ASCII if text.isascii() else ODD).sub(odd, text)
    if not text.isascii():
        composed = unicodedata.normalize("NFC", text)
        if composed != text:
            edits["nfc"] += 1
            text = ODD.sub(odd, composed)  # some wide spaces compose to others
        text, n_ligatures = _LIGATURE.subn(lambda found: _LIGATURES[found[0]], text)
        edits["ligatures"] += n_ligatures
        if quotes == "straight":
            text, n_quotes = _QUOTE.subn(lambda found: _QUOTES[found[0]], text)
            edits["quotes"] += n_quotes
    text, n_trailing = _TRAILING.subn("", text)
    edits["trailing_spaces"] += n_trailing
    if "  " in text:
        text = _without_space_runs(text, edits)
    text, n_blank = _BLANK_LINES.subn("\n\n", text)
    edits["blank_lines"] += n_blank
    stripped = text.strip("\n").rstrip(" \t")
    edits["outer_lines"] += stripped != text
    return stripped


def _without_space_runs(text: str, edits: Counter[str]) -> str:
    if not _TABLE_ROW.search(text):
        text, n_runs = _SPACE_RUN.subn(" ", text)
        edits["space_runs"] += n_runs
        return text
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if "  " in line and not line.lstrip(" \t").startswith("|"):
            lines[index], n_runs = _SPACE_RUN.subn(" ", line)
            edits["space_runs"] += n_runs
    return "\n".join(lines)


def clean(text: str, *, quotes: Quotes = "keep") -> tuple[str, dict[str, int]]:
    """The cleaned text, and how often each edit was made."""
    edits: Counter[str] = Counter()
    cleaned = _once(text, quotes, edits)
    # Taking a mark out can complete a sequence that the repair then reads: again, until nothing does.
    while not cleaned.isascii() and _MOJIBAKE.search(cleaned):
        later: Counter[str] = Counter()
        again = _once(cleaned, quotes, later)
        if again == cleaned:
            break
        del later["mojibake_refused"]  # counted in the first pass
        cleaned = again
        edits.update(later)
    return cleaned, {name: edits[name] for name in sorted(edits) if edits[name]}


def clean_rule(*, quotes: Quotes = "keep") -> Rule:
    """Even out the text; drop what holds nothing. `quotes`: leave typographic ones, or make them straight."""
    if quotes not in ("keep", "straight"):
        raise RecipeError(
            f"clean.text has no quotes policy {quotes!r}.",
            why="Typographic quotes are either left as they are or made straight.",
            fix='Write quotes = "keep" or quotes = "straight".',
        )

    def rule(document: Document, /) -> Verdict:
        text, edits = clean(document.text, quotes=quotes)
        counts = {f"clean.{name}": count for name, count in edits.items()}
        if not text:
            return Drop("clean.empty", value=0, threshold=1, counts=counts)
        measures = {
            "removed_share": 1 - len(text) / len(document.text),
            "replacement_characters": float(text.count("\ufffd")),
        }
        if text == document.text:
            return Keep(measures, counts=counts)
        return Edit(text, counts, measures)

    return rule


clean_rule.version = 1  # type: ignore[attr-defined]
