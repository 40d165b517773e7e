"""Tables of a PDF whose rules are drawn: a whole grid, or only rules that lie above and below their rows.

Cells that no rule parts are one, and its text stands in each of them, as spans do in every other reader. A PDF does not
say whether an empty cell is a span.
"""

from __future__ import annotations

from itertools import pairwise

from scrapers.formats.pdf_aligned import Cells, aligned_table
from scrapers.formats.pdf_page import Page, Rule, Word
from scrapers.formats.pdf_pieces import Piece, lines_of, pieces_of, rows_of

_TOUCH = 3.0
_SAME = 2.5
_MAX_RULES = 4000
_PROSE = 4
"""Words of a line of prose in a column, at least."""
_MAX_LINES = 400
"""Of one grid, each way."""


def ruled_tables(page: Page) -> tuple[list[Piece], list[Word]]:
    """The tables whose rules are drawn, and the words outside them."""
    words = page.words
    tables: list[Piece] = []
    if not page.lying or len(page.lying) + len(page.standing) > _MAX_RULES:
        return tables, words
    joined = _joined(page.lying)
    grids = _grids(joined, _joined(page.standing)) if page.standing else []
    for lying, standing in grids:
        xs, ys = _places(standing), _places(lying)[::-1]
        if len(xs) < 3 or len(ys) < 3 or len(xs) > _MAX_LINES or len(ys) > _MAX_LINES:
            continue
        inside = [word for word in words if xs[0] < _middle(word) < xs[-1] and ys[-1] < _height(word) < ys[0]]
        rows = _cells(inside, xs, ys, lying, standing)
        if (
            sum(any(cell) for row in rows for cell in row) < 3
            or sum(any(map(any, col)) for col in zip(*rows, strict=True)) < 2
        ):
            continue
        taken = set(map(id, inside))
        words = [word for word in words if id(word) not in taken]
        size = max(word.size for word in inside)
        tables.append(Piece(inside, xs[0], xs[-1], ys[-1], ys[0], size, rows))
    alone = [rule for lying, standing in grids if not standing for rule in lying] if page.standing else joined
    for top, bottom, first, last in _between(alone, words):
        inside = [word for word in words if first < _middle(word) < last and bottom < _height(word) < top]
        cells = aligned_table(lines_of(pieces_of(inside)), page.lying) if inside else None
        if cells is None:
            continue
        taken = set(map(id, inside))
        words = [word for word in words if id(word) not in taken]
        first, last = first + _TOUCH, last - _TOUCH
        tables.append(Piece(inside, first, last, bottom, top, max(word.size for word in inside), cells))
    return tables, words


def _between(rules: list[Rule], words: list[Word]) -> list[tuple[float, float, float, float]]:
    """Top, bottom, left and right of what stands between rules of one length and has the rows of a table."""
    found: list[tuple[float, float, float, float]] = []
    left = sorted(rules, key=lambda rule: -rule.at)
    while left:
        top = left[0]
        same = [r for r in left if abs(r.start - top.start) < _TOUCH and abs(r.end - top.end) < _TOUCH]
        left = [rule for rule in left if rule not in same]
        start, end = top.start - _TOUCH, top.end + _TOUCH
        open_ = False
        for above, below in pairwise(same):
            inside = [w for w in words if start < _middle(w) < end and below.at < _height(w) < above.at]
            if not inside or not _tabular(lines_of(pieces_of(inside))):
                open_ = False
            elif open_:
                found[-1] = (found[-1][0], below.at, start, end)
            else:
                found.append((above.at, below.at, start, end))
                open_ = True
    return found


def _tabular(lines: list[list[Piece]]) -> bool:
    """Whether most lines have several pieces, and these are not the lines of columns of prose."""
    several = [line for line in lines if len(line) > 1]
    prose = [line for line in several if all(sum(map(_lettered, piece.words)) >= _PROSE for piece in line)]
    return 2 * len(several) >= len(lines) and (2 * len(prose) < len(several) or len(several) < _PROSE)


def _lettered(word: Word) -> bool:
    return any(map(str.isalpha, word.text))


def _middle(word: Word) -> float:
    return (word.x0 + word.x1) / 2


def _height(word: Word) -> float:
    return word.y + 0.3 * word.size


def _joined(rules: list[Rule]) -> list[Rule]:
    """Rules that lie on one line and touch, as one."""
    joined: list[Rule] = []
    for rule in sorted(rules, key=lambda rule: (round(rule.at / _SAME), rule.start)):
        last = joined[-1] if joined else None
        if last and abs(last.at - rule.at) <= _SAME and rule.start <= last.end + _TOUCH:
            joined[-1] = Rule(last.at, last.start, max(last.end, rule.end))
        else:
            joined.append(rule)
    return joined


def _grids(lying: list[Rule], standing: list[Rule]) -> list[tuple[list[Rule], list[Rule]]]:
    """Rules in groups that cross or touch."""
    group: dict[tuple[int, int], tuple[int, int]] = {(0, i): (0, i) for i in range(len(lying))}
    group.update({(1, i): (1, i) for i in range(len(standing))})

    def root(key: tuple[int, int]) -> tuple[int, int]:
        while group[key] != key:
            group[key] = group[group[key]]
            key = group[key]
        return key

    for i, (at, start, end) in enumerate(lying):
        left, right, low, high = start - _TOUCH, end + _TOUCH, at + _TOUCH, at - _TOUCH
        for j, (x, bottom, top) in enumerate(standing):
            if left <= x <= right and bottom <= low and high <= top:
                group[root((0, i))] = root((1, j))
    found: dict[tuple[int, int], tuple[list[Rule], list[Rule]]] = {}
    for kind, rules in ((0, lying), (1, standing)):
        for i, rule in enumerate(rules):
            found.setdefault(root((kind, i)), ([], []))[kind].append(rule)
    return list(found.values())


def _places(rules: list[Rule]) -> list[float]:
    places: list[float] = []
    for at in sorted(rule.at for rule in rules):
        if not places or at - places[-1] > _SAME:
            places.append(at)
    return places


def _cells(words: list[Word], xs: list[float], ys: list[float], lying: list[Rule], standing: list[Rule]) -> Cells:
    """The lines of every cell; where no rule parts cells that make a rectangle, each has the words of all."""
    n_rows, n_columns = len(ys) - 1, len(xs) - 1
    owner = {(r, c): (r, c) for r in range(n_rows) for c in range(n_columns)}

    def root(key: tuple[int, int]) -> tuple[int, int]:
        while owner[key] != key:
            key = owner[key]
        return key

    def merge(a: tuple[int, int], b: tuple[int, int]) -> None:
        first, second = sorted((root(a), root(b)))
        owner[second] = first

    for r in range(n_rows):
        y = (ys[r] + ys[r + 1]) / 2
        for c in range(n_columns):
            x = (xs[c] + xs[c + 1]) / 2
            if c + 1 < n_columns and not _drawn(standing, xs[c + 1], y):
                merge((r, c), (r, c + 1))
            if r + 1 < n_rows and not _drawn(lying, ys[r + 1], x):
                merge((r, c), (r + 1, c))
    held: dict[tuple[int, int], list[Word]] = {}
    for word in words:
        r = next((i for i in range(n_rows) if _height(word) >= ys[i + 1]), n_rows - 1)
        c = next((i for i in range(n_columns) if _middle(word) <= xs[i + 1]), n_columns - 1)
        held.setdefault(root((r, c)), []).append(word)
    texts = {key: _lines(inside) for key, inside in held.items()}
    members: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for key in owner:
        members.setdefault(root(key), []).append(key)
    # The frame and the ticks of a graph make a grid too, but few cells, and most of them empty.
    table = 2 * len(members) >= n_rows * n_columns and 5 * sum(map(bool, texts.values())) >= 3 * len(members)
    for first, keys in members.items():
        width = max(c for _, c in keys) - first[1] + 1
        height = max(r for r, _ in keys) - first[0] + 1
        if table and len(keys) == width * height:
            texts.update({key: texts.get(first, []) for key in keys})
    return [[texts.get((r, c), []) for c in range(n_columns)] for r in range(n_rows)]


def _drawn(rules: list[Rule], at: float, where: float) -> bool:
    return any(abs(rule.at - at) <= _SAME and rule.start - 1 <= where <= rule.end + 1 for rule in rules)


def _lines(words: list[Word]) -> list[str]:
    return [" ".join(word.text for word in row) for row in rows_of(words)]
