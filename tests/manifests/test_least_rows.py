"""The fewest rows of a build, counted from its documents: the same number as packing states, by other means."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.least_rows import fewest_rows
from mixing.pack import least_rows, pack

LENGTHS = st.lists(st.integers(0, 40) | st.sampled_from([1, 2, 8, 9, 11, 12, 16, 17, 31, 32, 33, 64, 200]), max_size=60)


@given(LENGTHS, st.sampled_from([1, 2, 16, 17, 32, 33]))
@settings(max_examples=500, deadline=None)
def test_it_is_the_bound_of_packing(lengths: list[int], row_tokens: int) -> None:
    assert fewest_rows(Counter(lengths), row_tokens) == least_rows(lengths, row_tokens)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_bound_of_packing_for_lengths_of_documents(seed: int) -> None:
    lengths = np.random.default_rng(seed).lognormal(5.0 + seed, 1.1, 4000).astype(np.int64)
    found = fewest_rows(Counter(lengths.tolist()), 2049)
    assert found == least_rows(lengths, 2049)
    assert found <= pack(lengths, 2049).n_rows <= 1.02 * found + 1


@pytest.mark.parametrize(
    ("lengths", "rows"),
    [
        ([11] * 3, 3),  # no two of those above half a row share one
        ([7] * 4 + [14] * 2, 4),  # two of 7 in a row, and a 14 beside none
        ([5, 5, 5, 6], 2),  # four are 21 tokens
        ([20, 20], 2),
        ([41], 3),
        ([6] * 7, 3),  # three of 6 in a row
    ],
)
def test_small_cases_by_hand(lengths: list[int], rows: int) -> None:
    assert fewest_rows(Counter(lengths), 20) == rows
