"""Files that grow step by step and survive a kill: what was written after the last whole step is cut off again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from manifests.store import PARTIAL_SUFFIX, Store

_PROGRESS = "progress.json" + PARTIAL_SUFFIX


class AppendedFiles:
    """The files `names` of one folder, under unfinished names until `finish`."""

    def __init__(self, store: Store, names: Sequence[str]) -> None:
        self._store = store
        self._paths = {name: store.local(name + PARTIAL_SUFFIX) for name in names}
        self.steps = 0
        """Steps that are on disk."""
        self.counts: dict[str, Any] = {}
        """What was given with the last of them."""
        none: dict[str, Any] = {"sizes": dict.fromkeys(names, -1)}
        before: dict[str, Any] = store.read_json(_PROGRESS) if store.exists(_PROGRESS) else none
        if all(self._present(name) >= size >= 0 for name, size in before["sizes"].items()):
            self.steps, self.counts = before["steps"], before["counts"]
            for name, size in before["sizes"].items():
                os.truncate(self.path(name), size)
        else:
            for path in self._paths.values():
                path.write_bytes(b"")
        self._open: dict[str, IO[bytes]] = {}

    def path(self, name: str) -> Path:
        """Where the file is now: under its own name once it is finished."""
        own = self._store.local(name)
        return self._paths[name] if self._paths[name].exists() else own

    def append(self, name: str, values: npt.NDArray[Any]) -> None:
        if name not in self._open:
            self._open[name] = self._paths[name].open("ab")
        self._open[name].write(np.ascontiguousarray(values).data)

    def commit(self, counts: dict[str, Any]) -> None:
        """End a step: all that was appended is on disk, and `counts` with it."""
        for stream in self._open.values():
            stream.flush()
            os.fsync(stream.fileno())
            stream.close()
        self._open.clear()
        self.steps, self.counts = self.steps + 1, counts
        sizes = {name: self._present(name) for name in self._paths}
        self._store.write_json(_PROGRESS, {"steps": self.steps, "sizes": sizes, "counts": counts})

    def finish(self, name: str) -> None:
        """Give the file its own name."""
        if self._paths[name].exists():
            self._paths[name].replace(self._store.local(name))

    def _present(self, name: str) -> int:
        path = self.path(name)
        return path.stat().st_size if path.exists() else -1
