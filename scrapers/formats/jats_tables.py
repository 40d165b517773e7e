"""`table-wrap` and its tables: caption, pipe table, notes, in that order.

XHTML tables and OASIS (CALS) tables give the same rows. A table that is only a picture keeps its caption.
"""

from __future__ import annotations

from typing import Any

from scrapers.formats.inline import collapse
from scrapers.formats.jats_inline import Context, inline_text, loose_texts
from scrapers.formats.tables import Cell, Row, pipe_table, rowspan, span

OASIS = "{http://docs.oasis-open.org/ns/oasis-exchange/table}"
Columns = dict[str, tuple[int, int]]
_GROUPS = frozenset({"thead", "tbody", "tfoot", "tgroup"})


def table(element: Any, context: Context) -> str:
    """A `table` (or `array`, or OASIS `table`) element as a pipe table."""
    context.in_table = True
    try:
        return pipe_table(_groups(element, context))
    finally:
        context.in_table = False


def _local(element: Any) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _groups(element: Any, context: Context) -> list[list[Row]]:
    groups: list[list[Row]] = []
    loose: list[Row] = []
    columns = _column_names(element)
    held: dict[int, int] = {}
    for child in element:
        name = _local(child)
        if name == "tr":
            loose.append(_row(child, context))
        elif name == "row":
            loose.append(_oasis_row(child, columns, held, context))
        elif name in _GROUPS:
            if loose:
                groups.append(loose)
                loose = []
            groups += _groups(child, context) if name == "tgroup" else [_rows(child, columns, context)]
        elif name:
            text = inline_text(child, context)
            if text:
                loose.append([text])
    loose += [[text] for text in loose_texts(element)]
    if loose:
        groups.append(loose)
    return groups


def _rows(element: Any, columns: Columns, context: Context) -> list[Row]:
    rows: list[Row] = []
    held: dict[int, int] = {}
    for child in element:
        tag = child.tag
        name = tag if tag == "tr" else _local(child)
        if name == "tr":
            rows.append(_row(child, context))
        elif name == "row":
            rows.append(_oasis_row(child, columns, held, context))
        elif name:
            text = inline_text(child, context)
            if text:
                rows.append([text])
    return rows + [[text] for text in loose_texts(element)]


def _row(element: Any, context: Context) -> Row:
    cells: list[Cell | str] = []
    loose = [element.text]
    for cell in element:
        loose.append(cell.tail)
        if len(cell):
            text = inline_text(cell, context)
        elif isinstance(cell.tag, str):
            text = cell.text
            text = " ".join(text.split()) if text else ""
        else:
            continue
        tall, wide = cell.get("rowspan"), cell.get("colspan")
        if (tall is None or tall == "1") and (wide is None or wide == "1"):
            cells.append(text)
        else:
            cells.append(Cell(text, rowspan(tall or "1"), span(wide or "1")))
    return cells + [collapse(text) for text in loose if text and not text.isspace()]


def _column_names(element: Any) -> Columns:
    """First and last column of each name that the `colspec` and `spanspec` of an OASIS group give."""
    names: Columns = {}
    position = -1
    for spec in element:
        name = _local(spec)
        if name == "colspec":
            number = spec.get("colnum", "")
            position = int(number) - 1 if number.isdecimal() and 0 < len(number) < 3 else position + 1
            names[spec.get("colname", "")] = (position, position)
        elif name == "spanspec":
            first, last = names.get(spec.get("namest", "")), names.get(spec.get("nameend", ""))
            if first and last:
                names[spec.get("spanname", "")] = (first[0], last[1])
    names.pop("", None)
    if not names and element.getparent() is not None and _local(element) in ("thead", "tbody", "tfoot"):
        return _column_names(element.getparent())
    return names


def _oasis_row(element: Any, columns: Columns, held: dict[int, int], context: Context) -> Row:
    """A row whose entries may name their columns; `held`: rows that each column is still spanned from above."""
    cells: list[Cell | str] = []
    spanned: dict[int, int] = {}
    column = 0
    for entry in element:
        if _local(entry) != "entry":
            continue
        first, last = _named(entry, columns)
        while held.get(column, 0) > 0 or column < first:
            if held.get(column, 0) == 0:
                # No entry for this column: the next one names a later one.
                cells.append("")
            column += 1
        wide = max(1, last - first + 1)
        more = entry.get("morerows", "0")
        tall = int(more) + 1 if more.isdecimal() and len(more) < 6 else 1
        cells.append(Cell(inline_text(entry, context), tall, wide))
        spanned.update(dict.fromkeys(range(column, column + wide), tall))
        column += wide
    for column in {*held, *spanned}:
        held[column] = max(0, spanned.get(column, held.get(column, 0)) - 1)
    return cells + loose_texts(element)


def _named(entry: Any, columns: Columns) -> tuple[int, int]:
    """First and last column an entry names; (-1, -1) if none."""
    nowhere = (-1, -1)
    if entry.get("spanname") in columns:
        return columns[entry.get("spanname")]
    first = columns.get(entry.get("namest") or entry.get("colname") or "", nowhere)
    last = columns.get(entry.get("nameend") or "", nowhere)
    return (first[0], last[1]) if 0 <= first[0] <= last[1] else (first[0], first[0])
