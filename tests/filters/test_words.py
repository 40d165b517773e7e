from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.words import MEMO_CHARACTERS, Words


@pytest.fixture(scope="module")
def stock() -> Any:
    import spacy

    return spacy.blank("en").tokenizer


@pytest.fixture(scope="module")
def words() -> Words:
    return Words()


def _stock_tokens(stock: Any, text: str) -> list[str]:
    return [token.text for token in stock(text) if not token.text.isspace()]


_HARD = (
    "can't Dr. U.S. (5.5 mg/dL), p<0.05; IL-6 don’t e.g., İstanbul ΣΑΣ a.m. 10-3 https://example.org/a?b=c a@b.org … --"
    " '' :-) 120/80mmHg \u200b e\u0301 we'll've"
)
_CHUNKS = st.sampled_from(_HARD.split())
_GAPS = st.sampled_from([" ", "  ", "\n", "\n\n", "\t", "\u00a0", "\u2009 ", "\x1f", "\u3000"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(_CHUNKS, _GAPS, st.text(max_size=8)), max_size=14).map("".join))
def test_tokens_are_those_of_spacy(stock: Any, words: Words, text: str) -> None:
    assert words.split(text) == _stock_tokens(stock, text)
    assert words.split(text) == _stock_tokens(stock, text)  # and from memory


def test_tokens_are_those_of_spacy_on_real_text(stock: Any, words: Words, real_texts: dict[str, list[str]]) -> None:
    for kind, step in (("article", 12), ("abstract", 20), ("note", 8), ("qa", 40), ("guideline", 6), ("spanish", 30)):
        for text in real_texts[kind][::step]:
            assert words.split(text) == _stock_tokens(stock, text)


def test_a_full_memo_gives_the_same_tokens(stock: Any) -> None:
    text = "The patient can't tolerate 5.5 mg/dL (e.g., at night) of it; don't repeat. " * 2
    small = Words(capacity=3)
    assert small.split(text) == _stock_tokens(stock, text)
    assert small.simple(text) == Words().simple(text)
    assert len(small._split_memo) == 3
    long = "ACGT" * MEMO_CHARACTERS
    words = Words()
    assert words.simple(long) == [long.lower()]
    assert not words._simple_memo


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The dose (5.5 mg/dL), then -5.", ["the", "dose", "5.5", "mg/dl", "then", "-5"]),
        ("p<0.05; 95% CI: [0.8–1.2]", ["p<0.05", "95%", "ci", "0.8-1.2"]),
        ("# Results\n\n- “Crohn’s” — well-known | 3 |", ["results", "crohn's", "well-known", "3"]),
        ("(.5 mg) .5, 5. ...5", [".5", "mg", ".5", "5", "5"]),
        ("non- and -azole; ≥65", ["non", "and", "azole", "≥65"]),
        (" \n\t", []),
    ],
)
def test_simple_words(words: Words, text: str, expected: list[str]) -> None:
    assert words.simple(text) == expected


@given(st.text(max_size=60))
def test_simple_words_hold_every_digit(text: str) -> None:
    joined = "".join(Words().simple(text))
    assert [c for c in joined if c.isdecimal()] == [c for c in text.lower() if c.isdecimal()]
