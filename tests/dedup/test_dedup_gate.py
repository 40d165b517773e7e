"""The floors of deduplication on planted variants of invented text: they may rise and never fall.

`DEDUP_GATE_UPDATE=1 pytest tests/dedup/test_dedup_gate.py` writes what is measured; it refuses to lower a floor.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dedup.shingles import shingle_hashes
from dedup.verify import jaccard
from filters.words import Words

GATE = Path(__file__).parents[1] / "gates" / "dedup.json"
N_PAIRS = 300
RATES = (0.002, 0.004, 0.008, 0.012, 0.016, 0.02, 0.025, 0.03)
WORDS = Words()

Variants = Mapping[str, Callable[..., str]]


def similarity(one: str, other: str) -> float:
    sets = (np.unique(shingle_hashes(WORDS.simple(text), 5)) for text in (one, other))
    return jaccard(*sets)


@pytest.fixture(scope="module")
def planted(invent: Callable[..., str], variants: Variants) -> list[dict[str, Any]]:
    """Pairs (original, variant) with how the variant was made and how similar the two are."""
    chance = random.Random(20260101)
    pairs: list[dict[str, Any]] = []

    def plant(kind: str, make: Callable[[str], str]) -> None:
        for _ in range(N_PAIRS):
            one = invent(chance, chance.randint(80, 500))
            other = make(one)
            pairs.append({"kind": kind, "one": one, "other": other, "similarity": similarity(one, other)})

    plant("reformatted", lambda text: variants["reformatted"](text, chance))
    plant("reworded", lambda text: variants["reworded"](text, chance, chance.choice(RATES)))
    plant("numbers", lambda text: variants["redosed"](text, chance))
    plant("swapped", lambda text: f"{text} Give 5 mg of the one and 10 mg of the other.")
    for pair in pairs:
        if pair["kind"] == "swapped":
            pair["one"] += " Give 10 mg of the one and 5 mg of the other."
    return pairs


@pytest.fixture(scope="module")
def measured(planted: list[dict[str, Any]], deduplicate: Callable[..., Any]) -> dict[str, float]:
    documents = []
    for at, pair in enumerate(planted):
        documents.append({"doc_id": f"one:{at:05}", "text": pair["one"]})
        documents.append({"doc_id": f"other:{at:05}", "text": pair["other"]})
    found = deduplicate(documents)
    gone = {row["doc_id"]: row["representative"] for row in found.table.to_pylist() if row["fate"].startswith("dedup.")}
    # Only one text of each pair was invented anew, so anything else that leaves was removed by mistake.
    mistakes = sum(doc_id.split(":")[1] != representative.split(":")[1] for doc_id, representative in gone.items())

    def recall(pairs: list[int]) -> float:
        assert len(pairs) >= 100
        return sum(f"one:{at:05}" in gone or f"other:{at:05}" in gone for at in pairs) / len(pairs)

    def at_least(least: float) -> list[int]:
        return [at for at, pair in enumerate(planted) if pair["kind"] == "reworded" and pair["similarity"] >= least]

    def of_kind(kind: str) -> list[int]:
        return [at for at, pair in enumerate(planted) if pair["kind"] == kind]

    return {
        "recall_at_0.9": recall(at_least(0.9)),
        "recall_at_0.8": recall(at_least(0.8)),
        "recall_reformatted": recall(of_kind("reformatted")),
        "number_only_removed_max": recall(of_kind("numbers")) * N_PAIRS,
        "numbers_swapped_removed_max": recall(of_kind("swapped")) * N_PAIRS,
        "removed_by_mistake_max": mistakes,
    }


def test_floors_hold(planted: list[dict[str, Any]], measured: dict[str, float]) -> None:
    digest = hashlib.sha256(json.dumps(planted, sort_keys=True).encode()).hexdigest()[:16]
    gate = json.loads(GATE.read_text(encoding="utf-8"))
    if os.environ.get("DEDUP_GATE_UPDATE"):
        _raise_floors(gate, digest, measured)
        return
    assert gate["planted"] == digest, "the planted set is not the one the floors were measured on"
    for name, floor in gate["floors"].items():
        held = measured[name] <= floor if name.endswith("_max") else measured[name] >= floor
        assert held, f"{name}: {measured[name]} against {floor}"
    assert gate["floors"].keys() == measured.keys()


def test_the_set_can_tell(planted: list[dict[str, Any]]) -> None:
    """Number variants are as similar as the pairs that must be found, so only the guard keeps them."""
    numbers_only = [pair["similarity"] for pair in planted if pair["kind"] == "numbers"]
    assert sum(value >= 0.9 for value in numbers_only) > N_PAIRS * 0.8
    assert all(pair["similarity"] > 0.99 for pair in planted if pair["kind"] == "reformatted")


def _raise_floors(gate: dict[str, Any], digest: str, measured: dict[str, float]) -> None:
    floors = dict(measured)
    for name, floor in gate.get("floors", {}).items():
        lower = floors[name] > floor if name.endswith("_max") else floors[name] < floor
        if lower and gate.get("planted") == digest:
            pytest.fail(f"{name} would be lowered from {floor} to {floors[name]}")
    text = json.dumps({"planted": digest, "floors": floors}, indent=2, sort_keys=True)
    GATE.write_text(text + "\n", encoding="utf-8")
