from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from mixing.choice import Documents, Limit, fraction_limits, meets, ranks

ROW = 513
DOCUMENTS = st.dictionaries(st.integers(0, 2**64 - 1), st.integers(1, 5000), min_size=1, max_size=60)
UNEVEN = st.dictionaries(
    st.integers(0, 2**64 - 1), st.one_of(st.integers(1, 900), st.integers(5_000, 300_000)), min_size=1, max_size=40
)


def _limits(keys: npt.ArrayLike, tokens: npt.ArrayLike, quota: int, seed: int) -> list[Limit]:
    return fraction_limits(lambda: [(keys, tokens)], quota, seed, ROW)


def _arrays(documents: dict[int, int]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    return np.asarray(list(documents), dtype=np.uint64), np.asarray(list(documents.values()))


@given(DOCUMENTS, st.floats(0, 1.1), st.integers(0, 5))
@settings(max_examples=300, deadline=None)
def test_the_nearest_prefix_by_rank_where_it_is_near_enough(documents: dict[int, int], part: float, seed: int) -> None:
    keys, tokens = _arrays(documents)
    quota = int(part * tokens.sum())
    chosen = meets(keys, tokens, _limits(keys, tokens, quota, seed), seed)
    order = np.argsort(ranks(keys, seed))
    prefixes = np.concatenate(([0], np.cumsum(tokens[order])))
    nearest = int(np.abs(prefixes - quota).argmin())
    longest = int(tokens[order][:nearest].max(initial=0))
    if quota > tokens.sum() or prefixes[nearest] >= quota - max(ROW, longest):
        assert chosen[order].tolist() == [True] * nearest + [False] * (len(keys) - nearest)


@given(UNEVEN, st.floats(0, 1), st.integers(0, 20))
@settings(max_examples=500, deadline=None)
def test_no_quota_is_missed_by_more_than_a_row_or_the_longest_document_taken(
    documents: dict[int, int], part: float, seed: int
) -> None:
    keys, tokens = _arrays(documents)
    quota = int(part * tokens.sum())
    chosen = meets(keys, tokens, _limits(keys, tokens, quota, seed), seed)
    assert abs(int(tokens[chosen].sum()) - quota) <= max(ROW, int(tokens[chosen].max(initial=0)))


def test_a_long_document_that_comes_next_is_passed_over_for_shorter_ones_or_taken_if_there_are_none() -> None:
    keys = np.arange(1, 41, dtype=np.uint64)
    by_rank = keys[np.argsort(ranks(keys, 0))]
    sizes = dict.fromkeys(by_rank.tolist(), 400)
    sizes[int(by_rank[2])] = 50_000
    tokens = np.asarray([sizes[int(key)] for key in keys])
    chosen = meets(keys, tokens, _limits(keys, tokens, 4000, 0), 0)
    assert sorted(keys[chosen].tolist()) == sorted(np.delete(by_rank, 2)[:10].tolist())
    two = by_rank[1:3]
    chosen = meets(two, np.asarray([400, 50_000]), _limits(two, [400, 50_000], 4000, 0), 0)
    assert chosen.tolist() == [True, True]


def test_blocks_apart_choose_what_they_choose_together() -> None:
    random = np.random.default_rng(1)
    keys = random.integers(0, 2**64, 5000, dtype=np.uint64)
    parts = np.array_split(np.arange(5000), 9)

    def apart(tokens: npt.NDArray[np.int64], order: Iterable[npt.NDArray[np.int64]]) -> Callable[[], list[Documents]]:
        return lambda: [(keys[part], tokens[part]) for part in order]

    tokens = random.integers(1, 900, 5000)
    whole = _limits(keys, tokens, 600_000, 7)
    assert fraction_limits(apart(tokens, parts[::-1]), 600_000, 7, ROW) == whole
    together = meets(keys, tokens, whole, 7)
    assert np.array_equal(together, np.concatenate([meets(keys[p], tokens[p], whole, 7) for p in parts]))
    assert abs(int(tokens[together].sum()) - 600_000) <= 450
    # A larger quota adds documents and drops none; another seed chooses others.
    assert (meets(keys, tokens, _limits(keys, tokens, 900_000, 7), 7) >= together).all()
    assert not np.array_equal(meets(keys, tokens, _limits(keys, tokens, 600_000, 8), 8), together)
    # The same where long documents are passed over.
    uneven = np.where(np.arange(5000) % 3 == 0, 400_000, tokens)
    limits = _limits(keys, uneven, 100_000, 7)
    assert len(limits) > 1
    assert fraction_limits(apart(uneven, parts[::-1]), 100_000, 7, ROW) == limits


def test_all_or_nothing() -> None:
    keys, tokens = np.arange(5, dtype=np.uint64), np.full(5, 10)
    assert meets(keys, tokens, _limits(keys, tokens, 50, 0), 0).all()
    assert not meets(keys, tokens, _limits(keys, tokens, 0, 0), 0).any()
