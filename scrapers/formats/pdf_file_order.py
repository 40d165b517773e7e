"""What the order of a PDF's file says: who sets a table writes it row by row, who sets columns one after the other.

Only used where the file is consistent with itself; where it is not, the places alone decide.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise

from scrapers.formats.pdf_pieces import Piece, lanes_of

_LOOK = 3
"""Lines above and below a line that say whether the file goes on there."""
_FEWEST_ROWS = 3
_TALLEST = 25
"""Lines of a row."""
_FEWEST_LINES = 4
"""Of each column of prose."""
_PROSE = 4
"""Words of a line that is no cell across columns."""
_OVERLAP = 0.9
"""Of the type size: lines nearer than this are of one row, centred beside each other."""
_MOST_STACKED = 0.2
_FULLEST = 3

Cells = list[list[list[str]]]
Placed = list[tuple[int, int, Piece]]
"""Pieces with the first and last column they stand in."""


def written_across(lines: Sequence[list[Piece]], gutter: float) -> list[tuple[int, int]]:
    """Runs of lines, as start and end, on both sides of a gutter that the file holds row after row."""
    first = [min(_order(piece) for piece in line) for line in lines]
    last = [max(_end(piece) for piece in line) for line in lines]
    cuts = [0]
    for at in range(1, len(lines)):
        if max(last[max(0, at - _LOOK) : at]) < min(first[at : at + _LOOK]):
            cuts.append(at)
    cuts.append(len(lines))
    runs: list[tuple[int, int]] = []
    start = count = reached = 0
    for begin, end in [*pairwise(cuts), (len(lines), len(lines))]:
        pieces = [piece for line in lines[begin:end] for piece in line]
        both = any(piece.x1 <= gutter for piece in pieces) and any(piece.x0 >= gutter for piece in pieces)
        row = both and end - begin <= _TALLEST and not any(piece.table for piece in pieces)
        if count and not (row and min(first[begin:end]) > reached and _of_one_table(lines[start:begin], pieces)):
            if count >= _FEWEST_ROWS:
                runs.append((start, begin))
            count = 0
        if row:
            start, count = (begin if count == 0 else start), count + 1
            reached = max(last[begin:end])
    return runs


def _of_one_table(above: Sequence[list[Piece]], pieces: list[Piece]) -> bool:
    """Whether rows stand in the same columns: a line of prose would cover several."""
    before = [piece for line in above for piece in line]
    for others, some in ((lanes_of(before), pieces), (lanes_of(pieces), before)):
        if any(len(p.words) >= _PROSE and sum(p.x0 < end and p.x1 > start for start, end in others) > 1 for p in some):
            return False
    return True


def written_before(piece: Piece, line: list[Piece]) -> bool:
    """Whether the file holds a piece before the end of the line above it: a cell of that row goes on."""
    return _order(piece) < _end(line[-1])


def written_in_columns(placed: Sequence[Placed]) -> bool:
    """Whether the file holds column after column, each of several lines of prose."""
    columns: dict[int, list[Piece]] = {}
    for line in placed:
        for first, _, piece in line:
            columns.setdefault(first, []).append(piece)
    ordered = [columns[at] for at in sorted(columns)]
    if len(ordered) < 2 or any(len(pieces) < _FEWEST_LINES or not _prose(pieces) for pieces in ordered):
        return False
    return all(max(map(_end, left)) < min(map(_order, right)) for left, right in pairwise(ordered))


def _prose(pieces: list[Piece]) -> bool:
    return statistics.median(sum(any(map(str.isalpha, w.text)) for w in p.words) for p in pieces) >= _PROSE


def rows_by_file(placed: Sequence[Placed], width: int) -> Cells | None:
    """Lines of placed pieces as the rows of a table, by the order in which the file holds its cells; None if unclear.

    A cell of the first column belongs to the row it was written before, however low it hangs beside the rows.
    """
    rows: list[Placed] = []
    starts: list[int] = []
    heights: list[float] = []
    hanging: Placed = []
    reached, y = -1, 0.0
    for number, line in enumerate(placed):
        others = [item for item in line if item[0] > 0]
        base = line[0][2].bottom
        near = number > 0 and y - base < _OVERLAP * line[0][2].size
        y = base
        if others:
            begins = min(_order(piece) for _, _, piece in others)
            on = begins < reached or (near and bool(rows) and not rows[-1])
            only_last = len(line) == 1 and bool(rows) and others[0][0] > 0
            if not rows or not (on or only_last):
                rows.append([])
                starts.append(begins)
                heights.append(base)
            rows[-1].extend(others)
            reached = max(reached, *(_end(piece) for _, _, piece in others))
        hanging.extend(item for item in line if item[0] == 0)
    return _with_first_column(rows, starts, hanging, width)


def _with_first_column(rows: list[Placed], starts: list[int], hanging: Placed, width: int) -> Cells | None:
    if len(rows) < 2 or starts != sorted(starts):
        return None
    ends = [max(_end(piece) for _, _, piece in row) for row in rows]
    held: list[Placed] = [[] for _ in [*rows, 0]]
    for item in hanging:
        order = _order(item[2])
        after = next((i for i, start in enumerate(starts) if order < start), len(starts))
        if after and order <= ends[after - 1]:
            return None
        held[after].append(item)
    cells: Cells = []
    for row, firsts in zip(rows, held, strict=False):
        above = _headings(row, firsts)
        cells.extend(_row([item], width) for item in above)
        cells.append(_row(row + firsts[len(above) :], width))
    cells.extend(_row([item], width) for item in held[-1])
    stacked = sum(sum(len(cell) > 1 for cell in row) == width for row in cells)
    return None if stacked > _MOST_STACKED * len(cells) and width >= _FULLEST else cells


def _headings(row: Placed, firsts: Placed) -> Placed:
    """Of the pieces of the first column before a row, those that stand above it: rows of their own."""
    firsts.sort(key=lambda item: -item[2].bottom)
    bottoms = [piece.bottom for _, _, piece in row]
    top, size = max(bottoms), row[0][2].size
    above = [item for item in firsts if item[2].bottom > top + _OVERLAP * size]
    middle = sum(item[2].bottom for item in firsts) / max(1, len(firsts))
    centred = abs(middle - (top + min(bottoms)) / 2) < 0.4 * size
    return [] if centred else above


def _row(items: Placed, width: int) -> list[list[str]]:
    cells: list[list[str]] = [[] for _ in range(width)]
    for first, last, piece in sorted(items, key=lambda item: (-item[2].bottom, item[2].x0)):
        for at in range(first, last + 1):
            cells[at].append(piece.text)
    return cells


def _order(piece: Piece) -> int:
    return min(word.order for word in piece.words)


def _end(piece: Piece) -> int:
    return max(word.order for word in piece.words)
