"""The blocks of an HTML element, in order, as the corpus's text convention writes them.

Works on a beautifulsoup4 tree that has been cut to the content. Tracked deletions leave, insertions stay; pictures
leave and are counted; links keep their text; tables keep every cell, spans repeated.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from bs4 import Tag
from bs4.element import NavigableString, RubyTextString

from scrapers.formats.html_elements import (
    ASKS_FOR_A_NUMBER,
    BLOCK_TAGS,
    DROPPED,
    HEADINGS,
    LISTS,
    NOTE_TARGET,
    REFERENCE_TARGET,
    SMALL_PICTURE,
    TEX_TYPE,
    TWICE_ESCAPED,
    attribute,
    math_text,
    names_panels,
    opens_a_panel,
    says_something,
    script,
)
from scrapers.formats.html_hidden import unseen
from scrapers.formats.html_lists import MAX_DEPTH, ListWriter
from scrapers.formats.html_tables import TableParts, arranges_the_page, role_table_parts, spans, table_parts
from scrapers.formats.inline import CITE_END, CITE_START, LOWERED, LOWERED_END, NUMERIC_MARK, RAISED, RAISED_END, finish
from scrapers.formats.mathml import tex
from scrapers.formats.tables import Cell, pipe_table

BREAK = "\x0e"
"""Stands for `<br>` until the block is finished; HTML text cannot hold it once control characters are taken out."""

_SHOWN = (NavigableString, RubyTextString)
"""Kinds of text that a page shows: no comment, script, style, or brackets of a gloss."""
_BREAKS = re.compile(rf"\s*{BREAK}\s*")
_PARAGRAPH_BREAK = re.compile(rf"{BREAK}[{BREAK}\s]*{BREAK}")


class Renderer(ListWriter):
    """Turns elements into `blocks`; what it leaves out is in `counts`."""

    def __init__(self, counts: dict[str, int], depth: int = 0, *, flat: bool = False) -> None:
        self.blocks: list[str] = []
        self.counts = counts
        self._pieces: list[str] = []
        self._depth = depth
        self._flat = flat

    def render(self, node: Any) -> list[str]:
        """Render the children of `node` and return all blocks so far."""
        self._walk(node)
        self._flush()
        return self.blocks

    def _count(self, name: str) -> None:
        key = f"extract.{name}"
        self.counts[key] = self.counts.get(key, 0) + 1

    def _walk(self, node: Any) -> None:
        if self._depth >= MAX_DEPTH:
            # Thousands of unclosed tags: the text is kept, the structure is not worth a stack.
            self._count("flattened")
            for left in node.find_all(list(DROPPED)):
                if not left.decomposed:
                    self._count(DROPPED[left.name])
                    left.decompose()
            self._pieces.append(f" {' '.join(node.stripped_strings)} ")
            return
        self._depth += 1
        for child in node.children:
            if isinstance(child, Tag):
                self._element(child)
            elif type(child) in _SHOWN:
                self._pieces.append(child)
        self._depth -= 1

    def _element(self, element: Tag) -> None:
        name = element.name.rpartition(":")[2].lower()
        dropped = DROPPED.get(name)
        if dropped is not None:
            self._dropped(element, name, dropped)
            return
        if element.attrs and self._unseen(element, name):
            return
        if "role" in element.attrs and name != "table" and (parts := role_table_parts(element)) is not None:
            self._flush()
            self._parts(parts)
        elif name in HEADINGS and not self._flat:
            self._heading(element, HEADINGS[name])
        elif name == "br":
            self._pieces.append(BREAK)
        elif name == "sup":
            self._superscript(element)
        elif name == "sub":
            self._around(LOWERED, element, LOWERED_END)
        elif name == "a":
            self._link(element)
        elif name == "math":
            self._pieces.append(math_text(element))
        elif name in LISTS:
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
        elif name in BLOCK_TAGS:
            self._flush()
            self._walk(element)
            self._flush()
        else:
            self._styled(element)

    def _unseen(self, element: Tag, name: str) -> bool:
        if counted := unseen(element, name):
            self._count(counted)
            return True
        return False

    def _styled(self, element: Tag) -> None:
        """An inline element; raised and lowered by style is as good as by element."""
        mark = script(element)
        if mark == RAISED:
            self._superscript(element)
        elif mark == LOWERED:
            self._around(LOWERED, element, LOWERED_END)
        else:
            self._walk(element)

    def _dropped(self, element: Tag, name: str, counted: str) -> None:
        if name == "script" and TEX_TYPE.search(str(element.get("type", ""))):
            self._pieces.append(f"${tex(unescape(element.get_text()))}$")
            return
        if name == "button" and (opens_a_panel(element) or says_something(element)):
            is_tab = element.find_parent("li") is None and element.find_parent(attrs={"role": "tablist"}) is not None
            if is_tab:
                self._flush()
            self._walk(element)
            if is_tab:
                self._flush()
            return
        if name == "nav" and names_panels(element):
            self._flush()
            self._walk(element)
            self._flush()
            return
        if name == "picture" and (inner := element.find("img")) is not None:
            self._dropped(inner, "img", counted)
            return
        if name == "img":
            source = str(element.get("src", ""))
            alternative = " ".join(str(element.get("alt", "")).split())
            classes = " ".join(element.get("class") or [])
            if alternative and re.search(r"math|tex|equation|formula", classes, re.I):
                if element.parent is None or element.parent.find("math") is None:
                    self._pieces.append(alternative)
                return
            if SMALL_PICTURE.fullmatch(alternative):
                self._pieces.append(f" {alternative} " if alternative[-1].isalpha() else alternative)
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
        if "#" in target and REFERENCE_TARGET.search(target):
            text = element.get_text().strip()
            # In a table the note stands below it, and the mark says which value it limits. "Grade 1" with a
            # link to the note on grades is no mark.
            if NUMERIC_MARK.fullmatch(text) and not (NOTE_TARGET.search(target) and (self._flat or self._counted())):
                self._pieces += (CITE_START, text, CITE_END)
                return
        if self._continues_a_number(element, target):
            self._pieces.append(" ")
        self._walk(element)

    def _continues_a_number(self, element: Tag, target: str) -> bool:
        """Whether digits of this link would be read as one number with those of another link just before."""
        last = self._pieces[-1] if self._pieces else ""
        first = element.find(string=True)
        if not (target and isinstance(last, NavigableString) and first and last[-1:].isdigit() and first[:1].isdigit()):
            return False
        other = last.find_parent("a")
        before = attribute(other, "href") if other is not None and other is not element else None
        # A raised digit is parted by its own sign.
        levels = [text.find_parent(lambda one: script(one) != "") for text in (last, first)]
        return bool(before) and before != target and levels[0] is levels[1]

    def _counted(self) -> bool:
        """Whether the words before ask for a number: `grade 1`, `stages 1 or 2`."""
        return ASKS_FOR_A_NUMBER.search("".join(self._pieces[-4:])[-60:]) is not None

    def _heading(self, element: Tag, level: int) -> None:
        self._flush()
        text = self._inline(element)
        if text:
            self.blocks.append(f"{'#' * level} {text}")

    def _inline(self, element: Tag) -> str:
        """Everything inside `element` on one line."""
        inner = Renderer(self.counts, self._depth + 1, flat=True)
        blocks = inner.render(element)
        return " ".join(block.replace("\n", " ") for block in blocks)

    def _fresh(self) -> Renderer:
        return Renderer(self.counts, self._depth + 1, flat=self._flat)

    def _inner(self, element: Tag) -> list[str]:
        return self._fresh().render(element)

    def _flush(self) -> None:
        if not self._pieces:
            return
        text = "".join(self._pieces)
        self._pieces.clear()
        if not text or text.isspace():
            return
        if "&" in text and (twice := TWICE_ESCAPED.findall(text)):
            # Escaped twice by the author's system: the page shows `&lt;5`, and means `<5`.
            text = TWICE_ESCAPED.sub(lambda found: unescape(found[0]), text)
            self.counts["extract.unescaped_twice"] = self.counts.get("extract.unescaped_twice", 0) + len(twice)
        for part in _PARAGRAPH_BREAK.split(text) if BREAK in text else (text,):
            written = finish(part, self.counts)
            if BREAK in written:
                written = _BREAKS.sub("\n", written.strip(f" {BREAK}"))
            if written:
                self.blocks.append(written)

    def _table(self, element: Tag) -> None:
        self._flush()
        parts = table_parts(element)
        if arranges_the_page(element, parts):
            # A table of one column, or one that holds tables, arranges the page: its cells are blocks.
            self._walk(element)
            self._flush()
            return
        self._parts(parts)

    def _parts(self, parts: TableParts) -> None:
        for caption in parts.captions:
            text = self._inline(caption)
            if text:
                self.blocks.append(text)
        for node in parts.outside:
            if isinstance(node, Tag):
                self._element(node)
            else:
                self._pieces.append(f" {node} ")
        self._flush()
        written = self._cells(parts)
        if written:
            self.blocks.append(written)

    def _cells(self, parts: TableParts) -> str:
        if self._flat:
            # A table in a cell of another: its rows in the line.
            rows = (", ".join(filter(None, map(self._inline, row))) for group in parts.groups for row in group)
            return "; ".join(filter(None, rows))
        return pipe_table(
            [[[Cell(self._inline(cell), *spans(cell)) for cell in row] for row in group] for group in parts.groups]
        )

    def _preformatted(self, element: Tag) -> None:
        self._flush()
        lines: list[str] = []
        self._raw(element, lines)
        text = "".join(lines).strip("\n").rstrip()
        if text.strip():
            self.blocks.append(f"```\n{text}\n```" if not self._flat else " ".join(text.split()))

    def _raw(self, element: Tag, out: list[str]) -> None:
        """Text as it stands, line ends and columns kept."""
        if self._depth >= MAX_DEPTH:
            out.append(element.get_text())
            return
        self._depth += 1
        for child in element.children:
            if not isinstance(child, Tag):
                if type(child) in _SHOWN:
                    out.append(str(child))
            elif child.name == "br":
                out.append("\n")
            elif child.name in DROPPED:
                self._dropped(child, child.name, DROPPED[child.name])
                out += self._pieces
                self._pieces.clear()
            elif child.attrs and self._unseen(child, child.name):
                continue
            elif child.name == "math":
                out.append(math_text(child))
            elif (mark := script(child)) and "".join(out[-1:])[-1:].isalnum():
                out.append("^" if mark == RAISED else "_")
                self._raw(child, out)
            else:
                self._raw(child, out)
        self._depth -= 1
