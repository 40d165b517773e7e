"""HTML pages as text: by the publisher's own containers where a scraper names them, else by finding the main content.

A number in the chosen container is never lost; comparators written without escaping (`p <0.05`) are text.
Bytes are decoded as the page declares, else as detected.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bs4 import BeautifulSoup, Tag

from scrapers.formats.errors import Unreadable
from scrapers.formats.html_blocks import Renderer
from scrapers.formats.inline import normalise
from scrapers.formats.tables import rowspan, span

_MAX_BYTES = 64 << 20
_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w:.-]+)|^\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w:.-]+)""", re.I
)
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
# XML 1.0 forbids them and HTML never shows them; the renderer uses some as marks of its own.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
_UNESCAPED_LESS = re.compile(r"<(?=[\s\d=.,\u2264-])")
_BINARY = (b"%PDF-", b"\x1f\x8b", b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
# Browsers read these labels as Windows-1252, and so do their authors.
_WINDOWS = frozenset({"iso-8859-1", "iso8859-1", "latin-1", "latin1", "ascii", "us-ascii", "iso_8859-1"})


@dataclass(slots=True)
class HtmlText:
    """The content of a page."""

    text: str
    title: str
    """First `h1` of the content, else of the page, else `og:title` or `title`."""
    counts: dict[str, int] = field(default_factory=dict)


def html_to_text(
    html: bytes | str, *, root: str | Sequence[str] = (), drop: Sequence[str] = (), url: str = ""
) -> HtmlText:
    """The text of `html` inside the first CSS selector of `root` that matches, without what `drop` selects.

    Several elements that match one selector are read in page order. When no root matches, trafilatura finds the main
    content. The text holds the page's own headings; a title outside the content is only in `title`.
    """
    counts: dict[str, int] = {}
    soup = _soup(html, counts)
    title = _page_title(soup)
    _drop(soup, drop, counts)
    roots = _roots(soup, (root,) if isinstance(root, str) else root)
    if not roots:
        roots = _main_content(soup, url, counts)
    renderer = Renderer(counts)
    for element in roots:
        renderer.render(element)
    blocks = renderer.blocks
    inside = next((block[2:] for block in blocks if block.startswith("# ")), "")
    return HtmlText(normalise("\n\n".join(blocks)), inside or title, counts)


def fragment_to_text(html: str, counts: dict[str, int]) -> list[str]:
    """The blocks of a piece of HTML that is content as a whole."""
    soup = _soup(html, counts)
    return Renderer(counts).render(soup)


def decode(html: bytes, counts: dict[str, int]) -> str:
    """`html` as text: byte order mark, declared charset, UTF-8, detection, in this order."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if html.startswith(mark):
            return html.decode(name, errors="replace")
    declared = _DECLARED.search(html[:4096])
    candidates = []
    if declared:
        candidates.append((declared[1] or declared[2]).decode("ascii", errors="ignore").lower())
    candidates.append("utf-8")
    for name in candidates:
        try:
            return html.decode("cp1252" if name in _WINDOWS else name)
        except (LookupError, UnicodeDecodeError, ValueError):
            continue
    import cchardet

    found = cchardet.detect(html[: 1 << 20]).get("encoding")
    counts["extract.detected_charset"] = 1
    try:
        return html.decode(found or "cp1252")
    except (LookupError, UnicodeDecodeError):
        counts["extract.replaced_characters"] = 1
        return html.decode("cp1252", errors="replace")


def _soup(html: bytes | str, counts: dict[str, int]) -> BeautifulSoup:
    if len(html) > _MAX_BYTES:
        raise Unreadable("extract.too_large", f"An HTML page of more than {_MAX_BYTES >> 20} MiB.")
    if isinstance(html, bytes):
        if html.startswith(_BINARY):
            raise Unreadable("extract.unknown_format", "Not HTML but a binary file.")
        html = decode(html, counts)
    text = _CONTROLS.sub("", _XML_DECLARATION.sub("", html))
    text = _UNESCAPED_LESS.sub("&lt;", text)
    if "<" not in text:
        text = f"<p>{text}</p>"
    return BeautifulSoup(text, "lxml")


def _page_title(soup: BeautifulSoup) -> str:
    headings = [found for found in soup.find_all("h1") if found.get_text(strip=True)]
    if len(headings) == 1:
        return " ".join(headings[0].get_text().split())
    for name in ("og:title", "dc.title", "citation_title"):
        meta = soup.find("meta", attrs={"property": name}) or soup.find("meta", attrs={"name": name})
        if isinstance(meta, Tag) and str(meta.get("content") or "").strip():
            return " ".join(str(meta["content"]).split())
    if headings:
        return " ".join(headings[0].get_text().split())
    return " ".join(soup.title.get_text().split()) if soup.title else ""


def _drop(soup: BeautifulSoup, selectors: Sequence[str], counts: dict[str, int]) -> None:
    for selector in selectors:
        for element in soup.select(selector):
            if not element.decomposed:
                element.decompose()
                counts["extract.dropped_by_selector"] = counts.get("extract.dropped_by_selector", 0) + 1


def _roots(soup: BeautifulSoup, selectors: Sequence[str]) -> list[Any]:
    for selector in selectors:
        found = soup.select(selector)
        if found:
            chosen = {id(element) for element in found}
            return [element for element in found if not any(id(parent) in chosen for parent in element.parents)]
    return []


def _main_content(soup: BeautifulSoup, url: str, counts: dict[str, int]) -> list[Any]:
    """What trafilatura takes for the main content; spans are written out before, because it cannot carry them."""
    import trafilatura

    for element in soup.find_all(["del", "s", "strike"]):
        element.decompose()
        counts["extract.tracked_deletions"] = counts.get("extract.tracked_deletions", 0) + 1
    for table in soup.find_all("table"):
        _expand_spans(table)
    found = trafilatura.extract(
        str(soup),
        url=url or None,
        output_format="html",
        include_formatting=True,
        include_tables=True,
        include_comments=False,
        include_links=True,
        include_images=False,
        deduplicate=False,
    )
    counts["extract.main_content"] = 1
    if not found:
        return []
    content = BeautifulSoup(found, "lxml")
    return [content.body or content]


def _expand_spans(table: Tag) -> None:
    from copy import copy

    rows = [row for row in table.find_all("tr") if row.find_parent("table") is table]
    held: dict[int, tuple[int, Tag]] = {}
    for index, row in enumerate(rows):
        cells = list(row.find_all(["td", "th"], recursive=False))
        line: list[Tag] = []
        for cell in [*cells, None]:
            while len(line) in held:
                column = len(line)
                left, text = held.pop(column)
                line.append(copy(text))
                if left > 1:
                    held[column] = (left - 1, text)
            if cell is None:
                break
            wide = min(span(str(cell.get("colspan", "1"))), 100)
            tall = min(rowspan(str(cell.get("rowspan", "1"))), len(rows) - index)
            del cell["colspan"], cell["rowspan"]
            for repeat in range(wide):
                if tall > 1:
                    held[len(line)] = (tall - 1, cell)
                line.append(cell if repeat == 0 else copy(cell))
        row.clear()
        for cell in line:
            row.append(cell)
