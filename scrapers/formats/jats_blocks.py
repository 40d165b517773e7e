"""The blocks of a JATS body, back matter or abstract, in order, as the corpus's text convention writes them.

Every element either has a handler, is removed as a whole block and counted, or is opened and read: text that
no rule foresaw is kept as a paragraph, never lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scrapers.formats import jats_inline
from scrapers.formats.inline import collapse, finish
from scrapers.formats.jats_inline import Context, formula, inline_text, preferred, walk
from scrapers.formats.jats_removed import REMOVED_ELEMENTS, removed_by_title, removed_by_type, removed_footnote
from scrapers.formats.jats_tables import OASIS, table
from scrapers.formats.mathml import MATHML

Blocks = list[str]
Handler = Callable[[Any, Blocks, int, Context], None]


def render(element: Any, blocks: Blocks, depth: int, context: Context, skip: tuple[str, ...] = ()) -> None:
    """Append the blocks inside `element`; headings there get `depth` hashes."""
    _loose(element.text, blocks)
    for child in element:
        if child.tag not in skip:
            render_one(child, blocks, depth, context)
        _loose(child.tail, blocks)


def render_one(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    """Append the blocks that `element` itself stands for."""
    tag = element.tag
    handler = BLOCKS.get(tag)
    if handler is not None:
        handler(element, blocks, depth, context)
    elif tag in REMOVED_ELEMENTS:
        _removed(REMOVED_ELEMENTS[tag], context)
    elif _holds_blocks(element):
        render(element, blocks, depth, context)
    else:
        _append(inline_text_of_piece(element, context), blocks, context)


def inline_text_of_piece(element: Any, context: Context) -> str:
    """The text of an inline element that stands among blocks, with its own meaning (a formula, a power)."""
    handler = jats_inline.HANDLERS.get(element.tag)
    if handler is None:
        return inline_text(element, context)
    pieces: list[str] = []
    handler(element, pieces, context)
    return finish(pieces, context.counts)


def _loose(text: str | None, blocks: Blocks) -> None:
    if text and not text.isspace():
        blocks.append(finish(text, {}))


def _append(text: str, blocks: Blocks, context: Context) -> None:
    if text:
        blocks.append(text)
    if context.notes:
        blocks += context.notes
        context.notes.clear()


def _removed(name: str, context: Context) -> None:
    context.count(f"extract.{name}")


def _holds_blocks(element: Any) -> bool:
    return any(child.tag in BLOCKS or child.tag in REMOVED_ELEMENTS for child in element)


def heading(depth: int, text: str) -> str:
    """A heading line; levels beyond six stay six."""
    return f"{'#' * min(depth, 6)} {text}"


def title_of(element: Any, context: Context) -> str:
    """Label and title of a section-like element as one line."""
    label, title = element.find("label"), element.find("title")
    if title is None:
        caption = element.find("caption")
        title = caption.find("title") if caption is not None else None
    parts = [inline_text(part, context) for part in (label, title) if part is not None]
    return collapse(" ".join(parts))


def _section(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    reason = removed_by_type(element.get("sec-type") or element.get("notes-type"))
    title = title_of(element, context)
    reason = reason or removed_by_title(title)
    if reason:
        _removed(reason, context)
        return
    start = len(blocks)
    if title:
        blocks.append(heading(depth, title))
    render(element, blocks, depth + 1 if title else depth, context, skip=("label", "title"))
    empty = not any(child.tag == "p" for child in element)
    if title and empty and len(blocks) == start + 1 and len(element) > _count_names(element):
        # Everything below the heading was removed, so it introduces nothing.
        blocks.pop()


def _count_names(element: Any) -> int:
    return sum(child.tag in ("title", "label") for child in element)


def paragraph(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    """A paragraph; blocks inside it stand between its parts."""
    if len(element) == 0:
        _append(inline_text(element, context), blocks, context)
        return
    if not any(child.tag in IN_PARAGRAPH for child in element):
        _append(inline_text(element, context), blocks, context)
        return
    pieces: list[str] = [element.text or ""]
    for child in element:
        tag = child.tag
        handler = IN_PARAGRAPH.get(tag)
        if handler is not None:
            _append(finish(pieces, context.counts), blocks, context)
            pieces = []
            handler(child, blocks, depth, context)
        else:
            inline = jats_inline.HANDLERS.get(tag)
            if inline is None:
                walk(child, pieces, context)
            else:
                inline(child, pieces, context)
        if child.tail:
            pieces.append(child.tail)
    _append(finish(pieces, context.counts), blocks, context)


def _caption(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    """Label and caption as one paragraph, wherever in the element they stand."""
    parts: Blocks = []
    label = element.find("label")
    named = inline_text(label, context) if label is not None else ""
    for caption in element.iterfind("caption"):
        render(caption, parts, depth, context, skip=("title",) if caption.find("title") is not None else ())
        title = caption.find("title")
        if title is not None:
            text = inline_text(title, context)
            if text:
                parts.insert(0, text)
    if named:
        named = named if named[-1] in ".:" else f"{named}."
        parts.insert(0, named)
    if parts and not any("\n" in part for part in parts):
        parts = [" ".join(parts)]
    blocks += parts
    _append("", blocks, context)


def _figure(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    _caption(element, blocks, depth, context)
    render(element, blocks, depth, context, skip=("label", "caption", "title"))


def _table_wrap(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    _caption(element, blocks, depth, context)
    before = len(blocks)
    render(element, blocks, depth, context, skip=("label", "caption", "table-wrap-foot"))
    if len(blocks) == before:
        context.count("extract.table_pictures")
    context.in_table = True
    for foot in element.iterfind("table-wrap-foot"):
        render(foot, blocks, depth, context)
    context.in_table = False


def _table(element: Any, blocks: Blocks, _depth: int, context: Context) -> None:
    _append(table(element, context), blocks, context)


def _footnote(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    parts: Blocks = []
    render(element, parts, depth, context, skip=("label",))
    label = element.find("label")
    mark = inline_text(label, context) if label is not None else ""
    if mark and parts:
        parts[0] = f"{mark} {parts[0]}"
    blocks += parts


def _footnotes(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    if removed_by_title(title_of(element, context)):
        _removed("author_notes", context)
        return
    for note in element:
        if note.tag == "fn":
            parts: Blocks = []
            name = removed_footnote(note, collapse("".join(note.itertext())))
            if name:
                _removed(name, context)
                continue
            _footnote(note, parts, depth, context)
            blocks += parts
        elif note.tag not in ("title", "label"):
            handler = BLOCKS.get(note.tag)
            if handler is not None:
                handler(note, blocks, depth, context)


def _list(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    title = title_of(element, context)
    if title:
        blocks.append(title)
    lines: list[str] = []
    for item in element:
        if item.tag in ("label", "title") or not isinstance(item.tag, str):
            continue
        parts: Blocks = []
        if item.tag == "list-item":
            render(item, parts, depth, context, skip=("label",))
            label = item.find("label")
            mark = inline_text(label, context) if label is not None else ""
            if any(character.isalnum() for character in mark):
                parts[:1] = [f"{mark} {parts[0]}"] if parts else [mark]
        else:
            handler = BLOCKS.get(item.tag)
            if handler is not None:
                handler(item, parts, depth, context)
            else:
                _append(inline_text(item, context), parts, context)
        if parts:
            lines.append(bullet(parts))
    if lines:
        blocks.append("\n".join(lines))


def bullet(parts: Blocks) -> str:
    """One list item: its first block after the dash, the others indented below it."""
    return "- " + "\n".join(parts).replace("\n", "\n  ")


def _definitions(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    title = title_of(element, context)
    if title:
        blocks.append(heading(depth, title))
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


def _boxed(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    title = title_of(element, context)
    if title:
        blocks.append(heading(depth, title))
    render(element, blocks, depth + 1 if title else depth, context, skip=("label", "title"))


def _boxed_caption(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    render(element, blocks, depth, context, skip=("title",))


def _formula(element: Any, blocks: Blocks, _depth: int, context: Context) -> None:
    text = formula(element, context)
    if text.startswith("$") and text.endswith("$") and text.count("$") == 2:
        text = f"${text}$"
    label = element.find("label")
    mark = inline_text(label, context) if label is not None else ""
    _append(f"{text} {mark}" if mark else text, blocks, context)


def _opened(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    render(element, blocks, depth, context)


def _alternatives(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    child = preferred(element)
    if child is None:
        return
    handler = BLOCKS.get(child.tag)
    if handler is not None:
        handler(child, blocks, depth, context)
    else:
        _append(inline_text_of_piece(child, context), blocks, context)


def _picture(element: Any, _blocks: Blocks, _depth: int, context: Context) -> None:
    context.count("extract.pictures")


def _preformatted(element: Any, blocks: Blocks, _depth: int, context: Context) -> None:
    text = "".join(element.itertext()).strip("\n").rstrip()
    if text.strip():
        blocks.append(f"```\n{text}\n```")


def _title(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    text = inline_text(element, context)
    if text:
        blocks.append(heading(depth, text))


def _with_heading(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    _section(element, blocks, depth, context)


BLOCKS: dict[Any, Handler] = {
    "p": paragraph,
    "sec": _section,
    "app": _with_heading,
    "notes": _with_heading,
    "glossary": _with_heading,
    "title": _title,
    "subtitle": _title,
    "caption": _boxed_caption,
    "fig": _figure,
    "fig-group": _figure,
    "table-wrap": _table_wrap,
    "table-wrap-group": _figure,
    "table": _table,
    "array": _opened,
    f"{OASIS}table": _table,
    "tbody": _table,
    "fn": _footnote,
    "fn-group": _footnotes,
    "list": _list,
    "def-list": _definitions,
    "boxed-text": _boxed,
    "statement": _boxed,
    "disp-formula": _formula,
    "disp-formula-group": _opened,
    f"{MATHML}math": _formula,
    "disp-quote": _opened,
    "verse-group": _opened,
    "speech": _opened,
    "app-group": _with_heading,
    "floats-group": _opened,
    "alternatives": _alternatives,
    "graphic": _picture,
    "media": _figure,
    "chem-struct-wrap": _figure,
    "preformat": _preformatted,
    "code": _preformatted,
}
"""Elements that stand as blocks of their own."""


def _supplement(_element: Any, _blocks: Blocks, _depth: int, context: Context) -> None:
    _removed("supplements", context)


IN_PARAGRAPH: dict[Any, Handler] = {
    tag: handler
    for tag, handler in BLOCKS.items()
    if tag not in ("p", "fn", "alternatives", "graphic", "title", "subtitle", f"{MATHML}math", "tbody", "caption")
} | {"supplementary-material": _supplement, "ref-list": lambda _e, _b, _d, context: _removed("references", context)}
"""Blocks that a paragraph may hold and that end its line."""
