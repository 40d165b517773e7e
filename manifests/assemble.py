"""Part rows of all tasks into the tables of a manifest: sorted, in constant memory, the same bytes every time.

A document's row begins in pass 1; what pass 2 decided and pass 3 counted is entered here. A document nobody
decided about, one with two rows, or two with one key are errors that name them: the books would not close.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.buckets import Buckets, repeated_keys
from manifests.errors import BuildError
from manifests.merge import Follower, PartFile, merged
from manifests.reasons import KEPT
from manifests.schema import DOCUMENTS, MEASURES, PLACEMENTS, QUARANTINE
from manifests.store import Store
from manifests.write import writing_table

RESOLUTION = pa.schema(
    [
        DOCUMENTS.field("doc_id"),
        DOCUMENTS.field("fate"),
        DOCUMENTS.field("fate_value"),
        DOCUMENTS.field("fate_threshold"),
        DOCUMENTS.field("cluster_key"),
        DOCUMENTS.field("cluster_size"),
        DOCUMENTS.field("unit"),
        DOCUMENTS.field("split"),
    ]
)
"""What pass 2 decides of every document that pass 1 kept, sorted by doc_id."""

TOKENS = pa.schema([DOCUMENTS.field("doc_id"), DOCUMENTS.field("n_tokens"), DOCUMENTS.field("epochs")])
"""What pass 3 counts and the mixture plans, sorted by doc_id; `epochs` of a validation document is ignored."""

DOCUMENTS_FILE = "manifest/documents.parquet"
MEASURES_FILE = "manifest/measures.parquet"
PLACEMENTS_FILE = "manifest/placements.parquet"
QUARANTINE_FILE = "manifest/quarantine.parquet"


def assemble_documents(
    parts: Sequence[PartFile],
    resolution: Sequence[PartFile],
    tokens: Sequence[PartFile],
    out: Store,
    *,
    path: str = DOCUMENTS_FILE,
) -> int:
    """Write documents.parquet from parts of pass 1 (`DOCUMENTS`), `RESOLUTION` and `TOKENS`; return its rows.

    All parts are sorted by doc_id, none need cover a range of its own. `fate` of a document that pass 1 dropped
    stays; `resolution` and `tokens` hold exactly the documents kept by pass 1 and at the end.
    """
    decided = Follower(resolution, RESOLUTION, "doc_id")
    counted = Follower(tokens, TOKENS, "doc_id")
    with Buckets([]) as keys:
        with writing_table(out, path, DOCUMENTS) as writer:
            for rows in merged(parts, DOCUMENTS, sort=["doc_id"]):
                _unique(rows)
                last = rows.column("doc_id")[-1].as_py()
                rows = _entered(_resolved(rows, decided.upto(last)), counted.upto(last))
                keys.add(rows.column("doc_key").to_numpy())
                writer.add(rows)
            for name, left in (("pass 2", decided.upto(None)), ("pass 3", counted.upto(None))):
                if len(left):
                    raise _unknown(name, left.column("doc_id")[0].as_py())
            repeated = repeated_keys(keys)
            total = writer.rows
        if repeated:
            twins = ids_of_key(out, repeated[0], path=path)
            out.remove(path)
            raise BuildError(
                f"{' and '.join(repr(name) for name in twins)} have the same 64-bit key {repeated[0]:016x}.",
                where=path,
                why="Shards name documents by this key; the two could not be told apart.",
                fix="Put one of them on the denylist (`medtrove takedown add`).",
            )
    return total


def assemble_measures(parts: Sequence[PartFile], out: Store) -> int:
    """Write measures.parquet from parts sorted as it is; return its rows."""
    return _merge(parts, out, MEASURES_FILE, MEASURES, sort=("doc_id", "rule", "measure"), key=("doc_id",))


def assemble_placements(parts: Sequence[PartFile], out: Store) -> int:
    """Write placements.parquet from parts sorted as it is; return its rows."""
    return _merge(parts, out, PLACEMENTS_FILE, PLACEMENTS, sort=("shard", "row", "start"), key=("shard", "row"))


def assemble_quarantine(parts: Sequence[PartFile], out: Store) -> int:
    """Write quarantine.parquet from parts sorted by (source, item); return its rows."""
    sort = ("source", "item", "reason", "detail", "raw_ref")
    return _merge(parts, out, QUARANTINE_FILE, QUARANTINE, sort=sort, key=("source", "item"))


def ids_of_key(build: Store, doc_key: int, *, path: str = DOCUMENTS_FILE) -> list[str]:
    """Every doc_id with this key; one, unless keys collide."""
    with build.reading(path) as stream:
        table = pq.read_table(
            stream, columns=["doc_id"], filters=pc.field("doc_key") == pa.scalar(doc_key, pa.uint64())
        )
    found: list[str] = table.column("doc_id").to_pylist()
    return found


def _merge(
    parts: Sequence[PartFile], out: Store, path: str, schema: pa.Schema, *, sort: Sequence[str], key: Sequence[str]
) -> int:
    with writing_table(out, path, schema) as writer:
        for rows in merged(parts, schema, sort=sort, key=key):
            writer.add(rows)
        return writer.rows


def _unique(rows: pa.Table) -> None:
    ids = rows.column("doc_id").combine_chunks()
    same = pc.equal(ids[:-1], ids[1:]).to_numpy(zero_copy_only=False)
    if same.any():
        first, second = rows.slice(int(np.argmax(same)), 2).select(["doc_id", "source", "raw_ref"]).to_pylist()
        raise BuildError(
            f"{first['doc_id']!r} was read twice: from payload {first['raw_ref'][:12] or '(none)'} of "
            f"{first['source']} and payload {second['raw_ref'][:12] or '(none)'} of {second['source']}.",
            where=DOCUMENTS_FILE,
            why="A doc_id names one document; its fate could not be told.",
            fix="Let the loader merge the two, or quarantine one as extract.same_id.",
        )


def _found(rows: pa.Table, other: pa.Table, name: str) -> tuple[pa.Table, Any]:
    """`other` aligned with `rows` (null where it says nothing), and which rows it speaks of."""
    index = pc.index_in(rows.column("doc_id"), value_set=other.column("doc_id").combine_chunks())
    spoken = pc.is_valid(index)
    if pc.sum(spoken).as_py() != len(other):
        known = pc.is_in(other.column("doc_id"), value_set=rows.column("doc_id").combine_chunks())
        strangers = other.filter(pc.invert(known)).column("doc_id").to_pylist()
        # All known, and still too many: then one is there twice.
        raise _unknown(name, strangers[0]) if strangers else _twice(name, other)
    return other.take(index), spoken


def _resolved(rows: pa.Table, decided: pa.Table) -> pa.Table:
    aligned, spoken = _found(rows, decided, "pass 2")
    kept = pc.equal(rows.column("fate"), KEPT)
    _agree(rows, kept, spoken, "pass 2 decided nothing about", "pass 2 decided about a document that pass 1 dropped:")
    for name in RESOLUTION.names[1:]:
        rows = _replace(rows, name, pc.if_else(spoken, aligned.column(name), rows.column(name)))
    kept = pc.equal(rows.column("fate"), KEPT)
    return _replace(rows, "split", pc.if_else(kept, rows.column("split"), ""))


def _entered(rows: pa.Table, counted: pa.Table) -> pa.Table:
    aligned, spoken = _found(rows, counted, "pass 3")
    kept = pc.equal(rows.column("fate"), KEPT)
    _agree(rows, kept, spoken, "pass 3 did not tokenise", "pass 3 tokenised a document that was dropped:")
    rows = _replace(rows, "n_tokens", aligned.column("n_tokens"))
    # Times the document stands in the training shards: a validation document never does.
    trained = pc.and_(kept, pc.equal(rows.column("split"), "train"))
    return _replace(rows, "epochs", pc.if_else(trained, aligned.column("epochs"), 0))


def _agree(rows: pa.Table, kept: Any, spoken: Any, missing: str, extra: str) -> None:
    for sentence, wrong in (
        (missing, pc.and_(kept, pc.invert(spoken))),
        (extra, pc.and_(pc.invert(kept), spoken)),
    ):
        if pc.any(wrong).as_py():
            raise BuildError(
                f"{sentence} {rows.column('doc_id').filter(wrong)[0].as_py()!r}.",
                where=DOCUMENTS_FILE,
                why="Every document needs one fate, and the books must close.",
                fix="Remove the folders of the later of the two stages and build again.",
            )


def _replace(rows: pa.Table, name: str, column: Any) -> pa.Table:
    field = DOCUMENTS.field(name)
    return rows.set_column(rows.schema.get_field_index(name), field, column.cast(field.type))


def _unknown(name: str, doc_id: str) -> BuildError:
    return BuildError(
        f"{name} speaks of {doc_id!r}, which pass 1 never read.",
        where=DOCUMENTS_FILE,
        why="Its stages belong to different inputs.",
        fix="Remove the folders of that stage and build again.",
    )


def _twice(name: str, other: pa.Table) -> BuildError:
    counts = {one["values"]: one["counts"] for one in pc.value_counts(other.column("doc_id")).to_pylist()}
    doc_id = next(value for value, count in counts.items() if count > 1)
    return BuildError(
        f"{name} speaks of {doc_id!r} twice.",
        where=DOCUMENTS_FILE,
        fix="Remove the folders of that stage and build again.",
    )
