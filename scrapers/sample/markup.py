"""Blocks of a guideline as the HTML of a real page: nested lists, cells over several rows, marks, careless escaping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scrapers.sample.blocks import Block


def html_blocks(blocks: Sequence[Block], *, nested: bool = False) -> str:
    parts: list[str] = []
    references = [str(block.value) for block in blocks if block.kind == "reference"]
    for number, block in enumerate(blocks):
        value = block.value
        if block.kind == "bullets":
            items = [f"<li>{escaped(str(item))}</li>" for item in value]
            if nested and len(items) > 2:
                # The last item one level down, inside the one before: lists nest on real pages.
                items[-2:] = [f"{items[-2].removesuffix('</li>')}<ul>{items[-1]}</ul></li>"]
            parts.append(f"<ul>{''.join(items)}</ul>")
        elif block.kind == "table":
            parts.append(_table(value))
        elif block.kind in ("heading2", "heading3"):
            tag = f"h{block.kind[-1]}"
            parts.append(f"<{tag}>{escaped(str(value))}</{tag}>")
        elif block.kind == "paragraph":
            mark = '<sup><a href="#ref1">1</a></sup>' if references and number % 5 == 1 else ""
            parts.append(f"<p>{escaped(str(value))}{mark}</p>")
    if references:
        parts.append(f"<ol>{''.join(f'<li>{escaped(one)}</li>' for one in references)}</ol>")
    return "".join(parts)


def escaped(value: str) -> str:
    """Text as careless editors leave it: `<` escaped, `>` not."""
    return value.replace("&", "&amp;").replace("<", "&lt;")


def _table(rows: Any) -> str:
    """A table whose equal neighbours in the first column share one cell over several rows."""
    head = "".join(f"<th>{escaped(str(cell))}</th>" for cell in rows[0])
    out, body = [f"<table><thead><tr>{head}</tr></thead><tbody>"], list(rows[1:])
    for number, row in enumerate(body):
        cells = [f"<td>{escaped(str(cell))}</td>" for cell in row[1:]]
        if number == 0 or body[number - 1][0] != row[0]:
            span = 1
            while number + span < len(body) and body[number + span][0] == row[0]:
                span += 1
            cells.insert(0, f'<td rowspan="{span}">{escaped(str(row[0]))}</td>' if span > 1 else f"<td>{row[0]}</td>")
        out.append(f"<tr>{''.join(cells)}</tr>")
    return "".join([*out, "</tbody></table>"])
