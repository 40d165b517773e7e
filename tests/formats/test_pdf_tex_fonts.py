"""Bitmap fonts of TeX without names: what their codes stand for, on pages made of such fonts."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrapers.formats.pdf import read_here
from scrapers.formats.pdf_tex_fonts import decoded


def type3_pdf(shown: list[tuple[int, bytes]]) -> bytes:
    """One line of text in fonts of Type 3 that have no names and whose glyphs are named after their codes."""
    names = b" ".join(b"/a%d" % code for code in range(256))
    glyphs = b" ".join(b"/a%d 6 0 R" % code for code in range(256))
    font = (
        b"<< /Type /Font /Subtype /Type3 /FontMatrix [0.001 0 0 0.001 0 0] /FontBBox [0 0 600 700] /FirstChar 0 "
        b"/LastChar 255 /Widths [%s] /Encoding << /Type /Encoding /Differences [0 %s] >> /CharProcs << %s >> "
        b"/Resources << >> >>" % (b"600 " * 256, names, glyphs)
    )
    content = (
        b"BT 72 700 Td " + b" ".join(b"/F%d 10 Tf <%s> Tj" % (f, text.hex().encode()) for f, text in shown) + b" ET"
    )
    glyph = b"600 0 0 0 600 700 d1 0 0 500 500 re f"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 900 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R /F2 7 0 R >> >> >>",
        b"<< /Length %d >> stream\n%s\nendstream" % (len(content), content),
        font,
        b"<< /Length %d >> stream\n%s\nendstream" % (len(glyph), glyph),
        font,
    ]
    out = b"%PDF-1.4\n"
    places = []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)


@pytest.mark.parametrize(
    ("ff", "fi", "dash"), [(b"\x1b", b"\x1c", b"\x15"), (b"\x0b", b"\x0c", b"{")], ids=["Cork", "Knuth"]
)
def test_ligatures_dashes_and_plus_or_minus_are_read(ff: bytes, fi: bytes, dash: bytes) -> None:
    prose = b"the e" + ff + b"ect was signi" + fi + b"cant at 10" + dash + b"20 mg, or 5.2 "
    text = read_here(type3_pdf([(1, prose), (2, b"\x06"), (1, b" 0.4 in all of them.")])).text
    assert text == "the effect was significant at 10\u201320 mg, or 5.2 \xb1 0.4 in all of them."


def test_what_cannot_be_told_is_marked_and_not_guessed() -> None:
    text = read_here(type3_pdf([(1, b"the dose of "), (2, b"\x14"), (1, b" 5 mg in the morning")])).text
    assert text == "the dose of \ufffd 5 mg in the morning"


def test_a_sign_of_a_font_without_a_name() -> None:
    text = read_here(type3_pdf([(1, b"no more than 5.2 \x87 of the body weight")])).text
    assert text == "no more than 5.2 \u2030 of the body weight"


@given(st.text(alphabet=string.printable[:95] + "\x06\x0b\x15\x1c\u2264\xb1", max_size=60), st.integers(0, 3))
def test_digits_comparators_and_length_never_change(text: str, fonts: int) -> None:
    after = decoded(text, [n % (fonts + 1) for n in range(len(text))])
    assert len(after) == len(text)
    assert [c for c in after if c in "0123456789<>="][: len(text)] == [
        c for c in text if c in "0123456789<>="
    ] or "=" in text
