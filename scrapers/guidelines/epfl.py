"""epfl-llm/guidelines: the guidelines that MediTron's authors released, as one file of rows on the hub.

Fields: id, source, title, clean_text, raw_text, url, overview. The cleaned text lost what stands between `<` and `>`,
text in square brackets and the text of links, so `text = "raw_text"` is the default. Every row names its origin, whose
terms are the text's; those on the hub's card (Common Crawl) are not. The rows of WikiDoc, an encyclopedia that makes
up most of the file, are left out unless `include` names them: it has a source of its own.

A `revision` that is a branch stands for its commit, which is what is fetched and recorded.
https://huggingface.co/datasets/epfl-llm/guidelines
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from manifests.document import Document, Quarantined
from manifests.errors import RecipeError, SourceError
from manifests.identity import canonical_json, sha256_hex
from manifests.store import Store
from scrapers import hub
from scrapers.capture import Listing, Wanted, capture
from scrapers.checksums import sha256_of, undo_if_wrong
from scrapers.formats import jsonl, parquet_rows
from scrapers.formats.errors import Unreadable
from scrapers.formats.inline import normalise
from scrapers.formats.jsonl import BadLine
from scrapers.guidelines.listed import polite_client
from scrapers.guidelines.nice_pages import guidance_slug
from scrapers.guidelines.sections import slug
from scrapers.options import checked
from scrapers.snapshot import is_complete, open_payload, verify_payload, write_snapshot
from scrapers.source import AcquireContext, Item, SourceConfig

DATASET = "epfl-llm/guidelines"
REVISION = "cc840ca56b4d4f6f35cafc819b670e5b1f04a660"
"""A commit of the data set that addresses of the hub name; as the default, so that equal recipes take equal rows."""
DELAY_SECONDS = 1.0
ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
TEXTS = ("raw_text", "clean_text")
FIELDS = ("id", "source", "title", "url", "overview")
MAX_BAD_ROWS = 100
"""Rows without the fields, before any with them, after which the file is of another make."""

_WHO_LICENCE = re.compile(r"\bCC BY-NC-SA 3\.0 IGO\b|\bby-nc-sa/3\.0/igo\b", re.IGNORECASE)
_WHO_YEAR = re.compile(r"(?:©|\(c\)|copyright)\s*World Health Organization[,\s]*((?:19|20)\d\d)", re.IGNORECASE)
_LINK = re.compile(r"\[([^\[\]]+)\]\((?:https?://|mailto:|/|#)[^()\s]*\)")


class Loader:
    """Rows of the file, a document each.

    Options: `path` (a file or folder of the user's own, instead of the hub), `dataset`, `revision`, `files` (patterns
    of paths in the data set), `text`, `include` and `exclude` (origins; what `include` names is never excluded).
    """

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        defaults = {
            "path": "", "dataset": DATASET, "revision": REVISION, "files": ["open_guidelines.jsonl"],
            "text": TEXTS[0], "include": [], "exclude": ["wikidoc"],
        }  # fmt: skip
        self._options = checked(config, defaults)
        if self._options["text"] not in TEXTS:
            raise RecipeError(
                f"text is {self._options['text']!r}.",
                where=f"[sources.{config.source}] options",
                why=f"A row has {' and '.join(TEXTS)}.",
                fix=f"Write one of them; {TEXTS[0]} keeps thresholds, grades and link text.",
            )

    def acquire(self, context: AcquireContext) -> None:
        """Fetch the file at the revision, or record where the user's own lies."""
        if self._options["path"]:
            if not is_complete(context.raw):
                self._from_disk(context, Path(self._options["path"]))
            return
        capture(
            context,
            source=self.config.source,
            snapshot=self.config.snapshot,
            discover=self._discover,
            client=polite_client(context, self.config, delay_seconds=DELAY_SECONDS),
        )
        undo_if_wrong(context.raw, source=self.config.source, stated_in="the hub's list of files")

    def _discover(self, listing: Listing) -> Iterator[Wanted]:
        dataset, patterns = self._options["dataset"], self._options["files"]
        commit = hub.commit_of(listing, dataset, self._options["revision"])
        found = 0
        for one in hub.files(listing, dataset, commit, patterns):
            found += 1
            url = hub.address(dataset, commit, one.path)
            meta = {"commit": commit, "sha256": one.sha256}
            name = one.path.replace("/", "-")
            yield Wanted(item=one.path, url=url, meta=meta, allowed_hosts=hub.CDN_HOSTS, file=f"files/{name}")
        if not found:
            raise SourceError(
                f"files {patterns!r} matched nothing in {dataset} at {commit[:12]}.",
                where=f"{hub.HUB}/datasets/{dataset}/tree/{commit}",
                why="The data set has been arranged anew.",
                fix="Look at the address and correct `files`, or give a file of your own as `path`.",
            )

    def _from_disk(self, context: AcquireContext, path: Path) -> None:
        base = path if path.is_dir() else path.parent
        files = sorted(one for one in base.rglob("*") if one.name.endswith(ENDINGS)) if path.is_dir() else [path]
        files = [one for one in files if one.is_file()][: context.limit or None]
        if not files:
            raise SourceError(
                f"no file that ends in {', '.join(ENDINGS)}.",
                where=str(path),
                why="The recipe names it as the source's `path`.",
                fix="Correct `path`.",
            )
        meta = canonical_json({"commit": "", "sha256": ""})
        items = [
            Item(one.relative_to(base).as_posix(), str(one.resolve()), 0, one.stat().st_size, sha256_of(one), "", meta)
            for one in files
        ]
        source, snapshot = self.config.source, self.config.snapshot
        write_snapshot(context.raw, source=source, snapshot=snapshot, items=items, counts={"files": len(items)})

    def read(self, item: Item, raw: Store, resolved: Any | None = None) -> Iterator[Document | Quarantined]:
        """The documents of one file, one row in memory at a time."""

        def aside(part: str, reason: str, detail: str) -> Quarantined:
            return Quarantined(f"{item.item} {part}".strip(), self.config.source, reason, detail, item.sha256)

        left_out: Counter[str] = Counter()
        seen: set[str] = set()
        bad = 0
        try:
            verify_payload(raw, item)
            with open_payload(raw, item) as stream:
                for place, row in _rows(stream, item.item, self._options["text"]):
                    found = _unusable(row, self._options["text"])
                    if found is None:
                        assert not isinstance(row, BadLine)
                        origin, native = slug(str(row["source"])), _native(row, self._options["text"])
                        if self._leaves_out(origin):
                            left_out[origin] += 1
                        elif native in seen:
                            yield aside(place, "extract.same_id", f"A second row with the id {native}.")
                        else:
                            seen.add(native)
                            yield self._document(row, origin, native, item)
                        continue
                    bad += 1
                    if bad >= MAX_BAD_ROWS and not seen and not left_out:
                        detail = f"None of the first {bad} rows has the fields source and {self._options['text']}."
                        raise Unreadable("extract.unknown_format", detail)
                    yield aside(place, *found)
        except Unreadable as error:
            yield aside("", error.reason, error.detail)
        for origin, n in sorted(left_out.items()):
            detail = f"{n:,} rows of the origin {origin}: the recipe's include and exclude leave it out."
            yield aside(origin, "extract.not_chosen", detail)

    def _leaves_out(self, origin: str) -> bool:
        include = self._options["include"]
        return origin not in include if include else origin in self._options["exclude"]

    def _document(self, row: Mapping[str, Any], origin: str, native: str, item: Item) -> Document:
        text, links = _LINK.subn(r"\1", _written(row[self._options["text"]]))
        title, overview, url = (_string(row.get(name)) for name in ("title", "overview", "url"))
        title, overview = " ".join(title.split()), _written(overview)
        first, _, rest = text.partition("\n")
        if title and first.lstrip("# ").lower().split() == title.lower().split():
            text = rest.lstrip("\n")
        headed = [f"# {title}"] * bool(title) + [overview] * (bool(overview) and overview not in text)
        licence, evidence = licence_of(origin, text)
        if self.config.licence != "per-document":
            licence, evidence = self.config.licence, "card"
        counts = {f"extract.origin_{origin.replace('-', '_')}": 1, "extract.link_targets": links}
        return Document(
            doc_id=f"{self.config.source}:{native}",
            source=self.config.source,
            kind="encyclopedia" if origin == "wikidoc" else self.config.kind,
            text="\n\n".join([*headed, text]),
            title=title,
            url=url if url.startswith(("https://", "http://")) else f"{hub.HUB}/datasets/{self._options['dataset']}",
            licence=licence,
            licence_evidence=evidence,
            lang="en",
            raw_ref=item.sha256,
            # A copy of what the source `nice` has today is an earlier version of it.
            family=f"nice:{ref}" if origin == "nice" and (ref := guidance_slug(url)) else "",
            counts={name: n for name, n in counts.items() if n},
        )


def licence_of(origin: str, text: str) -> tuple[str, str]:
    """(licence, what it was read from) of a text from `origin`; `unknown` where its publisher's terms are not clear.

    WHO's licence holds from November 2016 on (https://www.who.int/about/policies/publishing/copyright), so a text must
    name the licence or a later year.
    """
    if origin == "wikidoc":
        return "CC-BY-SA-3.0", "origin:wikidoc"
    if origin == "nice":
        return "LicenseRef-NICE-UK-Open-Content", "origin:nice"
    if origin == "who":
        if _WHO_LICENCE.search(text):
            return "CC-BY-NC-SA-3.0-IGO", "origin:who+text:licence"
        year = _WHO_YEAR.search(text)
        if year and int(year[1]) > 2016:
            return "CC-BY-NC-SA-3.0-IGO", "origin:who+text:year"
    return "unknown", f"origin:{origin}"


def _rows(stream: IO[bytes], name: str, text: str) -> Iterator[tuple[str, Mapping[str, Any] | BadLine]]:
    if name.endswith(".parquet"):
        for number, row in parquet_rows.rows(stream, only=(*FIELDS, text)):
            yield f"row {number}", row
        return
    for found in jsonl.rows(stream, name=name):
        yield (f"line {found.line}", found) if isinstance(found, BadLine) else (f"line {found[0]}", found[1])


def _unusable(row: Mapping[str, Any] | BadLine, text: str) -> tuple[str, str] | None:
    """(reason, detail) of a row that gives no document."""
    if isinstance(row, BadLine):
        return row.reason, row.detail
    missing = [name for name in ("source", text) if not _string(row.get(name))]
    return ("extract.bad_record", f"The row has no {' and no '.join(missing)}.") if missing else None


def _native(row: Mapping[str, Any], text: str) -> str:
    """`<origin>-<id>`; a row without id is named by its text."""
    own = slug(_string(row.get("id"))) or sha256_hex(str(row[text]).encode())[:16]
    return f"{slug(str(row['source']))}-{own}"


def _string(value: Any) -> str:
    """`value` if it is a text; the words that writers of tables put for "nothing" are none."""
    text = value.strip() if isinstance(value, str) else ""
    return "" if text.lower() in ("none", "nan", "null") else text


def _written(value: str) -> str:
    lines = value.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return re.sub(r"\n{3,}", "\n\n", normalise("\n".join(line.rstrip() for line in lines))).strip()
