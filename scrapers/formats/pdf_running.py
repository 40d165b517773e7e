"""Running heads, running feet and page numbers of a PDF: found by their repetition, removed whole, counted."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from itertools import pairwise

from scrapers.formats.left_out import left_out
from scrapers.formats.pdf_page import Page, Word

_MARGIN_LINES = 3
_FEWEST_REPEATS = 3
_BAND = 0.15
"""Of the height of the sheet: where running lines stand."""
_APART = 1.4
"""Of the distance of lines."""
_LARGER = 1.3
_PAGE_NUMBER = re.compile(
    r"(?:page\s+)?[-\u2013\u2014|\s]*(\d{1,4})[-\u2013\u2014|\s]*(?:(?:of|/)\s*\d{1,4})?\s*$", re.I
)
_FIRST_NUMBER = re.compile(r"(\d{1,4})(?=[\s|])")
_LAST_NUMBER = re.compile(r"(?:(?<=\s)|(?<=\|))(\d{1,4})(?:\s*/\s*\d{1,4})?$")


def running_lines(
    pages: list[list[str]], counts: dict[str, int], apart: list[tuple[int, int]] | None = None
) -> list[tuple[int, int]]:
    """How many lines at the top and at the bottom of each page repeat there or are its number; they are counted.

    `apart`: how many lines at either end stand apart from the rest, see `set_apart`. A line elsewhere that differs from
    those of other pages by the page's number alone is text, "Step 1", "Step 2", unless it says that this is the page's.
    """
    offset = _numbering(pages)
    seen: Counter[str] = Counter()
    for number, page in enumerate(pages):
        heads, feet = apart[number] if apart else (_MARGIN_LINES, _MARGIN_LINES)
        lines = _margins(page)
        told = [line for line in lines if offset is not None and _tells_page(line, number + offset)]
        shapes = {_shape(line, number, offset) for line in [*page[:heads], *page[len(page) - feet :], *told]}
        seen.update(shapes | set(lines))
    enough = max(_FEWEST_REPEATS, len(pages) * 3 // 10)
    running = {shape for shape, times in seen.items() if times >= enough and any(map(str.isalpha, shape))}
    removed = []
    for number, page in enumerate(pages):
        taken = [0, 0]
        for end in (0, 1):
            while taken[end] < _MARGIN_LINES and sum(taken) < len(page):
                line = page[taken[0]] if end == 0 else page[-1 - taken[1]]
                own = offset is not None and _page_number(line) == number + offset
                if not own and line not in running and _shape(line, number, offset) not in running:
                    break
                taken[end] += 1
                name = "extract.page_numbers" if own else "extract.running_lines"
                counts[name] = counts.get(name, 0) + 1
                left_out(counts, name, line)
        removed.append((taken[0], taken[1]))
    return removed


def set_apart(page: Page, rows: list[list[Word]], body: float) -> tuple[int, int]:
    """How many rows at the top and at the bottom stand in the margin, apart from the rest and not in larger type."""
    found = []
    steps = [above[0].y - below[0].y for above, below in pairwise(rows)]
    usual = statistics.median_low(steps) if steps else 0.0
    known = page.top > page.bottom
    for end in (0, -1):
        n = 0
        ordered, gaps = (rows, steps) if end == 0 else (rows[::-1], steps[::-1])
        edge = page.top if end == 0 else page.bottom
        for i, (row, gap) in enumerate(zip(ordered[:_MARGIN_LINES], gaps, strict=False), 1):
            near = not known or abs(edge - row[0].y) <= _BAND * (page.top - page.bottom)
            heading = end == 0 and (row[0].size > _LARGER * body or all(word.bold for word in row)) and not _spread(row)
            if not near or heading:
                break
            if gap > _APART * max(row[0].size, usual):
                n = i
        found.append(n)
    return found[0], found[1]


def _spread(row: list[Word]) -> bool:
    """Whether a number stands at the far end of a row, as those of pages do and those of headings do not."""
    if len(row) < 2:
        return False
    far = 2 * row[0].size
    first = row[0].text.isdecimal() and row[1].x0 - row[0].x1 > far
    return first or (row[-1].text.isdecimal() and row[-1].x0 - row[-2].x1 > far)


def _margins(page: list[str]) -> list[str]:
    return page[:_MARGIN_LINES] + page[max(_MARGIN_LINES, len(page) - _MARGIN_LINES) :]


def _tells_page(line: str, own: int) -> bool:
    """Whether a line says itself that its number is the page's: "page 5", "5/14", "5 | Gout in adults"."""
    return bool(re.search(rf"\bpage {own}\b|(?<![\d/.]){own}\s*/\s*\d+$|^{own}\s*\||\|\s*{own}$", line, re.I))


def _shape(line: str, number: int, offset: int | None) -> str:
    """A line without the page's own number at its edge: any other number makes it another line, it may be a dose."""
    if offset is None:
        return line
    own = number + offset
    return re.sub(rf"^{own}(?=[\s|])|(?<=[\s|]){own}(?=(?:\s*/\s*\d+)?$)|(?<=page ){own}(?=\s)", "#", line, flags=re.I)


def _page_number(line: str) -> int | None:
    found = _PAGE_NUMBER.match(line)
    return int(found[1]) if found else None


def _numbering(pages: list[list[str]]) -> int | None:
    """The number printed on the first page, when at least half of the pages agree on it."""
    offsets: Counter[int] = Counter()
    for number, page in enumerate(pages):
        found: set[int] = set()
        for line in page[:1] + page[-1:]:
            value = _page_number(line)
            edges = [edge[1] for edge in (_FIRST_NUMBER.match(line), _LAST_NUMBER.search(line)) if edge]
            found.update(int(text) - number for text in edges)
            if value is not None:
                found.add(value - number)
        offsets.update(found)
    if not offsets:
        return None
    offset, times = min(offsets.items(), key=lambda item: (-item[1], item[0]))
    return offset if times >= 2 and times * 2 >= len(pages) else None
