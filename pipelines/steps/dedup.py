"""The block of pass 2: over all sources at once, which documents say the same and which of them stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.pipeline.base import PipelineStep

from dedup.resolve import DedupConfig, resolve
from filters.numbers import numeric_tokens
from filters.words import Words
from manifests.reasons import KEPT
from manifests.schema import QUARANTINE
from manifests.store import Store
from pipelines.prepared import PreparedTexts, kept_rows
from pipelines.stage import write_task_mark

COLUMNS = (
    "doc_id",
    "doc_key",
    "source",
    "kind",
    "subject",
    "pmid",
    "pmcid",
    "doi",
    "text_hash",
    "n_chars",
    "raw_ref",
    "score",
    "family",
)


def measured(text: str) -> list[str]:
    """Numbers with their comparators and units: `<5 mg`, `>5 mg` and `<5 mcg` are three things."""
    return [token.value for token in numeric_tokens(text)]


class ResolveDuplicates(PipelineStep):  # type: ignore[misc]
    """Reads books and signatures of every source, writes the fate of every document that pass 1 kept.

    Files: `resolution.parquet` (by doc_id), `by_key/<source>.parquet` (doc_key, doc_id, split, score; what pass
    3 reads),
    `same_id.parquet` (second records of one id in another part of a source: they never enter the books) and
    `quarantine.parquet` (the same, for the manifest).
    """

    type = "DEDUP"
    name = "resolve duplicates"

    def __init__(self, prepared: Mapping[str, str], config: DedupConfig, folder_url: str, *, restricted: bool) -> None:
        super().__init__()
        self.prepared = dict(prepared)
        self.config = config
        self.folder_url = folder_url
        self.restricted = restricted

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        folder = Store(self.folder_url, mode=0o600 if self.restricted else None)
        stores = {source: Store(url) for source, url in self.prepared.items()}
        tables = [kept_rows(store, COLUMNS, order) for order, store in enumerate(stores.values())]
        rows = pa.concat_tables(tables)
        rows, again = _first_of_each_id(rows)
        kept = rows.filter(pc.equal(rows["fate"], KEPT)).sort_by("doc_id")
        texts = PreparedTexts(list(stores.values()))
        keys = kept["doc_key"].to_pylist()
        words = Words()
        found = resolve(kept, self.config, lambda position: texts.text(keys[position]), words.simple, measured)
        self._write(folder, found.table, kept["score"], again, rank, found.counts)
        yield from ()

    def _write(
        self, folder: Store, resolution: pa.Table, scores: Any, again: pa.Table, rank: int, counts: Mapping[str, int]
    ) -> None:
        files = []

        def put(path: str, table: pa.Table) -> None:
            with folder.writing(path) as stream:
                pq.write_table(table, stream, compression="zstd", row_group_size=100_000)
            files.append(path)

        put("resolution.parquet", resolution)
        scored = resolution.append_column("score", scores)
        for source in self.prepared:
            mine = scored.filter(pc.and_(pc.equal(resolution["source"], source), pc.equal(resolution["fate"], KEPT)))
            put(f"by_key/{source}.parquet", mine.select(["doc_key", "doc_id", "split", "score"]).sort_by("doc_key"))
        put("same_id.parquet", again.select(["source", "part", "doc_key", "doc_id", "fate"]))
        detail = "Another record of this source has the same id and was read first."
        quarantine = [
            {"item": row["doc_id"], "source": row["source"], "reason": "extract.same_id", "detail": detail}
            | {"raw_ref": row["raw_ref"]}
            for row in again.select(["doc_id", "source", "raw_ref"]).to_pylist()
        ]
        put("quarantine.parquet", pa.Table.from_pylist(quarantine, schema=QUARANTINE))
        write_task_mark(folder, rank, files, {"counts": dict(counts), "same_id": len(again)})


def _first_of_each_id(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Rows split into the first of each id (source order, then part order) and the later ones."""
    keys = rows["doc_key"].to_numpy()
    _, first = np.unique(keys, return_index=True)
    mask = np.zeros(len(keys), dtype=bool)
    mask[first] = True
    return rows.filter(pa.array(mask)), rows.filter(pa.array(~mask)).sort_by(
        [("source", "ascending"), ("doc_id", "ascending"), ("part", "ascending")]
    )


def skipped_parts(folder: Store, source: str) -> dict[str, set[int]]:
    """Part name -> keys that this part's files hold a second time."""
    table = pq.read_table(folder.reading("same_id.parquet"))
    found: dict[str, set[int]] = {}
    for row in table.filter(pc.equal(table["source"], source)).to_pylist():
        found.setdefault(row["part"], set()).add(row["doc_key"])
    return found


def source_priority(named: Sequence[str], sources: Sequence[str]) -> list[str]:
    """The recipe's priority, then the sources it does not name, in recipe order."""
    return [*named, *(source for source in sources if source not in named)]
