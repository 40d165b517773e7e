"""Canadian Paediatric Society: position statements and practice points, from the list by date.

The list has 10 statements a page (`statements-by-date`, `/P10`, `/P20`, ...) and ends at an empty page. A statement
is one HTML page; when the page is only a door to a PDF it is put aside, not taken for the statement.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from manifests.document import Document, Quarantined
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats.dates import iso_date
from scrapers.formats.errors import Unreadable
from scrapers.formats.html import html_to_text
from scrapers.guidelines.listed import check_found, listed_options, polite_client
from scrapers.guidelines.sections import REFERENCES, standing, with_title, without_sections
from scrapers.guidelines.versions import version_named
from scrapers.http_errors import Gone
from scrapers.snapshot import payload
from scrapers.source import AcquireContext, Item, SourceConfig

HOST = "www.cps.ca"
LISTING = f"https://{HOST}/en/documents/statements-by-date"
PER_PAGE = 10
MAX_PAGES = 200
LINKS = "div.stmt-title a"
DELAY_SECONDS = 10.0

ROOT = ("div.statement-wrapper", "main article", "#main-content", "main")
DROP = (
    ".hide-for-print", ".show-for-print", ".--podcast", ".related-content", ".sidebar", ".share", ".social",
    "nav", "footer", "script", "style", "img[src*='file-pdf.svg']", "a[href*='test-your-knowledge']",
)  # fmt: skip
LANDING_CHARS = 2000
"""A shorter page with one section and a PDF link is the door to the PDF, not the statement."""

_PATH = re.compile(r"/en/documents/position/([a-z0-9][a-z0-9._-]*)")
_DATE = re.compile(r"\b(Posted|Updated|Reaffirmed|Revised):\s*([A-Z][a-z]{2,8})\.?\s+(\d{1,2}),\s*(\d{4})")


class Loader:
    """Statements of www.cps.ca."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = listed_options(config)

    def acquire(self, context: AcquireContext) -> None:
        """Fetch the list and every statement on it."""
        capture(
            context,
            source=self.config.source,
            snapshot=self.config.snapshot,
            discover=self._discover,
            client=polite_client(context, self.config, delay_seconds=DELAY_SECONDS),
        )

    def _discover(self, listing: Listing) -> Iterator[Wanted]:
        found: set[str] = set()
        pages: set[tuple[str, ...]] = set()
        for page in range(MAX_PAGES):
            url = f"{LISTING}/P{page * PER_PAGE}" if page else LISTING
            try:
                links = _links(listing.page(url), url)
            except Gone:
                if not page:
                    raise
                break
            # A site that ignores the number shows one page again and again.
            if not links or tuple(links) in pages:
                break
            pages.add(tuple(links))
            for link in links:
                slug = statement_slug(link)
                if not slug:
                    listing.count("links_elsewhere")
                elif slug in found:
                    listing.count("listed_again")
                else:
                    found.add(slug)
                    address = f"https://{HOST}/en/documents/position/{slug}"
                    yield Wanted(item=slug, url=address, allowed_hosts=("cps.ca",), expect="html")
                    if len(found) == self._options["limit"]:
                        return
        check_found(len(found), self.config, self._options, what=LINKS, where=LISTING)

    def read(self, item: Item, raw: Store, resolved: Any | None = None) -> Iterator[Document | Quarantined]:
        """The statement on one page."""
        try:
            body = payload(raw, item)
            page = html_to_text(body, root=ROOT, drop=DROP, url=item.url)
        except Unreadable as error:
            yield Quarantined(item.item, self.config.source, error.reason, error.detail, item.sha256)
            return
        counts = Counter(page.counts)
        text, counts["extract.references"] = without_sections(page.text, REFERENCES)
        text, dates = _without_dates(text)
        counts["extract.dates"] = len(dates)
        published = dates.get("Posted", "")
        if _is_landing(body, text):
            detail = "A landing page: one short section and a link to a PDF."
            yield Quarantined(item.item, self.config.source, "extract.stub", detail, item.sha256)
            return
        # Under an old address the publisher leads on to the statement's own.
        slug = statement_slug(item.url) or item.item
        other = version_named(body, item.url, statement_slug, own=slug)
        yield Document(
            doc_id=f"{self.config.source}:{slug}",
            source=self.config.source,
            kind=self.config.kind,
            text=with_title(page.title, text),
            title=page.title,
            url=f"https://{HOST}/en/documents/position/{slug}",
            licence=self.config.licence,
            licence_evidence="card",
            year=int(published[:4]) if published else None,
            published=published,
            raw_ref=item.sha256,
            document_status=standing(text),
            family=f"{self.config.source}:{other}" if other else "",
            counts={name: n for name, n in counts.items() if n},
        )


def statement_slug(url: str) -> str:
    """The publisher's name of the statement at `url`; empty for anything else, on this host or another.

    >>> statement_slug("https://www.cps.ca/en/documents/position/asthma-in-children#top")
    'asthma-in-children'
    """
    parts = urlsplit(url)
    if parts.hostname not in (HOST, "cps.ca") or parts.scheme not in ("http", "https"):
        return ""
    found = _PATH.fullmatch(posixpath.normpath(parts.path).lower())
    return found[1] if found else ""


def _links(body: bytes, url: str) -> list[str]:
    from bs4 import BeautifulSoup

    return [urljoin(url, str(link["href"])) for link in BeautifulSoup(body, "lxml").select(LINKS) if link.get("href")]


def _without_dates(text: str) -> tuple[str, dict[str, str]]:
    """`text` without the blocks that hold nothing but its dates, and the dates by name in ISO 8601."""
    dates: dict[str, str] = {}
    kept: list[str] = []
    for block in text.split("\n\n"):
        plain = block.replace("*", "")
        if _DATE.search(plain) and not _DATE.sub("", plain).strip(" |;,\n"):
            for name, month, day, year in _DATE.findall(plain):
                dates.setdefault(name, iso_date(year, month, day))
        else:
            kept.append(block)
    return "\n\n".join(kept), dates


def _is_landing(body: bytes, text: str) -> bool:
    from bs4 import BeautifulSoup

    if len(text) >= LANDING_CHARS or len(re.findall(r"^#{2,6} ", text, re.MULTILINE)) > 1:
        return False
    soup = BeautifulSoup(body, "lxml")
    inside = next((found for selector in ROOT if (found := soup.select_one(selector))), soup)
    return bool(inside.select_one("a[href$='.pdf']"))
