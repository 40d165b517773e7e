"""Text inside one block: raised and lowered characters, citation marks, white space.

A renderer appends pieces of text to a list and brackets what needs its neighbours with control characters, which
neither XML nor HTML text can hold; `finish` resolves them when the block is whole. The law: no digit is glued to
another digit, and none is removed that is not part of a citation mark.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, MutableMapping, Sequence

from scrapers.formats.chemical_elements import joins_symbol

CITE_START, CITE_END = "\x01", "\x02"
RAISED, RAISED_END = "\x03", "\x04"
LOWERED, LOWERED_END = "\x06", "\x07"
GONE = "\x05"
"""Stands where a citation mark has left, until what it leaves behind is closed."""
_APART = "\x0f"
_CONTROLS = "".join((CITE_START, CITE_END, RAISED, RAISED_END, LOWERED, LOWERED_END, GONE, _APART))
_DIGITS = re.compile(r"\d+")
_HAS_CONTROL = re.compile(f"[{_CONTROLS}]")
Cited = Callable[[str, MutableMapping[str, int]], str]
"""What becomes of the bracketed citation marks in a block's text; counts what it removes."""
# Soft hyphen, zero-width space, word joiner, byte order mark: typesetting, invisible, and they split words and numbers.
_LEFT_BESIDE = re.compile(r"(?<=\S) {2,}(?=\S)")
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")

_DASH = "\\-\u2010\u2011\u2012\u2013\u2014\u2212"
NUMERIC_MARK = re.compile(
    rf"[\[(]?\s*(?!(?:1[89]|20)\d\d[a-z]?\s*[\])]?[.,;]?$)[A-Za-z]?\d{{1,4}}[a-z]?"
    rf"(?:\s*[,;{_DASH}]\s*[A-Za-z]?\d{{1,4}}[a-z]?)*\s*[\])]?\s*[.,;]?"
)
"""A citation mark that is a number or a list of them; `2010` alone is the year of an author-year mark."""

_MARK = f"{CITE_START}[^{CITE_START}{CITE_END}]*{CITE_END}"
_JOIN = rf"\s*(?:(?:[,;:{_DASH}]|and\b|&|to\b)\s*)*"
_CHAIN = rf"{_MARK}(?:{_JOIN}{_MARK})*"
_UNTAGGED = r"\d{1,3}[a-z]?"
_LEAD = r"(?:(?:see(?:\s+also)?|e\.g\.,?|cf\.?|i\.e\.,?|reviewed\s+in|refs?\.?|references?)\s+)*"
# Square brackets may hold numbers the publisher forgot to tag; round ones hold doses, so only ranges are taken there.
_SQUARE = re.compile(
    rf"\[\s*{_LEAD}(?:({_UNTAGGED}){_JOIN})*{_CHAIN}(?:{_JOIN}(?:{_CHAIN}|({_UNTAGGED})(?!\w)))*\s*[,;.]?\s*\]"
)
_ROUND = re.compile(rf"\(\s*{_LEAD}{_CHAIN}(?:\s*[{_DASH}]\s*({_UNTAGGED})(?!\w))?\s*[,;.]?\s*\)")
_BARE = re.compile(_CHAIN)
_ONE_MARK = re.compile(_MARK)
_NAMED = re.compile(r"(?i)\b(?:refs?|references?|citations?)\.?\s*(?:no\.?|numbers?)?\s*[\[(]?\s*$")
_BETWEEN_MARKS = re.compile(rf"\s*(?:[,;:{_DASH}]|and|&)?\s*")

_SPAN_BEFORE = re.compile(r"(?i)(?:[=<>\u2264\u2265\u2248]|\bCI|\bintervals?|\brange[sd]?|\bbetween)\s*$")
_ORDINAL = re.compile(r"(?:st|nd|rd|th|TM|SM|er|ème)$")
_SYMBOLS = re.compile(r"[^\w\s]+$")
_STOPS = frozenset(".,;:!?\u201d\u2019")
_SIGNS = frozenset("+-\u2212\u2013")
_BASES = frozenset(")]}%\u00b0\u2032'\"|*\u00b5\u03bc\u2126")
_BACKSPACE = "\x08"
_REACH = 1000
"""Characters before a mark that are looked at: white space of that length stands in no sentence."""
_TAKES_POWER = re.compile(r"(?:\b10|\b(?:[kcmnd\u00b5\u03bc]?[mgsLl]|h|d|ha|min|day|kg|yr|mol|[A-Z]))$")
_SPLIT = re.compile(rf"{_APART}([.,])(?=[^\d\s]*\d)")
_DIGIT_AND_POINT = re.compile(rf"\d[{_CONTROLS}]*[.,][{_CONTROLS}]*$")
_POINT_AND_DIGIT = re.compile(r"[.,]\d")
_SPACES_BACK = re.compile(rf"\s*{_BACKSPACE}")
_SIGN_APART = re.compile(rf"(?<!{RAISED_END}){RAISED}\s*([-\u2212\u2013])\s*{RAISED_END}{RAISED}(?=\s*\d)")
_SIGN_BESIDE = re.compile(rf"[^\W_][-\u2212\u2013][{_CONTROLS}]*$")
_FRACTION = re.compile(rf"\s*[/\u2044\u2215]\s*{LOWERED}\s*\d{{1,2}}\s*{LOWERED_END}")
"""What stands after the numerator of a fraction that is set with raised and lowered digits."""
_SMALL = re.compile(r"\d{1,2}")
_RINGS = frozenset("oO\u00ba\u25cb\u25e6\u2218")
_DEGREES = re.compile(r"\s*[CF](?![^\W\d_])")
_IN_FORMULA = re.compile(r"[^\W\d]|[)\]}]")
_RAISED_TEXT = re.compile(f"{RAISED}([^{RAISED}{RAISED_END}]*){RAISED_END}")
_LOWERED_TEXT = re.compile(f"{LOWERED}([^{LOWERED}{LOWERED_END}]*){LOWERED_END}")
_CITATION_ONLY = re.compile(rf"\s*[\[(]?(?:\s|[,;:.{_DASH}\[\]()]|{_MARK})*[\])]?\s*")
_CITATION_AND_NUMBERS = re.compile(rf"\s*[\[(]?(?:\s|[,;:.{_DASH}]|{_MARK}|{_UNTAGGED}(?!\w))*[\])]?\s*")


def collapse(text: str) -> str:
    """`text` with every run of white space as one space, none at the ends."""
    # Of all white space only the space is printable, so most long texts need not be taken apart.
    if text.isprintable() and "  " not in text:
        return text.strip(" ")
    return " ".join(text.split())


def finish(pieces: Sequence[str] | str, counts: MutableMapping[str, int], cited: Cited | None = None) -> str:
    """The text of one block from its pieces: marks resolved, white space collapsed.

    Citation marks leave whole unless `cited` says what becomes of them.
    """
    text = pieces if isinstance(pieces, str) else "".join(pieces)
    if _holds_control(text):
        text = _resolve(text, counts, cited or without_citations)
    return collapse(text)


def _holds_control(text: str) -> bool:
    # Eight searches for one character are ten times as fast as one for any of them.
    return (
        CITE_START in text
        or RAISED in text
        or LOWERED in text
        or CITE_END in text
        or RAISED_END in text
        or LOWERED_END in text
        or GONE in text
        or _APART in text
    )


def without_controls(text: str) -> str:
    """`text` without the characters that bracket its parts."""
    return _HAS_CONTROL.sub("", text)


def normalise(text: str) -> str:
    """A finished text in NFC, without the invisible characters that split words and numbers."""
    if text.isascii():
        return text
    if "\u00ad" in text or "\u200b" in text or "\u2060" in text or "\ufeff" in text:
        text = _LEFT_BESIDE.sub(" ", _INVISIBLE.sub("", text))
    return unicodedata.normalize("NFC", text)


def _resolve(text: str, counts: MutableMapping[str, int], cited: Cited) -> str:
    if RAISED in text:
        if RAISED_END + RAISED in text:
            text = _SIGN_APART.sub(rf"{RAISED}\1", text)
        text = _innermost(_RAISED_TEXT, _raised, text, RAISED)
    if LOWERED in text:
        text = _innermost(_LOWERED_TEXT, _lowered, text, LOWERED)
    if CITE_START in text:
        text = cited(text, counts)
    if _BACKSPACE in text:
        text = _SPACES_BACK.sub("", text)
    if _APART in text:
        text = _SPLIT.sub(r"\1 ", text)
    return _HAS_CONTROL.sub("", text) if _holds_control(text) else text


def _innermost(pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str], text: str, start: str) -> str:
    while start in text:
        after = pattern.sub(replace, text)
        if after == text:
            break
        text = after
    return text


def _neighbours(match: re.Match[str]) -> tuple[str, str]:
    """The last character before and the first few after a raised or lowered text, marks left out."""
    text, start, end = match.string, match.start() - 1, match.end()
    while start >= 0 and text[start] in _CONTROLS:
        start -= 1
    while end < len(text) and text[end] in _CONTROLS:
        end += 1
    return text[start : start + 1] if start >= 0 else "", text[end : end + 8]


def _raised(match: re.Match[str]) -> str:
    """A superscript as text: `10^-3`, `m^2`, `Na+`, `1st`; nothing but citations stays one citation mark."""
    inner = match[1]
    before, following = _neighbours(match)
    if CITE_START in inner:
        only = _CITATION_ONLY.fullmatch(inner) or (not before.isdigit() and _CITATION_AND_NUMBERS.fullmatch(inner))
        if only:
            *marks, last = (_HAS_CONTROL.sub("", part) for part in inner.split(CITE_END))
            marks[-1] += last
            # One for one, so that marks are counted as they were written.
            return "".join(f"{CITE_START}{mark}{CITE_END}" for mark in marks)
    content = " ".join(inner.split())
    if not content:
        return inner
    if _FRACTION.match(match.string, match.end()) and _SMALL.fullmatch(content) and not _IN_FORMULA.match(before):
        # Half a tablet is no power: 1<sup>1</sup>/<sub>2</sub>.
        return f" {content}" if before.isdigit() else content
    bare = _HAS_CONTROL.sub("", content) if CITE_START in content else content
    lead = " " if inner[:1].isspace() else ""
    trail = _trail(inner, bare, following)
    if content[0] == "^":
        # A footnote's letter in a superscript: raised by the one and by the other.
        return f"{lead}{content}{trail}"
    if bare in _RINGS and _DEGREES.match(following):
        number = match.string[max(0, match.start() - _REACH) : match.start()].rstrip()
        if number[-1:].isdigit() and (before.isdigit() or before.isspace()):
            # 37<sup>o</sup>C: the degree sign of old typesetters.
            return f"{lead}\u00b0{trail}"
    if _SYMBOLS.match(bare) or _ORDINAL.match(bare):
        return f"{lead}{content}{trail}"
    if before.isalnum() or (before and before in _BASES) or (bare[:1].isdigit() and _ends_in_point(match)):
        return f"^{content}{trail}"
    if before in _STOPS and bare[:1].isdigit() and not joins_symbol(bare, following):
        # An untagged reference after a sentence: `al.^1`, so that it is no decimal.
        return f"^{content}{trail}"
    beside = before in _SIGNS and _SIGN_BESIDE.search(match.string[max(0, match.start() - 8) : match.start()])
    if beside and bare.isdecimal() and not joins_symbol(bare, following):
        # The sign of 10^-3, not raised with its number.
        return f"^{content}{trail}"
    earlier = match.string[max(0, match.start() - _REACH) : match.start()].rstrip()
    if before.isspace() and earlier[-1:].isalnum() and (bare[:1] in _SIGNS or bare[-1:].isdigit()):
        if bare[:1] in _SIGNS and _TAKES_POWER.search(earlier[-8:]):
            return f"{_BACKSPACE}^{content}{trail}"
        if not joins_symbol(bare, following):
            return f"^{content}{trail}"
    if not trail and following[:1].isalnum() and not joins_symbol(bare, following):
        trail = " "
    return f"{content}{trail}"


def _lowered(match: re.Match[str]) -> str:
    """A subscript as text: `CO2`, `log10 5`, `10_2` where plain joining would make another number."""
    inner = match[1]
    before, following = _neighbours(match)
    content = " ".join(inner.split())
    if not content:
        return inner
    bare = _HAS_CONTROL.sub("", content) if CITE_START in content else content
    glued = before.isdigit() or _ends_in_point(match)
    lead = "_" if glued and bare.lstrip(".,")[:1].isdigit() else (" " if inner[:1].isspace() else "")
    return f"{lead}{content}{_trail(inner, bare, following)}"


def _ends_in_point(match: re.Match[str]) -> bool:
    """Whether a digit and a point or comma stand before: a digit after them would make a decimal number."""
    return _DIGIT_AND_POINT.search(match.string[max(0, match.start() - 6) : match.start()]) is not None


def _trail(inner: str, bare: str, following: str) -> str:
    """What keeps the end of a raised or lowered text from joining the number after it."""
    if inner[-1:].isspace() or (bare.rstrip(".,")[-1:].isdigit() and following[:1].isdigit()):
        return " "
    # 10<sup>2</sup>,10<sup>4</sup> and MgSO<sub>4</sub>.7H2O hold no decimal number.
    return _APART if bare[-1:].isdigit() and _POINT_AND_DIGIT.match(following) else ""


def _unknown() -> int:
    return 0


def without_citations(text: str, counts: MutableMapping[str, int], highest: Callable[[], int] = _unknown) -> str:
    """`text` without its citation marks and what was written only for them.

    `highest` counts the references there are, 0 if that is not known; few texts ask.
    """
    removed = 0

    def gone(match: re.Match[str]) -> str:
        nonlocal removed
        if is_span(match, highest):
            return without_controls(match[0])
        if names_a_reference(match):
            # "see ref. 5": without its number the sentence would point nowhere.
            return match[0].replace(CITE_START, "").replace(CITE_END, "")
        removed += match[0].count(CITE_START)
        return GONE

    text = each_citation(text, gone)
    if removed:
        counts["extract.citation_marks"] = counts.get("extract.citation_marks", 0) + removed
    return closed(text)


def each_citation(text: str, written: Callable[[re.Match[str]], str]) -> str:
    """`text` with every group of citation marks, its brackets and separators included, as `written` gives it."""
    if "[" in text:
        text = _SQUARE.sub(written, text)
    if "(" in text:
        text = _ROUND.sub(written, text)
    return _BARE.sub(written, text)


def is_span(match: re.Match[str], highest: Callable[[], int]) -> bool:
    """Whether brackets with a citation mark are a span of values that was mistagged: `in [5, 120]` of 60 references."""
    text, start = match.string, match.start()
    if match.lastindex is None and text.isascii():
        return False
    before = text[max(0, start - 24) : start].rstrip()
    if before.endswith(("\u2208", "\u2209")):
        return True
    # The groups of the patterns are the numbers beside marks.
    untagged = [] if match.lastindex is None else _DIGITS.findall(_ONE_MARK.sub(" ", match[0]))
    if not untagged:
        return False
    return (0 < highest() < max(map(int, untagged))) or _SPAN_BEFORE.search(before) is not None


def names_a_reference(match: re.Match[str]) -> bool:
    """Whether the words before a citation mark need its number: `see ref. 5`."""
    start = match.start()
    before = match.string[max(0, start - 24) : start]
    lowered = before.lower()
    return ("ref" in lowered or "tat" in lowered) and _NAMED.search(before) is not None


def closed(text: str) -> str:
    """`text` as it reads once the marks that left (`GONE`) have taken their punctuation with them."""
    first, *rest = text.split(GONE)
    written: list[str] = []
    for position, part in enumerate(rest, start=1):
        if position < len(rest) and _BETWEEN_MARKS.fullmatch(part):
            continue
        if len(first) > 4 * _REACH and first[-_REACH:].strip(" \n\t(["):
            # Only its end can change, and copying a long block at every citation is quadratic.
            written.append(first[:-_REACH])
            first = first[-_REACH:]
        first = _closed(first, part)
    return "".join((*written, first))


def _closed(left: str, right: str) -> str:
    """`left` and `right` as they read once the citation between them has left."""
    before, after = left.rstrip(), right.lstrip()
    if before[-1:] in ("(", "["):
        if after[:1] in (")", "]"):
            return _closed(before[:-1], after[1:])
        return before + after.lstrip(",;: ")
    if after[:1] in (")", "]"):
        return before.rstrip(",; ") + after
    if not after or after[0] in ".,;:!?":
        return before + after
    spaced = left[-1:].isspace() or right[:1].isspace() or (before[-1:].isalnum() and after[0].isalnum())
    return f"{before} {after}" if spaced and before else before + after
