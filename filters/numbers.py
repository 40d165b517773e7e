"""Numbers, comparators and units of a text: what cleaning must not change and deduplication must not ignore.

Two spellings of one value give one token: `10⁻³` and `10^-3`, `−5` and `-5`, `1,000` and `1000`, `0·05`, `.05` and
`0.05`, `≤` and `<=`. Every digit counts, also inside a word (`p53`, `H2O`, `CD4+`). A hyphen is a sign only where
nothing it could join stands before it: `5-10` holds 5 and 10.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, NamedTuple

from filters.characters import plain

Kind = Literal["number", "comparator", "unit"]


class NumberToken(NamedTuple):
    """One number, comparator or unit, in its one spelling."""

    kind: Kind
    value: str


_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_RAISED_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_FRACTION = re.compile("(?=[¼½¾⅐-⅞])")
_DECIMAL_DOT = re.compile(r"(?<=\d)·(?=\d)(?!10\^)")

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)*(?:[eE][-+]?\d+(?!\w)|\^[-+]?\d+)?"
_NUMBERS = re.compile(_NUMBER)

# A hyphen or point in front of a digit belongs to the number after one of these, or at the start of the text.
_OPENS = frozenset(" \t\n([{<>=≤≥⩽⩾≦≧±~≈∼≃≠,:;/|^*+×'\"`‘’“”")

_BASES = (
    r"(?:mega|kilo|milli|micro|nano|pico)?(?:grams?|litres?|liters?|moles?|units?|metres?|meters?)|"
    r"(?:[kmnpfcdMGμ]|mc|da)?(?:g|L|l|mol|m|s|Hz|V|W|Pa|Da|bp|b|Gy|Sv|Bq|Ci|J|cal|eq|Eq|osm|Osm|IU|U|M|N|A)|"
    r"mm[ ]?Hg|cm[ ]?H2O|mmHg|kcal|torr|atm|bar|bpm|rpm|ppm|ppb|°[ ]?[CF]|℃|℉|º[ ]?[CF]|"
    r"min(?:ute)?s?|h(?:ou)?rs?|h|sec(?:ond)?s?|d(?:ay)?s?|w(?:ee)?ks?|mo(?:nth)?s?|y(?:ea)?rs?|"
    r"tabs?|tablets?|caps?|capsules?|drops?|puffs?|doses?|cells?|copies|CFU|cfu|FEV1|kD|kDa|cc|lbs?|oz|in(?:ch(?:es)?)?|ft|dB|D"
)
_UNIT = rf"(?:{_BASES})(?:\^?[-+]?[1-4])?"
_UNITS = rf"(?:%|‰|{_UNIT}(?:[/·.](?:\d[\d.]*[ ]?)?{_UNIT})*)(?![A-Za-zμ\d^]|[.,]\d)"
_TOKENS = re.compile(
    rf"(?P<comparator>\+/-|<=|>=|=<|=>|[<>=≤≥⩽⩾≦≧±~≈∼≃≠])|(?P<number>{_NUMBER})(?:(?:[ \t]*|-)(?P<unit>{_UNITS}))?"
)
_COMPARATORS = {
    **dict.fromkeys(("<=", "=<", "⩽", "≦"), "≤"),
    **dict.fromkeys((">=", "=>", "⩾", "≧"), "≥"),
    **dict.fromkeys(("∼", "~"), "~"),
    **dict.fromkeys(("≃",), "≈"),
    "+/-": "±",
}


def _readable(text: str) -> str:
    """`text` with one spelling for each digit, dash, exponent and space."""
    text = plain(text)
    if text.isascii():
        return text
    text = _RAISED_RUN.sub(lambda run: "^" + run[0].translate(_RAISED), text)
    # A fraction keeps apart from the whole number before it: `1½` is 1 and 1/2, not 11/2.
    text = unicodedata.normalize("NFKC", _FRACTION.sub(" ", text))
    for dash in _DASHES:
        text = text.replace(dash, "-")
    return _DECIMAL_DOT.sub(".", text) if "·" in text else text


def _value(text: str, start: int, digits: str) -> str:
    """The number whose digits stand at `start`, with the sign and the leading zero that stand before it."""
    value = digits.replace(",", "")
    if not value.isascii():
        value = "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in value)
    value = value.replace("E", "e").replace("e+", "e").replace("^+", "^")
    if start and text[start - 1] == "." and (start == 1 or text[start - 2] in _OPENS or text[start - 2] == "-"):
        value, start = "0." + value, start - 1
    if start and text[start - 1] == "-" and (start == 1 or text[start - 2] in _OPENS):
        value = "-" + value
    return value


def numbers(text: str) -> list[str]:
    """The numbers of `text` in order, each in its one spelling."""
    text = _readable(text)
    return [_value(text, found.start(), found[0]) for found in _NUMBERS.finditer(text)]


def numeric_tokens(text: str) -> list[NumberToken]:
    """Numbers, comparators, and the units that follow numbers, in the order of the text."""
    text = _readable(text)
    tokens: list[NumberToken] = []
    for found in _TOKENS.finditer(text):
        comparator = found["comparator"]
        if comparator is not None:
            tokens.append(NumberToken("comparator", _COMPARATORS.get(comparator, comparator)))
            continue
        tokens.append(NumberToken("number", _value(text, found.start("number"), found["number"])))
        if found["unit"] is not None:
            tokens.append(NumberToken("unit", found["unit"].replace(" ", "").replace("^", "")))
    return tokens
