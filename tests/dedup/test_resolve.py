"""The decision as a whole: order of the methods, denylist, accounts that close, no dependence on order."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.resolve import DedupConfig, resolve
from dedup.signatures import MinHashConfig
from filters.numbers import numbers
from filters.words import Words
from manifests.identity import doc_key

WORDS = Words()


def corpus(seed: int, invent: Callable[..., str], variants: Mapping[str, Callable[..., str]]) -> list[dict[str, Any]]:
    """A small world with every kind of duplicate in it."""
    chance = random.Random(seed)
    documents: list[dict[str, Any]] = []

    def add(source: str, text: str, **fields: str) -> None:
        documents.append({"doc_id": f"{source}:{len(documents):03}", "text": text, **fields})

    for work in range(12):
        text = invent(chance, chance.randint(60, 160))
        add(chance.choice("abc"), text)
        if chance.random() < 0.5:
            add(chance.choice("abc"), variants["reformatted"](text, chance))
        if chance.random() < 0.5:
            add(chance.choice("abc"), variants["reworded"](text, chance, 0.01))
        if chance.random() < 0.5:
            add(chance.choice("abc"), variants["redosed"](text, chance))
        if chance.random() < 0.3:
            add("notes", text + " ok", subject=f"p{chance.randint(0, 3)}")
        if chance.random() < 0.3:
            add("pmc", text + invent(chance, 300), kind="article", pmid=str(work), pmcid=f"PMC{work}")
            add("pubmed", text, kind="abstract", pmid=str(work))
    return documents


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_the_input_does_not_matter(seed, deduplicate, invent, variants) -> None:  # type: ignore[no-untyped-def]
    documents = corpus(seed, invent, variants)
    settings_ = {"source_priority": ["b", "pmc"], "validation_fraction": 0.1, "denylist": {documents[seed]["doc_id"]}}
    straight = deduplicate(documents, **settings_)
    random.Random(seed).shuffle(documents)
    shuffled = deduplicate(documents, **settings_)
    assert shuffled.table.equals(straight.table)
    assert shuffled.counts == straight.counts


@pytest.mark.parametrize("seed", range(6))
def test_accounts_close_and_every_representative_stays(seed, deduplicate, invent, variants) -> None:  # type: ignore[no-untyped-def]
    documents = corpus(seed, invent, variants)
    denied = {documents[0]["doc_id"], documents[7]["doc_id"]}
    found = deduplicate(documents, denylist=denied | {"x:gone"}, validation_fraction=0.05)
    rows = {row["doc_id"]: row for row in found.table.to_pylist()}
    by_fate = {name: n for name, n in found.counts.items() if name == "kept" or name.startswith("dedup.")}
    assert sum(by_fate.values()) == len(documents) == found.counts["documents"]
    for name, n in by_fate.items():
        assert sum(row["fate"] == name for row in rows.values()) == n
    assert found.counts["denied_not_here"] == 1
    clusters: dict[str, list[str]] = {}
    for doc_id, row in rows.items():
        assert row["doc_key"] == doc_key(doc_id)
        if row["fate"] == "dedup.denied":
            assert (row["representative"], row["split"]) == ("", "")
        else:
            assert rows[row["representative"]]["fate"] == "kept"
            assert (row["representative"] == doc_id) == (row["fate"] == "kept")
        near = row["fate"] == "dedup.near_duplicate"
        assert (row["fate_value"] is not None) == near == (row["fate_threshold"] is not None)
        assert not near or row["fate_value"] >= row["fate_threshold"] == 0.8
        if row["cluster_key"]:
            clusters.setdefault(row["cluster_key"], []).append(doc_id)
        else:
            assert row["cluster_size"] == 1
    for key, members in clusters.items():
        assert key == min(members)
        assert {rows[member]["cluster_size"] for member in members} == {len(members)}
        assert len(members) > 1
        assert len({rows[member]["representative"] for member in members}) == 1
    assert all(rows[doc_id]["fate"] == "dedup.denied" for doc_id in denied)


def test_the_source_named_first_wins_then_length_then_the_name(deduplicate, fates_of, invent) -> None:  # type: ignore[no-untyped-def]
    text = invent(random.Random(1), 120)
    copies = [{"doc_id": f"{source}:1", "text": text} for source in "abc"]
    assert fates_of(deduplicate(copies, source_priority=["c", "a"]))["c:1"] == "kept"
    assert fates_of(deduplicate(copies))["a:1"] == "kept"
    longer = [{"doc_id": "a:1", "text": text}, {"doc_id": "a:2", "text": text + " indeed"}]
    assert fates_of(deduplicate(longer)) == {"a:1": "dedup.near_duplicate", "a:2": "kept"}


def test_a_denied_document_takes_all_its_copies_along(deduplicate, fates_of, invent, variants) -> None:  # type: ignore[no-untyped-def]
    chance = random.Random(2)
    text, other = invent(chance, 150), invent(chance, 500)
    documents = [
        {"doc_id": "a:original", "text": text, "kind": "abstract", "pmid": "7"},
        {"doc_id": "b:copy", "text": variants["reformatted"](text, chance)},
        {"doc_id": "c:near", "text": variants["reworded"](text, chance, 0.01)},
        {"doc_id": "d:full", "text": other, "kind": "article", "pmid": "7"},
        {"doc_id": "e:near-full", "text": other + " stop", "kind": "article"},
        {"doc_id": "f:dose", "text": variants["redosed"](text, chance)},
        {"doc_id": "g:unlike", "text": invent(chance, 150)},
    ]
    for denied in ("a:original", "b:copy", "c:near", "d:full", "e:near-full"):
        found = fates_of(deduplicate(documents, denylist={denied}))
        assert {doc_id for doc_id, fate in found.items() if fate != "dedup.denied"} == {"f:dose", "g:unlike"}, denied
    assert fates_of(deduplicate(documents, denylist={"f:dose"}))["a:original"] != "dedup.denied"


def test_a_denied_patient_leaves_with_every_note(deduplicate, fates_of, invent) -> None:  # type: ignore[no-untyped-def]
    chance = random.Random(3)
    notes = [{"doc_id": f"n:{at}", "text": invent(chance, 60), "subject": f"p{at % 2}"} for at in range(6)]
    notes.append({"doc_id": "w:1", "text": notes[0]["text"] + " ", "subject": ""})
    found = fates_of(deduplicate(notes, denied_subjects={"p0", ""}))
    assert {doc_id for doc_id, fate in found.items() if fate == "dedup.denied"} == {"n:0", "n:2", "n:4", "w:1"}


def test_texts_are_read_for_candidates_alone(rows_of, invent) -> None:  # type: ignore[no-untyped-def]
    chance = random.Random(5)
    text = invent(chance, 100)
    documents = [{"doc_id": f"a:{at}", "text": invent(chance, 100)} for at in range(40)]
    documents += [{"doc_id": "b:0", "text": text}, {"doc_id": "b:1", "text": text + " more"}]
    rows, texts = rows_of(documents, MinHashConfig())
    read: list[int] = []

    def text_of(position: int) -> str:
        read.append(position)
        return str(texts[position])

    found = resolve(rows, DedupConfig(), text_of, WORDS.simple, numbers)
    assert found.counts["dedup.near_duplicate"] == 1
    assert sorted(read) == [40, 41]


def test_no_rows_are_no_trouble(rows_of) -> None:  # type: ignore[no-untyped-def]
    rows, _ = rows_of([], MinHashConfig())
    found = resolve(rows, DedupConfig(validation_fraction=0.1), str, WORDS.simple, numbers)
    assert len(found.table) == 0
    assert found.counts["documents"] == 0


def test_unsorted_rows_are_refused(rows_of) -> None:  # type: ignore[no-untyped-def]
    rows, _ = rows_of([{"doc_id": "a:1", "text": "x"}, {"doc_id": "a:2", "text": "y"}], MinHashConfig())
    with pytest.raises(AssertionError, match="sorted"):
        resolve(rows.take([1, 0]), DedupConfig(), str, WORDS.simple, numbers)


def test_chunks_of_the_table_do_not_matter(rows_of, invent, variants) -> None:  # type: ignore[no-untyped-def]
    rows, texts = rows_of(corpus(3, invent, variants), MinHashConfig())
    config = DedupConfig(validation_fraction=0.1)
    whole = resolve(rows, config, texts.__getitem__, WORDS.simple, numbers)
    cut = pa.concat_tables([rows.slice(0, 5), rows.slice(5, 0), rows.slice(5)])
    assert resolve(cut, config, texts.__getitem__, WORDS.simple, numbers).table.equals(whole.table)


@given(st.lists(st.sampled_from(["", "pain", "pain 5", "pain 5 mg of it now", "Pain"]), max_size=8))
@settings(max_examples=60, deadline=None)
def test_short_texts_keep_exactly_one_of_each_kind(rows_of, texts) -> None:  # type: ignore[no-untyped-def]
    rows, in_order = rows_of([{"doc_id": f"s:{at}", "text": text} for at, text in enumerate(texts)], MinHashConfig())
    found = resolve(rows, DedupConfig(), in_order.__getitem__, WORDS.simple, numbers)
    assert found.counts["kept"] == len({text.lower() for text in texts})


def test_two_hundred_thousand_rows_take_seconds() -> None:
    import time

    n = 200_000
    chance = np.random.default_rng(0)
    bands = chance.integers(0, 2**63, (n, 14), dtype=np.uint64)
    bands[1::50] = bands[0::50]
    ids = [f"s{at * 7 // n}:{at:07}" for at in range(n)]
    columns = {
        "doc_id": ids,
        "doc_key": pa.array([doc_key(doc_id) for doc_id in ids], pa.uint64()),
        "source": [doc_id[:2] for doc_id in ids],
        "kind": ["article"] * n,
        "subject": ["" if at % 9 else f"p{at % 999}" for at in range(n)],
        "pmid": [str(at // 3) if at % 5 == 0 else "" for at in range(n)],
        "pmcid": [""] * n,
        "doi": [""] * n,
        "text_hash": [f"{at - at % 2 if at % 40 < 2 else at:032x}" for at in range(n)],
        "n_chars": chance.integers(100, 9000, n),
        "bands": pa.FixedSizeListArray.from_arrays(bands.ravel(), 14).cast(pa.list_(pa.uint64())),
        "numbers": np.zeros(n, dtype=np.uint64),
        "n_shingles": np.full(n, 100, dtype=np.int32),
    }
    start = time.process_time()
    found = resolve(
        pa.table(columns),
        DedupConfig(validation_fraction=0.01),
        lambda position: f"w{position // 50} " * 9,
        WORDS.simple,
        numbers,
    )
    assert time.process_time() - start < 15
    assert found.counts["dedup.exact"] > 4000
    assert found.counts["dedup.near_duplicate"] > 1000
