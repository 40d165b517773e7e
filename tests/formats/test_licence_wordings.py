"""Wordings of licences: a folded text and a word looked for first find exactly what ignoring case would find."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manifests import licence_wordings as wordings
from manifests.licence_wordings import Wording, fold
from manifests.licences import classify, decide

BY4 = "http://creativecommons.org/licenses/by/4.0/"
WORDINGS = {name: one for name, one in vars(wordings).items() if isinstance(one, Wording)} | dict(wordings.NAMED)
PARTS = [
    pytest.param(words, pattern, id=f"{name}-{number}")
    for name, one in WORDINGS.items()
    for number, (words, pattern) in enumerate(one.parts)
]
PATTERNS = [
    *(pattern for one in WORDINGS.values() for _, pattern in one.parts),
    *(one for one in vars(wordings).values() if isinstance(one, re.Pattern)),
]
CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1)]


def test_folding_keeps_places_words_spaces_and_digits() -> None:
    kinds = re.compile(r"(\w)|(\s)|(\d)")
    for character in CHARACTERS:
        folded = fold(character)
        assert len(folded) == 1, hex(ord(character))
        before, after = kinds.match(character), kinds.match(folded)
        assert (before and before.lastindex) == (after and after.lastindex), hex(ord(character))


def test_folding_finds_what_ignoring_case_finds() -> None:
    patterns = "".join(re.sub(r"\\[WSDBwsdb]", "", pattern.pattern) for pattern in PATTERNS)
    patterns = re.sub(r"\\u([0-9a-f]{4})", lambda code: chr(int(code[1], 16)), patterns)
    letters = sorted({letter for letter in patterns if letter.isalpha()})
    assert {"i", "k", "s", "z", "\u00e3", "\u00e4", "\u00e9", "\u975e"} <= set(letters)
    every = "".join(CHARACTERS)
    folded = "".join(map(fold, CHARACTERS))
    for letter in letters:
        ignoring = [found.start() for found in re.finditer(letter, every, re.IGNORECASE)]
        assert [found.start() for found in re.finditer(letter, folded)] == ignoring, letter


def test_patterns_hold_no_capitals() -> None:
    for pattern in PATTERNS:
        assert not pattern.flags & re.IGNORECASE
        assert not re.search("[A-Z]", re.sub(r"\\[WSDB]", "", pattern.pattern)), pattern.pattern


@pytest.mark.parametrize(("words", "pattern"), PARTS)
def test_whatever_matches_holds_one_of_the_words(words: tuple[str, ...], pattern: re.Pattern[str]) -> None:
    @settings(max_examples=20, database=None, derandomize=True, deadline=None)
    @given(st.from_regex(pattern))
    def holds(text: str) -> None:
        assert any(word in text for word in words)

    holds()


_ODD = {"i": "\u0130\u0131I", "s": "\u017fS", "k": "\u212aK", "\u00e3": "\u00c3", "\u00e9": "\u00c9"}


@st.composite
def written(draw: st.DrawFn) -> str:
    """Something that a pattern matches, or part of it, in any case and with the odd letters that fold to plain ones."""
    text = draw(st.from_regex(draw(st.sampled_from(PATTERNS))))[:300]
    start = draw(st.integers(0, 4))
    text = text[start : len(text) - draw(st.integers(0, 4))]
    changed = draw(st.lists(st.integers(0, 3), min_size=len(text), max_size=len(text)))
    return "".join(
        _ODD.get(letter, letter.upper() or letter)[change % len(_ODD.get(letter, "a"))]
        if change and len(letter.upper()) == 1
        else letter
        for letter, change in zip(text, changed, strict=True)
    )


@settings(max_examples=400, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(written(), min_size=1, max_size=3))
def test_a_wording_says_what_its_patterns_say_ignoring_case(texts: list[str]) -> None:
    text = " ".join(texts)
    for name, one in WORDINGS.items():
        ignoring = any(re.search(pattern.pattern, text, re.IGNORECASE) for _, pattern in one.parts)
        assert one.said(fold(text)) == ignoring, name
        assert one.possible(fold(text)) or not ignoring, name


@pytest.mark.parametrize("change", [("i", "\u0130"), ("i", "\u0131"), ("s", "\u017f"), ("k", "\u212a")])
@pytest.mark.parametrize(
    "text",
    [
        "No commercial use is permitted.",
        "This article may be used for non-profit purposes only.",
        "No modifications or adaptations are made.",
        "It is not to be sold, and no part of this work may be reprinted.",
        "Users may text and data mine it.",
    ],
)
def test_letters_that_only_look_plain_never_open_a_licence(text: str, change: tuple[str, str]) -> None:
    for odd in (text.replace(*change), text.upper().replace(change[0].upper(), change[1])):
        assert classify(decide([BY4], [odd], None).licence).use != "commercial", odd


def test_an_address_broken_at_a_dash_is_whole_again_beside_letters_that_fold() -> None:
    text = "\u0130 CreativeCommons.org/licenses/BY- NC/4.0/ and \u0131 http://creativecommons.org/licenses/by - sa/3.0"
    assert decide([], [text], None).licence == "LicenseRef-CC-BY-NC-SA"
