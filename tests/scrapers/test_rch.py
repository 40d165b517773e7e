"""Royal Children's Hospital: an index with synonyms and names of any case; guidelines from their key points on."""

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
from scrapers.guidelines.rch import Loader, page_name
from scrapers.sample import site_rch
from scrapers.sample.guidance import written_guideline
from scrapers.sample.hard_html import HARD_TEXT
from scrapers.sample.server import SampleServer, serve
from scrapers.sample.tree import Tree
from scrapers.snapshot import read_items, read_snapshot
from scrapers.source import AcquireContext, Item, SourceConfig, load

GOLDEN = Path(__file__).with_name("golden")
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def config(**options: Any) -> SourceConfig:
    card = find_card("rch")
    given = {"delay_seconds": 0.0, **site_rch.OPTIONS["rch"], **options}
    return SourceConfig("rch", card.loader, card.kind, card.licence, min_listed=card.min_listed or 0, options=given)


def acquire(raw: Store, server: SampleServer, *, limit: int = 0, **options: Any) -> dict[str, Any]:
    http = {"contact": "curator@example.org", "routes": server.routes, "max_tries": 4}
    load(config(**options)).acquire(AcquireContext(raw, http, lambda *, done, total, note="": None, limit))
    return read_snapshot(raw)


def read(raw: Store) -> tuple[dict[str, Document], dict[str, str]]:
    found = [one for item in read_items(raw) for one in load(config()).read(item, raw, None)]
    kept = [one for one in found if isinstance(one, Document)]
    assert len({one.doc_id for one in kept}) == len(kept)
    return {one.doc_id: one for one in kept}, {one.item: one.reason for one in found if isinstance(one, Quarantined)}


def page(tmp_path: Path, body: str) -> Document | Quarantined:
    (tmp_path / "page").write_text(body, encoding="utf-8")
    url = "https://www.rch.org.au/clinicalguide/guideline_index/Wheeze/"
    one = Item("wheeze", "page", sha256=sha256_hex(body.encode()), url=url, meta=json.dumps({"title": "Wheeze"}))
    (found,) = Loader(config()).read(one, Store(tmp_path), None)
    return found


def within(tmp_path: Path, main: str) -> Document:
    found = page(tmp_path, f'<html><body><h1>Wheeze</h1><div class="widgetBody">{main}</div></body></html>')
    assert isinstance(found, Document)
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    world = tmp_path_factory.mktemp("world")
    return world, site_rch.write(world, 7)["sources"]["rch"]


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


def test_a_synonym_is_no_document_unless_it_is_the_only_way_to_one(captured: Any) -> None:
    raw, facts, requests = captured
    assert not [one.path for one in requests if "Old_word" in one.path]
    assert (facts["counts"]["synonyms"], facts["counts"]["synonyms_followed"]) == (2, 1)
    assert read(raw)[0]["rch:orphan_page"].url.endswith("/guideline_index/Orphan_page/")


def test_names_are_one_whatever_their_case_and_addresses_keep_it(captured: Any) -> None:
    raw, facts, requests = captured
    assert facts["counts"]["listed_again"] == 1
    for doc_id, document in read(raw)[0].items():
        name = page_name(document.url)
        assert (doc_id, f"{site_rch.AT}/{name}" in {one.path.rstrip("/") for one in requests}) == (
            f"rch:{name.lower()}", True,
        )  # fmt: skip


def test_other_pages_of_the_index_are_not_asked_for(captured: Any) -> None:
    _, facts, requests = captured
    asked = {one.path for one in requests}
    assert facts["counts"]["skipped_pages"] == 4
    for name in ("Parent_resources", "Retrieval_services", "Nursing_Guidelines", "CPG_feedback", "Staff_only"):
        assert f"{site_rch.AT}/{name}/" not in asked
    assert {one.host for one in requests} == {site_rch.HOST}
    moments = [one.moment for one in requests]
    assert moments[-1] - moments[0] > 0.7 * 0.02 * (len(moments) - 1)
    assert [one.status for one in requests if one.path == f"{site_rch.AT}/"] == [429, 429, 200]  # seconds, then a date


def test_no_number_is_lost_and_no_furniture_kept(captured: Any) -> None:
    kept = {one.title: one for one in read(captured[0])[0].values()}
    for n in range(site_rch.N_GUIDELINES):
        guideline = written_guideline("rch", 7, n)
        found = kept[guideline.title]
        wanted = Counter[str]()
        for block in guideline.blocks:
            if block.kind != "reference":
                wanted.update(NUMBER.findall(str(block.value)))
        assert not wanted - Counter(NUMBER.findall(found.text)), guideline.title
        assert "Above 40 kg, 1 g." in found.text
        assert found.published == ("2024-04", "2023-05-03", "2022", "2021-06")[n % 4]
        for furniture in (
            "8 boards",
            "page 44",
            "Sheet 66",
            "ast updated",
            "ward",
            "1870",
            "50 Road",
            "base64",
            "\ue000",
        ):
            assert furniture not in found.text


def test_hard_html_keeps_thresholds_links_strengths_and_tables(captured: Any) -> None:
    assert any(HARD_TEXT in one.text for one in read(captured[0])[0].values())


def test_a_trial_asks_for_the_index_and_one_page(site: Any, tmp_path: Path) -> None:
    with serve(site[0]) as server:
        assert acquire(Store(tmp_path), server, limit=1)["items"] == 1
        assert len({one.path for one in server.requests}) == 3  # with robots.txt


def test_golden_page(tmp_path: Path) -> None:
    found = page(tmp_path, (GOLDEN / "rch.html").read_text())
    assert isinstance(found, Document)
    assert found.text + "\n" == (GOLDEN / "rch.md").read_text()
    assert (found.doc_id, found.title) == ("rch:wheeze", "Wheeze in preschool children")
    assert (found.published, found.year, found.licence) == ("2023-05-03", 2023, "LicenseRef-RCH")
    # The day stood inside the references, which went as a whole.
    assert found.counts == {
        "extract.before_key_points": 3, "extract.dropped_by_selector": 2, "extract.left_out_sections": 1,
        "extract.references": 1, "extract.outside_content_characters": 66,
    }  # fmt: skip


def test_without_key_points_the_whole_page_is_read(tmp_path: Path) -> None:
    assert within(tmp_path, "<p>Give 5 mg.</p><h2>Dose</h2><p>Below 3 kg, 2 mg.</p>").text == (
        "# Wheeze\n\nGive 5 mg.\n\n## Dose\n\nBelow 3 kg, 2 mg."
    )


@pytest.mark.parametrize(
    "start", ["<a id=key-points></a><h2>Key points</h2>", "<div id='key-points'><h2>Key points</h2></div>",
              "<h2><a name='x' id=\"key-points\"></a>Key points</h2>"]
)  # fmt: skip
def test_key_points_may_be_any_element(start: str, tmp_path: Path) -> None:
    found = within(tmp_path, f"<p>Logo 9</p>{start}<p>Give 5 mg.</p>")
    assert found.text == "# Wheeze\n\n## Key points\n\nGive 5 mg."


def test_a_day_at_the_top_does_not_end_the_guideline(tmp_path: Path) -> None:
    found = within(tmp_path, "<p>Last updated May 2020</p><h2>Dose</h2><p>Give 5 mg.</p>")
    assert (found.text, found.published) == ("# Wheeze\n\n## Dose\n\nGive 5 mg.", "2020-05")


def test_a_page_of_another_make_names_the_container(tmp_path: Path) -> None:
    found = page(tmp_path, "<html><body><div>" + "<p>Give 5 mg to children daily.</p>" * 30 + "</div></body></html>")
    assert isinstance(found, Quarantined)
    assert (found.reason, "div.widgetBody" in found.detail) == ("extract.unknown_format", True)


@pytest.mark.parametrize(
    "body", ["<p>We have moved.</p>", "<a href='/clinicalguide/guideline_index/CPG_feedback/'>Feedback</a>"]
)
def test_a_changed_index_is_an_error_that_names_the_selector(body: str, tmp_path: Path) -> None:
    host = Tree(tmp_path / "w", site_rch.HOST)
    host.put(f"{site_rch.AT}/", f"<html><body>{body}</body></html>")
    host.close()
    with serve(tmp_path / "w") as server, pytest.raises(SourceError, match=r'a\[href\*="guideline_index/"\] matched 0'):
        acquire(Store(tmp_path / "raw"), server)
    assert not (tmp_path / "raw" / "snapshot.json").exists()


def test_fewer_rows_than_the_card_expects_is_an_error(site: Any, tmp_path: Path) -> None:
    with serve(site[0]) as server, pytest.raises(SourceError, match="at least 190 are expected"):
        acquire(Store(tmp_path), server, min_expected=0)


def test_addresses_that_are_no_guideline() -> None:
    for url in (
        "https://www.rch.org.au/clinicalguide/guideline_index/",
        "https://www.rch.org.au/clinicalguide/guideline_index/a/../../b/",
        "https://www.rch.org.au/clinicalguide/guideline_index/%2e%2e/x",
        "https://www.rch.org.au/clinicalguide/guideline_index/a/b/",
        "https://rch.org.au.example.org/clinicalguide/guideline_index/a/",
        "mailto:a@rch.org.au",
    ):
        assert page_name(url) == ""
