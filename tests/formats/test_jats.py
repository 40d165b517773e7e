"""JATS articles: one golden snippet for each rule, properties of markup and tables, safety, and the real pack."""

from __future__ import annotations

import re
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrapers.formats import jats
from scrapers.formats.errors import Unreadable
from scrapers.formats.inline import finish
from scrapers.formats.tables import Cell, pipe_table

XMLNS = 'xmlns:m="http://www.w3.org/1998/Math/MathML" xmlns:xlink="http://www.w3.org/1999/xlink"'


def article(
    body: str = "<p>Body.</p>", *, meta: str = "", back: str = "", rest: str = "", attributes: str = ""
) -> bytes:
    return (
        f"<article {XMLNS} {attributes}><front><article-meta>{meta}</article-meta></front>"
        f"<body>{body}</body><back>{back}</back>{rest}</article>"
    ).encode()


def body_text(body: str) -> str:
    return jats.parse(article(body))[0].text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("10<sup>-3</sup>", "10^-3"),
        ("10<sup>−3</sup> M", "10^−3 M"),
        ("10 <sup>−3</sup> M", "10^−3 M"),
        ("kg/m<sup>2</sup>", "kg/m^2"),
        ("5 mol m <sup>-2</sup> s<sup>-1</sup>", "5 mol m^-2 s^-1"),
        ("CO<sub>2</sub>", "CO2"),
        ("HbA<sub>1c</sub> 7.5%", "HbA1c 7.5%"),
        ("Ca<sup>2+</sup> and Na<sup>+</sup>", "Ca^2+ and Na+"),
        ("the 1<sup>st</sup> dose", "the 1st dose"),
        ("[<sup>18</sup>F]FDG", "[18F]FDG"),
        ("log<sub>10</sub>5", "log10 5"),
        ("10<sub>2</sub>", "10_2"),
        ("10<sup>2</sup>,10<sup>4</sup>", "10^2, 10^4"),
        ("MgSO<sub>4</sub>.7H<sub>2</sub>O", "MgSO4. 7H2O"),
        ("by 5.<sup>1</sup>", "by 5.^1"),
        ("12.5<sup>1</sup>", "12.5^1"),
        ("IL-1<sub>β</sub> and NF-κB", "IL-1β and NF-κB"),
        ("p &lt; 0.05", "p < 0.05"),
        ("<italic>p</italic>&lt;<bold>0.05</bold>", "p<0.05"),
        ("1<bold>2<italic>3</italic></bold>4", "1234"),
        ("line<break/>break", "line break"),
        ("a\n      b", "a b"),
        ("<sc>Small</sc> caps", "Small caps"),
    ],
)
def test_inline_markup_keeps_values(markup: str, text: str) -> None:
    assert body_text(f"<p>{markup}</p>") == text


def ref(text: str) -> str:
    return f'<xref ref-type="bibr" rid="b">{text}</xref>'


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        (f"shown [{ref('1')}].", "shown."),
        (f"shown [{ref('1')},{ref('2')}] here", "shown here"),
        (f"shown [{ref('1')}–{ref('4')}].", "shown."),
        (f"shown [{ref('1')}]-[{ref('4')}].", "shown."),
        (f"shown [{ref('1')}–5].", "shown."),
        (f"shown<sup>{ref('1')}</sup>. Then", "shown. Then"),
        (f"shown.<sup>{ref('1')},{ref('2')}</sup> Then", "shown. Then"),
        (f"shown<sup>[{ref('1')},{ref('3')}]</sup>.", "shown."),
        (f"shown{ref('<sup>1</sup>')}<sup>,</sup>{ref('<sup>2</sup>')}.", "shown."),
        (f"shown ({ref('1')}, {ref('2')}).", "shown."),
        (f"shown ({ref('Smith 2010')}; {ref('Li 2011')}).", "shown (Smith 2010; Li 2011)."),
        (f"Smith et al. ({ref('2010')}) found", "Smith et al. (2010) found"),
        (f"in 12<sup>{ref('5')}</sup> patients", "in 12 patients"),
        (f"(P &lt; 0.05, {ref('7')})", "(P < 0.05)"),
        (f"({ref('7')}; P &lt; 0.05)", "(P < 0.05)"),
        (f"given 500 mg ({ref('7')}) daily", "given 500 mg daily"),
        (f"given (500 mg {ref('7')}) daily", "given (500 mg) daily"),
        (f"see ref. {ref('7')} for 3 doses", "see ref. 7 for 3 doses"),
        (f"95% CI [1.2–3.4] [{ref('7')}]", "95% CI [1.2–3.4]"),
        ('(<xref ref-type="fig" rid="f">Fig. 2</xref>)', "(Fig. 2)"),
        ('in <xref ref-type="table" rid="t">Table 1</xref>.', "in Table 1."),
    ],
)
def test_citation_marks_leave_whole_and_take_no_number_with_them(markup: str, text: str) -> None:
    assert body_text(f"<p>{markup}</p>") == text


def test_removed_citation_marks_are_counted() -> None:
    counts = jats.parse(article(f"<p>a [{ref('1')},{ref('2')}] b<sup>{ref('3')}</sup></p>"))[0].counts
    assert counts["extract.citation_marks"] == 3


def test_headings_follow_the_nesting_and_keep_their_labels() -> None:
    body = (
        "<sec><label>1</label><title>Methods</title><p>a</p><sec><title>Patients</title><p>b</p></sec></sec>"
        "<sec><p>untitled</p></sec>"
    )
    assert body_text(body) == "## 1 Methods\n\na\n\n### Patients\n\nb\n\nuntitled"


def test_title_abstracts_and_structured_labels() -> None:
    meta = (
        "<title-group><article-title>Dose of <italic>X</italic></article-title>"
        "<subtitle>a trial</subtitle></title-group>"
        "<abstract><sec><title>Background:</title><p>Why 5 mg.</p></sec>"
        "<sec><title>RESULTS</title><p>r</p></sec></abstract>"
        '<abstract abstract-type="teaser"><p>Read me</p></abstract>'
        '<abstract abstract-type="key-points"><p>Point</p></abstract>'
    )
    parsed = jats.parse(article("<p>b</p>", meta=meta))[0]
    assert parsed.title == "Dose of X: a trial"
    assert parsed.abstract == "Background: Why 5 mg.\n\nRESULTS: r"
    assert parsed.text == (
        "# Dose of X: a trial\n\n## Abstract\n\nBackground: Why 5 mg.\n\nRESULTS: r\n\n## Key points\n\nPoint\n\nb"
    )
    assert parsed.counts["extract.short_abstracts"] == 1


def test_blocks_inside_a_paragraph_keep_the_text_around_them() -> None:
    body = (
        "<p>Before <bold>1 mg</bold><list><list-item><p>first</p><list><list-item><p>nested 2 mg</p></list-item></list>"
        "</list-item><list-item><label>2.</label><p>second</p></list-item></list>after 3 mg"
        "<disp-formula><tex-math>x = 1</tex-math><label>(1)</label></disp-formula>end</p>"
    )
    assert body_text(body) == (
        "Before 1 mg\n\n- first\n  - nested 2 mg\n- 2. second\n\nafter 3 mg\n\n$$x = 1$$ (1)\n\nend"
    )


def test_table_with_spans_caption_and_notes() -> None:
    body = (
        "<table-wrap><label>Table 1</label><caption><title>Doses</title><p>in mg</p></caption><table>"
        '<thead><tr><th rowspan="2">Drug</th><th colspan="2">Dose</th></tr><tr><th>low</th><th>high</th></tr></thead>'
        '<tbody><tr><td>A|B</td><td>5<xref ref-type="table-fn" rid="n">a</xref></td>'
        "<td>10<sup>3</sup></td></tr></tbody>"
        '</table><table-wrap-foot><fn id="n"><label>a</label><p>once daily</p></fn></table-wrap-foot></table-wrap>'
    )
    assert body_text(body) == (
        "Table 1. Doses in mg\n\n"
        "| Drug | Dose | Dose |\n| --- | --- | --- |\n| Drug | low | high |\n| A\\|B | 5^a | 10^3 |\n\n"
        "a once daily"
    )


def test_oasis_table_spans_by_column_names() -> None:
    namespace = "http://docs.oasis-open.org/ns/oasis-exchange/table"
    body = (
        f'<table-wrap xmlns:o="{namespace}"><o:table><o:tgroup cols="2"><o:colspec colname="c1"/>'
        '<o:colspec colname="c2"/>'
        '<o:tbody><o:row><o:entry namest="c1" nameend="c2">Both</o:entry></o:row>'
        '<o:row><o:entry morerows="1">x</o:entry><o:entry>1</o:entry></o:row><o:row><o:entry>2</o:entry></o:row>'
        "</o:tbody></o:tgroup></o:table></table-wrap>"
    )
    assert body_text(body) == "| Both | Both |\n| --- | --- |\n| x | 1 |\n| x | 2 |"


def test_alternatives_take_one_child_and_tex_loses_its_document() -> None:
    body = (
        "<p>so <inline-formula><alternatives><tex-math>\\documentclass[12pt]{minimal}\\begin{document}$$a_1^{2}$$"
        "\\end{document}</tex-math><m:math><m:mi>a</m:mi></m:math><inline-graphic/></alternatives>"
        "</inline-formula> holds</p>"
    )
    assert body_text(body) == "so $a_1^{2}$ holds"


@pytest.mark.parametrize(
    ("math", "text"),
    [
        ("<m:mfrac><m:mn>1</m:mn><m:mn>2</m:mn></m:mfrac>", "1/2"),
        ("<m:mfrac><m:mrow><m:mi>a</m:mi><m:mo>+</m:mo><m:mn>1</m:mn></m:mrow><m:mi>b</m:mi></m:mfrac>", "(a + 1)/b"),
        ("<m:msup><m:mn>10</m:mn><m:mrow><m:mo>−</m:mo><m:mn>3</m:mn></m:mrow></m:msup>", "10^−3"),
        ("<m:msubsup><m:mi>x</m:mi><m:mn>1</m:mn><m:mn>2</m:mn></m:msubsup>", "x_1^2"),
        ("<m:msqrt><m:mn>2</m:mn></m:msqrt>", "sqrt(2)"),
        ("<m:mi>p</m:mi><m:mo>&lt;</m:mo><m:mn>0.05</m:mn>", "p < 0.05"),
        ("<m:mn>1</m:mn><m:msup><m:mi>s</m:mi><m:mn>2</m:mn></m:msup><m:mo>&#x2062;</m:mo><m:mn>2</m:mn>", "1s^2 2"),
        ("<m:mn>1</m:mn><m:mn>2</m:mn>", "1 2"),
        ("<m:mover><m:mi>x</m:mi><m:mo>¯</m:mo></m:mover>", "x̄"),
        ('<m:mfenced open="[" close="]"><m:mn>1</m:mn><m:mn>2</m:mn></m:mfenced>', "[1, 2]"),
        ("<m:mtable><m:mtr><m:mtd>1</m:mtd><m:mtd><m:mn>0</m:mn></m:mtd></m:mtr></m:mtable>", "[1, 0]"),
    ],
)  # fmt: skip
def test_mathml_in_one_line(math: str, text: str) -> None:
    assert body_text(f"<p><inline-formula><m:math>{math}</m:math></inline-formula></p>") == text


def test_a_formula_that_is_only_a_picture_is_said_to_be_one() -> None:
    parsed = jats.parse(article("<p>thus <inline-formula><inline-graphic/></inline-formula> and</p>"))[0]
    assert parsed.text == "thus [formula] and"
    assert parsed.counts["extract.formula_pictures"] == 1


def test_floats_outside_the_body_are_content() -> None:
    rest = (
        "<floats-group><fig><label>Fig. 1</label><caption><p>Dose 5 mg</p></caption><graphic/></fig>"
        "<table-wrap><table><tr><td>1</td><td>2</td></tr></table></table-wrap></floats-group>"
    )
    assert jats.parse(article("<p>b</p>", rest=rest))[0].text == ("b\n\nFig. 1. Dose 5 mg\n\n| 1 | 2 |\n| --- | --- |")


def test_back_matter_leaves_as_counted_blocks_and_glossaries_stay() -> None:
    back = (
        "<ack><p>Thanks 1</p></ack><fn-group><fn fn-type='COI-statement'><p>None 2</p></fn></fn-group>"
        "<sec><title>Funding</title><p>Grant 3</p></sec><notes notes-type='data-availability'><p>4</p></notes>"
        "<glossary><title>Abbreviations</title><def-list><def-item><term>BP</term><def><p>blood pressure</p></def>"
        "</def-item></def-list></glossary><app-group><app><title>Appendix</title><p>Dose 5 mg</p></app></app-group>"
        "<ref-list><ref><mixed-citation>6</mixed-citation></ref></ref-list>"
    )
    parsed = jats.parse(article("<p>b</p>", back=back))[0]
    assert parsed.text == "b\n\n## Abbreviations\n\n- BP: blood pressure\n\n## Appendix\n\nDose 5 mg"
    for name in ("acknowledgements", "competing_interests", "funding", "data_availability", "references"):
        assert parsed.counts[f"extract.{name}"] == 1
        # How much text left with each is told too: its one digit, and its letters.
        assert parsed.counts[f"extract.{name}_digits"] == 1
    assert parsed.counts["extract.acknowledgements_characters"] == len("Thanks1")


def test_a_section_that_only_mentions_funding_stays() -> None:
    assert "Rate 5%" in body_text("<sec><title>Funding of dialysis in 12 countries</title><p>Rate 5%</p></sec>")


def test_sub_articles_and_translated_abstracts_are_texts_of_their_own() -> None:
    meta = (
        '<article-id pub-id-type="pmc">123</article-id><article-id pub-id-type="doi">10.1/x</article-id>'
        "<title-group><article-title>T</article-title>"
        '<trans-title-group xml:lang="fr"><trans-title>Titre</trans-title></trans-title-group></title-group>'
        '<trans-abstract xml:lang="fr"><p>Résumé 5 mg</p></trans-abstract>'
    )
    rest = (
        '<sub-article article-type="reply"><front-stub><article-id pub-id-type="doi">10.1/x.s</article-id>'
        "<title-group><article-title>Reply</article-title></title-group></front-stub><body><p>No.</p></body>"
        "<response><front-stub/><body><p>Yes.</p></body></response></sub-article>"
    )
    main, reply, response, french = jats.parse(article("<p>b</p>", meta=meta, rest=rest, attributes='xml:lang="en"'))
    assert (main.part, main.pmcid, main.doi, main.text) == ("", "PMC123", "10.1/x", "# T\n\nb")
    assert (reply.part, reply.pmcid, reply.doi, reply.lang) == ("s1", "", "10.1/x.s", "en")
    assert reply.text == "# Reply\n\nNo."
    assert (response.part, response.text) == ("s2", "Yes.")
    assert (french.part, french.lang, french.text) == ("a1", "fr", "# Titre\n\nRésumé 5 mg")


@pytest.mark.parametrize(("kind", "value"), [("pmc", "123"), ("pmcid", "PMC123"), ("pmcid", "123"), ("pmc", "PMC123")])
def test_every_spelling_of_a_pmcid(kind: str, value: str) -> None:
    meta = f'<article-id pub-id-type="{kind}">{value}</article-id>'
    references = '<ref-list><ref><pub-id pub-id-type="pmcid">PMC9</pub-id></ref></ref-list>'
    assert jats.parse(article(meta=meta, back=references))[0].pmcid == "PMC123"


def test_dates_are_as_precise_as_the_file() -> None:
    meta = (
        '<pub-date pub-type="collection"><year>2019</year></pub-date>'
        '<pub-date pub-type="epub"><day>4</day><month>3</month><year>2018</year></pub-date>'
        '<pub-date pub-type="pmc-release"><day>1</day><month>1</month><year>2020</year></pub-date>'
    )
    parsed = jats.parse(article(meta=meta))[0]
    assert (parsed.year, parsed.published) == (2018, "2018-03-04")


def test_licence_is_the_articles_own_and_not_a_figures() -> None:
    permissions = '<permissions><license xlink:href="http://creativecommons.org/licenses/by/4.0/"/></permissions>'
    figure = "<fig><permissions><license xlink:href='http://creativecommons.org/licenses/by-nc-nd/4.0/'/></permissions></fig>"
    parsed = jats.parse(article(figure, meta=permissions))[0]
    assert (parsed.licence, parsed.licence_evidence) == ("CC-BY-4.0", "permissions:url")


@pytest.mark.parametrize("kind", sorted(jats.NOTICES))
def test_notices_are_marked(kind: str) -> None:
    parsed = jats.parse(article(attributes=f'article-type="{kind}"'))[0]
    assert parsed.notice
    assert parsed.counts["extract.notice"] == 1


def test_a_default_namespace_changes_nothing() -> None:
    plain = article("<sec><title>A</title><p>1<sup>2</sup></p></sec>")
    spaced = plain.replace(b"<article ", b'<article xmlns="https://jats.nlm.nih.gov/ns/archiving/1.4/" ')
    assert jats.parse(spaced)[0].text == jats.parse(plain)[0].text


def test_unknown_elements_are_opened_and_read() -> None:
    body = "<wild xmlns:t='urn:t'>loose 1<t:odd>text 2<p>para 3</p>tail 4</t:odd></wild>"
    assert re.findall(r"\d", body_text(body)) == ["1", "2", "3", "4"]


BOMB = (
    b'<!DOCTYPE article [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><article><body><p>&c;</p></body></article>'
)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (BOMB, "extract.unsafe"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///passwd">]><article><body>&x;</body></article>', "extract.unsafe"),
        (b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1/x"> %x;]><article/>', "extract.unsafe"),
        (b"<article>" + b"<sec>" * 5000 + b"</sec>" * 5000 + b"</article>", "extract.unsafe"),
        (b"<article><body><p>1</p></body>", "extract.corrupt"),
        (b"", "extract.corrupt"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "extract.not_a_document"),
        (b"<Error><Code>NoSuchKey</Code></Error>", "extract.not_a_document"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why_and_quotes_nothing(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        jats.parse(data)
    assert caught.value.reason == reason
    assert "passwd" not in str(caught.value)


def test_deep_but_legal_nesting_is_read() -> None:
    depth = 120
    text = body_text("<sec>" * depth + "<p>5 mg</p>" + "</sec>" * depth)
    assert text == "5 mg"


def test_named_characters_are_known_without_a_dtd() -> None:
    data = b'<!DOCTYPE article SYSTEM "none.dtd"><article><body><p>5 &mu;g &le; 7</p></body></article>'
    assert jats.parse(data)[0].text == "5 \u03bcg \u2264 7"


# ---- properties

_WORDS = st.text(alphabet="012ab .,<>=±−%", min_size=1, max_size=6)
_TAGS = ("italic", "bold", "sup", "sub", "named-content", "styled-content")


@st.composite
def _markup(draw: st.DrawFn, depth: int = 3) -> tuple[str, str]:
    """Nested inline markup and its text with every raised or lowered border as a space."""
    xml, flat = "", ""
    for _ in range(draw(st.integers(1, 4))):
        if depth and draw(st.booleans()):
            tag = draw(st.sampled_from(_TAGS))
            inner, inner_flat = draw(_markup(depth - 1))
            # A raised point alone is a decimal point: some journals write 1·5 that way.
            border = " " if tag in ("sup", "sub") and re.search(r"\w", inner_flat) else ""
            xml += f"<{tag}>{inner}</{tag}>"
            flat += border + inner_flat + border
        else:
            word = draw(_WORDS)
            xml += escape(word)
            flat += word
    return xml, flat


@given(_markup())
def test_nested_markup_never_loses_or_glues_numbers(markup: tuple[str, str]) -> None:
    xml, flat = markup
    number = r"\d+(?:[.,]\d+)*"
    assert re.findall(number, body_text(f"<p>{xml}</p>")) == re.findall(number, flat)


@given(_markup())
def test_comparators_survive_markup(markup: tuple[str, str]) -> None:
    xml, flat = markup
    assert re.findall(r"[<>=±]", body_text(f"<p>{xml}</p>")) == re.findall(r"[<>=±]", flat)


_CELLS = st.builds(
    Cell,
    st.integers(0, 999).map(str),
    st.integers(1, 4),
    st.integers(1, 4),
)
_ROWS = st.lists(st.lists(_CELLS, max_size=5), min_size=1, max_size=6)


@given(st.lists(_ROWS, min_size=1, max_size=2))
def test_tables_keep_every_cell_and_are_rectangular(groups: list[list[list[Cell]]]) -> None:
    written = pipe_table(groups)
    cells = [cell for group in groups for row in group for cell in row]
    if not cells:
        assert written == ""
        return
    lines = [line for line in written.split("\n") if "---" not in line]
    assert len({line.count("|") for line in lines}) == 1
    found = re.findall(r"\d+", written)
    for text in {cell.text for cell in cells}:
        assert found.count(text) >= sum(cell.text == text for cell in cells)


def test_spans_end_with_their_row_group_and_never_swallow_cells() -> None:
    head = [[Cell("h", rowspan=9), Cell("i")]]
    body = [[Cell("1", rowspan=2), Cell("2", colspan=2)], [Cell("3"), Cell("4")]]
    assert pipe_table([head, body]) == ("| h | i |  |\n| --- | --- | --- |\n| 1 | 2 | 2 |\n| 1 | 3 | 4 |")


def test_a_table_that_asks_for_a_billion_cells_is_still_read() -> None:
    rows = "".join(f'<tr><td rowspan="65000" colspan="1000">{n}</td><td>x</td></tr>' for n in range(300))
    text = body_text(f"<table-wrap><table>{rows}</table></table-wrap>")
    assert set(re.findall(r"\d+", text)) == {str(n) for n in range(300)}
    assert len(text) < 20_000_000


def test_the_parts_of_a_table_too_wide_for_a_page_all_stay() -> None:
    parts = "".join(f"<table><tbody><tr><td>part {n}</td><td>{n}.5</td></tr></tbody></table>" for n in (1, 2, 3))
    text = body_text(f"<table-wrap><label>Table 1</label><alternatives><graphic/>{parts}</alternatives></table-wrap>")
    assert [f"part {n} | {n}.5" in text for n in (1, 2, 3)] == [True] * 3
    assert text.count("| --- |") == 3


def test_floats_of_nlm_2_and_wrappers_nobody_foresaw_are_read() -> None:
    table = "<table-wrap><label>Table 1</label><table><tr><td>5 mg</td></tr></table></table-wrap>"
    assert "| 5 mg |" in jats.parse(article(rest=f"<floats-wrap>{table}</floats-wrap>"))[0].text
    wrapped = f"<x:outer xmlns:x='urn:x'><x:inner><title>Material</title><p>10 mm.</p>{table}</x:inner></x:outer>"
    assert body_text(f"<sec>{wrapped}</sec>").startswith("## Material\n\n10 mm.\n\nTable 1.\n\n| 5 mg |")


def test_a_table_that_is_a_picture_keeps_its_caption_and_is_counted() -> None:
    body = "<table-wrap><label>Table 2</label><caption><p>Doses.</p></caption><graphic/></table-wrap>"
    parsed = jats.parse(article(body))[0]
    assert parsed.text == "Table 2. Doses."
    assert parsed.counts["extract.table_is_image"] == 1


def test_a_footnote_letter_in_a_superscript_is_raised_once() -> None:
    mark = '<sup><xref ref-type="table-fn" rid="f">b</xref></sup>'
    assert "| 24 h^b |" in body_text(f"<table-wrap><table><tr><td>24 h{mark}</td></tr></table></table-wrap>")


def test_the_abstract_without_a_type_is_the_main_one() -> None:
    meta = '<abstract abstract-type="summary"><p>In brief.</p></abstract><abstract><p>The abstract.</p></abstract>'
    assert jats.parse(article(meta=meta))[0].abstract == "The abstract."
    alone = meta.replace("<abstract><p>The abstract.</p></abstract>", "")
    assert jats.parse(article(meta=alone))[0].abstract == "In brief."


FORMATS = st.sampled_from(("italic", "bold", "named-content", "sc", "underline", "roman"))


@given(st.lists(st.tuples(FORMATS, st.text("ab 12<>≥.", max_size=5), st.text("cd 34%", max_size=5)), max_size=6))
def test_formatting_never_changes_a_character(parts: list[tuple[str, str, str]]) -> None:
    marked = "".join(f"<{tag}>{escape(inner)}</{tag}>{escape(tail)}" for tag, inner, tail in parts)
    plain = " ".join("".join(inner + tail for _tag, inner, tail in parts).split())
    assert body_text(f"<p>x{marked}y</p>") == " ".join(f"x{''.join(i + t for _, i, t in parts)}y".split())
    nested = marked
    for tag, _inner, _tail in parts:
        nested = f"<{tag}>{nested}</{tag}>"
    assert " ".join(body_text(f"<p>{nested}</p>").split()) == plain


CHARACTERS = st.text("ab1 \x01\x02\x03\x04\x05\x06\x07\x08\x0f[](),.-^", max_size=40)


@given(CHARACTERS)
def test_no_control_character_leaves_a_block(text: str) -> None:
    assert not re.search("[\x01-\x07\x0f]", finish(text, {}))
