"""Records spread over buckets by key, on disk if they are many: grouping and uniqueness in constant memory.

All records of one key are in one bucket, so whatever must be known of a key can be asked bucket by bucket.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, Any, Self, cast

import numpy as np
import numpy.typing as npt

BUCKETS = 64
"""110 million documents make buckets of 1.7 million."""
_SPILL_BYTES = 1 << 20


class Buckets:
    """Records with a field `key` (uint64), grouped by the key's top bits."""

    def __init__(self, dtype: list[tuple[str, str]]) -> None:
        self.dtype = np.dtype([("key", "<u8"), *dtype])
        self._files: list[IO[bytes]] = [_spooled() for _ in range(BUCKETS)]

    def add(self, key: npt.NDArray[np.uint64], **columns: npt.NDArray[Any]) -> None:
        """Append records, one per key."""
        bucket = (key >> np.uint64(64 - BUCKETS.bit_length() + 1)).astype(np.int64)
        order = np.argsort(bucket, kind="stable")
        records = np.empty(len(key), dtype=self.dtype)
        records["key"] = key[order]
        for name, column in columns.items():
            records[name] = column[order]
        ends = np.searchsorted(bucket[order], np.arange(BUCKETS + 1))
        for number in np.unique(bucket).tolist():
            self._files[number].write(records[ends[number] : ends[number + 1]].tobytes())

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        """The records of each bucket, in the order they were added."""
        for file in self._files:
            file.seek(0)
            yield np.frombuffer(file.read(), dtype=self.dtype)

    def close(self) -> None:
        for file in self._files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _spooled() -> IO[bytes]:
    # Closed by `Buckets.close`; on disk it has no name and no group or world access.
    return cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=_SPILL_BYTES))


def repeated_keys(buckets: Buckets) -> list[int]:
    """Keys that more than one record has, ascending."""
    found: list[int] = []
    for records in buckets:
        keys, counts = np.unique(records["key"], return_counts=True)
        found.extend(int(key) for key in keys[counts > 1])
    return found
