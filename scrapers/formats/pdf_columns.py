"""Reading order: the pieces of a page cut at white gutters into columns, each read from top to bottom.

A recursive cut along white space, after Nagy and Seth, "Hierarchical representation of optically scanned documents",
ICPR 1984; what crosses a gutter (a title, a wide table) parts the columns above it from those below.
"""

from __future__ import annotations

import statistics
from collections import Counter

from scrapers.formats.pdf_file_order import written_across
from scrapers.formats.pdf_pieces import Piece, lanes_of, lines_of, piece_of

_GUTTER = 0.7
_FEWEST_LINES = 3
_MOST_CROSSING = 0.35
_FEWEST_WORDS = 3
_MAX_DEPTH = 3
_MOST_BY_FILE = 150


def columns(pieces: list[Piece], known: list[float], depth: int = 0) -> list[list[Piece]]:
    """`pieces` in groups that are each one column, in reading order.

    `known`: the gutters of the page before, which a page with a few lines left needs; those of this one replace them.
    """
    gutter = _gutter(pieces) if depth < _MAX_DEPTH else None
    if gutter is None and depth < _MAX_DEPTH:
        gutter = next((x for x in known if _again(pieces, x)), None)
        gutter = gutter or _gutter_of_the_file(pieces)
    if gutter is not None and depth == 0 and gutter not in known:
        known.clear()
    if gutter is not None and gutter not in known:
        known.append(gutter)
    if gutter is None:
        return [pieces] if pieces else []
    pieces = _parted(pieces, gutter)
    groups: list[list[Piece]] = []
    band: list[Piece] = []
    across: list[Piece] = []

    def close() -> None:
        left = [piece for piece in band if piece.x1 <= gutter]
        right = [piece for piece in band if piece.x1 > gutter]
        if left and right and not _side_by_side(left, right):
            groups.append(list(band))
        else:
            groups.extend(columns(left, known, depth + 1))
            groups.extend(columns(right, known, depth + 1))
        band.clear()

    tabular = _tabular(pieces, gutter)
    for piece in sorted(pieces, key=lambda piece: (-piece.top, piece.x0)):
        if piece.x0 < gutter < piece.x1 or id(piece) in tabular:
            if band:
                # What starts above this line belongs before it, whichever side it stands on.
                close()
            across.append(piece)
        else:
            if across:
                groups.append(list(across))
                across.clear()
            band.append(piece)
    if across:
        groups.append(across)
    close()
    return groups


def _tabular(pieces: list[Piece], gutter: float) -> set[int]:
    """The pieces of tables that lie across a gutter: the file holds them row after row."""
    lines = lines_of(pieces)
    runs = written_across(lines, gutter)
    return {id(piece) for start, end in runs for line in lines[start:end] for piece in line}


def _parted(pieces: list[Piece], gutter: float) -> list[Piece]:
    """Pieces that lie across a gutter with a gap as wide as it, as two: lines of both columns on one height."""
    end = max((piece.x1 for piece in pieces if piece.x1 <= gutter), default=gutter)
    start = min((piece.x0 for piece in pieces if piece.x0 >= gutter), default=gutter)
    parted = []
    for piece in pieces:
        i = 0
        if piece.x0 < gutter < piece.x1 and not piece.table:
            i = next((i for i, word in enumerate(piece.words) if word.x0 >= gutter), 0)
        if i and max(word.x1 for word in piece.words[:i]) <= end + 1 and piece.words[i].x0 >= start - 1:
            parted += [piece_of(piece.words[:i]), piece_of(piece.words[i:])]
        else:
            parted.append(piece)
    return parted


def _side_by_side(left: list[Piece], right: list[Piece]) -> bool:
    """Whether a band is two columns of prose rather than the cells of a few rows."""
    return len(left) > 2 or len(right) > 2 or any(len(piece.words) > 3 for piece in left + right)


def _gutter(pieces: list[Piece]) -> float | None:
    """The x of the white lane that the fewest pieces cross, if prose stands on both of its sides."""
    pieces = _without_page_number(pieces)
    if len(pieces) < 2 * _FEWEST_LINES:
        return None
    x0, x1 = min(piece.x0 for piece in pieces), max(piece.x1 for piece in pieces)
    width = x1 - x0
    body = statistics.median(piece.size for piece in pieces)
    best: tuple[float, float, float] | None = None
    starts = sorted({round(piece.x0, 1) for piece in pieces if x0 + 0.2 * width < piece.x0 < x0 + 0.8 * width})
    for start in _apart(starts):
        x = start - 0.3 * body
        crossing = [piece for piece in pieces if piece.x0 < x < piece.x1]
        left = [piece for piece in pieces if piece.x1 <= x]
        right = [piece for piece in pieces if piece.x0 >= x]
        if len(left) < _FEWEST_LINES or len(right) < _FEWEST_LINES or len(crossing) > _MOST_CROSSING * len(pieces):
            continue
        lane = min(piece.x0 for piece in right) - max(piece.x1 for piece in left)
        if lane < _GUTTER * body or not (_prose(left) and _prose(right)):
            continue
        shared = min(left[0].top, right[0].top) - max(left[-1].bottom, right[-1].bottom)
        if shared < 2 * body:
            continue
        key = (len(crossing), -lane, x)
        if best is None or key < best:
            best = key
    return best[2] if best else None


def _without_page_number(pieces: list[Piece]) -> list[Piece]:
    """Pieces without the lowest where it is a number alone, which stands between the columns as often as not."""
    lowest = min(pieces, key=lambda piece: piece.bottom, default=None)
    if lowest is None or lowest.table or any(map(str.isalpha, lowest.text)):
        return pieces
    rest = [piece for piece in pieces if piece is not lowest]
    return rest if all(piece.bottom > lowest.top for piece in rest) else pieces


def _gutter_of_the_file(pieces: list[Piece]) -> float | None:
    """Where a few lines are parted that the file holds column after column, though they stand beside each other."""
    if not 2 <= len(pieces) <= _MOST_BY_FILE:
        return None
    # A page number says nothing, wherever it stands.
    pieces = [piece for piece in pieces if any(map(str.isalpha, piece.text))]
    x0, x1 = min((piece.x0 for piece in pieces), default=0.0), max((piece.x1 for piece in pieces), default=0.0)
    for start in _apart(sorted(piece.x0 for piece in pieces if x0 + 0.2 * (x1 - x0) < piece.x0 < x0 + 0.8 * (x1 - x0))):
        left = [piece for piece in pieces if piece.x1 <= start]
        right = [piece for piece in pieces if piece.x0 >= start]
        if not left or not right or len(pieces) - len(left) - len(right) > _MOST_CROSSING * len(pieces):
            continue
        if any(piece.table for piece in left + right):
            continue
        lane = min(piece.x0 for piece in right) - max(piece.x1 for piece in left)
        size = statistics.median(piece.size for piece in left + right)
        # Rows would have been written from the left to the right, and from the top.
        later = max(w.order for p in left for w in p.words) < min(w.order for p in right for w in p.words)
        below = min(piece.bottom for piece in left) < max(piece.bottom for piece in right) - size
        if lane >= _GUTTER * size and later and below and _worded(left) and _worded(right):
            return start - 0.3 * size
    return None


def _worded(pieces: list[Piece]) -> bool:
    words = [sum(any(map(str.isalpha, word.text)) for word in piece.words) for piece in pieces]
    return statistics.median(words) >= _FEWEST_WORDS


def _again(pieces: list[Piece], x: float) -> bool:
    """Whether the gutter of another page parts these pieces too."""
    left = [piece.x1 for piece in pieces if piece.x1 <= x]
    right = [piece for piece in pieces if piece.x0 >= x]
    crossing = len(pieces) - len(left) - len(right)
    straight = all(piece.x0 - x < 3 * piece.size for piece in right if piece.x1 - piece.x0 > 3 * piece.size)
    return bool(left and right) and crossing <= _MOST_CROSSING * len(pieces) and straight


def _apart(values: list[float]) -> list[float]:
    kept: list[float] = []
    for value in values:
        if not kept or value - kept[-1] > 1.0:
            kept.append(value)
    return kept


def _prose(pieces: list[Piece]) -> bool:
    """Whether most lines in each lane hold several words, as those of a table's columns do not."""
    if any(piece.table for piece in pieces):
        return True
    lanes = lanes_of(pieces)
    words: list[Counter[int]] = [Counter() for _ in lanes]
    for piece in pieces:
        lane = next(i for i, (_, end) in enumerate(lanes) if piece.x0 <= end)
        words[lane][round(piece.bottom)] += sum(any(map(str.isalpha, word.text)) for word in piece.words)
    return max(map(len, words)) >= _FEWEST_LINES and all(
        statistics.median(lines.values()) >= _FEWEST_WORDS for lines in words if len(lines) > 1
    )
