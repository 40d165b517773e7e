"""Buckets, components and representatives against plain Python."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.buckets import bucketed, candidate_pairs, linked, pairs_with, with_first
from dedup.clusters import choose, connected, rooted, touched
from dedup.exact import links

DIGESTS = st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=30)


def groups(n: int, pairs: list[tuple[int, int]]) -> list[int]:
    """Smallest reachable position, by walking."""
    near: dict[int, set[int]] = {position: set() for position in range(n)}
    for one, other in pairs:
        near[one].add(other)
        near[other].add(one)
    found = []
    for start in range(n):
        seen, waiting = {start}, [start]
        while waiting:
            for other in near[waiting.pop()] - seen:
                seen.add(other)
                waiting.append(other)
        found.append(min(seen))
    return found


@given(DIGESTS, st.data())
def test_candidates_share_a_band_and_connect_every_bucket(digests: list[list[int]], data: st.DataObject) -> None:
    n = len(digests)
    valid = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    bands = np.array(digests, dtype=np.uint64)
    pairs = candidate_pairs(bands, valid)
    truly = [
        (one, other)
        for one, other in itertools.combinations(range(n), 2)
        if valid[one] and valid[other] and (bands[one] == bands[other]).any()
    ]
    assert {tuple(pair) for pair in pairs.tolist()} <= set(truly)
    assert [tuple(pair) for pair in pairs.tolist()] == sorted({tuple(pair) for pair in pairs.tolist()})
    assert connected(n, pairs).tolist() == groups(n, truly)
    assert len(pairs) <= 2 * 3 * n


@given(DIGESTS, st.data())
def test_pairs_with_a_chosen_document_are_all_there(digests: list[list[int]], data: st.DataObject) -> None:
    n = len(digests)
    flags = st.lists(st.booleans(), min_size=n, max_size=n)
    valid, chosen = np.array(data.draw(flags)), np.array(data.draw(flags))
    salt = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), dtype=np.uint64) << np.uint64(40)
    bands = np.array(digests, dtype=np.uint64)
    truly = [
        (one, other)
        for one, other in itertools.combinations(range(n), 2)
        if valid[one]
        and valid[other]
        and (chosen[one] or chosen[other])
        and (bands[one] == bands[other]).any()
        and salt[one] == salt[other]
    ]
    assert [tuple(pair) for pair in pairs_with(bands, valid, chosen, salt).tolist()] == truly


def test_buckets_are_ordered_and_their_first_is_the_smallest() -> None:
    bands = np.array([[7], [3], [7], [3], [7], [9]], dtype=np.uint64)
    buckets, members = bucketed(bands, np.ones(6, dtype=bool))
    assert (buckets.tolist(), members.tolist()) == ([1, 1, 2, 2, 2], [1, 3, 0, 2, 4])
    assert with_first(buckets, members).tolist() == [[0, 2], [0, 4], [1, 3]]
    assert linked(buckets, members).tolist() == [[0, 2], [0, 4], [1, 3], [2, 4]]
    salt = np.array([0, 0, 0, 1, 1, 0], dtype=np.uint64) << np.uint64(50)
    assert bucketed(bands, np.ones(6, dtype=bool), salt)[1].tolist() == [0, 2]


@given(st.integers(1, 40), st.data())
def test_components_are_those_of_a_walk(n: int, data: st.DataObject) -> None:
    position = st.integers(0, n - 1)
    pairs = data.draw(st.lists(st.tuples(position, position), max_size=60))
    found = connected(n, np.array(pairs, dtype=np.int64).reshape(-1, 2))
    assert found.tolist() == groups(n, pairs)


def test_long_chains_connect() -> None:
    n = 20_000
    order = np.random.default_rng(2).permutation(n)
    assert not connected(n, np.column_stack([order[:-1], order[1:]])).any()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_the_representative_is_the_least_of_its_group(rows: list[tuple[int, int, int]]) -> None:
    labels, first, second = (np.array(column) for column in zip(*rows, strict=True))
    expected = [min((row[1], row[2], at) for at, row in enumerate(rows) if row[0] == label)[2] for label, _, _ in rows]
    assert choose(labels, first, second).tolist() == expected


def test_roots_and_denied_clusters() -> None:
    assert rooted(np.array([0, 0, 1, 2, 4])).tolist() == [0, 0, 0, 0, 4]
    denied = np.array([False, True, False, False])
    assert touched(np.array([0, 0, 2, 3]), denied).tolist() == [True, True, False, False]


@given(st.lists(st.integers(-1, 4), max_size=20))
def test_links_join_equal_groups_and_never_the_nameless(codes: list[int]) -> None:
    pairs = links(np.array(codes, dtype=np.int64))
    truly = [
        (one, other)
        for one, other in itertools.combinations(range(len(codes)), 2)
        if codes[one] == codes[other] and codes[one] >= 0
    ]
    assert connected(len(codes), pairs).tolist() == groups(len(codes), truly)


@pytest.mark.parametrize("n_bands", [1, 14])
def test_nothing_gives_nothing(n_bands: int) -> None:
    assert candidate_pairs(np.zeros((0, n_bands), dtype=np.uint64), np.zeros(0, dtype=bool)).shape == (0, 2)
    assert candidate_pairs(np.zeros((3, n_bands), dtype=np.uint64), np.zeros(3, dtype=bool)).shape == (0, 2)
