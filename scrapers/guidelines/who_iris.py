"""WHO's repository as a second door to its guidelines: DSpace 7's search, which gives records and files at once.

Shapes of DSpace 7 (https://github.com/DSpace/RestContract, search-endpoint.md and items.md); that the search embeds
bundles and bitstreams is used by others who read such repositories. A file comes with its MD5, so a damaged one is
told from a whole one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from manifests.errors import SourceError
from scrapers.capture import Listing, Wanted
from scrapers.formats.languages import iso_639_1
from scrapers.guidelines.who_pages import FILE_LANGUAGE, Row, reserved

HOST = "iris.who.int"
SERVER = f"https://{HOST}/server/api"
SEARCH = f"{SERVER}/discover/search/objects"
PER_PAGE = 100
MAX_PAGES = 3000
SHORT_OF_STATED = 0.8

_HANDLE = re.compile(r"\d+/\d+")
_NAMED_HANDLE = re.compile(r"\b10665/\d+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MD5 = re.compile(r"[0-9a-f]{32}")
_DAY = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?")
_OPEN = re.compile(r"CC[ -]BY|creativecommons\.org/licenses/by", re.IGNORECASE)


def search_url(query: str, page: int) -> str:
    """Address of one page of records that match `query`, newest first."""
    parts = {
        "query": query,
        "dsoType": "item",
        "embed": "bundles/bitstreams",
        "sort": "dc.date.issued,DESC",
        "page": page,
        "size": PER_PAGE,
    }
    return f"{SEARCH}?{urlencode(parts, quote_via=quote, safe='')}"


def row_pages(listing: Listing, query: str) -> Iterator[list[tuple[Row, Mapping[str, Any]]]]:
    """Rows of each page, each with its record; SourceError if far fewer came than the repository states."""
    given = stated = 0
    for page in range(MAX_PAGES):
        url = search_url(query, page)
        result = _result(listing.page(url, expect="json"), url)
        total = (result.get("page") or {}).get("totalElements")
        stated = max(stated, total if isinstance(total, int) else 0)
        objects = (result.get("_embedded") or {}).get("objects") or []
        if not objects:
            break
        given += len(objects)
        yield list(_rows(objects, listing))
    if given < stated * SHORT_OF_STATED:
        raise SourceError(
            f"the search gave {given} records in all, page.totalElements states {stated}.",
            where=search_url(query, 0),
            why="The pages end too early; going on would leave guidelines out in silence.",
            fix="Run the same command again later; if it stays, correct scrapers/guidelines/who_iris.py.",
        )
    if given < stated:
        listing.count("stated_and_not_listed", stated - given)


def wanted(
    listing: Listing, chosen: Sequence[tuple[Row, Mapping[str, Any]]], *, languages: Sequence[str], older: bool
) -> Iterator[Wanted]:
    """The PDF of each record; what has none, or is not openly licensed, is put aside."""
    for row, record in chosen:
        rights = [value for name in ("dc.rights", "dc.rights.uri", "dc.rights.license") for value in _all(record, name)]
        open_now = any(map(_OPEN.search, rights))
        if not older and not open_now and (why := reserved(row.published)):
            listing.forbid(row.native, why)
            continue
        file = _pdf(record, languages)
        if file is None:
            listing.set_aside(row.native, "extract.stub", "Its record has no PDF in the bundle ORIGINAL.")
            continue
        meta = {
            "title": row.title,
            "published": row.published,
            "tag": row.tag,
            "isbn": re.sub(r"[ -]", "", next(iter(_all(record, "dc.identifier.isbn")), "")),
            "language": row.language,
            "standing": "superseded" if _all(record, "dc.relation.isreplacedby") else "current",
            "version": _version(record, row.native),
            "landing_url": row.url,
            "rights": "; ".join(rights),
        }
        url = f"{SERVER}/core/bitstreams/{file['uuid']}/content"
        yield Wanted(row.native, url, meta=meta, expect="pdf", expect_md5=_checksum(file))


def _rows(objects: Sequence[Any], listing: Listing) -> Iterator[tuple[Row, Mapping[str, Any]]]:
    for one in objects:
        record = ((one or {}).get("_embedded") or {}).get("indexableObject") or {}
        handle = str(record.get("handle") or "")
        title = " ".join(str(next(iter(_all(record, "dc.title")), record.get("name") or "")).split())
        if not _HANDLE.fullmatch(handle) or not title:
            listing.count("rows_without_link")
        elif record.get("withdrawn"):
            listing.count("withdrawn")
        else:
            issued = _DAY.match(next(iter(_all(record, "dc.date.issued")), ""))
            yield (
                Row(
                    native=handle.replace("/", "-"),
                    title=title,
                    url=f"https://{HOST}/handle/{handle}",
                    tag=next(iter(_all(record, "dc.type")), ""),
                    published=issued[0] if issued else "",
                    download="",
                    language=iso_639_1(next(iter(_all(record, "dc.language.iso")), "en")),
                ),
                record,
            )


def _all(record: Mapping[str, Any], name: str) -> list[str]:
    """The values of one metadata field."""
    values = (record.get("metadata") or {}).get(name) or []
    return [str(value["value"]) for value in values if isinstance(value, Mapping) and value.get("value")]


def _version(record: Mapping[str, Any], own: str) -> str:
    """Our name of the record that this one says replaced it, or that it replaced; empty if it names none."""
    told = [*_all(record, "dc.relation.isreplacedby"), *_all(record, "dc.relation.replaces")]
    named = [found[0].replace("/", "-") for value in told if (found := _NAMED_HANDLE.search(value))]
    return next((native for native in named if native != own), "")


def _pdf(record: Mapping[str, Any], languages: Sequence[str]) -> Mapping[str, Any] | None:
    """The first PDF of the record itself that its name does not give to another language."""
    for bundle in _embedded(record, "bundles"):
        if bundle.get("name") != "ORIGINAL":
            continue
        for file in _embedded(bundle, "bitstreams"):
            name = str(file.get("name") or "")
            named = FILE_LANGUAGE.search(name)
            known = _UUID.fullmatch(str(file.get("uuid") or "")) is not None
            if known and name.lower().endswith(".pdf") and (not named or iso_639_1(named[1]) in languages):
                return file
    return None


def _embedded(parent: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The list `_embedded.<name>._embedded.<name>` of a record."""
    inner = ((parent.get("_embedded") or {}).get(name) or {}).get("_embedded") or {}
    return [one for one in inner.get(name) or [] if isinstance(one, Mapping)]


def _checksum(file: Mapping[str, Any]) -> str:
    stated = file.get("checkSum") or {}
    value = str(stated.get("value") or "").lower()
    return value if stated.get("checkSumAlgorithm") == "MD5" and _MD5.fullmatch(value) else ""


def _result(body: bytes, url: str) -> Mapping[str, Any]:
    try:
        found = json.loads(body)["_embedded"]["searchResult"]
    except (ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, dict):
        raise SourceError(
            "the answer has no `_embedded.searchResult`.",
            where=url,
            why="The repository has changed its interface, or answered with an error.",
            fix="Look at the address in a browser and correct scrapers/guidelines/who_iris.py.",
        )
    return found
