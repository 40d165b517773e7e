"""National Institute for Health and Care Excellence: guidance, quality standards and advice.

A guideline is an overview page and its chapters; they are captured as they come and put together into one item, the
pages in order with their addresses and digests. A guideline that lacks a chapter is put aside as a whole: half of it
would read like all of it. The list is the public search interface behind the site; what was superseded has left it
but stays under its address, so `refs` can name it.

NICE's licence holds in the United Kingdom only, forbids changing the wording of recommendations and excludes use for
artificial intelligence without written permission. Nothing of CKS and BNF, which belong to others, is ever asked for.

Options: `refs` (such as `["TA160"]`, taken instead of the list), `prefixes` (programmes, such as `["NG", "CG"]`; empty:
all), `listing` (`search`, or `page`: the site's own list).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from manifests.document import Document, Quarantined
from manifests.errors import RecipeError, SourceError
from manifests.store import Store
from scrapers.capture import MAX_FAILURES_IN_A_ROW, Listing, Wanted, capture
from scrapers.formats.errors import Unreadable
from scrapers.guidelines import nice_pages
from scrapers.guidelines.listed import check_found, listed_options, polite_client
from scrapers.guidelines.nice_pages import CHAPTER, NAVIGATION, Overview, Row
from scrapers.snapshot import payload
from scrapers.source import AcquireContext, Item, SourceConfig

SITE = "https://www.nice.org.uk"
SEARCH = "https://search-api.nice.org.uk/api/search"
PUBLISHED = f"{SITE}/guidance/published"
PER_PAGE = 1000
"""The search interface gives as many at once; the site's own list takes no number."""
MAX_PAGES = 500
DELAY_SECONDS = 2.0
"""Twice the `Crawl-delay` of robots.txt."""
SHORT_OF_STATED = 0.8
NEXT_DATA = "script#__NEXT_DATA__"


class Loader:
    """Published guidance of www.nice.org.uk."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = listed_options(config, {"refs": [], "prefixes": [], "listing": "search"})
        if self._options["listing"] not in ("search", "page"):
            raise RecipeError(
                f"listing is {self._options['listing']!r}.",
                where=f"[sources.{config.source}] options",
                fix="Write 'search' or 'page'.",
            )

    def acquire(self, context: AcquireContext) -> None:
        """Fetch the list and, for each guideline, its overview and chapters."""
        capture(
            context,
            source=self.config.source,
            snapshot=self.config.snapshot,
            discover=self._discover,
            client=polite_client(context, self.config, delay_seconds=DELAY_SECONDS),
        )

    def _discover(self, listing: Listing) -> Iterator[Wanted]:
        found: set[str] = set()
        wanted = strange = 0
        for rows in self._row_pages(listing):
            chosen = [row for row in rows if self._chosen(row, found, listing)]
            overviews = listing.pages([row.url for row in chosen])
            for row, page in zip(chosen, overviews, strict=True):
                if page is None:
                    error = listing.error(row.url)
                    listing.set_aside(row.slug, error.reason, error.what)
                    continue
                overview = Overview(page, row.slug)
                if overview.slug != row.slug and overview.slug in found:
                    listing.set_aside(row.slug, "extract.same_id", f"leads to the same page as {overview.slug}")
                    continue
                found.add(overview.slug)
                gathered, missing = _gathered(listing, row, overview, page)
                strange = strange + 1 if missing else 0
                if strange >= MAX_FAILURES_IN_A_ROW:
                    raise _changed(f"{missing} matches nothing in {strange} guidelines in a row.", row.url)
                if gathered:
                    yield gathered
                    wanted += 1
                    if wanted == self._options["limit"]:
                        return
        if not self._options["refs"]:
            where = self._page_url(1)
            check_found(len(found), self.config, self._options, what="documents[].guidanceRef", where=where)

    def _chosen(self, row: Row, found: set[str], listing: Listing) -> bool:
        prefixes = [str(one).upper() for one in self._options["prefixes"]]
        if row.slug in found:
            listing.count("listed_again")
            return False
        found.add(row.slug)
        if prefixes and row.prefix not in prefixes:
            listing.count("other_programmes")
            return False
        return True

    def _row_pages(self, listing: Listing) -> Iterator[list[Row]]:
        """Rows of each page of the list until one is empty; SourceError if far fewer came than it states."""
        if self._options["refs"]:
            yield [nice_pages.row_of(str(ref)) for ref in self._options["refs"]]
            return
        given = stated = 0
        for number in range(1, MAX_PAGES + 1):
            url = self._page_url(number)
            expect = "json" if self._options["listing"] == "search" else "html"
            results = _results(listing.page(url, expect=expect), url)
            documents: Sequence[Any] = results["documents"]
            count = results.get("resultCount")
            stated = max(stated, count if isinstance(count, int) else 0)
            if not documents:
                break
            given += len(documents)
            yield list(nice_pages.rows(documents, listing))
        if given < stated * SHORT_OF_STATED:
            raise _changed(f"documents[] gave {given} rows in all, resultCount states {stated}.", self._page_url(1))
        if given < stated:
            listing.count("stated_and_not_listed", stated - given)

    def _page_url(self, number: int) -> str:
        if self._options["listing"] == "page":
            return f"{PUBLISHED}?sp=on&pa={number}"
        chosen = json.dumps([{"gst": ["Published"]}], separators=(",", ":"))
        query = {"index": "guidance", "sp": "on", "om": chosen, "ps": PER_PAGE, "pa": number}
        return f"{SEARCH}?{urlencode(query, quote_via=quote, safe='')}"

    def read(self, item: Item, raw: Store, resolved: Any | None = None) -> Iterator[Document | Quarantined]:
        """One guideline, its overview first and then every chapter in the order of its navigation."""
        meta: dict[str, Any] = json.loads(item.meta)
        try:
            body = payload(raw, item)
            title, text, counts = nice_pages.guideline(body, title=meta["title"])
        except Unreadable as error:
            yield Quarantined(item.item, self.config.source, error.reason, error.detail, item.sha256)
            return
        published, other = meta["published"], nice_pages.version_of(body, item.item)
        yield Document(
            doc_id=f"{self.config.source}:{item.item}",
            source=self.config.source,
            kind=self.config.kind,
            text=text,
            title=title,
            url=item.url,
            licence=self.config.licence,
            licence_evidence="card",
            lang="en",
            year=int(published[:4]) if published else None,
            published=published,
            raw_ref=item.sha256,
            document_status=meta["standing"],
            family=f"{self.config.source}:{other}" if other else "",
            counts=counts,
        )


def _gathered(listing: Listing, row: Row, overview: Overview, page: bytes) -> tuple[Wanted | None, str]:
    """The guideline of an overview with all its chapters, kept as one item, or None if it was put aside.

    Beside it the selector that matched nothing, if that was why.
    """
    url = nice_pages.page_url(overview.slug)
    if not overview.chapters:
        listing.set_aside(overview.slug, "extract.stub", f"Its overview names no chapter: {' or '.join(NAVIGATION)}.")
        return None, NAVIGATION[0] if overview.standing == "current" else ""
    addresses = [f"{url}/chapter/{chapter}" for chapter in overview.chapters]
    pages = [(url, page)]
    for address, body in zip(addresses, listing.pages(addresses), strict=True):
        if body is None:
            error = listing.error(address)
            listing.set_aside(overview.slug, error.reason, f"{address}: {error.what}")
            return None, ""
        if not nice_pages.has_chapter(body):
            listing.set_aside(overview.slug, "extract.not_a_document", f"{address} has no {CHAPTER}.")
            return None, CHAPTER
        pages.append((address, body))
    listing.keep(overview.slug, url, nice_pages.put_together(overview.slug, pages))
    own = overview.slug == row.slug
    meta = {
        "title": row.title if own else overview.slug.upper(),
        "published": (row.published if own else "") or overview.published,
        "updated": row.updated if own else "",
        "standing": "archived" if row.withdrawn and overview.standing == "current" else overview.standing,
    }
    return Wanted(overview.slug, url, meta=meta, expect="json"), ""


def _results(body: bytes, url: str) -> Mapping[str, Any]:
    """What a page of the list holds, from the search interface's JSON or inside the site's own page."""
    named = "documents"
    try:
        if body.lstrip().startswith(b"{"):
            found = json.loads(body)
        else:
            from bs4 import BeautifulSoup

            named = f"{NEXT_DATA} props.pageProps.results.documents"
            script = BeautifulSoup(body, "lxml").select_one(NEXT_DATA)
            found = json.loads(script.get_text())["props"]["pageProps"]["results"] if script else None
    except (ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, dict) or found.get("failed"):
        told = f": {str(found.get('errorMessage'))[:200]}" if isinstance(found, dict) else ""
        raise _changed(f"the list has no {named}{told}.", url)
    if not isinstance(found.get("documents"), list):
        raise _changed(f"the list has no {named}.", url)
    return found


def _changed(what: str, url: str) -> SourceError:
    return SourceError(
        re.sub(r"\s+", " ", what),
        where=url,
        why="The publisher has probably changed its pages; going on would leave guidance out in silence.",
        fix="Look at the address in a browser and correct scrapers/guidelines/nice.py, or try the other `listing`.",
    )
