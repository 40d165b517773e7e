"""NICE end to end: the list, overviews and chapters served with their faults, captured, put together and read."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.cards import find_card
from manifests.document import Document, Quarantined
from manifests.errors import RecipeError, SourceError
from manifests.store import Store
from scrapers.formats.errors import Unreadable
from scrapers.guidelines import nice_pages
from scrapers.http import Client
from scrapers.sample import site_nice
from scrapers.sample.server import Request, file_name, serve
from scrapers.snapshot import payload, read_items, read_snapshot
from scrapers.source import AcquireContext, Item, SourceConfig, load

NUMBER = re.compile(r"\d+(?:\.\d+)?")
GOLDEN = Path(__file__).parent / "golden"
URL = "https://www.nice.org.uk/guidance/ng77"


@dataclass
class Captured:
    """NICE acquired and read once."""

    raw: Store
    facts: dict[str, Any]
    items: dict[str, Item]
    documents: dict[str, Document]
    aside: dict[str, tuple[str, str]]
    requests: list[Request]


def config(**options: Any) -> SourceConfig:
    card = find_card("nice")
    return SourceConfig("nice", card.loader, card.kind, card.licence, options={"delay_seconds": 0.0, **options})


def acquire(world: Path, raw: Store, *, previous: Store | None = None, **options: Any) -> list[Request]:
    with serve(world) as server:
        http = {"contact": "curator@example.org", "routes": server.routes, "max_tries": 4}
        context = AcquireContext(raw, http, lambda *, done, total, note="": None, previous=previous)
        load(config(**{"min_expected": 8, **options})).acquire(context)
        return server.requests


def acquired(world: Path, folder: Path, **options: Any) -> Captured:
    raw, loader = Store(folder), load(config(**options))
    requests = acquire(world, raw, **options)
    facts = read_snapshot(raw)
    aside = {one["item"]: (one["reason"], one["detail"]) for one in facts["quarantined"]}
    items = {item.item: item for item in read_items(raw)}
    found = [one for item in items.values() for one in loader.read(item, raw, None)]
    aside |= {one.item: (one.reason, one.detail) for one in found if isinstance(one, Quarantined)}
    documents = {one.doc_id: one for one in found if isinstance(one, Document)}
    return Captured(raw, facts, items, documents, aside, requests)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    site_nice.write(folder, 7)
    return folder


@pytest.fixture(scope="module")
def captured(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Captured:
    return acquired(world, tmp_path_factory.mktemp("raw"))


@pytest.fixture
def changed(world: Path, tmp_path: Path) -> Callable[[str, str, str], Path]:
    """The world with one answer of a host replaced, again and again, and without faults."""
    folder = tmp_path / "changed"
    shutil.copytree(world, folder)
    for host in (site_nice.SITE, site_nice.SEARCH):
        (folder / host / "_faults.json").unlink()

    def put(host: str, path: str, body: str) -> Path:
        (folder / host / file_name(path)).write_text(body)
        return folder

    return put


def test_what_was_planted_is_what_is_found(captured: Captured, tmp_path: Path) -> None:
    truth = site_nice.write(tmp_path, 7)["sources"]["nice"]
    assert {name: item.sha256 for name, item in captured.items.items()} == truth["items"]
    assert sorted(captured.documents) == truth["documents"]
    assert {name: reason for name, (reason, _) in captured.aside.items()} == truth["aside"]


@pytest.mark.parametrize(
    ("slug", "told"),
    [
        ("ng990", "robots.txt"),
        ("ng991", "HTTP 404"),
        ("ng992", "/guidance/ng992/chapter/Rationale: HTTP 404"),
        ("ng993", ".stacked-nav a[href*='/chapter/']"),
        ("ng994", "the same page as cg903"),
        ("ng995", "Service interruption"),
        ("ng996", "has no div.chapter"),
        ("ng999", "4 words"),
    ],
)
def test_what_is_no_guideline_is_put_aside_and_says_why(slug: str, told: str, captured: Captured) -> None:
    assert told in captured.aside[slug][1]


def test_counts_close(captured: Captured) -> None:
    counts = captured.facts["counts"]
    assert counts["fetched"] == len(captured.items) == len(captured.documents) + 1  # a few words are read, and no more
    assert counts["links_elsewhere"] == 2  # off-domain and `../` traversal
    assert counts["listed_again"] == 1  # duplicates across pages
    assert counts["other_programmes"] == 1  # CSG
    assert counts["rows_without_reference"] == 1  # CKS
    assert counts["stated_and_not_listed"] == site_nice.STATED_TOO_MANY  # a total that is wrong


def test_no_number_or_comparator_is_lost_and_no_furniture_kept(captured: Captured) -> None:
    for one in site_nice.guidance(7):
        document = captured.documents[f"nice:{one.slug}"]
        wanted = Counter[str]()
        for block in one.guideline.blocks:
            if block.kind == "reference":
                continue  # no chapter has them
            wanted.update(NUMBER.findall(json.dumps(block.value, ensure_ascii=False)))
            if block.kind == "paragraph":
                assert str(block.value) in document.text
            if block.kind == "table":
                for row in block.value:
                    assert "| " + " | ".join(row) + " |" in document.text
        assert not wanted - Counter(NUMBER.findall(document.text)), one.ref
        own = str([block.value for block in one.guideline.blocks if block.kind != "reference"])
        assert all(document.text.count(sign) >= own.count(sign) for sign in "<>≤≥±%")
        for kept in (
            "1.1.1 Offer aspirin 75 mg if the pressure is <120 mmHg, the pulse >60 or HbA1c ≥48 mmol/mol (6.5% ± 0.2).",
            "- often, in adults:\n  - 10 mg once\n- oral, in children. [2015, amended 2019]",
            "[strong]",
            "Who is it for?",
        ):
            assert kept in document.text
        assert re.search(r"\n\n1\.\d\.2 [A-Z]", document.text)
        for furniture in (
            "On this page", "Next page", "Your responsibility", "Professionals take this", "30 years", "9 steps",
            "This sample includes", "Crown copyright", "Sign in", "base64", "committee",
        ):  # fmt: skip
            assert furniture not in document.text
        assert document.counts["extract.left_out_sections"] == 4  # two on the overview, one on each chapter
        assert document.counts["extract.process_notes"] == 1


def test_provenance_and_standing(captured: Captured) -> None:
    for one in site_nice.guidance(7):
        document, item = captured.documents[f"nice:{one.slug}"], captured.items[one.slug]
        assert document.url == f"https://www.nice.org.uk{one.path}"  # advice under /advice/
        assert document.title == one.guideline.title
        assert (document.published, document.raw_ref) == (one.guideline.published, item.sha256)
        assert document.document_status == ("superseded" if one.ref == "TA905" else "current")
        assert document.family == ("nice:ng901" if one.ref == "TA905" else "")
        assert (document.licence, document.lang) == ("LicenseRef-NICE-UK-Open-Content", "en")
        pages = json.loads(payload(captured.raw, item))["pages"]
        assert [page["url"].rpartition("/")[2] for page in pages] == [one.slug, *(name for name, _ in one.chapters)]
        assert all(sha256(page["body"].encode()).hexdigest() == page["sha256"] for page in pages)


def test_every_page_stays_captured_as_it_came(captured: Captured) -> None:
    from warcio.archiveiterator import ArchiveIterator

    kinds: dict[str, Counter[str]] = {}
    with (captured.raw.local() / "captures-00000.warc.gz").open("rb") as stream:
        for record in ArchiveIterator(stream):
            kinds.setdefault(record.rec_type, Counter())[record.rec_headers.get_header("WARC-Target-URI")] += 1
    for item in captured.items.values():
        assert kinds["resource"][item.url] == 1
        for page in json.loads(payload(captured.raw, item))["pages"]:
            assert kinds["response"][page["url"]] == (2 if page["url"].endswith("/cg903") else 1)  # by redirect, too


def test_everybody_is_asked_once_and_politely(captured: Captured) -> None:
    whole = Counter(f"{one.host}{one.path}" for one in captured.requests if one.status == 200 and one.whole)
    # A former reference redirects to other guidance; nothing says so before it is asked.
    assert {path for path, times in whole.items() if times > 1} == {"www.nice.org.uk/guidance/cg903"}
    assert {one.host for one in captured.requests} == {site_nice.SITE, site_nice.SEARCH}
    asked = " ".join(one.path.lower() for one in captured.requests)
    for never in ("finding-more-information", "/topics/", "csg1", "ng997", "admin", "#", "?tab", "/guidance/ng990"):
        assert never not in asked
    assert {one.status for one in captured.requests} >= {301, 404, 429, 503}  # the faults were met


def test_one_item_is_one_whole_guideline(world: Path, tmp_path: Path) -> None:
    found = acquired(world, tmp_path, limit=1)
    (document,) = found.documents.values()
    assert "## 2 " in document.text
    asked = [one for one in found.requests if one.status == 200 and one.whole and one.path != "/robots.txt"]
    assert len(asked) == 4  # a page of the list, the overview and two chapters


class _Stop(Exception):
    pass


@pytest.mark.parametrize("after", [2, 4, 9])
def test_an_interrupted_run_goes_on(
    after: int, world: Path, captured: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between chapters: nothing is asked for again and the snapshot is the same."""
    raw, real, n = Store(tmp_path / "raw"), Client.get, 0

    def limited(self: Client, *rest: Any, **more: Any) -> Any:
        nonlocal n
        n += 1
        if n > after:
            raise _Stop
        return real(self, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Client, "get", limited)
        with pytest.raises(_Stop):
            acquire(world, raw)
    requests = acquire(world, raw)
    assert read_snapshot(raw) == captured.facts
    first = [f"/guidance/ng901{end}" for end in ("", "/chapter/Recommendations")]
    if after > 4:
        assert not [one for one in requests if one.path in first]


def test_a_refresh_takes_what_did_not_change(
    captured: Captured, changed: Callable[[str, str, str], Path], tmp_path: Path
) -> None:
    """One chapter of one guideline is new: its guideline is another item, all others are what they were."""
    one = site_nice.guidance(7)[0]
    name, page = one.chapters[1]
    folder = changed(site_nice.SITE, f"{one.path}/chapter/{name}", page.replace("</div>", "<p>Give 7 mg.</p></div>", 1))
    raw = Store(tmp_path / "raw")
    requests = acquire(folder, raw, previous=captured.raw)
    assert Counter(one.status for one in requests)[304] > 30
    items = {item.item: item for item in read_items(raw)}
    assert {slug for slug, item in items.items() if item.sha256 != captured.items[slug].sha256} == {one.slug}
    (document,) = load(config()).read(items[one.slug], raw, None)
    assert isinstance(document, Document)
    assert "Give 7 mg." in document.text


def test_the_list_of_the_site_is_another_door(world: Path, captured: Captured, tmp_path: Path) -> None:
    found = acquired(world, tmp_path, listing="page")
    assert found.facts["digest"] == captured.facts["digest"]
    assert not [one for one in found.requests if one.host == site_nice.SEARCH]


def test_superseded_guidance_can_be_named(world: Path, tmp_path: Path) -> None:
    found = acquired(world, tmp_path, refs=["ta905", "NG993"])
    assert found.documents["nice:ta905"].document_status == "superseded"
    assert "published" in json.loads(found.items["ta905"].meta)
    assert found.documents["nice:ta905"].published == "2010-07-26"  # from its overview
    assert found.aside["ng993"][0] == "extract.stub"
    assert not [one for one in found.requests if one.host == site_nice.SEARCH]


def test_programmes(world: Path, tmp_path: Path) -> None:
    found = acquired(world, tmp_path, prefixes=["qs", "MIB"])
    assert sorted(found.documents) == ["nice:mib906", "nice:qs904"]


@pytest.mark.parametrize("options", [{"listing": "html"}, {"prefix": ["NG"]}])
def test_options_that_cannot_be_meant(options: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"listing|prefix"):
        load(config(**options))
    with pytest.raises(RecipeError, match="no reference of NICE"):
        nice_pages.row_of("CKS12")


@pytest.mark.parametrize(
    ("listing", "body", "named"),
    [
        ("search", '{"error": "moved"}', "the list has no documents"),
        ("search", '{"failed": true, "errorMessage": "index is gone", "documents": []}', "index is gone"),
        ("search", '{"failed": false, "resultCount": 0, "documents": []}', r"documents\[\].guidanceRef matched 0"),
        ("search", '{"resultCount": 3804, "documents": []}', "gave 0 rows in all, resultCount states 3804"),
        (
            "page",
            "<html><body><main>New design</main></body></html>",
            r"script#__NEXT_DATA__ props\.pageProps\.results",
        ),
        (
            "page",
            '<html><script id="__NEXT_DATA__">{"props": {"pageProps": {}}}</script></html>',
            r"script#__NEXT_DATA__ props\.pageProps\.results",
        ),
    ],
)
def test_a_changed_list_is_an_error_that_names_the_field(
    listing: str, body: str, named: str, changed: Callable[[str, str, str], Path], tmp_path: Path
) -> None:
    door = (site_nice.SEARCH, site_nice.LISTING) if listing == "search" else (site_nice.SITE, site_nice.PUBLISHED)
    folder = changed(door[0], door[1].format(page=1), body)
    with pytest.raises(SourceError, match=named):
        acquired(folder, tmp_path / "raw", listing=listing)
    assert not (tmp_path / "raw" / "snapshot.json").exists()


@pytest.mark.parametrize(
    ("end", "named"),
    [("", r"\.stacked-nav a\[href\*='/chapter/'\]"), ("/chapter/Recommendations", r"div\.chapter")],
)
def test_changed_pages_are_an_error_that_names_the_selector(
    end: str, named: str, changed: Callable[[str, str, str], Path], tmp_path: Path
) -> None:
    for one in site_nice.guidance(7):
        folder = changed(site_nice.SITE, f"{one.path}{end}", "<html><main><h1>New</h1><p>Design</p></main></html>")
    with pytest.raises(SourceError, match=f"{named} matches nothing in 3 guidelines in a row"):
        acquired(folder, tmp_path / "raw")


def test_a_redirect_to_guidance_that_is_not_listed_gives_that_guidance(
    changed: Callable[[str, str, str], Path], tmp_path: Path
) -> None:
    one = site_nice.guidance(7)[1]
    row = site_nice._row("IPG12", "/guidance/ipg12", "Former title", "1999-01-01")
    list_of_one = json.dumps({"resultCount": 1, "documents": [row]})
    folder = changed(site_nice.SEARCH, site_nice.LISTING.format(page=1), list_of_one)
    changed(site_nice.SEARCH, site_nice.LISTING.format(page=2), '{"documents": []}')
    changed(site_nice.SITE, "/guidance/ipg12", one.overview)
    found = acquired(folder, tmp_path / "raw", min_expected=1)
    document = found.documents["nice:ng902"]
    assert (document.title, document.published) == (one.guideline.title, "2010-07-26")
    assert document.url == "https://www.nice.org.uk/guidance/ng902"


@pytest.mark.parametrize(
    ("banner", "standing"),
    [
        ("This guidance has been updated and replaced by NICE guideline NG203.", "superseded"),
        ("This technology appraisal guidance has been replaced by TA500.", "superseded"),
        ("This guideline was withdrawn in 2020.", "archived"),
        ("This guideline updates and replaces CG12.", "current"),
        ("Replaced recommendations are shaded.", "current"),
    ],
)
def test_banners(banner: str, standing: str) -> None:
    page = f"<html><body><nav>{banner if standing == 'current' else ''}</nav><main><p>{banner}</p></main></body></html>"
    assert nice_pages.Overview(page.encode(), "ng1").standing == standing


def test_chapters_of_an_overview() -> None:
    overview = nice_pages.Overview((GOLDEN / "nice_overview.html").read_bytes(), "ng77")
    assert overview.chapters == ["Recommendations", "Rationale-and-impact"]
    assert (overview.slug, overview.published, overview.standing) == ("ng77", "2015-06-03", "current")


def golden_payload() -> bytes:
    names = ("nice_overview", "nice_1", "nice_2")
    return nice_pages.put_together("ng77", [(URL, (GOLDEN / f"{name}.html").read_bytes()) for name in names])


def test_golden_guideline() -> None:
    title, text, counts = nice_pages.guideline(golden_payload(), title="")
    assert text == (GOLDEN / "nice.md").read_text(encoding="utf-8").rstrip("\n")
    assert title == "Sample fever in over 16s: diagnosis and management"
    assert counts == {
        "extract.left_out_sections": 4,
        "extract.process_notes": 1,
        "extract.dropped_by_selector": counts["extract.dropped_by_selector"],
        "extract.embedded_pictures": 1,
        "extract.outside_content_characters": 34,
    }


_BLOCKS = st.sampled_from(["##### 1.1.3", "### 1.2", "## 1 Aims", "Offer 5 mg. [2015]", "- a\n- 2 b", "| 1 |\n| --- |"])


@given(st.lists(_BLOCKS, max_size=8))
def test_numbering_moves_numbers_and_loses_none(blocks: list[str]) -> None:
    text = nice_pages._numbered("\n\n".join(blocks))
    assert [word for word in text.split() if word.strip("#")] == [
        word for word in " ".join(blocks).split() if word.strip("#")
    ]
    assert nice_pages._numbered(text) == text


def test_bytes_that_are_no_text_survive_being_put_together() -> None:
    body = b"<html>\xff\xfe caf\xe9</html>"
    pages = json.loads(nice_pages.put_together("ng1", [(URL, body)]))["pages"]
    assert pages[0]["body"].encode("utf-8", "surrogateescape") == body
    assert pages[0]["sha256"] == sha256(body).hexdigest()


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"pages": [{"url": ""}]}', b'{"pages": []}'])
def test_payloads_that_are_no_guideline(data: bytes) -> None:
    with pytest.raises(Unreadable):
        nice_pages.guideline(data, title="")


def test_two_renderings_are_equal(world: Path, tmp_path: Path) -> None:
    site_nice.write(tmp_path, 7)
    for path in world.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / path.relative_to(world)).read_bytes()
