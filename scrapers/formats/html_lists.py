"""Lists and definition lists of HTML, nested as they are, with the marks that their author chose."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

from bs4 import Tag
from bs4.element import NavigableString

from scrapers.formats.html_marks import list_marks
from scrapers.formats.inline import finish

MAX_DEPTH = 120


class ListWriter(ABC):
    """The part of the renderer that writes lists."""

    blocks: list[str]
    counts: dict[str, int]
    _depth: int
    _flat: bool
    """Inside a cell: a list, a table or a heading there is written in the line."""

    @abstractmethod
    def _fresh(self) -> Self:
        """A renderer for what lies inside, one level deeper."""

    @abstractmethod
    def _flush(self) -> None: ...

    @abstractmethod
    def _element(self, element: Tag) -> None: ...

    @abstractmethod
    def _inner(self, element: Tag) -> list[str]: ...

    @abstractmethod
    def _inline(self, element: Tag) -> str: ...

    def _list(self, element: Tag) -> None:
        self._flush()
        lines: list[str] = []
        marks = list_marks(element)
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
            parts = self._item(child)
            if parts:
                mark = marks.get(id(child), "")
                lines.append("- " + mark + "\n".join(parts).replace("\n", "\n  "))
        self._listed(lines)

    def _item(self, child: Tag) -> list[str]:
        """The blocks of an item, or of what stands where an item should."""
        if child.name in ("li", "dd", "p", "div"):
            return self._inner(child)
        inner = self._fresh()
        inner._element(child)
        inner._flush()
        return inner.blocks

    def _listed(self, lines: list[str]) -> None:
        if not lines:
            return
        if self._flat:
            self.blocks.append("; ".join(line.strip().removeprefix("- ").replace("\n", " ") for line in lines))
        else:
            self.blocks.append("\n".join(lines))

    def _inner_of_list(self, element: Tag) -> list[str]:
        inner = self._fresh()
        inner._list(element)
        return inner.blocks

    def _definitions(self, element: Tag) -> None:
        self._flush()
        lines: list[str] = []
        terms = self._defined(element, lines, [])
        if terms:
            lines.append(f"- {', '.join(terms)}")
        self._listed(lines)

    def _defined(self, element: Tag, lines: list[str], terms: list[str]) -> list[str]:
        """Write the definitions among the children of `element`; the terms that still wait for theirs."""
        for child in element.children:
            if not isinstance(child, Tag):
                if type(child) is NavigableString and child.strip():
                    lines.append("- " + finish(child, self.counts))
                continue
            if child.name == "dt":
                terms.append(self._inline(child))
            elif child.name == "dd":
                parts = self._inner(child)
                if parts and terms:
                    parts[0] = f"{', '.join(terms).rstrip(':')}: {parts[0]}"
                elif terms:
                    parts = [", ".join(terms)]
                elif parts and lines:
                    # A further definition of the term before.
                    lines[-1] += "\n  " + "\n".join(parts).replace("\n", "\n  ")
                    continue
                terms = []
                if parts:
                    lines.append("- " + "\n".join(parts).replace("\n", "\n  "))
            elif self._depth < MAX_DEPTH and child.name != "dl" and child.find(["dt", "dd"]) is not None:
                self._depth += 1
                terms = self._defined(child, lines, terms)
                self._depth -= 1
            else:
                parts = self._item(child)
                if parts:
                    lines.append("- " + "\n".join(parts).replace("\n", "\n  "))
        return terms
