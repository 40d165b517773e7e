"""Centers for Disease Control and Prevention: documents of CDC Stacks, a record page and a PDF each.

Which records: the `ids` of the recipe, or a collection's listing (whose search pages answer 403 to programs at times;
record pages and PDFs do not). Titles, dates and identifiers come from the record's citation metas, the text from the
PDF. Works of the agency are in the public domain; journal articles it co-authored may not be, so they say `unknown`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from manifests.document import Document, Quarantined
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats.dates import iso_date
from scrapers.formats.errors import Unreadable
from scrapers.formats.pdf import pdf_to_text
from scrapers.guidelines.listed import check_found, listed_options, polite_client
from scrapers.guidelines.sections import standing, with_title
from scrapers.snapshot import payload
from scrapers.source import AcquireContext, Item, SourceConfig

HOST = "stacks.cdc.gov"
LISTING = f"https://{HOST}/cbrowse?pid=cdc%3A100&parentId=cdc%3A100&maxResults=100&start=0"
"""The collection of guidelines and recommendations."""
LINKS = "div.object-title a"
NEXT = "a#nextPage"
MAX_PAGES = 500
DELAY_SECONDS = 10.0
PUBLIC_DOMAIN = "LicenseRef-US-Government-Work"

_RECORD = re.compile(r"/view/cdc/(\d+)/?")
_AGENCY = re.compile(r"centers for disease control|\bcdc\b|national institute for occupational safety|agency for toxic")
_DATE = re.compile(r"(\d{4})(?:[-/](\d{1,2}))?(?:[-/](\d{1,2}))?")


class Loader:
    """Documents of stacks.cdc.gov."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = listed_options(config, {"ids": [], "listing": LISTING})

    def acquire(self, context: AcquireContext) -> None:
        """Fetch record pages and their PDFs."""
        capture(
            context,
            source=self.config.source,
            snapshot=self.config.snapshot,
            discover=self._discover,
            client=polite_client(context, self.config, delay_seconds=DELAY_SECONDS),
        )

    def _discover(self, listing: Listing) -> Iterator[Wanted]:
        ids = [str(one) for one in self._options["ids"]] or self._listed(listing)
        ids = ids[: self._options["limit"] or None]
        records = [f"https://{HOST}/view/cdc/{one}" for one in ids]
        for native, url, page in zip(ids, records, listing.pages(records), strict=True):
            if page is None:
                error = listing.error(url)
                listing.set_aside(native, error.reason, error.what)
                continue
            meta = _record(page)
            pdf = urljoin(url, meta.pop("pdf_url") or f"/view/cdc/{native}/cdc_{native}_DS1.pdf")
            if urlsplit(pdf).hostname != HOST:
                listing.set_aside(native, "extract.unsafe", "its PDF lies on another host")
                continue
            yield Wanted(item=native, url=pdf, expect="pdf", meta=meta)

    def _listed(self, listing: Listing) -> list[str]:
        from bs4 import BeautifulSoup

        found: dict[str, None] = {}
        start = url = self._options["listing"]
        seen: set[str] = set()
        while url and url not in seen and len(seen) < MAX_PAGES:
            seen.add(url)
            soup = BeautifulSoup(listing.page(url), "lxml")
            for link in soup.select(LINKS):
                target = urlsplit(urljoin(url, str(link.get("href") or "")))
                record = _RECORD.fullmatch(target.path)
                if not record or target.hostname != HOST:
                    listing.count("links_elsewhere")
                elif record[1] in found:
                    listing.count("listed_again")
                else:
                    found[record[1]] = None
            after = soup.select_one(NEXT)
            url = urljoin(url, str(after["href"])) if after and after.get("href") else ""
        check_found(len(found), self.config, self._options, what=LINKS, where=start)
        return list(found)

    def read(self, item: Item, raw: Store, resolved: Any | None = None) -> Iterator[Document | Quarantined]:
        """The text of one PDF under the title of its record."""
        meta: dict[str, str] = json.loads(item.meta)
        try:
            found = pdf_to_text(payload(raw, item))
        except Unreadable as error:
            yield Quarantined(item.item, self.config.source, error.reason, error.detail, item.sha256)
            return
        per_document = self.config.licence == "per-document"
        published = meta["published"]
        yield Document(
            doc_id=f"{self.config.source}:{item.item}",
            source=self.config.source,
            kind=self.config.kind,
            text=with_title(meta["title"], found.text),
            title=meta["title"],
            url=f"https://{HOST}/view/cdc/{item.item}",
            licence=meta["licence"] if per_document else self.config.licence,
            licence_evidence="record:citation_publisher" if per_document else "card",
            year=int(published[:4]) if published else None,
            published=published,
            raw_ref=item.sha256,
            document_status=meta["standing"],  # type: ignore[arg-type]
            doi=meta["doi"],
            counts=found.counts,
        )


def _record(page: bytes) -> dict[str, str]:
    """What a record page says about its document."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(page, "lxml")

    def meta(name: str) -> str:
        found = soup.select_one(f'meta[name="citation_{name}"]')
        return " ".join(str(found.get("content") or "").split()) if found else ""

    main = soup.select_one("main") or soup.select_one("#content") or soup.body or soup
    journal = meta("issn") or meta("journal_title")
    return {
        "title": meta("title"),
        "published": _date(meta("publication_date")),
        "doi": meta("doi").removeprefix("https://doi.org/"),
        "pdf_url": meta("pdf_url"),
        "licence": PUBLIC_DOMAIN if _AGENCY.search(meta("publisher").lower()) and not journal else "unknown",
        "standing": standing(main.get_text(" ")),
    }


def _date(value: str) -> str:
    found = _DATE.search(value)
    return iso_date(found[1], found[2], found[3]) if found else ""
