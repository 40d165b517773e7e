"""The parts of an HTML table, by element or by ARIA role: captions, row groups, and text outside the cells.

The parser leaves text and cells where the author put them, also where no table may hold them; here nothing of it is
lost: cells without a row make one, a foot stands last, what is in no cell is given back for the page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bs4 import Tag
from bs4.element import NavigableString

from scrapers.formats.html_elements import CELL_ROLES, DROPPED, HEADINGS, attribute, role
from scrapers.formats.html_hidden import unseen
from scrapers.formats.tables import Cell, grid, rowspan, span

_MAX_DEPTH = 40
_CELLS = frozenset({"td", "th"})
_GROUPS = frozenset({"thead", "tbody", "tfoot"})
_TABLE_ROLES = frozenset({"table", "grid"})
_ROW_ROLES = CELL_ROLES | {"row"}
_PICTURES = ("img", "picture", "math", "svg")


@dataclass(slots=True)
class TableParts:
    """What stands directly in one table, tables inside it left out."""

    captions: list[Tag] = field(default_factory=list)
    groups: list[list[list[Tag]]] = field(default_factory=list)
    """Rows of cells, by row group; the groups `tfoot` last."""
    outside: list[Any] = field(default_factory=list)
    """Text and elements in no cell."""

    @property
    def width(self) -> int:
        """Cells of the widest row."""
        return max((len(row) for group in self.groups for row in group), default=0)


def table_parts(table: Tag) -> TableParts:
    """The parts of `table`."""
    parts = TableParts()
    feet: list[list[list[Tag]]] = []
    _gather(table, parts, feet, None, 0)
    parts.groups = [group for group in (*parts.groups, *feet) if group]
    return parts


def arranges_the_page(table: Tag, parts: TableParts) -> bool:
    """Whether the cells of `table` are parts of the page, not of a table."""
    if parts.width <= 1 or table.get("role") in ("presentation", "none"):
        return True
    if table.find("table") is None:
        return False
    headed = any(cell.name == "th" for group in parts.groups for row in group for cell in row)
    return not (headed or parts.captions)


def _gather(node: Tag, parts: TableParts, feet: list[list[list[Tag]]], row: list[Tag] | None, depth: int) -> None:
    """Sort the children of `node`; `row` is the row they stand in, if they do."""
    group: list[list[Tag]] | None = None
    loose: list[Tag] | None = None
    for child in node.children:
        if not isinstance(child, Tag):
            if type(child) is NavigableString and child.strip():
                parts.outside.append(child)
            continue
        name = child.name
        if name in _CELLS:
            if row is not None:
                row.append(child)
                continue
            if loose is None:
                group = _open(parts, feet, node) if group is None else group
                loose = []
                group.append(loose)
            loose.append(child)
        elif name == "tr":
            loose = None
            group = _open(parts, feet, node) if group is None else group
            cells: list[Tag] = []
            group.append(cells)
            _gather(child, parts, feet, cells, depth + 1)
            if not cells:
                group.remove(cells)
        elif name in _GROUPS:
            group = loose = None
            _gather(child, parts, feet, None, depth + 1)
        elif name == "caption":
            parts.captions.append(child)
        elif name not in ("col", "colgroup"):
            # A form around rows, as old pages have it.
            if depth < _MAX_DEPTH and name not in ("table", "script", "style") and child.find(["tr", "td", "th"]):
                group = loose = None
                _gather(child, parts, feet, row, depth + 1)
            else:
                parts.outside.append(child)


def _open(parts: TableParts, feet: list[list[list[Tag]]], node: Tag) -> list[list[Tag]]:
    group: list[list[Tag]] = []
    (feet if node.name == "tfoot" else parts.groups).append(group)
    return group


def spans(cell: Tag) -> tuple[int, int]:
    """Rows and columns that `cell` covers."""
    said = "" if cell.name in _CELLS else "aria-"
    return rowspan(attribute(cell, f"{said}rowspan")), span(attribute(cell, f"{said}colspan"))


def role_table_parts(element: Tag) -> TableParts | None:
    """The parts of a table made of roles (`table` or `grid`, `row`, `cell`); None where `element` is no regular one.

    Regular is: rows of one width, save titles of sections in one cell, and nothing to read between the cells.
    https://www.w3.org/TR/wai-aria-1.2/#table
    """
    if role(element) not in _TABLE_ROLES or element.name == "ol":
        return None
    parts = TableParts()
    if not _gather_roles(element, parts, None, 0):
        return None
    parts.groups = [group for group in parts.groups if group]
    if not _regular(parts):
        return None
    cells = [cell for group in parts.groups for row in group for cell in row]
    headed = any(role(cell).endswith("header") for cell in cells)
    # Without headers, cells that hold tables or headings are parts of the page.
    return parts if headed or not any(cell.find(["table", *HEADINGS]) for cell in cells) else None


def _regular(parts: TableParts) -> bool:
    lines = [
        line for group in parts.groups for line in grid([[Cell("", *spans(cell)) for cell in row] for row in group])
    ]
    if len(lines) < 2 or len(lines[0]) < 2:
        return False
    return all(len(line) in (1, len(lines[0])) for line in lines) and any(len(line) > 1 for line in lines[1:])


def _gather_roles(node: Tag, parts: TableParts, row: list[Tag] | None, depth: int) -> bool:
    """Sort the children of `node` by their roles; False once something there is not as in a regular table."""
    loose: list[Tag] | None = None
    for child in node.children:
        if not isinstance(child, Tag):
            if type(child) is NavigableString and child.strip():
                if parts.groups:
                    return False
                parts.outside.append(child)
            continue
        said = role(child)
        gone = child.name in DROPPED and child.name not in ("button", "img", "picture")
        if gone or unseen(child, child.name):
            # The page does not show it, and the renderer counts it; a cell less would move those after it.
            if said in CELL_ROLES:
                return False
            parts.outside.append(child)
        elif said in CELL_ROLES:
            if row is not None:
                row.append(child)
                continue
            if loose is None:
                loose = []
                _open_group(parts).append(loose)
            loose.append(child)
        elif said == "caption" or child.name in ("caption", "figcaption"):
            parts.captions.append(child)
        elif said not in _TABLE_ROLES and depth < _MAX_DEPTH and child.find(_of_a_row):
            loose = None
            if child.name == "ol":
                # Its rows have numbers.
                return False
            inner = row
            if said == "row":
                if row is not None:
                    return False
                inner = []
                _open_group(parts).append(inner)
            elif said == "rowgroup":
                parts.groups.append([])
            if not _gather_roles(child, parts, inner, depth + 1):
                return False
        elif parts.groups and (child.get_text(strip=True) or child.name in _PICTURES or child.find(_PICTURES)):
            return False
        else:
            parts.outside.append(child)
    return True


def _of_a_row(element: Tag) -> bool:
    return role(element) in _ROW_ROLES


def _open_group(parts: TableParts) -> list[list[Tag]]:
    """The last group; rows before any group make one."""
    if not parts.groups:
        parts.groups.append([])
    return parts.groups[-1]
