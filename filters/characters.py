"""Characters that look like something else, or like nothing: one table for `clean` and `numbers`.

`clean` takes them out of the text, `numbers` reads past them, so that both see the same digits.
"""

from __future__ import annotations

import re

from manifests.markers import OURS, names

LINE_ENDS = "\r\x0b\x0c\x85\u2028\u2029"
"""What some systems end a line with; `\\r\\n` counts as one."""

SPACES = (
    "\x1c\x1d\x1e\x1f\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
    "\u2062\u2063\u2064"
)
"""Spaces of other widths, the four ASCII separators that Python also splits at, and the invisible times, comma and plus
of mathematics, which part two numbers. A tab stays: it parts columns."""

INVISIBLE = (
    "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2066\u2067\u2068\u2069\ufeff\ufff9\ufffa\ufffb"
)
"""Soft hyphen, zero-width and direction marks."""

CONTROL = "".join(chr(c) for c in (*range(0x09), *range(0x0E, 0x1C), *range(0x7F, 0x85), *range(0x86, 0xA0)))
"""C0 and C1 controls without tab, line ends and separators."""

NONCHARACTERS = "".join(map(chr, (*range(0xFDD1, 0xFDF0), 0xFFFE, 0xFFFF)))
"""What Unicode keeps for a program's own use (https://www.unicode.org/faq/private_use.html#nonchar1), except U+FDD0,
which stands before marks of ours; `_ABOVE` are the rest of them."""

_ABOVE = "".join(chr(plane << 16 | last) for plane in range(1, 17) for last in (0xFFFE, 0xFFFF))

REPLACEMENTS: dict[str, tuple[str, str]] = {
    **{char: ("line_ends", "\n") for char in LINE_ENDS},
    "\r\n": ("line_ends", "\n"),
    **{char: ("spaces", " ") for char in SPACES},
    **{char: ("invisible", "") for char in INVISIBLE},
    **{char: ("controls", "") for char in CONTROL},
    **{char: ("noncharacters", "") for char in (*NONCHARACTERS, *_ABOVE, OURS)},
}
"""Odd character -> (name of the edit, what it becomes)."""

# Characters above U+FFFF in the class itself would make the search 4.5 times as slow (measured 2026-11-21).
ODD = re.compile(
    "\r\n|["
    + re.escape(LINE_ENDS + SPACES + INVISIBLE + CONTROL + NONCHARACTERS)
    + f"\ud800-\udfff]|{OURS}(?!{'|'.join(map(re.escape, names()))})|[\U0001fffe-\U0010ffff](?<=[{_ABOVE}])"
)
"""One of `REPLACEMENTS`, or half of a surrogate pair, which has no UTF-8 form; U+FDD0 where no mark of ours follows."""

ODD_ASCII = re.compile("\r\n|[\x00-\x08\x0b-\x1f\x7f]")
"""`ODD` for text that is ASCII; a quarter of the time."""


def replacement(char: str) -> tuple[str, str]:
    """Name of the edit and the new string for one match of `ODD`."""
    return REPLACEMENTS.get(char) or ("surrogates", "\ufffd")


def plain(text: str) -> str:
    """`text` with every odd character replaced."""
    odd = ODD_ASCII if text.isascii() else ODD
    return odd.sub(lambda found: replacement(found[0])[1], text)
