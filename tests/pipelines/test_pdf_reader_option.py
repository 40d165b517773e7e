"""The option `pdf_reader`: part of what a build is, with its engine's versions, and not of what is fetched."""

from __future__ import annotations

import copy
import tomllib
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from manifests.cards import find_card
from manifests.document import Document
from manifests.errors import RecipeError
from manifests.schema import EXTRACTION
from manifests.store import Store
from pipelines import acquisition
from pipelines.plan import Plan
from pipelines.recipe import parse_recipe, recipe_path
from pipelines.steps.record import record_of, to_block
from scrapers.formats import pdf_engine
from scrapers.source import SourceConfig, load

SOURCES = ("cco", "cdc", "cma", "icrc", "spor", "who")


def plan_with(reader: str | None, out: Path) -> Plan:
    table: dict[str, Any] = copy.deepcopy(tomllib.loads(recipe_path("sample").read_text()))
    if reader:
        table["sources"]["cdc"].setdefault("options", {})["pdf_reader"] = reader
    plan = Plan(parse_recipe(table, where="test"), Store(out), base=recipe_path("sample").parent)
    for source in plan.recipe.sources:
        plan.raw(source).write_json("snapshot.json", {"digest": f"digest of {source}", "items": 1})
    return plan


def test_versions_of_the_engine_are_in_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for version in ("1.0", "1.1"):
        monkeypatch.setattr(pdf_engine, "identity", lambda version=version: {"rapidocr": version})
        made.append(plan_with("auto", tmp_path).prepare("cdc").fingerprint)
    plain = plan_with(None, tmp_path)
    assert len({*made, plain.prepare("cdc").fingerprint}) == 3
    assert plain.prepare("pubmed").fingerprint == plan_with("auto", tmp_path).prepare("pubmed").fingerprint
    assert acquisition._request(plain, "cdc") == acquisition._request(plan_with("auto", tmp_path), "cdc")


def test_a_recipe_that_asks_for_what_is_not_installed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    assert plan_with(None, tmp_path).prepare("cdc").fingerprint
    with pytest.raises(RecipeError, match=r"pip install 'medtrove\[ocr\]'"):
        plan_with("auto", tmp_path).prepare("cdc")


@pytest.mark.parametrize("source", SOURCES)
def test_every_publisher_of_pdfs_has_the_option_and_its_card_says_so(source: str) -> None:
    card = find_card(source)

    def config(reader: Any) -> SourceConfig:
        return SourceConfig(source, card.loader, card.kind, card.licence, options={"pdf_reader": reader})

    assert load(config("auto"))
    with pytest.raises(RecipeError, match="pdf_reader is 5"):
        load(config(5))
    assert 'pdf_reader = "auto"' in " ".join(card.notes.split())


def test_what_ocr_did_is_measured_of_each_document() -> None:
    document = Document("who:1", "who", "guideline", "Give 5 mg.", measures={"ocr_pages": 2.0})
    block: Any = to_block(document)
    assert (EXTRACTION, "ocr_pages", 2.0) in record_of(block).measures
    assert record_of(block).counts == Counter()
