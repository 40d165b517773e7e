"""PubMed by topic: the records that a search finds, fetched by E-utilities; for pilots, not for the whole.

    [sources.pubmed]
    loader = "pubmed_query"
    options = { query = "sepsis[mesh] AND guideline[pt]" }

Unlike the bulk files these are today's records: no revisions to merge, nothing withdrawn. More than `max_records` is an
error, because the bulk files of the loader `pubmed` are then the kinder door; so is nothing at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from manifests.document import Document, Quarantined
from manifests.errors import RecipeError, SourceError
from manifests.store import Store
from scrapers import eutils_replies as replies
from scrapers import revisions
from scrapers.capture import Listing, Wanted, capture
from scrapers.eutils import Eutils, batches, eutils_client, fetch_url
from scrapers.options import checked
from scrapers.snapshot import open_payload, payload
from scrapers.source import AcquireContext, Item, SourceConfig

MAX_RECORDS = 100_000
"""500 requests of 200 records; the bulk files hold 30,000 each."""


class Loader:
    """Records that `query` finds. Options: `query`, `max_records`, `min_expected` (records; 0: at least one)."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = checked(config, {"query": "", "max_records": MAX_RECORDS, "min_expected": 0})
        if not self._options["query"].strip():
            raise RecipeError(
                "there is no query.",
                where=f"[sources.{config.source}] options",
                fix='Write query = "..." as on https://pubmed.ncbi.nlm.nih.gov/.',
            )

    def acquire(self, context: AcquireContext) -> None:
        """Search, then fetch what was found, 200 records an item."""
        capture(
            context,
            source=self.config.source,
            snapshot=self.config.snapshot,
            discover=partial(self._discover, str(context.http["contact"])),
            client=eutils_client(context, self.config),
        )

    def _discover(self, email: str, listing: Listing) -> Iterator[Wanted]:
        door, query = Eutils(listing, email=email), self._options["query"]
        found = door.count("pubmed", query)
        least, most = self._options["min_expected"] or 1, self._options["max_records"]
        if not least <= found <= most:
            raise SourceError(
                f"{query!r} finds {found:,} records, at least {least:,} and at most {most:,} are expected.",
                where="https://pubmed.ncbi.nlm.nih.gov/",
                why="Nothing is a misspelt query; very much is better had from the bulk files.",
                fix="Correct the query, set min_expected or max_records, or use the loader `pubmed`.",
            )
        for batch in batches(door.ids("pubmed", query)):
            url = fetch_url("pubmed", batch, who=door.who)
            yield Wanted(f"{batch[0]}-{batch[-1]}", url, meta={"pmids": batch}, expect="xml")

    def read(self, item: Item, raw: Store, resolved: Any | None) -> Iterator[Document | Quarantined]:
        """Documents of the records of one reply, books among them; ids that no record came for are counted."""
        try:
            articles = replies.article_set(payload(raw, item), "pubmed", item.url)
        except replies.Unusable as error:
            yield Quarantined(item.item, self.config.source, "extract.not_a_document", error.what, item.sha256)
            return
        with open_payload(raw, item) as stream:
            yield from revisions.read(stream, 0, None, self.config, item)
        missing = len(set(json.loads(item.meta)["pmids"]) - articles.ids)
        if missing:
            detail = f"Of this reply ids that no record came for: {missing:,}."
            yield Quarantined(item.item, self.config.source, "extract.not_fetched", detail, item.sha256)
