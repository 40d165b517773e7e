"""Running heads, running feet and page numbers of a PDF: found by their repetition, removed whole, counted."""

from __future__ import annotations

import re
from collections import Counter

from scrapers.formats.left_out import left_out

_MARGIN_LINES = 3
_FEWEST_REPEATS = 3
_PAGE_NUMBER = re.compile(
    r"(?:page\s+)?[-\u2013\u2014|\s]*(\d{1,4})[-\u2013\u2014|\s]*(?:(?:of|/)\s*\d{1,4})?\s*$", re.I
)
_FIRST_NUMBER = re.compile(r"(\d{1,4})(?=[\s|])")
_LAST_NUMBER = re.compile(r"(?:(?<=\s)|(?<=\|))(\d{1,4})(?:\s*/\s*\d{1,4})?$")


def running_lines(pages: list[list[str]], counts: dict[str, int]) -> list[tuple[int, int]]:
    """How many lines at the top and at the bottom of each page repeat there or are its number; they are counted."""
    offset = _numbering(pages)
    seen: Counter[str] = Counter()
    for number, page in enumerate(pages):
        seen.update({shape for line in _margins(page) for shape in (line, _shape(line, number, offset))})
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


def _margins(page: list[str]) -> list[str]:
    return page[:_MARGIN_LINES] + page[max(_MARGIN_LINES, len(page) - _MARGIN_LINES) :]


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
