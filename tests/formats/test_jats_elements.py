"""Elements that articles seldom use: what each of them holds arrives, once, in its place."""

from __future__ import annotations

import pytest

from scrapers.formats import jats


def read(body: str, *, back: str = "", front: str = "") -> jats.JatsArticle:
    data = (
        f"<article xmlns:m='http://www.w3.org/1998/Math/MathML'><front><article-meta>{front}</article-meta></front>"
        f"<body>{body}</body><back>{back}</back></article>"
    )
    return jats.parse(data.encode())[0]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        # A graphic may have a label and a caption without a figure around it.
        ("<graphic><label>Fig. 9</label><caption><p>At 5 mg.</p></caption></graphic>", "Fig. 9. At 5 mg."),
        ("<p>so <graphic><caption><p>At 5 mg.</p></caption></graphic> on</p>", "so At 5 mg. on"),
        ("<p>see <inline-media><alt-text>film 7</alt-text></inline-media> on</p>", "see on"),
        # A footnote in a heading stands below it.
        ("<sec><title>Doses<fn><p>In mg, 3 times.</p></fn></title></sec>", "## Doses\n\nIn mg, 3 times."),
        (
            "<boxed-text><title>Doses<fn><p>In mg.</p></fn></title><p>5</p></boxed-text>",
            "## Doses\n\nIn mg.\n\n5",
        ),
        # Labels of definitions.
        (
            "<def-list><def-item><label>Step 1</label><term>Wash</term><def><p>5 min</p></def></def-item></def-list>",
            "- Step 1 Wash: 5 min",
        ),
        # Both labels where a publisher gives a figure two languages.
        (
            "<fig><label>Figura 1</label><caption><p>5 mg</p></caption><label>Figure 1</label></fig>",
            "Figura 1 Figure 1. 5 mg",
        ),
        # A caption with a title, where nothing else reads it.
        (
            "<disp-formula-group><caption><title>Set 3</title></caption><disp-formula>x = 1</disp-formula>"
            "</disp-formula-group>",
            "## Set 3\n\nx = 1",
        ),
        ("<boxed-text><caption><title>Box 3</title><p>a</p></caption><p>b</p></boxed-text>", "## Box 3\n\na\n\nb"),
        # An equation's number, inside a line.
        (
            "<table-wrap><table><tr><td>so <disp-formula>x = 1<label>(7)</label></disp-formula></td></tr></table>"
            "</table-wrap>",
            "| so x = 1 (7) |\n| --- |",
        ),
        # Questions of continuing education.
        (
            "<question-wrap><question><label>2.</label><p>How much?</p></question><answer-set><answer><label>A.</label>"
            "<p>5 mg</p></answer><answer><label>B.</label><p>50 mg</p></answer></answer-set></question-wrap>",
            "2. How much?\n\nA. 5 mg\n\nB. 50 mg",
        ),
        # One of several forms of a block.
        (
            "<block-alternatives><fig><graphic/></fig><table-wrap><table><tr><td>5 mg</td></tr></table></table-wrap>"
            "</block-alternatives>",
            "| 5 mg |\n| --- |",
        ),
        ("<p><ruby><rb>漢</rb><rt>kan</rt></ruby></p>", "漢 (kan)"),
        ("<p>a<hr/>b <fixed-case>pH</fixed-case> 7 <strike>8</strike></p>", "a b pH 7 8"),
    ],
)
def test_each_element_is_read(body: str, text: str) -> None:
    assert read(body).text == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<list><list-item>take <italic>5</italic> mg<p>daily</p></list-item></list>", "- take 5 mg\n  daily"),
        ("<def-list><def-item><term>BP</term><def>at <bold>rest</bold></def></def-item></def-list>", "- BP: at rest"),
        ("take <italic>5</italic> mg <xref ref-type='fig'>Fig. 1</xref><p>daily</p>", "take 5 mg Fig. 1\n\ndaily"),
        ("<sec>5<sup>2</sup> mg<p>daily</p>10<sup>-3</sup> M</sec>", "5^2 mg\n\ndaily\n\n10^-3 M"),
        ("<fig><caption>at <sub>2</sub> mg</caption></fig>", "at 2 mg"),
    ],
)  # fmt: skip
def test_text_without_a_paragraph_around_it_is_one(body: str, text: str) -> None:
    assert read(body).text == text


def test_an_abstract_without_a_paragraph_is_one() -> None:
    parsed = read("", front="<abstract>Of <italic>5</italic> mg<sup>2</sup> a day.</abstract>")
    assert parsed.abstract == "Of 5 mg^2 a day."


def test_notes_at_the_end_keep_their_heading_only_while_a_note_stays() -> None:
    kept = read("<p>a</p>", back="<fn-group><title>Notes</title><fn><p>At 5 mg.</p></fn></fn-group>")
    assert kept.text == "a\n\n## Notes\n\nAt 5 mg."
    gone = read("<p>a</p>", back="<fn-group><title>Notes</title><fn fn-type='con'><p>All wrote.</p></fn></fn-group>")
    assert gone.text == "a"


def with_references(markup: str, count: int = 60) -> str:
    refs = "".join(f'<ref id="b{n}"><mixed-citation>{n}</mixed-citation></ref>' for n in range(1, count + 1))
    return read(f"<p>{markup}</p>", back=f"<ref-list>{refs}</ref-list>").text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("in {} of both", "in [5, 120] of both"),
        ("x ∈ {} of both", "x ∈ [5, 120] of both"),
    ],
)
def test_a_span_of_values_that_was_tagged_as_a_citation_stays(markup: str, text: str) -> None:
    mark = '<xref ref-type="bibr" rid="b5">5</xref>'
    assert with_references(markup.format(f"[{mark}, 120]")) == text


@pytest.mark.parametrize("before", ["95% CI", "the range", "95% CI =", "∈", "x ≥"])
def test_small_spans_are_told_by_what_stands_before_them(before: str) -> None:
    mark = '<xref ref-type="bibr" rid="b5">5</xref>'
    assert with_references(f"{before} [{mark}, 20] here") == f"{before} [5, 20] here"
    assert with_references(f"as shown [{mark}, 20] here") == "as shown here"


def test_a_citation_after_an_interval_is_still_a_citation() -> None:
    assert with_references('with 95% CI [<xref ref-type="bibr" rid="b5">5</xref>].') == "with 95% CI."


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("dose of <sup>137</sup>CsCl", "dose of 137CsCl"),
        ("<sup>99m</sup>TcO<sub>4</sub>", "99mTcO4"),
        ("(99 <sup>m</sup>Tc-DTPA)", "(99 mTc-DTPA)"),
        ("in <sup>14</sup>CO<sub>2</sub>", "in 14CO2"),
        ("from <sup>60</sup>CO sources", "from 60CO sources"),
        ("(<sup>2</sup>D<sub>2</sub>-JA)", "(2D2-JA)"),
        ("by <sup>1</sup>H NMR", "by 1H NMR"),
        ("H<sub>2</sub><sup>18</sup>O", "H2^18O"),
        ("Na<sup>125</sup>I", "Na^125I"),
        ("a <sup>3</sup>HIV test", "a ^3HIV test"),
        ("and <sup>13</sup>In our", "and ^13In our"),
        ("<sup>c</sup>N = 50", "c N = 50"),
        ("<sup>b</sup>No hit", "b No hit"),
        ("<sup>1</sup>At 12 h", "1 At 12 h"),
        ("(<sup>o</sup>C)", "(oC)"),
        # A sign raised apart from its number, or not raised at all.
        ("5 mL<bold><sup>-</sup></bold><sup>1</sup>", "5 mL^-1"),
        ("10<sup>-</sup><sup>3</sup>", "10^-3"),
        ("10-<sup>3</sup> M", "10-^3 M"),
        ("worm<sup>5</sup><sup>-</sup><sup>7</sup>", "worm^5-7"),
        ("urea-<sup>15</sup>N and [1-<sup>14</sup>C]", "urea-15N and [1-14C]"),
        # A reference nobody tagged: no decimal, and never taken for a mark.
        ("Lu et al.<sup>1</sup> found 5 mg.<sup>2,3</sup>", "Lu et al.^1 found 5 mg.^2,3"),
    ],
)
def test_a_raised_number_joins_the_symbol_of_its_element_and_no_other_word(markup: str, text: str) -> None:
    assert read(f"<p>{markup}</p>").text == text


@pytest.mark.parametrize("markup", ["<sup>{0},{1}</sup>", "<sup>[{0}, {1}]</sup>", "<sup>{0}–{1}</sup>", "[{0},{1}]"])
def test_every_mark_of_a_superscript_is_counted(markup: str) -> None:
    marks = [f'<xref ref-type="bibr" rid="b{n}">{n}</xref>' for n in (1, 2)]
    parsed = read(f"<p>so {markup.format(*marks)}.</p>")
    assert parsed.text == "so."
    assert parsed.counts["extract.citation_marks"] == 2


OASIS = "http://docs.oasis-open.org/ns/oasis-exchange/table"


def oasis(rows: str) -> str:
    specs = "".join(f'<colspec colname="c{n}"/>' for n in (1, 2, 3))
    group = f'<tgroup cols="3">{specs}<spanspec spanname="s" namest="c2" nameend="c3"/><tbody>{rows}</tbody></tgroup>'
    return read(f'<table-wrap><table xmlns="{OASIS}">{group}</table></table-wrap>').text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ('<entry>a</entry><entry spanname="s">5 mg</entry>', "| a | 5 mg | 5 mg |"),
        ('<entry>a</entry><entry namest="c2" nameend="c3">5 mg</entry>', "| a | 5 mg | 5 mg |"),
        ('<entry>a</entry><entry colname="c3">5 mg</entry>', "| a |  | 5 mg |"),
        ('<entry colname="c3" namest="c9">5 mg</entry>', "| 5 mg |"),
        ('<entry namest="c3" nameend="c1">5 mg</entry>', "|  |  | 5 mg |"),
    ],
)
def test_cells_of_an_oasis_table_stand_in_the_column_they_name(row: str, text: str) -> None:
    assert oasis(f"<row>{row}</row>").split("\n")[0] == text


def test_a_column_held_from_above_is_not_skipped_twice() -> None:
    rows = '<row><entry morerows="1">a</entry><entry>1</entry><entry>2</entry></row>'
    assert oasis(rows + '<row><entry colname="c3">3</entry></row>').endswith("| a |  | 3 |")
    assert oasis(rows + "<row><entry>4</entry><entry>5</entry></row>").endswith("| a | 4 | 5 |")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<list>first 5<list-item><p>6</p></list-item></list>", "first 5\n\n- 6"),
        ("<table-wrap><table><tr>5<td>6</td></tr>8</table></table-wrap>", "| 6 | 5 |\n| --- | --- |\n| 8 |  |"),
        ("<sec><title>A 1</title><title>B 2</title><p>c</p></sec>", "## A 1 B 2\n\nc"),
        (
            "<p><m:math><m:mfrac><m:mn>1</m:mn><m:mn>2</m:mn><m:mn>3</m:mn></m:mfrac></m:math> and "
            "<m:math><m:mfrac>4<m:mn>5</m:mn><m:mn>6</m:mn></m:mfrac></m:math></p>",
            "1/2 3 and 5/6 4",
        ),
    ],
)  # fmt: skip
def test_what_stands_where_the_tag_library_has_no_place_for_it_stays(body: str, text: str) -> None:
    assert read(body).text == text


def test_a_stray_text_beside_the_sections_of_an_abstract_stays() -> None:
    front = "<abstract>At 5 mg.<sec><title>Aim</title><p>a</p></sec></abstract>"
    assert read("", front=front).abstract == "Aim: a\n\nAt 5 mg."


@pytest.mark.parametrize(
    ("note", "stays"),
    [
        ("Received at least 1 dose: 12 of 40.", True),
        ("Corresponding to 5 mg/kg.", True),
        ("Supplemental oxygen at 2 L/min.", True),
        ("Accepted doses were 5 mg.", True),
        ("Funding gaps of 5 years.", True),
        ("Received 3 May 2010", False),
        ("Accepted for publication on 3 December 2010.", False),
        ("Received: 12/3/2011", False),
        ("Corresponding author: see page 3", False),
        ("Funding: grant 5", False),
        ("Supplementary material is at page 3", False),
    ],
)
def test_a_last_note_leaves_by_what_it_says_not_by_its_first_word(note: str, stays: bool) -> None:
    article = read("<p>a</p>", back=f"<fn-group><fn><p>{note}</p></fn></fn-group>")
    assert (note in article.text) == stays
    assert ("extract.author_notes" in article.counts) != stays


def test_a_reference_to_a_footnote_that_is_words_stays() -> None:
    text = read("<p>as in <xref ref-type='fn'>footnote 2</xref> and here<xref ref-type='fn'>iii</xref>.</p>").text
    assert text.endswith("as in footnote 2 and here.")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("37 <sup>o</sup>C", "37 \u00b0C"),
        ("20<sup>o</sup>C", "20\u00b0C"),
        ("98.6<sup>o</sup> F", "98.6\u00b0 F"),
        ("20<sup><italic>o</italic></sup>C", "20\u00b0C"),
        ("90<sup>o</sup> bend", "90^o bend"),
        ("n<sup>o</sup> 5", "n^o 5"),
        ("4<sup>o</sup>Cells", "4^oCells"),
    ],
)
def test_a_raised_o_before_celsius_is_a_degree_sign(source: str, text: str) -> None:
    assert read(f"<p>{source}</p>").text.endswith(text)
