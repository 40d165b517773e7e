"""Infectious Diseases Society of America: rows with a standing, pages of three makes, and doors told from advice."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from manifests.cards import find_card
from manifests.document import Document, Quarantined
from manifests.errors import SourceError
from manifests.identity import sha256_hex
from manifests.store import Store
from scrapers.guidelines.idsa import ROOT, Loader, guideline_slug, stub
from scrapers.sample import site_idsa
from scrapers.sample.guidance import written_guideline
from scrapers.sample.hard_html import HARD_TEXT
from scrapers.sample.server import SampleServer, serve
from scrapers.sample.tree import Tree
from scrapers.snapshot import read_items, read_snapshot
from scrapers.source import AcquireContext, Item, SourceConfig, load

GOLDEN = Path(__file__).with_name("golden")
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def config(**options: Any) -> SourceConfig:
    card = find_card("idsa")
    given = {"delay_seconds": 0.0, **site_idsa.OPTIONS["idsa"], **options}
    return SourceConfig("idsa", card.loader, card.kind, card.licence, min_listed=card.min_listed or 0, options=given)


def acquire(raw: Store, server: SampleServer, *, limit: int = 0, **options: Any) -> dict[str, Any]:
    http = {"contact": "curator@example.org", "routes": server.routes, "max_tries": 4}
    load(config(**options)).acquire(AcquireContext(raw, http, lambda *, done, total, note="": None, limit))
    return read_snapshot(raw)


def read(raw: Store) -> tuple[dict[str, Document], dict[str, str]]:
    found = [one for item in read_items(raw) for one in load(config()).read(item, raw, None)]
    kept = [one for one in found if isinstance(one, Document)]
    assert len({one.doc_id for one in kept}) == len(kept)
    return {one.doc_id: one for one in kept}, {one.item: one.reason for one in found if isinstance(one, Quarantined)}


def page(tmp_path: Path, body: str, **meta: str) -> Document | Quarantined:
    (tmp_path / "page").write_text(body, encoding="utf-8")
    known = json.dumps({"title": "T", "year": "2019", "status": "current", **meta})
    url = "https://www.idsociety.org/practice-guideline/fever/"
    (found,) = Loader(config()).read(
        Item("fever", "page", sha256=sha256_hex(body.encode()), url=url, meta=known), Store(tmp_path), None
    )
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    world = tmp_path_factory.mktemp("world")
    return world, site_idsa.write(world, 7)["sources"]["idsa"]


@pytest.fixture(scope="module")
def captured(
    site: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Store, dict[str, Any], list[Any]]:
    raw = Store(tmp_path_factory.mktemp("raw"))
    with serve(site[0]) as server:
        return raw, acquire(raw, server), server.requests


def test_what_was_planted_is_what_comes(site: Any, captured: Any) -> None:
    raw, facts, _ = captured
    kept, aside = read(raw)
    assert {item.item: item.sha256 for item in read_items(raw)} == site[1]["items"]
    assert sorted(kept) == site[1]["documents"]
    assert {one["item"]: one["reason"] for one in facts["quarantined"]} | aside == site[1]["aside"]


def test_three_standings(captured: Any) -> None:
    raw, facts, requests = captured
    kept, _ = read(raw)
    planned = [one.path for one in requests if "planned" in one.path]
    assert (facts["counts"]["in_development"], planned) == (2, [])
    for n in range(site_idsa.N_GUIDELINES):
        one = written_guideline("idsa", 7, n)
        found = kept[f"idsa:{one.slug}"]
        assert (found.document_status, found.published) == (one.status, one.published[:4])
    assert {one.document_status for one in kept.values()} == {"current", "archived"}


def test_no_number_is_lost_and_no_furniture_kept(captured: Any) -> None:
    kept, _ = read(captured[0])
    for n in range(site_idsa.N_GUIDELINES):
        guideline = written_guideline("idsa", 7, n)
        text = kept[f"idsa:{guideline.slug}"].text
        wanted = Counter[str]()
        for block in guideline.blocks:
            if block.kind != "reference":
                wanted.update(NUMBER.findall(str(block.value)))
        assert not wanted - Counter(NUMBER.findall(text)), guideline.title
        for furniture in ("Section 77", "33 shares", "55 times", "Back to top", "13,000", "suite 300", "base64"):
            assert furniture not in text


def test_hard_html_keeps_thresholds_links_strengths_and_tables(captured: Any) -> None:
    assert any(HARD_TEXT in one.text for one in read(captured[0])[0].values())


def test_a_french_page_keeps_its_letters(captured: Any) -> None:
    assert "Chez l’enfant de moins de 5 ans" in read(captured[0])[0]["idsa:conseil"].text


def test_everybody_is_asked_politely_and_nobody_else(captured: Any) -> None:
    requests = captured[2]
    assert {one.host for one in requests} == {site_idsa.HOST}
    assert not [one.path for one in requests if "/members-" in one.path or "/account" in one.path]
    moments = [one.moment for one in requests]
    assert moments[-1] - moments[0] > 0.7 * 0.02 * (len(moments) - 1)
    assert [one.status for one in requests if one.path == site_idsa.LIST] == [429, 429, 200]  # seconds, then a date


def test_a_trial_asks_for_the_list_and_one_page(site: Any, tmp_path: Path) -> None:
    with serve(site[0]) as server:
        assert acquire(Store(tmp_path), server, limit=1)["items"] == 1
        assert len({one.path for one in server.requests}) == 3  # with robots.txt


def test_golden_page(tmp_path: Path) -> None:
    found = page(tmp_path, (GOLDEN / "idsa.html").read_text(), status="archived")
    assert isinstance(found, Document)
    assert found.text + "\n" == (GOLDEN / "idsa.md").read_text()
    assert (found.doc_id, found.title, found.published) == ("idsa:fever", "Fever after travel", "2019")
    assert (found.document_status, found.licence) == ("archived", "LicenseRef-IDSA")
    assert found.counts == {
        "extract.citation_marks": 1, "extract.contents": 1, "extract.dropped_by_selector": 4,
        "extract.navigation": 1, "extract.references": 1, "extract.outside_content_characters": 29,
        "extract.outside_content_digits": 2,
    }  # fmt: skip


DOOR = "The guideline was written by a panel of 14 members for clinicians who see fever after travel. "


@pytest.mark.parametrize(
    ("text", "is_stub"),
    [
        (DOOR + "Full text", True),
        (DOOR * 40 + "It was published in the journal.", True),
        (DOOR + "Outdated: it should be used for historical purposes only. Download PDF", True),
        (DOOR + "Questions should be sent to the office. View the guideline", True),
        ("This new guideline is currently in development and will come.", True),
        ("Soon.", True),
        (DOOR, False),
        (DOOR * 120 + "It was published in the journal.", False),
        (DOOR + "Full text. We suggest testing all who return.", False),
        (DOOR + "Full text. Velorimab is not recommended below 5 years.", False),
        (DOOR + "Published in the journal. Give 10 mg/kg once.", False),
        ("Children should not receive velorimab.", False),
    ],
    ids=["full-text", "longer", "historical", "office", "development", "5-chars", "no-pointer", "long",
         "suggests", "recommended", "dose", "short-advice"],
)  # fmt: skip
def test_doors_are_told_from_short_advice_by_what_they_say(text: str, is_stub: bool) -> None:
    assert bool(stub(f"# Fever\n\n{text}")) is is_stub


def test_a_page_of_an_unknown_make_names_the_containers(tmp_path: Path) -> None:
    found = page(tmp_path, "<html><body><article>" + "<p>Give 5 mg to all adults daily.</p>" * 30 + "</article></body>")
    assert isinstance(found, Quarantined)
    assert found.reason == "extract.unknown_format"
    assert all(selector in found.detail for selector in ROOT)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("<div class='az'><ul><li><a href='/practice-guideline/x/'>X</a></li></ul></div>", r"\.alpha-listing is not"),
        ("<div class='alpha-listing'><ul><li><a href='/practice-guideline/x/'>X</a></li></ul></div>",
         r"\.alpha-listing li a\.list-pages__link matched 0"),
    ],
    ids=["no-list", "no-links"],
)  # fmt: skip
def test_a_changed_list_is_an_error_that_names_the_selector(body: str, named: str, tmp_path: Path) -> None:
    host = Tree(tmp_path / "w", site_idsa.HOST)
    host.put(site_idsa.LIST, f"<html><body>{body}</body></html>")
    host.close()
    with serve(tmp_path / "w") as server, pytest.raises(SourceError, match=named):
        acquire(Store(tmp_path / "raw"), server)
    assert not (tmp_path / "raw" / "snapshot.json").exists()


def test_fewer_rows_than_the_card_expects_is_an_error(site: Any, tmp_path: Path) -> None:
    with serve(site[0]) as server, pytest.raises(SourceError, match="at least 23 are expected"):
        acquire(Store(tmp_path), server, min_expected=0)


def test_addresses_that_are_no_guideline() -> None:
    for url in (
        "https://www.idsociety.org/practice-guideline/all-practice-guidelines",
        "https://www.idsociety.org/practice-guideline/a/../../b",
        "https://www.idsociety.org.example.org/practice-guideline/a/",
        "javascript:void(0)",
        "https://www.idsociety.org/practice-guideline/",
    ):
        assert guideline_slug(url) == ""
