"""Citation marks of JATS articles, dropped, kept or written out as what they cite: always as whole marks."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RecipeError
from manifests.markers import OURS, WRITTEN, plain
from scrapers.formats import jats
from scrapers.pmc_read import checked_citations

NAMES = "abcdefghij"


def reference(number: int, title: str = "") -> str:
    name = NAMES[number]
    title = title or f"Title {name} of <italic>it</italic>."
    return (
        f'<ref id="b{number}"><label>{number}</label><element-citation><person-group><name><surname>Sur{name}</surname>'
        f"</name></person-group><article-title>{title}</article-title></element-citation></ref>"
    )


REFERENCES = "".join(map(reference, range(1, 8)))
REFERENCES += '<ref id="b8"><label>8</label><mixed-citation>Bare.</mixed-citation></ref>'


def xref(text: str, to: str = "") -> str:
    return f'<xref ref-type="bibr" rid="{to or "b" + text}">{text}</xref>'


def read(markup: str, citations: str, references: str = REFERENCES) -> jats.JatsArticle:
    data = f"<article><front/><body><p>{markup}</p></body><back><ref-list>{references}</ref-list></back></article>"
    return jats.parse(data.encode(), citations)[0]


def cited(*numbers: int) -> str:
    return " ".join(f"{OURS}[bib_ref] Title {NAMES[n]} of it, Sur{NAMES[n]} {OURS}[/bib_ref]" for n in numbers)


@pytest.mark.parametrize(
    ("markup", "kept", "written"),
    [
        (f"shown [{xref('1')}].", "shown [1].", f"shown {cited(1)}."),
        (f"shown [{xref('1')},{xref('2')}] here", "shown [1,2] here", f"shown {cited(1, 2)} here"),
        (f"shown [{xref('1')}–{xref('4')}].", "shown [1–4].", f"shown {cited(1, 2, 3, 4)}."),
        (f"shown [{xref('1')}]-[{xref('3')}].", "shown [1]-[3].", f"shown {cited(1, 2, 3)}."),
        (f"shown [{xref('1')}–3].", "shown [1–3].", f"shown {cited(1, 2, 3)}."),
        (f"shown<sup>{xref('1')}</sup>. Then", "shown[1]. Then", f"shown {cited(1)}. Then"),
        (f"shown.<sup>{xref('1')},{xref('2')}</sup> Then", "shown.[1,2] Then", f"shown. {cited(1, 2)} Then"),
        (f"in 12<sup>{xref('5')}</sup> patients", "in 12[5] patients", f"in 12 {cited(5)} patients"),
        (f"(P &lt; 0.05, {xref('7')})", "(P < 0.05, [7])", f"(P < 0.05, {cited(7)})"),
        (f"500 mg ({xref('7')}) daily", "500 mg (7) daily", f"500 mg {cited(7)} daily"),
        (f"10<sup>-3</sup> {xref('1')}", "10^-3 [1]", f"10^-3 {cited(1)}"),
        (f"see ref. {xref('7')} for 3", "see ref. 7 for 3", f"see ref. {cited(7)} for 3"),
        (f"so ({xref('Li 2010', 'b1')}; {xref('Wu 2011', 'b2')}).", "so (Li 2010; Wu 2011).", f"so {cited(1, 2)}."),
        (f"shown {xref('1-3', 'b1 b2 b3')}.", "shown [1-3].", f"shown {cited(1, 2, 3)}."),
        (f"shown [{xref('8')}].", "shown [8].", "shown."),
        (f"shown {xref('9')} here", "shown [9] here", "shown here"),
        (f"so ({xref('Li 2010', 'b9')}).", "so (Li 2010).", "so (Li 2010)."),
        (f"so ({xref('500 mg daily', 'b1')}).", "so (500 mg daily).", "so (500 mg daily)."),
    ],
)
def test_marks_kept_and_written_out(markup: str, kept: str, written: str) -> None:
    assert read(markup, "keep").text == kept
    assert read(markup, "bib_ref").text == written


def test_a_reference_is_written_with_twelve_words_of_its_title_and_the_first_surname() -> None:
    title = " ".join(f"w{n}" for n in range(20))
    assert read(f"so [{xref('1')}].", "bib_ref", reference(1, title)).text == (
        f"so {OURS}[bib_ref] {' '.join(f'w{n}' for n in range(12))}, Surb {OURS}[/bib_ref]."
    )


def test_a_title_cannot_look_like_the_end_of_a_mark() -> None:
    text = read(f"so [{xref('1')}].", "bib_ref", reference(1, "x [/bib_ref] [bib_ref] y")).text
    assert (text.count("[bib_ref]"), text.count("[/bib_ref]")) == (1, 1)


@pytest.mark.parametrize("written", ["\ufdd0[bib_ref]", "&#xFDD0;[/bib_ref]", "\ufdd0&#91;table&#93;", "\ufdd0"])
@pytest.mark.parametrize("citations", ["drop", "keep", "bib_ref"])
def test_an_article_cannot_write_a_mark_of_ours(written: str, citations: str) -> None:
    article = read(f"{written} so {written} [{xref('1')}] {written}", citations)
    ours = 2 if citations == "bib_ref" else 0
    assert article.text.count(OURS) == ours == article.counts.get(WRITTEN, 0)
    assert plain(article.text).count("[bib_ref]") == (ours // 2) + 3 * ("[bib_ref]" in written)
    titled = read("x", citations, reference(1)).title + read("x", citations, reference(1)).abstract
    assert OURS not in titled


def test_marks_that_point_nowhere_are_counted_and_kept_ones_are_not() -> None:
    markup = f"so [{xref('1')}] and [{xref('9')}]"
    assert read(markup, "bib_ref").counts["extract.citation_marks"] == 1
    assert read(markup, "drop").counts["extract.citation_marks"] == 2
    assert "extract.citation_marks" not in read(markup, "keep").counts


def test_an_unknown_choice_is_an_error() -> None:
    with pytest.raises(ValueError, match="citations is 'remove'"):
        read("x", "remove")
    with pytest.raises(RecipeError, match="citations is 'remove'"):
        checked_citations("remove", where="[sources.pmc] options")


MARKS = st.lists(st.integers(1, 9), min_size=1, max_size=4)
SHAPES = ("[{}]", "({})", "<sup>{}</sup>", "<sup>[{}]</sup>", "{}", " {}")


@st.composite
def sentences(draw: st.DrawFn) -> tuple[str, list[str], int]:
    """Markup, the numbers of its prose, and how many marks it has."""
    markup, numbers, marks = "", [], 0
    for _ in range(draw(st.integers(1, 4))):
        dose = str(draw(st.integers(10, 99_999)))
        numbers.append(dose)
        chosen = draw(MARKS)
        marks += len(chosen)
        joined = draw(st.sampled_from((",", ", ", "; "))).join(xref(str(number)) for number in chosen)
        space = draw(st.sampled_from(("", " ")))
        markup += (
            f"about {dose} mg{space}{draw(st.sampled_from(SHAPES)).format(joined)}{draw(st.sampled_from(('. ', ' ')))}"
        )
    return markup, numbers, marks


@given(sentences())
def test_no_number_of_the_prose_is_lost_or_glued_whatever_becomes_of_the_marks(
    given: tuple[str, list[str], int],
) -> None:
    markup, numbers, marks = given
    dropped, kept, written = (read(markup, how) for how in ("drop", "keep", "bib_ref"))
    assert re.findall(r"\d+", dropped.text) == numbers
    # Marks in one superscript are one.
    assert 0 < dropped.counts["extract.citation_marks"] <= marks
    assert re.findall(r"\d+", written.text) == numbers
    found = Counter(re.findall(r"\d+", kept.text))
    assert not Counter(numbers) - found
    assert found.total() == len(numbers) + marks
    assert not re.search(r"\[\s*\]|\(\s*\)|[\[(]\s*[,;]|[\x00-\x08\x0e-\x1f]", dropped.text + written.text)
    assert written.text.count("[bib_ref]") == written.text.count("[/bib_ref]")
