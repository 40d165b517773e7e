from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mixing.choice import below, choose_fraction, choose_validation, fraction_threshold, ranks

DOCUMENTS = st.dictionaries(st.integers(0, 2**64 - 1), st.integers(1, 5000), min_size=1, max_size=60)


@given(DOCUMENTS, st.floats(0, 1.1), st.integers(0, 5))
@settings(max_examples=300, deadline=None)
def test_the_nearest_prefix_by_rank(documents: dict[int, int], part: float, seed: int) -> None:
    keys = np.asarray(list(documents), dtype=np.uint64)
    tokens = np.asarray(list(documents.values()))
    quota = int(part * tokens.sum())
    chosen = choose_fraction(keys, tokens, quota, seed)
    order = np.argsort(ranks(keys, seed))
    prefixes = np.concatenate(([0], np.cumsum(tokens[order])))
    got = int(tokens[chosen].sum())
    assert abs(got - quota) == np.abs(prefixes - quota).min()
    assert chosen[order].tolist() == sorted(chosen.tolist(), reverse=True)
    if quota <= tokens.sum():
        assert abs(got - quota) <= tokens.max()


def test_blocks_apart_choose_what_they_choose_together() -> None:
    random = np.random.default_rng(1)
    keys = random.integers(0, 2**64, 5000, dtype=np.uint64)
    tokens = random.integers(1, 900, 5000)
    together = choose_fraction(keys, tokens, 600_000, 7)
    parts = np.array_split(np.arange(5000), 9)
    threshold = fraction_threshold(lambda: [(keys[p], tokens[p]) for p in reversed(parts)], 600_000, 7)
    apart = np.concatenate([below(keys[p], threshold, 7) for p in parts])
    assert np.array_equal(together, apart)
    assert abs(int(tokens[together].sum()) - 600_000) <= 450
    # A larger quota adds documents and drops none; another seed chooses others.
    assert (choose_fraction(keys, tokens, 900_000, 7) >= together).all()
    assert not np.array_equal(choose_fraction(keys, tokens, 600_000, 8), together)


def test_all_or_nothing() -> None:
    keys, tokens = np.arange(5, dtype=np.uint64), np.full(5, 10)
    assert choose_fraction(keys, tokens, 50, 0).all()
    assert not choose_fraction(keys, tokens, 0, 0).any()


def test_validation_takes_whole_units_and_at_least_one() -> None:
    random = np.random.default_rng(2)
    units = random.integers(0, 2**64, 400, dtype=np.uint64)[random.integers(0, 400, 3000)]
    chosen = choose_validation(units, 0.05, 3)
    assert 0.01 < chosen.mean() < 0.12
    for unit in np.unique(units):
        assert len(set(chosen[units == unit].tolist())) == 1
    few = np.asarray([5, 5, 9], dtype=np.uint64)
    assert len(set(few[choose_validation(few, 0.001, 0)].tolist())) == 1
    assert not choose_validation(few[:2], 0.3, 0).any()
    assert not choose_validation(few, 0.0, 0).any()
    # The rest of a source does not decide about a unit.
    some = units[:1500]
    assert np.array_equal(choose_validation(some, 0.05, 3), chosen[:1500])
