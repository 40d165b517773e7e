"""Clinical notes from PhysioNet CSV files (MIMIC-IV-Note, MIMIC-III NOTEEVENTS), one row at a time.

RFC 4180: a note is one quoted field of many lines. Placeholders (`___`, `[** **]`) are untouched. No error holds
any text of a note: rows are named by their number.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from scrapers.formats.errors import Unreadable
from scrapers.formats.jsonl import opened
from scrapers.formats.unwrap import unwrap

MAX_FIELD_CHARS = 32 << 20
"""A closing quote that is missing makes one field of the rest of the file: longer than this is no note."""

_COLUMNS = {
    "note_id": ("note_id", "row_id"),
    "subject_id": ("subject_id",),
    "hadm_id": ("hadm_id",),
    "note_type": ("note_type", "category"),
    "charttime": ("charttime",),
    "chartdate": ("chartdate",),
    "iserror": ("iserror",),
    "text": ("text",),
}
_REQUIRED = ("note_id", "subject_id", "text")


@dataclass(frozen=True, slots=True)
class NoteRow:
    """One note."""

    note_id: str
    subject_id: str
    hadm_id: str
    """Empty for many outpatient and radiology notes."""
    note_type: str
    charttime: str
    """As given, shifted by the hospital into the far future; the date alone where the time is missing."""
    text: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is no note."""

    row: int
    """1-based, the header not counted."""
    reason: str
    detail: str


def _cp1252(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end


codecs.register_error("medtrove_cp1252", _cp1252)


def rows(stream: IO[bytes], *, compressed: bool) -> Iterator[NoteRow | BadRow]:
    """Every row of `stream` in order; Unreadable when the header is not a note table's or the stream is damaged."""
    csv.field_size_limit(MAX_FIELD_CHARS)
    plain = opened(stream, "notes.csv.gz") if compressed else stream
    text = io.TextIOWrapper(plain, encoding="utf-8-sig", errors="medtrove_cp1252", newline="")
    reader = csv.reader(text, strict=True)
    number = 0
    try:
        header = next(reader, None)
        if header is None:
            raise Unreadable("extract.not_a_document", "The file is empty.")
        places = _places(header)
        for row in reader:
            number += 1
            if row:
                yield _row(number, row, places, len(header))
    except csv.Error as error:
        too_large = "field larger" in str(error)
        reason = "extract.too_large" if too_large else "extract.corrupt"
        raise Unreadable(reason, f"The CSV is broken after row {number}.") from None
    except (EOFError, OSError, ValueError):
        raise Unreadable("extract.corrupt", f"The stream is damaged or ends too early after row {number}.") from None
    finally:
        # The caller owns the stream: a wrapper that is collected must not close it.
        with contextlib.suppress(ValueError, OSError):
            text.detach()


def _places(header: list[str]) -> dict[str, int]:
    names = {name.strip().lower(): position for position, name in enumerate(header)}
    places = {
        field: names[found]
        for field, spellings in _COLUMNS.items()
        if (found := next((spelling for spelling in spellings if spelling in names), None)) is not None
    }
    missing = [field for field in _REQUIRED if field not in places]
    if missing:
        raise Unreadable("extract.not_a_document", f"The header has no column for {', '.join(missing)}.")
    return places


def _row(number: int, row: list[str], places: dict[str, int], width: int) -> NoteRow | BadRow:
    if len(row) != width:
        return BadRow(number, "extract.bad_record", f"The row has {len(row)} fields, the header {width}.")

    def value(field: str) -> str:
        return row[places[field]].strip() if field in places else ""

    if value("iserror") == "1":
        return BadRow(number, "extract.bad_record", "The hospital marked the note as an error.")
    if not value("note_id") or not value("subject_id"):
        return BadRow(number, "extract.bad_record", "The row has no note id or no subject id.")
    return NoteRow(
        note_id=value("note_id"),
        subject_id=value("subject_id"),
        hadm_id=value("hadm_id"),
        note_type=value("note_type"),
        charttime=value("charttime") or value("chartdate"),
        text=unwrap(row[places["text"]]),
    )
