"""The text layer of a PDF, page after page, as paragraphs.

PDFium gives lines in reading order and marks hyphens at line ends; running headers and footers and page numbers are
found by their repetition and removed, counted. A hyphen between digits is a range and always stays.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from scrapers.formats.errors import Unreadable

_ERROR_PASSWORD = 4
_MARGIN_LINES = 3
_FEWEST_REPEATS = 3
_FEWEST_CHARS_PER_PAGE = 8

_LINE_HYPHEN = "\ufffe"
_SOFT = re.compile(r"(\S*)\ufffe\s*\n?\s*(\S*)")
_PAGE_NUMBER = re.compile(
    r"(?:page\s+)?[-\u2013\u2014|\s]*(\d{1,4})[-\u2013\u2014|\s]*(?:(?:of|/)\s*\d{1,4})?\s*$", re.I
)
_ITEM = re.compile(
    r"\s*(?:[\u2022\u25cf\u25aa\u25a0\u25cb\u2023\uf0b7\uf0a7*\u2013-]\s|\(?\d{1,2}[.)]\s|\(?[a-z][.)]\s|o\s)"
)
_BULLET = re.compile(r"^[\u2022\u25cf\u25aa\u25a0\u25cb\u2023\uf0b7\uf0a7]\s*")
_LETTERS_AT_END = re.compile(r"[^\W\d_]+$")
_LETTERS_AT_START = re.compile(r"^[^\W\d_]+")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SENTENCE_END = re.compile(r"[.!?:;][\"'\u201d\u2019)\]]*$")


@dataclass(slots=True)
class PdfText:
    """The text of a PDF."""

    text: str
    pages: int
    counts: dict[str, int] = field(default_factory=dict)


def pdf_to_text(data: bytes, *, max_pages: int = 2000) -> PdfText:
    """The text of `data`; Unreadable when it is encrypted, broken, too long or has no text layer."""
    pages = _pages(data, max_pages)
    counts: dict[str, int] = {}
    lines = [_lines(page) for page in pages]
    characters = sum(len(line) for page in lines for line in page)
    if characters < _FEWEST_CHARS_PER_PAGE * len(lines):
        raise Unreadable("extract.no_text_layer", f"{len(lines)} pages hold {characters} characters of text.")
    _remove_running_lines(lines, counts)
    whole = [line for page in lines for line in page]
    text = "\n\n".join(_blocks(_without_line_hyphens(whole)))
    return PdfText(unicodedata.normalize("NFC", text), len(pages), counts)


def _pages(data: bytes, max_pages: int) -> list[str]:
    import pypdfium2

    if b"%PDF-" not in data[:1024]:
        raise Unreadable("extract.unknown_format", "The bytes do not begin as a PDF does.")
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
        return [_page_text(document, index) for index in range(count)]
    finally:
        document.close()


def _page_text(document: Any, index: int) -> str:
    import pypdfium2

    try:
        page = document[index]
        text_page = page.get_textpage()
        text: str = text_page.get_text_range()
    except pypdfium2.PdfiumError:
        raise Unreadable("extract.corrupt", f"PDFium cannot read page {index + 1}.") from None
    text_page.close()
    page.close()
    return text


def _lines(page: str) -> list[str]:
    page = page.replace("\r\n", "\n").replace("\r", "\n")
    return [" ".join(line.split()) for line in _CONTROLS.sub("", page).split("\n") if line.strip()]


def _remove_running_lines(pages: list[list[str]], counts: dict[str, int]) -> None:
    """Take out of the first and last lines of every page what repeats there, and the page's own number."""
    offset = _numbering(pages)
    seen: Counter[str] = Counter()
    for number, page in enumerate(pages):
        seen.update({_shape(line, number, offset) for line in _margins(page)})
    enough = max(_FEWEST_REPEATS, len(pages) * 3 // 10)
    running = {shape for shape, times in seen.items() if times >= enough and any(map(str.isalpha, shape))}
    for number, page in enumerate(pages):
        for top in (True, False):
            for _ in range(_MARGIN_LINES):
                if not page:
                    break
                line = page[0] if top else page[-1]
                own = offset is not None and _page_number(line) == number + offset
                if not own and _shape(line, number, offset) not in running:
                    break
                del page[0 if top else -1]
                name = "extract.page_numbers" if own else "extract.running_lines"
                counts[name] = counts.get(name, 0) + 1


def _margins(page: list[str]) -> list[str]:
    return page[:_MARGIN_LINES] + page[max(_MARGIN_LINES, len(page) - _MARGIN_LINES) :]


def _shape(line: str, number: int, offset: int | None) -> str:
    """A line without the page's own number: any other number makes it another line, it may be a dose."""
    return line if offset is None else re.sub(rf"(?<!\d){number + offset}(?!\d)", "#", line)


def _page_number(line: str) -> int | None:
    found = _PAGE_NUMBER.match(line)
    return int(found[1]) if found else None


def _numbering(pages: list[list[str]]) -> int | None:
    """The number printed on the first page, when at least half of the pages agree on it."""
    offsets: Counter[int] = Counter()
    for number, page in enumerate(pages):
        offsets.update({value - number for line in page[:1] + page[-1:] if (value := _page_number(line)) is not None})
    if not offsets:
        return None
    offset, times = min(offsets.items(), key=lambda item: (-item[1], item[0]))
    return offset if times >= 2 and times * 2 >= len(pages) else None


def _without_line_hyphens(lines: list[str]) -> list[str]:
    """Join words that a line end split; a hyphen the word has elsewhere, or one beside a digit, stays."""
    text = "\n".join(lines)
    if _LINE_HYPHEN not in text:
        return lines
    words = Counter(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text.lower()))

    def joined(match: re.Match[str]) -> str:
        left, right = match[1], match[2]
        hyphenated = f"{left}-{right}"
        if left[-1:].isdigit() or right[:1].isdigit() or not left or not right:
            return hyphenated
        stem = "".join(_LETTERS_AT_END.findall(left)[:1]).lower()
        tail = "".join(_LETTERS_AT_START.findall(right)[:1]).lower()
        plain, dashed = stem + tail, f"{stem}-{tail}"
        keep = words[dashed] > words[plain] or not right[:1].islower() or left[-1:].isupper()
        return hyphenated if keep else left + right

    while _LINE_HYPHEN in text:
        after = _SOFT.sub(joined, text)
        if after == text:
            break
        text = after
    return text.replace(_LINE_HYPHEN, "-").split("\n")


def _blocks(lines: list[str]) -> list[str]:
    """Paragraphs: a line is continued when it is about as long as the lines around it and the next one goes on."""
    lengths = sorted(len(line) for line in lines if len(line) > 20)
    width = lengths[len(lengths) * 3 // 4] if lengths else 0
    blocks: list[str] = []
    previous = ""
    for line in lines:
        if previous and _goes_on(previous, line, width):
            blocks[-1] += f" {line}"
        else:
            bulleted = _BULLET.sub("- ", line)
            both_items = blocks and blocks[-1].startswith("- ") and bulleted.startswith("- ")
            if both_items:
                blocks[-1] += f"\n{bulleted}"
            else:
                blocks.append(bulleted)
        previous = line
    return blocks


def _goes_on(line: str, following: str, width: int) -> bool:
    if _ITEM.match(following):
        return False
    if following[:1].islower() and not _SENTENCE_END.search(line):
        return len(line) > width * 0.4
    return len(line) >= width * 0.8 and not (_SENTENCE_END.search(line) and len(line) < width * 0.95)
