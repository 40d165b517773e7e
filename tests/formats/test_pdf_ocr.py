"""OCR behind the door of PDF text, with an engine that stands for one: which pages it reads, and what is believed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

import pytest

from manifests.errors import RecipeError
from scrapers.formats import pdf_ocr
from scrapers.formats.errors import Unreadable
from scrapers.formats.pdf import pdf_reader_identity, pdf_to_text, read_here
from scrapers.formats.pdf_ocr import SeenPage
from scrapers.formats.pdf_page import Rule
from scrapers.sample.pdf import lines_pdf, scanned_pdf
from scrapers.sample.pdf_scan import line_seen, scanned

LINE = "Give the drug once daily to adults who weigh more than fifty kilograms and"
PLAIN = lines_pdf([[LINE] * 6])
See = Callable[[Callable[[Any], SeenPage]], None]


@pytest.fixture
def sees(monkeypatch: pytest.MonkeyPatch) -> See:
    """Makes `read_here` ask this function."""
    return lambda engine: monkeypatch.setattr(pdf_ocr, "engine_named", lambda name: engine)


def of_lines(*lines: str, confidence: float = 0.99) -> SeenPage:
    return SeenPage([line_seen(text, 150, 200 + 60 * n, confidence=confidence) for n, text in enumerate(lines)])


def both(first: bytes, second: bytes) -> bytes:
    """The pages of two PDFs in one."""
    import io

    import pypdfium2

    one, two = pypdfium2.PdfDocument(first), pypdfium2.PdfDocument(second)
    one.import_pages(two)
    out = io.BytesIO()
    one.save(out)
    return out.getvalue()


def test_by_default_nothing_is_read_from_pictures(sees: See) -> None:
    sees(lambda picture: pytest.fail("The engine was asked."))
    with pytest.raises(Unreadable, match=r"extract\.no_text_layer"):
        read_here(scanned(PLAIN))
    with pytest.raises(Unreadable, match=r"extract\.no_text_layer"):
        pdf_to_text(scanned(PLAIN), reader="text")


def test_only_pages_without_a_text_layer_are_read_and_the_document_says_so(sees: See) -> None:
    asked: list[int] = []

    def engine(picture: Any) -> SeenPage:
        asked.append(picture.shape[0])
        return of_lines("Stop it when the level is \u22658.5 mmol/L.", confidence=0.97)

    sees(engine)
    found = read_here(both(PLAIN, scanned(PLAIN)), mode="auto")
    assert len(asked) == 1
    assert found.text.startswith(LINE)
    assert "the level is \u22658.5 mmol/L." in found.text
    assert found.counts["extract.ocr_pages"] == 1
    assert found.measures["ocr_pages"] == 1
    assert found.measures["ocr_share_of_pages"] == 0.5
    assert found.measures["ocr_confidence_lowest"] == pytest.approx(0.97)
    untouched = read_here(PLAIN, mode="auto")
    assert (untouched.text, untouched.counts, untouched.measures) == (read_here(PLAIN).text, {}, {})
    assert read_here(PLAIN, mode="ocr").text == "Stop it when the level is \u22658.5 mmol/L."


def test_a_stamp_over_a_picture_and_a_garbled_layer_are_no_text_layer(sees: See) -> None:
    import io

    import pypdfium2
    from fpdf import FPDF

    stamp: Any = FPDF()
    stamp.add_page()
    stamp.set_font("Helvetica", size=8)
    document: Any = pypdfium2.PdfDocument(PLAIN)
    stamp.image(document[0].render(scale=3).to_pil(), 0, 0, 210, 297)
    document.close()
    stamp.cell(0, 5, "Downloaded from a library on 3 May 2019")
    garbled = lines_pdf([["q z x v b n m w r t p s d f"] * 3])
    sees(lambda picture: of_lines("Give 5 mg."))
    for data in (bytes(stamp.output()), garbled):
        assert read_here(io.BytesIO(data).getvalue(), mode="auto").text == "Give 5 mg."


def test_an_empty_page_is_no_picture(sees: See) -> None:
    sees(lambda picture: pytest.fail("The engine was asked."))
    found = read_here(lines_pdf([[LINE] * 3, []]), mode="auto")
    assert found.measures == {}


def test_uncertain_pages_are_put_aside_and_with_most_of_them_the_document(sees: See) -> None:
    sure = iter([0.99, 0.99, 0.6, 0.6, 0.6, 0.6])
    lines = iter(["Give 5 mg of it once daily.", "Or 7.5 mg twice if that fails."] + ["Glve S rng of it."] * 4)
    sees(lambda picture: of_lines(next(lines), confidence=next(sure)))
    found = read_here(scanned_pdf(3), mode="auto")
    assert found.text == "Give 5 mg of it once daily.\n\nOr 7.5 mg twice if that fails."
    assert (found.counts["extract.ocr_pages"], found.counts["extract.ocr_pages_aside"]) == (2, 1)
    sees(lambda picture: of_lines("Give 5 mg.", confidence=0.9))
    with pytest.raises(Unreadable, match=r"extract\.ocr_uncertain.*0\.900"):
        read_here(scanned_pdf(2), mode="auto")


def test_a_coarse_picture_is_put_aside_however_sure_the_engine_is(sees: See) -> None:
    sees(lambda picture: of_lines(LINE, confidence=0.99))
    assert read_here(scanned(PLAIN, dpi=200), mode="auto").measures["ocr_pixels_per_letter_lowest"] == pytest.approx(
        14, abs=0.1
    )
    with pytest.raises(Unreadable, match=r"extract\.ocr_uncertain.*confidence 0\.990, 5\.2 pixels a letter"):
        read_here(scanned(PLAIN, dpi=75), mode="auto")


def test_doubtful_characters_of_numbers_are_counted(sees: See) -> None:
    page = of_lines("Give 7.5 mg at <30 mL/min.", "Ask again every day.")
    for line in page.lines:
        for char in line.chars:
            char.confidence = 0.7 if char.text in ".<y" else 1.0
    sees(lambda picture: page)
    assert read_here(scanned(PLAIN), mode="auto").measures["ocr_doubtful_in_numbers"] == 4


def test_nothing_on_any_picture_is_no_text_layer(sees: See) -> None:
    sees(lambda picture: SeenPage([]))
    with pytest.raises(Unreadable, match=r"extract\.no_text_layer"):
        read_here(scanned_pdf(2), mode="auto")


def test_a_picture_on_its_side_is_turned(sees: See) -> None:
    def engine(picture: Any) -> SeenPage:
        tall = picture.shape[0] > picture.shape[1]
        return of_lines("Give 5 mg." if tall else "6w S", confidence=0.99 if tall else 0.5)

    sees(engine)
    assert read_here(scanned(PLAIN, turn=90), mode="auto").text == "Give 5 mg."


def test_lines_read_from_top_to_bottom_are_not_believed_however_sure(sees: See) -> None:
    def engine(picture: Any) -> SeenPage:
        page = of_lines("Give 5 mg.", confidence=0.98)
        if picture.shape[1] > picture.shape[0]:
            for line in page.lines:
                line.height = 400
                for char in line.chars:
                    char.text, char.confidence = "x", 0.999
        return page

    sees(engine)
    assert read_here(scanned(PLAIN, turn=90), mode="auto").text == "Give 5 mg."


def test_words_go_the_way_of_a_text_layer(sees: See) -> None:
    """Columns one after the other though the engine sees across them; a skewed page; a title; a ruled table."""
    left = [f"Left column line {n} of them all here" for n in range(8)]
    right = [f"right column line {n} of them all here" for n in range(8)]
    lines = [line_seen("A title", 100, 60, height=60)]
    for n in range(8):
        lines += [line_seen(left[n], 60, 200 + 42 * n), line_seen(right[n], 620, 200 + 42 * n)]
    cells = [["Drug", "Dose"], ["aspirin", "<75 mg"], ["heparin", "5,000 IU"]]
    top = 640
    for r, row in enumerate(cells):
        lines += [line_seen(cell, 100 + 400 * c, top + 50 * r) for c, cell in enumerate(row)]
    lying = [Rule(top - 25 + 50 * r, 60, 900) for r in range(4)]
    standing = [Rule(x, top - 25, top + 125) for x in (60, 480, 900)]
    skew = 0.012
    for line in lines:
        line.angle = skew
        line.y += skew * line.x
    lying = [rule._replace(at=rule.at + skew * (rule.start + rule.end) / 2) for rule in lying]
    standing = [rule._replace(at=rule.at - skew * (rule.start + rule.end) / 2) for rule in standing]
    sees(lambda picture: SeenPage(list(lines), lying, standing))
    text = read_here(scanned(PLAIN), mode="auto").text
    assert text.startswith("# A title\n\n" + left[0])
    assert text.index(left[7]) < text.index(right[0])
    assert "| Drug | Dose |\n| --- | --- |\n| aspirin | <75 mg |\n| heparin | 5,000 IU |" in text


def test_the_child_reads_with_the_engine_that_is_named() -> None:
    found = pdf_to_text(scanned(PLAIN), reader="auto", engine="scrapers.sample.pdf_scan:see_one_line")
    assert found.text.startswith("Give 5 mg, seen on 1182 x 1497.")
    assert found.measures["ocr_pages"] == 1


def test_too_many_pictures_are_not_begun(sees: See, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_ocr, "MAX_PAGES", 1)
    sees(lambda picture: pytest.fail("The engine was asked."))
    with pytest.raises(Unreadable, match=r"extract\.too_large.*2 pages would need OCR"):
        read_here(scanned_pdf(2), mode="auto")


def test_without_the_extra_the_error_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    with pytest.raises(RecipeError, match=r"rapidocr is not installed.*pip install 'medtrove\[ocr\]'"):
        pdf_to_text(scanned(PLAIN), reader="auto")
    assert pdf_reader_identity("text") == {}
    with pytest.raises(RecipeError, match=r"'atuo'.*none of text, auto, ocr"):
        pdf_reader_identity("atuo")
