"""Explain, show and list: the answers are the manifest's, unknown names get the nearest, nothing restricted is told."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console, RenderableType

from manifests.build import mixture
from manifests.errors import RecipeError
from manifests.explain import explain, render_explain
from manifests.query import list_documents, render_documents
from manifests.show import render_show, show
from manifests.sides import SIDES
from manifests.store import Store


@pytest.fixture(scope="module")
def rows(true_build: Store) -> list[dict[str, Any]]:
    with true_build.reading("manifest/documents.parquet") as stream:
        found: list[dict[str, Any]] = pq.read_table(stream).to_pylist()
    return found


def printed(what: RenderableType, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(what)
    return console.export_text()


def pick(rows: list[dict[str, Any]], **conditions: Any) -> dict[str, Any]:
    return next(row for row in rows if all(row[key] == value for key, value in conditions.items()))


def test_explain_a_trained_document_places_all_its_tokens(true_build: Store, rows: list[dict[str, Any]]) -> None:
    row = pick(rows, source="guides", split="train", epochs=3)
    found = explain(true_build, row["doc_id"])
    assert found["sentence"] == "Kept, and in the training shards 3 times."
    assert found["training"]["stored_tokens"] == 3 * row["n_tokens"]
    assert found["training"]["n_placements"] >= 3
    with true_build.reading("manifest/placements.parquet") as stream:
        places = [one for one in pq.read_table(stream).to_pylist() if one["doc_key"] == row["doc_key"]]
    assert sum(place["length"] for place in places) == found["training"]["stored_tokens"]
    assert found["training"]["n_placements"] == len(places)
    first = found["training"]["placements"][0]
    text = printed(render_explain(found))
    assert f"epoch 0: shard {first['shard']}, row {first['row']}" in text
    assert row["title"] in text
    assert json.loads(json.dumps(found)) == found


def test_explain_a_dropped_document_names_rule_value_and_threshold(
    true_build: Store, rows: list[dict[str, Any]]
) -> None:
    row = pick(rows, fate="quality.too_few_words")
    found = explain(true_build, row["doc_id"])
    assert found["sentence"].startswith("Dropped at quality: Fewer words than the source's minimum (")
    assert "threshold 10" in found["sentence"]
    assert found["fate"] == "quality.too_few_words"
    assert found["fate_threshold"] == 10
    by_rule = {rule["rule"]: rule for rule in found["rules"]}
    assert by_rule["quality.words"]["outcome"] == "dropped"
    assert by_rule["quality.words"]["measures"] == {"words": row["fate_value"]}
    assert by_rule["quality.words"]["parameters"] == {"min_words": 10}
    assert found["training"]["placements"] == []
    assert "not reached" not in printed(render_explain(found))


def test_explain_a_duplicate_names_its_cluster(true_build: Store, rows: list[dict[str, Any]]) -> None:
    row = next(row for row in rows if row["fate"].startswith("dedup."))
    cluster = explain(true_build, row["doc_id"])["cluster"]
    members = [one["doc_id"] for one in rows if one["cluster_key"] == row["cluster_key"]]
    assert [member["doc_id"] for member in cluster["members"]] == members
    kept = pick(rows, doc_id=cluster["representative"])
    assert kept["fate"] == "kept"
    assert cluster["representative"] in explain(true_build, row["doc_id"])["sentence"]


def test_rules_after_the_drop_are_not_reached(true_build: Store, rows: list[dict[str, Any]], tools: Any) -> None:
    from manifests.explain import _dropping_rule

    names = ["source.status", "language.allowed", "quality.words", "quality.repetition", "site:rule"]
    assert _dropping_rule(names, "quality.repeated_lines", {"quality.words": {}, "quality.repetition": {}}) == names[3]
    assert _dropping_rule(names, "quality.too_few_words", {"quality.words": {}}) == names[2]
    assert _dropping_rule(names, "custom.odd", {}) == names[4]
    assert _dropping_rule(names, "kept", {}) == ""


@pytest.mark.parametrize(
    ("asked", "near"),
    [("guids:000000", "guides:000000"), ("000000", "guides:000000"), ("papers:0079", "papers:007919")],
)
def test_an_unknown_id_gets_the_nearest(true_build: Store, asked: str, near: str) -> None:
    with pytest.raises(RecipeError, match=near):
        explain(true_build, asked)


def test_a_restricted_document_tells_no_title_and_no_patient(true_build: Store, rows: list[dict[str, Any]]) -> None:
    row = pick(rows, source="wards", fate="kept")
    found = explain(true_build, row["doc_id"])
    assert found["document"]["title"] == ""
    assert "patient-" not in json.dumps(found)
    assert "restricted" in printed(render_explain(found))


def test_list_counts_what_fits_and_shows_the_first(true_build: Store, rows: list[dict[str, Any]]) -> None:
    found = list_documents(true_build, source="papers", fate="kept", limit=5)
    fitting = [row["doc_id"] for row in rows if row["source"] == "papers" and row["fate"] == "kept"]
    assert found["matching"] == len(fitting)
    assert [one["doc_id"] for one in found["documents"]] == fitting[:5]
    assert f"5 of {len(fitting)} documents" in printed(render_documents(found))


@pytest.mark.parametrize(
    ("fate", "fits"),
    [
        ("kept", lambda fate: fate == "kept"),
        ("dropped", lambda fate: fate != "kept"),
        ("dedup", lambda fate: fate.startswith("dedup.")),
        ("phi.direct_identifier", lambda fate: fate == "phi.direct_identifier"),
        ("decontaminate.medqa", lambda fate: fate == "decontaminate.medqa"),
    ],
)
def test_list_by_fate_or_stage(true_build: Store, rows: list[dict[str, Any]], fate: str, fits: Any) -> None:
    assert list_documents(true_build, fate=fate)["matching"] == sum(1 for row in rows if fits(row["fate"])) > 0


def test_list_by_shard_is_what_the_placements_say(true_build: Store, rows: list[dict[str, Any]]) -> None:
    with true_build.reading("manifest/placements.parquet") as stream:
        places = pq.read_table(stream).to_pylist()
    keys = {place["doc_key"] for place in places if place["shard"] == 2}
    wanted = [row["doc_id"] for row in rows if row["doc_key"] in keys]
    found = list_documents(true_build, shard=2, limit=1000)
    assert [one["doc_id"] for one in found["documents"]] == wanted
    assert found["matching"] == len(wanted)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"fate": "dedup.exakt"}, "Did you mean 'dedup.exact'"),
        ({"source": "guide"}, "Did you mean 'guides'"),
        ({"shard": 99}, "no shard called '99'"),
        ({"split": "valid"}, "Did you mean 'validation'"),
    ],
)
def test_list_refuses_what_is_not_there(true_build: Store, filters: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        list_documents(true_build, **filters)


@pytest.mark.parametrize("what", SIDES)
def test_every_side_fits_a_screen_and_is_plain(true_build: Store, what: str) -> None:
    found = show(true_build, what)
    assert json.loads(json.dumps(found)) == found
    text = printed(render_show(what, found))
    assert all(table["title"] in text for table in found["tables"])
    assert len(text.splitlines()) < 40
    assert "patient-" not in text
    assert "On the note" not in text


def test_an_unknown_side_gets_the_nearest(true_build: Store) -> None:
    with pytest.raises(RecipeError, match="Did you mean 'licences'"):
        show(true_build, "licenses")


def table(build: Store, what: str, number: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = show(build, what)["tables"][number]["rows"]
    return found


def test_licences_share_effective_tokens(true_build: Store, rows: list[dict[str, Any]]) -> None:
    effective: Counter[str] = Counter()
    for row in rows:
        effective[row["licence"]] += (row["n_tokens"] or 0) * row["epochs"]
    found = {row["licence"]: row for row in table(true_build, "licences")}
    assert {name: row["effective"] for name, row in found.items()} == dict(effective)
    assert sum(row["share"] for row in found.values()) == pytest.approx(1)
    assert found["CC-BY-NC-4.0"]["use"] == "noncommercial"
    assert found["LicenseRef-PhysioNet-Credentialed"]["use"] == "restricted"


def test_drops_and_identifiers_hide_small_cells_of_restricted_sources(
    true_build: Store, rows: list[dict[str, Any]]
) -> None:
    hit = sum(1 for row in rows if row["fate"] == "phi.direct_identifier")
    assert 0 < hit < 11
    drops = {row["reason"]: row for row in table(true_build, "drops")}
    assert drops["phi.direct_identifier"]["wards"] == drops["phi.direct_identifier"]["all"] == "<11"
    assert drops["quality.too_few_words"]["papers"] == sum(
        1 for row in rows if row["fate"] == "quality.too_few_words" and row["source"] == "papers"
    )
    identifiers = {row["source"]: row for row in table(true_build, "phi")}
    assert identifiers["wards"]["drop"] == identifiers["wards"]["findings"] == "<11"
    assert identifiers["wards"]["keep"] == "the rest"


def test_mix_puts_unique_beside_effective(true_build: Store) -> None:
    found = {row["source"]: row for row in table(true_build, "mix")}
    for row in mixture(true_build)["sources"]:
        shown = found[row["source"]]
        assert shown["effective_tokens"] == row["effective_tokens"] >= shown["unique_tokens"]
        assert shown["points"] == row["realised_share"] - row["target_share"]


def test_cluster_sizes_count_documents(true_build: Store, rows: list[dict[str, Any]]) -> None:
    sizes = Counter(row["cluster_size"] for row in rows if row["cluster_key"])
    assert {row["size"]: row["documents"] for row in table(true_build, "dedup", 1)} == dict(sizes)
