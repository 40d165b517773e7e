"""What a file of the user's own is, told by its content: which reader takes it, or why none does.

Test sets are recognised and refused whatever they are called: questions with options and an answer, texts with
annotated spans. Trained on, they would make every later evaluation worthless.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from scrapers.archive_members import container, head_of, members
from scrapers.formats.errors import Unreadable

HEAD_BYTES = 1 << 20
TEST_FOLDERS = ("benchmarks", "phi")
"""A file in a folder of this name, or one folder deeper, is test data."""
LEAST_TEXT = 60
"""Characters of a field that is taken for the text of documents, in one of the first rows at least."""
FURTHER_ROWS = 200
ARCHIVE_LOOK = 400
"""Members of an archive looked at to tell what it holds."""

TEXT_FIELDS = ("text", "clean_text", "raw_content", "note", "content", "abstract", "body", "section_text")
"""Field or column that holds the text, in this order."""
NOTE_COLUMNS = ("text", "note", "section_text", "note_text", "report")

SOURCES = {
    "jats": "local-jats",
    "medline": "local-medline",
    "ngc": "local-guidelines",
    "medquad": "local-qa",
    "pubmedqa": "local-qa",
    "notes": "local-notes",
    "jsonl": "local-text",
    "json": "local-text",
}
"""Reader -> id of the source whose documents it gives."""

_ROOTS = {
    "article": "jats",
    "articles": "jats",
    "pmc-articleset": "jats",
    "article-set": "jats",
    "PubmedArticleSet": "medline",
    "Version": "ngc",
    "Document": "medquad",
}
_ROOT = re.compile(rb"<(?![?!])(?:[\w.-]+:)?([\w.-]+)")
_CHECKSUM = re.compile(rb"\s*(?:MD5 ?\([^)]+\) ?= ?[0-9a-f]{32}|[0-9a-f]{32,64}[ *]+\S+)\s", re.I)
_OPTIONS = frozenset(("options", "choices", "opa", "a", "option_a"))
_ANSWERS = frozenset(("answer", "answer_idx", "cop", "gold", "label", "correct"))
_SPANS = frozenset(("spans", "entities", "predicted_spans", "expected_protected", "annotations"))


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What a file is."""

    readers: tuple[str, ...] = ()
    """Keys of `SOURCES`, the one with most members first; empty: nothing reads it."""
    packed: str = ""
    """`tar`, `zip` or ``."""
    reason: str = ""
    detail: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(SOURCES[reader] for reader in self.readers))


def sniff(path: Path) -> Sniffed:
    """What the file `path` is."""
    folders = [part.lower() for part in path.resolve().parts[-3:-1]]
    if any(name in folders for name in TEST_FOLDERS):
        return _not("It lies in a folder of test data (benchmarks, phi): never training data.")
    try:
        head = head_of(path, HEAD_BYTES)
        if not head:
            return _not("The file is empty.")
        packed = container(head)
        return _archive(path, packed) if packed else plain(head, whole=len(head) < HEAD_BYTES)
    except Unreadable as error:
        return Sniffed(reason=error.reason, detail=error.detail)


def plain(head: bytes, *, whole: bool = True) -> Sniffed:
    """What bytes that begin with `head` are (`whole`: these are all)."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        return _not("The file is empty.")
    if _CHECKSUM.match(start[:4096] + b"\n") and (whole and len(head) < 4096):
        return _not("A checksum file.")
    if start.startswith(b"<"):
        return _xml(start)
    if start[:1] in (b"{", b"["):
        return _json(start, whole=whole)
    if b"%PDF-" in head[:1024]:
        return Sniffed(reason="extract.unknown_format", detail="A PDF: loose PDFs are not read, only publishers' ones.")
    if b"\0" in head[:4096]:
        return Sniffed(reason="extract.unknown_format", detail="Binary data that no reader knows.")
    return _table(head)


def _not(detail: str) -> Sniffed:
    return Sniffed(reason="extract.not_a_document", detail=detail)


def _archive(path: Path, packed: str) -> Sniffed:
    found: dict[str, int] = {}
    refused: Unreadable | None = None
    try:
        for number, member in enumerate(members(path, packed)):
            if number == ARCHIVE_LOOK:
                break
            if member.refused is not None:
                refused = refused or member.refused
            else:
                for reader in plain(member.data[:HEAD_BYTES], whole=len(member.data) < HEAD_BYTES).readers:
                    found[reader] = found.get(reader, 0) + 1
    except Unreadable as error:
        if not found:
            return Sniffed(reason=error.reason, detail=error.detail)
    if not found and refused is not None:
        return Sniffed(reason=refused.reason, detail=refused.detail)
    if not found:
        return Sniffed(reason="extract.unknown_format", detail="An archive of which no member is known to any reader.")
    order = list(SOURCES)
    return Sniffed(tuple(sorted(found, key=lambda reader: (-found[reader], order.index(reader)))), packed)


def _xml(start: bytes) -> Sniffed:
    root = _ROOT.search(start)
    name = root[1].decode("latin-1") if root else ""
    reader = _ROOTS.get(name, "")
    if name == "OAI-PMH" and b"<article" in start:
        reader = "jats"
    elif (reader == "ngc" and b"<Section" not in start) or (reader == "medquad" and b"<Focus" not in start):
        reader = ""
    if reader:
        return Sniffed((reader,))
    if name.lower() in ("html", "body", "head") or b"<!doctype html" in start[:200].lower():
        return Sniffed(
            reason="extract.unknown_format", detail="An HTML page: loose pages are not read, only publishers'."
        )
    return Sniffed(reason="extract.unknown_format", detail=f"XML whose root <{name or '?'}> no reader knows.")


def _json(start: bytes, *, whole: bool) -> Sniffed:
    line, end, rest = start.partition(b"\n")
    try:
        first = orjson.loads(line)
    except orjson.JSONDecodeError:
        if not end and not whole:
            # One line longer than what was looked at: PubMedQA and list dumps are written so.
            return Sniffed(("pubmedqa",)) if b'"QUESTION"' in line else Sniffed(("json",))
        if b'"QUESTION"' in start and b'"LONG_ANSWER"' in start:
            return Sniffed(("pubmedqa",))
        return Sniffed(("json",)) if start[:1] == b"[" or b"\n" in start else _not("Broken JSON.")
    if isinstance(first, dict):
        inner = next(iter(first.values()), None)
        if isinstance(inner, dict) and "QUESTION" in inner:
            return Sniffed(("pubmedqa",))
        return _rows([first, *_further(rest)], "jsonl")
    return _rows(first, "json") if isinstance(first, list) else _not("JSON without rows of text.")


def _further(rest: bytes) -> list[Any]:
    """The next rows of JSON lines; the last line looked at may be cut."""
    found = []
    for line in rest.split(b"\n")[:FURTHER_ROWS]:
        try:
            found.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            continue
    return found


def _rows(rows: list[Any], reader: str) -> Sniffed:
    """What the first rows of JSON are."""
    rows = [row for row in rows if isinstance(row, dict)]
    if not rows:
        return _not("JSON without rows of text.")
    row = rows[0]
    why = test_data(row)
    if why:
        return _not(why)
    # A column that happens to be called `note` and holds remarks is no text of a document.
    if any(len(row[name]) >= LEAST_TEXT for row in rows for name in TEXT_FIELDS if isinstance(row.get(name), str)):
        return Sniffed((reader,))
    return _not(f"JSON rows without a text field (fields: {', '.join(list(row)[:8])}).")


def test_data(row: Mapping[str, Any]) -> str:
    """Why a JSON row belongs to a test set; empty if it does not look so."""
    names = {name.lower() for name in row}
    if "question" in names and names & _OPTIONS and names & _ANSWERS:
        return "Questions with options and answers: a benchmark, never training data."
    if names & _SPANS and names & {"text"}:
        return "Texts with annotated spans: a test set, never training data."
    return ""


def _table(head: bytes) -> Sniffed:
    text = head[:65536].decode("utf-8", "replace")
    try:
        rows = [row for _, row in zip(range(4), csv.reader(io.StringIO(text, newline="")), strict=False)]
    except csv.Error:
        rows = []
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    if len(header) >= 2:
        if any(name in header for name in NOTE_COLUMNS):
            return Sniffed(("notes",))
        if len(rows) > 2 and all(len(row) >= 6 and row[-1].strip() in ("A", "B", "C", "D", "E") for row in rows[:3]):
            return _not("Rows of a question, options and the right letter: a benchmark, never training data.")
    if "\t" in text.partition("\n")[0]:
        return _not("A table without a column of text.")
    if len(header) >= 4 and all(re.fullmatch(r"[\w .#-]{1,40}", cell) for cell in header):
        return _not("A table without a column of text.")
    return Sniffed(reason="extract.unknown_format", detail="Text without a structure that any reader knows.")
