"""Pieces of lines: words that stand together, cut at the gaps between columns and cells."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from scrapers.formats.pdf_page import Word

SAME_LINE = 0.35
"""Of the type size: baselines nearer than this are one line."""
_GAP = 0.8
_WIDEST_STRETCH, _WIDEST_PROSE = 2.5, 6.0
"""Of the type size: justified lines have no wider gaps; the second is for those before a small letter."""
_MEASURED = 4
"""Words of a line whose type says how high it is."""


@dataclass(slots=True)
class Piece:
    """Words of one line without a wide gap between them, or a whole table."""

    words: list[Word]
    x0: float
    x1: float
    bottom: float
    top: float
    size: float
    table: list[list[list[str]]] | None = None
    """Rows of cells of lines."""

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


def lanes_of(pieces: Iterable[Piece]) -> list[list[float]]:
    """Where columns stand: beginnings and ends of what the pieces cover together."""
    lanes: list[list[float]] = []
    for piece in sorted(pieces, key=lambda piece: piece.x0):
        if lanes and piece.x0 < lanes[-1][1] + 0.2 * piece.size:
            lanes[-1][1] = max(lanes[-1][1], piece.x1)
        else:
            lanes.append([piece.x0, piece.x1])
    return lanes


def rows_of(words: list[Word]) -> list[list[Word]]:
    """Words on one baseline, from left to right; the rows from the top."""
    rows: list[list[Word]] = []
    base = tall = 0.0
    row: list[Word] = []
    for word in sorted(words, key=_from_the_top):
        size = word.size
        if row and base - word.y < SAME_LINE * (size if size < tall else tall):
            row.append(word)
            if size > tall and len(row) <= _MEASURED:
                tall = size
        else:
            row = [word]
            rows.append(row)
            base, tall = word.y, size
    for row in rows:
        row.sort(key=_from_the_left)
    return rows


def _from_the_top(word: Word) -> tuple[float, float]:
    return -word.y, word.x0


def _from_the_left(word: Word) -> float:
    return word.x0


def pieces_of(words: list[Word]) -> list[Piece]:
    """The rows of a page cut at wide gaps."""
    pieces: list[Piece] = []
    for row in rows_of(words):
        start = 0
        reach = row[0].x1
        for i in range(1, len(row) + 1):
            if i < len(row):
                word = row[i]
                gap = word.x0 - reach
                near = gap <= _GAP * _em(row[i - 1], word)
                if near or _stretched(row, i):
                    if word.x1 > reach:
                        reach = word.x1
                    continue
            pieces.append(piece_of(row[start:i]))
            if i < len(row):
                start, reach = i, row[i].x1
    return pieces


def piece_of(words: list[Word]) -> Piece:
    """Words of one line as one piece."""
    size = statistics.mode([word.size for word in words])
    base = statistics.median_low([word.y for word in words])
    right = max(word.x1 for word in words)
    return Piece(words, words[0].x0, right, base - 0.2 * size, base + 0.8 * size, size)


def _em(before: Word, word: Word) -> float:
    """The type size that measures a gap: between a line and a heading in the next column, that of the smaller."""
    small, large = (before.size, word.size) if before.size < word.size else (word.size, before.size)
    return large if small > 0.9 * large else small


def _stretched(row: list[Word], i: int) -> bool:
    """Whether the gap before word `i` is as wide as the one beside it: a justified line, not cells."""

    def gap(k: int) -> float:
        return row[k].x0 - row[k - 1].x1

    here = gap(i)
    words = row[i - 1].text, row[i].text
    prose = words[1].islower() and all(map(_letters_only, words))
    if here > (_WIDEST_PROSE if prose else _WIDEST_STRETCH) * row[i].size:
        return False
    if 2 * sum(any(map(str.islower, word.text)) for word in row) < len(row):
        return False
    beside = [gap(k) for k in (i - 2, i - 1, i + 1, i + 2) if 0 < k < len(row)]
    alike = sum(other > 0 and abs(other - here) <= max(0.3, 0.03 * here) for other in beside)
    return alike >= (1 if prose else min(2, max(1, len(beside))))


def _letters_only(text: str) -> bool:
    return not any(map(str.isdigit, text))


def lines_of(pieces: list[Piece]) -> list[list[Piece]]:
    """Pieces of a column on one line, from left to right; a table is a row of its own."""
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: (-piece.bottom - 0.2 * piece.size * (not piece.table), piece.x0)):
        last = rows[-1][-1] if rows else None
        if last and not last.table and not piece.table and base_of(last) - base_of(piece) < SAME_LINE * piece.size:
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [sorted(row, key=lambda piece: piece.x0) for row in rows]


def base_of(piece: Piece) -> float:
    """The baseline of a piece."""
    return piece.bottom + 0.2 * piece.size
