"""International Committee of the Red Cross: its clinical publications. Needs the publisher's permission.

The sitemap names publications of every kind; a page of each says what it is and where its PDF lies: on the site, or
behind a product of the shop (`/download/ebook?sku=...`). Of the kinds only clinical ones are taken, by the words of
title and description. The terms allow intact copies only, so text made of them needs permission.
Structure as reported by others in 2026; never verified live from here.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import deque
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from manifests.document import Document, Quarantined
from manifests.store import Store
from scrapers import sitemap
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats.errors import Unreadable
from scrapers.formats.pdf import PDF_OPTIONS, pdf_to_text
from scrapers.guidelines.listed import check_found, listed_options, polite_client
from scrapers.guidelines.sections import with_title
from scrapers.http_errors import FetchError
from scrapers.snapshot import payload
from scrapers.source import AcquireContext, Item, SourceConfig

HOST, SHOP = "www.icrc.org", "shop.icrc.org"
HOSTS = (HOST, "icrc.org", SHOP)
SITEMAP = f"https://{HOST}/sitemap.xml"
LINKS = "/en/publication/<name> in the sitemap"
PDF_LINKS = "main a[href]"
SHOP_LINKS = "a[href*='/download/ebook']"
DELAY_SECONDS = 5.0

CLINICAL = (
    "ambulance", "amputation", "amputee", "anaesthesia", "anesthesia", "antibiotic", "burn", "chest injury", "clinical",
    "first aid", "first-aid", "fracture", "health care", "health-care", "hospital", "infection", "injury", "injuries",
    "maternal", "medical", "medicine", "mental health", "mental-health", "nursing", "nutrition", "orthopaedic",
    "paediatric", "patient", "physical rehabilitation", "physiotherapy", "prosthe", "psychosocial", "surgery",
    "surgical", "trauma", "triage", "tuberculosis", "war wounds", "wound", "wounded",
)  # fmt: skip
"""A publication whose title or description has none of these, at the beginning of a word, is not clinical."""
NOT_CLINICAL = (
    "annual report", "appeal", "bookmark", "calendar", "comic", "factsheet", "flyer", "leaflet", "newsletter",
    "postcard", "poster", "press release", "promotional",
)  # fmt: skip
"""Kinds of publication that are none of guidance, whatever they are about; looked for in the title only."""

_PUBLICATION = re.compile(r"/en/publication/([a-z0-9][a-z0-9._-]*)")
_KEEP = re.compile(r"/en/publication/")
_WORDS = re.compile(rf"\b(?:{'|'.join(map(re.escape, CLINICAL))})", re.IGNORECASE)
_OTHERS = re.compile(rf"\b(?:{'|'.join(map(re.escape, NOT_CLINICAL))})", re.IGNORECASE)
_DATE = re.compile(r"\d{4}(?:-\d\d(?:-\d\d)?)?")


class Loader:
    """Clinical publications of www.icrc.org."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = listed_options(config, PDF_OPTIONS)

    def acquire(self, context: AcquireContext) -> None:
        """Fetch the sitemap, the pages of publications, and the PDFs of clinical ones."""
        capture(
            context,
            source=self.config.source,
            snapshot=self.config.snapshot,
            discover=self._discover,
            client=polite_client(context, self.config, delay_seconds=DELAY_SECONDS),
        )

    def _discover(self, listing: Listing) -> Iterator[Wanted]:
        found: set[str] = set()
        waiting: deque[tuple[str, str]] = deque()
        given = 0

        def addresses() -> Iterator[str]:
            for one in self._publications(listing, found):
                waiting.append(one)
                yield one[0]

        for page in listing.pages(addresses(), allowed_hosts=HOSTS):
            url, slug = waiting.popleft()
            if page is None:
                error = listing.error(url)
                listing.set_aside(slug, error.reason, error.what)
                continue
            record, links = _record(page, url)
            if not is_clinical(record["title"], record["description"]):
                listing.count("not_clinical")
                continue
            pdf, why = _pdf_of(listing, links)
            if not pdf:
                listing.set_aside(slug, "extract.stub", why)
                continue
            yield Wanted(slug, pdf, meta={**record, "page": url}, allowed_hosts=HOSTS, expect="pdf")
            given += 1
            if given == self._options["limit"]:
                return
        check_found(len(found), self.config, self._options, what=LINKS, where=SITEMAP)

    def _publications(self, listing: Listing, found: set[str]) -> Iterator[tuple[str, str]]:
        """Address and name of every English publication, once."""
        for url, _ in sitemap.pages(listing, SITEMAP, hosts=HOSTS[:2], keep=_KEEP):
            slug = publication_name(url)
            if not slug:
                listing.count("links_elsewhere")
            elif slug in found:
                listing.count("listed_again")
            else:
                found.add(slug)
                yield f"https://{HOST}/en/publication/{slug}", slug

    def read(self, item: Item, raw: Store, resolved: Any | None = None) -> Iterator[Document | Quarantined]:
        """The text of one PDF under the title of its page."""
        meta: dict[str, str] = json.loads(item.meta)
        try:
            found = pdf_to_text(payload(raw, item), reader=self._options["pdf_reader"])
        except Unreadable as error:
            yield Quarantined(item.item, self.config.source, error.reason, error.detail, item.sha256)
            return
        published = meta["published"]
        yield Document(
            doc_id=f"{self.config.source}:{item.item}",
            source=self.config.source,
            kind=self.config.kind,
            text=with_title(meta["title"], found.text),
            title=meta["title"],
            url=meta["page"],
            licence=self.config.licence,
            licence_evidence="card",
            year=int(published[:4]) if published else None,
            published=published,
            raw_ref=item.sha256,
            counts=found.counts,
            measures=found.measures,
        )


def is_clinical(title: str, description: str) -> bool:
    """True if title and description speak of care for the sick and wounded, and the title of no other kind of paper.

    >>> is_clinical("War surgery, volume 2", ""), is_clinical("Annual report 2019", "Medical work of the year")
    (True, False)
    """
    return not _OTHERS.search(title) and _WORDS.search(f"{title}\n{description}") is not None


def publication_name(url: str) -> str:
    """The publisher's name of the publication at `url`; empty for anything else.

    >>> publication_name("https://www.icrc.org/en/publication/0973-war-surgery?x=1")
    '0973-war-surgery'
    """
    parts = urlsplit(url)
    if parts.hostname not in HOSTS[:2] or parts.scheme not in ("http", "https") or ".." in unquote(parts.path):
        return ""
    found = _PUBLICATION.fullmatch(posixpath.normpath(parts.path).lower())
    return found[1] if found else ""


def _record(page: bytes, url: str) -> tuple[dict[str, str], list[str]]:
    """What a publication's page says about it, and the addresses on our hosts that its main part links to."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(page, "lxml")

    def meta(name: str) -> str:
        found = soup.select_one(f'meta[property="{name}"], meta[name="{name}"]')
        return " ".join(str(found.get("content") or "").split()) if found else ""

    heading = soup.select_one("main h1, h1")
    date = _DATE.match(meta("article:published_time"))
    record = {
        "title": meta("og:title") or (" ".join(heading.get_text(" ").split()) if heading else ""),
        "description": meta("description") or meta("og:description"),
        "published": date[0] if date else "",
    }
    links = [urljoin(url, str(link["href"])) for link in soup.select(PDF_LINKS)]
    return record, [link for link in links if urlsplit(link).hostname in HOSTS]


def _pdf_of(listing: Listing, links: list[str]) -> tuple[str, str]:
    """Address of the English PDF, on the site itself or behind the shop's product; else why there is none."""
    from bs4 import BeautifulSoup

    for link in links:
        if urlsplit(link).path.lower().endswith(".pdf"):
            return link, ""
    product = next((x for x in links if urlsplit(x).hostname == SHOP and urlsplit(x).path.endswith(".html")), "")
    if not product:
        return "", f"neither a PDF nor a product of {SHOP} in {PDF_LINKS}"
    try:
        soup = BeautifulSoup(listing.page(product, allowed_hosts=HOSTS), "lxml")
    except FetchError as error:
        return "", f"the product's page cannot be had: {error.what}"
    ebooks: list[str] = []
    english: list[str] = []
    for ebook in soup.select(SHOP_LINKS):
        target = urljoin(product, str(ebook["href"]))
        if urlsplit(target).hostname == SHOP:
            ebooks.append(target)
            told = f"{ebook.get_text(' ')} {ebook.get('title') or ''}".lower()
            english += [target] if "english" in told else []
    # A single one needs no word for its language; among several only the word tells.
    chosen = english or (ebooks if len(ebooks) == 1 else [])
    return (chosen[0], "") if chosen else ("", f"no English {SHOP_LINKS} on the product's page")
