"""Europe PMC: the open access subset in weekly bulk files, each of some 10,000 articles under one `<articles>`.

Since August 2026 the only bulk of full texts left that comes in few large files. The listing at
https://europepmc.org/ftp/oa/ names them by the first and last PMCID in each, `PMC13900_PMC17829.xml.gz`; they are
kept as published and are an item each. Inside, an article that cannot be read is put aside alone. Licences are the
articles' own; which articles were retracted is not said here, PubMed says it.

Options: `files` (a list of file names, or `"PMC5000000-PMC5999999"`: all files that may hold a PMCID of that range),
`max_files` (0: all, else those of the highest PMCIDs), `min_expected` (files the listing must name),
`citations` as in `scrapers.pmc`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import IO, Any

from manifests.document import Document, Quarantined
from manifests.errors import RecipeError, SourceError
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats import jats
from scrapers.formats.errors import Unreadable
from scrapers.formats.gunzip import gunzip
from scrapers.formats.xml_pieces import Piece, pieces
from scrapers.guidelines.listed import polite_client
from scrapers.jats_documents import documents
from scrapers.options import checked
from scrapers.pmc_read import checked_citations
from scrapers.snapshot import open_payload
from scrapers.source import AcquireContext, Item, SourceConfig

BASE = "https://europepmc.org/ftp/oa/"
DELAY_SECONDS = 1.0
FILE = re.compile(r'href="(?:https://europepmc\.org/ftp/oa/|/ftp/oa/|\./)?(PMC(\d+)_PMC(\d+)\.xml\.gz)"')
_RANGE = re.compile(r"PMC(\d+)-PMC(\d+)")
_OWN_ID = re.compile(rb"""<article-id\s[^<>]*pub-id-type=["']pmc(?:id)?["'][^<>]*>\s*(?:PMC)?(\d+)""")


class Loader:
    """The source `europepmc`."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = checked(config, {"files": None, "max_files": 0, "min_expected": 0, "citations": "drop"})
        self._citations = checked_citations(self._options["citations"], where=f"[sources.{config.source}] options")
        files = self._options["files"]
        is_list = isinstance(files, Sequence) and not isinstance(files, str) and all(isinstance(x, str) for x in files)
        if files and not is_list and not (isinstance(files, str) and _RANGE.fullmatch(files)):
            raise self._wrong(f"files is {files!r}.", "It is a list of file names, or a range of PMCIDs.")

    def acquire(self, context: AcquireContext) -> None:
        """Fetch the files."""
        capture(
            context,
            source=self.config.source,
            snapshot=self.config.snapshot,
            discover=self._discover,
            client=polite_client(context, self.config, delay_seconds=DELAY_SECONDS),
        )

    def _discover(self, listing: Listing) -> Iterator[Wanted]:
        page = listing.page(BASE).decode("utf-8", "replace")
        listed = sorted({(int(first), int(last), name) for name, first, last in FILE.findall(page)})
        least = self._options["min_expected"] or self.config.min_listed or 1
        if len(listed) < least:
            raise SourceError(
                f"{FILE.pattern} matched {len(listed)} files, at least {least} are expected.",
                where=BASE,
                why="Europe PMC has probably changed its directory; going on would leave out articles in silence.",
                fix="Look at the page and correct scrapers/europepmc.py, or lower min_expected.",
            )
        for before, after in pairwise(listed):
            # Seen while the weekly files are exchanged: an article may then come twice.
            listing.count("overlapping_files", int(after[0] <= before[1]))
        for first, last, name in self._chosen(listed)[-self._options["max_files"] :]:
            yield Wanted(name, f"{BASE}{name}", meta={"first": first, "last": last}, file=name)

    def _chosen(self, listed: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
        files = self._options["files"]
        if not files:
            return listed
        if isinstance(files, str) and (asked := _RANGE.fullmatch(files)):
            found = [one for one in listed if one[0] <= int(asked[2]) and int(asked[1]) <= one[1]]
            missing = [] if found else [files]
        else:
            found = [one for one in listed if one[2] in files]
            missing = sorted(set(files) - {name for _, _, name in listed})
        if missing:
            why = "File names change from week to week; the ranges of PMCIDs in them change too."
            raise self._wrong(f"files names {missing[0]!r}, which {BASE} does not list.", why)
        return found

    def read(self, item: Item, raw: Store, resolved: Any | None) -> Iterator[Document | Quarantined]:
        """The articles of one file in its order, each with its sub-articles and translated abstracts."""
        seen: set[str] = set()
        with open_payload(raw, item) as stream:
            try:
                for number, piece in enumerate(pieces(_gunzipped(stream), root="articles", name="article"), 1):
                    yield from self._article(item, piece, number, seen)
            except Unreadable as error:
                yield Quarantined(item.item, self.config.source, error.reason, error.detail, item.sha256)

    def _article(self, item: Item, piece: Piece, number: int, seen: set[str]) -> Iterator[Document | Quarantined]:
        stated = _OWN_ID.search(piece.data)
        aside = f"{item.item} " + (f"PMC{stated[1].decode()}" if stated else f"article {number}")
        try:
            if piece.refused:
                raise piece.refused
            articles = jats.parse(piece.data, self._citations)
            pmcid = articles[0].pmcid
            if not pmcid:
                raise Unreadable("extract.bad_record", "The article states no PMCID.")
            if pmcid in seen:
                raise Unreadable("extract.same_id", f"{pmcid} came before in the same file.")
        except Unreadable as error:
            yield Quarantined(aside, self.config.source, error.reason, error.detail, item.sha256)
            return
        seen.add(pmcid)
        url = f"https://europepmc.org/articles/{pmcid}"
        yield from documents(articles, self.config, pmcid=pmcid, aside=aside, url=url, raw_ref=item.sha256)

    def _wrong(self, what: str, why: str) -> RecipeError:
        fix = 'Write files = ["PMC13900_PMC17829.xml.gz"], or files = "PMC5000000-PMC5999999".'
        return RecipeError(what, where=f"[sources.{self.config.source}] options", why=why, fix=fix)


def _gunzipped(stream: IO[bytes]) -> IO[bytes]:
    if stream.read(2) != b"\x1f\x8b":
        raise Unreadable("extract.not_a_document", "No gzip: an error page came in its place.")
    stream.seek(0)
    return gunzip(stream)
