"""Centers for Disease Control and Prevention: documents of CDC Stacks, a record page and a PDF each.

Which records: the `ids` of the recipe or of its `ids_file` (one a line, `#` begins a remark), else a collection's
listing (whose search pages answer 403 to programs at times; record pages and PDFs do not). Titles, dates and
identifiers come from the record's citation metas, the text from the PDF. Works of the agency are in the public domain;
journal articles it co-authored may not be, so they say `unknown`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice, tee
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from manifests.document import Document, Quarantined
from manifests.errors import SourceError
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats.dates import iso_date
from scrapers.formats.errors import Unreadable
from scrapers.formats.pdf import PDF_OPTIONS, pdf_to_text
from scrapers.guidelines.listed import check_found, listed_options, polite_client
from scrapers.guidelines.sections import standing, with_title
from scrapers.guidelines.versions import version_named
from scrapers.snapshot import payload
from scrapers.source import AcquireContext, Item, SourceConfig

HOST = "stacks.cdc.gov"
LISTING = f"https://{HOST}/cbrowse?pid=cdc%3A100&parentId=cdc%3A100&maxResults=100&start=0"
"""The collection of guidelines and recommendations."""
LINKS = "div.object-title a"
NEXT = "a#nextPage"
TITLE = 'meta[name="citation_title"]'
MAX_UNKNOWN = 3
"""Records without a title, before any with one, after which the site has changed."""
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
        self._options = listed_options(config, {"ids": [], "ids_file": "", "listing": LISTING, **PDF_OPTIONS})

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
        ids = islice(self._ids(listing), self._options["limit"] or None)
        given, asked = tee(ids)
        found = unknown = 0
        pages = listing.pages(_record_url(native) for native in asked)
        for native, page in zip(given, pages, strict=True):
            url = _record_url(native)
            if page is None:
                error = listing.error(url)
                listing.set_aside(native, error.reason, error.what)
                continue
            meta = _record(page, native)
            pdf = urljoin(url, meta.pop("pdf_url") or f"/view/cdc/{native}/cdc_{native}_DS1.pdf")
            if not meta["title"]:
                unknown += 1
                listing.set_aside(native, "extract.unknown_format", f"The record has no {TITLE}.")
                if unknown >= MAX_UNKNOWN and not found:
                    raise _drift(unknown, url)
            elif urlsplit(pdf).hostname != HOST:
                listing.set_aside(native, "extract.unsafe", "its PDF lies on another host")
            else:
                found += 1
                yield Wanted(item=native, url=pdf, expect="pdf", meta=meta)

    def _ids(self, listing: Listing) -> Iterator[str]:
        """Numbers of records: those of the recipe, or else of the listing, each once."""
        given = [str(one) for one in self._options["ids"]]
        if file := self._options["ids_file"]:
            given += read_ids(Path(file))
        if given:
            yield from dict.fromkeys(given)
            return
        yield from self._listed(listing)

    def _listed(self, listing: Listing) -> Iterator[str]:
        from bs4 import BeautifulSoup

        found: set[str] = set()
        start = url = self._options["listing"]
        seen: set[str] = set()
        while url and url not in seen and len(seen) < MAX_PAGES:
            seen.add(url)
            soup = BeautifulSoup(listing.page(url), "lxml")
            for link in soup.select(LINKS):
                native = record_number(urljoin(url, str(link.get("href") or "")))
                if not native:
                    listing.count("links_elsewhere")
                elif native in found:
                    listing.count("listed_again")
                else:
                    found.add(native)
                    yield native
            after = soup.select_one(NEXT)
            url = urljoin(url, str(after["href"])) if after and after.get("href") else ""
            if url and urlsplit(url).hostname != HOST:
                raise _elsewhere(url, start)
        check_found(len(found), self.config, self._options, what=LINKS, where=start)

    def read(self, item: Item, raw: Store, resolved: Any | None = None) -> Iterator[Document | Quarantined]:
        """The text of one PDF under the title of its record."""
        meta: dict[str, str] = json.loads(item.meta)
        try:
            found = pdf_to_text(payload(raw, item), reader=self._options["pdf_reader"])
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
            family=f"{self.config.source}:{other}" if (other := meta.get("version", "")) else "",
            doi=meta["doi"],
            counts=found.counts,
            measures=found.measures,
        )


def read_ids(path: Path) -> list[str]:
    """The numbers of records in a text file: one a line, what follows `#` is a remark; SourceError if one is none."""
    try:
        lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"the list of records cannot be read: {error}.", where=str(path), fix="Correct ids_file."
        ) from None
    for number, line in enumerate(lines, 1):
        if line and not (line.isascii() and line.isdecimal()):
            raise SourceError(
                f"line {number} is no number of a record.",
                where=str(path),
                why="A record of CDC Stacks is named by digits, as in /view/cdc/12345.",
                fix="Correct or remove the line.",
            )
    return [line for line in lines if line]


def record_number(url: str) -> str:
    """The number of the record at `url`; empty for anything else.

    >>> record_number("https://stacks.cdc.gov/view/cdc/12345/")
    '12345'
    """
    parts = urlsplit(url)
    found = _RECORD.fullmatch(parts.path) if parts.hostname == HOST else None
    return found[1] if found else ""


def _record_url(native: str) -> str:
    return f"https://{HOST}/view/cdc/{native}"


def _drift(unknown: int, url: str) -> SourceError:
    return SourceError(
        f"{TITLE} is on none of the first {unknown} records.",
        where=url,
        why="The publisher has probably changed its records; documents would have neither title nor date.",
        fix="Look at the page and correct scrapers/guidelines/cdc.py.",
    )


def _elsewhere(url: str, start: str) -> SourceError:
    return SourceError(
        f"{NEXT} leads to {urlsplit(url).hostname}.",
        where=start,
        why="A listing that goes on at another host is not this publisher's.",
        fix="Look at the page and correct scrapers/guidelines/cdc.py.",
    )


def _record(page: bytes, native: str) -> dict[str, str]:
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
        "version": version_named(page, _record_url(native), record_number, own=native),
    }


def _date(value: str) -> str:
    found = _DATE.search(value)
    return iso_date(found[1], found[2], found[3]) if found else ""
