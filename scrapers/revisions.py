"""Which revision of a PubMed record counts, decided over all files, and the documents of those that do.

A later file replaces (PMID, version) whole, the highest version of a PMID counts, and a DeleteCitation withdraws what
came up to its own file. `profile` lists the records of one file, `not_read` says which of all files' records are not
to be read, `read` gives the rest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.document import Document, Quarantined, Status
from scrapers.formats import medline
from scrapers.formats.errors import Unreadable
from scrapers.formats.medline import Broken, Deleted, MedlineRecord
from scrapers.source import Item, SourceConfig

PROFILE = pa.schema(
    [
        pa.field("pmid", pa.int64(), nullable=False),
        pa.field("version", pa.int16(), nullable=False),
        pa.field("file", pa.int32(), nullable=False),  # rank of the file: a higher one is newer
        pa.field("position", pa.int32(), nullable=False),  # of the record in its file; deletions after all records
        pa.field("deleted", pa.bool_(), nullable=False),
    ]
)
NOT_READ = pa.schema(
    [
        pa.field("file", pa.int32(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("pmid", pa.int64(), nullable=False),
        pa.field("fate", pa.dictionary(pa.int8(), pa.string()), nullable=False),
    ]
)
"""Records that another one replaced (`superseded`) or that NLM withdrew (`deleted`), by (file, position).

`schema.metadata[b"merged_away"]` is their number.
"""
_MOST_DIGITS = 18
"""Of a PMID, which is a 64-bit number here; they have eight."""


def profile(stream: IO[bytes], file: int) -> pa.Table:
    """Every record and deletion of one uncompressed file; a file that breaks off counts up to the break."""
    columns: dict[str, list[Any]] = {name: [] for name in PROFILE.names}
    try:
        for position, found in enumerate(medline.identities(stream)):
            if not found.pmid.isdecimal() or len(found.pmid) > _MOST_DIGITS:
                continue
            row = (int(found.pmid), found.version, file, position, isinstance(found, Deleted))
            for name, value in zip(PROFILE.names, row, strict=True):
                columns[name].append(value)
    except Unreadable:
        pass  # `read` meets the same break and reports it
    return pa.table(columns, schema=PROFILE)


def not_read(profiles: Sequence[pa.Table]) -> pa.Table:
    """`NOT_READ` of the profiles of all files, sorted by (file, position); `revision_merge.merge` does it on disk."""
    rows = pa.concat_tables(profiles) if profiles else PROFILE.empty_table()
    columns = {name: rows.column(name).to_numpy() for name in PROFILE.names}
    found = fates(columns)
    lost = np.flatnonzero(found)
    table = not_read_table(
        {**{name: columns[name][lost] for name in ("file", "position", "pmid")}, "fate": found[lost]}
    )
    return table.replace_schema_metadata({"merged_away": str(len(lost))})


def not_read_table(columns: Any) -> pa.Table:
    """`NOT_READ` of arrays or a structured array, sorted by (file, position); `fate` as `fates` says it."""
    order = np.lexsort((columns["position"], columns["file"]))
    named = pa.array(["superseded", "deleted"])
    fate = pa.DictionaryArray.from_arrays(pa.array(columns["fate"][order] - 1, pa.int8()), named)
    plain = {name: np.ascontiguousarray(columns[name][order]) for name in ("file", "position", "pmid")}
    return pa.table({**plain, "fate": fate}, schema=NOT_READ)


def read(
    stream: IO[bytes], file: int, resolved: Any | None, config: SourceConfig, item: Item
) -> Iterator[Document | Quarantined]:
    """Documents of the records of one uncompressed file that are to be read; what gives none is counted."""
    lost = _positions(resolved, file)
    without: Counter[str] = Counter()
    try:
        for position, found in enumerate(medline.parse(stream)):
            if isinstance(found, Deleted):
                continue
            if position in lost:
                without["were replaced or withdrawn by a later file"] += 1
            elif isinstance(found, Broken):
                name = f"PMID{found.pmid}" if found.pmid else f"record {position + 1}"
                yield Quarantined(f"{item.item} {name}", config.source, found.reason, found.detail, item.sha256)
            elif not found.abstract and not found.other_abstracts:
                without["have a title and no abstract"] += 1
            else:
                yield from documents(found, config, item.sha256)
    except Unreadable as error:
        yield Quarantined(item.item, config.source, error.reason, error.detail, item.sha256)
    for what, n in sorted(without.items()):
        detail = f"Records of this file that {what}: {n:,}."
        yield Quarantined(item.item, config.source, "extract.not_a_document", detail, item.sha256)


def documents(record: MedlineRecord, config: SourceConfig, raw_ref: str) -> Iterator[Document]:
    """The abstract of `record`, then each abstract in another language or for other readers."""
    common: dict[str, Any] = {
        "source": config.source,
        "kind": config.kind,
        "url": f"https://pubmed.ncbi.nlm.nih.gov/{record.pmid}/",
        "licence": config.licence if config.licence != "per-document" else "unknown",
        "licence_evidence": f"copyright line: {record.copyright[:200]}" if record.copyright else "card",
        "year": record.year,
        "published": record.published,
        "raw_ref": raw_ref,
        "document_status": _status(record),
        "restricted": config.restricted,
    }
    standing = {
        name: 1
        for name, true in (
            ("extract.notice", record.notice),
            ("extract.expression_of_concern", record.concern),
            ("extract.partly_retracted", record.partly_retracted),
        )
        if true
    }
    doc_id = f"{config.source}:{record.pmid}"
    if record.abstract:
        yield Document(
            doc_id=doc_id,
            text=record.text,
            title=record.title,
            lang="en",
            pmid=record.pmid,
            pmcid=record.pmcid,
            doi=record.doi,
            indexing=(
                *([f"journal:{record.journal}"] if record.journal else []),
                *(f"type:{name}" for name in record.publication_types),
                *(f"mesh:{name}" for name in record.mesh),
            ),
            counts={**record.counts, **standing},
            **common,
        )
    taken: Counter[str] = Counter()
    for other in record.other_abstracts:
        # English ones are told apart by what they are for; a second of the same kind gets a number.
        part = re.sub(r"[^a-z0-9]+", "-", (other.type if other.language == "en" else other.language).lower()).strip("-")
        taken[part] += 1
        part = part if taken[part] == 1 else f"{part}-{taken[part]}"
        title = record.vernacular_title if other.language == record.language != "en" else ""
        text = f"# {title}\n\n{other.text}" if title else other.text
        # No identifiers of the work: this is another text, not another copy of the abstract.
        yield Document(
            doc_id=f"{doc_id}#{part}", text=text, title=title, lang=other.language, counts=standing, **common
        )


def _status(record: MedlineRecord) -> Status:
    return "retracted" if record.retracted or record.retraction else "current"


def fates(columns: Any) -> Any:
    """For each row of the profiles 0 (read it), 1 (superseded) or 2 (deleted); deletions themselves give 0."""
    pmid, version, file, position, deleted = (columns[name] for name in PROFILE.names)
    found = np.zeros(len(pmid), np.int8)
    order = np.lexsort((position, file, version, pmid))
    same_version = _same_as_next(pmid[order]) & _same_as_next(version[order])
    # A row is out if any later row of its (pmid, version) exists: a newer revision, or a deletion after it.
    next_deletes = np.roll(deleted[order], -1)
    found[order[same_version & ~next_deletes]] = 1
    found[order[same_version & next_deletes]] = 2
    # Of what is left of a PMID, the highest version stays.
    alive = order[(found[order] == 0) & ~deleted[order]]
    found[alive[_same_as_next(pmid[alive])]] = 1
    found[deleted] = 0
    return found


def _same_as_next(values: Any) -> Any:
    """True where the next entry is equal; never at the last."""
    same = np.zeros(len(values), bool)
    same[:-1] = values[1:] == values[:-1]
    return same


def _positions(resolved: Any | None, file: int) -> frozenset[int]:
    """Positions of `file` in `NOT_READ`, given as a table or as a dataset, of which only what is needed is read."""
    if resolved is None:
        return frozenset()
    found = resolved.filter(pc.field("file") == file)
    table = found if isinstance(found, pa.Table) else found.to_table(columns=["position"], use_threads=False)
    return frozenset(table.column("position").to_pylist())
