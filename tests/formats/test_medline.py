"""MEDLINE records: golden snippets of every trap, and damaged streams."""

from __future__ import annotations

import gzip
import io
import tracemalloc

import pytest

from scrapers.formats import medline
from scrapers.formats.errors import Unreadable
from scrapers.formats.medline import Deleted, MedlineRecord

MATH = "<mml:math xmlns:mml='http://www.w3.org/1998/Math/MathML'>{}</mml:math>"
SUM = MATH.format(
    "<mml:munderover><mml:mo>\u2211</mml:mo><mml:mrow><mml:mi>i</mml:mi><mml:mo>=</mml:mo><mml:mn>1</mml:mn></mml:mrow>"
    "<mml:mi>n</mml:mi></mml:munderover><mml:msub><mml:mi>x</mml:mi><mml:mi>i</mml:mi></mml:msub>"
)
HALF = MATH.format(
    "<mml:mfrac><mml:mrow><mml:mi>a</mml:mi><mml:mo>+</mml:mo><mml:mn>1</mml:mn></mml:mrow><mml:mn>2</mml:mn></mml:mfrac>"
)


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
        ("Long text.(ABSTRACT TRUNCATED AT 400 WORDS).", "Long text."),
        ("Long text. (Abstract truncated)", "Long text."),
        ("It was TRUNCATED AT 250 WORDS by (us)", "It was TRUNCATED AT 250 WORDS by (us)"),
        # Citations without a tag of their own: their numbers stay, and join no other.
        ("as shown before<sup>1,2</sup> and", "as shown before^1,2 and"),
        ("in 5%<sup>12</sup> of", "in 5%^12 of"),
        ("at 2.5<sup>3</sup> and", "at 2.5^3 and"),
        ("is 7.<sup>12</sup> Next", "is 7.^12 Next"),
        ("CD4<sup>+</sup>CD25<sup>+</sup>", "CD4+CD25+"),
        ("with <sup>131</sup>I, <sup>99m</sup>Tc, <sup>18</sup>F-FDG", "with 131I, 99mTc, 18F-FDG"),
        ("5 <sup>131</sup>I doses", "5 131I doses"),
        ("Ca<sup>2+</sup>, SO<sub>4</sub><sup>2-</sup>, HCO<sub>3</sub><sup>-</sup>", "Ca^2+, SO4^2-, HCO3-"),
        ("[Ca<sup>2+</sup>]<sub>i</sub>", "[Ca^2+]i"),
        ("5 mg kg<sup>-1</sup> h<sup>-1</sup>", "5 mg kg^-1 h^-1"),
        ("1.73 m<sup>2</sup>, s<sup>\u22121</sup>", "1.73 m^2, s^\u22121"),
        ("10<sup>5</sup>-10<sup>6</sup> CFU", "10^5-10^6 CFU"),
        ("10<sup>10</sup>10 and CO<sub>2</sub>2", "10^10 10 and CO2 2"),
        ("10<sup>-3<sub>a</sub></sup>", "10^-3a"),
        ("10<sub>2</sub> and log<sub>10</sub> 5", "10_2 and log10 5"),
        ("<b><i>n</i></b>=5", "n=5"),
        ("<b>Results: <i>5<sup>2</sup></i></b>x", "Results: 5^2x"),
        (f"sum {SUM}, half {HALF}.", "sum \u2211_(i = 1)^n x_i, half (a + 1)/2."),
        (f"where<DispFormula>{HALF}</DispFormula>and", "where (a + 1)/2 and"),
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
        ("[Treatment of gout]", "Treatment of gout"),
        ("[[18F]FDG in lymphoma].", "[18F]FDG in lymphoma."),
        ("[Use of [131I] and [99mTc]].", "Use of [131I] and [99mTc]."),
        ("[[Gout and its cases].", "[[Gout and its cases]."),
        ("[not available]", ""),
        ("[In Process Citation]", ""),
        ("Treatment is not available.", "Treatment is not available."),
        ("[p &lt; 0.05 and CO<sub>2</sub>].", "p < 0.05 and CO2."),
    ],
)
def test_brackets_of_translated_titles(title: str, text: str) -> None:
    assert one(f"<ArticleTitle>{title}</ArticleTitle>").title == text


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ("Label='METHODS' NlmCategory='METHODS'", "METHODS: 5 mg"),
        ("Label='Methods:' NlmCategory='METHODS'", "Methods: 5 mg"),
        ("Label='AIM 2'", "AIM 2: 5 mg"),
        ("NlmCategory='METHODS'", "5 mg"),
        ("Label='UNLABELLED' NlmCategory='UNASSIGNED'", "5 mg"),
        ("Label=''", "5 mg"),
        ("Label='P &lt; 0.05'", "P < 0.05: 5 mg"),
    ],
)
def test_labels(attributes: str, text: str) -> None:
    assert one(f"<Abstract><AbstractText {attributes}>5 mg</AbstractText></Abstract>").abstract == text


@pytest.mark.parametrize(
    ("text", "stated", "line", "counted"),
    [
        ("We saw 5. (Some Database (c) 2021 X, all rights reserved).", "", "(c) 2021 X, all rights reserved).", 1),
        ("We saw 5. \u00a9 2020 The Society.", "\u00a9 2020 Its Society.", "\u00a9 2020 Its Society.", 1),
        ("We saw 5.", "\u00a9 2020 Y.", "\u00a9 2020 Y.", 0),
        ("The copyright of papers stays with (c) patients.", "", "", 0),
    ],
)
def test_a_copyright_sentence_in_the_abstract_stays_and_is_a_hint(
    text: str, stated: str, line: str, counted: int
) -> None:
    element = f"<CopyrightInformation>{stated}</CopyrightInformation>" if stated else ""
    found = one(f"<Abstract><AbstractText>{text}</AbstractText>{element}</Abstract>")
    assert (found.abstract, found.copyright) == (text, line)
    assert found.counts.get("extract.copyright_in_abstract", 0) == counted


def test_a_vernacular_title_stands_apart() -> None:
    found = one("<ArticleTitle>[Gout].</ArticleTitle><VernacularTitle>Gicht mit 5.</VernacularTitle>")
    assert (found.title, found.vernacular_title, found.text) == ("Gout.", "Gicht mit 5.", "# Gout.")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("(P &amp;lt; 0.05, r &amp;ge; 2&amp;nbsp;mg)", "(P < 0.05, r \u2265 2 mg)"),
        ("R&amp;amp;D and AT&amp;T; 5", "R&D and AT&T; 5"),
        ("A &amp;nowhere; 5", "A &nowhere; 5"),
        # In English no digit leaves, whatever it means.
        ("23.2 pmol/&amp;#8202;L", "23.2 pmol/&#8202;L"),
        ("10<sup>9</sup> &amp;lt; 5", "10^9 < 5"),
    ],
)
def test_what_was_escaped_twice_is_read(markup: str, text: str) -> None:
    found = one(f"<ArticleTitle>{markup}</ArticleTitle><Abstract><AbstractText>{markup}</AbstractText></Abstract>")
    assert (found.title, found.abstract) == (text, text)
    assert bool(found.counts.get("extract.escaped_twice")) == (text not in markup.replace("&amp;", "&"))


def test_letters_of_other_languages_by_their_number_are_read() -> None:
    other = (
        "<OtherAbstract Type='Publisher' Language='cze'><AbstractText>p&amp;#345;i 5 mg</AbstractText></OtherAbstract>"
    )
    found = one("<VernacularTitle>Kou&amp;#345;en&#xed; &amp;#382;en</VernacularTitle>", citation=other)
    assert found.vernacular_title == "Kou\u0159en\u00ed \u017een"
    assert found.other_abstracts[0].text == "p\u0159i 5 mg"


def test_the_version_of_the_citation_counts_where_the_pmid_states_none() -> None:
    xml = (
        "<PubmedArticleSet><PubmedArticle><MedlineCitation VersionID='3'><PMID>7</PMID></MedlineCitation>"
        "</PubmedArticle></PubmedArticleSet>"
    )
    (found,) = medline.parse(io.BytesIO(xml.encode()))
    assert (found.pmid, found.version) == ("7", 3)
    assert [(one.pmid, one.version) for one in medline.identities(io.BytesIO(xml.encode()))] == [("7", 3)]


def test_a_book_of_bookshelf_is_a_record_of_its_own() -> None:
    xml = (
        "<PubmedArticleSet><PubmedBookArticle><BookDocument><PMID Version='2'>222</PMID><ArticleIdList>"
        "<ArticleId IdType='bookaccession'>NBK1</ArticleId></ArticleIdList><Book><BookTitle>Shelf</BookTitle><PubDate>"
        "<Year>1993</Year></PubDate><ArticleIdList><ArticleId IdType='doi'>10.1/whole</ArticleId></ArticleIdList>"
        "</Book><ArticleTitle>Gout in <i>man</i></ArticleTitle><Language>eng</Language><AuthorList><Author>"
        "<LastName>Doe</LastName></Author></AuthorList><PublicationType UI='D016454'>Review</PublicationType>"
        "<Abstract><AbstractText Label='DOSE'>5 mg &lt; 10<sup>2</sup> mg</AbstractText></Abstract><ContributionDate>"
        "<Year>2021</Year><Month>03</Month></ContributionDate></BookDocument><PubmedBookData><ArticleIdList>"
        "<ArticleId IdType='doi'>10.1/chapter</ArticleId></ArticleIdList></PubmedBookData></PubmedBookArticle>"
        "<PubmedArticle><MedlineCitation><PMID>1</PMID></MedlineCitation></PubmedArticle></PubmedArticleSet>"
    )
    book, article = medline.parse(io.BytesIO(xml.encode()))
    assert isinstance(book, MedlineRecord)
    assert book.text == "# Gout in man\n\nDOSE: 5 mg < 10^2 mg"
    assert (book.pmid, book.version, book.doi, book.published) == ("222", 2, "10.1/chapter", "2021-03")
    assert (book.language, book.publication_types, article.pmid) == ("en", ["Review"], "1")
    assert [one.pmid for one in medline.identities(io.BytesIO(xml.encode()))] == ["222", "1"]


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
        ("", "ExpressionOfConcernFor", (False, True, False)),
        ("", "PartialRetractionIn", (False, False, False)),
        ("", "RetractionOf", (False, True, False)),
    ],
)  # fmt: skip
def test_retractions_notices_and_concerns(types: str, link: str, expected: tuple[bool, bool, bool]) -> None:
    links = (
        f"<CommentsCorrectionsList><CommentsCorrections RefType='{link}'/></CommentsCorrectionsList>" if link else ""
    )
    found = one(f"<PublicationTypeList>{types}</PublicationTypeList>", citation=links)
    assert (found.retracted, found.notice, found.concern) == expected
    assert found.retraction == ("RetractionOf" in link)
    assert found.partly_retracted == ("PartialRetractionIn" in link)


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
        (b"<?xml version='1.0'?><Notes><PubmedArticle/></Notes>", "extract.corrupt"),
        ("<PubmedArticleSet/>".encode("utf-16"), "extract.not_a_document"),
        (b"<PubmedArticleSet>" + b" " * (1 << 21) + b"</PubmedArticleSet>", "extract.not_a_document"),
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

    # A megabyte and eight, of which half a megabyte is held.
    assert peak(8000) < 1.5 * peak(1000)
