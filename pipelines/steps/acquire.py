"""The block that fetches one source into its raw snapshot; one task, because one writer owns the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from datatrove.pipeline.base import PipelineStep

from manifests.store import Store
from pipelines import heartbeat
from pipelines.stage import write_task_mark
from scrapers.source import AcquireContext, SourceConfig, load


class AcquireSource(PipelineStep):  # type: ignore[misc]
    """Calls the source's `acquire`; a complete snapshot costs nothing."""

    type = "FETCH"

    def __init__(self, config: SourceConfig, raw_url: str, folder_url: str, http: Mapping[str, Any]) -> None:
        self.name = f"acquire {config.source}"
        super().__init__()  # reads the name
        self.config = config
        self.raw_url = raw_url
        self.folder_url = folder_url
        self.http = dict(http)

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        raw = Store(self.raw_url, mode=0o600 if self.config.restricted else None)
        load(self.config).acquire(AcquireContext(raw=raw, http=self.http, progress=_progress))
        write_task_mark(Store(self.folder_url), rank, [], {})
        yield from ()


def _progress(*, done: int, total: int | None, note: str = "") -> None:
    heartbeat.beat(done, f"of {total} {note}" if total else note)
