"""Which documents are versions of one guideline, as publishers say it: their sentences, numbers and relations."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from scrapers.guidelines import cco, cdc, nice_pages, pubmed_guidelines, who_iris
from scrapers.guidelines.versions import version_named
from scrapers.guidelines.who_iris import Row

PAGE = "https://example.org/s/heat"


def native(url: str) -> str:
    parts = urlsplit(url)
    return parts.path.rpartition("/s/")[2] if parts.hostname == "example.org" and "/s/" in parts.path else ""


@pytest.mark.parametrize(
    ("html", "other"),
    [
        ('<p>This statement has been replaced by <a href="/s/fever">Fever</a>.</p>', "fever"),
        (
            '<p>This <b>clinical practice</b> guideline was updated and replaced by the <a href="fever">new</a></p>',
            "fever",
        ),
        ('<div>Superseded by: <a href="/s/fever">Fever</a></div>', "fever"),
        ('<li>This guideline updates and replaces <a href="/s/cold">Cold (2009)</a></li>', "cold"),
        ('<p>This document supersedes <a href="/s/cold">it</a>.</p>', "cold"),
        # The later version goes before the earlier one.
        (
            '<p>This guideline replaces <a href="/s/cold">Cold</a>.</p>'
            '<p>This guideline has been superseded by <a href="/s/fever">Fever</a>.</p>',
            "fever",
        ),
        # Another sentence, another subject, another host, itself, or no link at all.
        ('<p>This guideline was replaced in 2020. See <a href="/s/fever">Fever</a>.</p>', ""),
        ('<p>Warfarin has been replaced by <a href="/s/fever">apixaban</a>.</p>', ""),
        ('<p>This guideline partially replaces <a href="/s/cold">Cold</a></p>', ""),
        ('<p>This guideline has been replaced by <a href="https://journal.example.net/s/fever">Fever</a></p>', ""),
        ('<p>This guideline has been replaced by <a href="#top">this</a></p>', ""),
        ("<p>This guideline has been replaced by Fever.</p>", ""),
        ('<h2>Related</h2><p>This guideline has been replaced.</p><ul><li><a href="/s/cold">Cold</a></li></ul>', ""),
    ],
)
def test_a_page_names_another_version_in_a_sentence_about_itself(html: str, other: str) -> None:
    assert version_named(f"<html><body>{html}</body></html>".encode(), PAGE, native, own="heat") == other


@pytest.mark.parametrize(
    ("main", "other"),
    [
        ("<p>This guidance has been updated and replaced by NICE guideline NG203.</p>", "ng203"),
        ("<p>This technology appraisal guidance has been replaced by TA 500.</p>", "ta500"),
        (
            "<h2>Overview</h2><div><p>This guideline updates and replaces NICE guideline CG66 (May 2008).</p></div>",
            "cg66",
        ),
        ('<p>This guidance was replaced by <a href="/guidance/ng28">our guideline on diabetes</a>.</p>', "ng28"),
        ("<p>This guideline partially replaces CG66.</p>", ""),
        ("<p>This guidance has been replaced. NG5 is about something else.</p>", ""),
        ("<p>This guideline was withdrawn in 2020.</p>", ""),
    ],
)
def test_nice_names_references(main: str, other: str) -> None:
    page = f"<html><body><main>{main}</main></body></html>".encode()
    assert nice_pages.Overview(page, "ng1").version == other
    put = nice_pages.put_together("ng1", [("https://www.nice.org.uk/guidance/ng1", page)])
    assert nice_pages.version_of(put, "ng1") == other


def test_the_programs_number_is_what_versions_at_cancer_care_ontario_share() -> None:
    page = (
        "<html><body><div id='content' role='main'><h1>Chemotherapy</h1><p>Version: 2 Dec 2021</p>"
        "<p>ID: 15-8 Version 2</p><p>Document Status: Archived</p>{}</div></body></html>"
    )
    url = f"{cco.LISTING}/64736"
    record = cco._record(page.format("").encode(), url)
    assert (cco.program_number(record["id"]), record["other"]) == ("15-8", "")
    banner = f"<p>This guideline has been replaced by <a href='{cco.LISTING}/70001'>Version 3</a>.</p>"
    assert cco._record(page.format(banner).encode(), url)["other"] == "70001"


def test_a_record_of_cdc_names_the_record_that_replaced_it() -> None:
    page = b"<main><p>This document has been superseded by <a href='/view/cdc/222'>x</a></p></main>"
    assert cdc._record(page, "111")["version"] == "222"
    assert cdc._record(page, "222")["version"] == ""


@pytest.mark.parametrize(
    ("relations", "version"),
    [
        ({"dc.relation.isreplacedby": ["https://iris.who.int/handle/10665/2"]}, "10665-2"),
        ({"dc.relation.replaces": ["http://www.who.int/iris/handle/10665/3"]}, "10665-3"),
        ({"dc.relation.isreplacedby": ["10665/2"], "dc.relation.replaces": ["10665/3"]}, "10665-2"),
        ({"dc.relation.isreplacedby": ["The edition of next year"]}, ""),
        ({"dc.relation.isreplacedby": ["10665/1"]}, ""),
    ],
)
def test_a_record_of_iris_names_what_replaced_it(relations: dict[str, list[str]], version: str) -> None:
    metadata = {name: [{"value": value} for value in values] for name, values in relations.items()}
    file = {"uuid": "12345678-1234-1234-1234-123456789abc", "name": "a.pdf"}
    bundle = {"name": "ORIGINAL", "_embedded": {"bitstreams": {"_embedded": {"bitstreams": [file]}}}}
    record = {"metadata": metadata, "_embedded": {"bundles": {"_embedded": {"bundles": [bundle]}}}}
    row = Row("10665-1", "Title", "https://iris.who.int/handle/10665/1", "", "2020", "", "en")
    (wanted,) = who_iris.wanted(listing=None, chosen=[(row, record)], languages=["en"], older=False)  # type: ignore[arg-type]
    meta: dict[str, Any] = dict(wanted.meta) if not isinstance(wanted.meta, str) else json.loads(wanted.meta)
    assert meta["version"] == version


def test_updates_in_pubmed_make_one_family_in_any_order() -> None:
    record = (
        "<PubmedArticle><MedlineCitation><PMID>{}</PMID><Article/><CommentsCorrectionsList>"
        "<CommentsCorrections RefType='{}'><PMID>{}</PMID></CommentsCorrections></CommentsCorrectionsList>"
        "</MedlineCitation></PubmedArticle>"
    )
    links = [("30", "UpdateOf", "20"), ("10", "UpdateIn", "20"), ("40", "CommentOn", "10"), ("99", "UpdateOf", "100")]
    body = "<PubmedArticleSet>" + "".join(record.format(*one) for one in links) + "</PubmedArticleSet>"
    superseded, _, versions = pubmed_guidelines._fates(body.encode())
    assert superseded == {"10"}
    assert pubmed_guidelines._oldest(versions) == {"10": "10", "20": "10", "30": "10", "99": "99", "100": "99"}
