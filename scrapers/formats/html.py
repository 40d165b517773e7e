"""HTML pages as text: by the publisher's own containers where a scraper names them, else by finding the main content.

A number in the chosen container is never lost; comparators written without escaping (`p <0.05`) are text.
Bytes are decoded as the page declares, else as detected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bs4 import BeautifulSoup

from scrapers.formats.html_blocks import Renderer
from scrapers.formats.html_main import main_content
from scrapers.formats.html_source import decode, parse
from scrapers.formats.inline import normalise
from scrapers.formats.left_out import visible

__all__ = ["HtmlText", "decode", "fragment_to_text", "html_to_text"]


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
    part of the page and the same rules read it. The text holds the page's own headings; a title outside the content
    is only in `title`.
    """
    counts: dict[str, int] = {}
    soup = parse(html, counts)
    title = _page_title(soup)
    page = visible((soup.body or soup).get_text())
    _drop(soup, drop, counts)
    roots = _roots(soup, (root,) if isinstance(root, str) else root)
    if not roots:
        roots = main_content(soup, url, counts)
    _count_outside(page, roots, counts)
    renderer = Renderer(counts)
    for element in roots:
        renderer.render(element)
    blocks = renderer.blocks
    inside = next((block[2:] for block in blocks if block.startswith("# ")), "")
    return HtmlText(normalise("\n\n".join(blocks)), inside or title, counts)


def fragment_to_text(html: str, counts: dict[str, int]) -> list[str]:
    """The blocks of a piece of HTML that is content as a whole."""
    soup = parse(html, counts)
    return Renderer(counts).render(soup)


def _page_title(soup: BeautifulSoup) -> str:
    headings = [found for found in soup.find_all("h1") if found.get_text(strip=True)]
    if len(headings) == 1:
        return " ".join(headings[0].get_text().split())
    said: dict[str, str] = {}
    for meta in (soup.head or soup).find_all("meta"):
        for name in (meta.get("property"), meta.get("name")):
            said.setdefault(str(name or ""), " ".join(str(meta.get("content") or "").split()))
    for name in ("og:title", "dc.title", "citation_title"):
        if said.get(name):
            return said[name]
    if headings:
        return " ".join(headings[0].get_text().split())
    return " ".join(soup.title.get_text().split()) if soup.title else ""


def _count_outside(page: tuple[int, int], roots: Sequence[Any], counts: dict[str, int]) -> None:
    """Characters and digits of the page that no root holds: menus, footers, and what selectors dropped."""
    inside = [visible(element.get_text()) for element in roots]
    for place, what in enumerate(("characters", "digits")):
        # Roots may lie inside each other, and are then read, and counted, twice.
        outside = page[place] - sum(one[place] for one in inside)
        if outside > 0:
            counts[f"extract.outside_content_{what}"] = outside


def _drop(soup: BeautifulSoup, selectors: Sequence[str], counts: dict[str, int]) -> None:
    if not selectors:
        return
    # One walk for all of them: each takes as long as a tenth of the parse.
    for element in soup.select(", ".join(selectors)):
        if not element.decomposed:
            element.decompose()
            counts["extract.dropped_by_selector"] = counts.get("extract.dropped_by_selector", 0) + 1


def _roots(soup: BeautifulSoup, selectors: Sequence[str]) -> list[Any]:
    for selector in selectors:
        found = soup.find_all(selector) if selector.isalnum() else soup.select(selector)
        if found:
            chosen = {id(element) for element in found}
            return [element for element in found if not any(id(parent) in chosen for parent in element.parents)]
    return []
