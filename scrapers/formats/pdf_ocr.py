"""Pages of a PDF that are pictures, read by an engine of optical character recognition and given as words with places.

The words go the way of a text layer's: the same columns, tables, headings and paragraphs. Only pages without a usable
text layer are read so (`auto`), or all (`ocr`). An engine invents where it cannot see, so each page has a confidence
and a width of its characters in pixels of its picture; a page under `LEAST_CONFIDENCE` or `LEAST_WIDTH` is put aside,
and a PDF most of whose pictures are put aside is not taken.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from scrapers.formats.errors import Unreadable
from scrapers.formats.pdf_page import Page, Rule, Word

ENGINE = "scrapers.formats.pdf_engine:read_image"
"""What reads a picture when nothing else is named."""
LEAST_CONFIDENCE = 0.95
"""Of a page, the mean over its characters: 0.97 to 0.99 on what is read well, 0.63 and 0.86 on bad scans."""
LEAST_WIDTH = 7.0
"""Of a page, pixels of the picture to a character. The engine is as sure of coarse pictures as of others: with 5.5 (9
points at 100 dots to the inch) it lost 6 % of the numbers at a confidence of 0.98, with 8.1 none (`bench_ocr.py`)."""
LEAST_OF_NUMBERS = 0.8
"""Of one character of a number; of two wrong separators in 1,175 numbers of spoilt pages one was under it."""
_OF_NUMBERS = frozenset("0123456789.,/<>=\u2264\u2265\xb1\u2212-")
DPI = 200
"""At which a page is drawn for the engine."""
MAX_PAGES = 500
"""Pages of one PDF that an engine reads: more would take hours of a core."""
_MAX_PIXELS = 20_000_000
_FEWEST_CHARACTERS = 8
_STAMP = 200
"""Characters of a text layer over a page-wide picture that are a stamp or an address, not its text."""
_COVERED = 0.5
_SURE_WORDS = 20
_TURNS = (0, 1, 3, 2)
_BODY = (0.78, 1.28)
"""Heights of lines, as shares of the usual one, that ascenders and descenders alone can make."""
_STEP = 1.12
"""Headings whose heights differ by less are of one size."""
_BOX = 1.15
"""Height of an engine's box of a line by the size of its type, measured on rendered pages."""


@dataclass(slots=True)
class SeenChar:
    """One character as an engine sees it; pixels from the left, along its line."""

    text: str
    """With `^` before it where it is raised and no raised one stands before it."""
    x0: float
    x1: float
    confidence: float
    space: bool = False
    """Whether a space stands before it."""


@dataclass(slots=True)
class SeenLine:
    """Characters on one line; pixels, y downwards."""

    chars: list[SeenChar]
    y: float
    """Of the middle of its height, at `x`."""
    x: float
    height: float
    angle: float = 0.0
    """Radians, clockwise as seen."""


@dataclass(slots=True)
class SeenPage:
    """What an engine sees on one picture."""

    lines: list[SeenLine]
    lying: list[Rule] = field(default_factory=list)
    """Drawn lines, in pixels, y downwards."""
    standing: list[Rule] = field(default_factory=list)

    @property
    def confidence(self) -> float:
        """The mean over its characters; 1 on a page without any."""
        found = [char.confidence for line in self.lines for char in line.chars]
        return statistics.fmean(found) if found else 1.0

    @property
    def on_its_side(self) -> bool:
        """Whether most characters are in lines higher than wide: an engine may read those too, in no order."""
        words = [line for line in self.lines if len(line.chars) > 2]
        tall = sum(len(line.chars) for line in words if line.height > line.chars[-1].x1 - line.chars[0].x0)
        return 2 * tall > sum(len(line.chars) for line in words)


class Engine(Protocol):
    """Reads one picture: height x width x 3 bytes, red, green and blue."""

    def __call__(self, picture: Any) -> SeenPage:
        """The lines on it; an empty page when it holds none."""


def engine_named(name: str) -> Engine:
    """The engine called `module:function`."""
    module, _, function = name.partition(":")
    found: Engine = getattr(import_module(module), function)
    return found


@dataclass(slots=True)
class OcrPages:
    """The pages of a PDF after reading: those with a text layer as they were."""

    pages: list[Page]
    confidences: list[float]
    """Of the pages that an engine read and that were kept."""
    aside: int
    """Pages whose reading was too uncertain; they are empty."""
    widths: list[float] = field(default_factory=list)
    """Of the pages that were kept: pixels of their pictures to a character; infinite when drawn."""
    doubtful: int = 0
    """Digits, points and comparators on the pages kept of which the engine is less sure than `LEAST_OF_NUMBERS`."""


def read_pages(document: Any, pages: Sequence[Page], wanted: Sequence[bool], engine: Engine) -> OcrPages:
    """`pages` with those that are `wanted` read by `engine`; Unreadable if they are too many or mostly uncertain."""
    if sum(wanted) > MAX_PAGES:
        raise Unreadable("extract.too_large", f"{sum(wanted)} pages would need OCR, more than {MAX_PAGES}.")
    least = LEAST_CONFIDENCE
    found = OcrPages([], [], 0)
    unsure: list[str] = []
    seen: list[tuple[Page, SeenPage, float]] = []
    for number, (page, read) in enumerate(zip(pages, wanted, strict=True)):
        if not read:
            found.pages.append(page)
            continue
        picture, points = _picture(document, number)
        sight = _upright(picture, engine, least)
        width = _width(document, number, sight, points)
        if sight.confidence < least or width < LEAST_WIDTH:
            found.aside += 1
            unsure.append(f"page {number + 1} has confidence {sight.confidence:.3f}, {width:.1f} pixels a letter")
            found.pages.append(Page([]))
            continue
        if sight.lines:
            found.confidences.append(sight.confidence)
            found.widths.append(width)
            found.doubtful += sum(
                char.confidence < LEAST_OF_NUMBERS and char.text.lstrip("^") in _OF_NUMBERS
                for line in sight.lines
                for char in line.chars
            )
        seen.append((Page([]), sight, points))
        found.pages.append(seen[-1][0])
    sizes = _Sizes((line.height * points / _BOX, len(line.chars)) for _, sight, points in seen for line in sight.lines)
    for page, sight, points in seen:
        _place(page, sight, points, sizes)
    if found.aside > len(found.confidences):
        raise Unreadable(
            "extract.ocr_uncertain",
            f"OCR is sure of {len(found.confidences)} of {found.aside + len(found.confidences)} pages of pictures: "
            f"{unsure[0]}; at least {least:.2f} and {LEAST_WIDTH:g} are wanted.",
        )
    return found


def needs_ocr(document: Any, index: int, text: str, score: float, words: int) -> bool:
    """Whether page `index` has something on it and no text layer to trust: none, a stamp over a picture, or garbage."""
    characters = sum(not letter.isspace() for letter in text)
    if words >= _SURE_WORDS and score < 0.5:
        return True
    if characters >= _STAMP:
        return False
    empty, covered, _ = _drawn(document, index)
    return covered >= _COVERED or (characters < _FEWEST_CHARACTERS and not empty)


def _width(document: Any, index: int, seen: SeenPage, points: float) -> float:
    """The usual pixels of a page's pictures to a character; infinite when they are not what it shows.

    Boxes of lines are too high on skewed and coarse pages to tell the size of the type.
    """
    _, covered, resolution = _drawn(document, index)
    lines = [line for line in seen.lines if len(line.chars) > 1]
    widths = [
        (line.chars[-1].x1 - line.chars[0].x0) / (len(line.chars) + sum(char.space for char in line.chars))
        for line in lines
        for _ in line.chars
    ]
    if covered < _COVERED or not widths:
        return math.inf
    return statistics.median(widths) * points / 72 * resolution


def _drawn(document: Any, index: int) -> tuple[bool, float, float]:
    """Whether nothing is drawn on a page, the share that pictures cover, and the largest one's dots to the inch."""
    import pypdfium2.raw as pdfium

    page = document[index]
    try:
        width, height = page.get_size()
        area, n, largest, resolution = 0.0, 0, 0.0, 0.0
        for drawn in page.get_objects(max_depth=4):
            n += 1
            if drawn.type == pdfium.FPDF_PAGEOBJ_IMAGE:
                left, bottom, right, top = drawn.get_bounds()
                shown = max(0.0, min(right, width) - max(left, 0)) * max(0.0, min(top, height) - max(bottom, 0))
                area += shown
                if shown > largest:
                    largest, sides = shown, drawn.get_px_size()
                    # A picture may lie turned on its page.
                    resolution = 72 * math.sqrt(sides[0] * sides[1] / ((right - left) * (top - bottom)))
        return n == 0, area / (width * height), resolution
    finally:
        page.close()


def _picture(document: Any, index: int) -> tuple[Any, float]:
    """The page as the engine wants it, and the points of one of its pixels."""
    page = document[index]
    try:
        width, height = page.get_size()
        scale = min(DPI / 72, math.sqrt(_MAX_PIXELS / (width * height)))
        picture = page.render(scale=scale, rev_byteorder=True).to_numpy()[:, :, :3]
        return picture.copy(), 1 / scale
    finally:
        page.close()


def _upright(picture: Any, engine: Engine, least: float) -> SeenPage:
    """What `engine` sees on `picture`, turned by quarters when it is sure of nothing as it stands."""
    import numpy as np

    best: SeenPage | None = None
    for turn in _TURNS:
        seen = engine(np.ascontiguousarray(np.rot90(picture, turn)))
        if best is None or (not seen.on_its_side, seen.confidence) > (not best.on_its_side, best.confidence):
            best = seen
        if best.confidence >= least and not best.on_its_side:
            break
    assert best is not None
    return best


def _place(page: Page, seen: SeenPage, points: float, sizes: _Sizes) -> None:
    """Enter the lines in `page` as words: straightened, in points, y upwards."""
    angles = [line.angle for line in seen.lines if len(line.chars) > 20]
    angle = statistics.median(angles) if angles else 0.0
    cosine, sine = math.cos(-angle), math.sin(-angle)
    for line in seen.lines:
        size = sizes.of(line.height * points / _BOX)
        y = -(line.x * sine + line.y * cosine) * points - 0.32 * size
        shift = (line.x * cosine - line.y * sine) - line.x
        for text, x0, x1 in _words(line):
            page.words.append(Word(text, (x0 + shift) * points, (x1 + shift) * points, round(y, 2), size))
    middle = [(rule.start + rule.end) / 2 for rule in seen.lying]
    page.lying = [
        Rule(-(x * sine + rule.at * cosine) * points, rule.start * points, rule.end * points)
        for x, rule in zip(middle, seen.lying, strict=True)
    ]
    page.standing = [
        Rule((rule.at * cosine - (rule.start + rule.end) / 2 * sine) * points, -rule.end * points, -rule.start * points)
        for rule in seen.standing
    ]


def _words(line: SeenLine) -> Iterator[tuple[str, float, float]]:
    text, x0, x1 = "", 0.0, 0.0
    for char in line.chars:
        if char.space and text:
            yield text, x0, x1
            text = ""
        if not text:
            x0 = char.x0
        text, x1 = text + char.text, char.x1
    if text:
        yield text, x0, x1


class _Sizes:
    """Type sizes of a document's lines; their heights differ by what rises and falls in their letters."""

    def __init__(self, heights: Iterable[tuple[float, int]]) -> None:
        found = sorted(heights)
        half, passed = sum(n for _, n in found) / 2, 0
        self._usual = 10.0
        for height, n in found:
            passed += n
            if passed >= half:
                self._usual = round(height, 1)
                break
        self._groups: list[list[float]] = []
        for height, _ in found:
            if height > _BODY[1] * self._usual:
                if not self._groups or height > _STEP * self._groups[-1][-1]:
                    self._groups.append([])
                self._groups[-1].append(height)

    def of(self, height: float) -> float:
        """The size in points of a line `height` points high."""
        if _BODY[0] * self._usual <= height <= _BODY[1] * self._usual:
            return self._usual
        group = next((group for group in self._groups if group[0] <= height <= group[-1]), [height])
        return round(statistics.median(group), 1)
