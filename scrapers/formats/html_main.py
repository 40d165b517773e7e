"""The main part of a page that no selector names: trafilatura says where it is, our own rules read it.

trafilatura's text loses tables, list items and thresholds, so only its choice is used: the smallest element that holds
every block it kept, widened to the page's `main` or to what no menu or footer shares.
"""

from __future__ import annotations

import re
from typing import Any

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString

from scrapers.formats.html_elements import names_panels

_LEAVES = ["p", "li", "td", "th", "dd", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "div", "span"]
_AROUND = frozenset({"nav", "footer", "aside"})
_AROUND_ROLES = frozenset({"navigation", "contentinfo", "banner", "search", "complementary", "dialog", "alertdialog"})
_AROUND_WORDS = re.compile(
    r"(?:^|[\s_-])(?:breadcrumbs?|cookies?|navbar|navigation|nav|menu|sidebar|site-?header|site-?footer|page-?footer|footer|"
    r"masthead|share|sharing|social|skip-?link|newsletter|subscribe|advert(?:isement)?|banner)(?=$|[\s_-])",
    re.I,
)
_MAIN = ("main", "article")
_TAB_LABELS = 500
"""Characters of a row of tabs; what is longer holds the page."""
_LONGEST_CHAIN = 200
_LARGEST = 3_000_000
"""Characters trafilatura is asked about; a larger page is read from the elements its author named."""
_MOST_PIECES = 3_000
"""Links and line breaks in one paragraph; trafilatura's time grows with their square."""
_LINES = ["p", "li", "td", "dd", "span", "blockquote", "h1", "h2", "h3"]
_INLINE = re.compile(r"</?(?:sup|sub|b|i|em|strong|u|font|abbr|ins|small)(?:\s[^<>]*)?>", re.I)
"""Nothing that says where the content is, and most of the elements of a page."""
_SHORTEST = 20
_NOT_WORD = re.compile(r"\W+")


def main_content(soup: BeautifulSoup, url: str, counts: dict[str, int]) -> list[Any]:
    """The element to read, what surrounds the content taken out and counted."""
    counts["extract.main_content"] = 1
    body: Tag = soup.body or soup
    if _deeper_than(body, _LONGEST_CHAIN):
        # Thousands of unclosed tags: no question about their ancestors can be answered in time.
        return [_named(body)]
    kept = _kept(soup, url)
    chosen = _holds_all(body, kept) if kept else None
    chosen = _widened(chosen, body) if chosen is not None else _named(body)
    removed = 0
    for element in chosen.find_all(True):
        if not element.decomposed and is_around(element, chosen) and not _has_kept(element, kept):
            element.decompose()
            removed += 1
    if removed:
        counts["extract.boilerplate"] = removed
    return [chosen]


def is_around(element: Tag, top: Tag) -> bool:
    """Whether `element` stands around the content of `top`: menus, footers, sharing, and headers of the page."""
    return _looks_around(element, top) and not (names_panels(element) and len(element.get_text()) < _TAB_LABELS)


def _looks_around(element: Tag, top: Tag) -> bool:
    name = element.name
    if name in _AROUND or element.get("role") in _AROUND_ROLES:
        # An aside of an article is a box of it.
        return name != "aside" or not any(above.name in _MAIN for above in (*element.parents, top))
    if name == "header":
        return element.find("h1") is None and not any(above.name in _MAIN for above in (*element.parents, top))
    said = f"{' '.join(element.get('class') or ())} {element.get('id', '')}" if element.attrs else ""
    # Never a table or a threshold for the sake of a class name.
    return bool(
        said.strip()
        and name not in ("body", "html", "table", "tr", "td", "th", *_MAIN)
        and _AROUND_WORDS.search(said)
        and element.find(["table", "main", "article"]) is None
        and _is_links(element)
    )


def _is_links(element: Tag) -> bool:
    """Whether links and controls are most of the text."""
    total = len("".join(element.get_text().split()))
    linked = sum(len("".join(link.get_text().split())) for link in element.find_all(["a", "button", "label"]))
    return linked * 2 >= total


def _deeper_than(top: Tag, limit: int) -> bool:
    depth = {id(top): 0}
    for element in top.find_all(True):
        here = depth[id(element.parent)] + 1
        if here > limit:
            return True
        depth[id(element)] = here
    return False


def _key(text: str) -> str:
    return _NOT_WORD.sub("", text).lower()


def _kept(soup: BeautifulSoup, url: str) -> set[str]:
    """The lines trafilatura takes for content, as `_key` writes them."""
    import trafilatura

    if any(len(block.contents) > _MOST_PIECES for block in soup.find_all(_LINES)):
        return set()
    markup = _INLINE.sub("", str(soup))
    if len(markup) > _LARGEST:
        return set()
    found = trafilatura.extract(
        markup,
        url=url or None,
        output_format="txt",
        include_formatting=False,
        include_tables=True,
        include_comments=False,
        include_links=False,
        include_images=False,
        favor_recall=True,
        deduplicate=False,
    )
    parts = (part for line in (found or "").split("\n") for part in (line, *line.split("|")))
    return {key for part in parts if len(key := _key(part)) >= _SHORTEST}


def _own_text(element: Tag) -> str:
    return "".join(str(child) for child in element.children if type(child) is NavigableString)


def _has_kept(element: Tag, kept: set[str]) -> bool:
    """Whether a paragraph of `element` is content, by trafilatura's word."""
    return any(_key(leaf.get_text()) in kept for leaf in element.find_all(["p", "li", "td", "dd"]))


def _holds_all(body: Tag, kept: set[str]) -> Tag | None:
    """The smallest element that holds every block of the page that was kept; None if none was found again."""
    common: list[Tag] | None = None
    for leaf in body.find_all(_LEAVES):
        if leaf.name in ("div", "span") and not _own_text(leaf).strip():
            continue
        if _key(leaf.get_text()) not in kept:
            continue
        chain = [leaf, *leaf.parents]
        if any(above.name in _AROUND or above.get("role") in _AROUND_ROLES for above in chain[:-1]):
            continue
        chain.reverse()
        if common is None:
            common = chain
        else:
            n = next((n for n, (a, b) in enumerate(zip(common, chain, strict=False)) if a is not b), None)
            common = common[: min(len(common), len(chain)) if n is None else n]
    if not common:
        return None
    return next((one for one in reversed(common) if one.name not in ("tr", "td", "tbody", "ul", "ol", "li", "p")), body)


def _widened(chosen: Tag, body: Tag) -> Tag:
    """`chosen`, or the part of the page around it that holds content and no menu or footer."""
    if chosen is body or body not in chosen.parents:
        return body
    named = [
        above
        for above in (chosen, *chosen.parents)
        if isinstance(above, Tag) and (above.name in _MAIN or above.get("role") == "main")
    ]
    if named:
        return named[-1]
    while chosen.parent is not None and chosen.parent is not body:
        others = [one for one in chosen.parent.children if isinstance(one, Tag) and one is not chosen]
        if any(_around_page(one) for one in others):
            break
        chosen = chosen.parent
    return chosen


def _around_page(element: Tag) -> bool:
    return is_around(element, element) or element.find(list(_AROUND)) is not None


def _named(body: Tag) -> Tag:
    """Without trafilatura's word: what the author calls the main part, else the page."""
    for found in (
        body.find_all("main"),
        body.find_all(lambda one: one.get("role") == "main"),
        body.find_all("article"),
    ):
        if len(found) == 1:
            return found[0]
    return body
