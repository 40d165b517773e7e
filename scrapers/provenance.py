"""One captured payload looked up again: which item it is, when it came, as what, and the documents in it."""

from __future__ import annotations

import mimetypes
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from manifests.schema import ITEMS
from manifests.store import Store
from scrapers import warc
from scrapers.ledger import FILE as LEDGER
from scrapers.snapshot import ITEMS_FILE
from scrapers.source import Item
from scrapers.warc_records import http_header, read_record

UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Capture:
    """How a payload came."""

    retrieved: str
    """ISO 8601, UTC; empty for a file of the user's own."""
    media_type: str
    """As the publisher said, else by the file's name."""


def items_of_payload(raw: Store, sha256: str, names: tuple[str, ...] = ()) -> Iterator[Item]:
    """Items of the snapshot whose payload has this `sha256`; first those called one of `names`, quick to find.

    Items are sorted by name, so a name costs one row group; without one, the checksums alone are read through.
    """
    given: set[str] = set()
    with raw.reading(ITEMS_FILE) as stream, pq.ParquetFile(stream) as file:
        groups = range(file.num_row_groups)
        for group in groups:
            statistics = file.metadata.row_group(group).column(0).statistics
            known = statistics is not None and statistics.has_min_max
            if names and (not known or any(statistics.min <= name <= statistics.max for name in names)):
                for item in _rows(file, group):
                    if item.item in names and item.sha256 == sha256:
                        given.add(item.item)
                        yield item
        for group in groups:
            sums = file.read_row_group(group, columns=["sha256"]).column(0).to_pylist()
            if sha256 in sums:
                yield from (item for item in _rows(file, group) if item.sha256 == sha256 and item.item not in given)


def _rows(file: Any, group: int) -> Iterator[Item]:
    table = file.read_row_group(group, columns=ITEMS.names)
    return (Item(*row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True))


def capture_of(raw: Store, item: Item) -> Capture:
    """When and as what `item` was captured: from its WARC record, else from the ledger of whole files."""
    guessed = mimetypes.guess_type(item.url.partition("?")[0] or item.path)[0] or UNKNOWN_TYPE
    if warc.is_segment(item.path):
        with raw.reading(item.path) as stream:
            stream.seek(item.offset)
            record = read_record(stream)
        return Capture(record.date, http_header(record, "content-type") or guessed)
    return Capture(_retrieved(raw, item), guessed)


def _retrieved(raw: Store, item: Item) -> str:
    if not raw.is_local or not raw.exists(LEDGER):
        return ""
    # Read only, and without the lock of the one who writes: a complete snapshot is frozen.
    address = f"{raw.local(LEDGER).resolve().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as ledger:
            row = ledger.execute("SELECT retrieved FROM captures WHERE name = ?", (item.item,)).fetchone()
    except sqlite3.DatabaseError:
        return ""
    return str(row[0]) if row else ""
