"""A folder's files with size and sha256: what was written, so that a cut or changed file is noticed before it is used.

The ranks share the reading: rank r takes every `world`-th file. `digests.json` is written last; a folder without it
was never finished.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

DIGESTS = "digests.json"
VERSION = 1


def write_json(path: Path, value: Any) -> None:
    """`value` as JSON a person can diff, in place of the old file only when it is on disk."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def sync_folder(folder: Path) -> None:
    """The names in the folder are on disk when this returns."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_share(folder: Path, rank: int, world: int, *, private: bool) -> None:
    """Sync and digest this rank's share of the folder's files, into a part file for `write_digests`."""
    found = {}
    for name in _names(folder)[rank::world]:
        path = folder / name
        if private:
            path.chmod(0o600)
        with path.open("rb") as stream:
            found[name] = {
                "bytes": os.fstat(stream.fileno()).st_size,
                "sha256": hashlib.file_digest(stream, "sha256").hexdigest(),
            }
            os.fsync(stream.fileno())
    write_json(_part(folder, rank), found)


def write_digests(folder: Path, world: int, *, private: bool) -> None:
    """Join the ranks' parts into `digests.json`, the last file of the folder, and sync all names."""
    files: dict[str, Any] = {}
    for rank in range(world):
        part = _part(folder, rank)
        files |= json.loads(part.read_bytes())
        part.unlink()
    missing = set(_names(folder)) - set(files)
    assert not missing, "every file of the folder is in some rank's share"
    for inner in sorted(path for path in folder.rglob("*") if path.is_dir()):
        if private:
            inner.chmod(0o700)
        sync_folder(inner)
    write_json(folder / DIGESTS, {"version": VERSION, "files": files})
    if private:
        (folder / DIGESTS).chmod(0o600)
    sync_folder(folder)


def damage(folder: Path, rank: int = 0, world: int = 1) -> str:
    """Why the folder is not what was written, or nothing; all sizes, and the sha256 of this rank's share."""
    path = folder / DIGESTS
    try:
        table = json.loads(path.read_bytes())
        files = {str(name): (int(entry["bytes"]), str(entry["sha256"])) for name, entry in table["files"].items()}
        version = table["version"]
    except FileNotFoundError:
        return f"it has no {DIGESTS}, so writing it never ended"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"its {DIGESTS} cannot be read"
    except OSError as error:
        return f"its {DIGESTS} cannot be read: {error.strerror}"
    if version != VERSION:
        return f"its {DIGESTS} is of version {version}, this medtrove reads {VERSION}"
    for name, (size, _) in sorted(files.items()):
        try:
            found = (folder / name).stat().st_size
        except OSError:
            return f"{name} is missing"
        if found != size:
            return f"{name} has {found:,} bytes, {size:,} were written"
    for name in sorted(files)[rank::world]:
        try:
            with (folder / name).open("rb") as stream:
                found_digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            return f"{name} cannot be read: {error.strerror}"
        if found_digest != files[name][1]:
            return f"{name} is not what was written: its sha256 differs"
    return ""


def _names(folder: Path) -> list[str]:
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if not name.startswith("digests"))


def _part(folder: Path, rank: int) -> Path:
    return folder / f"digests-{rank}.json"
