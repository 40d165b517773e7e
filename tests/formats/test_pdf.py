"""PDF text: paragraphs, hyphens, running lines, headings, and every way a PDF can fail."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Sequence
from typing import Any

import pypdfium2
import pytest
from fpdf import FPDF
from hypothesis import given
from hypothesis import strategies as st

from scrapers.formats import pdf_process
from scrapers.formats.errors import Unreadable
from scrapers.formats.pdf import pdf_to_text, read_here
from scrapers.formats.pdf_hyphens import Hyphens, marked
from scrapers.formats.pdf_quality import page_quality
from scrapers.sample.pdf import lines_pdf, notes_pdf, scanned_pdf, swollen_pdf

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
    assert found.counts == {
        "extract.running_lines": 8,
        "extract.running_lines_characters": 8 * len("Guidelineongout,version2"),
        "extract.running_lines_digits": 8,
        "extract.page_numbers": 8,
        "extract.page_numbers_characters": 8 * len("Page5of99") + 3,
        "extract.page_numbers_digits": 8 * 3 + 3,
    }
    assert [int(dose) for dose in re.findall(r"Dose (\d+) mg", found.text)] == [n * 100 for n in range(1, 9)]
    assert found.text.count("120/80") == 8


def test_a_running_head_that_holds_the_page_number_leaves_on_left_and_right_pages() -> None:
    heads = [f"{n} Gout in adults" if n % 2 == 0 else f"Gout in adults {n}" for n in range(211, 219)]
    found = pdf_to_text(pdf([[head, "", f"{LINE} {n}.", f"Give {n} mg"] for n, head in enumerate(heads)]))
    assert found.counts == {
        "extract.running_lines": 8,
        "extract.running_lines_characters": 8 * len("211Goutinadults"),
        "extract.running_lines_digits": 8 * 3,
    }
    assert "Gout" not in found.text
    assert re.findall(r"Give (\d) mg", found.text) == list("01234567")


def test_a_column_of_numbers_at_the_foot_of_a_page_is_no_page_number() -> None:
    pages = [[f"{LINE} {n}.", "weight", str(value)] for n, value in enumerate((70, 12, 55, 31))]
    found = pdf_to_text(pdf(pages))
    assert re.findall(r"^\d+$", found.text, re.M) == ["70", "12", "55", "31"]


def test_a_dose_that_alone_changes_from_page_to_page_makes_no_running_head() -> None:
    found = pdf_to_text(pdf([[f"Give {dose} mg to all of them", f"{LINE} {dose}."] for dose in (5, 20, 40, 80, 7)]))
    assert re.findall(r"Give (\d+) mg", found.text) == ["5", "20", "40", "80", "7"]
    assert found.counts == {}


def test_wrapped_lines_become_paragraphs_and_items_stay_apart() -> None:
    lines = [LINE, "not to children.", "1. First step", "2. Second step", "- 5 mg of it", "- 7 mg", f"{LINE} rest."]
    blocks = read_here(pdf([lines])).text.split("\n\n")
    assert blocks == [
        f"{LINE} not to children.",
        "1. First step",
        "2. Second step",
        "- 5 mg of it\n- 7 mg",
        f"{LINE} rest.",
    ]


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        (["a treat-", "ment here"], "a treatment here"),
        (["a treat\u00ad", "ment here"], "a treatment here"),
        (["a treat\ufffe", "ment here"], "a treatment here"),
        (["give 10-", "20 mg"], "give 10-20 mg"),
        (["give 10\u2013", "20 mg at 120/", "80 mmHg"], "give 10\u201320 mg at 120/80 mmHg"),
        (["beta-blocker, beta-", "blocker"], "beta-blocker, beta-blocker"),
        (["anti-", "TNF drugs"], "anti-TNF drugs"),
        (["interleukin-", "6 rose"], "interleukin-6 rose"),
        (["pre-", "and postpartum"], "pre- and postpartum"),
        (["a low-", "dose regimen"], "a low-dose regimen"),
        (["minus -", "3 is no hyphen"], "minus - 3 is no hyphen"),
        (["the lab and the room, a lab-", "room"], "the lab and the room, a lab-room"),
        (["a cost-", "effective drug, one-", "by-one"], "a cost-effective drug, one-by-one"),
        (["slow-", "growing, fast-growing"], "slow-growing, fast-growing"),
        (
            ["the interaction of an inter-", "action with out-", "comes"],
            "the interaction of an interaction with outcomes",
        ),
        (["Tucker\u2013", "Lewis and/", "or OsACO\u2014", "both"], "Tucker\u2013Lewis and/or OsACO\u2014both"),
        (["one \u2013", "two"], "one \u2013 two"),
    ],
)
def test_hyphens_at_line_ends(lines: list[str], joined: str) -> None:
    assert Hyphens(lines).joined(map(marked, lines)) == joined


def test_a_hyphen_before_another_column_takes_no_part_of_its_number() -> None:
    # PDFium marks the end of a cell's line; in ours the number of the next cell stands behind it.
    lines = ["open read\ufffe 10.2 0.04", "an inter\ufffe", "action, IL\ufffe", "6"]
    assert Hyphens(lines).joined(lines) == "open read- 10.2 0.04 an interaction, IL-6"


@given(st.lists(st.text(alphabet="ab1 2.-\u2013/", max_size=30), max_size=12))
def test_joining_lines_never_makes_or_loses_a_number(lines: list[str]) -> None:
    after = Hyphens(lines).joined(map(marked, lines))
    assert re.findall(r"\d+", after) == re.findall(r"\d+", "\n".join(lines))


def test_headings_by_type_powers_notes_and_a_sentence_over_the_page() -> None:
    found = read_here(notes_pdf()).text.split("\n\n")
    assert found == [
        "Viral load fell from 10^5 to 2 x 10^-3 copies in most of those who took every dose.^1 Doses above 7.5 µg/kg "
        "(±0.5) were given to nobody whose weight was below 40 kg, and they were halved to 3.75 µg/kg in all others "
        "who had an eGFR below 30 mL/min when the trial began.",
        "1 Measured twice, 6 weeks apart.",
    ]
    document = FPDF()
    document.add_page()
    parts = (
        ("Gout", 18, ""),
        ("When to treat", 13, ""),
        (f"{LINE}.", 10, ""),
        ("Dose", 10, "B"),
        (f"{LINE} 5.", 10, ""),
    )
    for text, size, style in parts:
        document.set_font("Helvetica", size=size, style=style)
        document.cell(0, 8, text, new_x="LMARGIN", new_y="NEXT")
    text = read_here(bytes(document.output())).text
    assert text.split("\n\n") == ["# Gout", "## When to treat", f"{LINE}.", "### Dose", f"{LINE} 5."]


@pytest.mark.parametrize("turn", [90, 270])
def test_a_page_set_sideways_is_read_upright(turn: int) -> None:
    found = read_here(lines_pdf([["First line, 5 mg,", "second line, >7 mg,", "third."]], rotate=turn))
    assert found.text == "First line, 5 mg, second line, >7 mg, third."


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "extract.unknown_format"),
        (b"<html>", "extract.unknown_format"),
        (b"%PDF-1.7\nbroken", "extract.corrupt"),
        (notes_pdf()[:900], "extract.corrupt"),
        (lines_pdf([[LINE]], password="secret"), "extract.encrypted"),
        (scanned_pdf(), "extract.no_text_layer"),
    ],
    ids=["zero bytes", "html", "broken", "truncated", "encrypted", "scanned"],
)
def test_what_is_no_readable_pdf(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        pdf_to_text(data)
    assert caught.value.reason == reason


def test_more_pages_than_allowed_and_two_thousand_that_are() -> None:
    with pytest.raises(Unreadable, match=r"extract\.too_large"):
        pdf_to_text(pdf([[LINE]] * 3), max_pages=2)
    found = pdf_to_text(lines_pdf([[f"Dose {n} mg"] for n in range(2000)]))
    assert found.pages == 2000
    assert re.findall(r"Dose (\d+) mg", found.text) == [str(n) for n in range(2000)]


def test_a_page_that_takes_too_long_costs_one_pdf_and_the_next_is_read() -> None:
    bomb = swollen_pdf(200)
    assert len(bomb) < 1_000_000
    with pytest.raises(Unreadable, match=r"extract\.too_large.*longer than 1 s"):
        pdf_to_text(bomb, seconds=1)
    assert pdf_to_text(pdf([[f"{LINE}."]])).text == f"{LINE}."


def test_a_reading_process_that_breaks_down_costs_one_pdf_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    pdf_process.close()
    monkeypatch.setattr(pdf_process, "_START", "import os; os.abort()")
    with pytest.raises(Unreadable, match=r"extract\.corrupt.*broke down"):
        pdf_to_text(pdf([[LINE]]))
    greedy = "p.MEMORY = 1 << 28; p.read_here = lambda *_, **__: bytearray(1 << 30); p.serve()"
    monkeypatch.setattr(pdf_process, "_START", f"import scrapers.formats.pdf_process as p; {greedy}")
    with pytest.raises(Unreadable, match=r"extract\.too_large.*memory"):
        pdf_to_text(pdf([[LINE]]))
    pdf_process.close()
    monkeypatch.undo()
    assert pdf_to_text(pdf([[f"{LINE}."]])).text == f"{LINE}."


def test_threads_and_forks_share_no_answer() -> None:
    found: dict[int, str] = {}

    def read(n: int) -> None:
        found[n] = pdf_to_text(pdf([[f"{LINE} {n}."]])).text

    threads = [threading.Thread(target=read, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: f"{LINE} {n}." for n in range(6)}
    child = os.fork()
    if child == 0:
        good = pdf_process._child is None and pdf_to_text(pdf([[f"{LINE} 9."]])).text == f"{LINE} 9."
        pdf_process.close()
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pdf_to_text(pdf([[f"{LINE} 7."]])).text == f"{LINE} 7."


def ocr(data: bytes, *, max_pages: int) -> Sequence[str]:
    return [f"## Page of {max_pages}\n\nGive 5 mg.", ""]


def test_another_reader_behind_the_same_door() -> None:
    found = pdf_to_text(scanned_pdf(), reader=ocr, max_pages=9)
    assert (found.text, found.pages) == ("## Page of 9\n\nGive 5 mg.", 2)
    with pytest.raises(Unreadable, match=r"extract\.no_text_layer"):
        pdf_to_text(scanned_pdf(), reader=lambda data, *, max_pages: ["", " "])
    named = pdf_to_text(notes_pdf(), reader="scrapers.sample.pdf:read_nothing_but_length")
    assert named.text == f"{len(notes_pdf())} bytes"


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        (f"{LINE} (p<0.001, 95% CI 0.4-0.9) 10 mg/kg HbA1c ACE mRNA NSAIDs.", 0.99, 1.0),
        ("Les personnes âgées reçoivent 5 mg à jeun.", 0.99, 1.0),
        ("G i v e t h e d r u g o n c e d a i l y t o a d u l t s", 0.0, 0.1),
        ("\ufffd\ufffd\ue012\ue013 \ufffd\ufffd (cid:12)(cid:13) mg", 0.0, 0.0),
        ("Gvxxxxx bqzrtkl thhhhhe xkcdwrtb aeiouaei drg qwrtplk ssddffg", 0.0, 0.4),
        (" ".join([LINE] * 4).translate({code: (code - 94) % 26 + 97 for code in range(97, 123)}), 0.0, 0.4),
        (" ".join(word[::-1] for word in LINE.split() * 4), 0.0, 0.4),
        ("zinc 5 mg | iron 7 mg | folate 0.4 mg | none | oral | twice | male 12 | mean 3.4 kg " * 6, 0.9, 1.0),
        ("\u6bcf \u65e5 \u4e00 \u6b21 \u6bcf \u6b21 5 mg \u7528 \u836f \u6cbb \u7597 " * 4, 0.9, 1.0),
        ("", 0.0, 0.0),
    ],
    ids=[
        "clinical",
        "french",
        "letters apart",
        "glyphs",
        "garbage",
        "other letters",
        "mirrored",
        "table",
        "chinese",
        "empty",
    ],
)
def test_quality_of_a_page(text: str, least: float, most: float) -> None:
    assert least <= page_quality(text).score <= most


def test_poor_pages_are_counted_and_the_document_scored_by_words() -> None:
    good, poor = [LINE] * 6, ["q z x v b n m w r t p s d f"] * 3
    found = pdf_to_text(lines_pdf([good, poor]))
    assert found.counts["extract.poor_pages"] == 1
    assert [page.score > 0.9 for page in found.quality] == [True, False]
    assert found.quality[1].score < found.score < found.quality[0].score


def test_a_first_line_that_counts_up_with_the_pages_is_text_where_it_is_part_of_the_page() -> None:
    found = read_here(pdf([[f"Step {n}", f"{LINE} {n}.", f"Give {n}0 mg"] for n in range(1, 9)]))
    assert re.findall(r"Step (\d)", found.text) == list("12345678")
    assert found.counts == {}
    told = read_here(pdf([[f"Gout | Page {n}", f"{LINE} {n}.", f"Give {n}0 mg"] for n in range(1, 9)]))
    assert "Gout" not in told.text
    assert re.findall(r"Give (\d+) mg", told.text) == [f"{n}0" for n in range(1, 9)]


def test_pages_that_are_pictures_are_counted_where_the_others_have_text() -> None:
    merged: Any = pypdfium2.PdfDocument.new()
    for part in (notes_pdf(), scanned_pdf(2)):
        merged.import_pages(pypdfium2.PdfDocument(part))
    merged.new_page(200, 200)
    data = io.BytesIO()
    merged.save(data)
    found = pdf_to_text(data.getvalue())
    assert found.text == pdf_to_text(notes_pdf()).text
    # A blank page has nothing to read.
    assert found.counts["extract.pages_without_text"] == 2
