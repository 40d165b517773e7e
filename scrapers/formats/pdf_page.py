"""One page of a PDF as PDFium sees it: words with their place and type, and the rules drawn around tables.

A raised number is marked as in every other reader, `10^-3`. Text set sideways is turned upright when most of the page
is, and otherwise kept apart at the end of the page. Coordinates are points, y upwards.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from scrapers.formats.errors import Unreadable
from scrapers.formats.pdf_chars import LINE_HYPHEN, Run, runs_of
from scrapers.formats.pdf_rules import Rule, drawings, upright

__all__ = ["LINE_HYPHEN", "Page", "Rule", "Word", "read_page"]

_RAISE, _LOWER = "\x11", "\x12"
_RAISED = re.compile(f"{_RAISE}([^{_LOWER}]*){_LOWER}?")
_POWER = re.compile(r"[+\-\u2212\u2013]?\d")
_MARK = re.compile(r"[+\-\u2212\u2013]?\d+(?:[,\u2013-]\d+)*|[\u25e6\u2218*\u2020\u2021]")
_LONGEST_MARK = 12
_RINGS = frozenset("\u25e6\u2218\u25cb")


@dataclass(slots=True)
class Word:
    """Characters without a space between them."""

    text: str
    x0: float
    x1: float
    y: float
    """The baseline."""
    size: float
    bold: bool = False
    order: int = 0
    """Its place in the file."""


@dataclass(slots=True)
class Page:
    """What one page holds."""

    words: list[Word]
    sideways: list[Word] = field(default_factory=list)
    """Words in another direction than most, in the order of the file."""
    lying: list[Rule] = field(default_factory=list)
    standing: list[Rule] = field(default_factory=list)
    dots: list[tuple[float, float]] = field(default_factory=list)
    """Centres of small marks: bullets that are drawn, not written."""
    bottom: float = 0.0
    top: float = 0.0
    """Of the sheet; both 0 where it is not known."""


def read_page(document: Any, index: int) -> Page:
    """Page `index` (from 0) of an open document; Unreadable when PDFium cannot, or it holds too much."""
    import pypdfium2

    try:
        page = document[index]
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError:
        raise Unreadable("extract.corrupt", f"PDFium cannot read page {index + 1}.") from None
    try:
        runs = runs_of(text_page, index)
        turns: Counter[int] = Counter()
        for run in runs:
            turns[run.turn] += len(run.text)
        turn = max(turns, key=lambda key: (turns[key], -key)) if turns else 0
        lying, standing, dots = drawings(page, turn)
        _, bottom, _, top = upright(page.get_bbox(), turn)
    finally:
        text_page.close()
        page.close()
    words = _words([run for run in runs if run.turn == turn])
    sideways = _words([run for run in runs if run.turn != turn])
    return Page(words, sideways, lying, standing, dots, bottom, top)


def _words(runs: list[Run]) -> list[Word]:
    words: list[Word] = []
    word: Word | None = None
    raised = False
    for run in runs:
        if word is not None:
            gap, rise = run.x0 - word.x1, run.y - word.y
            em = word.size if word.size > run.size else run.size
            level = -0.12 * em < rise < 0.12 * em
            if level and not run.space and -0.6 * em < gap < 0.6 * em:
                word.text += _LOWER * raised + run.text
                raised = False
                word.x1 = max(word.x1, run.x1)
                continue
            # PDFium puts a raised or lowered character on a line of its own.
            if raised and level and -0.05 * em < gap < 0.05 * em:
                word.text, raised = word.text + _LOWER + run.text, False
                word.x1 = max(word.x1, run.x1)
                continue
            near = -0.35 * em < gap < 0.25 * em and run.space < 2
            if near:
                small = run.size <= 0.9 * word.size
                if level and raised and gap < 0.12 * em:
                    word.text, raised = word.text + _LOWER + run.text, False
                    word.x1 = max(word.x1, run.x1)
                    continue
                if small and 0.12 * em <= rise < 0.75 * em:
                    # A ring may be a degree, and stands a thin space after its number.
                    thin = " " * (run.text in _RINGS and gap > 0.12 * em)
                    word.text += thin + ("" if raised else _RAISE) + run.text
                    word.x1, raised = max(word.x1, run.x1), True
                    continue
                if small and -0.4 * em < rise <= -0.05 * em:
                    word.text += _LOWER * raised + run.text
                    word.x1, raised = max(word.x1, run.x1), False
                    continue
                if word.size <= 0.9 * run.size and -0.75 * em < rise <= -0.12 * em:
                    # A raised mark before its word: it belongs to the word's line.
                    if word.text in _RINGS:
                        word.text, word.x1, word.y, word.size = "\xb0" + run.text, run.x1, run.y, run.size
                        continue
                    word.text, word.y = f"{_RAISE}{word.text}{_LOWER}", run.y
            words.append(word)
        word = Word(run.text, run.x0, run.x1, run.y, run.size, run.bold)
        raised = False
    if word is not None:
        words.append(word)
    words = _raised(_once(words))
    for number, word in enumerate(words):
        word.order = number
        if _RAISE in word.text:
            word.text = _RAISED.sub(_written, word.text)
        if _LOWER in word.text:
            word.text = word.text.replace(_LOWER, "")
    return words


def _once(words: list[Word]) -> list[Word]:
    """Words without those drawn over the same word again, as shadows and bold type are made."""
    last: dict[tuple[str, int], Word] = {}
    places: set[tuple[str, int, int]] = set()
    kept = []
    for word in words:
        row, em = round(word.y), 0.15 * word.size
        one = last.get((word.text, row))
        place = word.text, row, round(word.x0)
        moved = one is not None and abs(one.x0 - word.x0) < em and abs(one.y - word.y) < em and one.size == word.size
        if not moved and place not in places:
            kept.append(word)
        last[word.text, row] = word
        places.add(place)
    return kept


def _raised(words: list[Word]) -> list[Word]:
    """Words with the marks put on them that stand raised behind them and elsewhere in the file."""
    marks = [word for word in words if len(word.text) <= _LONGEST_MARK and _MARK.fullmatch(word.text)]
    if not marks:
        return words
    sizes = Counter(word.size for word in words)
    usual = max(sizes, key=lambda size: (sizes[size], size))
    taken = set()
    for mark in marks:
        if mark.size > 0.8 * usual:
            continue
        for i, word in enumerate(words):
            em, rise = word.size, mark.y - word.y
            gap = mark.x0 - word.x1
            widest = 0.4 if mark.text in _RINGS else 0.15
            if mark.size > 0.8 * em or not 0.2 * em <= rise < 0.6 * em or not -0.1 * em < gap < widest * em:
                continue
            word.text += " " * (gap > 0.15 * em) + f"{_RAISE}{mark.text}{_LOWER}"
            word.x1 = mark.x1
            taken.add(id(mark))
            after = words[i + 1] if i + 1 < len(words) else None
            if after and after is not mark and abs(after.y - word.y) < 0.1 * em and abs(after.x0 - word.x1) < 0.1 * em:
                word.text, word.x1 = word.text + after.text, after.x1
                taken.add(id(after))
            break
    return [word for word in words if id(word) not in taken]


def _written(raised: re.Match[str]) -> str:
    if raised[1] in _RINGS:
        return "\xb0"
    return ("^" if _POWER.match(raised[1]) else "") + raised[1]
