"""What a detector reports, and the view of a text that detectors read.

A finding says where and what kind, never the string itself: it can be counted, logged and stored. The view is the text
with look-alikes evened out (`janе@…` with a Cyrillic letter, Arabic digits, dashes) and invisible marks taken out, so
that what a person reads is what a pattern sees; `View.span` leads back to the text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from filters.characters import INVISIBLE

ENTITIES = (
    "NAME",
    "DATE",
    "AGE",
    "PHONE",
    "EMAIL",
    "SSN",
    "ID",
    "ADDRESS",
    "ZIP",
    "URL",
    "IP",
    "CARD",
    "IBAN",
)
"""Kinds of identifier. ID: record, account, plan, licence, device and other numbers; AGE: of 90 or more."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One span that looks like an identifier."""

    start: int
    end: int
    entity: str
    """One of `ENTITIES`."""
    detector: str
    score: float
    """0 to 1; the policy says from where on a hit is confident."""


_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_INVISIBLE = re.compile("[" + re.escape(INVISIBLE) + "]")
_LOOK_ALIKES = dict(
    zip(
        "авеіјкмнорсѕтухԁһАВЕІЈКМНОРСЅТУХοαιΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
        "abeijkmhopcstyxdhABEIJKMHOPCSTYXoaiABEZHIKMNOPTYX",
        strict=True,
    )
)
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d"
_folded: dict[str, str] = {**_LOOK_ALIKES, **dict.fromkeys(_DASHES, "-"), **dict.fromkeys("‘’‛′", "'")}


def _fold(found: re.Match[str]) -> str:
    char = found[0]
    known = _folded.get(char)
    if known is None:
        known = char
        decimal = unicodedata.decimal(char, None)
        if decimal is not None:
            known = str(decimal)
        elif char.isspace():
            known = " "
        elif "\ud800" <= char <= "\udfff":
            known = "?"
        else:
            base = unicodedata.normalize("NFKD", char)
            if base[0].isascii() and base[0].isprintable() and all(unicodedata.combining(c) for c in base[1:]):
                known = base[0]
        _folded[char] = known
    return known


class View:
    """A text as detectors read it; `text` has a character for each visible one of the original."""

    __slots__ = ("_positions", "text")

    def __init__(self, original: str) -> None:
        self._positions: list[int] | None = None
        if not original.isascii():
            if _INVISIBLE.search(original):
                self._positions = [i for i, char in enumerate(original) if char not in INVISIBLE]
                self._positions.append(len(original))
                original = _INVISIBLE.sub("", original)
            original = _NOT_ASCII.sub(_fold, original)
        self.text = original

    def mask(self, spans: list[tuple[int, int]]) -> None:
        """Overwrite `spans` of the view, so that no detector reads what stands there."""
        parts, position = [], 0
        for start, end in sorted(spans):
            start = max(start, position)
            if end > start:
                parts += [self.text[position:start], "_" * (end - start)]
                position = end
        self.text = "".join([*parts, self.text[position:]])

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where `start` and `end` of the view are in the original text."""
        if self._positions is None or end == start:
            return start, end
        return self._positions[start], self._positions[end - 1] + 1
