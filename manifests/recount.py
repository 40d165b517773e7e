"""Shards counted again from their rows: tokens by source, padding, and every stored token of every document.

Reads the Arrow streams themselves, one at a time. What the rows hold is compared with placements.parquet on the
way, and handed to buckets by document, so that memory does not grow with the corpus.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.assemble import PLACEMENTS_FILE, ids_of_key
from manifests.books import SPLITS, Entries, Problems
from manifests.buckets import Buckets
from manifests.errors import BuildError
from manifests.schema import PLACEMENTS
from manifests.store import Store
from manifests.windows import WindowDeviations

REMOVED_KEY = 0
"""`doc_key` of a stretch of padding that a takedown left."""

UNKNOWN_EPOCH = -1
"""Of pieces whose placement is wrong, and of validation rows."""

_TRAIN, _VALIDATION = SPLITS.index("train"), SPLITS.index("validation")


class Pieces(Buckets):
    """Every piece of a document that stands in a row, by doc_key."""

    def __init__(self) -> None:
        fields = [("length", "<i8"), ("epoch", "<i4"), ("source", "<u2"), ("split", "u1"), ("begins", "u1")]
        super().__init__(fields)


@dataclass
class ShardCounts:
    """What the rows of a folder of shards hold."""

    tokens: list[Counter[str]] = field(default_factory=list)
    """By shard: stored tokens by source."""
    rows: list[int] = field(default_factory=list)
    padding: int = 0
    rows_by_source: Counter[str] = field(default_factory=Counter)
    windows: WindowDeviations | None = None
    """What the rows were held against."""

    @property
    def by_source(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for one in self.tokens:
            total.update(one)
        return total


@dataclass(frozen=True, slots=True)
class _Batch:
    """A record batch as flat arrays of document pieces."""

    n_rows: int
    row: npt.NDArray[np.int64]
    key: npt.NDArray[np.uint64]
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    begins: npt.NDArray[np.uint8]
    source: npt.NDArray[np.uint16]


def recount(
    build: Store,
    folder: str,
    index: Mapping[str, Any],
    pieces: Pieces,
    codes: Mapping[str, int],
    problems: Problems,
    windows: WindowDeviations | None = None,
) -> ShardCounts:
    """Count the shards of `folder` as `index` lists them; `codes` gives each source its number in `pieces`.

    `windows` is shown the source of every row, in order.
    """
    counts = ShardCounts(windows=windows)
    placements = _Placements(build) if index["split"] == "train" else None
    names = index["sources"]
    to_code = np.array([codes[name] for name in names], dtype=np.uint16)
    for number, record in enumerate(index["shards"]):
        tokens: Counter[str] = Counter()
        n_rows = 0
        batches: list[_Batch] = []
        try:
            for batch in _batches(build, f"{folder}/{record['file']}", index, problems):
                real = batch.key != REMOVED_KEY
                stored = np.bincount(batch.source[batch.row[real]], weights=batch.length[real], minlength=len(names))
                tokens.update({names[i]: int(n) for i, n in enumerate(stored.tolist()) if n})
                batches.append(_part_of(batch, real, n_rows))
                n_rows += batch.n_rows
                rows = np.bincount(batch.source, minlength=len(names)).tolist()
                counts.rows_by_source.update({names[i]: n for i, n in enumerate(rows) if n})
                if windows is not None:
                    windows.add(batch.source)
        except (pa.ArrowInvalid, OSError, ValueError, IndexError, KeyError) as error:
            # The message may quote the data, so only its type is told.
            problems.add("shards.readable", f"{folder}/{record['file']} ({type(error).__name__})")
        counts.tokens.append(tokens)
        counts.rows.append(n_rows)
        counts.padding += n_rows * index["row_tokens"] - sum(tokens.values())
        _hand_over(batches, number, placements, to_code, pieces, problems, split=index["split"])
    if placements is not None:
        placements.finish(problems)
    return counts


def _batches(build: Store, path: str, index: Mapping[str, Any], problems: Problems) -> Iterator[_Batch]:
    # Local files are mapped: only the pages looked at are read.
    source: Any = pa.memory_map(str(build.local(path))) if build.is_local else build.reading(path)
    with contextlib.closing(source), pa.ipc.open_stream(source) as stream:
        for batch in stream:
            ends_column, keys = batch.column("doc_ends"), batch.column("doc_key").flatten().to_numpy()
            offsets = ends_column.offsets.to_numpy().astype(np.int64)
            offsets -= offsets[0]
            ends = ends_column.flatten().to_numpy().astype(np.int64)
            counts = np.diff(offsets)
            row = np.repeat(np.arange(len(batch)), counts)
            first = np.zeros(len(ends), dtype=bool)
            first[offsets[:-1][counts > 0]] = True
            start = np.where(first, 0, np.concatenate(([0], ends[:-1]))[: len(ends)])
            width = batch.column("input_ids").type.list_size
            if width != index["row_tokens"] or len(keys) != len(ends) or (ends <= start).any() or (ends > width).any():
                problems.add("shards.rows", f"{path}: a row of {width} tokens, or ends that do not rise")
                raise ValueError(path)
            source_column = batch.column("source").to_numpy()
            continues = batch.column("continues").to_numpy(zero_copy_only=False)
            used = np.zeros(len(batch), dtype=np.int64)
            used[counts > 0] = ends[offsets[1:][counts > 0] - 1]
            _check_padding(batch, used, keys, row, start, ends, index, path, problems)
            begins = np.where(first, ~continues[row], True).astype(np.uint8)
            yield _Batch(len(batch), row, keys, start, ends - start, begins, source_column)


def _check_padding(
    batch: pa.RecordBatch,
    used: npt.NDArray[np.int64],
    keys: npt.NDArray[np.uint64],
    row: npt.NDArray[np.int64],
    start: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    index: Mapping[str, Any],
    path: str,
    problems: Problems,
) -> None:
    """What is not a document must be the padding token, or text would be trained on that no book names."""
    pad_id = index["tokenizer"].get("pad_id")
    if pad_id is None:
        return
    ids = batch.column("input_ids").flatten().to_numpy().reshape(len(batch), -1)
    short = np.flatnonzero(used < ids.shape[1])
    hidden = sum(int((ids[i, used[i] :] != pad_id).any()) for i in short.tolist())
    removed = np.flatnonzero(keys == REMOVED_KEY)
    hidden += sum(int((ids[row[i], start[i] : ends[i]] != pad_id).any()) for i in removed.tolist())
    if hidden:
        problems.add("shards.padding", f"{path}: {hidden} rows hold tokens where padding should be", hidden)


def _part_of(batch: _Batch, chosen: npt.NDArray[np.bool_], first_row: int) -> _Batch:
    """The chosen pieces, rows counted from the shard's first, sources one per piece."""
    row = batch.row[chosen]
    return _Batch(
        batch.n_rows,
        row + first_row,
        batch.key[chosen],
        batch.start[chosen],
        batch.length[chosen],
        batch.begins[chosen],
        batch.source[row],
    )


def _hand_over(
    batches: list[_Batch],
    number: int,
    placements: _Placements | None,
    to_code: npt.NDArray[np.uint16],
    pieces: Pieces,
    problems: Problems,
    *,
    split: str,
) -> None:
    if not batches:
        return
    key, row, start, length, begins, source = (
        np.concatenate([getattr(one, name) for one in batches])
        for name in ("key", "row", "start", "length", "begins", "source")
    )
    epoch = np.full(len(key), UNKNOWN_EPOCH, dtype=np.int32)
    if placements is not None:
        epoch = placements.compare(number, key, row, start, length, problems)
    splits = np.full(len(key), _TRAIN if split == "train" else _VALIDATION, dtype=np.uint8)
    pieces.add(key, length=length, epoch=epoch, source=to_code[source], split=splits, begins=begins)


class _Placements:
    """placements.parquet, read shard by shard."""

    def __init__(self, build: Store) -> None:
        self._stream = build.reading(PLACEMENTS_FILE)
        self._batches = pq.ParquetFile(self._stream).iter_batches(batch_size=65_536)
        self._rows: pa.Table = PLACEMENTS.empty_table()

    def compare(
        self,
        shard: int,
        key: npt.NDArray[np.uint64],
        row: npt.NDArray[np.int64],
        start: npt.NDArray[np.int64],
        length: npt.NDArray[np.int64],
        problems: Problems,
    ) -> npt.NDArray[np.int32]:
        """The epoch of each piece of the shard; unknown where placements say something else."""
        said = self._of(shard)
        unknown = np.full(len(key), UNKNOWN_EPOCH, dtype=np.int32)
        if len(said) != len(key):
            problems.add("placements.match", f"shard {shard} has {len(key):,} pieces, placements say {len(said):,}")
            return unknown
        wrong = np.zeros(len(key), dtype=bool)
        for name, counted in (("doc_key", key), ("row", row), ("start", start), ("length", length)):
            wrong |= said.column(name).to_numpy() != counted
        if wrong.any():
            at = int(np.argmax(wrong))
            place = f"shard {shard}, row {row[at]}, token {start[at]}"
            problems.add("placements.match", place, int(wrong.sum()))
        return np.where(wrong, unknown, said.column("epoch").to_numpy()).astype(np.int32)

    def _of(self, shard: int) -> pa.Table:
        while not len(self._rows) or self._rows.column("shard")[-1].as_py() <= shard:
            batch = next(self._batches, None)
            if batch is None:
                break
            self._rows = pa.concat_tables([self._rows, pa.Table.from_batches([batch]).cast(PLACEMENTS)])
        shards = self._rows.column("shard")
        mine = self._rows.filter(pc.equal(shards, shard))
        self._rows = self._rows.filter(pc.greater(shards, shard))
        return mine

    def finish(self, problems: Problems) -> None:
        """Note what placements say of shards that are not there."""
        left = len(self._rows) + sum(len(batch) for batch in self._batches)
        if left:
            problems.add("placements.match", "rows of a shard that the index does not list", left)
        self._stream.close()


def compare_documents(
    build: Store, entries: Entries, pieces: Pieces, source_names: list[str], problems: Problems
) -> None:
    """Every document has exactly the tokens, epochs, source and split in the rows that documents.parquet says."""
    for documents, stored in zip(entries, pieces, strict=True):
        order = np.argsort(documents["key"], kind="stable")
        documents = documents[order]
        place = np.searchsorted(documents["key"], stored["key"])
        known = place < len(documents)
        known[known] = documents["key"][place[known]] == stored["key"][known]
        for key in np.unique(stored["key"][~known]).tolist():
            problems.add("tokens.known", f"document {key:016x}, which documents.parquet does not have")
        stored, place = stored[known], place[known]
        train = stored["split"] == _TRAIN
        _compare_split(build, documents, stored[train], place[train], _TRAIN, problems)
        _compare_split(build, documents, stored[~train], place[~train], _VALIDATION, problems)
        other = np.flatnonzero(documents["source"][place] != stored["source"])
        for key in np.unique(stored["key"][other]).tolist():
            says = source_names[int(stored["source"][other[stored["key"][other] == key][0]])]
            problems.add("tokens.source", f"{_name(build, key)}, stored as {says}")


def _compare_split(
    build: Store,
    documents: npt.NDArray[Any],
    stored: npt.NDArray[Any],
    place: npt.NDArray[np.int64],
    split: int,
    problems: Problems,
) -> None:
    n = len(documents)
    mine = documents["split"] == split
    present = np.bincount(place, minlength=n) > 0
    times = documents["epochs"] if split == _TRAIN else np.ones(n, dtype=np.int64)
    expected = np.where(mine, documents["n_tokens"] * times, 0)
    found = np.bincount(place, weights=stored["length"], minlength=n).astype(np.int64)
    apart = present & ~mine
    wrong = (found != expected) & ~apart
    begun = np.bincount(place, weights=stored["begins"], minlength=n).astype(np.int64)
    begins = mine & present & ~wrong & (begun != times)
    pairs = np.unique(np.stack((place, stored["epoch"].astype(np.int64)), axis=1), axis=0)
    of_known = pairs[pairs[:, 1] != UNKNOWN_EPOCH][:, 0]
    unsure = np.zeros(n, dtype=bool)
    unsure[pairs[pairs[:, 1] == UNKNOWN_EPOCH][:, 0]] = True
    epochs = mine & present & ~unsure & (np.bincount(of_known, minlength=n) != times)
    if split == _VALIDATION:
        epochs[:] = False
    name = SPLITS[split]
    for check, bad, sentence in (
        ("tokens.split", apart, f"stored among {name} rows"),
        ("tokens.stored", wrong, f"has other tokens in the {name} rows than stated"),
        ("tokens.continues", begins, "begins in another number of rows than it has epochs"),
        ("placements.epochs", epochs, "has placements of another number of epochs than stated"),
    ):
        for at in np.flatnonzero(bad).tolist():
            detail = f": {found[at]:,} instead of {expected[at]:,}" if check == "tokens.stored" else ""
            few = problems.counts[check] < 3
            offender = f"{_name(build, int(documents['key'][at]))} {sentence}{detail}" if few else ""
            problems.add(check, offender)


def _name(build: Store, key: int) -> str:
    try:
        return ids_of_key(build, key)[0]
    except (IndexError, BuildError):
        return f"{key:016x}"
