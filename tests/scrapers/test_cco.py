"""Cancer Care Ontario: the list behind "Load more", guidance as PDF or page, and a site that keeps programs out."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from manifests.cards import find_card
from manifests.document import Document, Quarantined
from manifests.errors import RecipeError, SourceError
from manifests.identity import sha256_hex
from manifests.store import Store
from scrapers.guidelines.cco import LISTING, Loader, _record, record_number
from scrapers.http import Client
from scrapers.sample import site_cco
from scrapers.sample.guidance import written_guideline
from scrapers.sample.hard_html import HARD_HTML, HARD_TEXT
from scrapers.sample.plants import planted_guidelines
from scrapers.sample.server import SampleServer, file_name, serve
from scrapers.snapshot import read_items, read_snapshot
from scrapers.source import AcquireContext, Item, SourceConfig, load

NUMBER = re.compile(r"\d+(?:\.\d+)?")


PATH = "/en/guidelines-advice/types-of-cancer"
Captured = tuple[Store, dict[str, Any], list[Any]]


def config(**options: Any) -> SourceConfig:
    card = find_card("cco")
    given = {"delay_seconds": 0.0, **site_cco.OPTIONS["cco"], **options}
    return SourceConfig("cco", card.loader, card.kind, card.licence, min_listed=card.min_listed or 0, options=given)


def acquire(raw: Store, server: SampleServer, *, limit: int = 0, **options: Any) -> dict[str, Any]:
    http = {"contact": "curator@example.org", "routes": server.routes, "max_tries": 4}
    load(config(**options)).acquire(AcquireContext(raw, http, lambda *, done, total, note="": None, limit))
    return read_snapshot(raw)


def read(raw: Store, **options: Any) -> tuple[dict[str, Document], dict[str, str]]:
    loader = load(config(**options))
    found = [one for item in read_items(raw) for one in loader.read(item, raw, None)]
    kept = {one.doc_id: one for one in found if isinstance(one, Document)}
    return kept, {one.item: one.reason for one in found if isinstance(one, Quarantined)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    world = tmp_path_factory.mktemp("world")
    return world, site_cco.write(world, 7)["sources"]["cco"]


@pytest.fixture(scope="module")
def captured(site: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Captured:
    raw = Store(tmp_path_factory.mktemp("raw"))
    with serve(site[0]) as server:
        facts = acquire(raw, server)
        return raw, facts, server.requests


def test_all_that_was_planted_is_found(site: tuple[Path, dict[str, Any]], captured: Captured) -> None:
    truth, (raw, facts, _) = site[1], captured
    assert {item.item: item.sha256 for item in read_items(raw)} == truth["items"]
    kept, aside = read(raw)
    assert sorted(kept) == truth["documents"]
    aside |= {one["item"]: one["reason"] for one in facts["quarantined"]}
    assert aside == truth["aside"]


def test_duplicates_categories_other_hosts_and_traversal_are_counted(
    captured: Captured,
) -> None:
    counts = captured[1]["counts"]
    assert counts["listed_again"] == 1
    assert counts["links_elsewhere"] == 3
    asked = {(one.host, one.path) for one in captured[2]}
    assert {host for host, _ in asked} == {site_cco.HOST}
    assert not [path for _, path in asked if "admin" in path or "breast" in path or "30904/download" in path]


def test_429_with_seconds_and_date_503_and_a_cut_body_are_asked_again(
    captured: Captured,
) -> None:
    statuses = Counter(one.status for one in captured[2])
    assert (statuses[429], statuses[503]) == (2, 1)
    assert [one.whole for one in captured[2]].count(False) == 1


def test_the_pdf_keeps_what_the_page_said(captured: Captured) -> None:
    raw = captured[0]
    kept, _ = read(raw)
    guideline = written_guideline("cco", 7, 0)
    document = kept["cco:30011"]
    assert document.title == guideline.title
    assert document.text.startswith(f"# {guideline.title}\n")
    assert document.published == guideline.published[:7]
    assert document.url == f"{LISTING}/30011"
    (item,) = (one for one in read_items(raw) if one.item == "30011")
    meta = json.loads(item.meta)
    assert meta["version"].startswith("2 ")
    assert meta["id"] == "11-8"
    assert meta["authors"] == "A. Sample, B. Model, and the Invented Panel"
    wanted = Counter(NUMBER.findall(json.dumps([block.value for block in guideline.blocks], ensure_ascii=False)))
    assert not wanted - Counter(NUMBER.findall(document.text))


def test_a_guideline_without_pdf_is_its_page(captured: Captured) -> None:
    kept, _ = read(captured[0])
    guideline = written_guideline("cco", 7, 2)
    text = kept["cco:30085"].text
    assert HARD_TEXT in text
    for block in guideline.blocks:
        if block.kind == "paragraph":
            assert str(block.value) in text
    for furniture in ("Document Status", "Related Guidelines", "version 7", "376.82", "12 tips", "Types of cancer"):
        assert furniture not in text


def test_a_french_page_is_read_as_it_is(captured: Captured) -> None:
    kept, _ = read(captured[0])
    (french,) = (one for one in planted_guidelines("cps", 7, []) if one.plant == "french")
    (found,) = (one for one in kept.values() if one.title == french.title)
    assert all(str(block.value) in found.text for block in french.blocks)


def test_archived_and_in_review_are_kept_with_their_status(captured: Captured) -> None:
    raw = captured[0]
    kept, _ = read(raw)
    stated = {item.item: json.loads(item.meta).get("status") for item in read_items(raw)}
    assert "In Review" in stated.values()
    for number, status in stated.items():
        if f"cco:{number}" in kept:
            assert kept[f"cco:{number}"].document_status == ("archived" if status == "Archived" else "current")
    assert Counter(one.document_status for one in kept.values()) == {"current": 10, "archived": 1}
    assert all(one.family == f"cco:{key[-2:]}-8" for key, one in kept.items())


def test_golden_page(tmp_path: Path) -> None:
    golden = Path(__file__).parent / "golden"
    body = (golden / "cco.html").read_bytes().replace(b"<!-- HARD -->", HARD_HTML.encode())
    (tmp_path / "page").write_bytes(body)
    item = Item("64736", "page", sha256=sha256_hex(body), url=f"{LISTING}/64736")
    (found,) = Loader(config()).read(item, Store(tmp_path), None)
    assert isinstance(found, Document)
    assert found.text == (golden / "cco.md").read_text().rstrip("\n").replace("HARD", HARD_TEXT)
    assert (found.document_status, found.published) == ("archived", "2021-12")


def test_the_full_report_is_chosen_among_several_files() -> None:
    page = (Path(__file__).parent / "golden" / "cco.html").read_bytes()
    record = _record(page, f"{LISTING}/64736")
    assert record["pdf"] == "https://www.cancercareontario.ca/en/file/64736/download?token=abc"
    assert (record["version"], record["id"], record["status"]) == ("2 Dec 2021", "15-8 Nov 2011", "Archived")
    first = _record(page.replace(b"Full Report (PDF)", b"Summary (PDF)"), f"{LISTING}/64736")
    assert first["pdf"] == "https://www.cancercareontario.ca/en/file/9/download"


def test_pages_instead_of_pdfs(site: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    with serve(site[0]) as server:
        facts = acquire(Store(tmp_path), server, text="page", limit=3)
        assert facts["items"] == 3
        assert not [one for one in server.requests if one.path.startswith("/en/file/")]
    with pytest.raises(RecipeError, match="text is 'both'"):
        load(config(text="both"))


def test_a_trial_of_one_item_reads_one_page_of_the_list(site: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    with serve(site[0]) as server:
        acquire(Store(tmp_path), server, limit=1)
        assert len([one for one in server.requests if one.path != "/robots.txt" and one.status == 200]) <= 3


@pytest.mark.parametrize("status", [403, 200])
def test_the_challenge_page_says_what_to_install(status: int, tmp_path: Path) -> None:
    folder = tmp_path / "w" / site_cco.HOST
    folder.mkdir(parents=True)
    path = file_name("/en/guidelines-advice/types-of-cancer")
    (folder / path).write_text(site_cco.WAF_PAGE)
    if status == 403:
        fault = {"status": 403, "body": site_cco.WAF_PAGE}
        (folder / "_faults.json").write_text(json.dumps({"/en/guidelines-advice/types-of-cancer": [fault] * 9}))
    raw = Store(tmp_path / "raw")
    with serve(tmp_path / "w") as server, pytest.raises(SourceError, match=r"medtrove\[browser\].*fetcher") as caught:
        acquire(raw, server)
    assert "keeps programs out" in str(caught.value)
    assert not raw.exists("snapshot.json")


def test_a_changed_list_names_its_selector(tmp_path: Path) -> None:
    folder = tmp_path / "w" / site_cco.HOST
    folder.mkdir(parents=True)
    (folder / file_name("/en/guidelines-advice/types-of-cancer")).write_text("<html><body><p>New!</p></body></html>")
    with serve(tmp_path / "w") as server, pytest.raises(SourceError, match=r"types-of-cancer/'\] matched 0") as caught:
        acquire(Store(tmp_path / "raw"), server, min_expected=0)
    assert "at least 50" in str(caught.value)


def test_a_page_without_the_main_part_names_it(tmp_path: Path) -> None:
    body = b"<html><body><div class='new'><h1>T</h1><p>Text.</p></div></body></html>"
    (tmp_path / "page").write_bytes(body)
    (found,) = Loader(config()).read(Item("1", "page", url=f"{LISTING}/1"), Store(tmp_path), None)
    assert isinstance(found, Quarantined)
    assert "[role=main]" in found.detail


def test_addresses_outside_are_no_guidance() -> None:
    for link in (
        "https://evil.example.org/en/guidelines-advice/types-of-cancer/1",
        f"{LISTING}/breast",
        f"{LISTING}/../types-of-cancer/1",
        f"{LISTING}/%2e%2e/1",
        "javascript:alert(1)",
    ):
        assert record_number(link) == ""


@pytest.mark.parametrize("after", [3, 14])
def test_an_interrupted_run_goes_on(
    after: int,
    site: tuple[Path, dict[str, Any]],
    captured: Captured,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, n = Client.get, 0

    def limited(self: Client, *rest: Any, **more: Any) -> Any:
        nonlocal n
        n += 1
        if n > after:
            raise KeyboardInterrupt
        return real(self, *rest, **more)

    raw = Store(tmp_path / "raw")
    with serve(site[0]) as server:
        with monkeypatch.context() as patch:
            patch.setattr(Client, "get", limited)
            with pytest.raises(KeyboardInterrupt):
                acquire(raw, server)
        assert not raw.exists("snapshot.json")
        assert acquire(raw, server)["digest"] == captured[1]["digest"]
        whole = Counter(one.path for one in server.requests if one.status == 200 and one.whole)
    # What is no document today may be one tomorrow; 30902 leads to the page of 30011.
    tomorrow = {f"{PATH}/30905", "/en/file/30903/download?token=s4mpl3", f"{PATH}/30011"}
    assert {path for path, times in whole.items() if times > 1} <= {"/robots.txt", *tomorrow}
