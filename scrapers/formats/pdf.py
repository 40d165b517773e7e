"""The text of a PDF's text layer in our text convention, page after page.

PDFium says where every character stands; columns, tables, headings, lists and paragraphs are found from that. Running
heads, feet and page numbers are found by their repetition and removed, counted. A hyphen between digits is a range and
always stays. The reading is done in a process of its own that has a limit of time and memory.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from manifests.errors import RecipeError
from scrapers.formats.errors import Unreadable
from scrapers.formats.pdf_quality import PageQuality, page_quality

_ERROR_PASSWORD = 4
_FEWEST_CHARS_PER_PAGE = 8
POOR = 0.5
"""Pages that score lower are counted as `extract.poor_pages`."""


READERS = ("text", "auto", "ocr")
"""Ways of our own to read a PDF, by the names a recipe gives as `pdf_reader`."""
PDF_OPTIONS = {"pdf_reader": "text"}
"""Of sources that read PDFs."""
SECONDS, OCR_SECONDS = 300.0, 3600.0


def pdf_reader_identity(reader: str) -> dict[str, str]:
    """What the text depends on that `reader` names: versions and models; RecipeError if it cannot be had."""
    if reader == "text":
        return {}
    if reader in READERS:
        from scrapers.formats.pdf_engine import identity

        return identity()
    found = _named(reader)
    return {"version": str(getattr(found, "version", "")) or "unstated"}


class PdfReader(Protocol):
    """Another way to read a PDF: a layout model, or OCR."""

    def __call__(self, data: bytes, *, max_pages: int) -> Sequence[str]:
        """The text of each page in our text convention; Unreadable when there is none to have."""


@dataclass(slots=True)
class PdfText:
    """The text of a PDF."""

    text: str
    pages: int
    counts: dict[str, int] = field(default_factory=dict)
    quality: tuple[PageQuality, ...] = ()
    """Of each page."""
    measures: dict[str, float] = field(default_factory=dict)
    """What to know of it that is no count of what was removed: how much of it was read by OCR, and how surely."""

    @property
    def score(self) -> float:
        """The mean score of the pages, by their words; 0 without words."""
        words = sum(page.words for page in self.quality)
        return sum(page.score * page.words for page in self.quality) / words if words else 0.0


def pdf_to_text(
    data: bytes,
    *,
    max_pages: int = 2000,
    reader: PdfReader | str | None = None,
    seconds: float | None = None,
    engine: str = "",
) -> PdfText:
    """The text of `data`; Unreadable when it is encrypted, broken, too long, too slow to read or has no text layer.

    `reader`: `text` (or None) takes the text layer; `auto` has pages without one read by OCR, `ocr` has all;
    RecipeError if that is not installed. A callable or its name, `module:function`, reads it in place of PDFium: it
    runs in this process and bounds itself; what it gives is measured and put together here. `seconds` bounds our own
    reading, 300 by default, 3600 with OCR. `engine` names another function that sees pictures, see `pdf_ocr.Engine`.
    """
    if b"%PDF-" not in data[:1024]:
        raise Unreadable("extract.unknown_format", "The bytes do not begin as a PDF does.")
    if reader is not None and reader not in READERS:
        return _put_together(_named(reader)(data, max_pages=max_pages))
    from scrapers.formats.pdf_process import read_apart

    mode = str(reader or "text")
    if seconds is None:
        seconds = SECONDS if mode == "text" else OCR_SECONDS
    if mode != "text" and not engine:
        from scrapers.formats.pdf_engine import identity

        identity()
    return read_apart(data, max_pages=max_pages, seconds=seconds, mode=mode, engine=engine)


def read_here(data: bytes, *, max_pages: int = 2000, mode: str = "text", engine: str = "") -> PdfText:
    """As `pdf_to_text`, in this process and without a limit of time and memory."""
    from scrapers.formats.pdf_blocks import written
    from scrapers.formats.pdf_hyphens import Hyphens
    from scrapers.formats.pdf_line_numbers import remove_line_numbers
    from scrapers.formats.pdf_lines import Line, body_size, page_lines
    from scrapers.formats.pdf_page import Page, Word
    from scrapers.formats.pdf_pieces import rows_of
    from scrapers.formats.pdf_running import running_lines, set_apart

    pages: list[Page]
    pages, ocr = _pages(data, max_pages, mode, engine)
    counts: dict[str, int] = {}
    characters = sum(len(word.text) for page in pages for word in page.words + page.sideways)
    if characters < _FEWEST_CHARS_PER_PAGE * len(pages):
        raise Unreadable("extract.no_text_layer", f"{len(pages)} pages hold {characters} characters of text.")
    remove_line_numbers(pages, counts)
    rows = [rows_of(page.words) for page in pages]
    body = body_size(pages)
    apart = [set_apart(page, its_rows, body) for page, its_rows in zip(pages, rows, strict=True)]
    removed = running_lines([[_plain(row) for row in page] for page in rows], counts, apart)
    for page, its_rows, (top, bottom) in zip(pages, rows, removed, strict=True):
        page.words = [word for row in its_rows[top : len(its_rows) - bottom] for word in row]
    body = body_size(pages)
    lines: list[Line] = []
    quality = []
    gutters: list[float] = []
    for page in pages:
        words: list[Word] = page.words + page.sideways
        quality.append(page_quality(" ".join(word.text.removesuffix("\ufffe") for word in words)))
        column = lines[-1].column + 1 if lines else 0
        lines.extend(page_lines(page, column, gutters))
        lines.extend(_sideways(page.sideways, lines[-1].column + 1 if lines else 0))
    hyphens = Hyphens(_every_line(lines))
    text = unicodedata.normalize("NFC", "\n\n".join(written(lines, body, hyphens)))
    return _marked(_measured(PdfText(text, len(pages), counts, tuple(quality))), ocr)


def _marked(found: PdfText, ocr: Any) -> PdfText:
    """`found` with what OCR did to it, which is in no other document's counts and measures."""
    if isinstance(ocr, int):
        if ocr:
            found.counts["extract.pages_without_text"] = ocr
    elif ocr.confidences or ocr.aside:
        n = {"extract.ocr_pages": len(ocr.confidences), "extract.ocr_pages_aside": ocr.aside}
        found.counts |= {name: value for name, value in n.items() if value}
        found.measures = {"ocr_pages": float(len(ocr.confidences)), "ocr_pages_aside": float(ocr.aside)}
        found.measures |= {"ocr_confidence_lowest": min(ocr.confidences)} if ocr.confidences else {}
        if ocr.widths and min(ocr.widths) < math.inf:
            found.measures["ocr_pixels_per_letter_lowest"] = min(ocr.widths)
        found.measures |= {"ocr_doubtful_in_numbers": float(ocr.doubtful)}
        found.measures |= {"ocr_share_of_pages": len(ocr.confidences) / found.pages}
    return found


def _plain(row: list[Any]) -> str:
    return " ".join(word.text for word in row)


def _every_line(lines: list[Any]) -> list[str]:
    found = [line.text for line in lines]
    found.extend(text for line in lines if line.table for row in line.table for cell in row for text in cell)
    return found


def _sideways(words: list[Any], column: int) -> list[Any]:
    """Text in another direction than most of its page, as one line after it."""
    from scrapers.formats.pdf_lines import Line

    if not words:
        return []
    # The smallest type, so that it is no heading.
    return [Line(_plain(words), 0.0, 0.0, 0.0, min(word.size for word in words), 0.0, 0.0, column=column)]


def _pages(data: bytes, max_pages: int, mode: str, engine: str) -> tuple[list[Any], Any]:
    """Its pages, and what OCR gave or, when it was not asked, how many pages show something but hold no text."""
    import pypdfium2

    from scrapers.formats.pdf_page import read_page

    try:
        document: Any = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _ERROR_PASSWORD or "password" in str(error).lower():
            raise Unreadable("extract.encrypted", "The PDF needs a password.") from None
        raise Unreadable("extract.corrupt", "PDFium cannot open the PDF.") from None
    try:
        count = len(document)
        if count > max_pages:
            raise Unreadable("extract.too_large", f"The PDF has {count} pages, more than {max_pages}.")
        pages = [read_page(document, index) for index in range(count)]
        from scrapers.formats import pdf_ocr

        if mode == "text":
            unread = sum(
                not page.words and not page.sideways and pdf_ocr.needs_ocr(document, number, "", 0.0, 0)
                for number, page in enumerate(pages)
            )
            return pages, unread

        wanted = [mode == "ocr" or _pictured(document, number, page) for number, page in enumerate(pages)]
        ocr = pdf_ocr.read_pages(document, pages, wanted, pdf_ocr.engine_named(engine or pdf_ocr.ENGINE))
        return ocr.pages, ocr
    finally:
        document.close()


def _pictured(document: Any, number: int, page: Any) -> bool:
    from scrapers.formats.pdf_ocr import needs_ocr

    text = _plain(page.words + page.sideways)
    quality = page_quality(text)
    return needs_ocr(document, number, text, quality.score, quality.words)


def _named(reader: PdfReader | str) -> PdfReader | Callable[..., Sequence[str]]:
    if not isinstance(reader, str):
        return reader
    module, _, function = reader.partition(":")
    try:
        found: PdfReader = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise RecipeError(
            f"pdf_reader is {reader!r}.",
            where="[sources.*] options",
            why=f"It is none of {', '.join(READERS)}, and no function to import: {error}.",
            fix="Write one of these, or module:function of an installed package.",
        ) from None
    return found


def _put_together(pages: Sequence[str]) -> PdfText:
    if not any(page.strip() for page in pages):
        raise Unreadable("extract.no_text_layer", f"The reader found no text on {len(pages)} pages.")
    text = unicodedata.normalize("NFC", "\n\n".join(page.strip() for page in pages if page.strip()))
    return _measured(PdfText(text, len(pages), {}, tuple(page_quality(page) for page in pages)))


def _measured(found: PdfText) -> PdfText:
    poor = sum(page.words > 0 and page.score < POOR for page in found.quality)
    if poor:
        found.counts["extract.poor_pages"] = poor
    return found
