"""Practice guidelines of PubMed: search, ID converter, licence, text; what became of a guideline since."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from manifests.cards import find_card
from manifests.document import Document, Quarantined
from manifests.errors import SourceError
from manifests.store import Store
from scrapers import eutils
from scrapers.guidelines.pubmed_guidelines import TERM
from scrapers.sample import host_pmc
from scrapers.sample import site_pubmed_guidelines as site
from scrapers.sample.host_eutils import EutilsHost
from scrapers.sample.server import Request, file_name, serve
from scrapers.sample.tree import Tree
from scrapers.snapshot import SNAPSHOT_FILE, read_items, read_snapshot
from scrapers.source import AcquireContext, SourceConfig, load

SEED = 7


def config(**options: Any) -> SourceConfig:
    options = {"delay_seconds": 0.0, "min_expected": 5, **options}
    return SourceConfig(site.SOURCE, "pubmed_guidelines", "guideline", "per-document", options=options)


def acquire(made: SourceConfig, world: Path, raw: Store, *, limit: int = 0) -> list[Request]:
    with serve(world) as server:
        http = {"contact": "curator@example.org", "routes": server.routes, "max_tries": 2}
        load(made).acquire(AcquireContext(raw, http, lambda *, done, total, note="": None, limit))
        return server.requests


def read_all(made: SourceConfig, raw: Store) -> tuple[dict[str, Document], dict[str, str]]:
    found = [one for item in read_items(raw) for one in load(made).read(item, raw, None)]
    documents = {one.doc_id: one for one in found if isinstance(one, Document)}
    return documents, {one.item: one.reason for one in found if isinstance(one, Quarantined)}


def doc_id(n: int) -> str:
    return f"{site.SOURCE}:{site.guideline(SEED, n).pmcid}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    for name in (host_pmc.HOST, eutils.HOST):
        tree = Tree(folder, name)
        tree.put("/robots.txt", "User-agent: *\nDisallow:\n")
    return folder


Run = tuple[Store, list[str], dict[str, Any]]


@pytest.fixture(scope="module")
def run(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    truth = site.write(world, SEED)["sources"][site.SOURCE]
    raw = Store(tmp_path_factory.mktemp("raw"))
    requests = acquire(config(), world, raw)
    return raw, [request.path for request in requests], truth


def test_the_snapshot_holds_what_was_planted_and_reading_gives_the_documents(run: Run) -> None:
    raw, _, truth = run
    assert {item.item: item.sha256 for item in read_items(raw)} == truth["items"]
    documents, quarantined = read_all(config(), raw)
    assert sorted(documents) == truth["documents"]
    aside = {entry["item"]: entry["reason"] for entry in read_snapshot(raw)["quarantined"]}
    assert {**aside, **quarantined} == truth["aside"]
    for document in documents.values():
        assert document.kind == "guideline"
        assert document.pmid
        assert document.licence.startswith("CC-BY")


def test_each_step_is_asked_in_its_order_and_ids_are_converted_together(run: Run) -> None:
    asked = run[1]
    steps = ("esearch.fcgi?db=pubmed", "/tools/idconv/", "efetch.fcgi?db=pubmed", "/?list-type=2", "/metadata/", ".xml")
    first = [next(n for n, path in enumerate(asked) if step in path) for step in steps]
    assert first == sorted(first)
    assert len([path for path in asked if "/tools/idconv/" in path]) == 1


def test_a_pmcid_that_begins_another_is_listed_with_its_dot(run: Run) -> None:
    raw, asked, _ = run
    short, long = site.guideline(SEED, 0).pmcid, site.guideline(SEED, site.GUIDELINES - 1).pmcid
    assert long.startswith(short)
    for pmcid in (short, long):
        assert f"/?list-type=2&prefix={pmcid}.&delimiter=/" in asked
        assert pmcid in {item.item for item in read_items(raw)}


def test_the_published_version_counts_and_not_the_manuscript(run: Run) -> None:
    documents, _ = read_all(config(), run[0])
    assert "submitted version" not in documents[doc_id(site._MANUSCRIPT)].title


def test_a_non_commercial_guideline_is_fetched_only_where_the_recipe_says_so(
    run: Run, world: Path, tmp_path: Path
) -> None:
    pmcid = site.guideline(SEED, site._NC).pmcid
    assert not [path for path in run[1] if path.startswith(f"/{pmcid}.")]
    raw = Store(tmp_path)
    acquire(config(use="non-commercial"), world, raw)
    assert read_all(config(use="non-commercial"), raw)[0][doc_id(site._NC)].licence == "CC-BY-NC-4.0"


def test_a_later_update_and_both_kinds_of_retraction_are_the_documents_status(run: Run) -> None:
    documents, _ = read_all(config(), run[0])
    told = {key: document.document_status for key, document in documents.items()}
    assert told[doc_id(site._UPDATED)] == "superseded"
    oldest = min(site.guideline(SEED, site._UPDATED).pmid, site._UPDATE, key=int)
    assert {document.family for document in documents.values()} == {"", f"pubmed:{oldest}"}
    assert documents[doc_id(site._UPDATED)].family
    assert told[doc_id(site._RETRACTED)] == "retracted"
    assert told[doc_id(site._RETRACTED_BY_PUBMED)] == "retracted"
    assert list(told.values()).count("current") == len(told) - 3


def test_a_record_without_pmcid_and_one_withdrawn_from_the_bucket_are_told(run: Run) -> None:
    raw, _, _ = run
    aside = {entry["item"]: entry["detail"] for entry in read_snapshot(raw)["quarantined"]}
    assert "no PMCID" in aside[f"PMID{site._WITHOUT_PMCID}"]
    assert "no article of this PMCID" in aside[site.guideline(SEED, site._WITHDRAWN).pmcid]
    assert read_snapshot(raw)["counts"]["idconv_without_pmcid"] == 1


def test_text_of_a_guideline_is_exactly_what_its_xml_says(run: Run) -> None:
    documents, _ = read_all(config(), run[0])
    document = documents[doc_id(0)]
    made = site.guideline(SEED, 0)
    assert document.title == made.title.rstrip(".")
    assert document.doi == made.doi
    assert document.url == f"https://pmc.ncbi.nlm.nih.gov/articles/{made.pmcid}/"
    for row in (row for section in made.sections for row in section.table):
        assert "| " + " | ".join(row) + " |" in document.text


def test_a_trial_takes_one_and_asks_for_few(world: Path, run: Run, tmp_path: Path) -> None:
    raw = Store(tmp_path)
    asked = [request.path for request in acquire(config(), world, raw, limit=1)]
    assert len(read_items(raw)) == 1
    assert len([path for path in asked if "/metadata/" in path]) <= 3


def test_a_search_that_finds_too_few_names_the_term(tmp_path: Path) -> None:
    hosts = EutilsHost(tmp_path / "world")
    hosts.search("pubmed", TERM, ["1", "2"])
    hosts.close()
    with pytest.raises(SourceError, match="Practice Guideline") as told:
        acquire(config(), tmp_path / "world", Store(tmp_path / "raw"))
    assert "2 documents, at least 5" in str(told.value)
    assert not (tmp_path / "raw" / SNAPSHOT_FILE).exists()


def test_records_that_are_no_xml_are_an_error_and_not_a_world_without_retractions(
    world: Path, run: Run, tmp_path: Path
) -> None:
    hosts = EutilsHost(tmp_path / "world")
    hosts.search("pubmed", "x", ["5"])
    hosts.pmcids({"5": "PMC5"}, ["5"])
    hosts.fetch("pubmed", ["5"], "<html><title>Error</title></html>")
    hosts.close()
    with pytest.raises(SourceError):
        acquire(config(term="x", min_expected=1), tmp_path / "world", Store(tmp_path / "raw"))


def test_the_world_is_the_same_bytes_again(tmp_path: Path) -> None:
    def digest(folder: Path) -> str:
        site.write(folder, SEED)
        files = {str(path.relative_to(folder)): path.read_bytes().hex() for path in folder.rglob("*") if path.is_file()}
        return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()

    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_the_card_counts_what_the_hub_card_counts() -> None:
    card = find_card(site.SOURCE)
    assert (card.expected_documents, card.loader, card.kind) == (1627, "pubmed_guidelines", "guideline")
    assert card.min_listed == 800


def test_faults_of_the_bucket_stay_when_guidelines_are_written_into_it(tmp_path: Path) -> None:
    host_pmc.write_pmc(tmp_path, SEED)
    before = (tmp_path / host_pmc.HOST / "_faults.json").read_bytes()
    site.write(tmp_path, SEED)
    assert (tmp_path / host_pmc.HOST / "_faults.json").read_bytes() == before
    assert (tmp_path / host_pmc.HOST / file_name(f"/metadata/{site.guideline(SEED, 0).pmcid}.1.json")).exists()
