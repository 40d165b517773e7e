"""The state of every address of one source's snapshot, in SQLite: what a rerun knows.

One writer a source. A row is committed after the bytes it points to were handed to the system, so a killed run
loses at most the capture it was making. After a power failure rows may point past the end of a segment: such rows
count as never fetched.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import TracebackType

from manifests.errors import SourceError

FILE = "ledger.sqlite"
STATES = ("discovered", "fetched", "gone", "refused_by_robots", "forbidden", "failed")
_COLUMNS = """
    name TEXT PRIMARY KEY, url TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL, status INTEGER NOT NULL,
    sha256 TEXT NOT NULL, file TEXT NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
    segment_end INTEGER NOT NULL, n_bytes INTEGER NOT NULL, final_url TEXT NOT NULL, retrieved TEXT NOT NULL,
    etag TEXT NOT NULL, last_modified TEXT NOT NULL, error TEXT NOT NULL, detail TEXT NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known about one item or listing page."""

    name: str
    """The item's name, or `listing <url>`."""
    url: str
    state: str = "discovered"
    """One of `STATES`."""
    tries: int = 0
    """Runs that asked for it."""
    status: int = 0
    sha256: str = ""
    """Of the payload."""
    file: str = ""
    offset: int = 0
    length: int = 0
    """Bytes of the record inside its segment, compressed; of a whole file, its size."""
    segment_end: int = 0
    """Bytes of the segment after this capture; 0 for a whole file."""
    n_bytes: int = 0
    """Of the payload."""
    final_url: str = ""
    retrieved: str = ""
    etag: str = ""
    last_modified: str = ""
    error: str = ""
    """Name of the `scrapers.http_errors` class, if it could not be had."""
    detail: str = ""


_NAMES = ", ".join(field.name for field in fields(Entry))
_MARKS = ", ".join("?" for _ in fields(Entry))


class Ledger:
    """The ledger of the snapshot folder `folder`."""

    def __init__(self, folder: Path, *, mode: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILE
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=5)
        try:
            # Exclusive from the start: a second process on the same snapshot must fail, not interleave.
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("BEGIN EXCLUSIVE")
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS captures ({_COLUMNS}) WITHOUT ROWID")
            self._connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise _unusable(path, error) from None
        if mode is not None:
            path.chmod(mode)
        self._forget_lost(folder)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def get(self, name: str) -> Entry | None:
        """What is known about `name`; None if it was never heard of."""
        row = self._connection.execute(f"SELECT {_NAMES} FROM captures WHERE name = ?", (name,)).fetchone()
        return Entry(*row) if row else None

    def discover(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Note (name, url) pairs that will be asked for; what is known already stays."""
        rows = [astuple(Entry(name, url)) for name, url in wanted]
        self._connection.execute("BEGIN")
        self._connection.executemany(f"INSERT OR IGNORE INTO captures ({_NAMES}) VALUES ({_MARKS})", rows)
        self._connection.execute("COMMIT")

    def put(self, entry: Entry) -> None:
        """Write `entry`, for good once this returns."""
        self._connection.execute(f"INSERT OR REPLACE INTO captures ({_NAMES}) VALUES ({_MARKS})", astuple(entry))

    def committed(self) -> dict[str, int]:
        """For each WARC segment, how many of its bytes belong to finished captures."""
        rows = self._connection.execute(
            "SELECT file, MAX(segment_end) FROM captures WHERE state = 'fetched' AND segment_end > 0 GROUP BY file"
        )
        return {str(file): int(end) for file, end in rows}

    def states(self) -> dict[str, int]:
        """Number of entries in each state."""
        rows = self._connection.execute("SELECT state, COUNT(*) FROM captures GROUP BY state ORDER BY state")
        return {str(state): int(n) for state, n in rows}

    def _forget_lost(self, folder: Path) -> None:
        """Entries whose bytes are not on disk (any more) become discovered again."""
        files = self._connection.execute("SELECT DISTINCT file FROM captures WHERE state = 'fetched'").fetchall()
        for (file,) in files:
            path = folder / file
            size = path.stat().st_size if path.exists() else -1
            self._connection.execute(
                "UPDATE captures SET state = 'discovered' WHERE state = 'fetched' AND file = ? AND"
                " (segment_end > ? OR (segment_end = 0 AND length <> ?))",
                (file, size, size),
            )


def _unusable(path: Path, error: sqlite3.DatabaseError) -> SourceError:
    if isinstance(error, sqlite3.OperationalError):
        return SourceError(
            f"the ledger cannot be used: {error}.",
            where=str(path),
            why="One process at a time fetches a source; another may be at work in this folder.",
            fix="Wait for the other run, or give this one another --out.",
        )
    return SourceError(
        f"the ledger is damaged: {error}.",
        where=str(path),
        why="It says what of this source was fetched already.",
        fix="Delete this snapshot folder and acquire the source again.",
    )
