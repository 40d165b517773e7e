"""Shortcuts of the text readers: what they skip changes no character and lets nothing unsafe in."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrapers.formats import inline, jats, xml_safe
from scrapers.formats.errors import Unreadable
from scrapers.formats.tables import Cell, pipe_table

_TEXTS = st.text(
    st.sampled_from("ab 1\u00a0\n\t\u2009\u3000\u00ad\u200b\x1f\u0301\u00e9e\u1100\u1161\ue000"), max_size=30
)


@given(_TEXTS)
def test_white_space_collapses_as_if_every_text_were_taken_apart(text: str) -> None:
    assert inline.collapse(text) == " ".join(text.split())


def test_of_all_white_space_only_the_space_is_printable() -> None:
    spaces = [chr(code) for code in range(0x110000) if chr(code).isspace()]
    assert [space for space in spaces if space.isprintable()] == [" "]


@given(_TEXTS)
def test_a_finished_text_is_composed_without_what_is_invisible(text: str) -> None:
    visible = re.sub("[\u00ad\u200b]", "", text)
    whole = text if visible == text else re.sub(r"(?<=\S) {2,}(?=\S)", " ", visible)
    assert inline.normalise(text) == unicodedata.normalize("NFC", whole)


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(["ref ", "Refs. ", "REFERENCE ", "citat\u0131ons no. ", "state ", "pref", "[", "(", " "]))
)
def test_words_that_need_a_number_are_found_behind_the_quick_look(words: list[str]) -> None:
    text = "".join(words) + "\x01" + "5\x02"
    found = re.search("\x01[^\x02]*\x02", text)
    assert found is not None
    named = re.search(
        r"(?i)\b(?:refs?|references?|citations?)\.?\s*(?:no\.?|numbers?)?\s*[\[(]?\s*$",
        text[max(0, found.start() - 24) : found.start()],
    )
    assert inline.names_a_reference(found) == (named is not None)


@settings(max_examples=200)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(["", "a", "1|2", "x"]), st.integers(1, 3), st.integers(1, 3)), max_size=4),
        max_size=4,
    )
)
def test_a_cell_may_be_its_text_alone(rows: list[list[tuple[str, int, int]]]) -> None:
    cells = [[Cell(text, tall, wide) for text, tall, wide in row] for row in rows]
    short = [[text if tall == wide == 1 else Cell(text, tall, wide) for text, tall, wide in row] for row in rows]
    assert pipe_table([short]) == pipe_table([cells])


_SUBSET = b"[<!ENTITY % p SYSTEM 'http://example.org/x'> %p;]"


@pytest.mark.parametrize(
    "prolog",
    [
        b"<!DOCTYPE article " + _SUBSET + b">",
        b"<?xml version='1.0'?>\n<!DOCTYPE article PUBLIC 'a' 'b' " + _SUBSET + b">",
        b"<!DOCTYPE article SYSTEM 'x>' " + _SUBSET + b">",
        b"<!DOCTYPE article SYSTEM 'x><b' " + _SUBSET + b">",
        b'<!DOCTYPE article SYSTEM "a\'b" ' + _SUBSET + b">",
        b"<!-- > <article> --><!DOCTYPE article " + _SUBSET + b">",
        b"<?pi ?><!DOCTYPE article " + _SUBSET + b">",
        b"\xef\xbb\xbf <!DOCTYPE article\n" + _SUBSET + b">",
    ],
)
def test_a_declared_parameter_entity_is_refused_however_the_prolog_is_written(prolog: bytes) -> None:
    with pytest.raises(Unreadable):
        xml_safe.parse(prolog + b"<article><body><p>x</p></body></article>")
    with pytest.raises(Unreadable):
        xml_safe.parse((prolog.removeprefix(b"\xef\xbb\xbf") + b"<article/>").decode().encode("utf-16"))


def test_a_sub_article_below_a_wrapper_is_a_text_of_its_own() -> None:
    data = b"""<article><front/><body><p>Main.</p></body><wrapper><sub-article><body><p>First.</p></body>
    <response><body><p>Second.</p></body></response></sub-article></wrapper></article>"""
    assert [(one.part, one.text) for one in jats.parse(data)] == [("", "Main."), ("s1", "First."), ("s2", "Second.")]
