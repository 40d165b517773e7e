"""Placeholders of de-identified notes: MIMIC-IV's `___` and the `[** ... **]` tags of MIMIC-III.

They stand where an identifier was, and are none: detectors must not read them (`[**2151-8-1**]` is not a date of
anybody). The grammar of MIMIC-III is that of the PhysioNet deid program.
"""

from __future__ import annotations

import re
from collections import Counter

_BLANK = re.compile(r"_{3,}")
_TAG = re.compile(r"\[\*\*([^\[\]]{0,120}?)\*\*\]")

# What the words of a tag mean, first match wins.
_MEANINGS = (
    ("DATE", re.compile(r"\d{1,4}[-/]\d|month|day|year|date|holiday|^\d{4}$", re.IGNORECASE)),
    ("AGE", re.compile(r"\bage\b", re.IGNORECASE)),
    ("PHONE", re.compile(r"phone|fax|pager|contact", re.IGNORECASE)),
    ("EMAIL", re.compile(r"e-?mail", re.IGNORECASE)),
    ("URL", re.compile(r"\burl\b", re.IGNORECASE)),
    ("SSN", re.compile(r"social security", re.IGNORECASE)),
    ("ADDRESS", re.compile(r"address|street|apartment|po box|zip", re.IGNORECASE)),
    ("PLACE", re.compile(r"hospital|location|state|country|university|college|ward|unit|company|site", re.IGNORECASE)),
    ("ID", re.compile(r"number|numeric|identifier|\bmd\b|serial|\bid\b|job|clip|medical record", re.IGNORECASE)),
    ("NAME", re.compile(r"name|initial|doctor|attending|dictator", re.IGNORECASE)),
)


def entity(inside: str) -> str:
    """What stood where a MIMIC-III tag with the words `inside` stands now; `OTHER` if the words do not say."""
    for meaning, pattern in _MEANINGS:
        if pattern.search(inside):
            return meaning
    return "OTHER"


def spans(text: str) -> list[tuple[int, int]]:
    """Start and end of every placeholder of `text`."""
    found = [match.span() for match in _TAG.finditer(text)] if "[**" in text else []
    if "___" in text:
        found += [match.span() for match in _BLANK.finditer(text)]
    return found


def typed(text: str) -> tuple[str, dict[str, int]]:
    """`text` with each MIMIC-III tag as `[NAME]`, `[DATE]`, ..., and how many of each; `___` stays."""
    counts: Counter[str] = Counter()

    def tag(match: re.Match[str]) -> str:
        kind = entity(match[1])
        counts[kind] += 1
        return f"[{kind}]"

    if "[**" in text:
        text = _TAG.sub(tag, text)
    return text, dict(sorted(counts.items()))
