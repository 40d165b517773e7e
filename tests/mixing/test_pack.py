from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixing.bins import best_fit_decreasing, exact_fill, fewest_bins, least_bins
from mixing.pack import Packing, least_rows, pack

ROW = 65
LENGTHS = st.lists(st.integers(0, 5 * ROW), max_size=120)


def check(packing: Packing, lengths: np.ndarray, row_tokens: int, *, most_pieces: int = 1) -> None:
    """Every law of packing."""
    order = np.lexsort((packing.start, packing.document))
    document, start, length = packing.document[order], packing.start[order], packing.length[order]
    assert (length > 0).all()
    # No token lost or stored twice: the pieces of each document tile it.
    end = start + length
    first = np.concatenate(([True], document[1:] != document[:-1])) if len(document) else np.zeros(0, bool)
    assert (start[first] == 0).all()
    assert (start[1:][~first[1:]] == end[:-1][~first[1:]]).all()
    totals = np.zeros(len(lengths), dtype=np.int64)
    np.add.at(totals, document, length)
    assert (totals == lengths).all()
    # Rows: pieces side by side from 0, inside the row, sorted.
    assert (np.diff(packing.row) >= 0).all()
    same = packing.row[1:] == packing.row[:-1]
    ends = packing.offset + packing.length
    assert (ends <= row_tokens).all()
    assert (packing.offset[1:] == np.where(same, ends[:-1], 0)).all()
    assert sorted(set(packing.row.tolist())) == list(range(packing.n_rows))
    # A document that fits is whole; a longer one is in at most one piece more than it must be.
    pieces = np.bincount(packing.document, minlength=len(lengths))
    assert (pieces[(lengths > 0) & (lengths <= row_tokens)] == 1).all()
    assert (pieces <= -(-lengths // row_tokens) + most_pieces).all()
    # Only the first piece of a row may continue a document.
    assert (packing.start[packing.offset > 0] == 0).all()
    assert packing.continues.sum() == (packing.start > 0).sum()
    assert packing.padding == packing.n_rows * row_tokens - lengths.sum()
    assert packing.n_rows >= least_rows(lengths, row_tokens)


@given(LENGTHS)
@settings(max_examples=300, deadline=None)
def test_every_law_holds(lengths: list[int]) -> None:
    sizes = np.asarray(lengths, dtype=np.int64)
    check(pack(sizes, ROW), sizes, ROW)


def test_short_notes_around_a_full_row_stay_in_time_order() -> None:
    packing = pack([1, ROW, 2], ROW, units=[7, 7, 7])
    assert packing.document.tolist() in ([0, 2, 1], [1, 0, 2])


@given(LENGTHS, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_timeline_keeps_a_patients_documents_in_order(lengths: list[int], random_: object) -> None:
    sizes = np.asarray(lengths, dtype=np.int64)
    units = np.sort([random_.randrange(8) for _ in lengths])  # type: ignore[attr-defined]
    packing = pack(sizes, ROW, units=units)
    check(packing, sizes, ROW)
    # Inside a row, the whole documents of one patient follow each other in the order given.
    for row in range(packing.n_rows):
        mine = packing.document[packing.row == row]
        for unit in set(units[mine].tolist()):
            documents = mine[units[mine] == unit]
            assert (np.diff(documents) > 0).all() or (sizes[documents] > ROW).any()
    # Neighbours that fit together are together.
    fitting = [d for d in range(len(sizes)) if 0 < sizes[d] <= ROW]
    if len(set(units.tolist())) == 1 and sizes.sum() <= ROW:
        assert packing.n_rows == bool(fitting)


@given(st.lists(st.integers(1, ROW), min_size=1, max_size=200))
@settings(max_examples=200, deadline=None)
def test_every_way_of_filling_bins_is_a_packing(sizes: list[int]) -> None:
    given_ = np.asarray(sizes, dtype=np.int64)
    ways = [best_fit_decreasing(given_, ROW), exact_fill(given_, ROW, triples=True)]
    ways += [exact_fill(given_, ROW, triples=False), fewest_bins(given_, ROW)]
    for bin_of, held in ways:
        assert np.array_equal(np.bincount(bin_of, weights=given_, minlength=len(held)).astype(int), held)
        assert held.max() <= ROW
        assert held.min() > 0
        assert least_bins(given_, ROW) <= len(held)
    assert len(ways[3][1]) == min(len(held) for _, held in ways)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=7))
@settings(max_examples=150, deadline=None)
def test_the_lower_bound_is_one(sizes: list[int]) -> None:
    def fewest(items: list[int], bins: list[int]) -> int:
        if not items:
            return len(bins)
        found = fewest(items[1:], [*bins, items[0]])
        for i in range(len(bins)):
            if bins[i] + items[0] <= 12:
                found = min(found, fewest(items[1:], [*bins[:i], bins[i] + items[0], *bins[i + 1 :]]))
        return found

    assert least_bins(np.asarray(sizes), 12) <= fewest(sizes, [])


def test_best_fit_decreasing_by_sizes_is_best_fit_decreasing_by_documents() -> None:
    sizes = np.random.default_rng(5).integers(1, ROW + 1, 500)
    rooms: list[int] = []
    for size in sorted(sizes.tolist(), reverse=True):
        fitting = [(left, i) for i, left in enumerate(rooms) if left >= size]
        if fitting:
            rooms[min(fitting)[1]] -= size
        else:
            rooms.append(ROW - size)
    held = best_fit_decreasing(sizes, ROW)[1]
    assert sorted(ROW - held) == sorted(rooms)


def test_a_large_source_of_short_documents_has_almost_no_padding() -> None:
    sizes = np.minimum(np.random.default_rng(1).lognormal(5.6, 0.5, 180_000).astype(np.int64) + 2, 40_000)
    packing = pack(sizes, 4097)
    assert sizes.sum() > 50_000_000
    assert np.median(sizes) <= 4096 / 8
    assert packing.padding <= 0.0004 * packing.n_rows * 4097


@pytest.mark.parametrize(
    ("mean", "deviation", "n"),
    [(5, 0.3, 5000), (6.2, 1.0, 300), (6.5, 0.3, 4000), (7, 0.8, 4000), (7.8, 0.2, 2000), (8.3, 0.8, 1500)],
)
def test_other_sources_stay_within_two_percent_of_the_lower_bound(mean: float, deviation: float, n: int) -> None:
    sizes = np.random.default_rng(2).lognormal(mean, deviation, n).astype(np.int64) + 1
    packing = pack(sizes, 4097)
    check(packing, sizes, 4097)
    assert packing.n_rows <= 1.02 * least_rows(sizes, 4097) + 1


def test_long_documents_alone_leave_less_than_one_row_of_padding() -> None:
    sizes = np.random.default_rng(3).integers(ROW + 1, 9 * ROW, 400)
    assert pack(sizes, ROW).padding < ROW


def test_short_documents_that_pack_badly_go_where_long_ones_meet() -> None:
    short, long = np.full(40, 40), np.random.default_rng(6).integers(ROW + 1, 5 * ROW, 60)
    together = pack(np.concatenate((short, long)), ROW)
    assert together.n_rows <= pack(short, ROW).n_rows + pack(long, ROW).n_rows - 8


def test_the_same_lengths_give_the_same_rows() -> None:
    sizes = np.random.default_rng(4).integers(1, 3 * ROW, 700)
    a, b = pack(sizes, ROW), pack(sizes.tolist(), ROW)
    assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("document", "start", "row", "offset"))


def test_nothing_gives_no_rows() -> None:
    assert pack([], ROW).n_rows == 0
    assert pack([0, 0], ROW).n_rows == 0
    assert pack([0, ROW, 0], ROW).document.tolist() == [1]
