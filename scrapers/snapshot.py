"""A raw snapshot: what one acquisition of a source left, frozen.

`items.parquet` says where each captured payload lies, `snapshot.json` is written last and its presence means
that the snapshot is complete. Nothing in `snapshot.json` depends on time, host or the order of fetching.
A payload whose bytes no longer have the checksum of its capture is a `CorruptItem`, never silently read.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.document import Quarantined
from manifests.identity import canonical_json, sha256_hex
from manifests.schema import ITEMS
from manifests.store import Store
from scrapers import warc
from scrapers.formats.errors import Unreadable
from scrapers.source import Item

ITEMS_FILE = "items.parquet"
SNAPSHOT_FILE = "snapshot.json"
SCHEMA = 1


class CorruptItem(Unreadable):
    """A captured payload that is missing, damaged or not what was captured."""

    def __reduce__(self) -> tuple[type[CorruptItem], tuple[str, str]]:
        return (CorruptItem, (self.reason, self.detail))


def is_complete(raw: Store) -> bool:
    """True once `write_snapshot` has finished: the snapshot is frozen and `acquire` has nothing to do."""
    return raw.exists(SNAPSHOT_FILE) and raw.exists(ITEMS_FILE)


def write_snapshot(
    raw: Store,
    *,
    source: str,
    snapshot: str,
    items: Sequence[Item],
    quarantined: Sequence[Quarantined] = (),
    counts: Mapping[str, int] | None = None,
) -> None:
    """Write the index of the snapshot: items.parquet, then snapshot.json.

    `quarantined` are items that could not be had (gone, refused, wrong checksum for good); pass 1 enters them in
    the books. ValueError if two items have one name.
    """
    items = sorted(items, key=lambda item: item.item)
    for before, after in itertools.pairwise(items):
        if before.item == after.item:
            message = f"two items of {source} are called {after.item!r}"
            raise ValueError(message)
    columns = list(zip(*(astuple(item) for item in items), strict=True)) or [()] * len(ITEMS)
    table = pa.table([pa.array(column, field.type) for column, field in zip(columns, ITEMS, strict=True)], schema=ITEMS)
    with raw.writing(ITEMS_FILE) as stream:
        pq.write_table(table, stream, compression="zstd")
    put_aside = sorted((one.item, one.reason, one.detail) for one in quarantined)
    raw.write_json(
        SNAPSHOT_FILE,
        {
            "schema": SCHEMA,
            "source": source,
            "snapshot": snapshot,
            "digest": _digest(items),
            "items": len(items),
            "bytes": sum(item.length for item in items),
            "quarantined": [{"item": item, "reason": reason, "detail": detail} for item, reason, detail in put_aside],
            "counts": dict(counts or {}),
        },
    )


def _digest(items: Sequence[Item]) -> str:
    """`manifests.identity.fingerprint` of [[item, sha256, meta], ...], without holding that JSON in memory."""
    digest = hashlib.sha256(b"[")
    for position, item in enumerate(items):
        digest.update(b"," if position else b"")
        digest.update(canonical_json([item.item, item.sha256, item.meta]).encode())
    digest.update(b"]")
    return digest.hexdigest()[:16]


def read_snapshot(raw: Store) -> dict[str, Any]:
    """The contents of snapshot.json."""
    facts: dict[str, Any] = raw.read_json(SNAPSHOT_FILE)
    return facts


def read_items(raw: Store) -> list[Item]:
    """All items of the snapshot, sorted by name."""
    with raw.reading(ITEMS_FILE) as stream:
        table = pq.read_table(stream, schema=ITEMS)
    return [Item(*row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True)]


def payload(raw: Store, item: Item) -> bytes:
    """The captured bytes of `item`; CorruptItem if they are not those whose sha256 was recorded."""
    try:
        if warc.is_segment(item.path):
            with _open(raw, item.path) as stream:
                stream.seek(item.offset)
                data = warc.read_body(stream)
        else:
            with _open(raw, item.path) as stream:
                data = stream.read()
    except FileNotFoundError:
        raise CorruptItem("extract.corrupt", f"the file {item.path} is not there") from None
    except (EOFError, zlib.error, gzip.BadGzipFile, warc.NoRecord):
        raise CorruptItem("extract.corrupt", f"no whole record in {item.path} at byte {item.offset}") from None
    if item.sha256 and sha256_hex(data) != item.sha256:
        raise CorruptItem("extract.checksum", f"{len(data)} bytes in {item.path} are not those that were captured")
    return data


def open_payload(raw: Store, item: Item) -> IO[bytes]:
    """The bytes of `item` as a stream, for files too big to hold; a whole file is not checked against its sha256."""
    if warc.is_segment(item.path):
        return io.BytesIO(payload(raw, item))
    try:
        return _open(raw, item.path)
    except FileNotFoundError:
        raise CorruptItem("extract.corrupt", f"the file {item.path} is not there") from None


def verify_payload(raw: Store, item: Item) -> None:
    """CorruptItem unless the bytes of `item` have the recorded sha256; read in pieces, so for files of any size."""
    if warc.is_segment(item.path):
        payload(raw, item)
        return
    digest = hashlib.sha256()
    with open_payload(raw, item) as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    if digest.hexdigest() != item.sha256:
        raise CorruptItem("extract.checksum", f"{item.path} is not what was captured")


def _open(raw: Store, path: str) -> IO[bytes]:
    return open(path, "rb") if Path(path).is_absolute() else raw.reading(path)
