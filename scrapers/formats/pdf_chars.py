"""The characters of a PDF page as PDFium sees them, in runs: as much as stands together in one place and one type.

The text of a page is one call of PDFium, the place of a character is another for each, and those are nearly all the
time it takes to read a page: only the ends of a word are asked for, unless it holds a digit or two types meet in it.
"""

from __future__ import annotations

import ctypes
import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from scrapers.formats.errors import Unreadable
from scrapers.formats.pdf_calls import call
from scrapers.formats.pdf_tex_fonts import CONTROLS, decoded

MAX_CHARACTERS = 200_000
"""Of one page: the densest newspaper page holds a tenth of it."""
LINE_HYPHEN = "\ufffe"

_SPACES = "\x00\t\n\x0b\x0c\r \xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000"
_HYPHENS = "\x02\xad\ufffe"
_TOKEN = re.compile(f"[{_HYPHENS}]|[^{_SPACES}{_HYPHENS}]+")
_WRITTEN = str.maketrans(
    {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st"}
    | {chr(code): "\ufffd" for code in (*range(0x20), 0x7F)}
)
# The symbols of TeX's fonts for text (TS1) where they are bitmaps without names and codes stand for themselves.
_SYMBOLS = {0x84: "\u2020", 0x85: "\u2021", 0x86: "\u2016", 0x87: "\u2030", 0x88: "\u2022"}
_ACCENTS = {
    "\u00b4": "\u0301", "`": "\u0300", "\u00a8": "\u0308", "\u02c6": "\u0302", "\u02dc": "\u0303", "\u00af": "\u0304",
    "\u02c7": "\u030c", "\u02d8": "\u0306", "\u02d9": "\u0307", "\u00b8": "\u0327", "\u02da": "\u030a",
    "\u02dd": "\u030b", "\u02db": "\u0328",
}  # fmt: skip
_CLOSELY = re.compile(f"[\\d{''.join(_ACCENTS)}]")
_WIDEST_LETTER = 1.3
_BOLD = re.compile(r"bold|black|heavy|demi", re.I)


@dataclass(slots=True)
class Run:
    """Characters of one type that stand together, turned upright."""

    text: str
    x0: float
    x1: float
    y: float
    size: float
    bold: bool
    turn: int
    """Quarter turns."""
    space: int
    """What stands before it: 0 nothing, 1 a line end or space that PDFium guessed, 2 one within the text."""


@dataclass(slots=True)
class _Type:
    """What the characters of one text object share."""

    x: float
    y: float
    size: float
    bold: bool
    unnamed: bool
    """Whether its font has no name."""
    turn: int


def runs_of(text_page: Any, index: int) -> list[Run]:
    """The runs of an open text page, page `index` of its document; Unreadable when there are too many characters."""
    return _Reading(text_page, index).runs


class _Reading:
    def __init__(self, text_page: Any, index: int) -> None:
        import pypdfium2.raw as pdfium

        pointer, number = ctypes.c_void_p, ctypes.c_int
        self._page = ctypes.cast(text_page.raw, pointer).value
        self._text_page = text_page
        count = pdfium.FPDFText_CountChars(text_page)
        if count > MAX_CHARACTERS:
            raise Unreadable("extract.too_large", f"Page {index + 1} holds {count} characters.")
        self._object_of = call("FPDFText_GetTextObject", pointer, pointer, number)
        self._place = call("FPDFText_GetLooseCharBox", number, pointer, number, pointer)
        self._box = (ctypes.c_float * 4)()
        self._at = ctypes.addressof(self._box)
        self._sides = memoryview(self._box).cast("B").cast("f")
        self._origin = call("FPDFText_GetCharOrigin", number, pointer, number, pointer, pointer)
        self._turned = call("FPDFText_GetMatrix", number, pointer, number, pointer)
        self._font_size = call("FPDFText_GetFontSize", ctypes.c_double, pointer, number)
        self._point, self._matrix = (ctypes.c_double * 2)(), (ctypes.c_float * 6)()
        self._x, self._matrix_at = ctypes.addressof(self._point), ctypes.addressof(self._matrix)
        self._y = self._x + ctypes.sizeof(ctypes.c_double)
        self._types: dict[int, _Type] = {}
        self._fonts: dict[int, tuple[bool, bool]] = {}
        self._last: _Type = _Type(0.0, 0.0, 1.0, False, False, 0)
        self.runs: list[Run] = []
        self._starts: list[int] = []
        self._loose: list[int] = []
        text = self._text(count)
        if CONTROLS.search(text):
            text = decoded(text, self._unnamed(text))
        self._read(text)
        if self._loose:
            self._put_on_letters()

    def _read(self, text: str) -> None:
        page, object_of, place = self._page, self._object_of, self._place
        at, sides, types = self._at, self._sides, self._types
        runs, starts, closely = self.runs, self._starts, _CLOSELY.search
        space, end = 2, 0
        for found in _TOKEN.finditer(text):
            before = end
            start, end = found.span()
            if start > before and space < 2:
                space = max(space, self._space(before, start))
            length = end - start
            if length > 1:
                first = object_of(page, start)
                if first and first == object_of(page, end - 1) and not closely(text, start, end):
                    kind = types.get(first) or self._type(first, start)
                    if kind.turn == 0:
                        place(page, start, at)
                        low = sides[0]
                        place(page, end - 1, at)
                        high = sides[2]
                        if low <= high < low + _WIDEST_LETTER * kind.size * length:
                            token = found[0]
                            if not token.isascii() or not token.isprintable():
                                token = _plain(token, kind)
                            runs.append(Run(token, low, high, kind.y, kind.size, kind.bold, 0, space))
                            starts.append(start)
                            self._last = kind
                            space = 0
                            continue
            if self._token(text, start, end, space):
                space = 0

    def _text(self, count: int) -> str:
        import pypdfium2.raw as pdfium

        buffer = (ctypes.c_ushort * (count + 1))()
        written = pdfium.FPDFText_GetText(self._text_page, 0, count, buffer) - 1
        if written == count:
            text = bytes(buffer)[: 2 * count].decode("utf-16-le", "surrogatepass")
            if len(text) == count:
                return text
        # Characters beyond the first plane, or some that PDFium leaves out of its text.
        codes = (pdfium.FPDFText_GetUnicode(self._text_page, i) for i in range(count))
        return "".join(chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd" for code in codes)

    def _unnamed(self, text: str) -> list[int]:
        """The font of each character where it has no name, else 0."""
        import pypdfium2.raw as pdfium

        known: dict[int, int] = {0: 0}
        fonts: list[int] = []
        for i in range(len(text)):
            found = self._object_of(self._page, i) or 0
            if found not in known:
                font = pdfium.FPDFTextObj_GetFont(pdfium.FPDFText_GetTextObject(self._text_page, i))
                known[found] = ctypes.addressof(font.contents) if font and self._look(font)[1] else 0
            fonts.append(known[found])
        return fonts

    def _space(self, start: int, end: int) -> int:
        if start == end:
            return 0
        if end - start == 1:
            return 2 if self._object_of(self._page, start) else 1
        return 2 if any(self._object_of(self._page, i) for i in range(start, end)) else 1

    def _token(self, text: str, start: int, end: int, space: int) -> bool:
        """Add the runs of a token; whether there are any."""
        token = text[start:end]
        first = self._object_of(self._page, start)
        if end - start > 1:
            if first and first == self._object_of(self._page, end - 1) and not _CLOSELY.search(token):
                kind = self._type(first, start)
                low, high = self._ends(start, kind)
                low_last, high_last = self._ends(end - 1, kind)
                if low <= high_last and high_last - low < _WIDEST_LETTER * kind.size * len(token):
                    self._add(start, token, min(low, low_last), max(high, high_last), kind, space)
                    return True
            return self._closely(token, start, space)
        if not first and token not in _HYPHENS:
            return False
        kind = self._type(first, start) if first else self._last
        if token in _ACCENTS:
            self._loose.append(len(self.runs))
        self._add(start, token, *self._ends(start, kind), kind, space)
        return True

    def _closely(self, token: str, start: int, space: int) -> bool:
        """The runs of a token, character for character, accents put on their letters."""
        parts: list[tuple[str, float, float, _Type, int]] = []
        for i, character in enumerate(token, start):
            found = self._object_of(self._page, i)
            if not found:
                continue
            kind = self._type(found, i)
            low, high = self._ends(i, kind)
            if parts:
                before, low_before, high_before, kind_before, at = parts[-1]
                near = abs(low + high - low_before - high_before) < 0.6 * kind.size and kind.turn == kind_before.turn
                if near and before in _ACCENTS and character.isalpha():
                    parts[-1] = (_accented(character, before), low, high, kind, i)
                    continue
                if near and character in _ACCENTS and before.isalpha():
                    parts[-1] = (_accented(before, character), low_before, high_before, kind_before, at)
                    continue
                if low == low_before and high == high_before and kind is kind_before:
                    # One glyph for several characters.
                    parts[-1] = (before + character, low, high, kind, at)
                    continue
            parts.append((character, low, high, kind, i))
        if token[0] in _ACCENTS and parts and self.runs:
            last, first = self.runs[-1], parts[0]
            if first[3].turn == last.turn and abs(first[1] - last.x1) < 0.1 * first[3].size:
                # PDFium saw a space before the accent, which begins before its letter.
                space = 0
        for text, low, high, kind, at in parts:
            self._add(at, text, low, high, kind, space)
            space = 0
        return bool(parts)

    def _add(self, start: int, text: str, low: float, high: float, kind: _Type, space: int) -> None:
        if text in _HYPHENS:
            text = LINE_HYPHEN
        elif not (text.isascii() and text.isprintable()):
            text = _plain(text, kind)
        y = (kind.y, -kind.x, -kind.y, kind.x)[kind.turn]
        self._starts.append(start)
        self.runs.append(Run(text, low, high, y, kind.size, kind.bold, kind.turn, space))

    def _put_on_letters(self) -> None:
        """Put accents that PDFium moved away from their letters, because they overlap them, back on them."""
        taken = set()
        for at in self._loose:
            accent = self.runs[at]
            middle = (accent.x0 + accent.x1) / 2
            for run, start in zip(self.runs, self._starts, strict=True):
                over = run.x0 <= middle <= run.x1 and abs(run.y - accent.y) < 0.4 * accent.size
                if run is accent or not over or run.turn != accent.turn:
                    continue
                kind = self._type(self._object_of(self._page, start), start)
                centres = [sum(self._ends(start + i, kind)) / 2 for i in range(len(run.text))]
                i = min(range(len(centres)), key=lambda i: abs(centres[i] - middle))
                if abs(centres[i] - middle) < 0.3 * run.size and run.text[i].isalpha():
                    run.text = run.text[:i] + _accented(run.text[i], accent.text) + run.text[i + 1 :]
                    taken.add(at)
                    break
        self.runs = [run for at, run in enumerate(self.runs) if at not in taken]

    def _ends(self, i: int, kind: _Type) -> tuple[float, float]:
        """The beginning and end of character `i` in the direction of its text."""
        self._place(self._page, i, self._at)
        left, top, right, bottom = self._sides
        if kind.turn == 0:
            return left, right
        return ((bottom, top), (-right, -left), (-top, -bottom))[kind.turn - 1]

    def _type(self, found: int, i: int) -> _Type:
        kind = self._types.get(found)
        if kind is None:
            kind = self._types[found] = self._new_type(i)
        self._last = kind
        return kind

    def _new_type(self, i: int) -> _Type:
        import pypdfium2.raw as pdfium

        # Characters drawn by one operator share their baseline.
        self._origin(self._page, i, self._x, self._y)
        self._turned(self._page, i, self._matrix_at)
        a, b, c, d = self._matrix[:4]
        size = self._font_size(self._page, i) * math.hypot(c, d)
        turn = 0 if b == 0 < a else round(math.degrees(math.atan2(b, a)) / 90) % 4
        font = pdfium.FPDFTextObj_GetFont(pdfium.FPDFText_GetTextObject(self._text_page, i))
        return _Type(self._point[0], self._point[1], size or 1.0, *self._look(font), turn)

    def _look(self, font: Any) -> tuple[bool, bool]:
        """Whether a font is bold, and whether it has no name."""
        import pypdfium2.raw as pdfium

        if not font:
            return False, False
        key = ctypes.addressof(font.contents)
        if key not in self._fonts:
            name = ctypes.create_string_buffer(256)
            pdfium.FPDFFont_GetBaseFontName(font, name, 256)
            bold = bool(_BOLD.search(name.value.decode("latin-1"))) or pdfium.FPDFFont_GetWeight(font) >= 600
            self._fonts[key] = bold, not name.value
        return self._fonts[key]


def _plain(text: str, kind: _Type) -> str:
    text = text.translate(_WRITTEN)
    return text.translate(_SYMBOLS) if kind.unnamed else text


def _accented(letter: str, accent: str) -> str:
    base = {"\u0131": "i", "\u0237": "j"}.get(letter, letter)
    return unicodedata.normalize("NFC", base + _ACCENTS[accent])
