"""PDFs as a scanner makes them: pages that are pictures of text, and an engine that stands for OCR where none is."""

from __future__ import annotations

import datetime
import warnings
from typing import Any

from scrapers.formats.pdf_ocr import SeenChar, SeenLine, SeenPage

_CREATED = datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
_PIXELS_PER_CHARACTER, _LINE_PIXELS = 14, 33


def scanned(data: bytes, *, dpi: int = 200, turn: int = 0, pages: int = 0) -> bytes:
    """The first `pages` (0: all) of a PDF as pictures in black and white, turned by `turn` degrees; the same bytes
    every time."""
    import pypdfium2
    from fpdf import FPDF

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pdf: Any = FPDF(unit="pt")
    pdf.set_creation_date(_CREATED)
    document: Any = pypdfium2.PdfDocument(data)
    try:
        for index in range(min(pages or len(document), len(document))):
            picture = document[index].render(scale=dpi / 72, grayscale=True).to_pil().convert("L")
            picture = picture.rotate(turn, expand=turn % 90 == 0, fillcolor=255)
            width, height = (side * 72 / dpi for side in picture.size)
            pdf.add_page(format=(width, height))
            pdf.image(picture.point(lambda value: 255 * (value > 140)).convert("1"), 0, 0, width, height)
    finally:
        document.close()
    return bytes(pdf.output())


def line_seen(text: str, x: float, y: float, *, height: float = _LINE_PIXELS, confidence: float = 0.99) -> SeenLine:
    """`text` as an engine sees it, its characters of one width, `y` pixels under the top of the picture."""
    chars, space, wide = [], False, _PIXELS_PER_CHARACTER * height / _LINE_PIXELS
    for place, letter in enumerate(text):
        if not letter.isspace():
            chars.append(SeenChar(letter, x + wide * place, x + wide * (place + 1), confidence, space))
        space = letter.isspace()
    return SeenLine(chars, y, x + wide * len(text) / 2, height)


def see_one_line(picture: Any) -> SeenPage:
    """Not an engine: it sees the same line on every picture. Named where a test needs one in another process."""
    return SeenPage([line_seen(f"Give 5 mg, seen on {picture.shape[1]} x {picture.shape[0]}.", 100, 100)])
