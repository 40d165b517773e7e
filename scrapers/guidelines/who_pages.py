"""What WHO's hub says in a row, and its landing page about the publication: the PDF, the date, whether it still stands.

A landing page without its container is put aside; three in a row are a changed site and an error that names it.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from manifests.document import Status
from manifests.errors import SourceError
from manifests.identity import sha256_hex
from scrapers.capture import MAX_FAILURES_IN_A_ROW, Listing, Wanted
from scrapers.formats.dates import iso_date
from scrapers.formats.languages import iso_639_1
from scrapers.guidelines.sections import standing
from scrapers.guidelines.versions import version_named

HOST = "www.who.int"
OPEN_SINCE = "2016-11"
"""From then on publications are under CC BY-NC-SA 3.0 IGO, says WHO's policy on open access."""
DOWNLOAD_HOSTS = ("iris.who.int", "apps.who.int", "cdn.who.int", HOST)
SECTION = "section.dynamic-content__section"
HEADER = "header.dynamic-content__header"
OVERVIEW = "div.dynamic-content__description"
DETAIL = "div.dynamic-content__details .detail"
DATE, TAG = "div.dynamic-content__date", "div.dynamic-content__tag"

_PATH = re.compile(r"/publications/([im])/item/([A-Za-z0-9][\w.()-]*)")
_NATIVE = re.compile(r"/?([A-Za-z0-9][\w.()-]*)/?")
_DATE = re.compile(r"(?:(?:(\d{1,2}) )?([A-Z][a-z]{2,8}) )?(\d{4})")
_ISBN = re.compile(r"ISBN(?:-1[03])?:?\s*((?:97[89][- ]?)?\d[\d -]{8,15}[\dX])")
FILE_LANGUAGE = re.compile(r"[-_](ara|chi|eng|fre|ger|por|rus|spa)\.pdf$", re.IGNORECASE)
_BITSTREAM = re.compile(r"/server/api/core/bitstreams/[0-9a-f-]{36}/content")
_PDF = re.compile(rf"{_BITSTREAM.pattern}|/bitstream/handle/|/rest/bitstreams/\d+/retrieve|\.pdf$", re.IGNORECASE)
"""Today's repository, its predecessors, and plain files."""
_REPLACED = re.compile(
    r"\bthis (?:\w+ ){0,2}(?:guideline|guidance|publication|document|edition|version)s?\s+(?:has|have|was|were|is)"
    r" (?:been |now )?(?:replaced|superseded)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One publication as the hub lists it."""

    native: str
    title: str
    url: str
    """Of the landing page."""
    tag: str
    published: str
    """ISO 8601, empty if the hub gives no date."""
    download: str
    language: str


def rows(values: Sequence[Any], culture: str, listing: Listing) -> Iterator[Row]:
    """The rows that lead to a publication of WHO; others are counted."""
    for value in values:
        link = str(value.get("ItemDefaultUrl") or "") if isinstance(value, Mapping) else ""
        kind, native = publication(link)
        title = " ".join(html.unescape(str(value.get("Title") or "")).split()) if native else ""
        if not title:
            listing.count("links_elsewhere" if link else "rows_without_link")
            continue
        download = str(value.get("DownloadUrl") or "").strip()
        named = FILE_LANGUAGE.search(urlsplit(download).path)
        yield Row(
            native=native,
            title=title,
            url=f"https://{HOST}/publications/{kind}/item/{native}",
            tag=" ".join(str(value.get("Tag") or "").split()),
            published=date(str(value.get("FormatedDate") or "")),
            download=download,
            language=iso_639_1(named[1]) if named else culture,
        )


def publication(link: str) -> tuple[str, str]:
    """The series (`i` or `m`) and WHO's id of the publication that `link` names; empty for any other address.

    >>> publication("/9789240000001"), publication("https://www.who.int/publications/m/item/x")
    (('i', '9789240000001'), ('m', 'x'))
    >>> publication("/../admin"), publication("https://who.example.org/publications/i/item/x")
    (('', ''), ('', ''))
    """
    parts = urlsplit(link)
    if parts.scheme not in ("", "http", "https") or parts.netloc not in ("", HOST, "who.int"):
        return "", ""
    if not parts.netloc and (short := _NATIVE.fullmatch(parts.path)):
        return "i", short[1]
    found = _PATH.fullmatch(posixpath.normpath(parts.path).rstrip("/"))
    return (found[1], found[2]) if found else ("", "")


def date(text: str) -> str:
    """ISO 8601 of `1 December 2025`, `December 2025` or `2025`; empty for anything else.

    >>> date("1 December 2025"), date("May 2019"), date("soon")
    ('2025-12-01', '2019-05', '')
    """
    found = _DATE.fullmatch(" ".join(text.split()))
    return iso_date(found[3], found[2], found[1]) if found else ""


def reserved(published: str) -> str:
    """Why a publication of this date is not openly licensed; empty if it is.

    >>> reserved("2016-10"), reserved("2017-03-01")
    ('It is dated 2016-10; the open licence covers publications since 2016-11.', '')
    """
    if published[:7] >= OPEN_SINCE:
        return ""
    dated = f"is dated {published}" if published else "bears no date"
    return f"It {dated}; the open licence covers publications since {OPEN_SINCE}."


def wanted(listing: Listing, chosen: Sequence[Row], *, older: bool) -> Iterator[Wanted]:
    """The PDF of each row, as the hub or its landing page names it; what leads to none is put aside."""
    strange = 0
    for row, page in zip(chosen, listing.pages([row.url for row in chosen]), strict=True):
        if page is None:
            error = listing.error(row.url)
            listing.set_aside(row.native, error.reason, error.what)
            continue
        landing = _Landing(page, row.url)
        if landing.native not in ("", row.native):
            # A former id leads on: what it leads to has a title and a date of its own.
            row = replace(
                row, native=landing.native, title=landing.title or row.title, url=landing.url, published="", download=""
            )
        strange = 0 if landing.known else strange + 1
        if strange >= MAX_FAILURES_IN_A_ROW:
            raise _changed(row.url, strange)
        if not landing.known:
            listing.set_aside(row.native, "extract.not_a_document", f"Its landing page has no {SECTION}.")
        elif not older and (why := reserved(row.published or landing.date)):
            listing.forbid(row.native, why)
        elif not older and "all rights reserved" in landing.copyright.lower():
            listing.forbid(row.native, f"Its landing page says: {landing.copyright[:200]}")
        elif not (url := _best(row.download, landing.download)):
            listing.set_aside(row.native, "extract.stub", "Its landing page leads to no PDF.")
        elif not (safe := secure(urljoin(row.url, url))):
            listing.set_aside(row.native, "extract.unsafe", f"Its PDF lies on {urlsplit(url).netloc}.")
        else:
            yield Wanted(row.native, safe, meta=_meta(row, landing, page), allowed_hosts=DOWNLOAD_HOSTS, expect="pdf")


def secure(url: str) -> str:
    """The address of a PDF by https; empty if it lies on no host of WHO.

    >>> secure("http://iris.who.int/a.pdf"), secure("https://iris.who.int.example.org/a.pdf")
    ('https://iris.who.int/a.pdf', '')
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.netloc not in DOWNLOAD_HOSTS:
        return ""
    # The repository's `?download=true` asks for the same bytes under another address.
    query = "" if parts.path.endswith("/content") else parts.query
    return urlunsplit(("https", parts.netloc, parts.path, query, ""))


def _best(hub: str, landing: str) -> str:
    """Of two addresses of a PDF the one in today's repository: rows of the hub keep former ones."""
    return landing if _BITSTREAM.search(landing) and not _BITSTREAM.search(hub) else hub or landing


class _Landing:
    """What one landing page says."""

    def __init__(self, page: bytes, url: str) -> None:
        from bs4 import BeautifulSoup

        soup = BeautifulSoup(page, "lxml")
        canonical = soup.select_one("link[rel='canonical'][href]")
        kind, self.native = publication(str(canonical["href"])) if canonical else ("", "")
        self.url = f"https://{HOST}/publications/{kind}/item/{self.native}"
        self.title = _text(soup.select_one("h1"))
        section = soup.select_one(SECTION)
        self.known = section is not None
        inside: Any = section or soup
        details = {_text(one.select_one(".label")): _text(one.select_one(".value")) for one in inside.select(DETAIL)}
        self.copyright = details.get("Copyright", "")
        isbn = _ISBN.search(_text(inside))
        self.isbn = re.sub(r"[ -]", "", isbn[1]) if isbn else ""
        self.date, self.tag = date(_text(soup.select_one(DATE))), _text(soup.select_one(TAG)).lstrip("| ")
        self.download = next(
            (urljoin(url, href) for one in inside.select("a[href]") if _is_pdf(href := str(one["href"]))), ""
        )
        top = f"{_text(soup.select_one(HEADER))} {_text(inside.select_one(OVERVIEW))}"
        self.standing: Status = "superseded" if _REPLACED.search(top) else standing(top)
        self.version = version_named(page, url, lambda link: publication(link)[1], own=self.native)


def _is_pdf(href: str) -> bool:
    return _PDF.search(urlsplit(href).path) is not None


def _text(element: Any) -> str:
    return " ".join(element.get_text(" ").split()) if element is not None else ""


def _meta(row: Row, landing: _Landing, page: bytes) -> dict[str, str]:
    return {
        "title": row.title,
        "published": row.published or landing.date,
        "tag": row.tag or landing.tag,
        "isbn": landing.isbn,
        "language": row.language,
        "standing": landing.standing,
        "version": landing.version,
        "landing_url": row.url,
        "landing_sha256": sha256_hex(page),
    }


def _changed(url: str, times: int) -> SourceError:
    return SourceError(
        f"{SECTION} is on none of {times} landing pages in a row.",
        where=url,
        why="The publisher has probably changed its pages; going on would put every guideline aside.",
        fix="Look at the page and correct scrapers/guidelines/who_pages.py.",
    )
