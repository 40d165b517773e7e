"""Verified pairs and who leaves: never unlike its representative, never for its numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dedup.near import components, leaving
from dedup.verify import Verifier, jaccard, verified_pairs
from filters.numbers import numbers
from filters.words import Words


def verifier(texts: list[str], threshold: float = 0.8, ngram: int = 1) -> Verifier:
    return Verifier(texts.__getitem__, Words().simple, numbers, ngram=ngram, threshold=threshold)


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_jaccard_is_that_of_sets(one: set[int], other: set[int]) -> None:
    found = jaccard(np.array(sorted(one), dtype=np.uint64), np.array(sorted(other), dtype=np.uint64))
    assert found == (len(one & other) / len(one | other) if one | other else 0)


def test_numbers_must_be_the_same_and_in_the_same_order() -> None:
    words = " ".join(f"w{chr(97 + at)}" for at in range(26))
    found = verifier(
        [
            f"{words} aspirin 5 mg warfarin 10 mg",
            f"{words} aspirin 5 mg warfarin 10 mg stat",
            f"{words} aspirin 10 mg warfarin 5 mg",
            f"{words} aspirin 5 mg warfarin 20 mg",
            f"{words} aspirin 5 mg warfarin 10 mg 5",
        ],
        ngram=1,
    )
    assert found.similarity(0, 1) == 31 / 32
    assert found.similarity(1, 0) == 31 / 32
    assert [found.similarity(0, other) for other in (2, 3, 4)] == [None, None, None]
    assert found.n_compared == 4


def test_texts_are_read_once_while_they_are_held() -> None:
    read: list[int] = []

    def text_of(position: int) -> str:
        read.append(position)
        return "one and the same text"

    found = Verifier(text_of, Words().simple, numbers, ngram=2, threshold=0.5)
    assert found.holds(np.array([[0, 1], [0, 2], [1, 2], [0, 1]])).all()
    assert sorted(read) == [0, 1, 2]


def test_memory_is_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("dedup.verify.HELD_SHINGLES", 25)
    found = verifier([" ".join(f"w{at}x{word}" for word in range(10)) for at in range(30)])
    for other in range(1, 30):
        found.similarity(0, other)
        assert sum(len(read.shingles) for read in found._held.values()) <= 30


def test_a_chain_of_small_edits_does_not_remove_its_far_end() -> None:
    """Six texts, each a window of 100 words moved on by 8: neighbours are alike, the ends share 60 words."""
    words = [f"word{chr(97 + at // 26)}{chr(97 + at % 26)}" for at in range(140)]
    texts = [" ".join(words[8 * step : 8 * step + 100]) for step in range(6)]
    found = verifier(texts)
    gone = leaving(np.array([[at, at + 1] for at in range(5)]), lambda position: (0,), found.similarity)
    assert {position: representative for position, (representative, _) in gone.items()} == {1: 0, 3: 2, 5: 4}
    assert all(value == 92 / 108 for _, value in gone.values())


EDGES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda pair: pair[0] < pair[1]), max_size=30)


@given(EDGES, st.permutations(range(13)))
def test_leaving_is_safe_and_blind_to_order(edges: list[tuple[int, int]], ranks: list[int]) -> None:
    alike = set(edges)

    def similarity(one: int, other: int) -> float | None:
        return 0.9 if (min(one, other), max(one, other)) in alike else None

    def run(pairs: list[tuple[int, int]]) -> dict[int, tuple[int, float]]:
        return leaving(np.array(pairs, dtype=np.int64).reshape(-1, 2), lambda at: (ranks[at],), similarity)

    gone = run(edges)
    assert gone == run(edges[::-1])
    for position, (representative, _) in gone.items():
        assert similarity(position, representative)
        assert representative not in gone
        assert ranks[representative] < ranks[position]
    # Whoever stays beside a better one that stays is not its duplicate.
    stay = {at for pair in edges for at in pair} - set(gone)
    assert not any(one in stay and other in stay for one, other in alike)


@given(EDGES)
def test_components_keep_together_what_is_connected(edges: list[tuple[int, int]]) -> None:
    found = components(range(13), edges)
    assert all(len(group) > 1 and group == sorted(group) for group in found)
    home = {member: at for at, group in enumerate(found) for member in group}
    assert all(home[one] == home[other] for one, other in edges)
    assert set(home) == {member for pair in edges for member in pair}


def test_a_family_of_templates_is_sorted_out() -> None:
    """Leaflets of one template in one bucket, each there twice: every copy is found, no leaflet is lost."""
    template = [f"template{chr(97 + at // 26)}{chr(97 + at % 26)}" for at in range(60)]
    topics = "abcdefghijklmnop"
    texts = [" ".join([*template, *(f"{topic}{chr(97 + at)}" for at in range(20))]) for topic in topics * 2]
    found = verifier(texts)
    bands = np.full((len(texts), 1), 7, dtype=np.uint64)
    valid, salt = np.ones(len(texts), dtype=bool), np.zeros(len(texts), dtype=np.uint64)
    pairs = verified_pairs(bands, valid, salt, found)
    gone = leaving(pairs, lambda position: (0,), found.similarity)
    assert gone == {len(topics) + at: (at, 1.0) for at in range(len(topics))}
    assert verified_pairs(bands, valid, np.arange(len(texts), dtype=np.uint64), found).shape == (0, 2)
