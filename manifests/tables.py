"""Small tables of plain values with the form of each column: the same rows for the screen, for JSON and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.table import Table as RichTable

Form = Literal["text", "count", "signed", "share", "decimal", "points"]

SMALL_CELL = 11
"""Counts of people below it are not told of a restricted source (the usual rule of US health statistics)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the key in the rows, what a person reads above it, how its values are written."""

    key: str
    label: str
    form: Form = "text"

    @property
    def is_number(self) -> bool:
        return self.form != "text"


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table of plain values."""

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Mapping[str, Any]]
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        columns, rows = [asdict(one) for one in self.columns], [dict(row) for row in self.rows]
        return {"title": self.title, "columns": columns, "rows": rows, "note": self.note}


def written(value: Any, form: Form) -> str:
    """`value` as a person reads it; text stays what it is, so a suppressed cell may stand among numbers."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if form == "count":
        return f"{value:,}"
    if form == "signed":
        return f"{value:+,}"
    if form == "share":
        return f"{value:.2%}"
    if form == "points":
        return f"{value * 100:+.3f}"
    if form == "decimal":
        return f"{value:,.3f}"
    return str(value)


def counted(n: int, noun: str) -> str:
    """`1 source`, `1,200 sources`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def small_cell(n: int, *, restricted: bool) -> int | str:
    """`n`, or `<11` where it could single out people of a restricted source."""
    return f"<{SMALL_CELL}" if restricted and 0 < n < SMALL_CELL else n


def rich_table(table: Table) -> RichTable:
    """The table for the terminal: words to the left, numbers to the right, long words cut."""
    from rich.table import Table as RichTable
    from rich.text import Text

    made = RichTable(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in table.columns:
        justify: Literal["left", "right"] = "right" if column.is_number else "left"
        made.add_column(column.label, justify=justify, no_wrap=True, overflow="ellipsis")
    for row in table.rows:
        # Text, not markup: a title or an id may hold square brackets.
        made.add_row(*(Text(written(row.get(column.key), column.form)) for column in table.columns))
    return made
