"""Line numbers in the margin of a manuscript: found by their sequence over the pages, removed, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from scrapers.formats.pdf_columns import rows_of
from scrapers.formats.pdf_page import Page, Word

_STEPS = (1, 5)
_FEWEST = 5
_MOST_ROWS_WITHOUT = 0.25
_FEWEST_WORDS = 4
"""Of the usual numbered line: a list or table that is numbered has less, or other type."""


def remove_line_numbers(pages: list[Page], counts: dict[str, int]) -> None:
    """Take the line numbers out of `pages`, if most pages have them; they are counted."""
    found = [_numbers(page.words) for page in pages]
    filled = [words for page, words in zip(pages, found, strict=True) if len(page.words) > _FEWEST * _FEWEST_WORDS]
    numbered = [words for words in filled if words]
    if not numbered or 10 * len(numbered) < 7 * len(filled):
        return
    looks = Counter(_look(words) for words in numbered)
    look = max(looks, key=lambda look: (looks[look], look))
    n = 0
    for page, words in zip(pages, found, strict=True):
        # A page of headings, tables and figures has many lines without a number.
        taken = set(map(id, words or [word for word in page.words if word.text.isdecimal() and _at(word, look)]))
        page.words = [word for word in page.words if id(word) not in taken]
        n += len(taken)
    counts["extract.line_numbers"] = n


def _look(words: list[Word]) -> tuple[int, float, float]:
    """On which side of the text numbers stand, where, and how large."""
    end = 0 if len({round(word.x1) for word in words}) == 1 else -1
    return end, *_edge(words[0], end)


def _at(word: Word, look: tuple[int, float, float]) -> bool:
    place, size = _edge(word, int(look[0]))
    return abs(place - look[1]) <= 1 and size == look[2]


def _numbers(words: list[Word]) -> list[Word]:
    """The words of one page that number its lines: all to the left, or all to the right, of everything else."""
    rows = rows_of(words)
    for end in (0, -1):
        ends = [row[end] for row in rows if row[end].text.isdecimal() and len(row[end].text) < 6]
        edges = Counter(_edge(word, end) for word in ends)
        usual = max(edges, key=lambda edge: (edges[edge], edge), default=None)
        ends = [word for word in ends if _edge(word, end) == usual]
        step = next((step for step in _STEPS if _counted(ends, step)), None)
        if step is None:
            continue
        taken = set(map(id, ends))
        rest = [row for row in ([word for word in row if id(word) not in taken] for row in rows) if row]
        lines = sorted(map(len, rest))
        if not rest or step * len(ends) < (1 - _MOST_ROWS_WITHOUT) * len(rest):
            continue
        beside = [row[end] for row in rest]
        apart = min(w.x0 for w in beside) - max(w.x1 for w in ends) if end == 0 else _right_of(ends, beside)
        if apart > 0.5 * ends[0].size and lines[len(lines) // 2] >= _FEWEST_WORDS:
            return ends
    return []


def _edge(word: Word, end: int) -> tuple[float, float]:
    """Where a number of a margin is set: those on the left end in one place, those on the right begin in one."""
    return float(round(word.x1 if end == 0 else word.x0)), round(word.size, 1)


def _right_of(ends: Sequence[Word], beside: Sequence[Word]) -> float:
    return min(word.x0 for word in ends) - max(word.x1 for word in beside)


def _counted(ends: list[Word], step: int) -> bool:
    """Whether numbers count the lines, all of them or every fifth, and are no numbers of anything else."""
    if len(ends) < (_FEWEST if step == 1 else 3):
        return False
    return all(int(b.text) - int(a.text) == step for a, b in pairwise(ends))
