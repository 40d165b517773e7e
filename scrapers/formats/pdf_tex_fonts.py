"""The characters of TeX's bitmap fonts, which have neither names nor a table of what their codes mean.

A PDF viewer takes such a code for itself: the ligatures, the sign for plus or minus and the dashes come out as
controls. Which of Knuth's encodings a font has is told by what it draws (The TeXbook, appendix F; T1: "Cork", TUGboat
11:4, 1990). What cannot be told stays U+FFFD.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

CONTROLS = re.compile("[\x00\x01\x03-\x08\x0b\x0c\x0e-\x1f]")
_T1 = dict(
    zip(
        (0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F),
        "\u201c\u201d\u201e\xab\xbb\u2013\u2014\ufb00\ufb01\ufb02\ufb03\ufb04",
        strict=True,
    )
)
_OT1 = dict(
    zip(
        (0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x10, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F, 0x22, 0x5C, 0x7B, 0x7C),
        "\ufb00\ufb01\ufb02\ufb03\ufb04\u0131\xdf\xe6\u0153\xf8\xc6\u0152\xd8\u201d\u201c\u2013\u2014",
        strict=True,
    )
)
_SYMBOLS = dict(
    zip(
        (0x00, 0x01, 0x02, 0x03, 0x04, 0x06, 0x0E, 0x0F, 0x14, 0x15, 0x18, 0x19, 0x1C, 0x1D, 0x21, 0x31),
        "\u2212\u22c5\xd7\u2217\xf7\xb1\u2218\u2022\u2264\u2265\u223c\u2248\u226a\u226b\u2192\u221e",
        strict=True,
    )
)
_LETTERS = dict(
    zip(
        (*range(0x0B, 0x1A), *range(0x1B, 0x20), 0x3A, 0x3B, 0x3D),
        "\u03b1\u03b2\u03b3\u03b4\u03b5\u03b6\u03b7\u03b8\u03b9\u03ba\u03bb\u03bc\u03bd\u03be\u03c0"
        "\u03c1\u03c3\u03c4\u03c5\u03c6.,/",
        strict=True,
    )
)
_SIGNS = frozenset((0x00, 0x01, 0x02, 0x03, 0x06))
"""Of the font of symbols: minus, dot, times, asterisk, plus or minus; capital Greek in that of letters."""
_FEWEST = 3


def decoded(text: str, fonts: Sequence[int]) -> str:
    """`text` with the characters that codes stand for; `fonts`: the unnamed font of each character, 0 for others."""
    drawn: dict[int, Counter[int]] = {}
    together: Counter[int] = Counter()
    before = 0
    for character, font in zip(text, fonts, strict=True):
        if font:
            drawn.setdefault(font, Counter())[ord(character)] += 1
            together[font] += font == before and character.isascii() and character.islower()
        before = font if character.isascii() and character.islower() else 0
    tables = {font: _table(codes, together[font]) for font, codes in drawn.items()}
    return "".join(
        tables[font].get(ord(character), character) if font else character
        for character, font in zip(text, fonts, strict=True)
    )


def _table(codes: Counter[int], pairs: int) -> dict[int, str]:
    """What the codes of a font stand for; `pairs`: how often it draws two small letters side by side."""
    if pairs >= _FEWEST:
        cork = sum(n for code, n in codes.items() if 0x1B <= code <= 0x1F or code in (0x15, 0x16))
        knuth = sum(n for code, n in codes.items() if 0x0B <= code <= 0x0F)
        return _T1 if cork > knuth else _OT1 if knuth else {}
    lettered = any(chr(code).isascii() and chr(code).isalnum() for code in codes)
    if not lettered and not _SIGNS.isdisjoint(codes) and all(code in _SYMBOLS for code in codes):
        return _SYMBOLS
    greek = any(0x0B <= code <= 0x1F for code in codes)
    if lettered and greek and all(code in _LETTERS or chr(code).isalpha() or chr(code) in "<>" for code in codes):
        return _LETTERS
    return {}
