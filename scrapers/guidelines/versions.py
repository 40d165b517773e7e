"""Which documents are versions of one guideline, as a page itself says it.

A page names another version in a sentence about itself that ends in a link: "This statement has been replaced by X",
"This guideline updates and replaces X". Nothing else counts: not a like title (of 20,000 PubMed records 135 share a
title with another one, and none of these groups is editions of one guideline), not "related guidance".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin

THIS = (
    r"\bthis\s+(?:\w+\s+){0,3}(?:statement|document|guidelines?|guidance|practice point|publication|edition|version"
    r"|page|advice|quality standard|appraisal)"
)
_REACH = r"[^.;]{0,200}"
SUCCESSOR = re.compile(
    rf"(?:{THIS}\s+(?:has been|have been|was|were|is|are)\s+(?:now\s+)?(?:updated and\s+|archived and\s+)?|^\W*)"
    rf"(?:replaced|superseded)\s+by\b{_REACH}$",
    re.IGNORECASE,
)
PREDECESSOR = re.compile(
    rf"{THIS}\s+(?:(?:fully\s+)?(?:updates\s+and\s+)?(?:replaces|supersedes)|is an? (?:update|updated version) of)\b"
    rf"{_REACH}$",
    re.IGNORECASE,
)
_WORDS = re.compile(rb"replace|supersede|update", re.IGNORECASE)
_BLOCKS = ("p", "li", "dd", "td", "div", "section", "aside", "blockquote", "h1", "h2", "h3", "h4", "body")


def version_named(page: bytes, url: str, native: Callable[[str], str], own: str) -> str:
    """The publisher's id of another version that the page at `url` names as such; empty if it names none.

    A later version goes before an earlier one. `native` gives the publisher's id of an address, empty for a stranger's.

    >>> page = b'<p>This statement has been replaced by <a href="/s/fever">Fever</a>.</p>'
    >>> version_named(page, "https://example.org/s/heat", lambda url: url.rpartition("/s/")[2], own="heat")
    'fever'
    """
    if not _WORDS.search(page):
        return ""
    found = [(sentence, native(urljoin(url, href))) for sentence, href in _links(page)]
    for pattern in (SUCCESSOR, PREDECESSOR):
        for sentence, other in found:
            if other and other != own and pattern.search(sentence):
                return other
    return ""


def _links(page: bytes) -> Iterator[tuple[str, str]]:
    """What a block says up to each of its links, and where the link leads."""
    from bs4 import BeautifulSoup

    for link in BeautifulSoup(page, "lxml").select("a[href]"):
        block = link.find_parent(_BLOCKS)
        if block is not None:
            yield _before(block, link), str(link["href"])


def _before(block: Any, link: Any) -> str:
    parts: list[str] = []
    for one in block.descendants:
        if one is link:
            break
        if isinstance(one, str):
            parts.append(one)
    return " ".join(" ".join(parts).split())
