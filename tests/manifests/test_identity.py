"""Names that never move, and hashes that forget typography but no number."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.identity import canonical_json, doc_key, family_of, fingerprint, normalised, text_hash
from manifests.reasons import REASONS, STAGES, reason


def test_keys_and_fingerprints_are_pinned() -> None:
    # A change here would rename every document of every corpus ever built.
    assert doc_key("pubmed:38012345") == 5875570401301703428
    assert fingerprint({"b": [1, 2.5, None], "a": "é"}) == "d764fee2563da33e"
    assert text_hash("BP <120 mmHg and HR >60") == "6409b5db9b4a80d2eb08cc1c65a7774e"


def test_order_of_keys_changes_no_fingerprint() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint([1, 2]) != fingerprint([2, 1])
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"é","b":1}'
    with pytest.raises(TypeError):
        fingerprint({"a": {1, 2}})
    with pytest.raises(ValueError, match="Out of range"):
        fingerprint(float("nan"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("“Stop” if pH−7", '"stop" if ph-7'),
        ("a  b\n\nc", "a b c"),
        ("co\u00adoperate", "cooperate"),
        ("e\u0301", "é"),
    ],
)
def test_typography_and_white_space_do_not_count(one: str, other: str) -> None:
    assert text_hash(one) == text_hash(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 mg", "50 mg"),
        ("1.5 mg", "15 mg"),
        ("HR >60", "HR <60"),
        ("10⁻³", "10-3"),
        ("≤ 5", "< 5"),
        ("no pain", "pain"),
        ("5 mg", "5 µg"),
    ],
)
def test_numbers_comparators_units_and_negations_count(one: str, other: str) -> None:
    assert text_hash(one) != text_hash(other)


@given(st.text())
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once


@given(st.text(alphabet=st.sampled_from("0123456789.,<>≤≥±%/ \n\t-abcÅµ")))
def test_normalising_keeps_every_digit_and_comparator(text: str) -> None:
    def kept(value: str) -> list[str]:
        return re.findall(r"[0-9<>≤≥±%]", value)

    assert kept(normalised(text)) == kept(text)


def test_the_vocabulary_is_closed_and_in_order() -> None:
    assert all(one.stage in (*STAGES, "custom") for one in REASONS.values())
    assert reason("dedup.exact").meaning
    assert reason("decontaminate.medqa").stage == "decontaminate"
    for unknown in ("quality.no_such", "decontaminate.", "kept", "nothing"):
        with pytest.raises(KeyError, match="closed vocabulary"):
            reason(unknown)


@pytest.mark.parametrize(
    ("doc_id", "family"),
    [
        ("nice:ng136", "nice:ng136"),
        ("cco:1-1v2", "cco:1-1"),
        ("cco:1-1-version-3", "cco:1-1"),
        ("idsa:hiv-2019", "idsa:hiv"),
        ("x:copd-2nd-edition", "x:copd"),
        ("x:copd-updated-2020-05", "x:copd"),
        ("x:covid-19", "x:covid-19"),
        ("who:9789240012345", "who:9789240012345"),
        ("x:2016", "x:2016"),
        ("x:v2", "x:v2"),
        ("doi:10.1002/jcph.1912", "doi:10.1002/jcph.1912"),
        ("doi:10.5551/jat.ED177", "doi:10.5551/jat.ED177"),
        ("doi:10.21203/rs.3.rs-123/v2", "doi:10.21203/rs.3.rs-123"),
    ],
)
def test_a_family_is_the_id_without_its_version(doc_id: str, family: str) -> None:
    assert family_of(doc_id) == family
