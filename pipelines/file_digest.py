"""Digests of files that a plan's fingerprints rest on, remembered while the files stay as they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

from manifests.identity import fingerprint

_digests: dict[tuple[str, int, int], str] = {}


def file_sha256(path: str) -> str:
    """sha256 of a local file (or of every file below a folder), remembered while its size and time stay."""
    place = Path(path)
    if place.is_dir():
        inside = sorted(entry for entry in place.rglob("*") if entry.is_file())
        return fingerprint([[entry.relative_to(place).as_posix(), file_sha256(str(entry))] for entry in inside])
    status = place.stat()
    key = (path, status.st_size, status.st_mtime_ns)
    if key not in _digests:
        with place.open("rb") as stream:
            _digests[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _digests[key]
