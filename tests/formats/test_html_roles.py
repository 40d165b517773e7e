"""Tables made of roles instead of elements, and links whose digits stand side by side."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.clean import clean
from filters.numbers import numeric_tokens
from scrapers.formats.html import HtmlText, html_to_text


def read(markup: str) -> HtmlText:
    return html_to_text(f"<html><body><main>{markup}</main></body></html>", root="main")


def row(*cells: str, role: str = "cell", attributes: str = "") -> str:
    return f"<div role=row {attributes}>{''.join(f'<span role={role}>{cell}</span>' for cell in cells)}</div>"


HEAD = row("Drug", "Dose", role="columnheader")
BODY = row("Aspirin", "<5 mg") + row("Warfarin", "2-10 mg")
PIPES = "| Drug | Dose |\n| --- | --- |\n| Aspirin | <5 mg |\n| Warfarin | 2-10 mg |"


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        pytest.param("<a href=#5>5</a><a href=#6>6</a>", "5 6", id="two_links"),
        pytest.param("<a href=#5><b>5</b></a><!-- x --><a href=#6><i>6</i></a> mg", "5 6 mg", id="styled"),
        pytest.param("see <a href=#5>5</a><a href=#6>6</a><a href=#7>7</a>", "see 5 6 7", id="three"),
        pytest.param("<span><a href=#5>5</a></span><span><a href=#6>6</a></span>", "5 6", id="wrapped"),
        pytest.param("<a href=/x>1</a><a href=/x>20</a> mg", "120 mg", id="one_target"),
        pytest.param("<a>1</a><a>20</a> mg, <a href=/x>1</a><a>20</a>", "120 mg, 120", id="no_target"),
        pytest.param("<a href=/x>10</a><a href=#n><sup>9</sup></a>/L", "10^9/L", id="a_power"),
        pytest.param("<a href=/x>1</a>20 mg, 1<a href=/x>20</a>", "120 mg, 120", id="one_link"),
        pytest.param("<a href=/x>CD</a><a href=/y>4</a><a href=/z>+</a>", "CD4+", id="no_two_digits"),
        pytest.param("<a href=#5>5</a>, <a href=#6>6</a>", "5, 6", id="parted_by_the_author"),
        pytest.param("5<a href=#ref5>5</a><a href=#ref6>6</a> mg", "5 mg", id="marks_leave_as_before"),
    ],
)
def test_the_digits_of_two_links_make_no_number(markup: str, expected: str) -> None:
    assert read(f"<p>{markup}</p>").text == expected


@pytest.mark.parametrize(
    "markup",
    ["<sup><a href=#5>5</a><a href=#6>6</a></sup>", "<sup><a href=#5>5</a></sup><sup><a href=#6>6</a></sup>"],
)
def test_raised_digits_of_two_links_make_no_number(markup: str) -> None:
    found = read(f"<p>as shown{markup} in trials</p>").text
    assert "56" not in found
    assert found.startswith("as shown")
    assert found.endswith("in trials")


@pytest.mark.parametrize("name", ["table", "grid", "TABLE"])
def test_a_table_of_roles_is_a_table(name: str) -> None:
    found = read(f"<p>a</p><div role={name}>{HEAD}{BODY}</div><p>b</p>").text
    assert found == f"a\n\n{PIPES}\n\nb"


@pytest.mark.parametrize(
    "markup",
    [
        pytest.param(f"<div role=rowgroup>{HEAD}</div>\n<div role=rowgroup><div>{BODY}</div></div>", id="groups"),
        pytest.param(
            "<ul role=rowgroup><li role=row><b role=columnheader>Drug</b><b role=columnheader>Dose</b></li></ul>"
            "<a role=row href=/a><i><em role=rowheader><p>Aspirin</p></em></i><em role=gridcell><p><5 mg</p></em></a>"
            + row("Warfarin", "2-10 mg", role="gridcell"),
            id="any_element",
        ),
        pytest.param(
            f"<div role=rowgroup>{HEAD.removeprefix('<div role=row >').removesuffix('</div>')}</div>{BODY}",
            id="cells_without_row",
        ),
        pytest.param(f"{HEAD}{row('gone', '7 mg', attributes='hidden')}{BODY}", id="hidden_row"),
        pytest.param(f"{HEAD}{row('gone', '7 mg', attributes='class=ice-del')}{BODY}", id="deleted_row"),
        pytest.param(f"{HEAD}<div role=row></div>{BODY}<hr>", id="empty_row"),
    ],
)
def test_how_tables_of_roles_are_written(markup: str) -> None:
    assert read(f"<div role=table>{markup}</div>").text == PIPES


def test_what_stands_before_the_rows_of_a_role_table_stays_before() -> None:
    found = read(f"<div role=table><div role=caption>Table 1</div><p>n=12</p>loose 3{HEAD}{BODY}</div>").text
    assert found == f"Table 1\n\nn=12\n\nloose 3\n\n{PIPES}"


def test_spans_and_titles_of_sections_in_a_role_table() -> None:
    section = "<div role=row><div role=cell aria-colspan=2>Adults</div></div>"
    assert read(f"<div role=table>{HEAD}{section}{BODY}</div>").text == PIPES.replace(
        "| Aspirin", "| Adults | Adults |\n| Aspirin"
    )
    assert read(f"<div role=table>{HEAD}{row('Adults')}{BODY}</div>").text == PIPES.replace(
        "| Aspirin", "| Adults |  |\n| Aspirin"
    )


def test_a_role_table_in_a_cell_is_written_in_the_line() -> None:
    inner = f"<div role=table>{row('x', '1')}{row('y', '2')}</div>"
    found = read(f"<div role=table>{HEAD}{row('Aspirin', inner)}</div>").text
    assert found == "| Drug | Dose |\n| --- | --- |\n| Aspirin | x, 1; y, 2 |"


def test_a_word_for_the_ear_beside_a_tick_is_the_cell() -> None:
    tick = "<svg></svg><span class=sr-only>Yes</span>"
    assert read(f"<div role=table>{HEAD}{row('Aspirin', tick)}</div>").text.endswith("| Aspirin | Yes |")


@pytest.mark.parametrize(
    "markup",
    [
        pytest.param(f"{HEAD}{row('a', '1', '2')}{BODY}", id="rows_of_several_widths"),
        pytest.param(f"{HEAD}{BODY}Note: 5 of 7", id="text_below"),
        pytest.param(f"{HEAD}<p>6 of 7</p>{BODY}", id="text_between"),
        pytest.param(
            f"{HEAD}<div role=row>8<span role=cell>a</span><span role=cell>9</span></div>", id="text_in_a_row"
        ),
        pytest.param(HEAD, id="one_row"),
        pytest.param(row("Drug") + row("Dose"), id="one_column"),
        pytest.param(row("<h3>A</h3>1", "2") + row("3", "4"), id="parts_of_the_page"),
        pytest.param(
            f"{HEAD}<div role=row><i role=cell>a</i><i role=cell hidden>5</i><i role=cell>6</i></div>", id="hidden_cell"
        ),
        pytest.param(f"<ol>{HEAD}{BODY}</ol>", id="numbered"),
        pytest.param(f"{HEAD}<div role=row>{row('a', '1')}</div>", id="a_row_in_a_row"),
    ],
)
def test_what_is_no_regular_table_reads_as_without_roles(markup: str) -> None:
    assert read(f"<div role=table>{markup}</div>").text == read(f"<div>{markup}</div>").text


def test_elements_of_a_table_are_read_by_their_names() -> None:
    table = "<table role=grid><tr role=row><td role=gridcell aria-colspan=2>1<td>2<tr><td>3<td>4</table>"
    assert read(table).text == "| 1 | 2 |\n| --- | --- |\n| 3 | 4 |"


def test_hidden_rows_of_a_role_table_are_counted() -> None:
    counts = read(f"<div role=table>{HEAD}{BODY}{row('a', '1', attributes='hidden')}</div>").counts
    assert counts["extract.hidden_elements"] == 1


CELLS = st.sampled_from(
    ["<5 mg", "≥2.5 g", "-4.5", "not given", "<b>120/80</b>", "10<sup>9</sup>/L", "", "p<0.05", "a|b"]
)
BETWEEN = st.sampled_from(["", "", "", "<hr>", "<p>31 mg</p>", "32 mg ", "<div role=cell>33</div>", "<div>"])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.lists(CELLS, min_size=1, max_size=3), BETWEEN), min_size=1, max_size=5), st.booleans())
def test_roles_lose_nothing(rows: list[tuple[list[str], str]], headed: bool) -> None:
    inside = HEAD if headed else ""
    inside += "".join(row(*(f"{cell} ;" for cell in cells)) + between for cells, between in rows)
    plain = read(f"<div>{inside.replace('</span>', ' </span>')}</div>").text
    found = read(f"<div role=table>{inside}</div>").text
    assert Counter(numeric_tokens(found)) == Counter(numeric_tokens(plain))
    assert Counter("".join(found.split()).replace("|", "").replace("\\", "").replace("---", "")) == Counter(
        "".join(plain.split()).replace("|", "")
    )
    once = clean(found)[0]
    assert clean(once)[0] == once
