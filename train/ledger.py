"""The books of a run: tokens consumed by source beside what the shards hold, in `consumed.json`.

Counted are stored tokens, padding not among them, of every row a step used: what `index.json` counts. At the end of
an epoch the two are equal to the token, or `audit` names the source and the difference. The file is rewritten whole
with every checkpoint and says what that checkpoint has consumed; a takedown reads it to know which runs saw which
shards.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from manifests.errors import BuildError
from manifests.identity import fingerprint
from manifests.store import Store
from mixing.reader import Shards

CONSUMED = "consumed.json"


@dataclass(slots=True)
class Epoch:
    """One pass over the shards."""

    epoch: int
    planned_rows: int
    planned_by_source: dict[str, int]
    rows_done: int = 0
    tokens_by_source: dict[str, int] = field(default_factory=dict)

    @property
    def closed(self) -> bool:
        """All rows were had, and every source's tokens are what the shards hold."""
        return self.rows_done == self.planned_rows and not self.differences()

    def differences(self) -> dict[str, int]:
        """Tokens consumed minus planned, of the sources where they differ."""
        names = sorted(self.planned_by_source.keys() | self.tokens_by_source.keys())
        found = {name: self.tokens_by_source.get(name, 0) - self.planned_by_source.get(name, 0) for name in names}
        return {name: difference for name, difference in found.items() if difference}

    def problems(self) -> list[str]:
        """What does not close, a sentence each."""
        found = []
        if self.rows_done != self.planned_rows:
            found.append(f"Epoch {self.epoch}: {self.rows_done:,} of {self.planned_rows:,} rows were consumed.")
        for source, difference in self.differences().items():
            found.append(
                f"Epoch {self.epoch}: {source} has {self.tokens_by_source.get(source, 0):,} tokens consumed and "
                f"{self.planned_by_source.get(source, 0):,} planned: {difference:+,}."
            )
        return found


class Ledger:
    """Rows and tokens a run has consumed, epoch by epoch."""

    def __init__(self, shards: Shards, *, epochs: int, manifest_sha256: str = "") -> None:
        self.shards_fingerprint = shards_fingerprint(shards)
        self.manifest_sha256 = manifest_sha256
        self.sources = list(shards.sources)
        self.planned_epochs = epochs
        self.epochs: list[Epoch] = []
        self._rows = len(shards)
        self._planned = _planned(shards)

    def begin(self, epoch: int, *, rows_done: int = 0, tokens_by_source: Mapping[str, int] | None = None) -> None:
        """Open the books of an epoch, where a checkpoint left them; those before it were closed to get here."""
        for number in range(len(self.epochs), epoch):
            self.epochs.append(Epoch(number, self._rows, dict(self._planned), self._rows, dict(self._planned)))
        del self.epochs[epoch:]
        self.epochs.append(Epoch(epoch, self._rows, dict(self._planned), rows_done, dict(tokens_by_source or {})))

    def add(self, tokens: Sequence[float], *, rows_done: int) -> None:
        """Enter a step: tokens of all ranks in the order of `sources`, and the rows of the epoch had by then."""
        now = self.epochs[-1]
        assert rows_done > now.rows_done, "a step consumes rows"
        now.rows_done = rows_done
        for name, n in zip(self.sources, tokens, strict=True):
            if n:
                now.tokens_by_source[name] = now.tokens_by_source.get(name, 0) + round(n)

    @property
    def tokens(self) -> int:
        """Stored tokens of the run so far."""
        return sum(sum(epoch.tokens_by_source.values()) for epoch in self.epochs)

    @property
    def closed(self) -> bool:
        """Every epoch of the run is over and its books close."""
        return len(self.epochs) == self.planned_epochs and all(epoch.closed for epoch in self.epochs)

    def write(self, run: Path, *, restricted: bool) -> None:
        """Write `consumed.json` whole."""
        facts = {
            "shards_fingerprint": self.shards_fingerprint,
            "manifest_sha256": self.manifest_sha256,
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "planned_epochs": self.planned_epochs,
            "closed": self.closed,
        }
        Store(run, mode=0o600 if restricted else None).write_json(CONSUMED, facts)


def shards_fingerprint(shards: Shards) -> str:
    """What the shards are, by the sha256 of their files; another byte anywhere is another fingerprint."""
    return fingerprint([shard["sha256"] for shard in shards.index["shards"]])


def read_consumed(run: Path) -> dict[str, Any]:
    """The parsed `consumed.json` of a run."""
    path = run / CONSUMED
    try:
        facts: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BuildError(
            f"no {CONSUMED} here.",
            where=str(run),
            why="It is written with the first checkpoint of a run.",
            fix="Give the folder of a run with --run DIR.",
        ) from None
    except ValueError:
        raise BuildError("is not JSON.", where=str(path), fix="Restore it from a copy.") from None
    return facts


def audit(run: Path, shards: Shards | None = None) -> list[str]:
    """What does not close in a run's books, a sentence each; none if every token was consumed exactly once an epoch.

    With the shards at hand the plan is read from them again instead of being believed.
    """
    facts = read_consumed(run)
    try:
        epochs = [Epoch(**entry) for entry in facts["epochs"]]
        planned_epochs, told = facts["planned_epochs"], facts["closed"]
        named, manifest = facts["shards_fingerprint"], facts["manifest_sha256"]
    except (KeyError, TypeError):
        raise BuildError("is not what a run wrote.", where=str(run / CONSUMED), fix="Restore it from a copy.") from None
    problems = []
    if shards is not None and named != shards_fingerprint(shards):
        problems.append("The shards are not those of the run: their fingerprint differs.")
        shards = None
    if shards is not None and manifest != manifest_sha256(shards):
        problems.append("The build's manifest is not the one that the run was started on: its sha256 differs.")
    for epoch in epochs:
        told_plan = (epoch.planned_rows, epoch.planned_by_source)
        if shards is not None:
            epoch.planned_rows, epoch.planned_by_source = len(shards), _planned(shards)
        problems += epoch.problems()
        if told_plan != (epoch.planned_rows, epoch.planned_by_source):
            problems.append(f"Epoch {epoch.epoch}: the plan in {CONSUMED} is not what the shards hold.")
    if [epoch.epoch for epoch in epochs] != list(range(len(epochs))):
        problems.append(f"The epochs are numbered {', '.join(str(epoch.epoch) for epoch in epochs)}.")
    if len(epochs) != planned_epochs:
        problems.append(f"{len(epochs)} of {planned_epochs} epochs were begun.")
    if (asked := _epochs_asked(run)) not in (None, planned_epochs):
        problems.append(f"The run's configuration asks for {asked} epochs, {CONSUMED} for {planned_epochs}.")
    if told is not (len(epochs) == planned_epochs and all(epoch.closed for epoch in epochs)):
        problems.append(f"{CONSUMED} says closed = {json.dumps(told)}, against its own figures.")
    return problems


def manifest_sha256(shards: Shards) -> str:
    """What the build of these shards calls itself; empty for shards outside of a build."""
    path = shards.folder.parent / "corpus.json"
    return str(json.loads(path.read_bytes())["manifest_sha256"]) if path.is_file() else ""


def _planned(shards: Shards) -> dict[str, int]:
    return {name: n for name, n in shards.index["totals"]["tokens_by_source"].items() if n}


def _epochs_asked(run: Path) -> int | None:
    try:
        return int(tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))["data"]["epochs"])
    except (OSError, ValueError, KeyError):
        return None
