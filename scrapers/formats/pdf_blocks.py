"""Blocks of text from the lines of a PDF: headings by their type, lists, tables, paragraphs over columns and pages."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass

from scrapers.formats.pdf_hyphens import Hyphens, marked
from scrapers.formats.pdf_lines import Line
from scrapers.formats.tables import Cell, pipe_table

_BULLET = re.compile(r"^[\u2022\u25cf\u25aa\u25a0\u25cb\u2023\u2043\uf0b7\uf0a7\uf0a8]\s*")
_ITEM = re.compile(
    r"(?:[\u2022\u25cf\u25aa\u25a0\u25cb\u2023\u2043\uf0b7\uf0a7\uf0a8]|[*\u2013-]\s|\(?[a-z][.)]\s|o\s)"
)
_LETTERED = re.compile(r"\(?[a-z][.)]\s")
_NUMBERED = re.compile(r"\(?\d{1,2}[.)]\s")
_SENTENCE_END = re.compile(r"[.!?:;][\"'\u201d\u2019)\]]*(?:\^[\d,\u2013-]+)?$")
_FULL_STOP = re.compile(r"[.!?][\"'\u201d\u2019)\]]*(?:\^[\d,\u2013-]+)?$")
_HANGING = re.compile(
    r"(?:,|\b(?:the|an?|of|and|or|to|in|at|by|for|with|from|than|least|most|about|every|per|over|under|above|below|is|"
    r"are|was|were|be|not|CI|ratio|difference))$"
)
_HEADING_END = re.compile(r"[.,;]$")
_CAPTION = re.compile(r"(?:table|fig(?:ure)?\.?|box|algorithm)\s+\w+[.:]?\s", re.I)
_LARGER = 1.12
_SMALLER = 0.92
_LOOSE = 1.3
_EARLY = 0.25
"""Of the column: a line without the end of a sentence that stops so much before it stops on purpose."""
_MOST_HEADING_WORDS = 25
_MOST_BOLD_WORDS = 14
_LOOK_BACK = 4


@dataclass(slots=True)
class _Block:
    kind: str
    lines: list[Line]

    @property
    def size(self) -> float:
        return self.lines[0].size

    @property
    def text(self) -> str:
        return self.lines[-1].text


def written(lines: list[Line], body: float, hyphens: Hyphens) -> list[str]:
    """The blocks of a document in the text convention."""
    blocks = _joined_over_columns(_blocks(lines, body), body)
    levels = _levels(blocks)
    out: list[str] = []
    before = ""
    for block in blocks:
        if block.kind == "table":
            text = _table(block.lines[0], hyphens)
        else:
            text = hyphens.joined(marked(line.text) for line in block.lines)
        if block.kind == "heading":
            text = "#" * levels[_look(block.lines[0])] + " " + text
        elif block.kind == "item":
            text = _BULLET.sub("- ", text)
        elif text.startswith("#"):
            text = f"\\{text}"
        if block.kind == before == "item" and text.startswith("- ") and out[-1].rsplit("\n", 1)[-1].startswith("- "):
            out[-1] += f"\n{text}"
        elif text:
            out.append(text)
        before = block.kind
    return out


def _table(line: Line, hyphens: Hyphens) -> str:
    rows = [[Cell(hyphens.joined(map(marked, cell))) for cell in row] for row in line.table or ()]
    filled = [column for column in range(len(rows[0])) if any(row[column].text for row in rows)]
    return pipe_table([[[row[column] for column in filled] for row in rows]])


def _blocks(lines: list[Line], body: float) -> list[_Block]:
    leading = _leading(lines)
    blocks: list[_Block] = []
    above: Line | None = None
    for line in lines:
        kind = _kind(line, body)
        block = blocks[-1] if blocks else None
        if block is None or above is None or above.column != line.column or _parted(block, above, line, kind, leading):
            blocks.append(_Block(kind, [line]))
        else:
            block.lines.append(line)
        above = line
    for block in blocks:
        words = sum(len(line.text.split()) for line in block.lines)
        larger = block.size >= _LARGER * body
        most = _MOST_HEADING_WORDS if larger else _MOST_BOLD_WORDS
        letters = any(character.isalpha() for line in block.lines for character in line.text)
        ended = not larger and _HEADING_END.search(block.text)
        if block.kind == "heading" and (words > most or ended or not letters):
            block.kind = "paragraph"
    return blocks


def _kind(line: Line, body: float) -> str:
    if line.table is not None:
        return "table"
    if line.size >= _LARGER * body or (line.bold and line.size >= _SMALLER * body and not _BULLET.match(line.text)):
        return "heading"
    return "item" if _ITEM.match(line.text) or _NUMBERED.match(line.text) else "paragraph"


def _leading(lines: list[Line]) -> float:
    """The usual distance of baselines, in type sizes."""
    drops = [line.drop / line.size for line in lines if line.table is None and 0.8 < line.drop / line.size < 2.5]
    if not drops:
        return 1.2
    # Loose lines are ends of paragraphs; the tighter half holds those within.
    return statistics.median_low(sorted(drops)[: (len(drops) + 1) // 2])


def _parted(block: _Block, above: Line, line: Line, kind: str, leading: float) -> bool:
    """Whether `line` begins a new block."""
    if "table" in (kind, block.kind) or abs(line.size - above.size) > 0.08 * max(line.size, above.size):
        return True
    loose = line.drop > _LOOSE * leading * line.size or line.drop < 0
    if "heading" in (kind, block.kind):
        return kind != block.kind or loose or line.bold != above.bold
    if loose:
        return True
    ended = bool(_SENTENCE_END.search(above.text))
    if _ITEM.match(line.text):
        # "(a)" may stand anywhere in a sentence that goes on.
        return block.kind == "item" or not _LETTERED.match(line.text) or _short(above, line)
    begins = not _inside(line.text)
    if _NUMBERED.match(line.text) and (ended or _short(above, line) or _NUMBERED.match(block.lines[0].text)):
        return True
    if line.x0 > above.x0 + 0.8 * line.size and block.kind == "paragraph" and ended:
        return True
    if ended and len(block.lines) == 1 and abs(line.x0 - above.x0) < 1 and 0.8 < (line.x0 - line.left) / line.size < 3:
        return True
    if block.kind == "item" and line.x0 < block.lines[0].x0 - 0.5 * line.size and ended:
        return True
    # Lines that are set by their number of characters end unevenly.
    if _HANGING.search(above.text):
        return False
    return _short(above, line) and (ended or (begins and above.right - above.x1 > _EARLY * (above.right - above.left)))


def _inside(text: str) -> bool:
    """Whether no sentence begins so."""
    return text[:1].islower() or text.startswith(("%", ")", "]", ",", ";", "/"))


def _short(above: Line, line: Line) -> bool:
    """Whether the first word of `line` would have had room on the line above: that one ended on purpose."""
    return above.right - above.x1 > line.first_word + 1.2 * line.size


def _joined_over_columns(blocks: list[_Block], body: float) -> list[_Block]:
    """Paragraphs that go on in the next column or on the next page, past footnotes and tables between."""
    kept: list[_Block] = []
    for block in blocks:
        before = _unfinished(kept, block, body) if block.kind == "paragraph" else None
        if before is None:
            kept.append(block)
        else:
            before.lines.extend(block.lines)
    return kept


def _unfinished(kept: list[_Block], block: _Block, body: float) -> _Block | None:
    line = block.lines[0]
    for before in reversed(kept[-_LOOK_BACK:]):
        small = before.size < _SMALLER * body <= block.size
        if before.kind in ("paragraph", "item") and not small:
            end = before.lines[-1]
            same = abs(end.size - line.size) <= 0.08 * line.size
            full = end.right - end.x1 <= line.first_word + 1.2 * line.size
            lower = _inside(line.text) or (_HANGING.search(end.text) and not _NUMBERED.match(line.text))
            stopped = _FULL_STOP if lower else _SENTENCE_END
            open_ = not stopped.search(end.text) and end.column != line.column
            if not open_ and _CAPTION.match(before.lines[0].text):
                continue
            return before if same and open_ and (lower or (full and not _NUMBERED.match(line.text))) else None
        if not small and before.kind != "table":
            return None
    return None


def _look(line: Line) -> tuple[float, bool]:
    return (round(line.size * 2) / 2, line.bold)


def _levels(blocks: list[_Block]) -> dict[tuple[float, bool], int]:
    """The level of each look of headings, the larger the higher; the first level is for a title at the beginning."""
    looks = [_look(block.lines[0]) for block in blocks if block.kind == "heading"]
    ranked = sorted(set(looks), reverse=True)
    if not ranked:
        return {}
    starts = any(block.kind == "heading" and _look(block.lines[0]) == ranked[0] for block in blocks[:2])
    titled = starts and looks.count(ranked[0]) == 1
    return {look: min(6, rank + (1 if titled else 2)) for rank, look in enumerate(ranked)}
