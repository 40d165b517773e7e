"""Line numbers of a manuscript, in a margin or beside each column: found by their sequence, removed, counted."""

from __future__ import annotations

import statistics
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

from scrapers.formats.pdf_page import Page, Word
from scrapers.formats.pdf_pieces import rows_of

_STEPS = (1, 5)
_FEWEST = 5
_MOST_ROWS_WITHOUT = 0.25
_FEWEST_WORDS = 4
"""Of the usual numbered line: a list or table that is numbered has less, or other type."""
_LONGEST = 5
_APART = 0.5
"""Of the type size: numbers stand at least so far from what else is there."""
_WIDE = 0.8
"""Of the type size: a gap between columns."""


class _Look(NamedTuple):
    """Where numbers begin or end, and how large they are."""

    right: bool
    at: int
    size: float


def remove_line_numbers(pages: list[Page], counts: dict[str, int]) -> None:
    """Take the line numbers out of `pages`, if most pages have them; they are counted."""
    found = [_numbers(page.words) for page in pages]
    filled = [groups for page, groups in zip(pages, found, strict=True) if len(page.words) > _FEWEST * _FEWEST_WORDS]
    numbered = [groups for groups in filled if groups]
    if not numbered or 10 * len(numbered) < 7 * len(filled):
        return
    times = Counter(look for groups in numbered for look in groups)
    looks = [look for look, n in times.items() if 10 * n >= 3 * len(numbered)]
    n = 0
    for page, groups in zip(pages, found, strict=True):
        # A page of headings, tables and figures has many lines without a number.
        taken = {id(word) for words in groups.values() for word in words}
        taken |= {id(word) for word in page.words if _short(word) and any(_has(word, look) for look in looks)}
        page.words = [word for word in page.words if id(word) not in taken]
        n += len(taken)
    counts["extract.line_numbers"] = n


def _short(word: Word) -> bool:
    return word.text.isdecimal() and len(word.text) <= _LONGEST


def _look(word: Word, *, right: bool) -> _Look:
    return _Look(right, round(word.x1 if right else word.x0), round(word.size, 1))


def _has(word: Word, look: _Look) -> bool:
    own = _look(word, right=look.right)
    return abs(own.at - look.at) <= 1 and own.size == look.size


def _numbers(words: list[Word]) -> dict[_Look, list[Word]]:
    """The words of one page that number its lines, all of one look together."""
    groups: dict[_Look, list[Word]] = {}
    for word in filter(_short, words):
        for right in (True, False):
            groups.setdefault(_look(word, right=right), []).append(word)
    found: dict[_Look, list[Word]] = {}
    taken: set[int] = set()
    for look, group in sorted(groups.items(), key=lambda item: -len(item[1])):
        group.sort(key=lambda word: -word.y)
        step = next((step for step in _STEPS if _counted(group, step)), None)
        if step is None or not taken.isdisjoint(map(id, group)):
            continue
        own = set(map(id, group))
        if _beside_lines(group, step, [word for word in words if id(word) not in own]):
            found[look] = group
            taken |= own
    return found


def _beside_lines(group: list[Word], step: int, others: list[Word]) -> bool:
    """Whether nothing else stands where the numbers do, and they number most lines of a column of prose."""
    size = group[0].size
    start, end = min(word.x0 for word in group) - _APART * size, max(word.x1 for word in group) + _APART * size
    top, bottom = group[0].y + size, group[-1].y - size
    if any(word.x0 < end and word.x1 > start and bottom < word.y < top for word in others):
        return False
    for side in ([word for word in others if word.x0 >= end], [word for word in others if word.x1 <= start]):
        lines = [line for number in group if (line := _line_beside(number, side))]
        if 4 * len(lines) < 3 * len(group) or statistics.median(map(len, lines)) < _FEWEST_WORDS:
            continue
        left = statistics.median(line[0].x0 for line in lines)
        right = statistics.median(line[-1].x1 for line in lines)
        rows = rows_of([word for word in side if left <= (word.x0 + word.x1) / 2 <= right])
        between = [row for row in rows if bottom < row[0].y < top]
        few = step * len(group) < (1 - _MOST_ROWS_WITHOUT) * len(between) or 2 * step * len(group) < len(rows)
        if not few:
            return True
    return False


def _line_beside(number: Word, side: list[Word]) -> list[Word]:
    """The words on the line of a number up to the first wide gap, counted from the number."""
    near = [word for word in side if abs(word.y - number.y) < 0.4 * max(word.size, number.size)]
    near.sort(key=lambda word: abs(word.x0 - number.x0))
    for i, (a, b) in enumerate(pairwise(near), 1):
        if max(a.x0, b.x0) - min(a.x1, b.x1) > _WIDE * max(a.size, b.size):
            near = near[:i]
            break
    return sorted(near, key=lambda word: word.x0)


def _counted(ends: list[Word], step: int) -> bool:
    """Whether numbers count the lines, all of them or every fifth, and are no numbers of anything else."""
    if len(ends) < (_FEWEST if step == 1 else 3):
        return False
    return all(int(b.text) - int(a.text) == step for a, b in pairwise(ends))
