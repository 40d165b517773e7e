"""Validation: whole units, every source, something left to train on."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dedup.split import unit_hashes, validation

DOCUMENTS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3)), min_size=1, max_size=60)


def split(documents: list[tuple[int, int]], fraction: float, seed: int) -> list[bool]:
    _, units = np.unique([unit for unit, _ in documents], return_inverse=True)
    sources = np.array([source for _, source in documents])
    hashes = unit_hashes(np.arange(int(units.max()) + 1, dtype=np.uint64), seed)
    return validation(units, sources, hashes, [fraction] * 4, ["a", "b", "c", "d"]).tolist()


@given(DOCUMENTS, st.floats(0.0001, 0.4), st.integers(0, 99))
def test_units_stay_whole_and_each_source_keeps_both_sides(
    documents: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    chosen = split(documents, fraction, seed)
    sides: dict[int, set[bool]] = {}
    for (unit, _), side in zip(documents, chosen, strict=True):
        sides.setdefault(unit, set()).add(side)
    assert all(len(side) == 1 for side in sides.values())
    for source in {source for _, source in documents}:
        own = [side for (_, of), side in zip(documents, chosen, strict=True) if of == source]
        # A single source with two units always has both sides; several may share all their units.
        if len({source for _, source in documents}) == 1:
            units = {unit for unit, _ in documents}
            assert (True in own) == (len(units) > 1)
            assert False in own


@given(DOCUMENTS, st.integers(0, 99), st.randoms())
def test_the_order_of_documents_does_not_matter(documents: list[tuple[int, int]], seed: int, chance: Any) -> None:
    order = list(range(len(documents)))
    chance.shuffle(order)
    straight, shuffled = split(documents, 0.2, seed), split([documents[at] for at in order], 0.2, seed)
    assert shuffled == [straight[at] for at in order]


def test_no_fraction_takes_nothing() -> None:
    assert not any(split([(unit, 0) for unit in range(9)], 0.0, 1))


def test_the_share_is_the_fraction_and_the_seed_chooses() -> None:
    n = 50_000
    units, sources = np.arange(n), np.zeros(n, dtype=np.int64)
    one = validation(units, sources, unit_hashes(units.astype(np.uint64), 1), [0.02], ["a"])
    two = validation(units, sources, unit_hashes(units.astype(np.uint64), 2), [0.02], ["a"])
    assert abs(one.mean() - 0.02) < 0.003
    assert (one & two).sum() < 60


def test_a_huge_unit_is_not_taken_for_the_sake_of_having_one() -> None:
    """Unit 0 is half of the source and has the least hash."""
    units = np.array([0] * 500 + list(range(1, 501)))
    hashes = np.arange(501, dtype=np.uint64) + np.uint64(2**60)
    chosen = validation(units, np.zeros(1000, dtype=np.int64), hashes, [0.0001], ["a"])
    assert np.flatnonzero(chosen).tolist() == [500]


def test_a_source_is_not_emptied_for_another() -> None:
    """Source b's only unit is shared with a: a must take another."""
    units, sources = np.array([0, 0, 1, 2]), np.array([0, 1, 0, 0])
    chosen = validation(units, sources, np.array([2**60, 2**61, 2**62], dtype=np.uint64), [0.0001] * 2, ["a", "b"])
    assert chosen.tolist() == [False, False, True, False]


def test_what_the_fraction_took_whole_is_given_back() -> None:
    units, sources = np.array([0, 1, 2]), np.array([0, 0, 1])
    chosen = validation(units, sources, np.array([1, 2, 3], dtype=np.uint64), [0.4, 0.4], ["a", "b"])
    assert chosen.tolist() == [True, False, False]


def test_patients_and_candidates_decide_the_unit(deduplicate, invent) -> None:  # type: ignore[no-untyped-def]
    import random

    chance = random.Random(8)
    documents = []
    for patient in range(30):
        for note in range(3):
            text = invent(chance, 80)
            documents.append({"doc_id": f"notes:{patient}-{note}", "text": text, "subject": f"p{patient}"})
            documents.append({"doc_id": f"more:{patient}-{note}", "text": text + " seen", "subject": f"p{patient}"})
    for leaflet in range(60):
        text = invent(chance, 150)
        # Other numbers: both stay, and both are on one side.
        documents.append({"doc_id": f"open:{leaflet}a", "text": text + " give 5 mg"})
        documents.append({"doc_id": f"open:{leaflet}b", "text": text + " give 50 mg"})
    found = deduplicate(documents, validation_fraction=0.1, seed=3)
    sides: dict[str, set[str]] = {}
    for row in found.table.to_pylist():
        assert (row["split"] == "") == (row["fate"] != "kept")
        if row["fate"] == "kept":
            native = row["doc_id"].split(":")[1]
            unit = native.split("-")[0] if row["source"] != "open" else f"leaflet {native[:-1]}"
            sides.setdefault(unit, set()).add(row["split"])
    assert all(len(side) == 1 for side in sides.values())
    assert {"train", "validation"} == set.union(*sides.values())
    assert sum(row["fate"] == "kept" for row in found.table.to_pylist() if row["source"] == "open") == 120


def test_each_source_has_its_own_share_and_none_where_it_asks_for_none() -> None:
    n = 30_000
    units, sources = np.arange(2 * n), np.repeat([0, 1], n)
    chosen = validation(units, sources, unit_hashes(units.astype(np.uint64), 1), [0.05, 0.0], ["a", "b"])
    assert abs(chosen[:n].mean() - 0.05) < 0.005
    assert not chosen[n:].any()
    # A unit of both sources is in one split as a whole: the larger share decides.
    shared = validation(units % n, sources, unit_hashes(np.arange(n, dtype=np.uint64), 1), [0.05, 0.0], ["a", "b"])
    assert (shared[:n] == shared[n:]).all()
    assert shared.any()


def test_versions_that_name_each_other_are_one_unit(deduplicate, invent) -> None:  # type: ignore[no-untyped-def]
    """The oldest names the one after it, which names the newest: no family is the same in all three."""
    import random

    chance = random.Random(9)
    families = {
        "g:1": "g:2",
        "g:2": "g:3",
        "g:3": "g:3",
        "g:4": "g:9",
        "h:4": "g:9",
        "g:5": "g:5",
        "a:6": "",
        "g:6": "a:6",
    }
    documents = [{"doc_id": key, "text": invent(chance, 80), "family": family} for key, family in families.items()]
    found = {row["doc_id"]: row["unit"] for row in deduplicate(documents).table.to_pylist()}
    assert found["g:1"] == found["g:2"] == found["g:3"]
    assert found["g:4"] == found["h:4"]
    # A document without a family is no version of anything, whoever names it.
    assert len(set(found.values())) == 5
