"""PDF text: paragraphs, hyphens, running lines, and every way a PDF can fail."""

from __future__ import annotations

import re

import pytest
from fpdf import FPDF
from hypothesis import given
from hypothesis import strategies as st

from scrapers.formats.errors import Unreadable
from scrapers.formats.pdf import _blocks, _without_line_hyphens, pdf_to_text

LINE = "Give the drug once daily to adults who weigh more than fifty kilograms and"


def pdf(pages: list[list[str]], *, password: str = "") -> bytes:
    document = FPDF()
    document.set_auto_page_break(auto=False)
    document.set_font("Helvetica", size=10)
    for lines in pages:
        document.add_page()
        for line in lines:
            document.cell(0, 5, line, new_x="LMARGIN", new_y="NEXT")
    if password:
        document.set_encryption(owner_password="owner", user_password=password)
    return bytes(document.output())


def test_running_lines_and_page_numbers_leave_and_numbers_stay() -> None:
    pages = [
        ["Guideline on gout, version 2", f"{LINE} {n}.", f"Dose {n * 100} mg", "120/80", f"Page {n + 4} of 99"]
        for n in range(1, 9)
    ]
    found = pdf_to_text(pdf(pages))
    assert found.pages == 8
    assert "version" not in found.text
    assert found.counts == {"extract.running_lines": 8, "extract.page_numbers": 8}
    assert [int(dose) for dose in re.findall(r"Dose (\d+) mg", found.text)] == [n * 100 for n in range(1, 9)]
    assert found.text.count("120/80") == 8


def test_a_column_of_numbers_at_the_foot_of_a_page_is_no_page_number() -> None:
    pages = [[f"{LINE} {n}.", "weight", str(value)] for n, value in enumerate((70, 12, 55, 31))]
    found = pdf_to_text(pdf(pages))
    assert re.findall(r"^\d+$", found.text, re.M) == ["70", "12", "55", "31"]


def test_wrapped_lines_become_paragraphs_and_items_stay_apart() -> None:
    lines = [LINE, "not to children.", "1. First step", "2. Second step", "Recommendations", f"{LINE} rest."]
    assert _blocks(lines)[:3] == [f"{LINE} not to children.", "1. First step", "2. Second step"]


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        (["a treat\ufffe", "ment here"], "a treatment here"),
        (["a treat\ufffe\nment here"], "a treatment here"),
        (["give 10\ufffe", "20 mg"], "give 10-20 mg"),
        (["beta-blocker, beta\ufffe", "blocker"], "beta-blocker, beta-blocker"),
        (["anti\ufffe", "TNF drugs"], "anti-TNF drugs"),
    ],
)
def test_hyphens_at_line_ends(lines: list[str], joined: str) -> None:
    assert " ".join(_without_line_hyphens(lines)) == joined


@given(st.lists(st.text(alphabet="ab1 2.-\ufffe", max_size=30), max_size=12))
def test_joining_lines_never_makes_or_loses_a_number(lines: list[str]) -> None:
    # PDFium's hyphen always ends a line, and a word stands before it.
    lines = [re.sub(r"\ufffe(?!$)|(?<!\w)\ufffe", "", line) for line in lines]
    before = re.findall(r"\d+", "\n".join(lines).replace("\ufffe", "-"))
    after = "\n".join(_blocks(_without_line_hyphens(lines)))
    assert re.findall(r"\d+", after) == before


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "extract.unknown_format"),
        (b"<html>", "extract.unknown_format"),
        (b"%PDF-1.7\nbroken", "extract.corrupt"),
    ],
)
def test_what_is_no_pdf(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        pdf_to_text(data)
    assert caught.value.reason == reason


def test_locked_empty_and_endless_pdfs() -> None:
    with pytest.raises(Unreadable, match=r"extract\.encrypted"):
        pdf_to_text(pdf([[LINE]], password="secret"))
    with pytest.raises(Unreadable, match=r"extract\.no_text_layer"):
        pdf_to_text(pdf([[], []]))
    with pytest.raises(Unreadable, match=r"extract\.too_large"):
        pdf_to_text(pdf([[LINE]] * 3), max_pages=2)


def test_a_truncated_pdf_is_corrupt_or_read() -> None:
    whole = pdf([[LINE]])
    with pytest.raises(Unreadable):
        pdf_to_text(whole[: len(whole) // 3])
