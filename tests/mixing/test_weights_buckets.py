"""Score buckets inside their group, tempered shares, and what they may not do."""

from __future__ import annotations

import pytest

from manifests.errors import RecipeError
from manifests.subsources import bucket_names, buckets_of
from mixing.weights import Mixture, Part, plan

# MediTron's copies = 1 + score: an edge between every two scores, a weight of 1 + score for the bucket.
EDGES = [round(0.05 + 0.1 * n, 2) for n in range(40)]
COPIES = [round(1 + 0.1 * n, 1) for n in range(41)]
BUCKETS = bucket_names("pmc", EDGES, unscored=True)


def test_meditrons_copies_are_one_and_the_score() -> None:
    assert [COPIES[b] for b in buckets_of([0.0, 0.2, 0.5, 1.0, 2.7, 4.0], EDGES)] == [1.0, 1.2, 1.5, 2.0, 3.7, 5.0]
    assert buckets_of([float("nan")], EDGES).tolist() == [-1]
    unique = {name: 1_000_000 * (number % 3) for number, name in enumerate(BUCKETS)} | {"replay": 5_000_000}
    weights = dict(zip(BUCKETS, [*COPIES, 1.0], strict=True))
    made = plan(unique, unique, Mixture(total_tokens="natural", weights=weights, max_epochs={"pmc": 5}))
    for name in BUCKETS:
        assert made[name].epochs == (pytest.approx(weights[name]) if unique[name] else 0)
    assert made["replay"].epochs == 1


def test_a_group_keeps_its_share_whatever_its_buckets_weigh() -> None:
    unique = {"a/0": 600, "a/1": 400, "a/unscored": 0, "b": 1000, "c": 2000}
    parts = (Part("x", ("a/0", "a/1", "a/unscored", "b"), share=3), Part("y", ("c",), share=1))
    made = plan(unique, unique, Mixture(parts, total_tokens=4000, weights={"a/0": 0.0, "a/1": 2.0}))
    assert sum(made[name].effective_tokens for name in ("a/0", "a/1", "b")) == 3000
    assert (made["a/0"].effective_tokens, made["a/0"].epochs) == (0, 0)
    assert made["a/1"].epochs == pytest.approx(2 * made["b"].epochs, rel=2e-3)


def test_the_heaviest_bucket_meets_the_cap_first() -> None:
    unique = {"a/0": 1000, "a/1": 1000, "b": 10_000}
    weights = {"a/1": 4.0}
    for mixture in (
        Mixture(max_epochs={"a": 4, "b": 1}, weights=weights),
        Mixture((Part("x", ("a/0", "a/1"), share=1), Part("y", ("b",), share=2)), None, {"a": 4, "b": 1}, weights),
    ):
        made = plan(unique, unique, mixture)
        assert (made["a/0"].epochs, made["a/1"].epochs) == (1, 4)
    with pytest.raises(RecipeError, match="'a/1' would be repeated 4 times, and its max_epochs is 3"):
        plan(unique, unique, Mixture(total_tokens="natural", weights=weights, max_epochs={"a": 3}))


def test_tempered_shares_lie_between_equal_and_natural() -> None:
    unique = {"a": 10_000, "b": 1_000_000}
    for alpha, share in ((0.0, 0.5), (0.5, 1 / 11), (1.0, 1 / 101)):
        made = plan(unique, unique, Mixture(total_tokens=20_000, alpha=alpha))
        assert made["a"].target_share == pytest.approx(share, abs=1e-4)


def test_a_source_whose_buckets_hold_nothing_is_refused() -> None:
    with pytest.raises(RecipeError, match="'a' has no tokens"):
        plan({"a/0": 10, "a/1": 0, "b": 5}, {}, Mixture(weights={"a/0": 0.0}))
