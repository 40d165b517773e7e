"""Readers of the user's own files, each from a way to open the uncompressed bytes to documents.

Ids are the record's own (PMCID, DOI, guideline number, note id); a record without one is named by 16 hex digits of
its sha256. No message holds any text of a file.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Any

import orjson

from manifests.document import Document, Quarantined
from manifests.identity import canonical_json, sha256_hex
from manifests.licences import decide
from scrapers.archive_members import DAMAGE, MAX_MEMBER_BYTES, damaged
from scrapers.formats import jats, jsonl, medquad, mimic_csv, ngc
from scrapers.formats.errors import Unreadable
from scrapers.formats.jsonl import BadLine
from scrapers.formats.mimic_csv import MAX_FIELD_CHARS, BadRow
from scrapers.local_sniff import NOTE_COLUMNS, TEXT_FIELDS
from scrapers.pmc_read import article_document
from scrapers.source import SourceConfig

Found = Iterator[Document | Quarantined]

_ID_COLUMNS = ("note_id", "row_id", "encounter_id")
_SUBJECT_COLUMNS = ("subject_id", "patient_id")
_DATE_COLUMNS = ("charttime", "chartdate", "date")
_ISO_DATE = re.compile(r"\d{4}(?:-\d\d(?:-\d\d)?)?")
_NGC_NAME = re.compile(r"(\d{3,7})\D*$")


@dataclass(frozen=True, slots=True)
class Input:
    """One file or member, ready to be read."""

    name: str
    """The item, or `item!member`."""
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    """A new stream of its uncompressed bytes."""
    raw_ref: str
    config: SourceConfig
    citations: str = "drop"

    def aside(self, reason: str, detail: str, part: str = "") -> Quarantined:
        name = f"{self.name} {part}" if part else self.name
        return Quarantined(name, self.config.source, reason, detail, self.raw_ref)

    def data(self) -> bytes:
        """All bytes; Unreadable if they are too many or damaged."""
        try:
            with self.open() as stream:
                found = stream.read(MAX_MEMBER_BYTES + 1)
        except DAMAGE:
            raise damaged() from None
        if len(found) > MAX_MEMBER_BYTES:
            raise Unreadable("extract.too_large", f"The file is larger than {MAX_MEMBER_BYTES >> 20} MB.")
        return found

    def document(self, native: str, text: str, **facts: Any) -> Document:
        """A document with the source's licence unless `facts` name another."""
        licence = self.config.licence if self.config.licence != "per-document" else "unknown"
        settled: dict[str, Any] = {"licence": licence, "licence_evidence": "card", **facts}
        return Document(
            doc_id=f"{self.config.source}:{native}",
            source=self.config.source,
            kind=self.config.kind,
            text=text,
            raw_ref=self.raw_ref,
            restricted=self.config.restricted,
            **settled,
        )


def read_jats(given: Input) -> Found:
    """The articles of one JATS file, sub-articles and translated abstracts after each."""
    data = given.data()
    whole = ""
    for article in jats.parse(data, given.citations):
        if not article.part:
            by_doi = f"doi:{article.doi}" if article.doi else f"pmid:{article.pmid}" if article.pmid else ""
            whole = article.pmcid or by_doi or sha256_hex(data)[:16]
        address = f"https://pmc.ncbi.nlm.nih.gov/articles/{whole}/" if whole.startswith("PMC") else ""
        yield article_document(
            article,
            given.config,
            doc_id=f"{given.config.source}:{whole}" + (f"#{article.part}" if article.part else ""),
            url=address or (f"https://doi.org/{article.doi}" if article.doi else ""),
            licence=article.licence,
            evidence=article.licence_evidence,
            pmcid="",
            pmid="",
            raw_ref=given.raw_ref,
        )


def read_ngc(given: Input) -> Found:
    """One guideline summary of the National Guideline Clearinghouse."""
    data = given.data()
    found = ngc.parse(data)
    by_name = _NGC_NAME.search(given.name.rpartition(".")[0])
    number = found.id or (by_name[1] if by_name else "")
    native = f"ngc-{number}" if number else sha256_hex(data)[:16]
    yield given.document(
        native, found.text, title=found.title, year=found.year, published=found.published, counts=found.counts
    )


def read_medquad(given: Input) -> Found:
    """One MedQuAD document: all questions about one topic."""
    data = given.data()
    found = medquad.parse(data)
    if not found.text:
        yield given.aside("extract.not_a_document", "No question in it has an answer.")
        return
    # Its ids start anew in every collection, so they name nothing.
    native = sha256_hex(data)[:16]
    yield given.document(native, found.text, title=found.title, url=found.url, lang="en", counts=found.counts)


def read_pubmedqa(given: Input) -> Found:
    """PubMedQA: the question, the labelled parts of the abstract it was made from, and the long answer."""
    for pmid, row in _rows_of(_json(given)):
        question, answer = str(row.get("QUESTION") or ""), str(row.get("LONG_ANSWER") or "")
        contexts, labels = row.get("CONTEXTS") or [], row.get("LABELS") or []
        if not (question and answer and pmid):
            yield given.aside("extract.bad_record", "A question without its answer or number.", f"record {pmid}")
            continue
        parts = [f"{label}: {text}" for label, text in zip(labels, contexts, strict=False)]
        text = "\n\n".join([f"# {question}", *(parts or map(str, contexts)), f"ANSWER: {answer}"])
        year = str(row.get("YEAR") or "")
        yield given.document(
            f"pubmedqa-{pmid}",
            unicodedata.normalize("NFC", text),
            title=question,
            url=f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/",
            lang="en",
            year=int(year) if year.isdecimal() else None,
            pmid=pmid,
        )


def read_jsonl(given: Input) -> Found:
    """JSON lines with a text field."""
    with given.open() as stream:
        marked = stream.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
    with given.open() as stream:
        if marked:
            stream.read(len(codecs.BOM_UTF8))
        for found in jsonl.rows(stream, name="plain.jsonl"):
            if isinstance(found, BadLine):
                yield given.aside(found.reason, found.detail, f"line {found.line}")
            else:
                yield _of_row(given, found[1], f"line {found[0]}")


def read_json(given: Input) -> Found:
    """One JSON value: a list of rows with a text field, or rows by name."""
    for number, (_key, row) in enumerate(_rows_of(_json(given)), 1):
        yield _of_row(given, row, f"record {number}")


def read_notes(given: Input) -> Found:
    """A table of notes: MIMIC's own shape, or any CSV with a column of note text."""
    with given.open() as stream:
        header = {cell.strip().lower() for cell in _first_row(stream)}
    if {"subject_id", "text"} <= header and header & {"note_id", "row_id"}:
        with given.open() as stream:
            for row in mimic_csv.rows(stream, compressed=False):
                if isinstance(row, BadRow):
                    yield given.aside(row.reason, row.detail, f"row {row.row}")
                else:
                    yield given.document(
                        row.note_id, row.text, subject=row.subject_id, published=row.charttime[:10], lang="en"
                    )
        return
    with given.open() as stream:
        yield from _other_notes(given, stream)


def _other_notes(given: Input, stream: IO[bytes]) -> Found:
    number = 0
    with _table(stream) as reader:
        names = [name.strip().lower() for name in next(reader, [])]
        column = next((names.index(name) for name in NOTE_COLUMNS if name in names), None)
        if column is None:
            raise Unreadable("extract.not_a_document", "The table has no column of note text.")
        for number, row in enumerate(reader, 1):
            if len(row) != len(names):
                yield given.aside("extract.bad_record", f"{len(row)} fields, not {len(names)}.", f"row {number}")
                continue
            text = unicodedata.normalize("NFC", row[column].replace("\r\n", "\n")).strip()
            if not text:
                yield given.aside("extract.bad_record", "The row has no text.", f"row {number}")
                continue
            values = dict(zip(names, row, strict=True))
            native = _first_of(values, _ID_COLUMNS) or sha256_hex(canonical_json(row).encode())[:16]
            date = _first_of(values, _DATE_COLUMNS)[:10]
            yield given.document(
                native,
                text,
                subject=_first_of(values, _SUBJECT_COLUMNS),
                published=date if _ISO_DATE.fullmatch(date) else "",
            )


def _of_row(given: Input, row: Mapping[str, Any], place: str) -> Document | Quarantined:
    text = _first_of(row, TEXT_FIELDS)
    if not text.strip():
        return given.aside("extract.bad_record", "The row has no text.", place)
    licence = _first_of(row, ("licence", "license"))
    decided = decide([licence], [licence], None).licence if licence else "unknown"
    stated = {"licence": decided, "licence_evidence": "record"} if decided != "unknown" else {}
    published = _first_of(row, ("published", "date"))[:10]
    return given.document(
        _first_of(row, ("id", "doc_id", "_id", "uuid")) or sha256_hex(canonical_json(row).encode())[:16],
        unicodedata.normalize("NFC", text),
        title=_first_of(row, ("title",)),
        url=_first_of(row, ("url", "link")),
        lang=_first_of(row, ("lang", "language"))[:2].lower(),
        published=published if _ISO_DATE.fullmatch(published) else "",
        year=int(published[:4]) if _ISO_DATE.fullmatch(published) else None,
        doi=_first_of(row, ("doi",)),
        **stated,
    )


def _first_of(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = row.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip() if name not in TEXT_FIELDS else str(value)
    return ""


def _json(given: Input) -> Any:
    try:
        return orjson.loads(given.data().removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError:
        raise Unreadable("extract.corrupt", "Not valid JSON.") from None


def _rows_of(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(name, row) of a JSON object of rows, a list of rows, or a list inside an object."""
    if isinstance(value, Mapping):
        lists = [inner for inner in value.values() if isinstance(inner, list)]
        if lists and not any(isinstance(inner, Mapping) for inner in value.values()):
            value = max(lists, key=len)
        elif any(isinstance(value.get(name), str) for name in TEXT_FIELDS):
            value = [value]
        else:
            yield from ((str(name), row) for name, row in value.items() if isinstance(row, Mapping))
            return
    if not isinstance(value, list):
        raise Unreadable("extract.not_a_document", "JSON without rows of text.")
    yield from (("", row) for row in value if isinstance(row, Mapping))


@contextlib.contextmanager
def _table(stream: IO[bytes]) -> Iterator[Iterator[list[str]]]:
    """The rows of a CSV; damage inside the block becomes Unreadable."""
    csv.field_size_limit(MAX_FIELD_CHARS)
    # The error handler is that of mimic_csv: single bytes of Windows-1252 stand in otherwise good UTF-8 notes.
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="medtrove_cp1252", newline="")
    try:
        yield csv.reader(text, strict=True)
    except csv.Error as error:
        reason = "extract.too_large" if "field larger" in str(error) else "extract.corrupt"
        raise Unreadable(reason, "The CSV is broken.") from None
    except DAMAGE:
        raise damaged() from None
    finally:
        # The stream is closed by whoever opened it.
        with contextlib.suppress(ValueError, OSError):
            text.detach()


def _first_row(stream: IO[bytes]) -> list[str]:
    with _table(stream) as reader:
        return next(reader, [])


READERS: dict[str, Callable[[Input], Found]] = {
    "jats": read_jats,
    "ngc": read_ngc,
    "medquad": read_medquad,
    "pubmedqa": read_pubmedqa,
    "notes": read_notes,
    "jsonl": read_jsonl,
    "json": read_json,
}
