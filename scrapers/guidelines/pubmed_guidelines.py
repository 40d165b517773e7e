"""Practice guidelines of PubMed whose full text is in PMC's open access subset, under the licence of each article.

esearch names the records that NLM indexed as `Practice Guideline`, the ID converter their PMCIDs; versions, metadata
and XML are those of PMC's bucket (`scrapers.pmc_articles`), so the licence of every article is looked at before its
text is asked for. Records say what became of a guideline: one with a later update is superseded, one that was
retracted is marked so (https://www.nlm.nih.gov/bsd/mms/medlineelements.html#cc).

Options: `term` (what esearch is asked), `use`, `licences`, `on_conflict` and `citations` as in `scrapers.pmc`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from manifests.document import Document, Quarantined
from manifests.errors import SourceError
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.eutils import BASE, Eutils, eutils_client
from scrapers.fetching import Fetcher
from scrapers.formats.errors import Unreadable
from scrapers.formats.xml_safe import parse
from scrapers.guidelines.listed import check_found, listed_options
from scrapers.pmc import bucket_client
from scrapers.pmc_articles import listed_rows, wanted_articles
from scrapers.pmc_licence import accepted_families
from scrapers.pmc_read import checked_citations, checked_on_conflict, read_article
from scrapers.snapshot import is_complete
from scrapers.source import AcquireContext, Item, SourceConfig

TERM = '"Practice Guideline"[pt] AND "pubmed pmc open access"[filter]'
_RETRACTED, _UPDATED, _UPDATES = "RetractionIn", "UpdateIn", "UpdateOf"
_RETRACTED_TYPE = "Retracted Publication"


@dataclass(slots=True)
class _Found:
    """What NCBI says before the bucket is asked."""

    pmcids: dict[str, str] = field(default_factory=dict)
    """PMID -> PMCID."""
    without: list[str] = field(default_factory=list)
    """PMIDs that the ID converter does not know in PMC."""
    superseded: set[str] = field(default_factory=set)
    retracted: set[str] = field(default_factory=set)
    versions: list[tuple[str, str]] = field(default_factory=list)
    """(PMID, PMID of what it updates or is updated by)."""
    counts: Counter[str] = field(default_factory=Counter)


class Loader:
    """The source `pubmed-guidelines`: doc_ids are `pubmed-guidelines:<PMCID>`."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        where = f"[sources.{config.source}] options"
        defaults = {"term": TERM, "use": "", "licences": [], "on_conflict": "quarantine", "citations": "drop"}
        self._options = listed_options(config, defaults)
        self._accepted = accepted_families(self._options["use"], self._options["licences"], where=where)
        self._citations = checked_citations(self._options["citations"], where=where)
        self._on_conflict = checked_on_conflict(self._options["on_conflict"], where=where)

    def acquire(self, context: AcquireContext) -> None:
        """Ask NCBI for the records and their PMCIDs, then the bucket for the articles."""
        if is_complete(context.raw):
            return
        found = self._found(context)
        capture(
            context,
            source=self.config.source,
            snapshot=self.config.snapshot,
            discover=lambda listing: self._discover(listing, found, context.limit),
            client=bucket_client(context, self.config),
        )

    def read(self, item: Item, raw: Store, resolved: Any | None) -> Iterator[Document | Quarantined]:
        """The guideline, then its sub-articles and translated abstracts."""
        yield from read_article(item, raw, self.config, on_conflict=self._on_conflict, citations=self._citations)

    def _found(self, context: AcquireContext) -> _Found:
        found = _Found()
        # A trial needs a few: some have no open licence.
        enough = 2 * context.limit + 50 if context.limit else None
        with eutils_client(context, self.config) as client, Fetcher(context.raw, client) as fetcher:
            listing = Listing(fetcher)
            ncbi = Eutils(listing, email=str(context.http["contact"]))
            pmids = list(islice(ncbi.ids("pubmed", self._options["term"]), enough))
            where = f"{BASE}/esearch.fcgi?db=pubmed"
            if not enough:
                check_found(len(pmids), self.config, self._options, what=repr(self._options["term"]), where=where)
            found.pmcids = ncbi.pmcids(pmids)
            found.without = [pmid for pmid in pmids if pmid not in found.pmcids]
            for body in ncbi.fetch("pubmed", list(found.pmcids)):
                superseded, retracted, versions = _fates(body)
                found.versions += versions
                found.superseded |= superseded
                found.retracted |= retracted
            found.counts = listing.counts
        return found

    def _discover(self, listing: Listing, found: _Found, limit: int) -> Iterator[Wanted]:
        listing.counts.update(found.counts)
        oldest = _oldest(found.versions)
        for pmid in found.without:
            listing.set_aside(f"PMID{pmid}", "extract.not_fetched", "The ID converter knows no PMCID of it.")
        pmids = {int(pmcid.upper().removeprefix("PMC")): pmid for pmid, pmcid in sorted(found.pmcids.items())}
        numbers = iter(sorted(pmids))
        taken = 0
        while some := list(islice(numbers, 2 * limit or None)):
            rows = listed_rows(listing, some)
            for wanted in wanted_articles(listing, rows, accepted=self._accepted, keep_retracted=True):
                yield replace(wanted, meta=_with_fate(wanted, pmids[int(wanted.item[3:])], found, oldest))
                taken += 1
                if taken == (limit or self._options["limit"]):
                    return


def _with_fate(wanted: Wanted, pmid: str, found: _Found, oldest: dict[str, str]) -> dict[str, Any]:
    retracted = bool(wanted.meta["retracted"]) or pmid in found.retracted
    family = f"pubmed:{oldest[pmid]}" if pmid in oldest else ""
    fates = {"pmid": pmid, "retracted": retracted, "superseded": pmid in found.superseded}
    return {**wanted.meta, **fates, "family": family}


def _oldest(versions: list[tuple[str, str]]) -> dict[str, str]:
    """For every PMID of `versions` the smallest one that updates connect it with.

    >>> _oldest([("9", "7"), ("8", "9")])
    {'9': '7', '7': '7', '8': '7'}
    """
    oldest: dict[str, str] = {pmid: pmid for pair in versions for pmid in pair}
    changed = True
    while changed:
        changed = False
        for one, other in versions:
            first = min(oldest[one], oldest[other], key=int)
            changed = changed or first != oldest[one] or first != oldest[other]
            oldest[one] = oldest[other] = first
    return oldest


def _fates(body: bytes) -> tuple[set[str], set[str], list[tuple[str, str]]]:
    """(PMIDs with a later update, PMIDs that were retracted, what updates what) of a PubmedArticleSet."""
    try:
        root = parse(body)
    except Unreadable as error:
        raise SourceError(
            f"records of PubMed cannot be read: {error.detail}.",
            where=f"{BASE}/efetch.fcgi?db=pubmed",
            why="They say which guidelines were retracted or replaced.",
            fix="Run the same command again under a new snapshot name.",
        ) from None
    superseded: set[str] = set()
    retracted: set[str] = set()
    versions: list[tuple[str, str]] = []
    for record in root.iterfind("PubmedArticle/MedlineCitation"):
        pmid = (record.findtext("PMID") or "").strip()
        types = {(one.text or "").strip() for one in record.iterfind("Article/PublicationTypeList/PublicationType")}
        notes = record.findall("CommentsCorrectionsList/CommentsCorrections")
        marks = {one.get("RefType") for one in notes}
        others = [one.findtext("PMID") or "" for one in notes if one.get("RefType") in (_UPDATED, _UPDATES)]
        versions += [(pmid, other) for other in map(str.strip, others) if pmid.isdecimal() and other.isdecimal()]
        if _RETRACTED in marks or _RETRACTED_TYPE in types:
            retracted.add(pmid)
        if _UPDATED in marks:
            superseded.add(pmid)
    return superseded, retracted, versions
