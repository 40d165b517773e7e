"""The blocks of a JATS body, back matter or abstract, in order, as the corpus's text convention writes them.

Every element either has a handler, is removed as a whole block and counted, or is opened and read: text that
no rule foresaw is kept as a paragraph, never lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scrapers.formats import jats_inline
from scrapers.formats.jats_inline import Context, child_of, formula, inline_text, preferred, texts_of, walk
from scrapers.formats.jats_removed import REMOVED_ELEMENTS, removed_by_title, removed_by_type
from scrapers.formats.mathml import MATHML

Blocks = list[str]
Handler = Callable[[Any, Blocks, int, Context], None]


def render(element: Any, blocks: Blocks, depth: int, context: Context, skip: tuple[str, ...] = ()) -> None:
    """Append the blocks inside `element`; headings there get `depth` hashes."""
    text = element.text
    # Text that stands among blocks is a paragraph together with the inline elements beside it.
    loose: list[str] = [text] if text and not text.isspace() else []
    for child in element:
        tag, tail = child.tag, child.tail
        followed = tail and not tail.isspace()
        if tag in skip:
            pass
        elif (loose or followed) and _is_inline(child):
            inline = jats_inline.HANDLERS.get(tag, walk)
            inline(child, loose, context)
        else:
            if loose:
                append(context.finish(loose), blocks, context)
                loose = []
            render_one(child, blocks, depth, context)
        if followed:
            loose.append(tail)
    if loose:
        append(context.finish(loose), blocks, context)


def render_one(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    """Append the blocks that `element` itself stands for."""
    tag = element.tag
    handler = BLOCKS.get(tag)
    if handler is not None:
        handler(element, blocks, depth, context)
    elif tag in REMOVED_ELEMENTS:
        removed(REMOVED_ELEMENTS[tag], context, element)
    elif _holds_blocks(element):
        render(element, blocks, depth, context)
    else:
        append(inline_text_of_piece(element, context), blocks, context)


def inline_text_of_piece(element: Any, context: Context) -> str:
    """The text of an inline element that stands among blocks, with its own meaning (a formula, a power)."""
    handler = jats_inline.HANDLERS.get(element.tag)
    if handler is None:
        return inline_text(element, context)
    pieces: list[str] = []
    handler(element, pieces, context)
    return context.finish(pieces)


def _is_inline(element: Any) -> bool:
    tag = element.tag
    return tag not in BLOCKS and tag not in REMOVED_ELEMENTS and not _holds_blocks(element)


def append(text: str, blocks: Blocks, context: Context) -> None:
    """Append a finished block, and the footnotes met inside it."""
    if text:
        blocks.append(text)
    if context.notes:
        blocks += context.notes
        context.notes.clear()


def removed(name: str, context: Context, element: Any) -> None:
    """Count one block that leaves whole, and its text."""
    context.leave_out(name, element)


def _holds_blocks(element: Any) -> bool:
    if any(child.tag in BLOCKS or child.tag in REMOVED_ELEMENTS for child in element):
        return True
    # A wrapper nobody foresaw (a taxon treatment) around sections nobody foresaw.
    return next(element.iterdescendants("p", "sec", "table-wrap", "fig", "list"), None) is not None


def heading(depth: int, text: str) -> str:
    """A heading line; levels beyond six stay six."""
    return f"{'#' * min(depth, 6)} {text}"


def title_of(element: Any, context: Context) -> str:
    """Label and title of a section-like element as one line."""
    texts: list[str] = []
    titled = False
    for child in element.iterchildren("label", "title"):
        titled = titled or child.tag == "title"
        text = inline_text(child, context)
        if text:
            texts.append(text)
    caption = None if titled else child_of(element, "caption")
    if caption is not None:
        texts.append(texts_of(caption, context, "title"))
    return " ".join(texts).strip()


TITLED = frozenset(
    "sec app notes glossary app-group boxed-text statement list def-list question answer option explanation"  # noqa: SIM905
    " question-preamble fn-group".split()
)
"""Elements whose heading `title_of` reads, from their caption where they have no title."""


def section(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    """A section with its heading, or nothing when its type or title says that it leaves."""
    reason = removed_by_type(element.get("sec-type") or element.get("notes-type"))
    title = title_of(element, context)
    reason = reason or removed_by_title(title)
    if reason:
        removed(reason, context, element)
        return
    start = len(blocks)
    if title:
        append(heading(depth, title), blocks, context)
    render(element, blocks, depth + 1 if title else depth, context, skip=("label", "title"))
    if title and len(blocks) == start + 1:
        tags = [child.tag for child in element]
        if "p" not in tags and any(tag not in ("title", "label") for tag in tags):
            # Everything below the heading was removed, so it introduces nothing.
            blocks.pop()


def paragraph(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    """A paragraph; blocks inside it stand between its parts."""
    if len(element) == 0:
        append(inline_text(element, context), blocks, context)
        return
    pieces: list[str] = [element.text or ""]
    for child in element:
        tag = child.tag
        handler = IN_PARAGRAPH.get(tag)
        if handler is not None:
            append(context.finish(pieces), blocks, context)
            pieces = []
            handler(child, blocks, depth, context)
        else:
            inline = jats_inline.HANDLERS.get(tag)
            if inline is None:
                walk(child, pieces, context)
            else:
                inline(child, pieces, context)
        tail = child.tail
        if tail:
            pieces.append(tail)
    append(context.finish(pieces), blocks, context)


def _boxed(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    title = title_of(element, context)
    if title:
        append(heading(depth, title), blocks, context)
    render(element, blocks, depth + 1 if title else depth, context, skip=("label", "title"))


def labelled(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    """The blocks inside `element`, its label and title before the first of them."""
    parts: Blocks = []
    mark = title_of(element, context)
    render(element, parts, depth, context, skip=("label", "title"))
    if mark:
        parts[:1] = [f"{mark} {parts[0]}"] if parts and parts[0][0] not in "|-#`" else [mark, *parts[:1]]
    blocks += parts


def _formula(element: Any, blocks: Blocks, _depth: int, context: Context) -> None:
    text = formula(element, context)
    if text.startswith("$") and text.endswith("$") and text.count("$") == 2:
        text = f"${text}$"
    mark = texts_of(element, context, "label")
    append(f"{text} {mark}" if mark else text, blocks, context)


def _opened(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    render(element, blocks, depth, context)


def _alternatives(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    child = preferred(element)
    if child is None:
        return
    handler = BLOCKS.get(child.tag)
    if child.tag == "table":
        # Several tables are the parts of one that was too wide for a page, not versions of it.
        for part in element.iterchildren("table"):
            BLOCKS["table"](part, blocks, depth, context)
    elif handler is not None:
        handler(child, blocks, depth, context)
    else:
        append(inline_text_of_piece(child, context), blocks, context)


def _preformatted(element: Any, blocks: Blocks, _depth: int, context: Context) -> None:
    text = "".join(element.itertext()).strip("\n").rstrip()
    if text.strip():
        blocks.append(f"```\n{text}\n```")


def _title(element: Any, blocks: Blocks, depth: int, context: Context) -> None:
    text = inline_text(element, context)
    append(heading(depth, text) if text else "", blocks, context)


BLOCKS: dict[Any, Handler] = {}
"""Elements that stand as blocks of their own, and how each is written."""

IN_PARAGRAPH: dict[Any, Handler] = {}
"""Those of them that a paragraph may hold and that end its line."""

_NO_BREAK = frozenset({"p", "fn", "alternatives", "graphic", "title", "subtitle", "caption", "tbody", f"{MATHML}math"})


def register(handlers: dict[Any, Handler]) -> None:
    """Make `handlers` known; the modules of this reader each add their own elements."""
    BLOCKS.update(handlers)
    IN_PARAGRAPH.update({tag: handler for tag, handler in handlers.items() if tag not in _NO_BREAK})


def _leaves(name: str) -> Handler:
    def handle(element: Any, _blocks: Blocks, _depth: int, context: Context) -> None:
        removed(name, context, element)

    return handle


register(
    {
        "p": paragraph,
        "sec": section,
        "app": section,
        "notes": section,
        "glossary": section,
        "app-group": section,
        "title": _title,
        "subtitle": _title,
        "boxed-text": _boxed,
        "statement": _boxed,
        "disp-formula": _formula,
        "disp-formula-group": _opened,
        f"{MATHML}math": _formula,
        "disp-quote": _opened,
        "verse-group": _opened,
        "speech": _opened,
        "floats-group": _opened,
        "floats-wrap": _opened,
        "alternatives": _alternatives,
        "block-alternatives": _alternatives,
        **dict.fromkeys(("question", "answer", "option", "explanation", "question-preamble"), labelled),
        "preformat": _preformatted,
        "code": _preformatted,
    }
)
IN_PARAGRAPH["supplementary-material"] = _leaves("supplements")
IN_PARAGRAPH["ref-list"] = _leaves("references")
