"""The option `citations` means the same for every source that reads JATS."""

from __future__ import annotations

import copy
import gzip
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from manifests.cards import find_card
from manifests.document import Document
from manifests.errors import RecipeError
from manifests.identity import canonical_json, sha256_hex
from manifests.store import Store
from pipelines import acquisition
from pipelines.plan import Plan
from pipelines.recipe import parse_recipe, recipe_path
from scrapers.formats import jats
from scrapers.sample.jats_xml import jats_file
from scrapers.sample.literature import article
from scrapers.snapshot import read_items
from scrapers.source import AcquireContext, Item, SourceConfig, load

MADE = article(7, 3)
XML = jats_file(MADE)
SOURCES = ("pmc", "pmc-oai", "europepmc", "pubmed-guidelines", "local-jats")
NEEDED: dict[str, dict[str, Any]] = {
    "pmc": {"use": "commercial"},
    "pubmed-guidelines": {"use": "commercial"},
    "pmc-oai": {"from": "2026-11-20"},
}
META = {"license_code": MADE.licence_code, "pmid": MADE.pmid, "doi": MADE.doi, "retracted": False}
HOW = ("drop", "keep", "bib_ref")


def config(source: str, **options: Any) -> SourceConfig:
    card = find_card(source)
    return SourceConfig(source, card.loader, card.kind, card.licence, options={**NEEDED.get(source, {}), **options})


def read(source: str, folder: Path, xml: bytes = XML, **options: Any) -> Document:
    """The article as `source` reads it, from the bytes in the shape in which it captures them."""
    raw = Store(folder)
    if source == "local-jats":
        given = folder / "files"
        given.mkdir(exist_ok=True)
        (given / "a.xml").write_bytes(xml)
        made: Any = load(config(source, paths=[str(given)], **options))
        made.acquire(AcquireContext(raw, {}, lambda *, done, total, note="": None))
        (item,) = read_items(raw)
    else:
        data, name = xml, MADE.pmcid
        if source == "europepmc":
            element = xml[xml.index(b"<article ") :]
            data, name = gzip.compress(b"<articles>" + element + b"</articles>"), "PMC1_PMC9.xml.gz"
        (folder / name).write_bytes(data)
        made = load(config(source, **options))
        item = Item(name, name, 0, len(data), sha256_hex(data), "", canonical_json(META))
    (found,) = made.read(item, raw, None)
    assert isinstance(found, Document)
    return found


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_of_jats_drops_keeps_or_writes_out_citations(source: str, tmp_path: Path) -> None:
    texts: dict[str, str] = {}
    for how in HOW:
        found = read(source, tmp_path, citations=how)
        texts[how] = found.text
        # The reader's own text: a source adds and takes nothing.
        assert found.text == jats.parse(XML, how)[0].text
        assert bool(found.counts.get("extract.citation_marks")) == (how == "drop")
        assert bool(found.counts.get("extract.marks_written")) == (how == "bib_ref")
    assert texts["drop"] == read(source, tmp_path).text
    assert "[1]" in texts["keep"]
    assert "[1]" not in texts["drop"] + texts["bib_ref"]
    assert re.sub(r"\s?\[\d+\]", "", texts["keep"]) == texts["drop"]


def test_the_titles_of_what_is_cited_stand_in_the_text(tmp_path: Path) -> None:
    title = b"<mixed-citation><name><surname>Doe</surname></name><article-title>Gout in man</article-title>"
    xml = XML.replace(b"<mixed-citation>", title)
    texts = [read(source, tmp_path, xml, citations="bib_ref").text for source in SOURCES]
    assert len(set(texts)) == 1
    assert "\ufdd0[bib_ref] Gout in man, Doe \ufdd0[/bib_ref]" in texts[0]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("value", ["remove", "", "Keep"])
def test_another_value_is_refused_with_what_to_write(source: str, value: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(config(source, citations=value))
    said = str(caught.value)
    assert f"citations is {value!r}" in said
    assert f"[sources.{source}] options" in said
    assert 'Write citations = "drop", "keep" or "bib_ref".' in said


@pytest.mark.parametrize("source", SOURCES)
def test_a_value_of_another_type_is_refused(source: str) -> None:
    with pytest.raises(RecipeError, match="citations is True"):
        load(config(source, citations=True))


@pytest.mark.parametrize("source", ["local-medline", "local-notes", "local-text", "pubmed"])
def test_sources_without_jats_have_no_such_option(source: str) -> None:
    with pytest.raises(RecipeError, match="no option called 'citations'"):
        load(config(source, citations="keep"))


@pytest.mark.parametrize("source", SOURCES)
def test_the_card_says_what_the_option_does(source: str) -> None:
    notes = " ".join(find_card(source).notes.split())
    assert all(f'"{how}"' in notes for how in HOW)
    assert "Option citations" in notes


def plan_with(citations: str | None, out: Path) -> Plan:
    table = copy.deepcopy(tomllib.loads(recipe_path("sample").read_text()))
    if citations:
        table["sources"]["pmc"].setdefault("options", {})["citations"] = citations
    plan = Plan(parse_recipe(table, where="test"), Store(out), base=recipe_path("sample").parent)
    for source in plan.recipe.sources:
        plan.raw(source).write_json("snapshot.json", {"digest": f"digest of {source}", "items": 1})
    return plan


def test_it_changes_what_is_prepared_and_not_what_was_captured(tmp_path: Path) -> None:
    before, after = plan_with(None, tmp_path), plan_with("keep", tmp_path)
    assert before.prepare("pmc").fingerprint != after.prepare("pmc").fingerprint
    assert before.prepare("pubmed").fingerprint == after.prepare("pubmed").fingerprint
    # Half a terabyte is not fetched anew for another way of reading it: also not where an older request named it.
    request = acquisition._request(before, "pmc")
    assert request == acquisition._request(after, "pmc")
    for options in (request["options"], {**request["options"], "citations": "drop"}):
        after.raw("pmc").write_json(acquisition.REQUEST, {**request, "options": options})
        acquisition._check_same_request(after, "pmc")
    after.raw("pmc").write_json(acquisition.REQUEST, {**request, "options": {**request["options"], "use": "other"}})
    with pytest.raises(RecipeError, match="acquired with other options"):
        acquisition._check_same_request(after, "pmc")
