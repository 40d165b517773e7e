"""World Health Organization: guidelines from the publications hub, a landing page and a PDF each.

The hub answers OData, 25 rows at a time until a page is empty; its `@odata.count` is a check and not a promise. A
row leads to a landing page (edition, ISBN, copyright, whether it was replaced) and a born-digital PDF, which is the
item. Since November 2016 WHO publishes under CC BY-NC-SA 3.0 IGO; what is older, or bears no date, is not asked for.

When the hub is closed, the repository behind it is another door (`door = "iris"`, `query` in its own language); its
records have other ids.

Options: `door` (`hubs` or `iris`), `query`, `offices` (ids of publishing offices; default the one for guidelines),
`languages` (cultures of the hub), `tags` (kinds of publication that are taken; those whose title says guideline or
recommendations always are, unless it says summary or the like; empty: every kind), `older` (also take what came before
the open licence).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from manifests.document import Document, Quarantined
from manifests.errors import RecipeError, SourceError
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats.errors import Unreadable
from scrapers.formats.pdf import PDF_OPTIONS, pdf_to_text
from scrapers.guidelines import who_iris, who_pages
from scrapers.guidelines.listed import check_found, listed_options, polite_client
from scrapers.guidelines.sections import with_title
from scrapers.guidelines.who_pages import HOST, OPEN_SINCE, Row, reserved
from scrapers.snapshot import payload
from scrapers.source import AcquireContext, Item, SourceConfig

API = f"https://{HOST}/api/hubs/publications"
SITE = "15210d59-ad60-47ff-a542-7ed76645f0c7"
"""The global site; regional offices have others."""
GUIDELINES_OFFICE = "c09761c0-ab8e-4cfa-9744-99509c4d306b"
IRIS_QUERY = "dc.title:(guideline OR guidelines OR recommendations)"
FIELDS = "Title,ItemDefaultUrl,FormatedDate,Tag,DownloadUrl"
PER_PAGE = 25
MAX_PAGES = 2000
DELAY_SECONDS = 5.0
OPEN_LICENCE = "CC-BY-NC-SA-3.0-IGO"
CLOSED_LICENCE = "LicenseRef-WHO-All-Rights-Reserved"
SHORT_OF_STATED = 0.8
"""A listing that gives a smaller share of the rows it states has lost pages on the way."""
FRONT_MATTER_CHARS = 20_000
"""The page with the licence follows the title pages."""

GUIDELINE_TAGS = ["Guideline", "Guidance (normative)"]
_GUIDELINE_TITLE = re.compile(r"\b(?:guidelines?|recommendations?)\b", re.IGNORECASE)
_NO_GUIDELINE_TITLE = re.compile(
    r"\b(?:executive summary|at a glance|fact sheets?|policy brief|corrigend(?:a|um)|press release|meeting report)\b",
    re.IGNORECASE,
)
_CC = re.compile(r"\bCC[ -]BY(-NC)?(-SA|-ND)?[ -]([34]\.0)[ -]IGO\b", re.IGNORECASE)
_CC_ADDRESS = re.compile(r"creativecommons\.org/licenses/by(-nc)?(-sa|-nd)?/([34]\.0)/igo", re.IGNORECASE)
_CLOSED = re.compile(r"\ball\s+rights\s+reserved\b", re.IGNORECASE)


class Loader:
    """Guidelines of the World Health Organization."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = listed_options(
            config,
            {
                "door": "hubs",
                "query": IRIS_QUERY,
                "offices": [GUIDELINES_OFFICE],
                "languages": ["en"],
                "tags": GUIDELINE_TAGS,
                "older": False,
                **PDF_OPTIONS,
            },
        )
        if self._options["door"] not in ("hubs", "iris"):
            raise RecipeError(
                f"door is {self._options['door']!r}.",
                where=f"[sources.{config.source}] options",
                fix="Write 'hubs' or 'iris'.",
            )

    def acquire(self, context: AcquireContext) -> None:
        """Fetch the hub's pages, the landing pages and the PDFs they lead to."""
        capture(
            context,
            source=self.config.source,
            snapshot=self.config.snapshot,
            discover=self._discover,
            client=polite_client(context, self.config, delay_seconds=DELAY_SECONDS),
        )

    def _discover(self, listing: Listing) -> Iterator[Wanted]:
        seen: set[str] = set()
        pdfs: dict[str, str] = {}
        through_hub = self._options["door"] == "hubs"
        for one in self._hub(listing, seen) if through_hub else self._repository(listing, seen):
            if (first := pdfs.setdefault(one.url, one.item)) != one.item:
                listing.set_aside(one.item, "extract.same_id", f"leads to the same PDF as {first}")
                continue
            yield one
            if len(pdfs) == self._options["limit"]:
                return
        what = "value[].ItemDefaultUrl" if through_hub else "_embedded.indexableObject.handle"
        where = API if through_hub else who_iris.SEARCH
        check_found(len(seen), self.config, self._options, what=what, where=where)

    def _hub(self, listing: Listing, seen: set[str]) -> Iterator[Wanted]:
        for office in self._options["offices"]:
            for culture in self._options["languages"]:
                for rows in _row_pages(listing, office, culture):
                    chosen = [row for row in rows if self._chosen(row, seen, listing, dated=bool(row.published))]
                    yield from who_pages.wanted(listing, chosen, older=self._options["older"])

    def _repository(self, listing: Listing, seen: set[str]) -> Iterator[Wanted]:
        languages, older = self._options["languages"], self._options["older"]
        for rows in who_iris.row_pages(listing, self._options["query"]):
            # A record states its rights, so its date alone decides nothing here.
            chosen = [(row, record) for row, record in rows if self._chosen(row, seen, listing, dated=False)]
            yield from who_iris.wanted(listing, chosen, languages=languages, older=older)

    def _chosen(self, row: Row, seen: set[str], listing: Listing, *, dated: bool) -> bool:
        """Whether the publication of a row is wanted; if not, it is counted. `dated`: its date may rule it out."""
        if row.native in seen:
            listing.count("listed_again")
            return False
        seen.add(row.native)
        if row.language not in self._options["languages"]:
            listing.count("other_languages")
        elif self._options["tags"] and not is_guideline(row.tag, row.title, self._options["tags"]):
            listing.count("other_publications")
        elif dated and not self._options["older"] and (why := reserved(row.published)):
            listing.forbid(row.native, why)
        else:
            return True
        return False

    def read(self, item: Item, raw: Store, resolved: Any | None = None) -> Iterator[Document | Quarantined]:
        """The text of one PDF under the title of its publication."""
        meta: dict[str, str] = json.loads(item.meta)
        try:
            found = pdf_to_text(payload(raw, item), reader=self._options["pdf_reader"])
            front = found.text[:FRONT_MATTER_CHARS]
            licence, evidence = self._licence(front, meta["published"], meta.get("rights", ""))
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
            url=meta["landing_url"],
            licence=licence,
            licence_evidence=evidence,
            lang=meta["language"],
            year=int(published[:4]) if published else None,
            published=published,
            raw_ref=item.sha256,
            document_status=meta["standing"],  # type: ignore[arg-type]
            family=f"{self.config.source}:{other}" if (other := meta.get("version", "")) else "",
            counts=found.counts,
            measures=found.measures,
        )

    def _licence(self, front: str, published: str, rights: str) -> tuple[str, str]:
        """Licence of a publication and where it was read; Unreadable if it reserves what its date leaves open."""
        stated = stated_licence(front)
        closed = _CLOSED.search(front) is not None
        by_date = published[:7] >= OPEN_SINCE
        if stated:
            return stated, "pdf:licence line"
        if not closed and (recorded := stated_licence(rights)):
            return recorded, "record:dc.rights"
        if closed and (by_date or stated_licence(rights)):
            detail = f"Dated {published}, so or by its record under {OPEN_LICENCE}, but the PDF reserves all rights."
            raise Unreadable("extract.licence_conflict", detail)
        if closed or not by_date:
            return CLOSED_LICENCE, "pdf:all rights reserved" if closed else f"date before {OPEN_SINCE}"
        return (OPEN_LICENCE if self.config.licence == "per-document" else self.config.licence), "card"


def is_guideline(tag: str, title: str, tags: Sequence[str]) -> bool:
    """Whether a publication is a guideline, by its tag or its title.

    >>> is_guideline("Publication", "WHO recommendations on antenatal care", ["Guideline"])
    True
    >>> is_guideline("Publication", "Global report on drowning", ["Guideline"])
    False
    """
    if _NO_GUIDELINE_TITLE.search(title):
        return False
    return tag.lower() in {one.lower() for one in tags} or _GUIDELINE_TITLE.search(title) is not None


def stated_licence(front: str) -> str:
    """SPDX id of the Creative Commons licence that the front matter names, empty if it names none.

    >>> stated_licence("available under the licence (CC BY-NC-SA 3.0 IGO;")
    'CC-BY-NC-SA-3.0-IGO'
    """
    plain = " ".join(front.split())
    found = _CC.search(plain) or _CC_ADDRESS.search(plain)
    return f"CC-BY{found[1] or ''}{found[2] or ''}-{found[3]}-IGO".upper() if found else ""


def listing_url(office: str, culture: str, skip: int) -> str:
    """Address of the hub's rows from `skip` on, newest first."""
    query = {
        "sf_site": SITE,
        "sf_provider": "OpenAccessProvider",
        "sf_culture": culture,
        "$select": FIELDS,
        "$filter": f"publishingoffices/any(s:s eq {office})",
        "$orderby": "PublicationDateAndTime desc",
        "$top": PER_PAGE,
        "$skip": skip,
        "$count": "true",
    }
    return f"{API}?{urlencode(query, quote_via=quote, safe='$,/():')}"


def _row_pages(listing: Listing, office: str, culture: str) -> Iterator[list[Row]]:
    """The rows of each page until one is empty; SourceError if far fewer came than the hub states."""
    given = stated = 0
    for page in range(MAX_PAGES):
        url = listing_url(office, culture, page * PER_PAGE)
        answer = _answer(listing.page(url, expect="json"), url)
        rows = answer["value"]
        count = answer.get("@odata.count")
        stated = max(stated, count if isinstance(count, int) else 0)
        if not rows:
            break
        given += len(rows)
        yield list(who_pages.rows(rows, culture, listing))
    if given < stated * SHORT_OF_STATED:
        raise SourceError(
            f"value[] gave {given} publications in all, @odata.count states {stated}.",
            where=listing_url(office, culture, 0),
            why="The pages end too early; going on would leave guidelines out in silence.",
            fix="Run the same command again later; if it stays, look at $skip and $top in scrapers/guidelines/who.py.",
        )
    if given < stated:
        listing.count("stated_and_not_listed", stated - given)


def _answer(body: bytes, url: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("value"), list):
        raise SourceError(
            "the hub's answer has no list `value`.",
            where=url,
            why="The publisher has changed its interface, or answered with an error.",
            fix="Look at the address in a browser and correct scrapers/guidelines/who.py.",
        )
    return found
