"""Assembling: any cut into parts gives the same bytes, and books that do not close are refused by name."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests import assemble as module
from manifests import merge
from manifests.assemble import (
    RESOLUTION,
    TOKENS,
    assemble_documents,
    assemble_measures,
    assemble_placements,
    assemble_quarantine,
)
from manifests.errors import BuildError
from manifests.identity import doc_key
from manifests.merge import PartFile
from manifests.schema import DOCUMENTS, MEASURES, PLACEMENTS, QUARANTINE
from manifests.store import Store

_folders = itertools.count()


def memory() -> Store:
    return Store(f"memory://assemble-{next(_folders)}")


def row(doc_id: str, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {field.name: "" for field in DOCUMENTS}
    made |= {"doc_id": doc_id, "doc_key": doc_key(doc_id), "source": doc_id.split(":")[0], "kind": "article"}
    made |= {"year": 2020, "n_chars_raw": 10, "n_chars": 10, "n_tokens": None, "score": None, "fate": "kept"}
    made |= {"fate_value": None, "fate_threshold": None, "cluster_size": 1, "phi_count": 0, "epochs": 0, "unit": None}
    return made | {"restricted": False} | changes


def part(store: Store, path: str, rows: list[dict[str, Any]], schema: pa.Schema, **options: Any) -> PartFile:
    with store.writing(path) as stream:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), stream, **options)
    return PartFile(store, path)


def resolution(doc_id: str, **changes: Any) -> dict[str, Any]:
    made = {"doc_id": doc_id, "fate": "kept", "fate_value": None, "fate_threshold": None, "cluster_key": ""}
    return made | {"cluster_size": 1, "unit": 1, "split": "train"} | changes


def tokens(doc_id: str, n_tokens: int = 7, epochs: int = 2) -> dict[str, Any]:
    return {"doc_id": doc_id, "n_tokens": n_tokens, "epochs": epochs}


def assembled(store: Store, rows: list[list[dict[str, Any]]], decided: list[Any], counted: list[Any]) -> list[Any]:
    parts = [part(store, f"in/{i}.parquet", one, DOCUMENTS) for i, one in enumerate(rows)]
    assemble_documents(
        parts,
        [part(store, "resolution.parquet", decided, RESOLUTION)],
        [part(store, "tokens.parquet", counted, TOKENS)],
        store,
    )
    with store.reading("manifest/documents.parquet") as stream:
        found: list[Any] = pq.read_table(stream).to_pylist()
    return found


def test_three_passes_make_one_row() -> None:
    found = assembled(
        memory(),
        [
            [row("b:1"), row("b:3", fate="quality.too_few_words", fate_value=3.0, fate_threshold=50.0)],
            [row("a:1"), row("b:2"), row("c:1")],
        ],
        [
            resolution("a:1", cluster_key="a:1", cluster_size=2),
            resolution("b:1", fate="dedup.exact", cluster_key="a:1", cluster_size=2, split=""),
            resolution("b:2", split="validation"),
            resolution("c:1"),
        ],
        [tokens("a:1"), tokens("b:2", 5, 4), tokens("c:1", 9, 1)],
    )
    facts = [tuple(one[name] for name in ("doc_id", "fate", "n_tokens", "split", "epochs")) for one in found]
    assert facts == [
        ("a:1", "kept", 7, "train", 2),
        ("b:1", "dedup.exact", None, "", 0),
        ("b:2", "kept", 5, "validation", 0),
        ("b:3", "quality.too_few_words", None, "", 0),
        ("c:1", "kept", 9, "train", 1),
    ]
    assert found[1]["cluster_key"] == "a:1"
    assert found[3]["fate_value"] == 3.0
    assert found[0]["n_chars"] == 10


@settings(max_examples=25, deadline=None)
@given(
    ids=st.lists(st.text("abcé:9", min_size=1, max_size=5), unique=True, max_size=60),
    data=st.data(),
)
def test_bytes_do_not_depend_on_the_cut_into_parts(ids: list[str], data: st.DataObject) -> None:
    ids = sorted(ids)
    where = [data.draw(st.integers(0, 4)) for _ in ids]
    results = []
    for cut in ([0] * len(ids), where):
        store = memory()
        cuts = [[row(name) for name, place in zip(ids, cut, strict=True) if place == number] for number in range(5)]
        found = assembled(store, cuts, [resolution(name) for name in ids], [tokens(name) for name in ids])
        assert [one["doc_id"] for one in found] == ids
        results.append(store.read_bytes("manifest/documents.parquet"))
    assert results[0] == results[1]


def test_many_rows_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = sorted(f"s{i % 7}:{i * 7919 % 5000:05d}" for i in range(5000))
    whole = memory()
    assembled(whole, [[row(one) for one in ids]], [resolution(one) for one in ids], [tokens(one) for one in ids])
    monkeypatch.setattr(merge, "LEAST_BATCH", 17)
    monkeypatch.setattr(merge, "ROWS_IN_MEMORY", 64)
    monkeypatch.setattr(merge, "FAN_IN", 3)
    cut = memory()
    rows = [[row(one) for one in ids[start::13]] for start in range(13)]
    assembled(cut, rows, [resolution(one) for one in ids], [tokens(one) for one in ids])
    path = "manifest/documents.parquet"
    assert whole.read_bytes(path) == cut.read_bytes(path)


def test_row_groups_are_of_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manifests.write.ROW_GROUP_ROWS", 4)
    store = memory()
    assembled(store, [[row(f"a:{i}") for i in range(10)]], [resolution(f"a:{i}") for i in range(10)],
              [tokens(f"a:{i}") for i in range(10)])  # fmt: skip
    with store.reading("manifest/documents.parquet") as stream:
        metadata = pq.ParquetFile(stream).metadata
        assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [4, 4, 2]


@pytest.mark.parametrize(
    ("rows", "decided", "counted", "message"),
    [
        ([[row("a:1", raw_ref="1" * 64)], [row("a:1", raw_ref="2" * 64)]], [], [], "'a:1' was read twice.*1111.*2222"),
        ([[row("a:1")]], [], [], "pass 2 decided nothing about 'a:1'"),
        ([[row("a:1")]], [resolution("a:1")], [], "pass 3 did not tokenise 'a:1'"),
        ([[row("a:1", fate="clean.empty")]], [resolution("a:1")], [], "that pass 1 dropped: 'a:1'"),
        ([[row("a:1", fate="clean.empty")]], [], [tokens("a:1")], "was dropped: 'a:1'"),
        ([[row("a:2")]], [resolution("a:1"), resolution("a:2")], [tokens("a:2")], "pass 2 speaks of 'a:1'"),
        ([[row("a:2")]], [resolution("a:2")], [tokens("a:2"), tokens("a:3")], "pass 3 speaks of 'a:3'"),
        ([[row("a:2")]], [resolution("a:2"), resolution("a:2")], [tokens("a:2")], "'a:2' twice"),
        ([[row("a:2"), row("a:1")]], [], [], "in/0.parquet: a part of the manifest is not sorted by doc_id"),
    ],
)
def test_books_that_do_not_close_are_refused(rows: Any, decided: Any, counted: Any, message: str) -> None:
    store = memory()
    with pytest.raises(BuildError, match=message):
        assembled(store, rows, decided, counted)
    assert not store.exists("manifest/documents.parquet")


def test_second_records_of_an_id_stay_out_of_the_books() -> None:
    store = memory()
    first = part(store, "1.parquet", [row("a:1", year=2001), row("a:3")], DOCUMENTS)
    second = part(store, "2.parquet", [row("a:1", year=2002), row("a:2")], DOCUMENTS)
    assemble_documents(
        [first, PartFile(store, second.path, frozenset({"a:1"}))],
        [part(store, "resolution.parquet", [resolution(f"a:{i}") for i in (1, 2, 3)], RESOLUTION)],
        [part(store, "tokens.parquet", [tokens(f"a:{i}") for i in (1, 2, 3)], TOKENS)],
        store,
    )
    with store.reading("manifest/documents.parquet") as stream:
        found = pq.read_table(stream, columns=["doc_id", "year"]).to_pylist()
    assert [(one["doc_id"], one["year"]) for one in found] == [("a:1", 2001), ("a:2", 2020), ("a:3", 2020)]


def test_two_documents_with_one_key_are_named() -> None:
    store = memory()
    with pytest.raises(BuildError, match="'a:1' and 'b:1' have the same 64-bit key 0000000000000005"):
        assembled(store, [[row("a:1", doc_key=5), row("b:1", doc_key=5)]],
                  [resolution("a:1"), resolution("b:1")], [tokens("a:1"), tokens("b:1")])  # fmt: skip
    assert not store.exists("manifest/documents.parquet")


def test_a_part_that_is_no_parquet_file_is_named() -> None:
    store = memory()
    store.write_bytes("broken.parquet", b"PAR1 nothing")
    with pytest.raises(BuildError, match=r"broken\.parquet.*cut short"):
        assemble_documents([PartFile(store, "broken.parquet")], [], [], store)


def test_the_other_tables_merge_by_their_own_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "LEAST_BATCH", 2)
    monkeypatch.setattr(merge, "ROWS_IN_MEMORY", 2)
    store = memory()
    measures = [
        {"doc_id": f"a:{i}", "rule": rule, "measure": "words", "value": float(i)} for i in range(9) for rule in "xyz"
    ]
    placements = [
        {"doc_key": s * 100 + r, "epoch": 0, "shard": s, "row": r, "start": start, "length": 5}
        for s in range(3) for r in range(4) for start in (0, 5, 10)
    ]  # fmt: skip
    aside = [
        {"item": item, "source": source, "reason": "extract.corrupt", "detail": "", "raw_ref": ""}
        for source, item in [("a", "b"), ("a b", ""), ("ab", "a"), ("b", "a"), ("b", "b")]
    ]
    for schema, rows, merge_rows, path in (
        (MEASURES, measures, assemble_measures, module.MEASURES_FILE),
        (PLACEMENTS, placements, assemble_placements, module.PLACEMENTS_FILE),
        (QUARANTINE, aside, assemble_quarantine, module.QUARANTINE_FILE),
    ):
        parts = [part(store, f"{path}-{i}", rows[i::3], schema) for i in (2, 0, 1)]
        assert merge_rows(parts, store) == len(rows)
        with store.reading(path) as stream:
            assert pq.read_table(stream).to_pylist() == rows


def test_no_parts_make_an_empty_table(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert assemble_documents([], [], [], store) == 0
    assert pq.read_table(tmp_path / "manifest/documents.parquet").schema.equals(DOCUMENTS)
