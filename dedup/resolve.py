"""The decision over the whole corpus: which documents say the same, which of them stays, and which are validation.

One pure function over a table of all kept documents. In order: the denylist, identifiers, equal text, near-duplicates.
A cluster with a denied document leaves as a whole, through every kind of link. Otherwise one member represents the
others: of the source named first, then the longest, then the one with the smallest doc_id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from dedup import exact, ids, near
from dedup.buckets import Flags, Positions, candidate_pairs, pairs_with
from dedup.clusters import choose, connected, rooted, touched
from dedup.shingles import Hashes, Split, mixed
from dedup.signatures import MinHashConfig
from dedup.split import unit_hashes, validation
from dedup.verify import Verifier, verified_pairs
from manifests.reasons import KEPT

DENIED, ABSTRACT, SAME_WORK, EXACT, NEAR = (
    "dedup.denied",
    "dedup.abstract_of_full_text",
    "dedup.same_work",
    "dedup.exact",
    "dedup.near_duplicate",
)
_FATES = (KEPT, DENIED, ABSTRACT, SAME_WORK, EXACT, NEAR)

SLICE = 1_000_000
"""Rows of text made at once: a string array cannot hold more than 2 GB."""


@dataclass(frozen=True)
class DedupConfig:
    """What counts as the same, and who stays."""

    source_priority: Sequence[str] = ()
    """Sources, first one wins a cluster; those not named follow by name."""
    denylist: frozenset[str] | set[str] = frozenset()
    """Doc_ids that must not be in the corpus, nor any copy of them."""
    denied_subjects: frozenset[str] | set[str] = frozenset()
    """Patients none of whose documents may be in the corpus."""
    jaccard: float = 0.8
    """Least true similarity of a near-duplicate."""
    minhash: MinHashConfig = field(default_factory=MinHashConfig)
    """As the signatures were made."""
    drop_abstract_of_full_text: bool = True
    """True: the abstract of an article whose full text is in the corpus leaves."""
    validation_fraction: float = 0.0
    """Share of units in validation; 0: none at all."""
    validation_fractions: Mapping[str, float] = field(default_factory=dict)
    """Sources with a share of their own."""
    seed: int = 0
    """Of the choice of validation units."""


@dataclass(frozen=True)
class Resolution:
    """What became of every document."""

    table: pa.Table
    """doc_id doc_key source fate fate_value fate_threshold cluster_key cluster_size representative unit split, in the
    order of the rows. `representative` is the document itself if it stays and empty if it is denied."""
    counts: dict[str, int]
    """Documents by fate and split, and what the comparison met."""


def resolve(
    rows: pa.Table, config: DedupConfig, text_of: Callable[[int], str], words: Split, numbers: Split
) -> Resolution:
    """The fate and split of every row; rows are sorted by doc_id and unique, `text_of` takes a row number.

    `words` and `numbers` are those the signatures were made with. Depends on the content of the rows alone.
    """
    table = _Table(rows, config)
    state = _State(table)
    verifier = Verifier(text_of, words, numbers, ngram=config.minhash.ngram, threshold=config.jaccard)
    work = ids.works(rows)
    same_text = exact.links(table.text)
    known = np.concatenate([work.pairs, same_text])
    state.deny(connected(table.n, known), table.denied)

    by_id, abstracts = ids.represented(
        rows, work.labels, table.priority, table.n_chars, drop_abstracts=config.drop_abstract_of_full_text
    )
    state.drop(by_id, np.where(abstracts, _FATES.index(ABSTRACT), _FATES.index(SAME_WORK)))
    text = np.where(state.stays & (table.text >= 0), table.text, table.n + table.positions)
    state.drop(choose(text, table.priority, -table.n_chars), EXACT)

    pairs = verified_pairs(table.bands, table.comparable & state.stays, table.salt, verifier)
    reached = state.denied
    while reached.any():
        beside = pairs_with(table.bands, table.comparable, reached, table.salt)
        known = np.concatenate([known, pairs, beside[verifier.holds(beside)]])
        before = state.denied
        state.deny(connected(table.n, known), before)
        reached = state.denied & ~before

    def rank(position: int) -> tuple[int, ...]:
        return int(table.priority[position]), -int(table.n_chars[position])

    leaving = near.leaving(pairs[state.stays[pairs].all(axis=1)], rank, verifier.similarity)
    for position, (representative, value) in leaving.items():
        state.drop_near(position, representative, value)

    state.split(_units(table, same_text), config)
    counts = {
        "documents": table.n,
        **state.counts(),
        "denied_not_here": len(config.denylist) - int(np.count_nonzero(table.listed)),
        "ambiguous_identifiers": work.n_ambiguous,
        "pairs_compared": verifier.n_compared,
        "pairs_verified": len(pairs),
        "pairs_with_numbers_in_other_order": verifier.n_other_order,
    }
    return Resolution(state.table(), counts)


class _Table:
    """The rows as arrays."""

    def __init__(self, rows: pa.Table, config: DedupConfig) -> None:
        self.rows, self.n, self.jaccard = rows, len(rows), config.jaccard
        self.doc_ids = rows["doc_id"].cast(pa.large_string()).combine_chunks()
        if self.n > 1 and not pc.all(pc.less(self.doc_ids[:-1], self.doc_ids[1:])).as_py():
            raise AssertionError("rows must be sorted by doc_id, each once")
        self.positions: Positions = np.arange(self.n, dtype=np.int64)
        self.n_chars: Positions = rows["n_chars"].to_numpy().astype(np.int64)
        self.keys: Hashes = rows["doc_key"].to_numpy()
        self.text = exact.codes(rows["text_hash"])
        self.family = _families(rows)
        self.salt: Hashes = mixed(rows["numbers"].to_numpy())
        self.bands, self.comparable = _matrix(rows["bands"], config.minhash.bands)
        self.source, self.source_names = _numbered(rows["source"])
        self.priority = _priorities(self.source, self.source_names, config.source_priority)
        subject = rows["subject"]
        self.subject, self.subject_names = _numbered(subject)
        self.has_subject: Flags = _flags(pc.not_equal(subject, ""))
        self.listed: Flags = _flags(pc.is_in(rows["doc_id"], pa.array(sorted(config.denylist), rows["doc_id"].type)))
        patient = _flags(pc.is_in(subject, pa.array(sorted(config.denied_subjects), subject.type)))
        self.denied = self.listed | (patient & self.has_subject)


class _State:
    """What has been decided so far."""

    def __init__(self, table: _Table) -> None:
        self._table = table
        self._parents = table.positions.copy()
        self._fates = np.zeros(table.n, dtype=np.int8)
        self._values = np.full(table.n, np.nan)
        self._groups = table.positions.copy()
        self._validation = np.zeros(table.n, dtype=bool)
        self._units = table.keys.copy()

    @property
    def stays(self) -> Flags:
        return np.equal(self._fates, _FATES.index(KEPT))

    @property
    def denied(self) -> Flags:
        return np.equal(self._fates, _FATES.index(DENIED))

    def deny(self, labels: Positions, denied: Flags) -> None:
        """Take out every cluster of `labels` that holds a denied document."""
        out = touched(labels, denied)
        self._fates[out] = _FATES.index(DENIED)
        self._groups[out] = labels[out]
        self._parents[out] = self._table.positions[out]

    def drop(self, representatives: Positions, fate: str | npt.NDArray[np.int64]) -> None:
        """Let those leave that still stay and are represented by another."""
        goes = self.stays & (representatives != self._table.positions)
        number = _FATES.index(fate) if isinstance(fate, str) else fate[goes]
        self._fates[goes] = number
        self._parents[goes] = representatives[goes]

    def drop_near(self, position: int, representative: int, value: float) -> None:
        self._fates[position] = _FATES.index(NEAR)
        self._parents[position] = representative
        self._values[position] = value

    def split(self, units: tuple[Positions, Hashes], config: DedupConfig) -> None:
        """Choose the validation units among what stays."""
        stays, (labels, keys) = self.stays, units
        _, first, unit = np.unique(labels[stays], return_index=True, return_inverse=True)
        hashes = unit_hashes(keys[stays][first], config.seed)
        names = self._table.source_names
        fractions = [config.validation_fractions.get(name, config.validation_fraction) for name in names]
        self._units = keys
        self._validation[stays] = validation(unit, self._table.source[stays], hashes, fractions, names)

    def counts(self) -> dict[str, int]:
        found = {name: int(np.count_nonzero(self._fates == number)) for number, name in enumerate(_FATES)}
        return {**found, "validation": int(np.count_nonzero(self._validation))}

    def table(self) -> pa.Table:
        table, denied = self._table, self.denied
        roots = np.where(denied, self._groups, rooted(self._parents))
        smallest = np.full(table.n, table.n, dtype=np.int64)
        np.minimum.at(smallest, roots, table.positions)
        sizes = np.bincount(roots, minlength=table.n)[roots]
        near_ = self._fates == _FATES.index(NEAR)
        splits = np.where(self.stays, np.where(self._validation, 1, 0), 2)
        return pa.table(
            {
                "doc_id": table.rows["doc_id"],
                "doc_key": table.rows["doc_key"],
                "source": table.rows["source"],
                "fate": pa.array(_FATES).take(pa.array(self._fates)),
                "fate_value": pa.array(self._values, mask=~near_),
                "fate_threshold": pa.array(np.full(table.n, table.jaccard), mask=~near_),
                "cluster_key": _texts(table.doc_ids, smallest[roots], sizes > 1),
                "cluster_size": pa.array(sizes.astype(np.int32)),
                "representative": _texts(table.doc_ids, roots, ~denied),
                "unit": pa.array(self._units),
                "split": pa.array(["train", "validation", ""]).take(pa.array(splits)),
            }
        )


def _units(table: _Table, same_text: Positions) -> tuple[Positions, Hashes]:
    """(unit, key of the unit) of every row: the patient, or what families and candidate pairs connect, unguarded."""
    alone = ~table.has_subject
    pairs = np.concatenate(
        [
            candidate_pairs(table.bands, table.comparable & alone),
            ids.shared_identifier_pairs(table.rows),
            exact.links(table.family) % max(table.n, 1),
            same_text,
        ]
    )
    labels = connected(table.n, pairs[alone[pairs].all(axis=1)])
    patients = [xxhash.xxh3_64_intdigest(b"patient " + name.encode()) for name in table.subject_names]
    patient_keys = np.array([*patients, 0], dtype=np.uint64)
    units = np.where(alone, labels, table.n + table.subject)
    return units, np.where(alone, table.keys[labels], patient_keys[table.subject])


def _families(rows: pa.Table) -> Positions:
    """Of every row the code of its family, and behind them of every row the code of its own doc_id; none: -1.

    A family may be the doc_id of another version, which names a third one: so a document with a family answers to both.
    """
    if "family" not in rows.column_names or not len(rows):
        return np.empty(0, dtype=np.int64)
    family = rows["family"].cast(pa.large_string())
    own = pc.if_else(pc.not_equal(family, ""), rows["doc_id"].cast(pa.large_string()), "")
    return exact.codes(pa.chunked_array([*family.chunks, *own.chunks], pa.large_string()))


def _matrix(column: pa.ChunkedArray, n_bands: int) -> tuple[Hashes, Flags]:
    """Band digests as one row per document, and which documents have any."""
    bands = np.zeros((len(column), n_bands), dtype=np.uint64)
    valid = np.zeros(len(column), dtype=bool)
    start = 0
    for chunk in column.chunks:
        lengths = pc.fill_null(pc.list_value_length(chunk), 0).to_numpy(zero_copy_only=False)
        present = lengths > 0
        values = chunk.flatten().to_numpy(zero_copy_only=False)
        if not np.isin(lengths, (0, n_bands)).all():
            raise AssertionError(f"signatures do not have {n_bands} bands each")
        valid[start : start + len(chunk)] = present
        bands[start + np.flatnonzero(present)] = values.reshape(-1, n_bands)
        start += len(chunk)
    return bands, valid


def _numbered(column: pa.ChunkedArray) -> tuple[Positions, list[str]]:
    encoded = column.cast(pa.large_string()).combine_chunks().dictionary_encode()
    indices: Positions = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return indices, encoded.dictionary.to_pylist()


def _priorities(source: Positions, names: Sequence[str], order: Sequence[str]) -> Positions:
    known = [*order, *sorted(set(names) - set(order))]
    ranks = np.array([known.index(name) for name in names], dtype=np.int64)
    return ranks[source] if len(names) else source


def _texts(values: pa.Array, positions: Positions, shown: Flags) -> pa.ChunkedArray:
    """`values` at `positions`, empty where not `shown`, in arrays that ordinary strings can hold."""
    made: list[Any] = []
    for start in range(0, len(positions), SLICE):
        part = slice(start, start + SLICE)
        taken = values.take(pa.array(positions[part], mask=~shown[part]))
        made.append(pc.fill_null(taken.cast(pa.string()), ""))
    return pa.chunked_array(made, pa.string())


def _flags(column: pa.ChunkedArray) -> Flags:
    flags: Flags = column.to_numpy(zero_copy_only=False).astype(bool)
    return flags
