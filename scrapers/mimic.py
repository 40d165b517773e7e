"""MIMIC-IV-Note: discharge summaries and radiology reports, restricted, from PhysioNet's files as published.

PhysioNet gives them to credentialed users who signed the agreement, and its server lets only wget and its own tools
log in. So the files are read from a folder that the user filled (option `path`); without one the loader asks the
server as everyone may, which works where [routes] names a site's mirror (or the sample world) and is refused by
PhysioNet itself. There is no option for a password and no pretence of being another program. Every file is checked
against SHA256SUMS.txt. No message holds any text of a note.

Option `tables`: which of `discharge` and `radiology`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from manifests.document import Document, Quarantined
from manifests.errors import RecipeError, SourceError
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats import mimic_csv
from scrapers.formats.errors import Unreadable
from scrapers.formats.mimic_csv import BadRow, NoteRow
from scrapers.http_errors import FetchError, Forbidden
from scrapers.options import checked
from scrapers.snapshot import SNAPSHOT_FILE, is_complete, open_payload, read_items, write_snapshot
from scrapers.source import AcquireContext, Item, SourceConfig

BASE = "https://physionet.org/files/mimic-iv-note/2.2"
SUMS = "SHA256SUMS.txt"
EXPECTED_BYTES = {"discharge": 1_100_000_000, "radiology": 746_000_000}
"""About, as PhysioNet states them for version 2.2."""
NOTE_TYPES = {
    "DS": "Discharge summary",
    "AD": "Discharge addendum",
    "RR": "Radiology report",
    "AR": "Radiology addendum",
}

_SUM_LINE = re.compile(r"^([0-9a-f]{64})[ *]+(\S.*)$")
_HOW = (
    "Ask for access at https://physionet.org/content/mimic-iv-note/2.2/ (credentialed account, CITI training, signed "
    f"agreement), run `wget -r -N -c -np --user YOUR_NAME --ask-password {BASE}/`, "
    "and write the folder that holds SHA256SUMS.txt as `path` in the source's options."
)


class Loader:
    """The source `mimic-iv-note`."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        if not config.restricted:
            raise RecipeError(
                "the card does not say restricted = true.",
                where=f"[sources.{config.source}]",
                why="Notes of patients under an agreement must never be taken for open text.",
                fix="Set restricted = true in the card.",
            )
        self._options = checked(config, {"path": "", "tables": list(EXPECTED_BYTES)})
        unknown = sorted(set(self._options["tables"]) - set(EXPECTED_BYTES))
        if unknown:
            raise RecipeError(
                f"no table called {unknown[0]!r}.",
                where=f"[sources.{config.source}] options.tables",
                fix=f"Tables are {', '.join(EXPECTED_BYTES)}.",
            )

    def acquire(self, context: AcquireContext) -> None:
        if is_complete(context.raw):
            return
        if self._options["path"]:
            self._take(Path(self._options["path"]), context)
        else:
            capture(context, source=self.config.source, snapshot=self.config.snapshot, discover=self._discover)
            self._verify(context.raw)

    def _files(self) -> list[str]:
        return [f"note/{table}.csv.gz" for table in sorted(self._options["tables"])]

    def _take(self, folder: Path, context: AcquireContext) -> None:
        """Enter the files of the user's own folder where they lie: restricted text is not copied."""
        sums = _sums(_text(folder / SUMS, folder))
        items, put_aside = [], []
        for number, name in enumerate(self._files(), 1):
            path = folder / name
            if not path.is_file():
                raise self._missing(name, folder)
            context.progress(done=number, total=len(self._files()), note=f"checking {name}")
            digest = _sha256(path)
            if digest != sums.get(name):
                detail = f"{path.stat().st_size:,} bytes whose sha256 is not the one in {SUMS}: fetch it again."
                put_aside.append(Quarantined(name, self.config.source, "extract.checksum", detail))
                continue
            items.append(Item(name, str(path.resolve()), 0, path.stat().st_size, digest, f"{BASE}/{name}"))
        if not items:
            raise SourceError(
                f"none of {', '.join(self._files())} has the checksum that {SUMS} states.",
                where=str(folder),
                why="A download that broke off, or another version.",
                fix=_HOW,
            )
        write_snapshot(
            context.raw,
            source=self.config.source,
            snapshot=self.config.snapshot,
            items=items,
            quarantined=put_aside,
            counts={"taken": len(items)},
        )

    def _discover(self, listing: Listing) -> Iterator[Wanted]:
        try:
            sums = _sums(listing.page(f"{BASE}/{SUMS}", expect="").decode())
        except Forbidden as error:
            raise SourceError(
                f"PhysioNet does not give the files to this program (HTTP {error.status}).",
                where=f"source {self.config.source}",
                why="They are for credentialed users, and its server lets only wget and its own tools log in.",
                fix=_HOW,
            ) from None
        except FetchError as error:
            raise SourceError(error.what, where=error.url, why=error.why, fix=_HOW) from None
        for name in self._files():
            if name not in sums:
                listing.set_aside(name, "extract.checksum", f"{SUMS} does not name it.")
                continue
            yield Wanted(name, f"{BASE}/{name}", meta={"sha256": sums[name]}, file=name.replace("/", "-"))

    def _verify(self, raw: Store) -> None:
        """Undo the snapshot if a file is not the one of the list: fetched whole, yet from a wrong or changed copy."""
        for item in read_items(raw):
            if json.loads(item.meta)["sha256"] != item.sha256:
                raw.remove(SNAPSHOT_FILE)
                raw.remove(item.path)
                raise SourceError(
                    f"{item.item} has the sha256 {item.sha256[:12]}..., not the one in {SUMS}.",
                    where=f"source {self.config.source}",
                    why="A wrong copy must not become part of a corpus; it was deleted.",
                    fix="Run the same command again; if it stays so, the mirror's copy is wrong.",
                )

    def _missing(self, name: str, folder: Path) -> SourceError:
        size = EXPECTED_BYTES[name.removeprefix("note/").partition(".")[0]]
        return SourceError(
            f"{name} is not there (expected about {size / 1e9:.2f} GB).",
            where=str(folder),
            why="The recipe asks for this table.",
            fix=_HOW,
        )

    def read(self, item: Item, raw: Store, resolved: Any | None) -> Iterator[Document | Quarantined]:
        """The notes of one table, in file order."""
        try:
            with open_payload(raw, item) as stream:
                for row in mimic_csv.rows(stream, compressed=item.item.endswith(".gz")):
                    yield self._found(row, item)
        except Unreadable as error:
            yield Quarantined(item.item, self.config.source, error.reason, error.detail, item.sha256)

    def _found(self, row: NoteRow | BadRow, item: Item) -> Document | Quarantined:
        if isinstance(row, BadRow):
            return Quarantined(f"{item.item} row {row.row}", self.config.source, row.reason, row.detail, item.sha256)
        return Document(
            doc_id=f"{self.config.source}:{row.note_id}",
            source=self.config.source,
            kind=self.config.kind,
            text=row.text,
            title=NOTE_TYPES.get(row.note_type, ""),
            url=item.url,
            licence=self.config.licence,
            licence_evidence="card",
            lang="en",
            published=row.charttime[:10],
            raw_ref=item.sha256,
            restricted=True,
            subject=row.subject_id,
        )


def _sums(text: str) -> dict[str, str]:
    """name -> sha256 of PhysioNet's list: `{64 hex} {path}`, one space."""
    return {found[2].removeprefix("./"): found[1] for line in text.splitlines() if (found := _SUM_LINE.match(line))}


def _text(path: Path, folder: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        raise SourceError(
            f"{SUMS} is not there.",
            where=str(folder),
            why="Without it nobody can tell whether the files are whole.",
            fix=_HOW,
        ) from None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
