"""Joining wrapped lines of notes: nothing but what was wrapped, on generated notes and on real ones."""

from __future__ import annotations

import csv
import gzip
import io
import os
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.numbers import numbers, numeric_tokens
from scrapers.formats.unwrap import unwrap

_WORDS = [
    "patient",
    "denies",
    "chest",
    "pain",
    "5",
    "mg",
    "<120",
    "q6h",
    "PO",
    "aspirin",
    "120/80",
    "days",
    "of",
    "the",
]
_WORDS += ["7.2", "%", ">=", "-3", "(500", "mg)", "±", "1,000", "___"]
_PARAGRAPH = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=45).map(lambda words: f"The {' '.join(words)}.")
_ITEM = st.tuples(st.sampled_from(["- ", "1. ", "12) ", "* ", "[x] ", "a. "]), _PARAGRAPH).map("".join)
_ROW = st.sampled_from(
    [
        "___ 05:30AM BLOOD WBC-5.2 RBC-4.10* Hgb-12.3 Hct-37.0 MCV-90 MCH-30.0 MCHC-33.2 RDW-13.1",
        "Na              140             133-145         mEq/L           normal, as at admission",
        "| glucose | 101 | 70-105 | mg/dL | taken in the morning after a night without any food |",
    ]
)
_HEADING = st.sampled_from(["Allergies: none", "Discharge Medications:", "IMPRESSION:", "Brief Hospital Course:"])
_LINE = st.one_of(_PARAGRAPH, _ITEM, _ROW, _HEADING)


def _wrapped(line: str, width: int) -> str:
    return "\n".join(textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False))


def _is_row(line: str) -> bool:
    return line.startswith(("|", "___ 05", "Na "))


def _check_no_line_runs_into_the_one_before(found: str, lines: list[str]) -> None:
    """The lines found, put together, give each of `lines`: none of them holds words of two."""
    left = [line.split() for line in found.split("\n") if line.strip()]
    for line in filter(str.strip, lines):
        words: list[str] = []
        while len(words) < len(line.split()):
            assert left, line
            words += left.pop(0)
        assert words == line.split()
    assert left == []


@settings(max_examples=300, deadline=None)
@given(st.lists(_LINE, max_size=10), st.integers(70, 80))
def test_no_item_row_or_heading_is_joined_to_the_line_before(lines: list[str], width: int) -> None:
    # A system wraps prose and items, and leaves rows of results as they were printed; paragraphs stand apart.
    printed = []
    for line in lines:
        printed += (
            ["", _wrapped(line, width)]
            if line.startswith("The ")
            else [line if _is_row(line) else _wrapped(line, width)]
        )
    found = unwrap("\n".join(printed))
    _check_no_line_runs_into_the_one_before(found, lines)
    assert [line for line in found.split("\n") if _is_row(line)] == [line for line in lines if _is_row(line)]
    assert numbers(found) == numbers("\n".join(printed)) == numbers("\n".join(lines))
    # A unit wrapped away from its number comes back to it: additions only.
    kept = iter(numeric_tokens(found))
    assert all(token in kept for token in numeric_tokens("\n".join(printed)))


def test_wrapped_prose_is_whole_again() -> None:
    text = (
        "The man was given aspirin 325 mg at home and 40 mg of furosemide on arrival, with some relief of the pain. "
        * 4
    )
    assert unwrap(_wrapped(text.strip(), 72)) == text.strip()


def _real_notes() -> list[str]:
    folder = os.environ.get("MEDTROVE_REALDATA")
    if not folder:
        pytest.skip("MEDTROVE_REALDATA is not set: the real-data pack is not here")
    texts = []
    for name, column in (
        ("aci_bench_train", "note"),
        ("aci_bench_valid", "note"),
        ("mts_dialog_train", "section_text"),
    ):
        with gzip.open(Path(folder) / "notes" / f"{name}.csv.gz", "rb") as stream:
            texts += [row[column] for row in csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8", newline=""))]
    return texts


@pytest.mark.parametrize("width", [70, 80])
def test_real_notes_wrapped_as_a_system_does_come_back(width: int) -> None:
    n_lines = n_whole = 0
    for text in _real_notes():
        lines = [line.strip() for line in text.replace("\r", "").split("\n")]
        found = unwrap("\n".join(_wrapped(line, width) for line in lines))
        assert found.split() == text.split()
        assert numbers(found) == numbers("\n".join(lines))
        made = {" ".join(line.split()) for line in found.split("\n")}
        n_lines += sum(1 for line in lines if line)
        n_whole += sum(" ".join(line.split()) in made for line in lines if line)
    assert n_whole >= 0.985 * n_lines


@pytest.mark.parametrize(
    ("wrapped", "whole"),
    [("03/\n14/2019", "03/14/2019"), ("5-\n10 mg", "5-10 mg"), ("120/\n80", "120/80"), ("a.b@\nc.org", "a.b@c.org")],
)
def test_a_number_broken_at_its_mark_is_one_again(wrapped: str, whole: str) -> None:
    before = "The patient came back to the clinic for this on the day noted as"
    assert unwrap(f"{before} {wrapped} and went home") == f"{before} {whole} and went home"


def test_a_hanging_hyphen_keeps_its_space() -> None:
    text = "The patient was given the same medication on the day before, the pre-\nand post-operative days"
    assert unwrap(text) == text.replace("\n", " ")


@pytest.mark.parametrize("bullet", "□☐✓➢■\uf0a7\uf0d8")
def test_bullets_of_word_processors_are_bullets(bullet: str) -> None:
    text = f"{bullet} Insulin glargine 20 units at bedtime; hold for a sugar below 100\n{bullet} Aspirin 81 mg daily"
    assert unwrap(text) == text
