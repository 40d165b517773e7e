"""SPOR Evidence Alliance: guidelines that its asset map of Canadian guideline developers linked to in April 2018.

The map is a PDF report; its link annotations that lead to PDFs are the list. It is historical: nobody has kept it
since, most links are dead (94 of 130 tried in 2026, by MedARC's amfv), and every document is marked archived. Links
go to about 70 hosts that we did not choose, so only names of public hosts are asked, never addresses or ports, and a
PDF must come from the host that the report names. Never verified live from here.

Option `path`: a copy of the report, or another PDF of links, on your disk.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from manifests.document import Document, Quarantined
from manifests.errors import RecipeError, SourceError
from manifests.identity import sha256_hex
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats.errors import Unreadable
from scrapers.formats.pdf import PDF_OPTIONS, pdf_to_text
from scrapers.formats.pdf_links import PdfLink, pdf_links
from scrapers.guidelines.listed import check_found, listed_options, polite_client
from scrapers.guidelines.sections import with_title
from scrapers.snapshot import payload
from scrapers.source import AcquireContext, Item, SourceConfig

REPORT = (
    "https://sporevidencealliance.ca/wp-content/uploads/2018/04/"
    "SPOR-Evidence-Alliance_Asset-Map-of-Canadian-CPGs_Reportv3.pdf"
)
LINKS = "/Annots -> /A -> /URI ending in .pdf"
MAP_DATE = "2018-04"
DELAY_SECONDS = 5.0
MAX_PDF_BYTES = 64 << 20
OWN_SOURCE = ("cancercareontario.ca", "cps.ca", "cma.ca", "joulecma.ca")
"""Publishers with a source of their own, which knows today's address and status."""

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
_INTERNAL = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".intranet")
_NO_TITLE = re.compile(r"(?:https?:|www\.)|^(?:pdf|link|click here|here|view|download|full text)\b", re.IGNORECASE)
_MAX_TITLE = 200
_TOP_CHARS = 2000


class Loader:
    """PDFs that the asset map of April 2018 links to, as far as they are still there."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = listed_options(config, {"path": "", **PDF_OPTIONS})

    def acquire(self, context: AcquireContext) -> None:
        """Fetch the report and every PDF it links to that can still be had."""
        capture(
            context,
            source=self.config.source,
            snapshot=self.config.snapshot,
            discover=self._discover,
            client=polite_client(context, self.config, delay_seconds=DELAY_SECONDS),
            dead_hosts_expected=True,
        )

    def _discover(self, listing: Listing) -> Iterator[Wanted]:
        where = self._options["path"] or REPORT
        found: set[str] = set()
        for link in _links(self._report(listing), where):
            key, url = link_key(link.url)
            if not key:
                listing.count("links_that_are_no_pdf")
                continue
            host = urlsplit(url).hostname or ""
            if any(f".{host}".endswith(f".{own}") for own in OWN_SOURCE):
                listing.count("links_with_a_source_of_their_own")
                continue
            if key in found:
                listing.count("listed_again")
                continue
            found.add(key)
            item = item_name(key)
            if why := _unsafe(url):
                listing.set_aside(item, "extract.unsafe", why)
                continue
            bare = host.removeprefix("www.")
            yield Wanted(
                item=item,
                url=url,
                meta={"title": _title(link.text), "listed": f"asset map of {MAP_DATE}", "page": link.page},
                allowed_hosts=(bare, f"www.{bare}"),
                expect="pdf",
                max_bytes=MAX_PDF_BYTES,
            )
            if len(found) == self._options["limit"]:
                return
        check_found(len(found), self.config, self._options, what=LINKS, where=where)

    def _report(self, listing: Listing) -> bytes:
        if not self._options["path"]:
            return listing.page(REPORT, expect="pdf")
        try:
            return Path(self._options["path"]).expanduser().read_bytes()
        except OSError as error:
            raise RecipeError(
                f"the PDF of links cannot be read: {error.strerror}.",
                where=f"[sources.{self.config.source}] path = {self._options['path']!r}",
                fix="Correct the path, or leave it out to use the report on the alliance's site.",
            ) from None

    def read(self, item: Item, raw: Store, resolved: Any | None = None) -> Iterator[Document | Quarantined]:
        """The text of one PDF."""
        meta: dict[str, Any] = json.loads(item.meta)
        try:
            found = pdf_to_text(payload(raw, item), reader=self._options["pdf_reader"])
        except Unreadable as error:
            yield Quarantined(item.item, self.config.source, error.reason, error.detail, item.sha256)
            return
        title = _own_title(meta["title"], found.text)
        yield Document(
            doc_id=f"{self.config.source}:{item.item}",
            source=self.config.source,
            kind=self.config.kind,
            text=with_title(title, found.text),
            title=title or meta["title"],
            url=item.url,
            licence="unknown" if self.config.licence == "per-document" else self.config.licence,
            licence_evidence="" if self.config.licence == "per-document" else "card",
            raw_ref=item.sha256,
            document_status="archived",
            counts=found.counts,
            measures=found.measures,
        )


def link_key(url: str) -> tuple[str, str]:
    """What tells the PDF behind `url` apart from others, and the address to ask; empty if it leads to no PDF.

    Fragment, scheme, `www.`, case of the host and a slash at the end tell nothing apart.

    >>> link_key("HTTP://WWW.Example.ORG/a/B.pdf/#page=3")
    ('example.org/a/B.pdf', 'http://www.example.org/a/B.pdf')
    """
    try:
        parts = urlsplit(url.strip())
        netloc, host = parts.netloc.lower(), parts.hostname or ""
        _ = parts.port
    except ValueError:
        return "", ""
    path = parts.path.rstrip("/")
    if parts.scheme.lower() not in ("http", "https") or not host or ".pdf" not in f"{path}?{parts.query}".lower():
        return "", ""
    asked = urlunsplit((parts.scheme.lower(), netloc, path or "/", parts.query, ""))
    return asked.partition("//")[2].removeprefix("www."), asked


def item_name(key: str) -> str:
    """A name for the PDF of a `link_key` that stays the same: its host and 12 hex digits.

    >>> item_name("example.org/a/B.pdf")
    'example.org-3a7cde62bb45'
    """
    host = re.sub(r"[^a-z0-9.-]", "_", key.partition("/")[0].rpartition("@")[2])
    return f"{host}-{sha256_hex(key.encode())[:12]}"


def _links(report: bytes, where: str) -> Iterator[PdfLink]:
    try:
        yield from pdf_links(report)
    except Unreadable as error:
        raise SourceError(
            f"the report of links cannot be read: {error.detail}",
            where=where,
            why="All documents of this source are found through it.",
            fix="Look at it in a PDF viewer; if it is gone for good, give a copy of yours as `path`.",
        ) from None


def _unsafe(url: str) -> str:
    """Why `url` is not asked for; empty for the name of a host that anyone could mean."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.username is not None or parts.password is not None:
        return "the link carries credentials"
    if parts.port not in (None, 80, 443):
        return f"the link names port {parts.port}"
    if ".." in unquote(parts.path).split("/"):
        return "the path climbs"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        public = _HOST.fullmatch(host) and not host.endswith(_INTERNAL)
        return "" if public else "not the name of a public host"
    return "leads to an address instead of a host"


def _own_title(listed: str, text: str) -> str:
    """The title that the PDF itself shows: the report's words may be half a line, and head no text that lacks them."""
    even = " ".join(listed.lower().split())
    if even and even in " ".join(text[:_TOP_CHARS].lower().split()):
        return listed
    first = text.partition("\n\n")[0].removeprefix("# ")
    return first if len(first) <= _MAX_TITLE and "\n" not in first else ""


def _title(text: str) -> str:
    return "" if not text or len(text) > _MAX_TITLE or _NO_TITLE.search(text) else text
