"""The block that reads one task's items of a source into documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from datatrove.pipeline.base import PipelineStep
from pyarrow.dataset import dataset

from manifests.document import Quarantined
from manifests.markers import authentic
from manifests.store import Store
from pipelines import heartbeat
from pipelines.steps.record import to_block
from scrapers.snapshot import items_between, read_aside
from scrapers.source import Item, SourceConfig, load

LONGEST_ID = 128
"""Characters; PhysioNet's note ids have 14."""
_ID = re.compile(rf"[a-z0-9-]+:\S{{1,{LONGEST_ID}}}")
_SUBJECT = re.compile(rf"\S{{0,{LONGEST_ID}}}")
NO_ID = "What stands where the id of a record should be is none; in a shifted table it may be text, so it is not told."


class ReadSource(PipelineStep):  # type: ignore[misc]
    """Documents of the items of this task, in item order; what cannot be read goes to `quarantine`."""

    type = "READER"

    def __init__(self, config: SourceConfig, raw_url: str, tasks: list[list[int]], resolved_path: str = "") -> None:
        self.name = f"read {config.source}"
        super().__init__()  # reads the name
        self.config = config
        self.raw_url = raw_url
        self.tasks = tasks
        self.resolved_path = resolved_path
        self.quarantine: list[dict[str, str]] = []
        """What this task could not read; the writer at the end of the pipeline takes it, and `never_read`."""
        self.items_read = 0
        self.items_with_documents = 0

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        raw = Store(self.raw_url)
        source = load(self.config)
        resolved = dataset(self.resolved_path, format="parquet") if self.resolved_path else None
        done = 0
        for item in items_between(raw, *self.tasks[rank]):
            yield from self._documents(source, item, raw, resolved, done)
            done += item.length
            heartbeat.beat(done)

    def never_read(self, rank: int) -> Iterator[dict[str, str]]:
        """Rows of what acquisition put aside and so never became an item; the first task enters them in the books.

        There may be millions: they come one by one, sorted by (source, item, detail).
        """
        if rank == 0:
            for item, reason, detail in read_aside(Store(self.raw_url)):
                yield asdict(Quarantined(item, self.config.source, reason, detail))

    def _documents(self, source: Any, item: Item, raw: Store, resolved: Any, done: int) -> Iterator[Any]:
        gave = 0
        self.items_read += 1
        for found in source.read(item, raw, resolved):
            if isinstance(found, Quarantined):
                self._set_aside(found)
                continue
            if found.restricted and not (_ID.fullmatch(found.doc_id) and _SUBJECT.fullmatch(found.subject)):
                self._set_aside(Quarantined(item.item, self.config.source, "extract.bad_record", NO_ID, item.sha256))
                continue
            gave += 1
            found.text = authentic(found.text, found.counts)
            heartbeat.beat(done, f"{gave} documents of {item.item}")
            yield to_block(found)
        self.items_with_documents += bool(gave)

    def _set_aside(self, found: Quarantined) -> None:
        self.quarantine.append(asdict(found))
