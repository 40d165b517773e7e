"""MEDLINE records: golden snippets of every trap, damaged streams, and the two real files."""

from __future__ import annotations

import gzip
import io
import os
import re
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from scrapers.formats import medline
from scrapers.formats.errors import Unreadable
from scrapers.formats.medline import Deleted, MedlineRecord

REALDATA = os.environ.get("MEDTROVE_REALDATA")
needs_pack = pytest.mark.skipif(not REALDATA, reason="MEDTROVE_REALDATA is not set: the real-data pack is not here")


def one(article: str = "", *, citation: str = "", data: str = "", pmid: str = "1", version: str = "1") -> MedlineRecord:
    xml = (
        f"<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID Version='{version}'>{pmid}</PMID>"
        f"<Article>{article}</Article>{citation}</MedlineCitation><PubmedData>{data}</PubmedData>"
        "</PubmedArticle></PubmedArticleSet>"
    )
    (found,) = medline.parse(io.BytesIO(xml.encode()))
    assert isinstance(found, MedlineRecord)
    return found


def abstract(markup: str) -> str:
    return one(f"<Abstract><AbstractText>{markup}</AbstractText></Abstract>").abstract


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("p &lt; 0.05", "p < 0.05"),
        ("IL-1<sub>&#x3b2;</sub>", "IL-1β"),
        ("NF-&#x3ba;B", "NF-κB"),
        ("10<sup>9</sup>/L", "10^9/L"),
        ("10<sup>-3</sup>", "10^-3"),
        ("m<sup>2</sup>", "m^2"),
        ("CO<sub>2</sub>", "CO2"),
        ("<b>a <i>b<sup>2</sup></i></b> [95% CI 1.2-3.4]", "a b^2 [95% CI 1.2-3.4]"),
        (
            "NF-<mml:math xmlns:mml='http://www.w3.org/1998/Math/MathML'><mml:mi>κ</mml:mi></mml:math>B",
            "NF-κB",
        ),
        ("Long text. (ABSTRACT TRUNCATED AT 250 WORDS)", "Long text."),
    ],
)
def test_abstract_text(markup: str, text: str) -> None:
    assert abstract(markup) == text


def test_a_label_that_is_a_statement_stays_without_a_text() -> None:
    found = one("<Abstract><AbstractText>a</AbstractText><AbstractText Label='LEVEL OF EVIDENCE: 4'/></Abstract>")
    assert found.abstract == "a\n\nLEVEL OF EVIDENCE: 4"


def test_structured_abstract_keeps_labels_as_they_are() -> None:
    found = one(
        "<ArticleTitle>T.</ArticleTitle><Abstract><AbstractText Label='DESIGN, SETTING' NlmCategory='METHODS'>a 1"
        "</AbstractText><AbstractText>b 2</AbstractText><AbstractText Label='Results:'>c 3</AbstractText>"
        "<CopyrightInformation>Copyright (c) 2021 X.</CopyrightInformation></Abstract>"
    )
    assert found.abstract == "DESIGN, SETTING: a 1\n\nb 2\n\nResults: c 3"
    assert found.text == "# T.\n\nDESIGN, SETTING: a 1\n\nb 2\n\nResults: c 3"
    assert found.copyright == "Copyright (c) 2021 X."


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("[Treatment of gout].", "Treatment of gout."),
        ("[Not Available].", ""),
        ("[18F]FDG and [11C] in man.", "[18F]FDG and [11C] in man."),
        ("[A] and [B]", "[A] and [B]"),
    ],
)
def test_brackets_of_translated_titles(title: str, text: str) -> None:
    assert one(f"<ArticleTitle>{title}</ArticleTitle>").title == text


def test_own_identifiers_only() -> None:
    found = one(
        citation="<CommentsCorrectionsList><CommentsCorrections RefType='Cites'><PMID>99</PMID></CommentsCorrections>"
        "</CommentsCorrectionsList>",
        data="<ArticleIdList><ArticleId IdType='pmc'>PMC12</ArticleId><ArticleId IdType='doi'>10.1/a</ArticleId>"
        "</ArticleIdList><ReferenceList><Reference><ArticleIdList><ArticleId IdType='pmc'>PMC7</ArticleId>"
        "<ArticleId IdType='doi'>10.1/z</ArticleId></ArticleIdList></Reference></ReferenceList>",
        version="4",
    )
    assert (found.pmid, found.version, found.pmcid, found.doi) == ("1", 4, "PMC12", "10.1/a")


def test_other_abstracts_stand_apart_with_their_language() -> None:
    found = one(
        "<Abstract><AbstractText>English</AbstractText></Abstract><Language>ger</Language>",
        citation="<OtherAbstract Type='Publisher' Language='ger'><AbstractText>Deutsch 5</AbstractText>"
        "</OtherAbstract><OtherAbstract Type='plain-language-summary' Language='eng'>"
        "<AbstractText>Plain</AbstractText></OtherAbstract>",
    )
    assert found.abstract == "English"
    assert found.language == "de"
    assert [(other.language, other.type, other.text) for other in found.other_abstracts] == [
        ("de", "Publisher", "Deutsch 5"),
        ("en", "plain-language-summary", "Plain"),
    ]


@pytest.mark.parametrize(
    ("types", "link", "expected"),
    [
        ("<PublicationType UI='D016441'>Retracted Publication</PublicationType>", "", (True, False, False)),
        ("", "RetractionIn", (True, False, False)),
        ("", "RetractedandRepublishedIn", (True, False, False)),
        ("<PublicationType UI='D016440'>Retraction</PublicationType>", "RetractionOf", (False, True, False)),
        ("<PublicationType UI='D016425'>Published Erratum</PublicationType>", "ErratumFor", (False, True, False)),
        ("", "ErratumIn", (False, False, False)),
        ("", "ExpressionOfConcernIn", (False, False, True)),
    ],
)  # fmt: skip
def test_retractions_notices_and_concerns(types: str, link: str, expected: tuple[bool, bool, bool]) -> None:
    links = (
        f"<CommentsCorrectionsList><CommentsCorrections RefType='{link}'/></CommentsCorrectionsList>" if link else ""
    )
    found = one(f"<PublicationTypeList>{types}</PublicationTypeList>", citation=links)
    assert (found.retracted, found.notice, found.concern) == expected


@pytest.mark.parametrize(
    ("date", "year", "published"),
    [
        ("<Year>2021</Year><Month>Mar</Month><Day>4</Day>", 2021, "2021-03-04"),
        ("<Year>2021</Year><Month>03</Month>", 2021, "2021-03"),
        ("<Year>2021</Year><Season>Spring</Season>", 2021, "2021"),
        ("<Year>2021</Year><Month>Feb</Month><Day>30</Day>", 2021, "2021-02"),
        ("<MedlineDate>1998 Dec-1999 Jan</MedlineDate>", 1998, "1998"),
        ("", None, ""),
    ],
)
def test_dates(date: str, year: int | None, published: str) -> None:
    found = one(f"<Journal><JournalIssue><PubDate>{date}</PubDate></JournalIssue></Journal>")
    assert (found.year, found.published) == (year, published)


def records(count: int, *, tail: str = "") -> bytes:
    body = "".join(
        f"<PubmedArticle><MedlineCitation><PMID Version='1'>{n}</PMID><Article><ArticleTitle>{'word ' * 200}{n}"
        "</ArticleTitle></Article></MedlineCitation></PubmedArticle>\n"
        for n in range(count)
    )
    return f"<PubmedArticleSet>{body}{tail}</PubmedArticleSet>".encode()


def test_deletions_come_where_the_file_has_them() -> None:
    data = records(2, tail="<DeleteCitation><PMID Version='1'>7</PMID><PMID Version='2'>8</PMID></DeleteCitation>")
    assert list(medline.parse(io.BytesIO(data)))[2:] == [Deleted("7", 1), Deleted("8", 2)]


def test_a_truncated_stream_gives_its_good_records_and_then_says_so() -> None:
    packed = gzip.compress(records(300))
    found: list[object] = []

    def read() -> None:
        with gzip.open(io.BytesIO(packed[: len(packed) // 2])) as stream:
            found.extend(medline.parse(stream))

    # `extend` keeps what came before the error.
    with pytest.raises(Unreadable, match=r"extract\.corrupt"):
        read()
    assert 0 < len(found) < 300


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<html><body>Service unavailable</body></html>", "extract.not_a_document"),
        (b"<eSearchResult><Count>0</Count></eSearchResult>", "extract.not_a_document"),
        (b"", "extract.corrupt"),
        (
            b'<!DOCTYPE P [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]><PubmedArticleSet><PubmedArticle>'
            b"<MedlineCitation><PMID>1</PMID><Article><ArticleTitle>&b;</ArticleTitle></Article></MedlineCitation>"
            b"</PubmedArticle></PubmedArticleSet>",
            "extract.unsafe",
        ),
        (b"<PubmedArticleSet><PubmedArticle/></PubmedArticleSet>", "extract.bad_record"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        list(medline.parse(io.BytesIO(data)))
    assert caught.value.reason == reason


def test_memory_does_not_grow_with_the_file() -> None:
    def peak(count: int) -> int:
        data = io.BytesIO(records(count))
        tracemalloc.start()
        for _record in medline.parse(data):
            pass
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(2000) < 2 * peak(200) + 200_000


@needs_pack
def test_the_real_files_keep_every_number_of_title_and_abstract() -> None:
    totals: Counter[str] = Counter()
    for path in sorted((Path(str(REALDATA)) / "pubmed").glob("*.xml.gz")):
        raw = gzip.decompress(path.read_bytes())
        sources = re.findall(rb"<PubmedArticle>.*?</PubmedArticle>", raw, re.S)
        found = list(medline.parse(io.BytesIO(raw)))
        parsed = [item for item in found if isinstance(item, MedlineRecord)]
        totals["records"] += len(parsed)
        totals["deleted"] += len(found) - len(parsed)
        for source, item in zip(sources, parsed, strict=True):
            text = b" ".join(
                re.findall(rb"<ArticleTitle[^>]*>(.*?)</ArticleTitle>", source, re.S)[:1]
                + re.findall(rb"<Abstract>(.*?)</Abstract>", source, re.S)[:1]
            )
            text = re.sub(rb"<CopyrightInformation>.*?</CopyrightInformation>", b" ", text, flags=re.S)
            plain = re.sub(rb"</?(?:i|b|u)>", b"", text)
            digits = Counter(re.findall(rb"\d+", re.sub(rb"<[^>]*>", b" ", plain)))
            mine = Counter(re.findall(rb"\d+", re.sub(r"^# ", "", item.text).encode()))
            labels = Counter(re.findall(rb"\d+", b" ".join(re.findall(rb'Label="([^"]*)"', text))))
            missing = (digits + labels) - mine
            totals["digits"] += digits.total()
            totals["lost"] += missing.total()
            totals["with_abstract"] += bool(item.abstract)
    assert (totals["records"], totals["deleted"]) == (20_000, 9)
    # 6,867 + 5,280 elements, one of which is empty.
    assert totals["with_abstract"] == 12_146
    # Two truncation notices ("AT 250 WORDS") are no part of an abstract.
    assert totals["digits"] > 130_000
    assert totals["lost"] == 2
