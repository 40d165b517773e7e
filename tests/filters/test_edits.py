"""What an edit took and gave: books that close exactly, and digits that count with their numbers."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.clean import clean
from filters.edits import digits, edit_measures
from filters.numbers import numbers

TEXTS = st.text(alphabet=st.sampled_from(list("ab1205.,-− \n\t|%<≤⁻³ﬁ’é\u00a0\u00ad")), max_size=120)


@settings(derandomize=True, max_examples=500)
@given(TEXTS, TEXTS)
def test_characters_close_and_lines_that_stay_change_nothing(before: str, after: str) -> None:
    made = edit_measures(before, after)
    assert len(before) - made.get("removed_characters", 0) + made.get("added_characters", 0) == len(after)
    whole = Counter(before) - Counter(after)
    assert made.get("removed_characters", 0) == whole.total()
    assert made.get("removed_spaces", 0) == sum(n for character, n in whole.items() if character.isspace())
    assert edit_measures(f"{before}\nkept 5 mg", f"{after}\nkept 5 mg") == made


@settings(derandomize=True, max_examples=500)
@given(TEXTS, TEXTS)
def test_digits_leave_with_the_numbers_of_the_whole_text(before: str, after: str) -> None:
    lost = Counter(numbers(before)) - Counter(numbers(after))
    expected = sum(n * sum(map(str.isdigit, number)) for number, n in lost.items())
    assert edit_measures(before, after).get("removed_digits", 0) == expected


@settings(derandomize=True, max_examples=300)
@given(TEXTS)
def test_cleaning_removes_no_digit(text: str) -> None:
    made = edit_measures(text, clean(text)[0])
    assert not {"removed_digits", "added_digits"} & set(made)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("the same", "the same", {}),
        ("a  b", "a b", {"removed_characters": 1, "removed_spaces": 1}),
        ("10⁻³ mol", "10^-3 mol", {"removed_characters": 2, "added_characters": 3}),  # re-spelt, not lost
        ("take 10 mg", "take 01 mg", {"removed_digits": 2, "added_digits": 2}),  # the same characters, another dose
        ("keep\n2 of 15\nthis", "keep\nthis", {"removed_characters": 8, "removed_spaces": 3, "removed_digits": 3}),
        ("call 555 1234", "call [PHONE]", {"removed_characters": 8, "removed_spaces": 1, "removed_digits": 7,
                                          "added_characters": 7}),
    ],
)  # fmt: skip
def test_edits_told(before: str, after: str, expected: dict[str, int]) -> None:
    assert edit_measures(before, after) == expected


def test_digits_are_those_of_ascii_and_a_broken_character_is_no_error() -> None:
    assert digits("CO2 10⁻³, 5–10 \ud800 7") == 7
