"""Tables without rules: from how the pieces of their lines stand in columns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise

from scrapers.formats.pdf_file_order import rows_by_file, written_in_columns
from scrapers.formats.pdf_pieces import Piece, lanes_of, piece_of
from scrapers.formats.pdf_rules import Rule

_CENTRED = 0.8
"""Of the distance of lines in one column: lines of different columns nearer than this are centred to each other."""
_MOST_LINES_OF_A_ROW = 40
_STRAY = 3.0
_STRAIGHT, _HANGING = 0.7, 0.9
_DEEPEST = 2.5
"""Of the type size: no cell hangs deeper."""
_FEWEST_COUNTED, _FEWEST_CELLS = 3, 3
_MOST_SPANNING = 0.3
_TALLEST_HEAD = 2
"""Lines, of one with numbers."""
_UNDER = 6.0
_WORD_GAP = 0.5
"""Of the type size: words of one cell stand nearer."""

Cells = list[list[list[str]]]
"""Rows of cells of lines."""
_Placed = list[tuple[int, int, Piece]]
"""Pieces with the first and last column they stand in."""


def _lanes(lines: list[list[Piece]]) -> list[list[float]]:
    """The columns of a table: those of its fullest lines, when others hold cells that span several."""
    pieces = [piece for line in lines for piece in line]
    lanes = lanes_of(pieces)
    most = max(map(len, lines))
    full = [piece for line in lines if len(line) == most for piece in line]
    if len(lanes) >= most or len(full) < 2 * most:
        return lanes
    core = lanes_of(full)
    narrow = [piece for piece in pieces if _covered(piece, core) < 2]
    if len(core) < most or len(narrow) < (1 - _MOST_SPANNING) * len(pieces):
        return lanes
    wider = lanes_of(narrow)
    return wider if len(wider) >= most else core


def _covered(piece: Piece, lanes: list[list[float]]) -> int:
    return sum(piece.x0 < end and piece.x1 > start for start, end in lanes)


def _split(piece: Piece, lanes: list[list[float]]) -> list[Piece]:
    """A piece that stands in several columns, cut where a gap wider than between words lies between them."""
    on = [lane for lane in lanes if piece.x0 < lane[1] and piece.x1 > lane[0]]
    if len(on) < 2:
        return [piece]
    parts: list[Piece] = []
    start = 0
    for (_, left), (right, _) in pairwise(on):
        middle = (left + right) / 2
        cut = next((i for i, word in enumerate(piece.words) if (word.x0 + word.x1) / 2 > middle), 0)
        if cut <= start or piece.words[cut].x0 - piece.words[cut - 1].x1 < _WORD_GAP * piece.size:
            return [piece]
        parts.append(piece_of(piece.words[start:cut]))
        start = cut
    return [*parts, piece_of(piece.words[start:])]


def _place(piece: Piece, lanes: list[list[float]], rules: Sequence[Rule]) -> tuple[int, int]:
    """The first and last column of a piece: those it covers, or the rule right under it does."""
    first = next((i for i, (_, end) in enumerate(lanes) if piece.x0 <= end), len(lanes) - 1)
    last = max((i for i, (start, _) in enumerate(lanes) if piece.x1 > start), default=first)
    for rule in rules:
        under = -1 <= piece.bottom - rule.at <= _UNDER and rule.start <= piece.x0 + 1 and rule.end >= piece.x1 - 1
        if under:
            on = [i for i, (start, end) in enumerate(lanes) if rule.start <= start + 2 and rule.end >= end - 2]
            if 1 < len(on) < len(lanes):
                return min(first, on[0]), max(last, on[-1])
    return first, max(first, last)


def _headed(piece: Piece, lanes: list[list[float]], rules: Sequence[Rule], head: int) -> tuple[int, int]:
    """The columns of a piece above the first full line: many lines without one are rows, whose numbers stand once."""
    first, last = _place(piece, lanes, rules)
    return (first, first) if head > _TALLEST_HEAD and any(map(str.isdigit, piece.text)) else (first, last)


def aligned_table(lines: list[list[Piece]], rules: Sequence[Rule] = ()) -> Cells | None:
    """Lines of pieces as rows of cells when the pieces stand in clear columns, else None.

    `rules`: those that lie on the page; a cell spans the columns over the one right under it.
    """
    if len(lines) < 2:
        return None
    lanes = _lanes(lines)
    if not _in_columns(lines, lanes):
        return _counted(lines)
    lines = [[part for piece in line for part in _split(piece, lanes)] for line in lines]
    head = next((i for i, line in enumerate(lines) if len(line) == len(lanes)), 0)
    placed = [[(*_headed(piece, lanes, rules, head), piece) for piece in line] for line in lines[:head]]
    # Below the head a cell stands once, however wide: to repeat a number would be to invent one.
    placed += [
        [(first, first, piece) for piece in line for first in (_place(piece, lanes, ())[0],)] for line in lines[head:]
    ]
    if sum(len({at for at, _, _ in row}) == len(row) for row in placed) < 0.8 * len(placed):
        return _counted(lines)
    if written_in_columns(placed):
        return None
    by_file = rows_by_file(placed, len(lanes))
    if by_file is not None:
        return by_file
    if _tightest(lines) < _CENTRED * min(_leadings(placed), default=0.0):
        return _centred(placed, len(lanes))
    rows: Cells = []
    opens = _row_starts(lines)
    for number, row in enumerate(placed):
        starts = opens(number) and not (number and len(row) == 1 and row[0][0] > 0)
        if starts:
            rows.append([[] for _ in lanes])
        for at in range(len(lanes)):
            text = " ".join(piece.text for first, last, piece in row if first <= at <= last)
            if text:
                rows[-1][at].append(text)
    return rows if len(rows) >= 2 else None


def in_columns(lines: list[list[Piece]]) -> bool:
    """Whether the pieces stand in columns, by their left or right edges or their middles: wide gaps in prose do not."""
    return _in_columns(lines, _lanes(lines))


def _in_columns(lines: list[list[Piece]], lanes: list[list[float]]) -> bool:
    if len(lanes) < 2:
        return False
    held: list[list[Piece]] = [[] for _ in lanes]
    for piece in (piece for line in lines for piece in line):
        first, last = _place(piece, lanes, ())
        if first == last:
            held[first].append(piece)
    return all(_straight(lane) for lane in held)


def _straight(lane: list[Piece]) -> bool:
    for edges in (
        [piece.x0 for piece in lane],
        [piece.x1 for piece in lane],
        [(piece.x0 + piece.x1) / 2 for piece in lane],
    ):
        if not edges:
            return True
        middle = statistics.median_low(edges)
        if sum(abs(edge - middle) <= _STRAY for edge in edges) >= _STRAIGHT * len(edges):
            return True
    return _hanging(lane)


def _hanging(lane: list[Piece]) -> bool:
    """Whether lines begin at one edge or, where cells go on, at another one a little to the right."""
    edge = min(piece.x0 for piece in lane)
    first = [piece for piece in lane if piece.x0 - edge <= _STRAY]
    others = [piece for piece in lane if piece.x0 - edge > _STRAY]
    second = statistics.median_low([piece.x0 for piece in others]) if others else edge
    near = [piece for piece in others if abs(piece.x0 - second) <= _STRAY]
    within = second - edge < _DEEPEST * lane[0].size
    return within and 2 * len(first) >= len(lane) and len(first) + len(near) >= _HANGING * len(lane)


def _counted(lines: list[list[Piece]]) -> Cells | None:
    """Lines that do not stand in columns, but have as many pieces each: set with spaces."""
    counts = set(map(len, lines))
    if len(lines) < _FEWEST_COUNTED or len(counts) > 1 or min(counts) < _FEWEST_CELLS:
        return None
    return [[[piece.text] for piece in line] for line in lines]


def _tightest(lines: list[list[Piece]]) -> float:
    return min(above[0].bottom - below[0].bottom for above, below in pairwise(lines))


def _leadings(placed: list[_Placed]) -> list[float]:
    """The distances of lines in one column."""
    last: dict[int, float] = {}
    found = []
    for row in placed:
        for at, _, piece in row:
            if at in last:
                found.append(last[at] - piece.bottom)
            last[at] = piece.bottom
    return found


def _centred(placed: list[_Placed], width: int) -> Cells | None:
    """Rows whose cells are centred beside taller ones: every column lies evenly about the line of the first one."""
    ends: list[int] | None = _partition(placed, 0)
    if ends is None:
        return None
    rows: Cells = []
    for start, end in pairwise([0, *ends]):
        rows.append([[] for _ in range(width)])
        for row in placed[start:end]:
            for first, last, piece in row:
                for at in range(first, last + 1):
                    rows[-1][at].append(piece.text)
    return rows


def _partition(placed: list[_Placed], start: int) -> list[int] | None:
    """The ends of the rows from line `start`; None if there is no even way to part them."""
    reached: dict[int, list[int]] = {start: []}
    for begin in range(start, len(placed)):
        if begin not in reached:
            continue
        for end in range(begin + 1, min(len(placed), begin + _MOST_LINES_OF_A_ROW) + 1):
            if end not in reached and _even(placed[begin:end]):
                reached[end] = [*reached[begin], end]
    return reached.get(len(placed))


def _even(rows: list[_Placed]) -> bool:
    heights: dict[int, list[float]] = {}
    for row in rows:
        for at, _, piece in row:
            heights.setdefault(at, []).append(piece.bottom)
    if len(heights.get(0, ())) != 1:
        return False
    return all(abs(sum(ys) / len(ys) - heights[0][0]) < 0.3 * rows[0][0][2].size for ys in heights.values())


def _row_starts(lines: list[list[Piece]]) -> Callable[[int], bool]:
    """Which lines begin a row: those after a wider gap where rows stand apart, else every one."""
    gaps = [above[0].bottom - below[0].bottom for above, below in pairwise(lines)]
    sizes = [line[0].size for line in lines]
    narrow, wide = min(gaps), max(gaps)
    if narrow <= 1.4 * max(sizes) and wide >= 1.2 * narrow:
        middle = (narrow + wide) / 2
        # One gap alone may be that under the header, and says nothing of the rows below it.
        if sum(gap > middle for gap in gaps) >= 2 or len(lines) <= 4:
            return lambda number: number == 0 or gaps[number - 1] > middle
    return lambda number: True
