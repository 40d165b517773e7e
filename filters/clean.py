"""Cleaning: typography evened out, and nothing clinical touched.

No number, comparator, unit, bracket or table cell changes: `numeric_tokens(clean(x)) == numeric_tokens(x)`, and
`clean(clean(x)) == clean(x)`. Every edit is counted by its name. Text from a wrong decoding (`â€“`) is repaired line by
line, and only where the repair leaves the numeric tokens and the micro units of the line as they were.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Literal

from filters.characters import ODD, ODD_ASCII, replacement
from filters.furniture import removable
from filters.lines import without_gaps
from filters.numbers import NumberToken, numeric_tokens
from filters.rule import Drop, Edit, Keep, Rule, Verdict
from manifests.document import Document
from manifests.errors import RecipeError

Quotes = Literal["keep", "straight"]
Hyphenation = Literal["keep", "join"]

_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
_LIGATURE = re.compile("[ﬀ-ﬆ]")
_QUOTES = dict.fromkeys("‘’‚‛", "'") | dict.fromkeys("“”„‟", '"')
_QUOTE = re.compile("[‘’‚‛“”„‟]")
# Spaces between two words; not the indentation of a line, and not inside a row of a table.
_SPACE_RUN = re.compile(r"(?<=[^ \n])  +(?=[^ \t\n])")
# Two gaps as wide as between columns. Lines of a row stand one below the other.
_COLUMNS = re.compile(r"(?<=[^ \n]) {3,}[^ \n](?:[^ \n]| {1,2}(?=[^ \n]))* {3,}(?=[^ \n])")
_TABLE_ROW = re.compile(r"^[ \t]*\|", re.MULTILINE)
_TRAILING = re.compile(r"(?<![ \t])[ \t]+$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")
# The lead byte of a UTF-8 sequence, read as Latin-1 or Windows-1252, before what a continuation byte becomes.
_MOJIBAKE = re.compile("[ÂÃÄÅÎÏÐÑâï][\x80-\xbfŒœŠšŽžŸƒˆ˜–—‘’‚“”„†‡•…‰‹›€™¢-¿]")
_BROKEN_WORD = re.compile(rf"\S*{_MOJIBAKE.pattern}\S*")
# The micro sign of a unit is the last byte of two letters too: `Åµg` may be written so, and is no `ŵg`.
_MICRO = re.compile(r"[µμ](?=(?:g|l|L|m|M|mol|s|U|IU|kat|V|A|Sv|Gy)(?![^\W\d_]))")

# A word broken at the end of a line, with what stands at its second part, and the space after that.
_BROKEN = re.compile(r"(?<![^\s(])([A-Za-z]+[a-z])-\n([a-z]{2,}[^\s-]*)(?![^\s])( ?)")
_WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")
_MIN_REPEATED = 20
"""Characters from which a line that repeats is furniture and no form field."""


def _repaired(line: str, edits: Counter[str]) -> str:
    import ftfy

    repaired = ftfy.fix_encoding(line)
    if repaired == line:
        return line
    # Its guess at a space that was a byte of a sign (`â¥ 5`, `â€ 5`) takes the space, and makes another sign.
    if _spaces(repaired) < _spaces(line):
        repaired = _BROKEN_WORD.sub(lambda found: ftfy.fix_encoding(found[0]), line)
    unit_lost = len(_MICRO.findall(repaired)) < len(_MICRO.findall(line))
    if repaired == line or unit_lost or numeric_tokens(repaired) != numeric_tokens(line):
        edits["mojibake_refused"] += 1
        return line
    edits["mojibake"] += 1
    return repaired


def _spaces(line: str) -> int:
    return sum(1 for char in line if char.isspace())


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
        if n_ligatures:  # an accent on a ligature composes with its last letter
            text = unicodedata.normalize("NFC", text)
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
    """Runs of spaces between words as one, but not in rows: where a cell is empty, only they say which one it is."""
    if not _TABLE_ROW.search(text) and not _COLUMNS.search(text):
        text, n_runs = _SPACE_RUN.subn(" ", text)
        edits["space_runs"] += n_runs
        return text
    lines = text.split("\n")
    columns = [bool(_COLUMNS.search(line)) for line in lines]
    for index, line in enumerate(lines):
        row = columns[index] and (columns[index - 1 : index] == [True] or columns[index + 1 : index + 2] == [True])
        if "  " in line and not row and not line.lstrip(" \t").startswith("|"):
            lines[index], n_runs = _SPACE_RUN.subn(" ", line)
            edits["space_runs"] += n_runs
    return "\n".join(lines)


def _joined(text: str, edits: Counter[str]) -> str:
    """Words broken at line ends made whole where the document itself writes them whole, and never with a hyphen."""
    if not _BROKEN.search(text):
        return text
    words = {word.lower() for word in _WORD.findall(text)}

    def whole(found: re.Match[str]) -> str:
        first, rest, space = found[1], found[2], found[3]
        second = re.match("[a-z]+", rest)
        assert second is not None  # the pattern says so
        known = (first + second[0]).lower() in words and f"{first}-{second[0]}".lower() not in words
        new = f"{first}{rest}\n" if space else first + rest
        if not known or _around(found, new) != _around(found, found[0]):
            return found[0]
        edits["hyphenation"] += 1
        return new

    return _BROKEN.sub(whole, text)


def _around(found: re.Match[str], new: str) -> list[NumberToken]:
    """Numbers, comparators and units of the lines of a match, were it `new`."""
    text = found.string
    start, stop = text.rfind("\n", 0, found.start()) + 1, text.find("\n", found.end())
    return numeric_tokens(text[start : found.start()] + new + text[found.end() : stop if stop >= 0 else None])


def _without_repeats(text: str, least: int, edits: Counter[str]) -> str:
    """Lines that stand `least` times or more, once: running heads of pages. Only such as hold nothing clinical."""
    lines = text.split("\n")
    counted = Counter(line.strip() for line in lines if len(line) >= _MIN_REPEATED)
    repeated = {line for line, count in counted.items() if count >= least and removable(line)}
    if not repeated:
        return text
    seen: set[str] = set()
    kept = []
    for line in lines:
        body = line.strip()
        if body in repeated and body in seen:
            edits["repeated_lines"] += 1
        else:
            kept.append(line)
            seen.add(body)
    return without_gaps(kept)


def clean(
    text: str, *, quotes: Quotes = "keep", hyphenation: Hyphenation = "keep", repeated_lines: int = 0
) -> tuple[str, dict[str, int]]:
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
    before = ""
    # Each makes work for the other, and each makes the text shorter.
    while before != cleaned and (repeated_lines or hyphenation == "join"):
        before = cleaned
        if repeated_lines:
            cleaned = _without_repeats(cleaned, repeated_lines, edits)
        if hyphenation == "join":
            cleaned = _joined(cleaned, edits)
    return cleaned, {name: edits[name] for name in sorted(edits) if edits[name]}


def clean_rule(*, quotes: Quotes = "keep", hyphenation: Hyphenation = "keep", repeated_lines: int = 0) -> Rule:
    """Even out the text; drop what holds nothing.

    `quotes`: leave typographic ones, or make them straight. `hyphenation`: leave words broken at line ends, or join
    those that the document also writes whole. `repeated_lines`: a line about the publication that stands so often or
    more in one document (a running head) stays once; 0 leaves all.
    """
    if quotes not in ("keep", "straight"):
        raise RecipeError(
            f"clean.text has no quotes policy {quotes!r}.",
            why="Typographic quotes are either left as they are or made straight.",
            fix='Write quotes = "keep" or quotes = "straight".',
        )
    if hyphenation not in ("keep", "join") or repeated_lines in (1, 2) or repeated_lines < 0:
        raise RecipeError(
            f"clean.text has no hyphenation {hyphenation!r} with repeated_lines = {repeated_lines}.",
            why="A line said twice may be said on purpose.",
            fix='Write hyphenation = "keep" or "join", and repeated_lines = 0 or at least 3.',
        )

    def rule(document: Document, /) -> Verdict:
        text, edits = clean(document.text, quotes=quotes, hyphenation=hyphenation, repeated_lines=repeated_lines)
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


clean_rule.version = 5  # type: ignore[attr-defined]
