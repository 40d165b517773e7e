"""What a page says with a picture, a tab or two raised digits, and a text would lose."""

from __future__ import annotations

import pytest

from scrapers.formats.html import html_to_text


def _text(body: str, root: str = "main") -> str:
    return html_to_text(f"<body><main>{body}</main></body>", root=root).text


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ('<i class="fa" aria-hidden="true"></i><span class="sr-only">Yes</span>', "Yes"),
        ('<svg></svg><span class="visually-hidden">No</span>', "No"),
        ('<span aria-hidden="true">✗</span><span class="sr-only">No</span>', "No"),
        ('<span aria-hidden="true">✔</span>', "✔"),
        ('5 mg<span class="sr-only"> (sorted)</span>', "5 mg"),
    ],
)
def test_a_cell_whose_only_words_are_for_the_ear_keeps_them(cell: str, written: str) -> None:
    text = _text(f"<table><tr><th>Drug</th><th>Safe</th></tr><tr><td>A</td><td>{cell}</td></tr></table>")
    assert text.splitlines()[-1] == f"| A | {written} |"


@pytest.mark.parametrize(
    ("inside", "written"),
    [
        ('<span aria-hidden="true">✗</span><span class="sr-only">Do not use:</span> aspirin', "Do not use: aspirin"),
        ('INR <svg></svg><span class="sr-only">less than or equal to</span> 3', "INR less than or equal to 3"),
        ('<span aria-hidden="true">&lt;</span><span class="sr-only">less than</span> 5', "< 5"),
        ('<span class="sr-only">more than</span>&gt; 7', "> 7"),
        ('<a href="#">Read on<span class="sr-only"> about what is not new</span></a>', "Read on"),
    ],
)
def test_negations_and_comparisons_for_the_ear_stay_where_no_sign_says_them(inside: str, written: str) -> None:
    assert _text(f"<p>{inside}</p>") == written


_PANES = (
    '<div class="tab-content"><div class="tab-pane"><p>500 mg twice daily for five days in adults with infection</p>'
    '</div><div class="tab-pane"><p>15 mg/kg twice daily in children for the same number of days</p></div></div>'
)


@pytest.mark.parametrize(
    "tabs",
    [
        '<nav><div class="nav nav-tabs" role="tablist"><button class="nav-link" role="tab">Adults</button>'
        '<button role="tab">Children 5-11 years</button></div></nav>',
        '<ul class="nav nav-tabs"><li><a data-toggle="tab" href="#a">Adults</a></li>'
        '<li><a data-toggle="tab" href="#b">Children 5-11 years</a></li></ul>',
        '<ul class="nav nav-tabs" role="tablist"><li><a role="tab" href="#a">Adults</a></li>'
        '<li><a role="tab" href="#b">Children 5-11 years</a></li></ul>',
    ],
)
@pytest.mark.parametrize("root", ["main", ".none"])
def test_tabs_say_for_whom_the_doses_are(tabs: str, root: str) -> None:
    lines = [line.removeprefix("- ") for line in _text(tabs + _PANES, root).split("\n") if line]
    assert lines[:2] == ["Adults", "Children 5-11 years"]


def test_a_menu_is_no_row_of_tabs() -> None:
    assert _text('<nav><ul><li><a href="/a">Home 1</a></li></ul></nav><p>Dose 5 mg</p>') == "Dose 5 mg"


@pytest.mark.parametrize(
    ("markup", "written"),
    [
        ("1<sup>1</sup>/<sub>2</sub> tablets", "1 1/2 tablets"),
        ("2 <sup>1</sup>&frasl;<sub>4</sub> mL", "2 1⁄4 mL"),
        ("<sup>3</sup>/<sub>4</sub> of it", "3/4 of it"),
        ("x<sup>2</sup>/<sub>3</sub>", "x^2/3"),
        ("10<sup>9</sup>/L", "10^9/L"),
        ("m<sup>2</sup>/2", "m^2/2"),
    ],
)
def test_a_fraction_of_raised_and_lowered_digits_is_no_power(markup: str, written: str) -> None:
    assert _text(f"<p>{markup}</p>") == written


def test_a_second_definition_belongs_to_its_term() -> None:
    found = _text("<dl><dt>Severe</dt><dd>PEF below 50%</dd><dd>SpO2 below 92%</dd><dt>Mild</dt><dd>None</dd></dl>")
    assert found == "- Severe: PEF below 50%\n  SpO2 below 92%\n- Mild: None"
