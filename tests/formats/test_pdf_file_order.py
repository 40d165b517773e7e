"""What the order of the file tells: tables across columns, rows of wrapped and hanging cells, columns of prose."""

from __future__ import annotations

from typing import Any

from fpdf import FPDF

from scrapers.formats.pdf import read_here

Mark = tuple[float, float, str]
"""Millimetres from the left and from the top, text."""


def made() -> Any:
    document = FPDF()
    document.set_auto_page_break(auto=False)
    document.set_font("Times", size=10)
    document.add_page()
    return document


def text_of(marks: list[Mark]) -> str:
    document = made()
    for x, y, text in marks:
        document.text(x, y, text)
    return read_here(bytes(document.output())).text


def column(left: float, top: float, lines: int, word: str) -> list[Mark]:
    return [(left, top + 5 * n, f"{word} {n} of the column has five words.") for n in range(lines)]


def pipes(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| ---")]


def test_a_table_across_two_columns_of_prose_is_read_row_by_row() -> None:
    rows = [("Drug", "500 mg", "1,000 mg", "Mean"), ("zinc", "100.8", "96.6", "99.8"), ("iron", "47.5", "46.5", "48.0")]
    rows += [("gold", "17.4", "16.8", "16.6"), ("lead", "18.4", "19.0", "18.5")]
    marks = column(20, 20, 8, "left") + column(110, 20, 8, "right")
    marks += [
        (x, 70 + 5 * r, cell) for r, row in enumerate(rows) for x, cell in zip((20, 60, 112, 150), row, strict=True)
    ]
    marks += column(20, 105, 8, "lower") + column(110, 105, 8, "last")
    text = text_of(marks)
    assert pipes(text) == [f"| {' | '.join(row)} |" for row in rows]
    order = [text.index(mark) for mark in ("left 7", "right 0", "| Drug", "lower 0", "lower 7", "last 0")]
    assert order == sorted(order)


def test_prose_in_columns_beside_each_other_is_no_table_with_a_page_number_between() -> None:
    marks = column(20, 20, 30, "left") + column(107, 20, 30, "right") + [(102, 280, "311")]
    text = text_of(marks)
    assert "|" not in text
    assert text.index("left 29") < text.index("right 0")


def test_cells_of_several_lines_stay_in_the_row_they_were_written_in() -> None:
    marks: list[Mark] = [(20, 20, "Regime"), (80, 20, "Farmers"), (120, 20, "Share"), (150, 20, "Yield")]
    y = 25.0
    for n, (first, second) in enumerate(
        [("Grazing, green fodder", "and rice"), ("Straw", ""), ("Oil cake, all day", "long")]
    ):
        marks += [(20, y, first), *([(20.0, y + 5, second)] if second else [])]
        marks += [(80, y, f"{n}72"), (120, y, f"1{n}.6"), (150, y, f"{n}.2")]
        y += 10 if second else 5
    assert pipes(text_of(marks)) == [
        "| Regime | Farmers | Share | Yield |",
        "| Grazing, green fodder and rice | 072 | 10.6 | 0.2 |",
        "| Straw | 172 | 11.6 | 1.2 |",
        "| Oil cake, all day long | 272 | 12.6 | 2.2 |",
    ]


def test_cells_centred_beside_a_first_cell_of_two_lines_stay_in_its_row() -> None:
    marks: list[Mark] = [(20, 20, "Regime"), (80, 20, "Farmers"), (120, 20, "Share")]
    for n in range(3):
        y = 26.0 + 12 * n
        marks += [
            (20, y, f"Grazing {n} and"),
            (20, y + 5, "cooked rice"),
            (80, y + 2.5, f"{n}72"),
            (120, y + 2.5, f"1{n}.6"),
        ]
    assert pipes(text_of(marks)) == ["| Regime | Farmers | Share |"] + [
        f"| Grazing {n} and cooked rice | {n}72 | 1{n}.6 |" for n in range(3)
    ]


def test_a_first_cell_that_hangs_beside_its_rows_belongs_to_the_first_of_them() -> None:
    marks: list[Mark] = [(20, 20, "Group"), (60, 20, "Answer"), (100, 20, "North"), (140, 20, "South")]
    for n, name in enumerate(("Awareness", "Weaning")):
        y = 25 + 15 * n
        marks += [(20, y + 5, name)]
        marks += [(x, y + 5 * k, f"{a}{n}{k}.5") for k in range(3) for x, a in ((60, "a"), (100, "1"), (140, "2"))]
    assert pipes(text_of(marks)) == [
        "| Group | Answer | North | South |",
        "| Awareness | a00.5 | 100.5 | 200.5 |",
        "|  | a01.5 | 101.5 | 201.5 |",
        "|  | a02.5 | 102.5 | 202.5 |",
        "| Weaning | a10.5 | 110.5 | 210.5 |",
        "|  | a11.5 | 111.5 | 211.5 |",
        "|  | a12.5 | 112.5 | 212.5 |",
    ]


def test_numbers_beside_both_columns_leave_and_the_numbers_of_the_text_stay() -> None:
    document = FPDF()
    document.set_auto_page_break(auto=False)
    for page in range(3):
        document.add_page()
        for side, (x, right) in enumerate(((18.0, True), (192.0, False))):
            document.set_font("Times", size=6)
            for n in range(40):
                number = str(page * 80 + side * 40 + n + 1)
                document.text(x - document.get_string_width(number) * right, 20 + 6 * n + side, number)
            document.set_font("Times", size=9)
            for n in range(40):
                document.text(
                    22.0 + 87 * side, 20 + 6 * n + side, f"{n * 3 + page} of them had {n}.5 mg each, and were well"
                )
    found = read_here(bytes(document.output()))
    assert found.counts["extract.line_numbers"] == 240
    assert found.text.count(" of them had ") == 240
    numbers = [int(first) for first in found.text.replace("\n", " ").split() if first.isdecimal()]
    assert sorted(numbers) == sorted([n * 3 + page for n in range(40) for page in range(3)] * 2)
