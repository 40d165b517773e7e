"""The last block of the pass that learns boilerplate: how many documents of a task hold each removable line.

A count-only pass: what it reads is extracted and meets the rules that come before `clean.boilerplate`, and nothing else
is done with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datatrove.pipeline.base import PipelineStep

from filters.line_counts import CountedLine, LineCounter, Thresholds, learnt_file
from manifests.merge import PartFile, merged
from manifests.reasons import KEPT
from manifests.store import Store
from manifests.write import writing_table
from pipelines.stage import write_task_mark
from pipelines.steps.record import record_of

LEARNT_FILE = "lines.json"

LINES = pa.schema(
    [
        pa.field("hash", pa.uint64(), nullable=False),
        pa.field("documents", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("characters", pa.int64(), nullable=False),
        pa.field("withheld", pa.string(), nullable=False),
        pa.field("line", pa.string(), nullable=False),
    ]
)
"""`CountedLine`s of one task, sorted by hash."""


class CountLines(PipelineStep):  # type: ignore[misc]
    """Writes the counts of one task, and nothing of its documents."""

    type = "PROFILE"
    name = "count lines"

    def __init__(self, folder_url: str, thresholds: Thresholds, *, restricted: bool) -> None:
        super().__init__()
        self.folder_url, self.thresholds, self.restricted = folder_url, thresholds, restricted

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        folder = Store(self.folder_url, mode=0o600 if self.restricted else None)
        path = part_path(rank)
        with LineCounter(self.thresholds, restricted=self.restricted) as counter:
            for block in data:
                record = record_of(block)
                if record.fate == KEPT:
                    counter.add(record.document.text)
            with writing_table(folder, path, LINES) as writer:
                for piece in counter.counted():
                    writer.add(pa.Table.from_pylist([one._asdict() for one in piece], schema=LINES))
        write_task_mark(folder, rank, [path], {"documents": counter.documents})
        yield from ()


def part_path(rank: int) -> str:
    """File of one task's counts."""
    return f"counts/{rank:05d}.parquet"


def resolve_lines(source: str, folder: Store, thresholds: Thresholds, *, restricted: bool) -> None:
    """Write `lines.json` from the counts of a finished stage, in memory that does not grow with them."""
    record = folder.read_json("stage.json")
    documents = sum(fact["documents"] for fact in record["facts"])
    parts = [PartFile(folder, path) for path in record["files"]]
    lines: list[CountedLine] = []
    for rows in merged(parts, LINES, sort=["hash"]):
        # What did not reach the share in a task has no words there; where a line did, they are the same.
        columns = [(name, "max") for name in LINES.names[2:]]
        sums = rows.group_by("hash").aggregate([("documents", "sum"), *columns])
        least = sums.filter(pc.greater_equal(sums.column("documents_sum"), thresholds.min_documents))
        for row in least.to_pylist():
            one = CountedLine(row["hash"], row["documents_sum"], *(row[f"{name}_max"] for name, _ in columns))
            if thresholds.reached(one.documents, documents):
                lines.append(one)
    folder.write_json(LEARNT_FILE, learnt_file(source, documents, lines, thresholds, restricted=restricted))
