"""The lines of a page in reading order: columns one after the other, tables whole, running lines gone."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from scrapers.formats.pdf_aligned import Cells, aligned_table, in_columns
from scrapers.formats.pdf_columns import columns
from scrapers.formats.pdf_file_order import written_before
from scrapers.formats.pdf_page import Page, Word
from scrapers.formats.pdf_pieces import Piece, base_of, lines_of, pieces_of
from scrapers.formats.pdf_rules import Rule
from scrapers.formats.pdf_tables import ruled_tables

_FEWEST_ROWS = 3
_WIDEST_GAP = 2.6
"""Of the type size, between two lines of one table without rules."""
_MARK = re.compile(
    r"(?:[\u2022\u25cf\u25aa\u25a0\u25cb\u2023\uf0b7\uf0a7*\u2013\u2014o-]|\(?\w{1,3}[.)]|\d+(?:\.\d+)+\.?|\^?\d+)"
)


@dataclass(slots=True)
class Line:
    """One line of text, or one table."""

    text: str
    x0: float
    x1: float
    y: float
    size: float
    left: float
    """Of its column."""
    right: float
    bold: bool = False
    column: int = 0
    """Counted over the document."""
    drop: float = 0.0
    """How far below the line before it in its column."""
    first_word: float = 0.0
    """Its width."""
    table: Cells | None = None
    words: list[Word] = field(default_factory=list)


def body_size(pages: list[Page]) -> float:
    """The type size of most characters."""
    exact: Counter[float] = Counter()
    for page in pages:
        for word in page.words:
            exact[word.size] += len(word.text)
    sizes: Counter[float] = Counter()
    for size, times in exact.items():
        sizes[round(size, 1)] += times
    return max(sizes, key=lambda size: (sizes[size], size)) if sizes else 10.0


def page_lines(page: Page, first_column: int, gutters: list[float]) -> list[Line]:
    """The lines of `page` in reading order; its columns are numbered from `first_column`.

    `gutters`: those of the page before, replaced by its own.
    """
    tables, words = ruled_tables(page)
    page.words = words
    found: list[Line] = []
    pieces = sorted(pieces_of(words) + tables, key=lambda piece: (-piece.top, piece.x0))
    for number, group in enumerate(columns(pieces, gutters)):
        left, right = min(piece.x0 for piece in group), _right(group)
        column: list[Line] = []
        rows = lines_of(group)
        i = 0
        while i < len(rows):
            end, table = _aligned(rows, i, page.lying)
            if table is not None:
                column.append(_table(rows[i:end], table, left, right))
                i = end
            elif (drawn := rows[i][0].table) is not None:
                column.append(_table([rows[i]], drawn, left, right))
                i += 1
            else:
                apart = end - i >= _FEWEST_ROWS and in_columns(rows[i:end])
                column.extend(_line(row, left, right, apart=apart) for row in rows[i:end])
                i = end
        _bullets(column, page.dots)
        for before, line in zip([None, *column], column, strict=False):
            line.column = first_column + number
            line.drop = before.y - line.y if before else 0.0
        found.extend(column)
    return found


def _right(group: list[Piece]) -> float:
    """Where the lines of a column end: where many end, or the farthest where none do."""
    ends = Counter(round(piece.x1) for piece in group if not piece.table)
    many = [end for end in ends if ends[end - 1] + ends[end] + ends[end + 1] >= max(3, len(group) // 3)]
    return float(max(many)) + 1 if many else max(piece.x1 for piece in group)


def _many(row: list[Piece]) -> bool:
    """Whether a row may be one of a table: more than one piece, and not a mark and its item."""
    if len(row) == 2:
        return not _MARK.fullmatch(row[0].text) or not any(map(str.isalpha, row[1].text))
    return len(row) > 2


def _aligned(rows: list[list[Piece]], start: int, rules: list[Rule]) -> tuple[int, Cells | None]:
    """The end of the run of rows that may be a table and begins at `start`, and its cells if they are clear."""
    if not _many(rows[start]):
        return start + 1, None
    end = last = start + 1
    while end < len(rows) and end - last < 3:
        row, above = rows[end], rows[end - 1]
        if row[0].table or base_of(above[0]) - base_of(row[0]) > _WIDEST_GAP * max(row[0].size, above[0].size):
            break
        if not _many(row) and not _fits(row, rows[start:last]):
            break
        end += 1
        if _many(row) or row[0].x0 > rows[start][0].x1 or written_before(row[0], above):
            last = end
    run = rows[start:last]
    several = [row for row in run if _many(row)]
    enough = len(several) >= _FEWEST_ROWS or (len(several) == 2 and min(map(len, several)) > 2)
    if not enough:
        return last, None
    for skipped in range(min(2, len(run) - 2)):
        table = aligned_table(run[skipped:], rules)
        if table is not None:
            if skipped:
                return start + skipped, None
            return last, table
    return last, None


def _fits(row: list[Piece], run: list[list[Piece]]) -> bool:
    """Whether the only piece of a row stands under a piece of the rows above it and leaves the next column free."""
    return any(
        abs(row[0].x0 - piece.x0) < 2 and (after is None or row[0].x1 < after.x0)
        for line in run
        if len(line) > 1
        for piece, after in zip(line, [*line[1:], None], strict=True)
    )


def _line(row: list[Piece], left: float, right: float, *, apart: bool) -> Line:
    words = [word for piece in row for word in piece.words]
    parted = apart and _many(row)
    return Line(
        (" | " if parted else " ").join(piece.text for piece in row),
        row[0].x0,
        max(piece.x1 for piece in row),
        base_of(row[0]),
        max(row, key=lambda piece: len(piece.words)).size,
        left,
        right,
        bold=all(word.bold for word in words),
        first_word=words[0].x1 - words[0].x0,
        words=words,
    )


def _table(rows: list[list[Piece]], cells: Cells, left: float, right: float) -> Line:
    x0, x1 = min(row[0].x0 for row in rows), max(row[-1].x1 for row in rows)
    return Line("", x0, x1, rows[-1][0].bottom, rows[0][0].size, left, right, table=cells)


def _bullets(lines: list[Line], dots: list[tuple[float, float]]) -> None:
    """Write the bullet that is drawn before a line."""
    for line in lines:
        if line.table is None and any(
            line.x0 - 2 * line.size < x < line.x0 and line.y < y < line.y + 0.8 * line.size for x, y in dots
        ):
            line.text = f"\u2022 {line.text}"
