"""The last block of pass 1: text and signatures of what stays, books of everything that came."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.pipeline.base import PipelineStep

from dedup.signatures import MinHashConfig, Signer
from filters.numbers import numbers
from filters.words import Words
from manifests.document import Document
from manifests.identity import doc_key, family_of, text_hash
from manifests.reasons import KEPT
from manifests.schema import DOCUMENTS, MEASURES, PREPARED, QUARANTINE, SIGNATURES
from manifests.store import Store
from pipelines.stage import write_task_mark
from pipelines.steps.read import ReadSource
from pipelines.steps.record import Record, record_of

RUN_CHARACTERS = 128_000_000
"""A task sorts and writes its text whenever it holds this much, so its memory is bounded."""

TEXT_ROW_GROUP = 1_000
"""Rows of text read back at once when a block is tokenised or a candidate pair verified."""


QUARANTINE_ROW_GROUP = 100_000
"""Rows of what was put aside held at once; a source may have refused millions."""


class WritePrepared(PipelineStep):  # type: ignore[misc]
    """Writes the part files of one task: `text`, `signatures`, `documents`, `measures`, `quarantine`."""

    type = "WRITER"
    name = "write prepared"

    def __init__(self, folder_url: str, reader: ReadSource, minhash: MinHashConfig, *, restricted: bool) -> None:
        super().__init__()
        self.folder_url = folder_url
        self.reader = reader
        self.minhash = minhash
        self.restricted = restricted

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        self._write(data, rank)
        yield from ()

    def _write(self, data: Any, rank: int) -> None:
        parts = _Parts(Store(self.folder_url, mode=0o600 if self.restricted else None), rank, self.minhash)
        seen: set[int] = set()
        for block in data:
            record = record_of(block)
            key = doc_key(record.document.doc_id)
            if key in seen:
                parts.set_aside(record.document)
                continue
            seen.add(key)
            parts.add(record, key)
            self.stat_update("documents")
        parts.finish(self.reader)


class _Parts:
    """The part files of one task, written in sorted runs."""

    def __init__(self, store: Store, rank: int, minhash: MinHashConfig) -> None:
        self.store, self.rank = store, rank
        # The signer remembers chunks itself.
        self.signer = Signer(minhash, Words(capacity=0).simple, numbers)
        self.records: list[tuple[int, Record]] = []
        self.held_characters = 0
        self.run_number = 0
        self.files: list[str] = []
        self.quarantine: list[dict[str, str]] = []
        self.entered = 0
        self.fates: Counter[str] = Counter()
        self.edits: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.kept_characters = 0

    def add(self, record: Record, key: int) -> None:
        self.entered += 1
        self.fates[record.fate] += 1
        self.edits.update(set(record.edits))
        self.counts.update(record.counts)
        if record.fate == KEPT:
            self.kept_characters += len(record.document.text)
        record.document.indexing = ()  # the rules are done with it, and it may be longer than an abstract
        self.records.append((key, record))
        self.held_characters += len(record.document.text)
        if self.held_characters >= RUN_CHARACTERS:
            self.flush()

    def set_aside(self, document: Document) -> None:
        """A second record under an id of this task: never merged by guess, put aside and counted."""
        self.quarantine.append(
            {
                "item": document.doc_id,
                "source": document.source,
                "reason": "extract.same_id",
                "detail": "Another record of this source has the same id and was read first.",
                "raw_ref": document.raw_ref,
            }
        )

    def flush(self) -> None:
        if not self.records:
            return
        name = f"{self.rank:05d}-{self.run_number:03d}.parquet"
        self.run_number += 1
        by_key = sorted(self.records, key=lambda pair: pair[0])
        kept = [(key, record) for key, record in by_key if record.fate == KEPT]
        self._put(f"text/{name}", PREPARED, [_prepared_row(key, record) for key, record in kept], TEXT_ROW_GROUP)
        made = self.signer.sign_many([record.document.text for _, record in kept])
        signatures = [
            {"doc_key": key, "bands": one.bands, "numbers": one.numbers, "n_shingles": one.n_shingles}
            for (key, _), one in zip(kept, made, strict=True)
        ]
        self._put(f"signatures/{name}", SIGNATURES, signatures)
        by_id = sorted(self.records, key=lambda pair: pair[1].document.doc_id)
        self._put(f"documents/{name}", DOCUMENTS, [_document_row(key, record) for key, record in by_id])
        measures = [
            {"doc_id": record.document.doc_id, "rule": rule, "measure": measure, "value": value}
            for _, record in by_id
            for rule, measure, value in sorted(record.measures)
        ]
        self._put(f"measures/{name}", MEASURES, measures)
        self.records, self.held_characters = [], 0

    def finish(self, reader: ReadSource) -> None:
        self.flush()
        reasons = self._put_quarantine(reader)
        facts = {
            "items": reader.items_read,
            "items_with_documents": reader.items_with_documents,
            "entered": self.entered,
            "fates": dict(sorted(self.fates.items())),
            "edits": dict(sorted(self.edits.items())),
            "counts": dict(sorted(self.counts.items())),
            "quarantined": dict(sorted(reasons.items())),
            "kept_characters": self.kept_characters,
        }
        write_task_mark(self.store, self.rank, self.files, facts)

    def _put_quarantine(self, reader: ReadSource) -> Counter[str]:
        """Write what was not read, by this task or, for the first one, by acquisition; how many for each reason."""

        def order(row: dict[str, str]) -> tuple[str, str, str]:
            return row["source"], row["item"], row["detail"]

        name = f"quarantine/{self.rank:05d}.parquet"
        reasons: Counter[str] = Counter()
        rows = heapq.merge(
            sorted(self.quarantine + reader.quarantine, key=order), reader.never_read(self.rank), key=order
        )
        with self.store.writing(name) as stream, pq.ParquetWriter(stream, QUARANTINE, compression="zstd") as writer:
            while some := list(islice(rows, QUARANTINE_ROW_GROUP)):
                reasons.update(row["reason"] for row in some)
                writer.write_table(pa.Table.from_pylist(some, schema=QUARANTINE))
        self.files.append(name)
        return reasons

    def _put(self, name: str, schema: pa.Schema, rows: list[dict[str, Any]], row_group: int = 100_000) -> None:
        with self.store.writing(name) as stream:
            table = pa.Table.from_pylist(rows, schema=schema)
            pq.write_table(table, stream, compression="zstd", row_group_size=row_group)
        self.files.append(name)


def _prepared_row(key: int, record: Record) -> dict[str, Any]:
    document = record.document
    return {
        "doc_key": key,
        "doc_id": document.doc_id,
        "subject": document.subject,
        "published": document.published,
        "text": document.text,
    }


def _document_row(key: int, record: Record) -> dict[str, Any]:
    document = record.document
    return {
        "doc_id": document.doc_id,
        "doc_key": key,
        "source": document.source,
        "kind": document.kind,
        "licence": document.licence,
        "licence_evidence": document.licence_evidence,
        "lang": document.lang,
        "year": document.year,
        "pmid": document.pmid,
        "pmcid": document.pmcid,
        "doi": document.doi,
        "url": document.url,
        "title": "" if document.restricted else document.title,
        "subject": document.subject if document.restricted else "",
        "family": document.family or (family_of(document.doc_id) if document.kind == "guideline" else ""),
        "raw_ref": document.raw_ref,
        "text_hash": text_hash(document.text),
        "n_chars_raw": record.n_chars_raw,
        "n_chars": len(document.text),
        "n_tokens": None,
        "score": document.score,
        "fate": record.fate,
        "fate_value": record.fate_value,
        "fate_threshold": record.fate_threshold,
        "cluster_key": "",
        "cluster_size": 1,
        "phi_action": record.phi_action,
        "phi_count": record.phi_count,
        "edits": ",".join(record.edits),
        "split": "",
        "unit": None,
        "epochs": 0,
        "document_status": document.document_status,
        "restricted": document.restricted,
    }
