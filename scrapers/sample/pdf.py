"""Guidelines of the sample world as born-digital PDFs: running headers and footers, justified text, hyphens."""

from __future__ import annotations

import datetime
import unicodedata
import warnings
from typing import Any

from scrapers.sample.blocks import Guideline

_CREATED = datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
_LINE_CHARACTERS = 88
# The fonts every PDF reader has hold Latin-1 only; what lies outside is written as publishers' templates do.
_SPELLED = {"≥": ">=", "≤": "<=", "–": "-", "—": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "−": "-", "•": "-"}


def guideline_pdf(guideline: Guideline) -> bytes:
    """`guideline` as a PDF; the same bytes every time."""
    from fpdf import FPDF

    class Pages(FPDF):
        def header(self) -> None:
            self.set_font("Helvetica", size=8)
            self.cell(0, 5, "Synthetic Recommendations and Reports", new_x="LMARGIN", new_y="NEXT")
            self.ln(3)

        def footer(self) -> None:
            self.set_y(-12)
            self.set_font("Helvetica", size=8)
            self.cell(0, 5, str(self.page_no()), align="C")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pdf: Any = Pages(format=(150, 190))
    pdf.set_creation_date(_CREATED)
    pdf.set_title(_latin(guideline.title))
    pdf.set_auto_page_break(True, margin=16)
    pdf.add_page()
    _line(pdf, guideline.title, size=14)
    for block in guideline.blocks:
        value = block.value
        if block.kind in ("heading2", "heading3"):
            _line(pdf, str(value), size=12 if block.kind == "heading2" else 11)
        elif block.kind == "bullets":
            for item in value:
                _paragraph(pdf, f"- {item}")
        elif block.kind == "table":
            for row in value:
                _paragraph(pdf, "   ".join(str(cell) for cell in row))
            pdf.ln(2)
        else:
            _paragraph(pdf, str(value))
    return bytes(pdf.output())


def _latin(text: str) -> str:
    spelled = "".join(_SPELLED.get(character, character) for character in text)
    return unicodedata.normalize("NFKC", spelled).encode("latin-1", "replace").decode("latin-1")


def _line(pdf: Any, text: str, *, size: int) -> None:
    pdf.set_font("Helvetica", style="B", size=size)
    pdf.multi_cell(0, 7, _latin(text), align="L", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(1)


def _paragraph(pdf: Any, text: str) -> None:
    pdf.set_font("Helvetica", size=9)
    for line in _lines(_latin(text)):
        pdf.cell(0, 4.4, line, new_x="LMARGIN", new_y="NEXT")
    pdf.ln(2)


def _lines(text: str) -> list[str]:
    """Lines of a paragraph; a long word at the end of a line is broken with a hyphen."""
    lines, line = [], ""
    for word in text.split():
        if len(line) + len(word) + 1 <= _LINE_CHARACTERS:
            line = f"{line} {word}".strip()
            continue
        room = _LINE_CHARACTERS - len(line) - 2
        if len(word) >= 9 and word.isalpha() and 4 <= room <= len(word) - 4:
            lines.append(f"{line} {word[:room]}-")
            line = word[room:]
        else:
            lines.append(line)
            line = word
    return [*lines, line]
