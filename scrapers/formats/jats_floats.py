"""Figures, tables and footnotes of a JATS article: label and caption first, then the content, then its notes."""

from __future__ import annotations

from typing import Any

from scrapers.formats.inline import collapse
from scrapers.formats.jats_blocks import (
    TITLED,
    Blocks,
    append,
    heading,
    register,
    removed,
    render,
    render_one,
    title_of,
)
from scrapers.formats.jats_inline import Context, child_of, texts_of
from scrapers.formats.jats_removed import removed_by_title, removed_footnote
from scrapers.formats.jats_tables import OASIS, table


def _caption(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    """Label and caption as one paragraph, wherever in the element they stand."""
    parts: Blocks = []
    named = texts_of(element, context, "label")
    for caption in element.iterchildren("caption"):
        title = texts_of(caption, context, "title")
        parts += [title] if title else []
        render(caption, parts, depth, context, skip=("title",))
    if named:
        named = named if named[-1] in ".:" else f"{named}."
        parts.insert(0, named)
    if parts and not any("\n" in part for part in parts):
        parts = [" ".join(parts)]
    blocks += parts
    append("", blocks, context)


def _figure(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    _caption(element, blocks, depth, context)
    render(element, blocks, depth, context, skip=("label", "caption", "title"))


def _picture(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    context.count("extract.pictures")
    if len(element) or element.text:
        _figure(element, blocks, depth, context)


def _table_wrap(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    _caption(element, blocks, depth, context)
    before = len(blocks)
    render(element, blocks, depth, context, skip=("label", "caption", "table-wrap-foot"))
    if len(blocks) == before:
        context.count("extract.table_is_image")
    context.in_table = True
    for foot in element.iterfind("table-wrap-foot"):
        render(foot, blocks, depth, context)
    context.in_table = False


def _table(element: Any, blocks: Blocks, _depth: int, context: Context) -> None:
    append(table(element, context), blocks, context)


def _footnote(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    parts: Blocks = []
    render(element, parts, depth, context, skip=("label",))
    mark = texts_of(element, context, "label")
    if mark and parts:
        parts[0] = f"{mark} {parts[0]}"
    blocks += parts


def _footnotes(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    title = title_of(element, context)
    if removed_by_title(title):
        removed("author_notes", context, element)
        return
    start = len(blocks)
    for note in element:
        if note.tag == "fn":
            parts: Blocks = []
            name = removed_footnote(note, collapse("".join(note.itertext())))
            if name:
                removed(name, context, note)
                continue
            _footnote(note, parts, depth, context)
            blocks += parts
        elif note.tag not in ("title", "label"):
            render_one(note, blocks, depth, context)
    if title and len(blocks) > start:
        blocks.insert(start, heading(depth, title))


def _bare_caption(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    parent = element.getparent()
    heads = parent.tag in TITLED and child_of(parent, "title") is None and child_of(parent, "caption") is element
    render(element, blocks, depth, context, skip=("title",) if heads else ())


def _array(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    render(element, blocks, depth, context)


register(
    {
        "caption": _bare_caption,
        "fig": _figure,
        "fig-group": _figure,
        "graphic": _picture,
        "media": _figure,
        "chem-struct-wrap": _figure,
        "table-wrap": _table_wrap,
        "table-wrap-group": _figure,
        "table": _table,
        "tbody": _table,
        f"{OASIS}table": _table,
        "array": _array,
        "fn": _footnote,
        "fn-group": _footnotes,
    }
)
