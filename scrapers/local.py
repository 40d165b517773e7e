"""The user's own files, read where they lie: JATS, guideline and QA archives, notes, JSON with text.

Every file is told by its content, archives are streamed, and each gives documents to the source of its format
(`local-jats`, `local-guidelines`, `local-qa`, `local-notes`, `local-text`; `local-medline` is in
`scrapers.local_medline`). What no reader knows is put aside with one sentence, in the books of the first source that
found anything. Files and folders whose names begin with a dot are no input.

Options: `paths` (files and folders); of `local-jats` also `citations` as in `scrapers.pmc`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from manifests.document import Document, Quarantined
from manifests.errors import RecipeError
from manifests.identity import canonical_json
from manifests.store import Store
from scrapers.archive_members import Member, members, unpacked
from scrapers.formats.errors import Unreadable
from scrapers.local_read import READERS, Input
from scrapers.local_sniff import HEAD_BYTES, SOURCES, Sniffed, plain, sniff
from scrapers.options import checked
from scrapers.pmc_read import checked_citations
from scrapers.snapshot import is_complete, verify_payload, write_snapshot
from scrapers.source import AcquireContext, Item, SourceConfig

_MD5 = re.compile(r"\b([0-9a-f]{32})\b")


def discover(paths: Sequence[str]) -> dict[str, list[str]]:
    """Source -> files it gives documents of, absolute; files that no reader knows are with the first source."""
    found: dict[str, list[str]] = {}
    unknown: list[str] = []
    for path in walk(paths):
        sources = sniff(path).sources
        for source in sources:
            found.setdefault(source, []).append(str(path))
        if not sources:
            unknown.append(str(path))
    first = next((source for source in dict.fromkeys(SOURCES.values()) if source in found), None)
    if first is not None:
        found[first] = sorted([*found[first], *unknown])
    return found


def walk(paths: Sequence[str]) -> list[Path]:
    """Every file of `paths`, absolute and sorted, links to folders not followed."""
    found: set[Path] = set()
    for given in paths:
        path = Path(given).resolve()
        if path.is_file():
            found.add(path)
        for folder, folders, files in os.walk(path):
            folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
            found.update(Path(folder, name).resolve() for name in files if not name.startswith("."))
    return sorted(path for path in found if path.is_file())


class Loader:
    """One of the local sources."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        own = {"citations": "drop"} if config.source == SOURCES["jats"] else {}
        options = checked(config, {"paths": [], **own})
        self._paths = [str(path) for path in options["paths"]]
        where = f"[sources.{config.source}] options"
        self._citations = checked_citations(options.get("citations", "drop"), where=where)

    def acquire(self, context: AcquireContext) -> None:
        """Record name, size and sha256 of every file where it lies; nothing is copied."""
        if is_complete(context.raw):
            return
        files = walk(self._paths)
        if not files:
            raise RecipeError(
                f"no file in {', '.join(self._paths) or 'no path'}.",
                where=f"[sources.{self.config.source}] options.paths",
                fix="Name the files or folders to read.",
            )
        base = Path(os.path.commonpath([path.parent for path in files]))
        items: list[Item] = []
        put_aside: list[Quarantined] = []
        for number, path in enumerate(files, 1):
            context.progress(done=number, total=len(files), note="files looked at")
            name = path.relative_to(base).as_posix()
            what = sniff(path)
            if not what.sources:
                put_aside.append(Quarantined(name, self.config.source, what.reason, what.detail))
            elif self.config.source in what.sources:
                found = self._item(path, name, what)
                if isinstance(found, Item):
                    items.append(found)
                else:
                    put_aside.append(found)
        write_snapshot(
            context.raw,
            source=self.config.source,
            snapshot=self.config.snapshot,
            items=items,
            quarantined=put_aside,
            counts={"files": len(files)},
        )

    def _item(self, path: Path, name: str, what: Sniffed) -> Item | Quarantined:
        sha256, md5 = _digests(path)
        stated = _companion_md5(path)
        if stated and stated != md5:
            detail = f"Its MD5 is not the one in {path.name}.md5."
            return Quarantined(name, self.config.source, "extract.checksum", detail, sha256)
        own = [reader for reader in what.readers if SOURCES[reader] == self.config.source]
        meta = {"packed": what.packed, "readers": own, "first": what.sources[0] == self.config.source}
        return Item(name, str(path), 0, path.stat().st_size, sha256, "", canonical_json(meta))

    def read(self, item: Item, raw: Store, resolved: Any | None) -> Iterator[Document | Quarantined]:
        """Documents of one file, or of the members of one archive in its order."""
        meta = json.loads(item.meta)
        whole = Input(item.item, partial(unpacked, Path(item.path)), item.sha256, self.config, self._citations)
        try:
            verify_payload(raw, item)
            if meta["packed"]:
                yield from self._archive(item, meta, resolved)
            else:
                yield from self._read(meta["readers"][0], whole, 0, resolved)
        except Unreadable as error:
            yield whole.aside(error.reason, error.detail)

    def _archive(self, item: Item, meta: dict[str, Any], resolved: Any | None) -> Iterator[Document | Quarantined]:
        for number, member in enumerate(members(Path(item.path), meta["packed"])):
            name = f"{item.item}!{member.name}"
            given = Input(name, partial(_stream, member), item.sha256, self.config, self._citations)
            what = plain(member.data[:HEAD_BYTES], whole=len(member.data) < HEAD_BYTES)
            own = [reader for reader in what.readers if SOURCES[reader] == self.config.source]
            if own:
                try:
                    yield from self._read(own[0], given, number, resolved)
                except Unreadable as error:
                    yield given.aside(error.reason, error.detail)
            elif meta["first"] and not what.readers:
                # A member that no source reads is told once, by the archive's first.
                why = member.refused or Unreadable(what.reason, what.detail)
                yield given.aside(why.reason, why.detail)

    def _read(self, reader: str, given: Input, number: int, resolved: Any | None) -> Iterator[Document | Quarantined]:
        return READERS[reader](given)


def _stream(member: Member) -> IO[bytes]:
    return io.BytesIO(member.data)


def _digests(path: Path) -> tuple[str, str]:
    """(sha256, MD5) of the file."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            sha256.update(piece)
            md5.update(piece)
    return sha256.hexdigest(), md5.hexdigest()


def _companion_md5(path: Path) -> str:
    """The MD5 that a file `<name>.md5` beside `path` states; empty without one."""
    try:
        found = _MD5.search(path.with_name(f"{path.name}.md5").read_text(encoding="latin-1"))
    except OSError:
        return ""
    return found[1] if found else ""
