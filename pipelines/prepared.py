"""What pass 1 left behind, seen as a whole: part files of every source, and texts by document key."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from manifests.schema import DOCUMENTS, SIGNATURES
from manifests.store import Store

ROW_GROUPS_HELD = 64
"""Row groups of text kept decoded while candidate pairs are verified (1,000 documents each)."""


class PreparedTexts:
    """Texts of one or more sources by document key; reads row groups on demand."""

    def __init__(self, folders: Sequence[Store]) -> None:
        self._files: list[pq.ParquetFile] = []
        self._keys: list[np.ndarray[Any, np.dtype[np.uint64]]] = []
        self._starts: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        self._held: OrderedDict[tuple[int, int], list[str]] = OrderedDict()
        for folder in folders:
            for path in folder.files("text"):
                file = pq.ParquetFile(folder.reading(path))
                rows = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
                self._files.append(file)
                self._keys.append(file.read(columns=["doc_key"])["doc_key"].to_numpy())
                self._starts.append(np.concatenate([[0], np.cumsum(rows, dtype=np.int64)]))

    def text(self, key: int) -> str:
        """The text of the document with this key (the first, should two parts hold it); KeyError if none does."""
        for number, keys in enumerate(self._keys):
            row = int(np.searchsorted(keys, np.uint64(key)))
            if row < len(keys) and int(keys[row]) == key:
                group = int(np.searchsorted(self._starts[number], row, side="right")) - 1
                return self._group(number, group)[row - int(self._starts[number][group])]
        raise KeyError(key)

    def _group(self, number: int, group: int) -> list[str]:
        place = (number, group)
        if place not in self._held:
            self._held[place] = self._files[number].read_row_group(group, columns=["text"])["text"].to_pylist()
            if len(self._held) > ROW_GROUPS_HELD:
                self._held.popitem(last=False)
        self._held.move_to_end(place)
        return self._held[place]


def prepared_range(
    folder: Store, low: int, high: int, wanted: Mapping[int, str], *, skip: Mapping[str, set[int]]
) -> Iterator[tuple[int, str]]:
    """(key, text) of the wanted documents whose key is in [low, high], in key order over all parts.

    `skip` names keys to pass over in a part (path -> keys): second records of an id that another part holds.
    """
    found: list[tuple[int, str]] = []
    for path in folder.files("text"):
        file = pq.ParquetFile(folder.reading(path))
        passed = skip.get(path.removeprefix("text/"), set())
        for group in range(file.num_row_groups):
            statistics = file.metadata.row_group(group).column(0).statistics
            if statistics is not None and statistics.has_min_max and (statistics.max < low or statistics.min > high):
                continue
            table = file.read_row_group(group, columns=["doc_key", "text"])
            for key, text in zip(table["doc_key"].to_pylist(), table["text"].to_pylist(), strict=True):
                if low <= key <= high and key in wanted and key not in passed:
                    found.append((key, text))
    yield from sorted(found, key=lambda pair: pair[0])


def subjects_and_times(
    folder: Store, wanted: Mapping[int, str], *, skip: Mapping[str, set[int]]
) -> dict[int, tuple[str, str]]:
    """Subject and day of publication of the wanted documents, by key; no text is read."""
    found = {}
    for path in folder.files("text"):
        passed = skip.get(path.removeprefix("text/"), set())
        table = pq.read_table(folder.reading(path), columns=["doc_key", "subject", "published"])
        columns = (table[name].to_pylist() for name in ("doc_key", "subject", "published"))
        for key, subject, published in zip(*columns, strict=True):
            if key in wanted and key not in passed:
                found[key] = (subject, published)
    return found


def kept_rows(folder: Store, columns: Sequence[str], order: int) -> pa.Table:
    """One source's documents of all fates with `columns`, their part and their signature, in part order."""
    tables = []
    for path in folder.files("documents"):
        name = path.removeprefix("documents/")
        table = pq.read_table(folder.reading(path), columns=[*columns, "fate"])
        signatures = pq.read_table(folder.reading(f"signatures/{name}"))
        joined = _with_signatures(table, signatures)
        tables.append(
            joined.append_column("part", pa.array([name] * len(joined), pa.string())).append_column(
                "order", pa.array([order] * len(joined), pa.int32())
            )
        )
    if not tables:
        # Everything of this source was put aside: it has books, and no document in them.
        schema = pa.schema([*(DOCUMENTS.field(name) for name in (*columns, "fate"))])
        return kept_columns(schema).empty_table()
    return pa.concat_tables(tables)


def kept_columns(books: pa.Schema) -> pa.Schema:
    """The schema of `kept_rows`: columns of the books, of the signature, and the place."""
    signature = [field.with_nullable(True) for field in SIGNATURES if field.name != "doc_key"]
    return pa.schema([*books, *signature, pa.field("part", pa.string()), pa.field("order", pa.int32())])


def _with_signatures(table: pa.Table, signatures: pa.Table) -> pa.Table:
    keys = signatures["doc_key"].to_numpy()
    wanted = table["doc_key"].to_numpy()
    found = np.searchsorted(keys, wanted)
    inside = found < len(keys)
    inside[inside] = keys[found[inside]] == wanted[inside]
    positions = pa.array(np.where(inside, found, 0), mask=~inside, type=pa.int64())
    for field in SIGNATURES:
        if field.name != "doc_key":
            table = table.append_column(field.name, signatures[field.name].take(positions))
    return table
