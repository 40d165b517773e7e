"""The blocks of an HTML element, in order, as the corpus's text convention writes them.

Works on a beautifulsoup4 tree that has been cut to the content. Tracked deletions leave, insertions stay; pictures
leave and are counted; links keep their text; tables keep every cell, spans repeated.
"""

from __future__ import annotations

import re
from typing import Any

from bs4 import Tag
from bs4.element import NavigableString

from scrapers.formats import xml_safe
from scrapers.formats.errors import Unreadable
from scrapers.formats.inline import CITE_END, CITE_START, LOWERED, LOWERED_END, NUMERIC_MARK, RAISED, RAISED_END, finish
from scrapers.formats.mathml import linear, tex
from scrapers.formats.tables import Cell, pipe_table, rowspan, span

BREAK = "\x0e"
"""Stands for `<br>` until the block is finished; HTML text cannot hold it once control characters are taken out."""

_MAX_DEPTH = 120
_BREAKS = re.compile(rf"\s*{BREAK}\s*")
_PARAGRAPH_BREAK = re.compile(rf"{BREAK}[{BREAK}\s]*{BREAK}")
_REFERENCE_TARGET = re.compile(r"#(?:[\w.:-]*?(?:ref|cite|cit|bib|reference|footnote|note|CR|R|B))[\w.:-]*\d", re.I)
_TEX_TYPE = re.compile(r"math/tex|application/x-tex", re.I)

_DROPPED = {
    "script": "scripts",
    "style": "scripts",
    "noscript": "scripts",
    "template": "scripts",
    "head": "metadata",
    "nav": "navigation",
    "iframe": "embedded_frames",
    "object": "embedded_frames",
    "embed": "embedded_frames",
    "svg": "pictures",
    "canvas": "pictures",
    "img": "pictures",
    "picture": "pictures",
    "video": "pictures",
    "audio": "pictures",
    "map": "pictures",
    "button": "form_controls",
    "input": "form_controls",
    "select": "form_controls",
    "textarea": "form_controls",
    "datalist": "form_controls",
    "dialog": "form_controls",
    "del": "tracked_deletions",
    "s": "tracked_deletions",
    "strike": "tracked_deletions",
}
_BLOCK_NAMES = """
address article aside blockquote body center details div fieldset figcaption figure footer form header hgroup html
legend main p section summary tbody thead tfoot tr td th caption dd dt li
"""
_BLOCK_TAGS = frozenset(_BLOCK_NAMES.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


class Renderer:
    """Turns elements into `blocks`; what it leaves out is in `counts`."""

    def __init__(self, counts: dict[str, int], depth: int = 0) -> None:
        self.blocks: list[str] = []
        self.counts = counts
        self._pieces: list[str] = []
        self._depth = depth

    def render(self, node: Any) -> list[str]:
        """Render the children of `node` and return all blocks so far."""
        self._walk(node)
        self._flush()
        return self.blocks

    def _count(self, name: str) -> None:
        key = f"extract.{name}"
        self.counts[key] = self.counts.get(key, 0) + 1

    def _walk(self, node: Any) -> None:
        if self._depth >= _MAX_DEPTH:
            # Thousands of unclosed tags: the text is kept, the structure is not worth a stack.
            self._count("flattened")
            self._pieces.append(" ".join(text for text in node.stripped_strings))
            return
        self._depth += 1
        for child in node.children:
            if isinstance(child, Tag):
                self._element(child)
            elif type(child) is NavigableString:
                self._pieces.append(child)
        self._depth -= 1

    def _element(self, element: Tag) -> None:
        name = element.name.rpartition(":")[2].lower()
        dropped = _DROPPED.get(name)
        if dropped is not None:
            self._dropped(element, name, dropped)
        elif name in _HEADINGS:
            self._heading(element, _HEADINGS[name])
        elif name == "br":
            self._pieces.append(BREAK)
        elif name == "sup":
            self._superscript(element)
        elif name == "sub":
            self._around(LOWERED, element, LOWERED_END)
        elif name == "a":
            self._link(element)
        elif name == "math":
            self._pieces.append(_math(element))
        elif name in ("ul", "ol", "menu", "dir"):
            self._list(element)
        elif name == "dl":
            self._definitions(element)
        elif name == "table":
            self._table(element)
        elif name == "pre":
            self._preformatted(element)
        elif name == "hr":
            self._flush()
        elif name == "q":
            self._around('"', element, '"')
        elif name == "rt":
            self._around(" (", element, ")")
        elif name in _BLOCK_TAGS:
            self._flush()
            self._walk(element)
            self._flush()
        else:
            self._walk(element)

    def _dropped(self, element: Tag, name: str, counted: str) -> None:
        if name == "script" and _TEX_TYPE.search(str(element.get("type", ""))):
            self._pieces.append(f"${tex(element.get_text())}$")
            return
        if name == "img":
            source = str(element.get("src", ""))
            alternative = " ".join(str(element.get("alt", "")).split())
            classes = " ".join(element.get("class") or [])
            if alternative and re.search(r"math|tex|equation|formula", classes, re.I):
                self._pieces.append(alternative)
                return
            counted = "embedded_pictures" if source.startswith("data:") else counted
        self._count(counted)

    def _around(self, before: str, element: Tag, after: str) -> None:
        self._pieces.append(before)
        self._walk(element)
        self._pieces.append(after)

    def _superscript(self, element: Tag) -> None:
        classes = " ".join(element.get("class") or [])
        text = element.get_text().strip()
        if re.search(r"\breference\b|\bcitation\b|footnote-ref", classes) and NUMERIC_MARK.fullmatch(text):
            self._pieces += (CITE_START, text, CITE_END)
            return
        self._around(RAISED, element, RAISED_END)

    def _link(self, element: Tag) -> None:
        target = str(element.get("href", ""))
        if "#" in target and _REFERENCE_TARGET.search(target):
            text = element.get_text().strip()
            if NUMERIC_MARK.fullmatch(text):
                self._pieces += (CITE_START, text, CITE_END)
                return
        self._walk(element)

    def _heading(self, element: Tag, level: int) -> None:
        self._flush()
        text = self._inline(element)
        if text:
            self.blocks.append(f"{'#' * level} {text}")

    def _inline(self, element: Tag) -> str:
        """Everything inside `element` on one line."""
        inner = Renderer(self.counts, self._depth)
        blocks = inner.render(element)
        return " ".join(block.replace("\n", " ") for block in blocks)

    def _inner(self, element: Tag) -> list[str]:
        return Renderer(self.counts, self._depth + 1).render(element)

    def _flush(self) -> None:
        if not self._pieces:
            return
        text = "".join(self._pieces)
        self._pieces.clear()
        if not text or text.isspace():
            return
        for part in _PARAGRAPH_BREAK.split(text) if BREAK in text else (text,):
            written = finish(part, self.counts)
            if BREAK in written:
                written = _BREAKS.sub("\n", written.strip(f" {BREAK}"))
            if written:
                self.blocks.append(written)

    def _list(self, element: Tag) -> None:
        self._flush()
        lines: list[str] = []
        for child in element.children:
            if not isinstance(child, Tag):
                if type(child) is NavigableString and child.strip():
                    lines.append("- " + finish(child, self.counts))
                continue
            if child.name in ("ul", "ol"):
                # A list directly inside a list belongs to the item before it.
                nested = "\n".join(self._inner_of_list(child))
                if nested:
                    lines.append("  " + nested.replace("\n", "\n  "))
                continue
            parts = self._inner(child)
            if parts:
                lines.append("- " + "\n".join(parts).replace("\n", "\n  "))
        if lines:
            self.blocks.append("\n".join(lines))

    def _inner_of_list(self, element: Tag) -> list[str]:
        inner = Renderer(self.counts, self._depth + 1)
        inner._list(element)
        return inner.blocks

    def _definitions(self, element: Tag) -> None:
        self._flush()
        lines: list[str] = []
        terms: list[str] = []
        for child in element.find_all(["dt", "dd"]):
            if child.find_parent("dl") is not element:
                continue
            if child.name == "dt":
                terms.append(self._inline(child))
                continue
            parts = self._inner(child)
            if parts and terms:
                parts[0] = f"{', '.join(terms).rstrip(':')}: {parts[0]}"
            elif terms:
                parts = [", ".join(terms)]
            terms = []
            if parts:
                lines.append("- " + "\n".join(parts).replace("\n", "\n  "))
        if terms:
            lines.append(f"- {', '.join(terms)}")
        if lines:
            self.blocks.append("\n".join(lines))

    def _table(self, element: Tag) -> None:
        self._flush()
        rows = [row for row in element.find_all("tr") if row.find_parent("table") is element]
        cells = [[cell for cell in row.find_all(["td", "th"], recursive=False)] for row in rows]
        layout = element.find("table") is not None or element.get("role") == "presentation"
        if not rows or layout or max(map(len, cells), default=0) == 1:
            # A table of one column, or one that holds tables, arranges the page: its cells are blocks.
            self._walk(element)
            self._flush()
            return
        for caption in element.find_all("caption"):
            text = self._inline(caption)
            if text:
                self.blocks.append(text)
        groups: list[list[list[Cell]]] = []
        last: Any = None
        for row, line in zip(rows, cells, strict=True):
            if row.parent is not last:
                groups.append([])
                last = row.parent
            groups[-1].append(
                [
                    Cell(self._inline(cell), rowspan(_attribute(cell, "rowspan")), span(_attribute(cell, "colspan")))
                    for cell in line
                ]
            )
        written = pipe_table(groups)
        if written:
            self.blocks.append(written)

    def _preformatted(self, element: Tag) -> None:
        self._flush()
        text = element.get_text().strip("\n").rstrip()
        if text.strip():
            self.blocks.append(f"```\n{text}\n```")


def _attribute(element: Tag, name: str) -> str | None:
    value = element.get(name)
    return value if isinstance(value, str) else None


def _math(element: Tag) -> str:
    alternative = element.get("alttext")
    if isinstance(alternative, str) and alternative.strip():
        return f"${tex(alternative)}$"
    try:
        root = xml_safe.parse(str(element).encode())
    except Unreadable:
        return element.get_text(" ", strip=True)
    return linear(root)
