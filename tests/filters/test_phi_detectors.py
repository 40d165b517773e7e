from __future__ import annotations

import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.phi import names, presidio, structured
from filters.phi.check import find
from filters.phi.finding import ENTITIES, View
from filters.phi.placeholders import entity, spans, typed
from filters.phi.policy import load_policy

_NOTE = load_policy("note")


def _found(text: str) -> list[tuple[str, str]]:
    return [(finding.entity, text[finding.start : finding.end]) for finding in find(text, _NOTE)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Seen 03/14/2021 in clinic.", ("DATE", "03/14/2021")),
        ("Visite vom 14.03.2026.", ("DATE", "14.03.2026")),
        ("at 2015-12-22 04:34:22", ("DATE", "2015-12-22 04:34:22")),
        ("Admitted March 3, 2021 with pain", ("DATE", "March 3, 2021")),
        ("on the 4th of July 2022 he", ("DATE", "4th of July 2022")),
        ("DATE: ١٤/٠٣/٢٠٢٦", ("DATE", "١٤/٠٣/٢٠٢٦")),
        ("call (919) 555-0142 today", ("PHONE", "(919) 555-0142")),
        ("reach him at +41 69 979 80 58.", ("PHONE", "+41 69 979 80 58")),
        ("mail alex.river@example.org.", ("EMAIL", "alex.river@example.org")),
        ("mail janе.patient@example.com", ("EMAIL", "janе.patient@example.com")),
        ("mail jané.patient@example.com", ("EMAIL", "jané.patient@example.com")),
        ("SSN 123-45-6789", ("SSN", "123-45-6789")),
        ("MRN: 4827193", ("ID", "4827193")),
        ("xxxxMRN-2468135 after", ("ID", "2468135")),
        ("Medical record number is AB-982341", ("ID", "AB-982341")),
        ("insurance ID #DB-2345678", ("ID", "DB-2345678")),
        ("a 91-year-old woman", ("AGE", "91-year-old")),
        ("from 86.121.97.248", ("IP", "86.121.97.248")),
        ("card 4111\u200d1111\u200d1111\u200d1111 is", ("CARD", "4111\u200d1111\u200d1111\u200d1111")),
        ("IBAN GB05QJZO19199608871268", ("IBAN", "GB05QJZO19199608871268")),
        ("lives at 12 North Elm Street, Springfield, IL 62701", ("ZIP", "62701")),
        ("lives at 12 North Elm Street, Springfield", ("ADDRESS", "12 North Elm Street")),
        ("Dr. O'Brien agreed", ("NAME", "O'Brien")),
        ("Mrs. Smith-Jones returned", ("NAME", "Smith-Jones")),
        ("PATIENT NAME: MILLER, JOHN", ("NAME", "MILLER, JOHN")),
        ("seen by Ruth Sanchez, PA-C", ("NAME", "Ruth Sanchez")),
        ("https://example.org/records?mrn=12", ("URL", "https://example.org/records?mrn=12")),
    ],
)
def test_identifiers_are_found(text: str, expected: tuple[str, str]) -> None:
    assert expected in _found(text)


@pytest.mark.parametrize(
    "text",
    [
        "BP 169/74, HR 88, pain 6/10, strength 5/5, grade 3/6 murmur, 3/7 hx of cough",
        "EC 3.4.21.62 and EC 1.14.13.39; section 12.1.2.1 of version 2.10.1.3",
        "PMID: 12345678, PMC7654321, NCT01234567, ISRCTN96169987, doi:10.1000/182, ICD-10 E11.9",
        "L4-L5 disc, C6, T12, S1, A1C 7.2, B12 400, CD4 350, p53, IL-6, COVID-19",
        "Metoprolol 50 mg, 2-3 tabs q4-6h, 120-150 mg/dL, 1,000 units; may 5 mg help",
        "aged 18-95 years old; >90 years of age; survival at 5 years 92%",
        "Parkinson disease, Foley catheter, Wilson disease, Hodgkin lymphoma, Bell palsy, vitamin D, hepatitis B",
        "Duchenne MD is the most common; patient Education and counseling; the 72000-Mr DNA-binding protein",
        "He was diagnosed back in 2021 and seen last summer, a 72-year-old man.",
        "Mother: Non-Hodgkin lymphoma. Father: Prostate cancer. Name of drug: aspirin.",
        "sent to demo@example.invalid in the exercise",
        "Seen ___ by Dr. ___, MRN ___-___; [**2151-8-1**] [**Known lastname 1234**] [**Telephone/Fax (1) 55567**]",
    ],
)
def test_medicine_is_not_an_identifier(text: str) -> None:
    assert _found(text) == []


def test_placeholders_are_read_as_what_they_replaced() -> None:
    text = (
        "[**Known lastname 123**] of [**Hospital1 18**] on [**2151-8-1**], [**Age over 90 **], [**MD Number(1) 7**], "
        "___, [**Telephone/Fax (1) 99**] [**First Name8 (NamePattern2) **]"
    )
    tags, counts = typed(text)
    assert tags == "[NAME] of [PLACE] on [DATE], [AGE], [ID], ___, [PHONE] [NAME]"
    assert counts == {"AGE": 1, "DATE": 1, "ID": 1, "NAME": 2, "PHONE": 1, "PLACE": 1}
    assert len(spans(text)) == 8
    assert entity("Unfamiliar words") == "OTHER"


@given(st.text(max_size=80))
def test_the_view_leads_back_to_the_text(text: str) -> None:
    view = View(text)
    end = len(view.text)
    view.text.encode()
    for start in range(end):
        at, after = view.span(start, start + 1)
        assert 0 <= at < after <= len(text)


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=60),
    st.sampled_from(["03/14/2021", "123-45-6789", "a.b@example.org", "MRN: 4827193"]),
    st.text(max_size=60),
)
def test_findings_are_inside_sorted_and_apart(before: str, planted: str, after: str) -> None:
    text = f"{before} {planted} {after}"
    position = 0
    found = find(text, _NOTE)
    for finding in found:
        assert position <= finding.start < finding.end <= len(text)
        assert finding.entity in ENTITIES
        position = finding.end
    start = len(before) + 1
    assert any(f.start < start + len(planted) and start < f.end for f in found)


def test_the_gate_misses_nothing_a_pattern_finds(real_texts: dict[str, list[str]]) -> None:
    entities = frozenset(ENTITIES)
    gate, shapes = structured._engine(entities)
    for texts in (real_texts["note"], real_texts["article"][:20], real_texts["qa"][:200], real_texts["spanish"][:40]):
        for text in texts:
            view = View(text)
            passed = set(gate.Match(view.text) or ())
            assert passed == {i for i, (_, pattern) in enumerate(shapes) if pattern.search(view.text)}


def test_presidio_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a PHI detector opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    view = View("Beneficiary 1EG4-TE5-MK73, office 020 7946 0958, UK NHS 943 476 5919.\nBP 120/80, 3-4 weeks")
    found = {(finding.entity, view.text[finding.start : finding.end]) for finding in presidio.find(view)}
    assert ("ID", "943 476 5919") in found
    assert all(finding.score < _NOTE.confident_from for finding in presidio.find(view))


def test_presidio_reads_only_lines_with_long_numbers() -> None:
    text = "A plain line.\nAnother, 120/80.\nNumber 9434765919 here.\n"
    assert [text[start:end] for start, end in presidio._lines(text)] == ["Number 9434765919 here."]


@pytest.mark.parametrize("unit", ["1", "9 ", "a@", "Aa ", "12/", "MRN ", "[**", "(", "A. ", "-1", "jan ", "x@y."])
def test_time_grows_with_length_alone(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    started = time.perf_counter()
    structured.find(View(text), frozenset(ENTITIES))
    names.find(View(text))
    spans(text)
    assert time.perf_counter() - started < 5


def test_milliseconds_before_a_sentence_are_no_title() -> None:
    policy = load_policy("note")
    assert find("QTc >500 ms. Sputum smear negative.", policy) == []
    assert [finding.entity for finding in find("Seen with Ms. Harper today.", policy)] == ["NAME"]
