"""Ontario Health (Cancer Care Ontario): clinical guidance of its Program in Evidence-Based Care.

A Drupal list with a "Load more" pager names the guidance by number. Each has a page of fields (version, status,
authors) and sections, and mostly a PDF, which is the full guideline and therefore the document; where a page names no
PDF its own text is. The site answers programs with a JavaScript challenge, so a live run needs a browser.
Structure as reported in 2026 by others who fetch it (MedARC's amfv); never verified live from here.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from manifests.document import Document, Quarantined, Status
from manifests.errors import RecipeError, SourceError
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats.dates import iso_date
from scrapers.formats.errors import Unreadable
from scrapers.formats.html import html_to_text
from scrapers.formats.pdf import PDF_OPTIONS, pdf_to_text
from scrapers.guidelines.listed import check_found, listed_options, polite_client
from scrapers.guidelines.sections import REFERENCES, standing, with_title, without_sections
from scrapers.guidelines.versions import version_named
from scrapers.http_errors import Forbidden, Gone, WrongContent
from scrapers.snapshot import payload
from scrapers.sniff import kind_of
from scrapers.source import AcquireContext, Item, SourceConfig

HOST = "www.cancercareontario.ca"
LISTING = f"https://{HOST}/en/guidelines-advice/types-of-cancer"
LINKS = "a[href*='/guidelines-advice/types-of-cancer/']"
NEXT = "a[rel~=next], li.pager-next a"
PDF_LINKS = "a[href*='/en/file/'], a[href$='.pdf']"
ROOT = ("[role=main]", "div#content")
DROP = (
    "nav", "header", "footer", "script", "style", "form", ".share", ".social", ".breadcrumb", "span.file", "a.pdfBTN",
)  # fmt: skip
MAX_PAGES = 200
DELAY_SECONDS = 5.0
STUB_CHARS = 200
"""A page without PDF and with less text than this is a catalogue entry, not guidance."""
LEFT_OUT = REFERENCES | {"related guidelines"}

_RECORD = re.compile(r"/en/guidelines-advice/types-of-cancer/(\d{1,9})")
_FIELD = re.compile(r"(Version|ID|Type of Content|Document Status|Authors?)\s*:\s*(.*)", re.DOTALL)
_BUTTON = re.compile(r"[^.\n]{0,120}\(PDF\)(?: \(\d+(?:\.\d+)? ?[KMG]B\))?")
"""A block that is nothing but the link to a file; links inside a sentence keep their words."""
_NUMBER = re.compile(r"(?<![\d-])\d{1,2}(?:-\d{1,2}){1,2}(?![\d-])")
_FULL = re.compile(r"full (?:report|guideline|document|text)|complete (?:report|guideline)", re.IGNORECASE)
_MONTH = re.compile(r"\b([A-Z][a-z]{2,8})\.?\s+(\d{4})\b")
_STATUS: tuple[tuple[str, Status], ...] = (
    ("archiv", "archived"),
    ("retired", "archived"),
    ("withdrawn", "archived"),
    ("supersed", "superseded"),
    ("replaced", "superseded"),
)
"""`In Review` and `Education and Information` are still offered by the publisher: current."""


class Loader:
    """Guidance of www.cancercareontario.ca; option `text`: `pdf` (default) or `page`."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = listed_options(config, {"text": "pdf", **PDF_OPTIONS})
        if self._options["text"] not in ("pdf", "page"):
            raise RecipeError(
                f"text is {self._options['text']!r}.",
                where=f"[sources.{config.source}] options",
                why="A guideline is read from its PDF or from its page.",
                fix='Write text = "pdf" or text = "page".',
            )

    def acquire(self, context: AcquireContext) -> None:
        """Fetch the list, the pages it names and their PDFs."""
        try:
            capture(
                context,
                source=self.config.source,
                snapshot=self.config.snapshot,
                discover=self._discover,
                client=polite_client(context, self.config, delay_seconds=DELAY_SECONDS),
            )
        except (Forbidden, WrongContent) as error:
            if isinstance(error, WrongContent) and "keeps programs out" not in error.what:
                raise
            raise _kept_out(error) from error

    def _discover(self, listing: Listing) -> Iterator[Wanted]:
        found: set[str] = set()
        given: set[str] = set()
        taken = 0
        for numbers in self._listed(listing):
            fresh = [number for number in dict.fromkeys(numbers) if number not in found]
            listing.count("listed_again", len(numbers) - len(fresh))
            found.update(fresh)
            for wanted in self._wanted(listing, fresh, given):
                yield wanted
                taken += 1
                if taken == self._options["limit"]:
                    return
        check_found(len(found), self.config, self._options, what=LINKS, where=LISTING)

    def _listed(self, listing: Listing) -> Iterator[list[str]]:
        """The numbers on each page of the list."""
        from bs4 import BeautifulSoup

        url, seen = LISTING, set[str]()
        while url and url not in seen and len(seen) < MAX_PAGES:
            seen.add(url)
            try:
                soup = BeautifulSoup(listing.page(url), "lxml")
            except Gone:
                if url == LISTING:
                    raise
                return
            numbers = []
            for link in soup.select(LINKS):
                if number := record_number(urljoin(url, str(link["href"]))):
                    numbers.append(number)
                else:
                    listing.count("links_elsewhere")
            yield numbers
            after = soup.select_one(NEXT)
            url = urljoin(url, str(after["href"])) if after and after.get("href") else ""
            if url and (urlsplit(url).hostname != HOST or urlsplit(url).path != urlsplit(LISTING).path):
                listing.count("links_elsewhere")
                return

    def _wanted(self, listing: Listing, numbers: list[str], given: set[str]) -> Iterator[Wanted]:
        """What to fetch of each number; `given` are the numbers whose own pages were met."""
        urls = [f"{LISTING}/{number}" for number in numbers]
        if self._options["text"] == "page":
            yield from (Wanted(number, url, expect="html") for number, url in zip(numbers, urls, strict=True))
            return
        for number, url, page in zip(numbers, urls, listing.pages(urls), strict=True):
            if page is None:
                error = listing.error(url)
                listing.set_aside(number, error.reason, error.what)
                continue
            record = _record(page, url)
            own, pdf = record.pop("own") or number, record.pop("pdf")
            if own in given:
                if own == number:
                    listing.count("listed_again")
                else:
                    listing.set_aside(number, "extract.same_id", f"leads to the page of {own}")
                continue
            given.add(own)
            if pdf and urlsplit(pdf).hostname != HOST:
                listing.count("pdf_on_another_host")
                pdf = ""
            if not pdf:
                # The page is the document, and it is here already.
                listing.keep(own, url, page)
            yield Wanted(own, pdf or url, meta=record, expect="pdf" if pdf else "html")

    def read(self, item: Item, raw: Store, resolved: Any | None = None) -> Iterator[Document | Quarantined]:
        """The guideline of one number."""
        try:
            body = payload(raw, item)
            if kind_of(body) == "pdf":
                record: Mapping[str, str] = json.loads(item.meta)
                found = pdf_to_text(body, reader=self._options["pdf_reader"])
                text, counts, measures = found.text, found.counts, found.measures
            else:
                record = _record(body, item.url)
                (text, counts), measures = _page_text(body), {}
        except Unreadable as error:
            yield Quarantined(item.item, self.config.source, error.reason, error.detail, item.sha256)
            return
        published = record["published"]
        yield Document(
            doc_id=f"{self.config.source}:{item.item}",
            source=self.config.source,
            kind=self.config.kind,
            text=with_title(record["title"], text),
            title=record["title"],
            url=f"{LISTING}/{item.item}",
            licence=self.config.licence,
            licence_evidence="card",
            year=int(published[:4]) if published else None,
            published=published,
            raw_ref=item.sha256,
            document_status=_standing(record),
            family=self._family(record),
            counts={name: n for name, n in counts.items() if n},
            measures=measures,
        )

    def _family(self, record: Mapping[str, str]) -> str:
        """Another version that the page names, else the program's number, which the versions share."""
        named = record.get("other") or program_number(record["id"])
        return f"{self.config.source}:{named}" if named else ""


def program_number(field: str) -> str:
    """The program's own number of a guideline, which every version of it bears; empty if `field` has none.

    >>> program_number("17-8 Version 2"), program_number("GL 21-3-3"), program_number("IMG Apr 2012")
    ('17-8', '21-3-3', '')
    """
    found = _NUMBER.search(field)
    return found[0] if found else ""


def record_number(url: str) -> str:
    """The publisher's number of the guidance at `url`; empty for anything else.

    >>> record_number("https://www.cancercareontario.ca/en/guidelines-advice/types-of-cancer/64736/")
    '64736'
    """
    parts = urlsplit(url)
    if parts.hostname != HOST or parts.scheme not in ("http", "https") or ".." in unquote(parts.path):
        return ""
    found = _RECORD.fullmatch(posixpath.normpath(parts.path))
    return found[1] if found else ""


def _record(page: bytes, url: str) -> dict[str, str]:
    """What a page says about its guidance; the fields may lie outside the main part."""
    from bs4 import BeautifulSoup

    whole = html_to_text(page, root="body", drop=("nav", "footer", "script", "style"))
    fields, rest = _fields(whole.text)
    soup = BeautifulSoup(page, "lxml")
    inside = next((part for selector in ROOT if (part := soup.select_one(selector))), soup)
    pdf, own = _pdf_link(inside), soup.select_one("link[rel=canonical][href]")
    month = _MONTH.search(f"{fields.get('Version', '')} {fields.get('ID', '')}")
    return {
        "title": whole.title,
        "version": fields.get("Version", ""),
        "id": fields.get("ID", ""),
        "type": fields.get("Type of Content", ""),
        "status": fields.get("Document Status", ""),
        "authors": fields.get("Authors", fields.get("Author", "")),
        "banner": standing(rest),
        "published": iso_date(month[2], month[1]) if month else "",
        "pdf": urljoin(url, pdf) if pdf else "",
        "own": record_number(urljoin(url, str(own["href"]))) if own else "",
        "other": version_named(page, url, record_number, own=record_number(url)),
    }


def _pdf_link(inside: Any) -> str:
    """Where the full guideline lies: the button, else the link that says so, else the first to a PDF."""
    links = inside.select(PDF_LINKS)
    button = inside.select_one("span.file a[href], a.pdfBTN[href]")
    told = [link for link in links if _FULL.search(link.get_text(" "))]
    chosen = button or next(iter(told or links), None)
    return str(chosen["href"]) if chosen else ""


def _fields(text: str, *, top: bool = False) -> tuple[dict[str, str], str]:
    """The labelled fields of a page, and its text without their blocks; a value may stand in the next blocks.

    `top`: only those above the first section, below which the same words are text.
    """
    fields: dict[str, str] = {}
    kept: list[str] = []
    open_field = ""
    below = False
    for block in text.split("\n\n"):
        below = below or (top and block.startswith("##"))
        found = None if below else _FIELD.fullmatch(block)
        if found and found[1] not in fields:
            fields[found[1]] = " ".join(found[2].split())
            open_field = "" if found[2] else found[1]
        elif open_field and not block.startswith("#") and (not fields[open_field] or _MONTH.fullmatch(block)):
            fields[open_field] = " ".join(f"{fields[open_field]} {block}".split())
        else:
            open_field = ""
            kept.append(block)
    return fields, "\n\n".join(kept)


def _page_text(page: bytes) -> tuple[str, dict[str, int]]:
    found = html_to_text(page, root=ROOT, drop=DROP)
    if "extract.main_content" in found.counts:
        raise Unreadable("extract.not_a_document", f"Nothing on the page matches {' or '.join(ROOT)}.")
    fields, text = _fields(found.text, top=True)
    blocks = text.split("\n\n")
    text = "\n\n".join(block for block in blocks if not _BUTTON.fullmatch(block))
    text, n_sections = without_sections(text, LEFT_OUT)
    if len(text) < STUB_CHARS:
        raise Unreadable("extract.stub", f"A catalogue entry without PDF and with {len(text)} characters of text.")
    return text, {**found.counts, "extract.fields": len(fields), "extract.left_out_sections": n_sections}


def _standing(record: Mapping[str, str]) -> Status:
    stated = record["status"].lower()
    banner: Status = record["banner"]  # type: ignore[assignment]
    return next((status for word, status in _STATUS if word in stated), banner)


def _kept_out(error: Forbidden | WrongContent) -> SourceError:
    return SourceError(
        f"the site keeps programs out ({error.what})",
        where=error.url or LISTING,
        why="It answers plain HTTP with a JavaScript challenge whatever the headers; nothing was taken for a listing.",
        fix='Install the extra (pip install "medtrove[browser]") and set fetcher = "browser", as the card of the source'
        " does; if both are done, look at the address in a browser.",
    )
