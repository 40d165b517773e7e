"""Tables as GitHub pipe tables: every cell stands where the page shows it, spans repeated, none dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import cast

_MAX_COLSPAN = 1000
_MAX_ROWSPAN = 65534
_MAX_CELLS = 500_000


@dataclass(slots=True)
class Cell:
    """One cell as the source writes it."""

    text: str
    rowspan: int = 1
    colspan: int = 1


def span(value: str | None, limit: int = _MAX_COLSPAN) -> int:
    """A span attribute as a number from 1 to `limit`; 0 means as far as there is room, nonsense means 1."""
    value = (value or "").strip()
    if not value.isdecimal() or len(value) > 6:
        return 1
    number = int(value)
    return limit if number == 0 else min(number, limit)


def rowspan(value: str | None) -> int:
    """A rowspan attribute as a number; 0 means to the end of the row group."""
    return span(value, _MAX_ROWSPAN)


Row = Sequence[Cell | str]
"""A string is a cell of one row and one column."""


def grid(rows: Sequence[Row]) -> Sequence[Sequence[str]]:
    """The cells of one row group in their columns; spans repeat their text, and end with the group."""
    if Cell in set(map(type, chain.from_iterable(rows))):
        return _spread(rows)
    return cast("Sequence[Sequence[str]]", rows)


def _spread(rows: Sequence[Row]) -> list[list[str]]:
    open_spans: dict[int, tuple[int, str]] = {}
    result: list[list[str]] = []
    budget = _MAX_CELLS

    def fill(line: list[str]) -> None:
        while (held := open_spans.get(len(line))) is not None:
            left, text = held
            column = len(line)
            line.append(text)
            if left > 1:
                open_spans[column] = (left - 1, text)
            else:
                del open_spans[column]

    for index, row in enumerate(rows):
        line: list[str] = []
        remaining = len(rows) - index
        for cell in row:
            if open_spans:
                fill(line)
            if isinstance(cell, str):
                budget -= 1
                line.append(cell)
                continue
            # Past the budget a table is no table but an attack: spans are then not repeated.
            wide = cell.colspan if budget > 0 else 1
            tall = min(cell.rowspan, remaining) if budget > 0 else 1
            budget -= wide * tall
            for _ in range(wide):
                if tall > 1:
                    open_spans[len(line)] = (tall - 1, cell.text)
                line.append(cell.text)
        if open_spans:
            fill(line)
            for column in sorted(column for column in open_spans if column >= len(line)):
                line.extend([""] * (column - len(line)))
                fill(line)
        result.append(line)
    return result


def pipe_table(groups: Sequence[Sequence[Row]]) -> str:
    """Row groups (head, bodies, foot) as one pipe table whose first row is the header; empty if no cell has text."""
    lines = [line for group in groups for line in grid(group) if any(line)]
    if not lines:
        return ""
    width = max(map(len, lines))
    written: list[str] = []
    for line in lines:
        joined = " | ".join(line)
        if joined.count("|") >= len(line):
            joined = " | ".join(text.replace("|", "\\|") for text in line)
        written.append(f"| {joined}{' | ' * (width - len(line))} |")
    written.insert(1, "|" + " --- |" * width)
    return "\n".join(written)
