"""Straight lines and small marks drawn on a page of a PDF: the rules of tables, and bullets that are not written."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

from scrapers.formats.pdf_chars import MAX_CHARACTERS

MAX_OBJECTS = 20_000
"""Drawings looked at on one page: maps and graphs have more, and no table."""
_MAX_SEGMENTS = 2_000
_THIN = 2.5
_DOT = (1.2, 6.5)


class Rule(NamedTuple):
    """A straight line drawn on the page: from `start` to `end` at `at`, lying or standing."""

    at: float
    start: float
    end: float


def drawings(page: Any, turn: int) -> tuple[list[Rule], list[Rule], list[tuple[float, float]]]:
    import pypdfium2.raw as pdfium

    lying: list[Rule] = []
    standing: list[Rule] = []
    dots: list[tuple[float, float]] = []
    count = pdfium.FPDFPage_CountObjects(page)
    if count > MAX_OBJECTS + MAX_CHARACTERS:
        return lying, standing, dots
    paths = 0
    bounds = [ctypes.c_float() for _ in range(4)]
    for index in range(count):
        drawn = pdfium.FPDFPage_GetObject(page, index)
        if pdfium.FPDFPageObj_GetType(drawn) != pdfium.FPDF_PAGEOBJ_PATH:
            continue
        paths += 1
        if paths > MAX_OBJECTS:
            return [], [], []
        if not pdfium.FPDFPageObj_GetBounds(drawn, *bounds):
            continue
        left, bottom, right, top = _upright((bounds[0].value, bounds[1].value, bounds[2].value, bounds[3].value), turn)
        width, height = right - left, top - bottom
        if _DOT[0] < width < _DOT[1] and _DOT[0] < height < _DOT[1] and abs(width - height) < 1:
            dots.append(((left + right) / 2, (bottom + top) / 2))
        elif height <= _THIN and width > _THIN:
            lying.append(Rule((bottom + top) / 2, left, right))
        elif width <= _THIN and height > _THIN:
            standing.append(Rule((left + right) / 2, bottom, top))
        elif width > _THIN and height > _THIN:
            _sides(drawn, turn, lying, standing)
    return lying, standing, dots


def _upright(box: tuple[float, float, float, float], turn: int) -> tuple[float, float, float, float]:
    left, bottom, right, top = box
    if turn == 1:
        return bottom, -right, top, -left
    if turn == 2:
        return -right, -top, -left, -bottom
    return (-top, left, -bottom, right) if turn == 3 else box


def _sides(drawn: Any, turn: int, lying: list[Rule], standing: list[Rule]) -> None:
    """The straight sides of a path: a frame, or a whole grid drawn at once."""
    import pypdfium2.raw as pdfium

    count = pdfium.FPDFPath_CountSegments(drawn)
    matrix = pdfium.FS_MATRIX()
    if not 2 <= count <= _MAX_SEGMENTS or not pdfium.FPDFPageObj_GetMatrix(drawn, matrix):
        return
    x, y = ctypes.c_float(), ctypes.c_float()
    first = last = (0.0, 0.0)
    for index in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(drawn, index)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        a, b = x.value, y.value
        point = (matrix.a * a + matrix.c * b + matrix.e, matrix.b * a + matrix.d * b + matrix.f)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        sides = []
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            first = point
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            sides.append((last, point))
        if pdfium.FPDFPathSegment_GetClose(segment):
            sides.append((point, first))
        last = point
        for (ax, ay), (bx, by) in sides:
            left, bottom, right, top = _upright((min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)), turn)
            if top - bottom < 0.5 and right - left > _THIN:
                lying.append(Rule(bottom, left, right))
            elif right - left < 0.5 and top - bottom > _THIN:
                standing.append(Rule(left, bottom, top))
