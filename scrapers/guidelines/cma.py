"""Canadian Medical Association: what is left of its Infobase of guidelines, which closed in December 2023.

There is no live scraper, because there is nothing to scrape. Two ways lead to the documents:

`path`     a file of archived records that you hold (JSON lines or CSV; `scrapers.guidelines.cma_records` says which
           fields, and MediTron's `cma.jsonl` fits); texts, HTML and PDFs are read where they lie.
`pages`    addresses at www.canada.ca that the Infobase linked to: the government's own pages, many of them still
           public. Records with nothing but such an address are fetched too, unless `fetch = false`.

Documents from records are marked archived. Page structure as MediTron used it in 2023; never verified live from here.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from manifests.document import Document, Quarantined, Status
from manifests.errors import SourceError
from manifests.identity import canonical_json, sha256_hex
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats.errors import Unreadable
from scrapers.formats.html import html_to_text
from scrapers.formats.jsonl import BadLine
from scrapers.formats.pdf import PDF_OPTIONS, pdf_to_text
from scrapers.guidelines.cma_records import CANADA, Row, beside, is_choosing, native_id, rows
from scrapers.guidelines.listed import check_found, listed_options, polite_client
from scrapers.guidelines.sections import REFERENCES, standing, with_title, without_sections
from scrapers.guidelines.versions import version_named
from scrapers.snapshot import (
    is_complete,
    open_payload,
    payload,
    read_items,
    read_snapshot,
    verify_payload,
    write_snapshot,
)
from scrapers.sniff import kind_of
from scrapers.source import AcquireContext, Item, SourceConfig

ROOT = "main[property=mainContentOfPage]"
DROP = (
    "nav", "header", "footer", "script", "style", "form", ".pagedetails", ".gc-byline", ".wb-inv", ".fn-rtn",
    "section.alert", "#archived", ".archived", "sup:has(> a.fn-lnk)",
)  # fmt: skip
DELAY_SECONDS = 5.0
PAGES = "pages"
"""Folder of the captured pages, beside the archived records."""
CROWN = "LicenseRef-Crown-Copyright-Canada"


@dataclass(slots=True)
class _Found:
    """What a file of records holds."""

    items: list[Item] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)
    """Title by address, of records that hold nothing else."""
    natives: set[str] = field(default_factory=set)
    """Ids of the records that hold their text, or name its file."""
    aside: list[Quarantined] = field(default_factory=list)


class Loader:
    """Archived records and still public pages of the CMA Infobase."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = listed_options(config, {"path": "", "pages": [], "fetch": True, **PDF_OPTIONS})

    def acquire(self, context: AcquireContext) -> None:
        """Enter the archived records in the snapshot and fetch the pages of canada.ca."""
        if is_complete(context.raw):
            return
        if not self._options["path"] and not self._options["pages"]:
            raise SourceError(
                "the Infobase of guidelines closed in December 2023; there is nothing to fetch.",
                where=f"[sources.{self.config.source}]",
                why="Only records that somebody archived, and pages of canada.ca that it linked to, are left.",
                fix='Give your file of records as path = "cma.jsonl", or addresses at www.canada.ca as pages = [...].',
            )
        if not self._options["path"]:
            self._capture(context, dict.fromkeys(map(str, self._options["pages"]), ""))
            return
        found = self._scan(Path(self._options["path"]).expanduser())
        pages = found.pages if self._options["fetch"] else {}
        pages |= dict.fromkeys(map(str, self._options["pages"]), "")
        pages = {url: title for url, title in pages.items() if native_id(url) not in found.natives}
        items, room = found.items[: context.limit or None], context.limit - len(found.items)
        counts: dict[str, int] = {"archived_items": len(items)}
        if pages and (not context.limit or room > 0):
            # The pages' own snapshot first: a run that ends here goes on without asking for one twice.
            raw = context.raw.sub(PAGES)
            previous = context.previous.sub(PAGES) if context.previous else None
            self._capture(replace(context, raw=raw, previous=previous, limit=max(room, 0)), pages)
            facts = read_snapshot(raw)
            counts |= facts["counts"]
            items += [replace(item, path=f"{PAGES}/{item.path}") for item in read_items(raw)]
            found.aside += [
                Quarantined(one["item"], self.config.source, one["reason"], one["detail"])
                for one in facts["quarantined"]
            ]
        write_snapshot(
            context.raw,
            source=self.config.source,
            snapshot=self.config.snapshot,
            items=items,
            quarantined=found.aside,
            counts=counts,
        )

    def _capture(self, context: AcquireContext, pages: Mapping[str, str]) -> None:
        def discover(listing: Listing) -> Iterator[Wanted]:
            given = 0
            for url, title in pages.items():
                if is_choosing(url):
                    listing.count("choosing_wisely")
                elif urlsplit(url).hostname not in CANADA or urlsplit(url).scheme not in ("http", "https"):
                    listing.count("links_elsewhere")
                else:
                    secure = urlsplit(url)._replace(scheme="https", fragment="").geturl()
                    yield Wanted(native_id(url), secure, meta={"title": title}, allowed_hosts=CANADA, expect="html")
                    given += 1
                    if given == self._options["limit"]:
                        return
            if not given:
                raise SourceError(
                    "none of the addresses is a page of www.canada.ca.",
                    where=f"[sources.{self.config.source}] pages",
                    why="Other developers' pages have a source of their own, or none.",
                    fix="Correct the addresses.",
                )

        capture(
            context,
            source=self.config.source,
            snapshot=self.config.snapshot,
            discover=discover,
            client=polite_client(context, self.config, delay_seconds=DELAY_SECONDS),
        )

    def _scan(self, path: Path) -> _Found:
        """The items of a file of records: the file itself, and every file that a record names."""
        found = _Found()
        try:
            records = _local(path, path.name, {"form": "records"})
            with path.open("rb") as stream:
                for row in rows(stream, path.name):
                    if isinstance(row, Row):
                        self._enter(row, path, found)
        except OSError as error:
            raise self._broken(path, error.strerror or "it cannot be read") from None
        except Unreadable as error:
            raise self._broken(path, error.detail) from None
        found.items.insert(0, records)
        what = "a text, html, pdf or page of canada.ca in the rows"
        check_found(len(found.natives) + len(found.pages), self.config, self._options, what=what, where=str(path))
        return found

    def _enter(self, row: Row, path: Path, found: _Found) -> None:
        if row.form == "page":
            found.pages.setdefault(row.url, row.title)
        if row.form not in ("text", "html", "file"):
            return
        again = row.native in found.natives
        found.natives.add(row.native)
        if row.form != "file":
            return
        meta = {"form": "file", "title": row.title, "url": row.url, "published": row.published}
        try:
            if again:
                raise Unreadable("extract.same_id", "An earlier row has its address.")
            found.items.append(_local(beside(path, row.value), row.native, meta))
        except Unreadable as error:
            name = f"{path.name} row {row.number}"
            found.aside.append(Quarantined(name, self.config.source, error.reason, error.detail))

    def _broken(self, path: Path, what: str) -> SourceError:
        return SourceError(
            f"the file of records cannot be read: {what}",
            where=f"[sources.{self.config.source}] path = {str(path)!r}",
            fix="Give JSON lines or CSV with a url, a title and a text, html or pdf.",
        )

    def read(self, item: Item, raw: Store, resolved: Any | None = None) -> Iterator[Document | Quarantined]:
        """The documents of a file of records, or that of one page or PDF."""
        meta: dict[str, str] = json.loads(item.meta)
        try:
            if meta.get("form") == "records":
                yield from self._records(item, raw)
                return
            body = payload(raw, item)
            if kind_of(body) == "pdf":
                found = pdf_to_text(body, reader=self._options["pdf_reader"])
                document = self._document(item.item, found.text, meta, item, found.counts)
                document.measures = found.measures
                yield document
            else:
                yield self._page(item.item, body, meta, item)
        except Unreadable as error:
            yield Quarantined(item.item, self.config.source, error.reason, error.detail, item.sha256)

    def _records(self, item: Item, raw: Store) -> Iterator[Document | Quarantined]:
        verify_payload(raw, item)
        seen: set[str] = set()
        with open_payload(raw, item) as stream:
            for row in rows(stream, item.item):
                number = row.line if isinstance(row, BadLine) else row.number
                try:
                    if isinstance(row, BadLine):
                        raise Unreadable(row.reason, row.detail)
                    if row.form in ("file", "other") or (row.form == "page" and self._options["fetch"]):
                        continue
                    yield self._of_row(row, item, seen)
                except Unreadable as error:
                    name = f"{item.item} row {number}"
                    yield Quarantined(name, self.config.source, error.reason, error.detail, item.sha256)

    def _of_row(self, row: Row, item: Item, seen: set[str]) -> Document:
        if row.form == "choosing":
            raise Unreadable("extract.not_a_document", "A Choosing Wisely list, not a guideline.")
        if row.form not in ("text", "html"):
            raise Unreadable("extract.bad_record", "No text, file or page of canada.ca that may be fetched.")
        if row.native in seen:
            raise Unreadable("extract.same_id", "An earlier row has its address.")
        seen.add(row.native)
        meta = {"form": "file", "title": row.title, "url": row.url, "published": row.published}
        if row.form == "html":
            return self._page(row.native, row.value.encode(), meta, item)
        text = unicodedata.normalize("NFC", row.value.replace("\r\n", "\n")).strip()
        return self._document(row.native, text, meta, item, {})

    def _page(self, native: str, body: bytes, meta: Mapping[str, str], item: Item) -> Document:
        """A page of canada.ca, fetched now or kept by somebody."""
        found = html_to_text(body, root=ROOT, drop=DROP)
        if "extract.main_content" in found.counts:
            raise Unreadable("extract.not_a_document", f"Nothing on the page matches {ROOT}.")
        text, n_references = without_sections(found.text, REFERENCES)
        title, published, status = _facts(body)
        facts = {**meta, "title": title or found.title or meta["title"], "status": status}
        facts["published"] = published or meta.get("published", "")
        facts["version"] = version_named(body, meta.get("url") or item.url, _canada_id, own=native)
        counts = {**found.counts, "extract.references": n_references}
        return self._document(native, text, facts, item, {name: n for name, n in counts.items() if n})

    def _document(
        self, native: str, text: str, meta: Mapping[str, str], item: Item, counts: dict[str, int]
    ) -> Document:
        url = meta.get("url") or item.url
        published = meta.get("published", "")
        crown = urlsplit(url).hostname in CANADA
        # What was archived is as old as its archive; a page that is still there says itself how it stands.
        status: Status = "archived" if meta.get("form") else meta.get("status", "current")  # type: ignore[assignment]
        return Document(
            doc_id=f"{self.config.source}:{native}",
            source=self.config.source,
            kind=self.config.kind,
            text=with_title(meta["title"], text),
            title=meta["title"],
            url=url,
            licence=CROWN if crown else "unknown",
            licence_evidence="host of its address" if crown else "",
            year=int(published[:4]) if published else None,
            published=published,
            raw_ref=item.sha256,
            document_status=status,
            family=f"{self.config.source}:{other}" if (other := meta.get("version", "")) else "",
            counts=counts,
        )


def _canada_id(url: str) -> str:
    return native_id(url) if urlsplit(url).hostname in CANADA else ""


def _local(path: Path, name: str, meta: Mapping[str, str]) -> Item:
    data = path.read_bytes()
    return Item(
        name, str(path.resolve()), 0, len(data), sha256_hex(data), meta.get("url", ""), canonical_json(dict(meta))
    )


def _facts(body: bytes) -> tuple[str, str, Status]:
    """Title, date of issue and standing of a page of canada.ca, by its metas and its banner."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(body, "lxml")

    def meta(name: str) -> str:
        found = soup.select_one(f'meta[name="dcterms.{name}"]')
        return " ".join(str(found.get("content") or "").split()) if found else ""

    banner = soup.select_one("#archived, .archived, section.alert")
    told = banner is not None and "archived" in banner.get_text(" ").lower()
    inside = soup.select_one(ROOT)
    top = inside.get_text(" ") if inside else ""
    return meta("title"), meta("issued")[:10], "archived" if told else standing(top)
