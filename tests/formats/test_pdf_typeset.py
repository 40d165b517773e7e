"""What typesetters do: glyphs of several letters, accents apart, raised marks, line numbers, tables between rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from fpdf import FPDF

from scrapers.formats.pdf import read_here

PROSE = "Adults were given 5.2 mg of the drug once daily, and no more than 10 mg in any"
Mark = tuple[float, float, float, str]
"""Millimetres from the left and from the top, points, text."""


def document() -> Any:
    made = FPDF()
    made.set_auto_page_break(auto=False)
    made.set_font("Times", size=10)
    return made


def page_of(marks: list[Mark], rules: Sequence[tuple[float, float, float]] = ()) -> str:
    made = document()
    made.add_page()
    for x, y, size, text in marks:
        made.set_font_size(size)
        made.text(x, y, text)
    for y, start, end in rules:
        made.line(start, y, end, y)
    return read_here(bytes(made.output())).text


def raw_pdf(content: bytes, to_unicode: bytes) -> bytes:
    """One page in Helvetica whose codes mean what `to_unicode` says."""
    cmap = b"begincmap 1 begincodespacerange <00> <ff> endcodespacerange " + to_unicode + b" endcmap"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F 5 0 R >> >> >>",
        b"<< /Length %d >> stream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding /ToUnicode 6 0 R >>",
        b"<< /Length %d >> stream\n%s\nendstream" % (len(cmap), cmap),
    ]
    out = b"%PDF-1.4\n"
    places = []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)


def test_one_glyph_for_several_letters_does_not_part_a_word() -> None:
    to_unicode = b"2 beginbfchar <80> <006600660069> <81> <00660066> endbfchar"
    content = b"BT /F 12 Tf 72 700 Td (Suf\x80cient e\x81ect of 5.2 mg in o\x80ces) Tj ET"
    assert read_here(raw_pdf(content, to_unicode)).text == "Suffficient effect of 5.2 mg in offices"


@pytest.mark.parametrize("last", [False, True], ids=["before the letter", "after the line"])
def test_accents_set_apart_come_back_to_their_letters(last: bool) -> None:
    made = document()
    made.add_page()
    text = "Guerin, naive, Semont 5 mg, Guerin"
    accents = [(text.index("erin"), "\xb4"), (text.index("emont"), "\xb4"), (text.rindex("erin"), "\xb4")]
    if not last:
        made.text(20, 20, text)
    for at, accent in accents:
        x = 20 + made.get_string_width(text[:at]) + (made.get_string_width("e") - made.get_string_width(accent)) / 2
        made.text(x, 20, accent)
    if last:
        made.text(20, 20, text)
    assert read_here(bytes(made.output())).text == "Gu\xe9rin, naive, S\xe9mont 5 mg, Gu\xe9rin"


def test_a_raised_number_set_after_the_whole_line_stays_with_its_word() -> None:
    made = document()
    made.add_page()
    made.text(20, 20, "mortality.")
    after = 20 + made.get_string_width("mortality.")
    made.text(after + 3, 20, "It was 5.2")
    ten = after + 3 + made.get_string_width("It was 5.2")
    made.text(ten + 3, 20, "mg in all.")
    made.set_font_size(6.5)
    made.text(after + 0.1, 18.8, "12")
    made.text(ten + 0.1, 18.8, "3")
    assert read_here(bytes(made.output())).text == "mortality.^12 It was 5.2^3 mg in all."


def test_a_heading_beside_one_of_the_next_column_is_not_read_into_it() -> None:
    marks: list[Mark] = []
    for left in (20.0, 107.0):
        marks += [
            (left, 30 + 4.5 * n, 10, f"{'abcdefghij'[n] * 3} words of the column that is at {left:.0f} here")
            for n in range(8)
        ]
    marks += [(20, 68.0, 14, "2.1. The binding of the protein in N-"), (107, 68.0, 14, "2.3. Docking of it")]
    marks += [(20, 74.0, 14, "Terminal domains")]
    for left in (20.0, 107.0):
        marks += [
            (left, 80 + 4.5 * n, 10, f"{'klmnopqrst'[n] * 3} words of the column that is at {left:.0f} here")
            for n in range(8)
        ]
    text = page_of(marks)
    assert "2.1. The binding of the protein in N-Terminal domains" in text
    assert text.index("ttt" if "ttt" in text else "rrr") < text.index("2.3. Docking of it")


@pytest.mark.parametrize("right", [False, True])
def test_line_numbers_leave_and_the_numbers_of_the_text_stay(right: bool) -> None:
    made = document()
    number = 0
    for page in range(4):
        made.add_page()
        for n in range(30):
            number += 1
            made.set_font_size(6)
            x = 190.0 if right else 18 - made.get_string_width(str(number))
            made.text(x, 20 + 8 * n, str(number))
            made.set_font_size(10)
            made.text(22, 20 + 8 * n, f"{n * 7 + page * 3} patients with {PROSE} one week; p<0.05.")
    found = read_here(bytes(made.output()))
    assert found.counts["extract.line_numbers"] == 120
    weeks = [int(first) for first in re.findall(r"(\d+) patients", found.text)]
    assert weeks == [n * 7 + page * 3 for page in range(4) for n in range(30)]
    assert len(re.findall(r"\d+", found.text)) == 120 * 6


def test_the_numbers_of_a_table_over_pages_are_no_line_numbers() -> None:
    made = document()
    for page in range(3):
        made.add_page()
        for n in range(20):
            for x, text in ((20.0, str(page * 20 + n + 1)), (40.0, "zinc"), (80.0, f"{n} mg")):
                made.text(x, 20 + 8 * n, text)
    found = read_here(bytes(made.output()))
    assert "extract.line_numbers" not in found.counts
    assert found.text.count("| zinc |") == 60
    assert "| 60 | zinc | 19 mg |" in found.text


def test_heads_and_feet_with_the_page_among_all_pages_or_a_volume_equal_to_it() -> None:
    made = document()
    for page in range(1, 15):
        made.add_page()
        made.text(20, 10, "Journal of Trials Vol. 12")
        made.text(20, 30, f"{page * 5} of them: {PROSE}.")
        made.text(20, 280, "file:///guideline.html")
        made.text(180, 280, f"{page}/14")
    found = read_here(bytes(made.output()))
    assert found.text.split("\n\n") == [f"{page * 5} of them: {PROSE}." for page in range(1, 15)]


def test_a_table_between_rules_keeps_its_rows_and_repeats_what_spans() -> None:
    rows = [
        ("Drug", "Start", "Most", "Days"),
        ("zinc", "5.2 \xb1 1.1", "10.4 \xb1 2.0", "7"),
        ("iron", "3.1 \xb1 0.4", "9.9 \xb1 1.0", "14"),
    ]
    marks: list[Mark] = [(75, 30, 10, "Dose in mg")]
    marks += [(20 + 35 * c, 36 + 6 * r, 10, cell) for r, row in enumerate(rows) for c, cell in enumerate(row)]
    marks += [(20, 15, 10, f"{PROSE} week."), (20, 70, 10, f"{PROSE} year.")]
    text = page_of(marks, [(25, 18, 150), (31.5, 54, 120), (38, 18, 150), (52, 18, 150)])
    assert text.split("\n\n")[1] == (
        "|  | Dose in mg | Dose in mg |  |\n| --- | --- | --- | --- |\n| Drug | Start | Most | Days |\n"
        "| zinc | 5.2 \xb1 1.1 | 10.4 \xb1 2.0 | 7 |\n| iron | 3.1 \xb1 0.4 | 9.9 \xb1 1.0 | 14 |"
    )


def test_columns_of_measurements_are_no_columns_of_prose() -> None:
    marks: list[Mark] = [(20, 20 + 6 * n, 10, f"mean of the group number {n}") for n in range(12)]
    marks += [(90, 20 + 6 * n, 10, f"{n}.4 \xb1 {n}.1 (n = {n})") for n in range(12)]
    marks += [(150, 20 + 6 * n, 10, f"{n * 2}.4 \xb1 {n}.3 (n = {n})") for n in range(12)]
    rows = [line for line in page_of(marks).splitlines() if line.startswith("| mean")]
    assert rows == [
        f"| mean of the group number {n} | {n}.4 \xb1 {n}.1 (n = {n}) | {n * 2}.4 \xb1 {n}.3 (n = {n}) |"
        for n in range(12)
    ]


def test_spans_of_a_drawn_grid_stand_in_each_of_their_cells() -> None:
    made = document()
    made.add_page()
    with made.table(first_row_as_headings=False) as table:
        for cells in (
            [("Drug", 2, 1), ("Dose in mg", 1, 2)],
            [("Start", 1, 1), ("Most", 1, 1)],
            [("zinc", 1, 1), ("5", 1, 1), ("<10", 1, 1)],
        ):
            row = table.row()
            for text, tall, wide in cells:
                row.cell(text, rowspan=tall, colspan=wide)
    assert read_here(bytes(made.output())).text == (
        "| Drug | Dose in mg | Dose in mg |\n| --- | --- | --- |\n| Drug | Start | Most |\n| zinc | 5 | <10 |"
    )


def test_words_drawn_over_themselves_are_read_once() -> None:
    made = document()
    made.add_page()
    for shift in (0.0, 0.1, 0.2):
        made.text(20 + shift, 20, "2,499 dead of 2,499, 0 of 0")
    assert read_here(bytes(made.output())).text == "2,499 dead of 2,499, 0 of 0"


def test_a_last_line_alone_in_the_next_column_comes_after_the_first_column() -> None:
    marks: list[Mark] = [(20, 20 + 5 * n, 10, f"line {n} of the first column, which goes") for n in range(4)]
    marks += [(110, 20, 10, "on in the second with 5 mg.")]
    text = page_of(marks)
    assert text.endswith("line 3 of the first column, which goes on in the second with 5 mg.")


def test_a_ring_raised_behind_a_number_is_a_degree() -> None:
    to_unicode = b"1 beginbfchar <80> <2218> endbfchar"
    content = b"BT /F 12 Tf 72 700 Td (at 37) Tj /F 7 Tf 4 Ts (\x80) Tj 0 Ts /F 12 Tf (C, not 5.2) Tj ET"
    assert read_here(raw_pdf(content, to_unicode)).text == "at 37\xb0C, not 5.2"


def test_the_frame_and_ticks_of_a_graph_repeat_no_number() -> None:
    made = document()
    made.add_page()
    made.rect(40, 40, 100, 60)
    for n in range(6):
        made.line(40 + 20 * n, 97, 40 + 20 * n, 100)
        made.text(39 + 20 * n, 105, f"{n * 7}.5")
        made.line(40, 40 + 12 * n, 43, 40 + 12 * n)
        made.text(28, 41 + 12 * n, f"{n * 11}")
    made.text(80, 60, "dose 5.2 mg")
    found = re.findall(r"[\d.]+", read_here(bytes(made.output())).text)
    assert sorted(found) == sorted([*(f"{n * 7}.5" for n in range(6)), *(f"{n * 11}" for n in range(6)), "5.2"])
