"""documents.parquet counted again, row by row: what a build holds, whatever its summaries say.

One pass in batches. Every row that breaks a rule of the table is remembered by rule, a few by name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.assemble import DOCUMENTS_FILE
from manifests.buckets import Buckets
from manifests.identity import doc_key
from manifests.reasons import KEPT, reason
from manifests.store import Store
from manifests.subsources import SEPARATOR, UNSCORED, buckets_of

NAMED = 3
"""Offenders named per problem; the rest are counted."""

SPLITS = ("", "train", "validation")
"""A split's code in `Entries` is its place here."""

_COLUMNS = (
    "doc_id", "doc_key", "source", "licence", "title", "subject", "family", "n_chars", "n_tokens", "score", "fate",
    "cluster_key", "cluster_size", "unit", "split", "epochs", "restricted",
)  # fmt: skip


class Problems:
    """What breaks which rule: a count, and the first few by name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.named: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, check: str, offender: str, n: int = 1) -> None:
        """`n` breaches of `check`, one of them `offender`."""
        self.counts[check] += n
        if len(self.named[check]) < NAMED:
            self.named[check].append(offender)

    def add_rows(self, check: str, wrong: Any, names: Any) -> None:
        """A breach for every true row of `wrong`, named by the same row of `names`."""
        mask = pc.fill_null(wrong, True)
        offenders = names.filter(mask)
        for name in offenders.slice(0, NAMED).to_pylist():
            self.add(check, str(name), 0)
        self.counts[check] += len(offenders)


@dataclass
class SourceBooks:
    """What documents.parquet holds of one source."""

    fates: Counter[str] = field(default_factory=Counter)
    train_documents: int = 0
    validation_documents: int = 0
    kept_tokens: int = 0
    unique_tokens: int = 0
    """Of training documents."""
    effective_tokens: int = 0
    longest: dict[int, int] = field(default_factory=dict)
    """Tokens of the longest training document of so many epochs."""
    restricted: bool = False

    @property
    def entered(self) -> int:
        return sum(self.fates.values())

    @property
    def kept(self) -> int:
        return self.fates[KEPT]


@dataclass
class Books:
    """The whole table."""

    sources: dict[str, SourceBooks]
    problems: Problems
    rows: int = 0
    parts: defaultdict[str, SourceBooks] = field(default_factory=lambda: defaultdict(SourceBooks))
    """The same by sub-source: a source's score buckets, or the source itself."""


class Entries(Buckets):
    """What the shards must hold of each document, by doc_key."""

    def __init__(self) -> None:
        super().__init__([("n_tokens", "<i8"), ("epochs", "<i4"), ("source", "<u2"), ("split", "u1")])


def read_books(
    build: Store,
    source_names: list[str],
    entries: Entries | None,
    *,
    check_keys: bool,
    edges: Mapping[str, Sequence[float]] | None = None,
) -> Books:
    """Count documents.parquet; `source_names` gives each sub-source its code in `entries`, new ones are appended.

    `edges`: of the sources with score buckets. Training rows know a document's bucket, validation rows its source.
    """
    problems = Problems()
    books = Books(defaultdict(SourceBooks), problems)
    last = ""
    with (
        Buckets([]) as keys,
        Buckets([("size", "<i4")]) as clusters,
        Buckets([("split", "u1")]) as units,
        Buckets([("unit", "<u8")]) as owners,
        build.reading(DOCUMENTS_FILE) as stream,
    ):
        for batch in pq.ParquetFile(stream).iter_batches(batch_size=65_536, columns=list(_COLUMNS)):
            rows = pa.Table.from_batches([batch]).combine_chunks()
            if not len(rows):
                continue
            books.rows += len(rows)
            last = _check_rows(rows, problems, last, check_keys=check_keys)
            rows = rows.append_column("part", parts_of(rows, edges or {}))
            _count(rows, books)
            _add_units(rows, units, owners, problems)
            key = rows.column("doc_key").to_numpy()
            keys.add(key)
            _add_clusters(rows, clusters)
            if entries is not None:
                _add_entries(rows, key, entries, source_names)
        _check_keys(keys, problems)
        _check_clusters(clusters, problems)
        _check_units(units, owners, problems)
    return books


def parts_of(rows: pa.Table, edges: Mapping[str, Sequence[float]]) -> pa.Array:
    """The sub-source of every document, found again from its score."""
    if not edges:
        return rows.column("source").combine_chunks()
    scores = rows.column("score").to_numpy(zero_copy_only=False).astype(np.float32)
    found = {source: buckets_of(scores, own).tolist() for source, own in edges.items()}
    parts = [
        f"{source}{SEPARATOR}{found[source][at] if found[source][at] >= 0 else UNSCORED}" if source in found else source
        for at, source in enumerate(rows.column("source").to_pylist())
    ]
    return pa.array(parts, pa.string())


def _add_units(rows: pa.Table, units: Buckets, owners: Buckets, problems: Problems) -> None:
    kept = pc.equal(rows.column("fate"), KEPT)
    homeless = pc.and_(kept, pc.is_null(rows.column("unit")))
    problems.add_rows("documents.units", homeless, rows.column("doc_id"))
    rows = rows.filter(pc.and_(kept, pc.is_valid(rows.column("unit"))))
    unit = rows.column("unit").to_numpy()
    units.add(unit, split=pc.equal(rows.column("split"), "validation").cast(pa.uint8()).to_numpy())
    # What a patient's or a family's documents say of themselves: they must all name one unit.
    for column in ("subject", "family"):
        own = pc.not_equal(rows.column(column), "")
        if column == "family":
            own = pc.and_(own, pc.equal(rows.column("subject"), ""))
        unit = rows.column("unit").filter(own).to_numpy()
        # A family may be the id of another version, which bears the name of a third.
        for names in [rows.column(column), *([rows.column("doc_id")] if column == "family" else [])]:
            keys = [doc_key(f"{column} {name}") for name in names.filter(own).to_pylist()]
            owners.add(np.array(keys, np.uint64), unit=unit)


def _check_units(units: Buckets, owners: Buckets, problems: Problems) -> None:
    for field_, bucket, what in (
        ("split", units, "the unit {:016x} is in training and in validation"),
        ("unit", owners, "one patient or family (key {:016x}) is in several units"),
    ):
        for records in bucket:
            order = np.lexsort((records[field_], records["key"]))
            key, value = records["key"][order], records[field_][order]
            torn = np.unique(key[1:][(key[1:] == key[:-1]) & (value[1:] != value[:-1])])
            for one in torn.tolist():
                problems.add("documents.units", what.format(one))


def _check_rows(rows: pa.Table, problems: Problems, last: str, *, check_keys: bool) -> str:
    ids = rows.column("doc_id").combine_chunks()
    before = pa.concat_arrays([pa.array([last]), ids[:-1]])
    problems.add_rows("documents.sorted", pc.less_equal(ids, before), ids)
    fate, split = rows.column("fate"), rows.column("split")
    kept = pc.equal(fate, KEPT)
    unknown = pa.array([name for name in pc.unique(fate).to_pylist() if not _known(name)], pa.string())
    problems.add_rows("documents.fates", pc.is_in(fate, value_set=unknown), ids)
    epochs, n_tokens = rows.column("epochs"), rows.column("n_tokens")
    placed = pc.or_(pc.not_equal(epochs, 0), pc.not_equal(split, ""))
    problems.add_rows("documents.dropped", pc.and_(pc.invert(kept), placed), ids)
    homeless = pc.invert(pc.is_in(split, value_set=pa.array(["train", "validation"])))
    trained = pc.and_(pc.equal(split, "validation"), pc.not_equal(epochs, 0))
    wrong = pc.or_(pc.or_(homeless, trained), pc.or_(pc.is_null(n_tokens), pc.less(epochs, 0)))
    problems.add_rows("documents.kept", pc.and_(kept, wrong), ids)
    restricted = rows.column("restricted")
    told = pc.if_else(restricted, pc.not_equal(rows.column("title"), ""), pc.not_equal(rows.column("subject"), ""))
    problems.add_rows("documents.privacy", told, ids)
    if check_keys:
        made = np.fromiter((doc_key(name) for name in ids.to_pylist()), np.uint64, len(ids))
        problems.add_rows("documents.keys", pa.array(made != rows.column("doc_key").to_numpy()), ids)
    return str(ids[-1].as_py())


def _known(fate: str) -> bool:
    try:
        return fate == KEPT or bool(reason(fate))
    except KeyError:
        return False


def _count(rows: pa.Table, books: Books) -> None:
    tokens = pc.fill_null(rows.column("n_tokens"), 0)
    effective = pc.multiply(tokens, pc.cast(rows.column("epochs"), pa.int64()))
    table = rows.select(["source", "part", "fate", "split", "restricted", "epochs"])
    table = table.append_column("tokens", tokens).append_column("effective", effective)
    grouped = table.group_by(["source", "part", "fate", "split", "restricted", "epochs"]).aggregate(
        [("tokens", "count"), ("tokens", "sum"), ("tokens", "max"), ("effective", "sum")]
    )
    for row in grouped.to_pylist():
        _enter(books.sources[row["source"]], row)
        _enter(books.parts[row["part"]], row)


def _enter(of: SourceBooks, row: Mapping[str, Any]) -> None:
    of.fates[row["fate"]] += row["tokens_count"]
    of.restricted |= row["restricted"]
    of.effective_tokens += row["effective_sum"]
    if row["fate"] != KEPT:
        return
    of.kept_tokens += row["tokens_sum"]
    if row["split"] == "train":
        of.train_documents += row["tokens_count"]
        of.unique_tokens += row["tokens_sum"]
        of.longest[row["epochs"]] = max(of.longest.get(row["epochs"], 0), row["tokens_max"])
    else:
        of.validation_documents += row["tokens_count"]


def _add_clusters(rows: pa.Table, clusters: Buckets) -> None:
    inside = rows.filter(pc.not_equal(rows.column("cluster_key"), ""))
    if len(inside):
        names = inside.column("cluster_key").to_pylist()
        keys = np.fromiter((doc_key(name) for name in names), np.uint64, len(names))
        clusters.add(keys, size=inside.column("cluster_size").to_numpy())


def _check_clusters(clusters: Buckets, problems: Problems) -> None:
    for records in clusters:
        keys, inverse, counts = np.unique(records["key"], return_inverse=True, return_counts=True)
        wrong = np.unique(inverse[counts[inverse] != records["size"]])
        for number in wrong.tolist():
            problems.add("documents.clusters", f"a cluster of {counts[number]} (key {keys[number]:016x})")


def _check_keys(keys: Buckets, problems: Problems) -> None:
    for records in keys:
        found, counts = np.unique(records["key"], return_counts=True)
        for key in found[counts > 1].tolist():
            problems.add("documents.collisions", f"{key:016x}")


def _add_entries(rows: pa.Table, key: npt.NDArray[np.uint64], entries: Entries, source_names: list[str]) -> None:
    trained = pc.equal(rows.column("split"), "train")
    names = pc.if_else(trained, rows.column("part"), rows.column("source")).combine_chunks()
    encoded = names.dictionary_encode()
    for name in encoded.dictionary.to_pylist():
        if name not in source_names:
            source_names.append(name)
    codes = np.array([source_names.index(name) for name in encoded.dictionary.to_pylist()])
    split = pc.index_in(rows.column("split"), value_set=pa.array(SPLITS)).fill_null(0)
    entries.add(
        key,
        n_tokens=pc.fill_null(rows.column("n_tokens"), 0).to_numpy(),
        epochs=rows.column("epochs").to_numpy(),
        source=codes[encoded.indices.to_numpy()],
        split=split.to_numpy(),
    )
