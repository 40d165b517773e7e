"""Layouts of notes: what hospital systems print one to a line stays so, and a broken placeholder is whole again."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.numbers import numbers
from scrapers.formats.unwrap import unwrap

FULL = "The patient was seen by the team on the ward and the plan was made that is set out"
"""A line that is full: whatever may go on after it does."""


@pytest.mark.parametrize(
    "line",
    [
        "I. NEUROLOGIC: alert",
        "III) RESPIRATORY - stable",
        "(iv) renal",
        "o warfarin 5 mg",
        "– insulin",
        "→ repeat CBC",
        "● follow up",
        "> 5 episodes",
        "Sig: One (1) tablet",
        "sig: take 2.5 mg daily",
        "Disp:*30 Tablet(s)* Refills:*0*",
        "Refills:*2*",
        "RX *oxycodone 5 mg 1 tablet by mouth",
        "#*20 Tablet Refills:*0",
        "BP 115/72 after three minutes",
        "T 98.4 HR 88",
        "VS: 98.6 72 120/80 16 98%",
        "SpO2 97% on RA",
        "Wt: 81.7 kg",
        "10.1 4.10 12.3 37.0 250",
        "140 / 104 / 18 / 101",
        "5.2* <0.01 7.4 ___ 3.3",
        "Glucose-101 UreaN-18 Creat-0.9",
        "___ 05:30AM BLOOD WBC-5.2",
        "Na              140      133-145",
        "Discharge Disposition:",
        "FOLLOW UP",
        "# NSTEMI: loaded",
        "[ ] repeat CBC",
        "=================",
    ],
)
def test_what_stands_on_a_line_of_its_own_is_never_joined_to_the_one_before(line: str) -> None:
    assert unwrap(f"{FULL}\n{line}") == f"{FULL}\n{line}"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("atorvastatin 40 mg every evening before going to bed with a glass of water as needed for",
         "metformin 1000 mg bid"),
        ("Vitamin B complex (oral) 1 tablet every morning with food and with a full glass of water",
         "insulin glargine 20 units at bedtime"),
        ("lisinopril 20mg tablets by mouth once a day in the morning, hold for pressure under 100", "aspirin 81mg"),
    ],
)  # fmt: skip
def test_two_drugs_of_a_list_without_marks_stay_two_lines(first: str, second: str) -> None:
    assert unwrap(f"{first}\n{second}") == f"{first}\n{second}"
    assert unwrap(f"{FULL} and was given\n{second}") == f"{FULL} and was given {second}"


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("He was seen at [**Hospital1\n18**] and left.", "He was seen at [**Hospital1 18**] and left."),
        ("- seen by [**Last Name (NamePattern1)\n**] today", "- seen by [**Last Name (NamePattern1) **] today"),
        ("Dr. [**Known\n   lastname 12**] called", "Dr. [**Known lastname 12**] called"),
        ("on [**2101-3-4**]\nand [**Hospital1 18**]", "on [**2101-3-4**]\nand [**Hospital1 18**]"),
        ("a [** that never closes\nand [**2101-3-4**]", "a [** that never closes\nand [**2101-3-4**]"),
    ],
)
def test_a_broken_placeholder_is_whole_again_and_no_other_line_is_touched(text: str, joined: str) -> None:
    assert unwrap(text) == joined


_SENTENCE = st.lists(
    st.sampled_from(
        ["patient", "denies", "pain", "with", "5", "mg", "of", "aspirin", "___", "[**2101-3-4**]",
         "BP", "<120", "and", ">=60", "mL/min", "on", "day", "3"]
    ),
    min_size=4,
    max_size=40,
).map(lambda words: f"She {' '.join(words)}.")  # fmt: skip
_LINE = st.sampled_from(
    [
        "1. Aspirin 81 mg Tablet Sig: One (1) Tablet PO DAILY.",
        "Disp:*30 Tablet(s)* Refills:*2*",
        "RX *furosemide 40 mg 1 tablet(s) by mouth daily Disp #*30 Tablet Refills:*0",
        "II. CARDIOVASCULAR",
        "BP 120/80 HR 72 RR 16 SpO2 98% on 2 L, lying, and no change after three minutes of standing",
        "WBC   RBC   Hgb   Hct   Plt",
        "10.1 4.10 12.3 37.0 250 88 31 33 12.9 250 71 19 7 2 1",
        "o Continue 5 mg of warfarin",
        "DISCHARGE DIAGNOSIS:",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(_SENTENCE, _LINE), min_size=1, max_size=10), st.integers(70, 80))
def test_a_note_wrapped_at_any_width_keeps_its_lines_and_its_numbers(lines: list[str], width: int) -> None:
    printed = []
    for line in lines:
        whole = not line.startswith("She ")
        printed.append(line if whole else textwrap.fill(line, width, break_on_hyphens=False))
    found = unwrap("\n".join(printed))
    assert found.split() == " ".join(lines).split()
    assert numbers(found) == numbers("\n".join(printed))
    assert found.count("[**2101-3-4**]") == sum(line.count("[**2101-3-4**]") for line in lines)
    starts = {line.split()[0] for line in found.split("\n")}
    assert all(line.split()[0] in starts for line in lines if not line.startswith("She "))
