"""Lists and definition lists of a JATS article as bullets, nested by two spaces; a label the source writes is kept."""

from __future__ import annotations

from typing import Any

from scrapers.formats.jats_blocks import BLOCKS, Blocks, append, heading, register, render, title_of
from scrapers.formats.jats_inline import Context, inline_text, loose_texts, texts_of


def _list(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    append(title_of(element, context), blocks, context)
    lines: list[str] = []
    blocks += loose_texts(element)
    for item in element:
        if item.tag in ("label", "title") or not isinstance(item.tag, str):
            continue
        parts: Blocks = []
        if item.tag == "list-item":
            render(item, parts, depth, context, skip=("label",))
            mark = texts_of(item, context, "label")
            if any(character.isalnum() for character in mark):
                parts[:1] = [f"{mark} {parts[0]}"] if parts else [mark]
        else:
            handler = BLOCKS.get(item.tag)
            if handler is not None:
                handler(item, parts, depth, context)
            else:
                append(inline_text(item, context), parts, context)
        if parts:
            lines.append(bullet(parts))
    if lines:
        blocks.append("\n".join(lines))


def bullet(parts: Blocks) -> str:
    """One list item: its first block after the dash, the others indented below it."""
    return "- " + "\n".join(parts).replace("\n", "\n  ")


def _definitions(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    title = title_of(element, context)
    append(heading(depth, title) if title else "", blocks, context)
    blocks += loose_texts(element)
    lines: list[str] = []
    for item in element:
        if item.tag in ("title", "label"):
            continue
        if item.tag == "def-list":
            inner: Blocks = []
            _definitions(item, inner, depth, context)
            lines += ["  " + part.replace("\n", "\n  ") for part in inner]
            continue
        terms = ", ".join(text for term in item.iterfind("term") if (text := inline_text(term, context)))
        mark = texts_of(item, context, "label")
        if any(character.isalnum() for character in mark):
            terms = f"{mark} {terms}" if terms else mark
        parts: Blocks = []
        render(item, parts, depth, context, skip=("term", "label"))
        if terms and parts:
            parts[0] = f"{terms.rstrip(':')}: {parts[0]}"
        elif terms:
            parts = [terms]
        if parts:
            lines.append(bullet(parts))
    if lines:
        blocks.append("\n".join(lines))


register({"list": _list, "def-list": _definitions})
