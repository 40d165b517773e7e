from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.numbers import NumberToken, numbers, numeric_tokens


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("−5 °C", "-5 °C"),
        ("–5", "-5"),
        ("10⁻³ mol", "10^-3 mol"),
        ("1.2 × 10⁻³", "1.2 × 10^-3"),
        ("1,000 mL", "1000 mL"),
        ("p = .05", "p = 0.05"),
        ("0·05", "0.05"),
        ("5\u200b0 mg", "50 mg"),
        ("5\u00a0mg", "5 mg"),
        ("１５", "15"),
        ("1E-3", "1e-3"),
        ("1½ tablets", "1 ½ tablets"),
    ],
)
def test_two_spellings_of_one_number_agree(one: str, other: str) -> None:
    assert numbers(one) == numbers(other)
    assert numeric_tokens(one) == numeric_tokens(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 mg", "50 mg"),
        ("1.5", "15"),
        ("1,5", "15"),
        ("-5", "5"),
        ("10^-3", "10^3"),
        ("10⁻³", "10³"),
        ("B12", "B6"),
        ("0.5", "0.05"),
        ("1½", "11/2"),
        ("12.1.2", "1.21.2"),
    ],
)
def test_different_numbers_differ(one: str, other: str) -> None:
    assert numbers(one) != numbers(other)


def test_a_hyphen_between_numbers_or_words_is_no_sign() -> None:
    assert numbers("5-10 mg, COVID-19, IL-6, 3–4 weeks") == ["5", "10", "19", "6", "3", "4"]
    assert numbers("(-5) [−7] -8 =-9 p<-1") == ["-5", "-7", "-8", "-9", "-1"]


def test_kinds() -> None:
    assert numeric_tokens("≥65 years, <= 5 mg/dL ± 0.3 at 120/80 mmHg; 5-mg, 30 mL/min/1.73 m², 20%") == [
        NumberToken("comparator", "≥"),
        NumberToken("number", "65"),
        NumberToken("unit", "years"),
        NumberToken("comparator", "≤"),
        NumberToken("number", "5"),
        NumberToken("unit", "mg/dL"),
        NumberToken("comparator", "±"),
        NumberToken("number", "0.3"),
        NumberToken("number", "120"),
        NumberToken("number", "80"),
        NumberToken("unit", "mmHg"),
        NumberToken("number", "5"),
        NumberToken("unit", "mg"),
        NumberToken("number", "30"),
        NumberToken("unit", "mL/min/1.73m2"),
        NumberToken("number", "20"),
        NumberToken("unit", "%"),
    ]


def test_both_micro_signs_are_one_unit() -> None:
    assert numeric_tokens("5 \u00b5g/L") == numeric_tokens("5 \u03bcg/L")
    assert numeric_tokens("5 \u00b5g") != numeric_tokens("5 mg")


@given(st.text(alphabet="0123456789.,-−–+^⁻²³eE <>=≤/%mgµ½·\u200b\u00a0ab", max_size=60))
def test_both_readings_hold_the_same_numbers(text: str) -> None:
    # The unit of 1.73 m² holds digits of its own, which only `numbers` lists.
    found = [token.value for token in numeric_tokens(text) if token.kind == "number"]
    rest = list(numbers(text))
    for value in found:
        assert value in rest
        rest.remove(value)
