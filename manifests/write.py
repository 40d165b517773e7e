"""Writing a manifest: tables with fixed settings, JSON lines, and the two files that close a build.

The same rows give the same bytes, however they arrive: a table is cut into row groups of `ROW_GROUP_ROWS` whatever the
pieces it is written in. `corpus.json` is last; a build without it is incomplete by definition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.errors import BuildError
from manifests.identity import canonical_json
from manifests.store import Store

ROW_GROUP_ROWS = 100_000
"""A look-up by id reads one row group: about 10 MB of documents.parquet."""

DIGESTS = "manifest/manifest-sha256.txt"
CORPUS = "corpus.json"
OUTSIDE_DIGESTS = ("manifest/run.jsonl", CORPUS, "report.html", DIGESTS)
"""Files the digest list does not name: times and hosts, the index that comes after it, the report made from both."""


class TableWriter:
    """Collects rows and writes them in row groups of equal size."""

    def __init__(self, stream: IO[bytes], schema: pa.Schema) -> None:
        self.schema = schema
        self.rows = 0
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._writer = pq.ParquetWriter(stream, schema, compression="zstd", version="2.6", data_page_version="1.0")

    def add(self, table: pa.Table) -> None:
        """Append rows; the columns are those of the schema, in any order."""
        table = table.select(self.schema.names).cast(self.schema)
        self.rows += len(table)
        self._waiting.append(table)
        self._waiting_rows += len(table)
        if self._waiting_rows >= ROW_GROUP_ROWS:
            rows = pa.concat_tables(self._waiting)
            full = len(rows) - len(rows) % ROW_GROUP_ROWS
            for start in range(0, full, ROW_GROUP_ROWS):
                self._write(rows.slice(start, ROW_GROUP_ROWS))
            rest = rows.slice(full)
            self._waiting, self._waiting_rows = [rest], len(rest)

    def close(self) -> None:
        if self._waiting_rows:
            self._write(pa.concat_tables(self._waiting))
        self._writer.close()

    def _write(self, rows: pa.Table) -> None:
        # Pages are cut at the chunks of a column: one chunk, so that the bytes do not tell how rows arrived.
        self._writer.write_table(rows.combine_chunks(), row_group_size=ROW_GROUP_ROWS)


@contextmanager
def writing_table(store: Store, path: str, schema: pa.Schema) -> Iterator[TableWriter]:
    """A Parquet file at `path` that appears when the block ends well."""
    with store.writing(path) as stream:
        writer = TableWriter(stream, schema)
        yield writer
        writer.close()


def write_table(store: Store, path: str, table: pa.Table, schema: pa.Schema) -> None:
    """`table` as the Parquet file `path`."""
    with writing_table(store, path, schema) as writer:
        writer.add(table)


def write_lines(store: Store, path: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """`rows` as canonical JSON, one a line."""
    store.write_bytes(path, "".join(canonical_json(dict(row)) + "\n" for row in rows).encode())


def write_digests(build: Store, known: Mapping[str, str] | None = None) -> None:
    """List every file of the build with its sha256 as `sha256sum -c` reads it; `known` spares reading a file again."""
    known = known or {}
    names = [name for name in build.files() if name not in OUTSIDE_DIGESTS]
    lines = [f"{known.get(name) or build.sha256(name)}  {name}\n" for name in names]
    build.write_bytes(DIGESTS, "".join(lines).encode())


def read_digests(build: Store) -> dict[str, str]:
    """Path -> sha256, as the digest list states them."""
    found = {}
    for number, line in enumerate(build.read_bytes(DIGESTS).decode().splitlines(), start=1):
        digest, separator, name = line.partition("  ")
        if not separator or len(digest) != 64:
            raise BuildError(
                f"line {number} is not `<sha256>  <path>`.",
                where=f"{build.url}/{DIGESTS}",
                why="It is what every other file of the build is checked against.",
                fix="Build again; the other stages are not repeated.",
            )
        found[name] = digest
    return found
