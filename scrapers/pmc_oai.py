"""PMC by OAI-PMH: the open articles that changed between two days, ten on a page.

Good for daily increments; a whole archive would be 800,000 pages, so a first day must be named. NLM asks for at most
three requests a second, one at a time, and for more than 100 only outside its busy hours; the 101st stops a run in
those hours, and the next run goes on from there. Each article is an item of its own, its bytes those of the `article`
element of its record. A record that PMC deleted is put aside: what an older corpus has of it should go.

Options: `from` and `until` (days, both included), `set`, `any_hour` (ask in the busy hours too; only with NLM's
consent), `min_expected` (articles), `citations` as in `scrapers.pmc`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlencode

from manifests.document import Document, Quarantined
from manifests.errors import RecipeError, SourceError
from manifests.store import Store
from scrapers import oai
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats import jats
from scrapers.formats.errors import Unreadable
from scrapers.http import Client, Response
from scrapers.http_errors import GaveUp
from scrapers.jats_documents import documents
from scrapers.options import checked
from scrapers.pmc_read import checked_citations
from scrapers.snapshot import is_complete, payload
from scrapers.source import AcquireContext, Item, SourceConfig

BASE = "https://pmc.ncbi.nlm.nih.gov/api/oai/v1/mh/"
PREFIX = "pmc"
DELAY_SECONDS = 0.34
"""At most 3 requests a second, https://pmc.ncbi.nlm.nih.gov/tools/oai/."""
MAX_CALLS_IN_BUSY_HOURS = 100
"""Busy: Monday to Friday, 5:00 to 21:00 US Eastern time; same page."""
IDENTIFIER = re.compile(r"oai:pubmedcentral\.nih\.gov:(\d+)")
_OCR = re.compile(rb"""preformat-type=["']pmc-ocr-text["']""")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class Loader:
    """The source `pmc-oai`."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        defaults = {
            "from": "",
            "until": "",
            "set": "pmc-open",
            "any_hour": False,
            "min_expected": 0,
            "citations": "drop",
        }
        self._options = checked(config, defaults)
        self._citations = checked_citations(self._options["citations"], where=f"[sources.{config.source}] options")
        for name in ("from", "until"):
            if self._options[name] and not _is_day(self._options[name]):
                raise self._wrong(f"{name} is {self._options[name]!r}.", "It is a day.")
        if self._options["until"] and self._options["until"] < self._options["from"]:
            raise self._wrong(f"until is {self._options['until']}, before from.", "Both days are included.")

    def acquire(self, context: AcquireContext) -> None:
        """Fetch the pages of the list, and make an item of each article in them."""
        if is_complete(context.raw):
            return
        if not self._options["from"]:
            raise self._wrong("no first day is named.", "All of PMC would be 800,000 pages; its bucket is source pmc.")
        client = OaiClient(context, self.config, any_hour=self._options["any_hour"])
        capture(
            context,
            source=self.config.source,
            snapshot=self.config.snapshot,
            discover=partial(self._discover, client),
            client=client,
        )

    def _discover(self, client: OaiClient, listing: Listing) -> Iterator[Wanted]:
        question = oai.Question(PREFIX, self._options["set"], self._options["from"], self._options["until"])
        found = 0
        for record in oai.records(listing, BASE, question, before_page=client.page):
            number = IDENTIFIER.fullmatch(record.identifier)
            if not number:
                raise SourceError(
                    f"{oai.RECORD}/header/identifier is {record.identifier[:80]!r}, not {IDENTIFIER.pattern}.",
                    where=BASE,
                    why="PMC has probably changed its identifiers; articles would get wrong names.",
                    fix="Correct scrapers/pmc_oai.py.",
                )
            pmcid = f"PMC{number[1]}"
            if record.deleted:
                listing.count("deleted")
                listing.set_aside(pmcid, "extract.not_fetched", f"PMC deleted it on {record.datestamp}.")
                continue
            found += 1
            if not record.metadata:
                listing.set_aside(pmcid, "extract.bad_record", f"Its record of {record.datestamp} has no metadata.")
                continue
            url = record_url(record.identifier)
            listing.keep(pmcid, url, record.metadata)
            yield Wanted(pmcid, url, meta={"datestamp": record.datestamp})
        if found < self._options["min_expected"]:
            raise SourceError(
                f"{oai.RECORD} matched {found} articles, at least {self._options['min_expected']} are expected.",
                where=question.url(BASE, question.since),
                fix="Look at the address in a browser; lower min_expected, or correct scrapers/pmc_oai.py.",
            )

    def read(self, item: Item, raw: Store, resolved: Any | None) -> Iterator[Document | Quarantined]:
        """The article, then its sub-articles and translated abstracts."""
        data = payload(raw, item)
        try:
            articles = jats.parse(data, self._citations)
        except Unreadable as error:
            yield Quarantined(item.item, self.config.source, error.reason, error.detail, item.sha256)
            return
        if articles[0].pmcid not in ("", item.item):
            detail = f"Its record is that of {item.item}, the article in it says {articles[0].pmcid}."
            yield Quarantined(item.item, self.config.source, "extract.bad_record", detail, item.sha256)
            return
        if _OCR.search(data):
            detail = "OCR of a scanned print: numbers in it cannot be trusted."
            yield Quarantined(item.item, self.config.source, "extract.not_a_document", detail, item.sha256)
            return
        url = f"https://pmc.ncbi.nlm.nih.gov/articles/{item.item}/"
        yield from documents(articles, self.config, pmcid=item.item, aside=item.item, url=url, raw_ref=item.sha256)

    def _wrong(self, what: str, why: str) -> RecipeError:
        fix = 'Write from = "2026-11-20", and until likewise.'
        return RecipeError(what, where=f"[sources.{self.config.source}] options", why=why, fix=fix)


class OaiClient(Client):
    """The client for PMC's OAI-PMH: one request at a time, and few of them in NLM's busy hours."""

    def __init__(self, context: AcquireContext, config: SourceConfig, *, any_hour: bool) -> None:
        delay = float(config.options.get("delay_seconds", DELAY_SECONDS))
        super().__init__(**{**context.http, "delay_seconds": delay, "concurrency": 1})
        self._any_hour = any_hour
        self._hour: Callable[[], datetime.datetime] = context.http.get(
            "now", lambda: datetime.datetime.now(datetime.UTC)
        )
        self._page = 0

    def page(self, number: int) -> None:
        """Note the number of the page that comes next, captured before or not."""
        self._page = number

    def get(self, url: str, **how: Any) -> Response:
        """As `Client.get`; GaveUp for a page beyond the hundredth in the busy hours."""
        if self._page > MAX_CALLS_IN_BUSY_HOURS and not self._any_hour and is_busy(self._hour()):
            raise GaveUp(
                f"page {self._page} waits: NLM asks for no more than {MAX_CALLS_IN_BUSY_HOURS} requests of a program"
                " from Monday to Friday between 5:00 and 21:00 US Eastern time. Run the same command again outside"
                " those hours, it goes on from here; with NLM's consent, set any_hour = true.",
                url=url,
            )
        return super().get(url, **how)


def record_url(identifier: str) -> str:
    """The address of one record."""
    asked = {"verb": "GetRecord", "identifier": identifier, "metadataPrefix": PREFIX}
    return f"{BASE}?{urlencode(asked, safe=':')}"


def is_busy(moment: datetime.datetime) -> bool:
    """True from Monday to Friday between 5:00 and 21:00 US Eastern time.

    Summer time is reckoned here, because machines without a time zone database are common: from the second Sunday in
    March to the first in November, each at 2:00 local time (15 U.S.C. 260a).
    """
    utc = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    begins = datetime.datetime.combine(_sunday(utc.year, 3, 2), datetime.time(7))
    ends = datetime.datetime.combine(_sunday(utc.year, 11, 1), datetime.time(6))
    local = utc - datetime.timedelta(hours=4 if begins <= utc < ends else 5)
    return local.weekday() < 5 and 5 <= local.hour < 21


def _sunday(year: int, month: int, which: int) -> datetime.date:
    first = datetime.date(year, month, 1)
    return first + datetime.timedelta(days=(6 - first.weekday()) % 7 + 7 * (which - 1))


def _is_day(value: str) -> bool:
    try:
        return bool(_DAY.fullmatch(value)) and bool(datetime.date.fromisoformat(value))
    except ValueError:
        return False
