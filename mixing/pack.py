"""Documents into rows of fixed length: no token lost, no document cut that fits, next to no padding.

Documents that fit are packed by `mixing.bins`. Longer ones may be cut anywhere, so they are laid end to end, and
where one ends and the next begins the row also takes the fitting documents that packed worst. A long document is
cut into at most one piece more than its length demands. The same lengths always give the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mixing.bins import fewest_bins, least_bins

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Packing:
    """Where every piece of every document lies: parallel arrays sorted by (row, offset)."""

    document: Int64Array
    """Index into the lengths given."""
    start: Int64Array
    """First token of the piece, counted in the document."""
    length: Int64Array
    row: Int64Array
    offset: Int64Array
    """First token of the piece, counted in the row."""
    n_rows: int
    padding: int
    """Unused tokens of all rows."""
    least_rows: int
    """Rows that no packing can do without; with `units`, of what stays together."""

    @property
    def continues(self) -> npt.NDArray[np.bool_]:
        """Per row: it begins with the rest of a document that began in an earlier row."""
        result = np.zeros(self.n_rows, dtype=bool)
        first = self.offset == 0
        result[self.row[first]] = self.start[first] > 0
        return result


def pack(lengths: npt.ArrayLike, row_tokens: int, *, units: npt.ArrayLike | None = None) -> Packing:
    """Rows of `row_tokens` for documents of these lengths; empty documents get no place.

    With `units` (one number per document, equal numbers adjacent), documents of one unit stay together and in
    order as far as a row holds them: a patient's notes in time order.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    assert row_tokens > 0, "a row holds at least one token"
    assert not (sizes < 0).any(), "lengths are counts"
    item_of = _timeline(sizes, np.asarray(units), row_tokens) if units is not None else np.arange(len(sizes))
    items = np.bincount(item_of, weights=sizes, minlength=0).astype(np.int64) if len(sizes) else sizes
    short = np.flatnonzero((items > 0) & (items <= row_tokens))
    long = np.flatnonzero(items > row_tokens)
    bin_of, used = fewest_bins(items[short], row_tokens)
    pieces, bin_row, bin_offset, n_rows = _lay(items, long, used, row_tokens)
    # Inside its bin a short item may lie anywhere: in the order given where order means time, else by falling size.
    order = np.lexsort((short, bin_of)) if units is not None else np.lexsort((short, -items[short], bin_of))
    in_bin = _running_starts(items[short][order], bin_of[order])
    item = np.concatenate((pieces[0], short[order]))
    start = np.concatenate((pieces[1], np.zeros(len(short), dtype=np.int64)))
    length = np.concatenate((pieces[2], items[short][order]))
    row = np.concatenate((pieces[3], bin_row[bin_of[order]]))
    offset = np.concatenate((pieces[4], bin_offset[bin_of[order]] + in_bin))
    by_place = np.lexsort((offset, row))
    item, start, length, row, offset = (a[by_place] for a in (item, start, length, row, offset))
    if units is not None:
        item, start, length, row, offset = _open_units(sizes, item_of, item, start, length, row, offset)
    padding = int(n_rows * row_tokens - sizes.sum())
    return Packing(item, start, length, row, offset, n_rows, padding, least_rows(items, row_tokens))


def least_rows(lengths: npt.ArrayLike, row_tokens: int) -> int:
    """Rows that no packing can do without, given that documents longer than a row may be cut anywhere."""
    sizes = np.asarray(lengths, dtype=np.int64)
    fitting = sizes[(sizes > 0) & (sizes <= row_tokens)]
    return max(-(-int(sizes.sum()) // row_tokens), least_bins(fitting, row_tokens))


def _lay(
    items: Int64Array, long: Int64Array, used: Int64Array, row_tokens: int
) -> tuple[tuple[Int64Array, ...], Int64Array, Int64Array, int]:
    """Pieces of the long items, and row and offset of each bin of short ones.

    Bins with the most room go first into the rows where one long item has ended and the next has not begun.
    """
    bin_row = np.full(len(used), -1, dtype=np.int64)
    bin_offset = np.zeros(len(used), dtype=np.int64)
    emptiest = np.argsort(used, kind="stable")
    next_bin, row, filled = 0, 0, 0
    pieces: list[tuple[int, int, int, int, int]] = []

    def take_bin() -> None:
        nonlocal next_bin, row, filled
        if next_bin < len(used) and filled == row_tokens:
            row, filled = row + 1, 0
        if next_bin < len(used) and used[emptiest[next_bin]] + filled <= row_tokens:
            chosen = emptiest[next_bin]
            bin_row[chosen], bin_offset[chosen] = row, filled
            filled += int(used[chosen])
            next_bin += 1

    for item in long:
        size, start = int(items[item]), 0
        take_bin()
        while start < size:
            if filled == row_tokens:
                row, filled = row + 1, 0
            length = min(size - start, row_tokens - filled)
            pieces.append((int(item), start, length, row, filled))
            start, filled = start + length, filled + length
    if len(long):
        take_bin()
        row += 1
    rest = np.flatnonzero(bin_row < 0)
    bin_row[rest] = row + np.arange(len(rest))
    columns = np.asarray(pieces, dtype=np.int64).reshape(-1, 5).T
    return tuple(columns), bin_row, bin_offset, row + len(rest)


def _timeline(sizes: Int64Array, units: npt.NDArray[np.generic], row_tokens: int) -> Int64Array:
    """Item number of each document: neighbours of one unit share an item while a row holds them all."""
    item_of = np.zeros(len(sizes), dtype=np.int64)
    item, filled = -1, 0
    for i, size in enumerate(sizes.tolist()):
        if i == 0 or units[i] != units[i - 1] or filled + size > row_tokens:
            item, filled = item + 1, 0
        item_of[i] = item
        filled += size
    return item_of


def _open_units(sizes: Int64Array, item_of: Int64Array, *placed: Int64Array) -> tuple[Int64Array, ...]:
    """Pieces of items as pieces of documents: a long item is one document, a short one its documents in order."""
    item, start, length, row, offset = placed
    first = np.searchsorted(item_of, item, side="left")
    count = np.searchsorted(item_of, item, side="right") - first
    piece = np.repeat(np.arange(len(item)), count)
    document = first[piece] + (np.arange(len(piece)) - np.repeat(np.cumsum(count) - count, count))
    begins = np.concatenate(([0], np.cumsum(sizes)))
    in_item = begins[document] - begins[first[piece]]
    lengths = np.where(count[piece] > 1, sizes[document], length[piece])
    kept = sizes[document] > 0
    return tuple(a[kept] for a in (document, start[piece], lengths, row[piece], offset[piece] + in_item))


def _running_starts(sizes: Int64Array, groups: Int64Array) -> Int64Array:
    """Start of each entry inside its group; groups are adjacent."""
    if not len(sizes):
        return sizes
    before = np.cumsum(sizes) - sizes
    heads = np.flatnonzero(np.concatenate(([True], groups[1:] != groups[:-1])))
    return before - np.repeat(before[heads], np.diff(np.append(heads, len(groups))))
