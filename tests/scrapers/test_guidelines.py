"""The three guideline publishers end to end: their real structure served, fetched, captured and read."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from manifests.cards import find_card
from manifests.document import Document, Quarantined
from manifests.errors import RecipeError, SourceError
from manifests.identity import text_hash
from manifests.store import Store
from scrapers.guidelines.cps import Loader as CpsLoader
from scrapers.guidelines.cps import statement_slug
from scrapers.guidelines.magic import Loader as MagicLoader
from scrapers.guidelines.sections import heading_name, standing, with_title
from scrapers.http import Client
from scrapers.http_errors import WrongContent
from scrapers.sample import host_magic, publishers
from scrapers.sample.blocks import Guideline
from scrapers.sample.content import guidelines
from scrapers.sample.hard_html import HARD_HTML, HARD_TEXT
from scrapers.sample.server import Request, SampleServer, file_name, serve
from scrapers.sample.tree import Tree
from scrapers.snapshot import read_items, read_snapshot
from scrapers.source import AcquireContext, Item, SourceConfig, load

RENDER = {"cps": publishers.render_cps, "magic": host_magic.render_magic, "cdc": publishers.render_cdc}
SOURCES = tuple(RENDER)
NUMBER = re.compile(r"\d+(?:\.\d+)?")


@pytest.fixture(scope="module")
def contents() -> dict[str, list[Guideline]]:
    return {source: guidelines(source, 7) for source in SOURCES}


@pytest.fixture(scope="module")
def written(
    tmp_path_factory: pytest.TempPathFactory, contents: dict[str, list[Guideline]]
) -> tuple[Path, dict[str, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("world")
    return folder, {source: render(contents[source], folder) for source, render in RENDER.items()}


@pytest.fixture(scope="module")
def world(written: tuple[Path, dict[str, dict[str, Any]]]) -> Path:
    return written[0]


@pytest.fixture(scope="module")
def truth(written: tuple[Path, dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    return written[1]


@pytest.fixture
def server(world: Path) -> Iterator[SampleServer]:
    with serve(world) as running:
        yield running


@dataclass
class Captured:
    """One source acquired once, for the tests that only look."""

    raw: Store
    facts: dict[str, Any]
    requests: list[Request]


@pytest.fixture(scope="module")
def captures(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Captured]:
    found = {}
    with serve(world) as server:
        for source in SOURCES:
            raw = Store(tmp_path_factory.mktemp("raw") / source)
            before = len(server.requests)
            facts = acquire(raw, server, source)
            found[source] = Captured(raw, facts, server.requests[before:])
    return found


def config(source: str, **options: Any) -> SourceConfig:
    card = find_card(source)
    return SourceConfig(source, card.loader, card.kind, card.licence, options={"delay_seconds": 0.0, **options})


def context(raw: Store, server: SampleServer) -> AcquireContext:
    http = {"contact": "curator@example.org", "routes": server.routes, "max_tries": 4}
    return AcquireContext(raw, http, lambda *, done, total, note="": None)


def acquire(raw: Store, server: SampleServer, source: str, **options: Any) -> dict[str, Any]:
    load(config(source, **options)).acquire(context(raw, server))
    return read_snapshot(raw)


def documents(raw: Store, source: str) -> tuple[dict[str, Document], list[Quarantined]]:
    loader = load(config(source))
    found = [one for item in read_items(raw) for one in loader.read(item, raw, None)]
    kept = [one for one in found if isinstance(one, Document)]
    assert len({one.doc_id for one in kept}) == len(kept)
    return {one.doc_id: one for one in kept}, [one for one in found if isinstance(one, Quarantined)]


def fetched(server: SampleServer) -> Counter[str]:
    """How often each address was given whole."""
    return Counter(
        f"{one.host}{one.path}"
        for one in server.requests
        if one.status == 200 and one.whole and one.path != "/robots.txt"
    )


@pytest.mark.parametrize("source", SOURCES)
def test_a_publisher_end_to_end(
    source: str,
    captures: dict[str, Captured],
    contents: dict[str, list[Guideline]],
    truth: dict[str, dict[str, Any]],
) -> None:
    facts = captures[source].facts
    kept, aside = documents(captures[source].raw, source)

    by_id = {f"{source}:{publishers.native_id(source, one.slug)}": one for one in contents[source]}
    assert set(kept) == set(by_id)
    put_aside = {one["item"]: one["reason"] for one in facts["quarantined"]} | {one.item: one.reason for one in aside}
    assert put_aside == truth[source]["aside"]
    assert sorted(kept) == truth[source]["documents"]
    items = {item.item: item.sha256 for item in read_items(captures[source].raw)}
    assert items == truth[source]["items"]
    for doc_id, document in kept.items():
        guideline = by_id[doc_id]
        assert guideline.title in document.title
        assert document.text.startswith("# ")
        assert document.published == guideline.published
        assert document.document_status == guideline.status
        assert document.url.startswith("https://")
        assert "127.0.0.1" not in document.text + document.url
        assert len(document.raw_ref) == 64


@pytest.mark.parametrize("source", SOURCES)
def test_no_number_is_lost_and_no_furniture_kept(
    source: str, captures: dict[str, Captured], contents: dict[str, list[Guideline]]
) -> None:
    kept, _ = documents(captures[source].raw, source)
    for guideline in contents[source]:
        text = kept[f"{source}:{publishers.native_id(source, guideline.slug)}"].text
        wanted = Counter[str]()
        for block in guideline.blocks:
            if block.kind == "reference" and source != "cdc":
                continue  # lists of references are removed, as whole blocks
            wanted.update(NUMBER.findall(json.dumps(block.value, ensure_ascii=False)))
            if source != "cdc" and block.kind == "paragraph":
                assert str(block.value) in text
            if source == "cps" and block.kind == "table":
                for row in block.value:
                    assert "| " + " | ".join(row) + " |" in text
        assert not wanted - Counter(NUMBER.findall(text))
        for furniture in (
            "12 shares", "podcast", "Related content", "Printed from", "Disclaimer", "Posted:", "999 mg", "base64",
            "14 members", "Reports", "A-Z index", "\ufffe",
        ):  # fmt: skip
            assert furniture not in text


@pytest.mark.parametrize("source", SOURCES)
def test_everybody_is_treated_politely(source: str, captures: dict[str, Captured]) -> None:
    moments: dict[str, list[float]] = {}
    for request in captures[source].requests:
        assert re.fullmatch(r"medtrove/\S+ \(\+curator@example\.org\)", request.headers["user-agent"])
        assert "/members-" not in request.path
        assert not request.path.startswith(("/private/", "/restricted/"))
        moments.setdefault(request.host, []).append(request.moment)
    for host, times in moments.items():
        # Single gaps are measured with a clock of our own (test_http); over many, the machine's delays even out.
        if len(times) >= 10:
            assert times[-1] - times[0] > 0.7 * publishers.CRAWL_DELAY_SECONDS * (len(times) - 1), host
    assert max(Counter(one.host for one in captures[source].requests if one.path == "/robots.txt").values()) == 1
    assert "files.example.org" not in moments
    assert "journal.example.org" not in moments


class _Stop(Exception):
    pass


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("after", [3, 17])
def test_an_interrupted_run_goes_on(
    source: str,
    after: int,
    world: Path,
    captures: dict[str, Captured],
    contents: dict[str, list[Guideline]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scrapers.http.backoff_seconds", lambda tries, *, delay_seconds: 0.01)
    raw = Store(tmp_path / "raw")
    with serve(world) as server:
        real, n = Client.get, 0

        def limited(self: Client, *rest: Any, **more: Any) -> Any:
            nonlocal n
            n += 1
            if n > after:
                raise _Stop
            return real(self, *rest, **more)

        with monkeypatch.context() as patch:
            patch.setattr(Client, "get", limited)
            with pytest.raises(_Stop):
                acquire(raw, server, source)
        assert not raw.exists("snapshot.json")
        assert acquire(raw, server, source) == captures[source].facts
        twice = {path for path, times in fetched(server).items() if times > 1}
        second = publishers.native_id("magic", contents["magic"][1].slug)
        moved_to = f"files.magicapp.org/guideline/{second}/published_guideline_{second}.json"
        # What is no document today may be one tomorrow: those are asked again.
        assert twice <= {
            "files.magicapp.org/guideline/81/page.json",
            "stacks.cdc.gov/view/cdc/7002/cdc_7002_DS1.pdf",
            "www.cps.ca/en/documents/position/interrupted",
            moved_to,
        }
        n_before = len(server.requests)
        acquire(raw, server, source)
        assert len(server.requests) == n_before


def test_two_renderings_of_the_world_are_equal(
    world: Path, contents: dict[str, list[Guideline]], tmp_path: Path
) -> None:
    for source, render in RENDER.items():
        render(contents[source], tmp_path)
    ours, theirs = ({str(p.relative_to(f)): p.read_bytes() for f in (top,) for p in f.rglob("*") if p.is_file()}
                    for top in (tmp_path, world))  # fmt: skip
    assert ours == theirs


def test_what_is_republished_word_for_word_reads_the_same(
    captures: dict[str, Captured], contents: dict[str, list[Guideline]]
) -> None:
    texts: dict[str, Document] = {}
    for source in ("cps", "magic"):
        texts.update(documents(captures[source].raw, source)[0])
    copies = [one for one in contents["magic"] if one.plant.startswith("exact")]
    assert copies
    for one in copies:
        first, second = texts[f"cps:{one.slug}"], texts[f"magic:{publishers.native_id('magic', one.slug)}"]
        assert text_hash(first.text) == text_hash(second.text)


@pytest.mark.parametrize(
    ("source", "path", "page", "named"),
    [
        ("cps", "/en/documents/statements-by-date", "<html><div class='new-title'></div></html>", "stmt-title"),
        ("cdc", "/cbrowse?pid=cdc%3A100&parentId=cdc%3A100&maxResults=100&start=0", "<html></html>", "object-title"),
        ("magic", "/api/v1/guidelines?limit=5000", '{"error": "moved"}', "JSON list"),
        ("magic", "/api/v1/guidelines?limit=5000", "[]", "guidelineId"),
    ],
)  # fmt: skip
def test_a_changed_site_is_an_error_not_an_empty_source(
    source: str, path: str, page: str, named: str, tmp_path: Path
) -> None:
    host = {"cps": publishers.CPS, "cdc": publishers.CDC, "magic": host_magic.MAGIC_API}[source]
    (tmp_path / "w" / host).mkdir(parents=True)
    (tmp_path / "w" / host / file_name(path)).write_text(page)
    raw = Store(tmp_path / "raw")
    with serve(tmp_path / "w") as server, pytest.raises(SourceError, match=named):
        acquire(raw, server, source)
    assert not raw.exists("snapshot.json")


def test_too_few_is_an_error_too(server: SampleServer, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"matched 28 documents, at least 5000 are expected"):
        acquire(Store(tmp_path), server, "cps", min_expected=5000)


@pytest.mark.parametrize(("source", "named"), [("magic", "jsonPath matched 26"), ("cdc", "object-title a matched 25")])
def test_fewer_than_the_card_expects_is_an_error_that_names_what_was_sought(
    source: str, named: str, server: SampleServer, tmp_path: Path
) -> None:
    expecting = replace(config(source), min_listed=find_card(source).min_listed or 0)
    with pytest.raises(SourceError, match=named):
        load(expecting).acquire(context(Store(tmp_path), server))


def test_an_interface_that_answers_with_a_page_is_named(tmp_path: Path) -> None:
    (tmp_path / "w" / host_magic.MAGIC_API).mkdir(parents=True)
    page = tmp_path / "w" / host_magic.MAGIC_API / file_name("/api/v1/guidelines?limit=5000")
    page.write_text("<html><title>Just a moment...</title></html>")
    with serve(tmp_path / "w") as server, pytest.raises(WrongContent, match="Just a moment"):
        acquire(Store(tmp_path / "raw"), server, "magic")


def test_options_choose(server: SampleServer, contents: dict[str, list[Guideline]], tmp_path: Path) -> None:
    native = publishers.native_id("cdc", contents["cdc"][3].slug)
    acquire(Store(tmp_path / "ids"), server, "cdc", ids=[native])
    assert [item.item for item in read_items(Store(tmp_path / "ids"))] == [native]
    assert not [one for one in server.requests if one.path.startswith("/cbrowse")]
    assert acquire(Store(tmp_path / "few"), server, "cps", limit=2)["items"] == 2
    dutch = acquire(Store(tmp_path / "nl"), server, "magic", languages=["nl"])
    assert dutch["counts"]["other_languages"] > 15
    with pytest.raises(RecipeError, match="limit"):
        load(config("cps", limits=2))


@pytest.mark.parametrize("source", SOURCES)
def test_a_trial_reads_no_more_of_the_listing_than_it_needs(source: str, server: SampleServer, tmp_path: Path) -> None:
    trial = replace(context(Store(tmp_path / source), server), limit=1)
    load(config(source)).acquire(trial)
    assert len(read_items(trial.raw)) == 1
    asked = {one.path for one in server.requests if one.path != "/robots.txt"}
    assert len(asked) == {"cps": 2, "magic": 2, "cdc": 3}[source]


@pytest.mark.parametrize("source", SOURCES)
def test_429_with_seconds_and_with_a_date(source: str, captures: dict[str, Captured]) -> None:
    paths = {one.path for one in captures[source].requests if one.status == 429}
    assert len(paths) == 1
    assert [one.status for one in captures[source].requests if one.path in paths] == [429, 429, 200]


def test_the_page_that_comes_whatever_is_asked_ends_the_list(tmp_path: Path) -> None:
    host = Tree(tmp_path / "w", publishers.CPS)
    page = '<div class="stmt-title"><a href="/en/documents/position/asthma">Asthma</a></div>'
    for path in ("", *(f"/P{n}0" for n in range(1, 5))):
        host.put(f"/en/documents/statements-by-date{path}", f"<html><body>{page}</body></html>")
    host.put("/en/documents/position/asthma", "<html><body><main><h1>Asthma</h1></main></body></html>")
    host.close()
    with serve(tmp_path / "w") as server:
        assert acquire(Store(tmp_path / "raw"), server, "cps")["items"] == 1
        assert len([one for one in server.requests if "statements-by-date" in one.path]) == 2


def test_records_without_a_title_are_an_error_that_names_the_meta(tmp_path: Path) -> None:
    host = Tree(tmp_path / "w", publishers.CDC)
    for n in range(5):
        host.put(f"/view/cdc/{n}", "<html><body><main>New look</main></body></html>")
    host.close()
    with (
        serve(tmp_path / "w") as server,
        pytest.raises(SourceError, match='meta\\[name="citation_title"\\] is on none'),
    ):
        acquire(Store(tmp_path / "raw"), server, "cdc", ids=[str(n) for n in range(5)])


def test_records_may_be_named_in_a_file(
    server: SampleServer, contents: dict[str, list[Guideline]], tmp_path: Path
) -> None:
    first, second = (publishers.native_id("cdc", one.slug) for one in contents["cdc"][3:5])
    named = tmp_path / "ids.txt"
    named.write_text(f"# Of 2024\n{first}\n\n{second}  # twice\n{second}\n")
    acquire(Store(tmp_path / "raw"), server, "cdc", ids_file=str(named))
    assert [item.item for item in read_items(Store(tmp_path / "raw"))] == sorted([first, second])
    named.write_text(f"{first}\n../x\n")
    with pytest.raises(SourceError, match="line 2 is no number"):
        acquire(Store(tmp_path / "other"), server, "cdc", ids_file=str(named))


def test_a_statement_keeps_everything_that_guides(tmp_path: Path) -> None:
    page = f'<html><body><div class="statement-wrapper"><h1>Fever</h1><h2>Doses</h2>{HARD_HTML}</div></body></html>'
    (tmp_path / "page").write_text(page, encoding="utf-8")
    item = Item("fever", "page", url="https://www.cps.ca/en/documents/position/fever")
    (found,) = CpsLoader(config("cps")).read(item, Store(tmp_path), None)
    assert isinstance(found, Document)
    assert found.text == f"# Fever\n\n## Doses\n\n{HARD_TEXT}"


def test_addresses_outside_are_no_statements() -> None:
    for link in (
        "https://evil.example.org/en/documents/position/x",
        "https://www.cps.ca/en/documents/position/../tools/x",
        "https://www.cps.ca/en/documents/position/a/b",
        "javascript:alert(1)",
        "mailto:a@b.org",
        "https://www.cps.ca/en/documents/position/..%2f..%2fx",
    ):
        assert statement_slug(link) == ""


def magic_document(tmp_path: Path, guideline: Any) -> Document | Quarantined:
    body = guideline if isinstance(guideline, bytes) else json.dumps(guideline).encode()
    (tmp_path / "g.json").write_bytes(body)
    meta = {"name": "N", "shortCode": "S1", "language": "en-gb", "institutionName": "I", "published": ""}
    item = Item("5", "g.json", meta=json.dumps(meta))
    (found,) = MagicLoader(config("magic")).read(item, Store(tmp_path), None)
    return found


def test_magic_json_keeps_what_guides(tmp_path: Path) -> None:
    recommendation = {
        "text": "<p>Target <120 mmHg, not >140.",
        "strength": "WEAK",
        "remarks": "<ul><li>2 x 5 mg</li></ul>",
    }
    section = {
        "heading": "1. Blood pressure &amp; pulse",
        "text": "<p>Give 5&nbsp;mg</div></div><p>then <ins>10 mg</ins><del>100 mg</del>.",
        "recommendations": [recommendation, {"text": "<p>Do.</p>", "strength": "NOTSET"}],
        "subSections": [
            {"heading": "Discussion", "text": "<p>Deaths 3/40.</p>"},
            {"heading": "3.2 Funding", "text": "<p>1000 EUR</p>"},
        ],
    }
    found = magic_document(tmp_path, {"name": "BP <130", "sections": [section, {"heading": "References", "text": "9"}]})
    assert isinstance(found, Document)
    assert found.title == "BP <130"
    for kept in ("# BP <130", "Blood pressure & pulse", "5 mg", "then 10 mg.", "Recommendation (weak):", "<120 mmHg",
                 ">140", "- 2 x 5 mg", "Recommendation:", "### Discussion", "3/40"):  # fmt: skip
        assert kept in found.text.replace("\u00a0", " ")
    assert not {"1000 EUR", "100 mg", "References"} & {
        part for part in ("1000 EUR", "100 mg", "References") if part in found.text
    }
    assert found.counts["extract.left_out_sections"] == 2
    assert (found.licence, found.doc_id) == ("unknown", "magic:5")


def test_magic_json_that_is_none(tmp_path: Path) -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"heading": "x", "subSections": [deep]}
    for body, reason in (
        (b"{not json", "extract.corrupt"),
        (b"[" * 100_000, "extract.corrupt"),
        (b"[1]", "extract.unknown_format"),
        ({"name": "N", "sections": []}, "extract.stub"),
        ({"name": "N", "sections": [deep]}, "extract.unsafe"),
    ):
        found = magic_document(tmp_path, body)
        assert isinstance(found, Quarantined)
        assert found.reason == reason


@pytest.mark.parametrize(
    ("top", "status"),
    [
        ("This statement has been archived.", "archived"),
        ("This practice point was retired in 2019", "archived"),
        ("This guideline has been superseded by the one of 2021.", "superseded"),
        ("The publication was retracted on 3 May.", "retracted"),
        ("Recommendations on archived samples of blood", "current"),
        ("x" * 700 + "This statement has been archived.", "current"),
    ],
)
def test_standing(top: str, status: str) -> None:
    assert standing(top) == status


def test_titles_and_headings() -> None:
    assert heading_name("IV. Methods") == "methods"
    assert heading_name("Ivermectin") == "ivermectin"
    assert with_title("A b", "# A b\n\nx") == "# A b\n\nx"
    assert with_title("A b", "c\n\nx") == "# A b\n\nc\n\nx"
    assert with_title("A b", "Issue 4\n\nA\nB\n\nx") == "Issue 4\n\nA\nB\n\nx"


def test_families_are_what_the_publisher_says(
    captures: dict[str, Captured], contents: dict[str, list[Guideline]]
) -> None:
    found = {source: documents(captures[source].raw, source)[0] for source in SOURCES}
    (former,) = (one for one in contents["cps"] if one.successor)
    families = {key: one.family for key, one in found["cps"].items() if one.family}
    assert families == {f"cps:{former.slug}": f"cps:{former.successor}"}
    assert {one.family for one in found["cdc"].values()} == {""}
    # One short code a guideline, whatever the numbers of its versions.
    assert all(one.family == f"magic:{one.url.rpartition('/')[2]}" for one in found["magic"].values())
