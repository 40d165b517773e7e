"""General text for replay: JSON-lines files named by an address list, RedPajama 1T as shipped.

`urls` is the address of a text file with one URL a line (https://data.together.xyz/redpajama-data-1T/v1.0.0/urls.txt,
2,084 lines); a line whose file is gone is put aside and counted. Rows are {"text", "meta"}; in the hub's copy `meta` is
a string of JSON. The field map is configuration, so FineWeb, DCLM, Dolma and Common Pile files read alike. Rows have
no id as a rule: then the id is the first 16 hex digits of the sha256 of the row's canonical JSON.

Options: `urls`; `base` (prefix taken off to name items); `include` (regular expressions of URLs, any; empty: all);
`max_files_per_subset` (0: all; the lowest by sha256 of the URL, so that no subset's order matters); `fields` (text, id,
url, title, language; `meta.url` reaches into `meta`); `languages` (rows that declare another one are left out and
counted; empty: all).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from manifests.document import Document, Quarantined
from manifests.errors import RecipeError
from manifests.identity import canonical_json, sha256_hex
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats import jsonl
from scrapers.formats.errors import Unreadable
from scrapers.formats.jsonl import BadLine
from scrapers.options import checked
from scrapers.snapshot import open_payload
from scrapers.source import AcquireContext, Item, SourceConfig

REDPAJAMA = "https://data.together.xyz/redpajama-data-1T/v1.0.0/"
FIELDS = {"text": "text", "id": "", "url": "meta.url", "title": "meta.title", "language": "meta.language"}


class Loader:
    """A source of JSON-lines files; the source `redpajama` with its defaults."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = checked(
            config,
            {
                "urls": f"{REDPAJAMA}urls.txt",
                "base": REDPAJAMA,
                "include": [],
                "max_files_per_subset": 0,
                "fields": {},
                "languages": [],
            },
        )
        where = f"[sources.{config.source}] options"
        unknown = sorted(set(self._options["fields"]) - set(FIELDS))
        if unknown:
            raise RecipeError(f"no field called {unknown[0]!r}.", where=where, fix=f"Fields are {', '.join(FIELDS)}.")
        self._fields = {**FIELDS, **self._options["fields"]}
        self._languages = frozenset(map(str, self._options["languages"]))
        try:
            self._include = [re.compile(pattern) for pattern in self._options["include"]]
        except re.error as error:
            raise RecipeError(f"include holds no regular expression: {error}.", where=where) from None

    def acquire(self, context: AcquireContext) -> None:
        capture(context, source=self.config.source, snapshot=self.config.snapshot, discover=self._discover)

    def _discover(self, listing: Listing) -> Iterator[Wanted]:
        lines = listing.page(self._options["urls"], expect="").decode().split()
        urls = sorted(url for url in set(lines) if not self._include or any(map(_searcher(url), self._include)))
        listing.count("urls listed", len(set(lines)))
        for url in self._sampled(urls):
            name = url.removeprefix(self._options["base"])
            meta = {"subset": _subset(name)}
            yield Wanted(name, url, meta=meta, file=f"files/{name}" if _is_plain(name) else _file_name(url))

    def _sampled(self, urls: list[str]) -> list[str]:
        most = self._options["max_files_per_subset"]
        if not most:
            return urls
        by_subset: dict[str, list[str]] = {}
        for url in urls:
            by_subset.setdefault(_subset(url.removeprefix(self._options["base"])), []).append(url)
        return sorted(
            url
            for names in by_subset.values()
            for url in sorted(names, key=lambda name: sha256_hex(name.encode()))[:most]
        )

    def read(self, item: Item, raw: Store, resolved: Any | None) -> Iterator[Document | Quarantined]:
        """Documents of one file's rows, in file order; of a file that breaks off, those before the break."""
        other_language: Counter[str] = Counter()
        try:
            with open_payload(raw, item) as stream:
                for found in jsonl.rows(stream, name=item.item):
                    if isinstance(found, BadLine):
                        yield self._aside(f"{item.item} line {found.line}", found.reason, found.detail, item)
                        continue
                    number, row = found
                    document = self._document(row, item)
                    if document is None:
                        detail = f"The row has no text under {self._fields['text']!r}."
                        yield self._aside(f"{item.item} line {number}", "extract.bad_record", detail, item)
                    elif self._languages and document.lang and document.lang not in self._languages:
                        other_language[document.lang] += 1
                    else:
                        yield document
        except Unreadable as error:
            yield self._aside(item.item, error.reason, error.detail, item)
        for language, n in sorted(other_language.items()):
            detail = f"{n:,} rows declare the language {language}, which the option `languages` leaves out."
            yield self._aside(f"{item.item} {language}", "extract.not_a_document", detail, item)

    def _aside(self, name: str, reason: str, detail: str, item: Item) -> Quarantined:
        return Quarantined(name, self.config.source, reason, detail, item.sha256)

    def _document(self, row: dict[str, Any], item: Item) -> Document | None:
        values = {name: _value(row, path) for name, path in self._fields.items()}
        if not values["text"].strip():
            return None
        native = values["id"] or sha256_hex(canonical_json(row).encode())[:16]
        return Document(
            doc_id=f"{self.config.source}:{native}",
            source=self.config.source,
            kind=self.config.kind,
            text=values["text"],
            title=values["title"],
            url=values["url"] or item.url,
            licence=self.config.licence if self.config.licence != "per-document" else "unknown",
            licence_evidence="card",
            lang=values["language"][:2].lower() if values["language"].isascii() else "",
            raw_ref=item.sha256,
            restricted=self.config.restricted,
        )


def _searcher(url: str) -> Any:
    return lambda pattern: pattern.search(url)


def _subset(name: str) -> str:
    return name.partition("/")[0]


def _is_plain(name: str) -> bool:
    """True for a relative name that is safe as a path of the snapshot folder."""
    return bool(re.fullmatch(r"[A-Za-z0-9][\w.=-]*(?:/[A-Za-z0-9][\w.=-]*)*", name)) and ".." not in name


def _file_name(url: str) -> str:
    """A file name for any URL: its digest, with the ending that tells the compression."""
    ending = "".join(re.findall(r"\.(?:jsonl?|gz|zst|zstd)\b", urlsplit(url).path)[-2:])
    return f"files/{sha256_hex(url.encode())[:24]}{ending}"


def _value(row: Mapping[str, Any], path: str) -> str:
    """The text at `path` of a row, empty if it has none; a `meta` that is a string of JSON is opened."""
    found: Any = row
    for name in path.split(".") if path else ():
        if isinstance(found, str):
            try:
                found = orjson.loads(found)
            except orjson.JSONDecodeError:
                return ""
        found = found.get(name) if isinstance(found, Mapping) else None
    return "" if not path or found is None or isinstance(found, (Mapping, list)) else str(found)
