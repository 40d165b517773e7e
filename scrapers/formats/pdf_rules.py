"""Straight lines and small marks drawn on a page of a PDF: the rules of tables, and bullets that are not written."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

from scrapers.formats.pdf_calls import call
from scrapers.formats.pdf_chars import MAX_CHARACTERS

MAX_OBJECTS = 20_000
"""Drawings looked at on one page: maps and graphs have more, and no table."""
_MAX_SEGMENTS = 2_000
_THIN = 2.5
_DOT = (1.2, 6.5)
_STRAIGHT = 0.5
_POINTER, _INT = ctypes.c_void_p, ctypes.c_int


class Rule(NamedTuple):
    """A straight line drawn on the page: from `start` to `end` at `at`, lying or standing."""

    at: float
    start: float
    end: float


def drawings(page: Any, turn: int) -> tuple[list[Rule], list[Rule], list[tuple[float, float]]]:
    """The lying and standing lines of a page whose text is turned by quarter turns, and the centres of small marks."""
    import pypdfium2.raw as pdfium

    lying: list[Rule] = []
    standing: list[Rule] = []
    dots: list[tuple[float, float]] = []
    count = pdfium.FPDFPage_CountObjects(page)
    if count > MAX_OBJECTS + MAX_CHARACTERS:
        return lying, standing, dots
    paths = 0
    bounds = (ctypes.c_float * 4)()
    at = ctypes.addressof(bounds)
    places = at, at + 4, at + 8, at + 12
    sheet = ctypes.cast(page.raw, _POINTER).value
    object_of = call("FPDFPage_GetObject", _POINTER, _POINTER, _INT)
    kind_of = call("FPDFPageObj_GetType", _INT, _POINTER)
    bounds_of = call("FPDFPageObj_GetBounds", _INT, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER)
    for index in range(count):
        drawn = object_of(sheet, index)
        if kind_of(drawn) != pdfium.FPDF_PAGEOBJ_PATH:
            continue
        paths += 1
        if paths > MAX_OBJECTS:
            return [], [], []
        if not bounds_of(drawn, *places):
            continue
        left, bottom, right, top = upright((bounds[0], bounds[1], bounds[2], bounds[3]), turn)
        width, height = right - left, top - bottom
        if _DOT[0] < width < _DOT[1] and _DOT[0] < height < _DOT[1] and abs(width - height) < 1:
            dots.append(((left + right) / 2, (bottom + top) / 2))
        elif height <= _THIN and width > _THIN:
            lying.append(Rule((bottom + top) / 2, left, right))
        elif width <= _THIN and height > _THIN:
            standing.append(Rule((left + right) / 2, bottom, top))
        elif width > _THIN and height > _THIN:
            _sides(drawn, turn, lying, standing)
    # Cells drawn beside each other draw their common side twice.
    return list(dict.fromkeys(lying)), list(dict.fromkeys(standing)), dots


def upright(box: tuple[float, float, float, float], turn: int) -> tuple[float, float, float, float]:
    """A box on a page whose text is turned by quarter turns: left, bottom, right, top of the page turned back."""
    left, bottom, right, top = box
    if turn == 1:
        return bottom, -right, top, -left
    if turn == 2:
        return -right, -top, -left, -bottom
    return (-top, left, -bottom, right) if turn == 3 else box


def _sides(drawn: int, turn: int, lying: list[Rule], standing: list[Rule]) -> None:
    """The straight sides of a path: a frame, or a whole grid drawn at once."""
    import pypdfium2.raw as pdfium

    count = call("FPDFPath_CountSegments", _INT, _POINTER)(drawn)
    matrix, point = (ctypes.c_float * 6)(), (ctypes.c_float * 2)()
    matrix_of = call("FPDFPageObj_GetMatrix", _INT, _POINTER, _POINTER)
    if not 2 <= count <= _MAX_SEGMENTS or not matrix_of(drawn, ctypes.addressof(matrix)):
        return
    a, b, c, d, e, f = matrix
    segment_of = call("FPDFPath_GetPathSegment", _POINTER, _POINTER, _INT)
    point_of = call("FPDFPathSegment_GetPoint", _INT, _POINTER, _POINTER, _POINTER)
    kind_of = call("FPDFPathSegment_GetType", _INT, _POINTER)
    closes = call("FPDFPathSegment_GetClose", _INT, _POINTER)
    x = ctypes.addressof(point)
    first = last = (0.0, 0.0)
    for index in range(count):
        segment = segment_of(drawn, index)
        point_of(segment, x, x + 4)
        at_x, at_y = point
        here = (a * at_x + c * at_y + e, b * at_x + d * at_y + f)
        kind = kind_of(segment)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            first = here
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            _side(last, here, turn, lying, standing)
        if closes(segment):
            _side(here, first, turn, lying, standing)
        last = here


def _side(
    one: tuple[float, float], other: tuple[float, float], turn: int, lying: list[Rule], standing: list[Rule]
) -> None:
    (ax, ay), (bx, by) = one, other
    if abs(ax - bx) >= _STRAIGHT and abs(ay - by) >= _STRAIGHT:
        return
    left, bottom, right, top = upright((min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)), turn)
    if top - bottom < _STRAIGHT and right - left > _THIN:
        lying.append(Rule(bottom, left, right))
    elif right - left < _STRAIGHT and top - bottom > _THIN:
        standing.append(Rule(left, bottom, top))
