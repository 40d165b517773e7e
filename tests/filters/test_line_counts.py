"""Learning which lines a source repeats: what may be learnt at all, and that counting is counting."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.furniture import furniture_kind, line_hash, may_name_a_person, removable
from filters.line_counts import MIN_DOCUMENTS, CountedLine, LineCounter, Thresholds, learn, learnt_file
from filters.numbers import numeric_tokens

FURNITURE = "This website uses cookies."
NOTICE = "All rights reserved by the society."
CREDIT = "The committee of the college and its members met online."
CLINICAL = [
    "Give 5 mg by mouth.",
    "Keep it below the limit set out in this document.",
    "Target BP <120 is set out in this document.",
    "Do not give this drug with alcohol, says the document.",
    "The document says that patients are not to be moved.",
    "This document recommends rest.",
    "Give the tablets twice daily as the document says.",
    "Never exceed the dose on this page.",
    "# Recommendations",
    "# Table of contents",
    "Recommendations",
    "Allergies:",
    "None known",
    "Normal.",
    "| All rights reserved | yes |",
    "Changes in mood, feelings, thinking, learning, or memory.",
    "- The committee of the college and its members met online.",
    "Lungs are clear.",
    "Copyright 2020 The Society",
    "Disclaimer: do not stop your medicine without asking.",
    "Last reviewed by the team, pregnant women should not use it.",
    "Consult the product label.",
    # Clinical sentences in which a phrase of a website happens to stand, or beside one.
    "Sign up for cardiac rehabilitation.",
    "The symptoms on this page are chest pain and dyspnoea.",
    "Copyright notice: not to be taken with alcohol.",
    "All rights reserved. Monitor kidney function.",
    "All rights reserved. Lungs are clear.",
    "The committee of the college and its members met online. Lungs are clear.",
    "Back to top. No known allergies.",
]
IDLE = [
    FURNITURE,
    NOTICE,
    CREDIT,
    "Table of contents",
    "Back to top",
    "This page is not a substitute for professional medical advice.",
    "The society does not endorse any product.",
    "Please enable JavaScript to view the full page.",
    "All rights reserved. No part of this publication may be reproduced without written permission.",
    "The views expressed do not necessarily reflect those of the ministry.",
    "Copyright The Women's Hospital",
]


@pytest.mark.parametrize("line", CLINICAL)
def test_what_may_be_clinical_is_never_learnt_however_often_it_stands(line: str) -> None:
    assert not removable(line)
    assert learn([f"{line}\n\nDocument {number}" for number in range(100)], Thresholds())["lines"] == []


@pytest.mark.parametrize("line", IDLE)
def test_furniture_may_be_learnt(line: str) -> None:
    assert removable(line)


words = st.sampled_from(
    [
        "the",
        "document",
        "page",
        "of",
        "committee",
        "copyright",
        "all",
        "rights",
        "reserved",
        "society",
        "members",
        "published",
        "is",
    ]
)
numeric = st.sampled_from(
    ["5", "0.5", "<", ">=", "≤", "±", "%", "½", "IV2", "10⁻³", "mg", "mL", "mmol", "µg", "twice", "half"]
)
negations = st.sampled_from(
    ["no", "not", "never", "without", "denies", "absent", "isn't", "unless", "cannot", "avoid", "stop"]
)


@st.composite
def lines_with(draw: Any, inside: Any) -> str:
    """A line of furniture with one more word anywhere in it."""
    before = draw(st.one_of(st.sampled_from(IDLE).map(str.split), st.lists(words, min_size=3, max_size=12)))
    at = draw(st.integers(0, len(before)))
    return " ".join([*before[:at], draw(inside), *before[at:]])


@settings(max_examples=400, deadline=None, derandomize=True)
@given(lines_with(numeric))
def test_a_line_with_a_number_a_comparator_or_a_unit_is_never_learnt(line: str) -> None:
    assert not removable(line)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(lines_with(negations))
def test_a_negation_is_learnt_only_as_a_publishers_denial(line: str) -> None:
    # One more negation than the publisher's own: whatever it denies, the line stays.
    assert not removable(line) or "not not endorse" in line or "No no part" in line


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=120), st.sampled_from(["", *IDLE]))
def test_no_learnt_line_has_a_numeric_token(text: str, idle: str) -> None:
    for line in f"{text} {idle}".split("\n"):
        assert not removable(line) or numeric_tokens(line) == []


def _source(n_documents: int, seed: int = 7) -> list[str]:
    chance = random.Random(seed)
    texts = []
    for number in range(n_documents):
        parts = [f"# Guideline {number}", f"Give {chance.randint(1, 9)} mg.", *chance.sample(CLINICAL, 5)]
        parts += [FURNITURE] * (number % 2 == 0) + [NOTICE] * (number % 10 == 0) + [CREDIT, CREDIT]
        chance.shuffle(parts)
        texts.append("\n\n".join(parts))
    return texts


def test_a_line_is_learnt_from_its_share_of_the_documents_each_counted_once() -> None:
    texts = _source(200)
    found = learn(texts, Thresholds())
    assert found["documents"] == 200
    told = [(one["line"], one["documents"], one["share"], one["kind"]) for one in found["lines"]]
    # The notice stands in one of ten.
    assert told == [(CREDIT, 200, 1.0, "publication"), (FURNITURE, 100, 0.5, "notice")]
    lower = learn(texts, Thresholds(min_share=0.1))
    assert {one["line"] for one in lower["lines"]} == {FURNITURE, CREDIT, NOTICE}
    assert learn(texts[: MIN_DOCUMENTS - 1], Thresholds())["lines"] == []


def _in_tasks(texts: list[str], cuts: list[int], thresholds: Thresholds, **small: int) -> dict[str, Any]:
    """What is learnt if the source is cut into tasks at `cuts`, each counted by itself."""
    total: dict[int, CountedLine] = {}
    documents = 0
    for start, stop in zip([0, *cuts], [*cuts, len(texts)], strict=True):
        with LineCounter(thresholds, restricted=False, **small) as counter:
            for text in texts[start:stop]:
                counter.add(text)
            for piece in counter.counted():
                for one in piece:
                    before = total.get(one.hash, CountedLine(one.hash, 0))
                    known = one if one.line else before
                    total[one.hash] = known._replace(documents=before.documents + one.documents)
        documents += counter.documents
    return learnt_file("", documents, total.values(), thresholds, restricted=False)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(0, 60), max_size=5).map(sorted),
    st.randoms(use_true_random=False),
    st.sampled_from([0.1, 0.2, 0.35, 0.5, 1.0]),
)
def test_tasks_order_and_crowded_counters_change_nothing(cuts: list[int], chance: random.Random, share: float) -> None:
    thresholds = Thresholds(share, 2)
    texts = _source(60)
    whole = learn(texts, thresholds)
    assert whole["lines"]
    chance.shuffle(texts)
    # Two slots for all lines and three wordings held at once: guesses are too high, and counts stay exact.
    assert _in_tasks(texts, cuts, thresholds, slots=2, held_lines=3) == whole


def test_a_share_that_no_float_can_hold_is_reached_in_a_task_as_in_the_whole() -> None:
    # 0.2 x 35 is a little more than 7 in floating point; in two tasks of 35, 7 and 7 of 70 are one fifth.
    texts = [f"{NOTICE}\n\n{number}" if number % 5 == 0 else str(number) for number in range(70)]
    assert [one["line"] for one in _in_tasks(texts, [35], Thresholds(0.2, 2))["lines"]] == [NOTICE]


def test_words_of_a_restricted_source_leave_in_no_form() -> None:
    named = "Held for the society by Jane Roe, editor of this page."
    texts = [f"{named}\n\n{NOTICE}\n\n{number}" for number in range(60)]
    with LineCounter(Thresholds(), restricted=True) as counter:
        for text in texts:
            counter.add(text)
        lines = [one for piece in counter.counted() for one in piece]
    assert {one.hash for one in lines} == {line_hash(named), line_hash(NOTICE)}
    assert not [one for one in lines if one.line]
    content = learnt_file("ward", 60, lines, Thresholds(), restricted=True)
    assert "Roe" not in str(content)
    keys = {"hash", "documents", "share", "kind", "characters", "withheld"}
    assert [set(entry) for entry in content["lines"]] == [keys, keys]


@pytest.mark.parametrize(
    "line",
    [
        "Write to jane.roe@journal.example about this page.",
        "This page was reviewed by Jane Roe of the college.",
        "The page of Dr Roe is published by the society.",
        "Jane Roe, MD, is an editor of this journal.",
    ],
)
def test_a_line_that_may_name_a_person_is_learnt_and_its_words_are_not_listed(line: str) -> None:
    assert may_name_a_person(line)
    assert removable(line)
    (found,) = learn([f"{line}\n\n{number}" for number in range(40)], Thresholds())["lines"]
    assert found["withheld"] == "person"
    assert "Roe" not in str(found)


def test_the_kind_says_why_a_line_was_learnt() -> None:
    assert [furniture_kind(line) for line in (NOTICE, "Back to top", CREDIT, CLINICAL[0])] == [
        "notice",
        "navigation",
        "publication",
        "",
    ]


def test_real_text_teaches_a_publishers_notice_and_nothing_clinical(real_texts: dict[str, list[str]]) -> None:
    for kind in ("article", "abstract", "note", "guideline", "qa"):
        texts = real_texts[kind]
        # Far below the thresholds in use, so that there is something to look at.
        for one in learn(texts, Thresholds(0.000001, 3))["lines"]:
            assert numeric_tokens(one.get("line", "")) == [], kind
        learnt = [one["line"][:30] for one in learn(texts, Thresholds())["lines"]]
        assert learnt == (["Springer Nature remains neutra"] if kind == "article" else []), kind
