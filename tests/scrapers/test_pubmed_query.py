"""PubMed by topic: what a search finds, through E-utilities, and not one record more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from manifests.document import Document, Quarantined
from manifests.errors import RecipeError, SourceError
from manifests.store import Store
from scrapers import eutils
from scrapers.sample.host_eutils import EutilsHost
from scrapers.sample.literature import FIRST_PMID, abstract
from scrapers.sample.medline_xml import medline_file
from scrapers.sample.server import serve
from scrapers.snapshot import read_items, read_snapshot
from scrapers.source import AcquireContext, SourceConfig, load

QUERY = "sepsis[mesh] AND guideline[pt]"
RECORDS = [abstract(3, n) for n in range(250)]
BOOK = "<PubmedBookArticle><BookDocument><PMID>90009999</PMID></BookDocument></PubmedBookArticle></PubmedArticleSet>"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scrapers.http.backoff_seconds", lambda tries, *, delay_seconds: 0.01)


def config(**options: Any) -> SourceConfig:
    chosen = {"delay_seconds": 0.0, "query": QUERY, **options}
    return SourceConfig("pubmed", "pubmed_query", "abstract", "LicenseRef-test", options=chosen)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """250 records in two replies: the second lacks one and holds a book instead; a title without abstract."""
    hosts = EutilsHost(tmp_path / "world")
    found = [record.pmid for record in RECORDS] + ["90009999"]
    hosts.search("pubmed", QUERY, found)
    hosts.search("pubmed", QUERY, [], count=len(found), retmax=0)
    hosts.search("pubmed", "zzz", [], retmax=0)
    records = [replace(RECORDS[0], sections=()), *RECORDS[1:]]
    hosts.fetch("pubmed", found[:200], medline_file(records[:200]), {"status": 503})
    second = medline_file(records[201:]).replace(b"</PubmedArticleSet>", BOOK.encode())
    hosts.fetch("pubmed", found[200:], second)
    hosts.close()
    return tmp_path / "world"


def acquire(world: Path, raw: Store, made: SourceConfig) -> list[str]:
    with serve(world) as server:
        http = {"contact": "curator@example.org", "routes": server.routes, "max_tries": 2}
        load(made).acquire(AcquireContext(raw, http, lambda *, done, total, note="": None))
        return [one.path for one in server.requests if one.path != "/robots.txt"]


def test_a_topic_is_searched_fetched_and_read(world: Path, tmp_path: Path) -> None:
    raw = Store(tmp_path / "raw")
    asked = acquire(world, raw, config())
    assert len(asked) == 5  # count, search, two replies, one of them again
    assert acquire(world, raw, config()) == []
    items = read_items(raw)
    assert [item.item for item in items] == [f"{FIRST_PMID}-{FIRST_PMID + 199}", f"{FIRST_PMID + 200}-90009999"]
    found = [one for item in items for one in load(config()).read(item, raw, None)]
    ids = [one.doc_id for one in found if isinstance(one, Document)]
    assert ids == [f"pubmed:{record.pmid}" for n, record in enumerate(RECORDS) if n not in (0, 200)]
    aside = [(one.reason, one.detail) for one in found if isinstance(one, Quarantined)]
    assert aside == [
        ("extract.not_a_document", "Records of this file that have a title and no abstract: 1."),
        ("extract.not_a_document", "Records of this file that have a title and no abstract: 1."),
        ("extract.not_fetched", "Of this reply ids that no record came for: 1."),
    ]
    # Documents, a title, a missing one and a book: every id that was asked for.
    assert len(ids) + 3 == len(RECORDS) + 1
    assert read_snapshot(raw)["quarantined"] == []


def test_an_error_in_the_reply_is_put_aside_not_read_as_empty(world: Path, tmp_path: Path) -> None:
    ids = [record.pmid for record in RECORDS[:200]]
    hosts = EutilsHost(world)
    hosts.fetch(
        "pubmed", ids, '<?xml version="1.0"?><eFetchResult><ERROR>Cannot process ID list</ERROR></eFetchResult>'
    )
    raw = Store(tmp_path / "raw")
    acquire(world, raw, config())
    first = read_items(raw)[0]
    [aside] = load(config()).read(first, raw, None)
    assert isinstance(aside, Quarantined)
    assert "Cannot process ID list" in aside.detail


@pytest.mark.parametrize(("options", "words"), [({"query": "zzz"}, "finds 0 records"), ({"max_records": 99}, "251")])
def test_nothing_and_too_much_are_errors(world: Path, tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        acquire(world, Store(tmp_path / "raw"), config(**options))


def test_a_recipe_without_a_query_is_an_error() -> None:
    with pytest.raises(RecipeError, match="there is no query"):
        load(config(query=" "))


def test_the_address_names_the_query_and_who_asks(world: Path, tmp_path: Path) -> None:
    asked = acquire(world, Store(tmp_path / "raw"), config())
    assert all("tool=medtrove" in path and "email=curator%40example.org" in path for path in asked)
    assert eutils.search_url("pubmed", QUERY).endswith(
        "sepsis%5Bmesh%5D%20AND%20guideline%5Bpt%5D&retmode=json&retmax=9999"
    )
