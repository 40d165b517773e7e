"""RapidOCR as the engine that reads pictures of pages: PP-OCRv6, whose weights are inside its wheel.

Chosen by what it does to numbers (`tests/benchmarks/bench_ocr.py`). It knows `≥ ≤ ± µ × ²`, which Tesseract's English
models do not: those write `=` and `>` for `≥`. One thread: the same bytes give the same words with the same versions.
Raised digits are found from the ink, for it writes 10^5 as 105.
"""

from __future__ import annotations

import math
import os
import re
import statistics
import unicodedata
from functools import cache
from hashlib import sha256
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from manifests.errors import RecipeError
from scrapers.formats.pdf_ocr import SeenChar, SeenLine, SeenPage
from scrapers.formats.pdf_page import Rule

PACKAGES = ("rapidocr", "onnxruntime", "opencv-python-headless")
VERSION = "1"
"""Raised when this file or `pdf_ocr` gives other words for the same picture."""
_LEAST_RULE = 60
"""Pixels: at 200 dots to the inch no letter has a stroke so long."""
_DARK = 160


def identity() -> dict[str, str]:
    """What the words depend on: versions and the digests of the models; RecipeError when the extra is not there."""
    try:
        found = {"pdf_engine": VERSION, **{name: metadata.version(name) for name in PACKAGES}}
    except metadata.PackageNotFoundError as error:
        raise missing(str(error.name)) from None
    folder = Path(str(metadata.distribution("rapidocr").locate_file("rapidocr/models")))
    for path in sorted(folder.glob("*.onnx")):
        found[path.name] = sha256(path.read_bytes()).hexdigest()
    return found


def missing(what: str) -> RecipeError:
    """The error for an engine that is asked for and not installed."""
    return RecipeError(
        f"{what} is not installed.",
        where="pdf_reader",
        why="Pages without a text layer are read by an OCR engine, which is not part of the base install.",
        fix="pip install 'medtrove[ocr]', or leave pdf_reader out: such PDFs are then put aside.",
    )


@cache
def _engine() -> Any:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        import cv2
        from rapidocr import RapidOCR
    except ImportError as error:
        raise missing(error.name or "rapidocr") from None
    cv2.setNumThreads(1)
    return RapidOCR(
        params={
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Global.use_cls": False,
            "Global.max_side_len": 6000,
            "Global.text_score": 0.0,
            "Global.log_level": "critical",
        }
    )


def read_image(picture: Any) -> SeenPage:
    """The lines on a picture of a page; RecipeError when the extra is not installed."""
    import cv2

    engine = _engine()
    found = engine(picture[:, :, ::-1], return_word_box=True, return_single_char_box=True)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    lines = []
    # Without any text the engine still gives one empty row of characters.
    for text, box, chars in zip(found.txts, found.boxes, found.word_results, strict=True) if found.txts else ():
        line = _line(text, box.tolist(), chars)
        if line.chars:
            ink = _marks(line, grey)
            marks = [_nearest(char, ink) for char in line.chars]
            _mark_raised(line, marks, ink)
            _part(line, marks, ink)
            lines.append(line)
    return SeenPage(lines, *_rules(grey))


def _line(text: str, box: list[list[float]], chars: Any) -> SeenLine:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = box
    length = math.hypot(bx - ax, by - ay) or 1.0
    height = (math.hypot(dx - ax, dy - ay) + math.hypot(cx - bx, cy - by)) / 2
    seen: list[SeenChar] = []
    at = 0
    for letter, confidence, corners in chars:
        space = False
        while at < len(text) and text[at].isspace():
            at, space = at + 1, True
        at += len(letter)
        xs = [corner[0] for corner in corners]
        seen.append(SeenChar(_narrow(letter), min(xs), max(xs), float(confidence), space))
    for char, after in pairwise(seen):
        if char.text == "\u03bc" and after.text in _UNITS and not after.space:
            char.text = "\u00b5"
    y, x = (ay + by + cy + dy) / 4, (ax + bx + cx + dx) / 4
    return SeenLine(seen, y, x, height, math.atan2(by - ay, bx - ax) if length > 3 * height else 0.0)


_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-", strict=True))
_RINGED = frozenset("%\u2030\u00b0")
_UNITS = frozenset("gLlmMsUVkA")
_NUMERAL = re.compile(r"[\d.,/]")
_FEWEST_MARKS = 3
_SIGNS = "+-\u2212\u2013"
_ON_THE_LINE = frozenset("acemnorsuvwxzbdfhkltiABCDEFGHIKLMNOPRSTUVWXYZ0123456789")
_TALL = frozenset("bdfhklABCDEFGHIKLMNOPRSTUVWXYZ0123456789")


def _mark_raised(line: SeenLine, marks: list[_Mark | None], ink: list[_Mark]) -> None:
    """Write `^` before digits whose ink stands above the line, and for those the engine gives as raised characters."""
    raised = [char.text in _SUPERSCRIPTS for char in line.chars]
    for char in line.chars:
        char.text = _SUPERSCRIPTS.get(char.text, char.text)
    raised = [known or above for known, above in zip(raised, _above(line, marks, ink), strict=True)]
    before = False
    for i, char in enumerate(line.chars):
        sign = char.text in _SIGNS and i + 1 < len(raised) and raised[i + 1] and not line.chars[i + 1].space
        now = raised[i] and (char.text.isdigit() or sign)
        if now and (not before or char.space):
            char.text = f"^{char.text}"
        before = now


def _above(line: SeenLine, marks: list[_Mark | None], ink: list[_Mark]) -> list[bool]:
    """Whether the ink of each character, if it is a digit or a sign, stands above the line."""
    bottoms = [mark.bottom for char, mark in zip(line.chars, marks, strict=True) if mark and char.text in _ON_THE_LINE]
    if len(bottoms) < _FEWEST_MARKS:
        return [False] * len(marks)
    base = statistics.median(bottoms)
    tops = [mark.top for char, mark in zip(line.chars, marks, strict=True) if mark and char.text in _TALL]
    tall = base - statistics.median(tops) if tops else 0.6 * line.height
    above: list[bool] = []
    for char, after, mark in zip(line.chars, [*line.chars[1:], None], marks, strict=True):
        if mark is None or (after and after.text in _RINGED and not after.space):
            # The ring of a per cent sign stands as high as a raised digit.
            above.append(False)
        elif char.text in _SIGNS:
            above.append(base - (mark.top + mark.bottom) / 2 > 0.58 * tall)
        else:
            whole = _whole(mark, ink, 0.12 * tall)
            rise, height = base - whole.bottom, whole.bottom - whole.top
            # Latin Modern raises digits hardly smaller than others, and by half their height.
            small = height < (0.95 if rise > 0.3 * tall else 0.8) * tall
            high = rise > 0.2 * tall and whole.top < base - 0.7 * tall
            above.append(char.text.isdigit() and high and small and height > 0.35 * tall)
    return above


def _whole(mark: _Mark, ink: list[_Mark], least: float) -> _Mark:
    """`mark` with the ink under and over it: a bad scan breaks a digit in two."""
    top, bottom = mark.top, mark.bottom
    for other in ink:
        shared = min(mark.right, other.right) - max(mark.left, other.left)
        if (
            shared >= 0.4 * (other.right - other.left)
            and max(other.right - other.left, other.bottom - other.top) >= least
        ):
            top, bottom = min(top, other.top), max(bottom, other.bottom)
    return mark._replace(top=top, bottom=bottom)


def _part(line: SeenLine, marks: list[_Mark | None], ink: list[_Mark]) -> None:
    """Enter spaces the engine left out, where the ink is as far apart as at its others; never inside a number."""
    within: list[float] = []
    between: list[float] = []
    gaps: list[tuple[SeenChar, float]] = []
    for (char, mark), (after, next_mark) in pairwise(zip(line.chars, marks, strict=True)):
        if mark is None or next_mark is None:
            continue
        gap = _white(mark.right, next_mark.left, ink)
        if after.space:
            between.append(gap)
        elif char.text.isalnum() or after.text.isalnum():
            within.append(gap)
            if not (_NUMERAL.search(char.text) and _NUMERAL.search(after.text)):
                gaps.append((after, gap))
    if len(between) < _FEWEST_MARKS or len(within) < _FEWEST_MARKS:
        return
    least = 0.7 * statistics.median(between) + 0.3 * statistics.median(within)
    for after, gap in gaps:
        after.space = after.space or gap >= max(least, 0.12 * line.height)


def _white(start: float, end: float, ink: list[_Mark]) -> float:
    """The widest white stretch between two marks: what stands between them was taken for a part of neither."""
    widest, reach = 0.0, start
    for mark in sorted(ink):
        if mark.right > start and mark.left < end:
            widest, reach = max(widest, mark.left - reach), max(reach, mark.right)
    return max(widest, end - reach)


def _narrow(letter: str) -> str:
    """The forms of East Asian type, `\uff05` and `\u2103`, in those of ours."""
    return (
        unicodedata.normalize("NFKC", letter) if letter in "\u2103\u2109" or "\uff01" <= letter <= "\uff5e" else letter
    )


class _Mark(NamedTuple):
    """Connected ink; pixels, y downwards, the slope of its line taken out."""

    left: float
    right: float
    top: float
    bottom: float


def _marks(line: SeenLine, grey: Any) -> list[_Mark]:
    """The ink along a line."""
    import cv2

    slope = math.tan(line.angle)
    left, right = int(line.chars[0].x0 - line.height), int(line.chars[-1].x1 + line.height)
    reach = 0.6 * line.height + abs(slope) * (right - left) / 2
    top = max(0, int(line.y - reach))
    left = max(0, left)
    crop = grey[top : int(line.y + reach) + 1, left : max(right, left + 1)]
    if not crop.size:
        return []
    _, ink = cv2.threshold(crop, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    _, _, boxes, centres = cv2.connectedComponentsWithStats(ink, connectivity=8)
    marks = []
    for (x, y, width, height, area), (middle, _) in zip(boxes[1:].tolist(), centres[1:].tolist(), strict=True):
        away = slope * (left + middle - line.x)
        lowest = top + y + height - away
        if area >= 4 and top + y - away > line.y - 0.58 * line.height and lowest < line.y + 0.58 * line.height:
            marks.append(_Mark(left + x, left + x + width, top + y - away, lowest))
    return marks


def _nearest(char: SeenChar, marks: list[_Mark]) -> _Mark | None:
    """The tallest mark under the middle of a character."""
    middle = (char.x0 + char.x1) / 2
    under = [mark for mark in marks if mark.left - 1 <= middle <= mark.right + 1]
    return max(under, key=lambda mark: (mark.bottom - mark.top, mark)) if under else None


def _rules(grey: Any) -> tuple[list[Rule], list[Rule]]:
    """Long thin strokes, lying and standing: the grids of tables."""
    import cv2

    _, ink = cv2.threshold(grey, _DARK, 255, cv2.THRESH_BINARY_INV)
    found: list[list[Rule]] = []
    for shape in ((_LEAST_RULE, 1), (1, _LEAST_RULE)):
        kernel = cv2.getStructuringElement(cv2.MORPH_RECT, shape)
        strokes = cv2.morphologyEx(ink, cv2.MORPH_OPEN, kernel)
        _, _, boxes, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
        rules = []
        for x, y, width, height, _ in boxes[1:].tolist():
            long, thick = (width, height) if shape[0] > 1 else (height, width)
            if thick <= max(8, 0.03 * long):
                rules.append(Rule(y + height / 2, x, x + width) if shape[0] > 1 else Rule(x + width / 2, y, y + height))
        found.append(sorted(rules))
    return found[0], found[1]
