"""Pages as they are found: signs that read like tags, suggestions, marks of notes, charsets that mislead."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters.clean import clean
from filters.numbers import numeric_tokens
from scrapers.formats.html import html_to_text
from scrapers.formats.html_source import decode


def text(markup: str) -> str:
    return html_to_text(f"<html><body><main>{markup}</main></body></html>", root="main").text


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        pytest.param("<p>if a <b and c> d</p>", "if a <b and c> d", id="names_of_elements_between_two_signs"),
        pytest.param("<p>x <i y</p><p>next 5</p>", "x <i y\n\nnext 5", id="a_letter_that_no_sign_closes"),
        pytest.param("<p>p<s 5, CRP <q 5 and >3</p>", "p<s 5, CRP <q 5 and >3", id="letters_before_numbers"),
        pytest.param("<p>platelets <th 5 and > 3</p>", "platelets <th 5 and > 3", id="a_cell_in_a_sentence"),
        pytest.param("<p>INR <u/l 5; x<a<y; n<b, m<q; k<s)</p>", "INR <u/l 5; x<a<y; n<b, m<q; k<s)",
                     id="what_ends_no_name"),
        pytest.param("<p>time <data or 5 <small amounts 6> 7</p>", "time <data or 5 <small amounts 6> 7", id="words"),
        pytest.param("<p>p<a", "p<a", id="at_the_end_of_the_page"),
        pytest.param("<p>a <s and n=5 or c> d, p <u or q=6</p><p>7</p>", "a <s and n=5 or c> d, p <u or q=6\n\n7",
                     id="an_equation_is_no_attribute"),
        pytest.param("<p><a onclick=f(5)>6</a> <img width=5 src=x></p>", "6", id="unknown_attributes"),
        pytest.param("<table><tr><td nowrap>1<td width 5>2</table><ol reversed><li>3</ol><p hidden>9</p><font size 2>4"
                     "</font><p ng-cloak>5</p><p v:if>6</p><b\n>7</b>",
                     "| 1 | 2 |\n| --- | --- |\n\n- 1. 3\n\n4\n\n5\n\n6\n\n7", id="attributes_without_values"),
        pytest.param("<p>a <b cls>5</b> 6</p>", "a 5 6", id="what_the_page_closes_is_a_tag"),
        pytest.param("<p><a href='x y'>5</a> <img alt='a <b and c> d' src=x> <p <b>6</b></p>", "5\n\n6",
                     id="tags_stay"),
        pytest.param("<p>&amp;lt;5 mg, &amp;#8805;6, 7&amp;nbsp;mg, R&amp;D;x</p>", "<5 mg, ≥6, 7 mg, R&D;x",
                     id="escaped_twice"),
        pytest.param("<pre>&amp;lt;5</pre>", "```\n&lt;5\n```", id="code_is_as_it_is"),
        pytest.param("<ruby>漢<rp>(</rp><rt>kan 5</rt><rp>)</rp></ruby>", "漢 (kan 5)", id="gloss"),
        pytest.param("<p>x <picture><source srcset=a><img alt='≥' src=b></picture>5</p>", "x ≥5",
                     id="picture_of_a_sign"),
        pytest.param("<p>use <span style='text-decoration: line-through'>5</span> <b style='text-decoration-line:"
                     "line-through'>6</b> <span style='text-decoration:underline'>7</span></p>", "use 7",
                     id="struck_by_style"),
        pytest.param("<p>Take <button class=term>aspirin</button> 75 mg</p><p>Share: <button>Copy</button></p>",
                     "Take aspirin 75 mg\n\nShare:", id="a_term_that_opens_its_definition"),
        pytest.param("<p>5 mg<sup><a href='#fn1'>1</a></sup>, 6 mg<a href='#_ftn2'>[2]</a></p>", "5 mg, 6 mg",
                     id="marks_of_footnotes_are_no_powers"),
        pytest.param("<p>grade <a href='#note1'>1</a> or <a href='#note2'>2</a>, 5<a href='#note3'>3</a> mg</p>",
                     "grade 1 or 2, 5 mg", id="a_number_of_the_sentence_is_no_mark"),
        pytest.param("<p>Give <suggestion-start name='deletion:1:u'></suggestion-start>5<suggestion-end name="
                     "'deletion:1:u'></suggestion-end><suggestion-start name='insertion:2:u'></suggestion-start>10"
                     "<suggestion-end name='insertion:2:u'></suggestion-end> mg</p>", "Give 10 mg", id="suggestions"),
        pytest.param("<p data-suggestion-start-before='insertion:0,deletion:1:u'>5</p><p>6</p><p "
                     "data-suggestion-end-after='deletion:1:u'>7 <b>8</b></p><p>9</p>",
                     "9", id="suggestions_on_blocks"),
        pytest.param("<p data-suggestion-start-after='deletion:1'>4</p><p>5</p><p "
                     "data-suggestion-end-before='deletion:1'>6</p>", "4\n\n6", id="suggestions_between_blocks"),
        pytest.param("<p>a<suggestion-start name='deletion:1'></suggestion-start>b</p><ul><li>c<suggestion-end name="
                     "'deletion:1'></suggestion-end>d 5</li></ul>", "a\n\n- d 5", id="a_suggestion_over_blocks"),
        pytest.param("<p>5 <suggestion-start name='deletion:1'></suggestion-start>6</p>", "5 6",
                     id="a_suggestion_that_never_ends_removes_nothing"),
        pytest.param("<p>1<wbr>000 1&nbsp;000 1&thinsp;000 1&#8203;000 1&shy;000</p>", "1000 1 000 1 000 1000 1000",
                     id="spaces_in_numbers"),
        pytest.param("<p>10&sup2; 1&frac12; &frac12; 5&times;10<sup>9</sup> 1&middot;5 &micro;g &#956;g &#8722;2.5</p>",
                     "10² 1½ ½ 5×10^9 1·5 µg μg −2.5", id="values_that_normalising_would_change"),
        pytest.param("<noscript><img alt=5></noscript><img class=lazy data-src=x alt='Figure of 5 mg'><p>6</p>", "6",
                     id="lazy_pictures"),
        pytest.param("<p>a) 5 mg<br/>b) 6 mg<br/>&bull; 7 mg</p>", "a) 5 mg\nb) 6 mg\n• 7 mg",
                     id="list_of_line_breaks"),
        pytest.param("<table><tr><td rowspan=3>A</td><td>1</td></tr><tr><td>2</td></tr><tr><td rowspan=2 colspan=2>3"
                     "</td></tr><tr><td>4</td></tr></table>",
                     "| A | 1 |  |\n| --- | --- | --- |\n| A | 2 |  |\n| A | 3 | 3 |\n| 4 | 3 | 3 |",
                     id="spans_that_cross"),
        pytest.param("<div role=tabpanel hidden><p>Adults 5 mg</p></div><div class='tab-pane' style='display:none'>"
                     "Children 3 mg</div>", "Adults 5 mg\n\nChildren 3 mg", id="tabs"),
    ],
)  # fmt: skip
def test_traps(markup: str, expected: str) -> None:
    found = text(markup)
    assert found == expected
    assert numeric_tokens(clean(found)[0]) == numeric_tokens(found)


def test_what_was_repaired_is_counted() -> None:
    page = "<main>&amp;lt;5 &amp;gt;6<suggestion-start "
    page += "name='deletion:1'></suggestion-start>7<suggestion-end name='deletion:1'></suggestion-end>"
    assert html_to_text(page, root="main").counts == {"extract.tracked_deletions": 1, "extract.unescaped_twice": 2}


@pytest.mark.parametrize(
    ("encoded", "expected", "counts"),
    [
        pytest.param("<p>≥5 µg 10²".encode("utf-16-le"), "≥5 µg 10²", {"detected": 1}, id="utf16_le_without_its_mark"),
        pytest.param("<p>≥5 µg 10²".encode("utf-16-be"), "≥5 µg 10²", {"detected": 1}, id="utf16_be_without_its_mark"),
        pytest.param("<!-- <meta charset=utf-8> --><meta charset=iso-8859-1><p>10² µg".encode("cp1252"), "10² µg", {},
                     id="a_declaration_in_a_comment"),
        pytest.param("<meta charset=iso-8859-1><p>≥5 µg".encode(), "≥5 µg", {}, id="utf8_declared_latin1"),
        pytest.param("<meta charset=windows-1252><p>10² ≥5".encode(), "10² ≥5", {}, id="utf8_declared_windows"),
        pytest.param("<meta charset=utf-8><p>≥5 µg ".encode() + b"\x96 \xb17", "≥5 µg – ±7", {"mixed": 1},
                     id="windows_bytes_pasted_into_utf8"),
        pytest.param("<meta charset=iso-8859-1><p>10² 1½ µg".encode("cp1252") + b" \x9d", "10² 1½ µg", {},
                     id="a_byte_that_windows_leaves_open"),
        pytest.param("<meta charset=utf-8><p>10² 1½ µg".encode("cp1252"), "10² 1½ µg", {"detected": 1},
                     id="windows_declared_utf8"),
        pytest.param(b"<p>" + ("Give the drug to them. " * 9 + "10² 1½ µg ± 5 °C").encode("cp1252"),
                     "Give the drug to them. " * 9 + "10² 1½ µg ± 5 °C", {"detected": 1}, id="windows_undeclared"),
        pytest.param(b"<html lang=pl><p>" + ("Należy podać 5 µg leku, później więcej. " * 9).encode("iso-8859-2",
                     "ignore"),
                     ("Należy podać 5 g leku, później więcej. " * 9).rstrip(), {"detected": 1}, id="polish_undeclared"),
    ],
)  # fmt: skip
def test_charsets_that_contradict_the_page(encoded: bytes, expected: str, counts: dict[str, int]) -> None:
    made: dict[str, int] = {}
    assert decode(encoded, made).rpartition("<p>")[2].rstrip(" \x9d") == expected
    assert made == {f"extract.{name}_charset": n for name, n in counts.items()}


_WORD = st.sampled_from(
    ["a", "b", "i", "p", "q", "s", "u", "th", "time", "data", "small", "center", "and", "or",
     "5", "0.05", "mg", "of", "h1"]
)  # fmt: skip
_SIGNED = st.tuples(_WORD, st.sampled_from([" <", "<", " < ", " > ", "<="]), _WORD, st.just(" "), _WORD)


@settings(max_examples=300, deadline=None)
@given(st.lists(_SIGNED, min_size=1, max_size=4).map(lambda parts: "; ".join(map("".join, parts))))
@example("a <b and c> d")
def test_no_sentence_of_signs_and_names_loses_a_word(sentence: str) -> None:
    assert text(f"<p>{sentence} 7</p><p>8</p>").split() == f"{sentence} 7 8".split()
