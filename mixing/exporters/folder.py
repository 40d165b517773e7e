"""The folder of an export: of one corpus, one format and one set of options, or of nothing.

`started.json` names them while an export is under way, so that the same command goes on where it was killed;
`export.json`, written last, says that the folder is whole and names every file with its sha256. Restricted shards are
refused: a copy in another trainer's format carries no mark and no permissions.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from manifests.errors import BuildError
from manifests.identity import fingerprint
from manifests.store import PARTIAL_SUFFIX, Store
from mixing.reader import INDEX, Shards

EXPORT = "export.json"
STARTED = "started.json"
VERSION = 1
_LOCK = ".lock"
_OWN = (EXPORT, STARTED, _LOCK)


class ExportFolder:
    """Where one export is written; `done` has its `export.json` if it was finished before."""

    def __init__(self, output: Path, identity: Mapping[str, Any]) -> None:
        self.output, self.store = output, Store(output)
        self._identity = dict(identity)
        self.done: dict[str, Any] | None = None
        before = next((self.store.read_json(name) for name in (EXPORT, STARTED) if self.store.exists(name)), None)
        if before is None:
            strangers = [path.name for path in output.iterdir() if path.name not in _OWN and not _is_partial(path)]
            if strangers:
                raise _not_ours(output, f"the folder is not empty: it holds {sorted(strangers)[0]}")
            self.store.write_json(STARTED, self._identity)
        elif {key: before.get(key) for key in self._identity} != self._identity:
            raise _not_ours(output, "the folder holds another export, or one with other options")
        elif self.store.exists(EXPORT):
            self.done = before
            self._check_sizes(before["files"])

    def finish(self, files: Iterable[str], facts: Mapping[str, Any]) -> dict[str, Any]:
        """Hash `files` as they lie on disk, write `export.json`, remove what only a resumed export needs."""
        listed = [{"file": name, "bytes": self.store.size(name), "sha256": self.store.sha256(name)} for name in files]
        whole = {**self._identity, **facts, "files": listed}
        self.store.write_json(EXPORT, whole)
        for path in self.output.iterdir():
            if path.name in (STARTED, _LOCK) or _is_partial(path):
                path.unlink()
        return whole

    def _check_sizes(self, files: list[dict[str, Any]]) -> None:
        for entry in files:
            path = self.output / entry["file"]
            if not path.is_file() or path.stat().st_size != entry["bytes"]:
                raise BuildError(
                    "the file is missing or has another size than when it was exported.",
                    where=str(path),
                    why="A trainer would read other tokens than the corpus has.",
                    fix=f"Remove {self.output} and export again.",
                )


@contextmanager
def export_folder(
    shards: Shards, output: str | Path, *, kind: str, options: Mapping[str, Any], build: Mapping[str, Any]
) -> Iterator[ExportFolder]:
    """The folder `output` for an export of these shards, made if it is missing; BuildError if it cannot be used."""
    if shards.restricted:
        raise BuildError(
            "the build is restricted, so it is not exported.",
            where=str(shards.folder / INDEX),
            why="A copy in another format would carry neither the mark nor the permissions of restricted text.",
            fix="Train on the shards where they are, or build without restricted sources.",
        )
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    identity = {
        "version": VERSION,
        "format": kind,
        "options": dict(options),
        "build": dict(build),
        "split": shards.index.get("split", ""),
        "tokenizer": shards.index["tokenizer"],
        "shards": fingerprint([shard["sha256"] for shard in shards.index["shards"]]),
    }
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise _not_ours(folder, "another export is writing here") from None
        try:
            yield ExportFolder(folder, identity)
        finally:
            (folder / _LOCK).unlink(missing_ok=True)


def shares(tokens: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Tokens and share of each source, for `export.json`."""
    total = sum(tokens.values())
    return {name: {"tokens": n, "share": n / total if total else 0.0} for name, n in tokens.items()}


def check_counts(shards: Shards, tokens: Mapping[str, int]) -> None:
    """BuildError unless what was written by source is what the index of the shards says."""
    stated = {name: n for name, n in shards.index["totals"]["tokens_by_source"].items() if n}
    written = {name: n for name, n in tokens.items() if n}
    if stated != written:
        name = sorted(name for name in stated.keys() | written.keys() if stated.get(name) != written.get(name))[0]
        raise BuildError(
            f"{written.get(name, 0):,} tokens of {name} were read, and {INDEX} says {stated.get(name, 0):,}.",
            where=str(shards.folder),
            why="An export holds every token once, or it is not finished.",
            fix="Run `medtrove verify`; if it finds the shards damaged, build again.",
        )


def _is_partial(path: Path) -> bool:
    return path.name.endswith(PARTIAL_SUFFIX)


def _not_ours(folder: Path, what: str) -> BuildError:
    return BuildError(
        f"{what}.",
        where=str(folder),
        why="Files of two exports side by side would be read as one.",
        fix="Name an empty or a new folder with --output.",
    )
