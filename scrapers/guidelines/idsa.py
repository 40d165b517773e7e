"""Infectious Diseases Society of America: practice guidelines, from one alphabetical page.

A row names a guideline, its year and its standing (Current, Archived, In Development). Many pages are only doors to
the journal: such a page points to the full text and recommends nothing itself, and is put aside as a stub whatever
its length; a short page that does recommend something is a guideline.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from manifests.document import Document, Quarantined
from manifests.errors import SourceError
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats.errors import Unreadable
from scrapers.formats.html import decode, html_to_text
from scrapers.guidelines.listed import check_found, listed_options, polite_client
from scrapers.guidelines.sections import REFERENCES, standing, with_title, without_contents, without_sections
from scrapers.guidelines.versions import version_named
from scrapers.snapshot import payload
from scrapers.source import AcquireContext, Item, SourceConfig

HOST = "www.idsociety.org"
BARE = "idsociety.org"
LISTING = f"https://{HOST}/practice-guideline/all-practice-guidelines"
LIST = ".alpha-listing"
ROWS = ".alpha-listing li"
LINK, YEAR, STANDING = "a.list-pages__link", ".list-pages__year", ".category-dot"
DELAY_SECONDS = 5.0

ROOT = ("div.idsaPracticeGuidelinePage", ".body-container", "div.standardpage-col-left")
DROP = (
    ".table-of-contents", ".toc", ".TableOfContents", ".status-section", ".view-all-guidance", ".share", ".social",
    ".addthis", "nav", "footer", "script", "style",
)  # fmt: skip
DOOR_CHARS = 10_000
"""A longer page is no door: nobody writes that much to say where the guideline is."""
STUB_WORDS = 12

_PATH = re.compile(r"/practice-guideline/([a-z0-9][a-z0-9._-]*)/?", re.IGNORECASE)
_INDEXES = frozenset({"all-practice-guidelines", "alphabetical-guidelines", "practice-guidelines"})
_TOP = re.compile(r"\W*back to (?:the )?top\W*", re.IGNORECASE)
_DEVELOPING = re.compile(r"\bguideline is (?:currently )?(?:in|under) development\b", re.IGNORECASE)
_POINTER = re.compile(
    r"\bfull[- ]text\b|\b(?:full|complete|entire|published) (?:guideline|version|document|article|statement)"
    r"|\b(?:view|read|download|access|see) the (?:guideline|pdf|article|document)\b"
    r"|\bavailable (?:at|from|in|through)\b|\bpublished (?:in|by|online|on behalf)\b|\bpdf\b|\bdoi\b",
    re.IGNORECASE,
)
# What a guideline says and a door does not: who should get what, how sure that is, and how much of it.
_GUIDANCE = re.compile(
    r"\b(?:is|are) (?:not |strongly |conditionally )*(?:recommended|suggested|indicated|contraindicated)\b"
    r"|\b(?:we|panel|panels|idsa|society|committee|guidelines?) (?:\w+ly )?(?:recommends?|suggests?|advises?)\b"
    r"|\bshould (?:not |also |only |\w+ly )*"
    r"(?:be (?!sent|directed|addressed|cited|read|consulted|used for historical)|receive|undergo|have)"
    r"|\b(?:strong|weak|conditional) recommendation\b|\bevidence\)|\([ABC][- ]?I{1,3}\)"
    r"|\b\d+(?:\.\d+)?\s?(?:mg|g|mcg|micrograms?|mL|units?|IU)\b(?!\s?page)",
    re.IGNORECASE,
)


class Loader:
    """Practice guidelines of www.idsociety.org."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = listed_options(config)

    def acquire(self, context: AcquireContext) -> None:
        """Fetch the list and the page of every guideline on it that is written."""
        capture(
            context,
            source=self.config.source,
            snapshot=self.config.snapshot,
            discover=self._discover,
            client=polite_client(context, self.config, delay_seconds=DELAY_SECONDS),
        )

    def _discover(self, listing: Listing) -> Iterator[Wanted]:
        from bs4 import BeautifulSoup

        soup = BeautifulSoup(decode(listing.page(LISTING, allowed_hosts=(BARE,)), {}), "lxml")
        if not soup.select_one(LIST):
            raise SourceError(
                f"{LIST} is not on the list of guidelines.",
                where=LISTING,
                why="The publisher has changed its page; an empty list would pass as an empty source.",
                fix="Look at the page and correct scrapers/guidelines/idsa.py.",
            )
        found: set[str] = set()
        for row in soup.select(ROWS):
            link = row.select_one(LINK)
            if link is None or not link.get("href"):
                continue
            slug = guideline_slug(urljoin(LISTING, str(link["href"])))
            status = _status([one.get_text() for one in row.select(STANDING)])
            if not slug:
                listing.count("links_elsewhere")
            elif slug in found:
                listing.count("listed_again")
            elif status == "in development":
                listing.count("in_development")
            else:
                found.add(slug)
                if status not in ("current", "archived"):
                    listing.count("without_status")
                year = re.search(r"\d{4}", " ".join(one.get_text() for one in row.select(YEAR)))
                meta = {
                    "title": " ".join(link.get_text().split()),
                    "year": year[0] if year else "",
                    "status": status,
                }
                url = f"https://{HOST}/practice-guideline/{slug}/"
                yield Wanted(item=slug, url=url, meta=meta, allowed_hosts=(BARE,), expect="html")
                if len(found) == self._options["limit"]:
                    return
        check_found(len(found), self.config, self._options, what=f"{ROWS} {LINK}", where=LISTING)

    def read(self, item: Item, raw: Store, resolved: Any | None = None) -> Iterator[Document | Quarantined]:
        """The guideline on one page."""
        meta: dict[str, str] = json.loads(item.meta)
        try:
            body = payload(raw, item)
            page = html_to_text(body, root=ROOT, drop=DROP, url=item.url)
        except Unreadable as error:
            yield Quarantined(item.item, self.config.source, error.reason, error.detail, item.sha256)
            return
        counts = Counter(page.counts)
        if counts["extract.main_content"]:
            detail = f"None of {', '.join(ROOT)} is on the page."
            yield Quarantined(item.item, self.config.source, "extract.unknown_format", detail, item.sha256)
            return
        text, counts["extract.contents"] = without_contents(page.text)
        text, counts["extract.references"] = without_sections(text, REFERENCES)
        blocks = [block for block in text.split("\n\n") if not _TOP.fullmatch(block)]
        counts["extract.navigation"] = len(text.split("\n\n")) - len(blocks)
        text = "\n\n".join(blocks)
        if why := stub(text):
            yield Quarantined(item.item, self.config.source, "extract.stub", why, item.sha256)
            return
        # An old address leads on to the guideline's own.
        slug = guideline_slug(item.url) or item.item
        title = page.title or meta["title"]
        said = standing(text)
        other = version_named(body, item.url, guideline_slug, own=slug)
        yield Document(
            doc_id=f"{self.config.source}:{slug}",
            source=self.config.source,
            kind=self.config.kind,
            text=with_title(title, text),
            title=title,
            url=f"https://{HOST}/practice-guideline/{slug}/",
            licence=self.config.licence,
            licence_evidence="card",
            year=int(meta["year"]) if meta["year"] else None,
            published=meta["year"],
            raw_ref=item.sha256,
            document_status="archived" if meta["status"] == "archived" and said == "current" else said,
            family=f"{self.config.source}:{other}" if other else "",
            counts={name: n for name, n in counts.items() if n},
        )


def guideline_slug(url: str) -> str:
    """The publisher's name of the guideline at `url`, in lower case; empty for any other page.

    >>> guideline_slug("https://idsociety.org/practice-guideline/Fever/#top")
    'fever'
    """
    parts = urlsplit(url)
    if parts.hostname not in (HOST, BARE) or parts.scheme not in ("http", "https"):
        return ""
    found = _PATH.fullmatch(posixpath.normpath(parts.path)) if ".." not in parts.path else None
    slug = found[1].lower() if found else ""
    return "" if slug in _INDEXES else slug


def stub(text: str) -> str:
    """Why the page with this `text` is a stub and no guideline, in a sentence; empty if it is one.

    >>> stub("# Fever\\n\\nThe full guideline on fever in adults and children is available in the journal.")
    'The page points to the full text and recommends nothing itself.'
    >>> stub("# Fever\\n\\nThe full text is in the journal. Children should not be given more than 15 mg/kg.")
    ''
    """
    body = re.sub(r"^#+ .*$", "", text, flags=re.MULTILINE)
    if _DEVELOPING.search(body) and not _GUIDANCE.search(body):
        return "The page says that the guideline is in development."
    if len(body.split()) < STUB_WORDS and not _GUIDANCE.search(body):
        return f"Fewer than {STUB_WORDS} words."
    if len(text) < DOOR_CHARS and not _GUIDANCE.search(body) and _POINTER.search(body):
        return "The page points to the full text and recommends nothing itself."
    return ""


def _status(dots: list[str]) -> str:
    """The standing that the dots of a row name, in lower case; empty if they name none of the three."""
    named = {" ".join(one.lower().split()) for one in dots}
    return next((one for one in ("in development", "archived", "current") if one in named), "")
