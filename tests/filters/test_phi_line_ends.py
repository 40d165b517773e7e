"""Identifiers that a line end cuts in two are found as if the line went on."""

from __future__ import annotations

import pytest

from filters.phi.check import find, judge
from filters.phi.policy import load_policy
from scrapers.formats.unwrap import unwrap

NOTE = load_policy("note")
FULL_LINE = "The patient was seen in clinic today and can be reached by us at"

BROKEN = (
    ("617-|555-0142", "PHONE"),
    ("617-555-|0142", "PHONE"),
    ("617 555|0142", "PHONE"),
    ("(617)|555-0142", "PHONE"),
    ("03/|14/2019", "DATE"),
    ("2019-|03-14", "DATE"),
    ("March|14, 2019", "DATE"),
    ("SSN 123-45-|6789", "SSN"),
    ("MRN:|00123456", "ID"),
    ("medical record number|884213", "ID"),
    ("member ID|A1234567", "ID"),
    ("42 Longmeadow|Street", "ADDRESS"),
    ("Boston, MA|02115", "ZIP"),
    ("jane.doe@|mailhost.org", "EMAIL"),
    ("Dr. Harold|Winterbottom", "NAME"),
    ("92 year|old", "AGE"),
)


@pytest.mark.parametrize(("broken", "entity"), BROKEN)
@pytest.mark.parametrize("before", ["reached at", FULL_LINE])
@pytest.mark.parametrize("line_end", ["\n", "\n    ", " \r\n"])
def test_an_identifier_over_a_line_end_is_found(broken: str, entity: str, before: str, line_end: str) -> None:
    text = unwrap(f"{before} {broken.replace('|', line_end)} and she agreed with the plan to come back in May.")
    assert entity in {finding.entity for finding in find(text, NOTE)}


def test_the_whole_of_it_is_redacted() -> None:
    text = "call 617-555-\n0142 today, or Mary\nSmithson at home"
    policy = load_policy("web")
    found = find(text, policy)
    assert text[found[0].start : found[0].end] == "617-555-\n0142"


@pytest.mark.parametrize(
    "text",
    [
        "Na 140\nK 4.0\nCl 102\nWBC 6.1\nHgb 12.3",
        "- dose of 617\n- 555 and 0142 later",
        "1. Aspirin 81 mg\n2. Lisinopril 10 mg\n3. Metformin 500 mg",
        "BP 120/80\nHR 72\nRR 16\nSpO2 98%",
        "given in 617\n\n555-0142",
    ],
)
def test_lists_and_results_make_no_identifier(text: str) -> None:
    assert judge(text, NOTE)[0] == "keep"
