"""Mixed content of JATS and MEDLINE elements as pieces of text for `inline.finish`.

Formatting is transparent; what carries meaning is written out (powers, formulas, line breaks), citation marks are
bracketed so that they can leave whole, and footnotes inside a paragraph are collected for the block after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from scrapers.formats.inline import (
    CITE_END,
    CITE_START,
    LOWERED,
    LOWERED_END,
    NUMERIC_MARK,
    RAISED,
    RAISED_END,
    Cited,
    collapse,
    finish,
)
from scrapers.formats.jats_citations import References
from scrapers.formats.left_out import left_out
from scrapers.formats.mathml import MATHML, linear, tex
from scrapers.formats.xml_safe import entity_text

_WORD = re.compile(r"[^\W\d_]{4}")
"""In a footnote's reference: it is words of the sentence, no mark."""


@dataclass(slots=True)
class Context:
    """What rendering one text needs to remember."""

    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Footnotes met inside the block being rendered."""
    in_table: bool = False
    cited: Cited | None = None
    """What becomes of citation marks; None: they leave."""
    references: References | None = None
    """What citation marks point to, where they are replaced by it."""

    def finish(self, pieces: Sequence[str] | str) -> str:
        """`pieces` as one block of text."""
        return finish(pieces, self.counts, self.cited)

    def count(self, name: str, by: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + by

    def leave_out(self, name: str, element: Any) -> None:
        """Count `element`, which leaves whole, and how much text leaves with it."""
        self.count(f"extract.{name}")
        left_out(self.counts, f"extract.{name}", _text_of(element))


def _text_of(element: Any) -> str:
    return str(etree.tostring(element, method="text", encoding="unicode", with_tail=False))


def child_of(element: Any, tag: str) -> Any | None:
    """The first child of this name; several times as fast as `find`, which takes a path."""
    return next(element.iterchildren(tag), None)


def texts_of(element: Any, context: Context, *tags: str) -> str:
    """The texts of all children of these names, as one line."""
    texts = [text for child in element.iterchildren(*tags) if (text := inline_text(child, context))]
    return texts[0] if len(texts) == 1 else " ".join(texts)


def loose_texts(element: Any) -> list[str]:
    """Text that stands directly in `element`, where only elements should."""
    return [
        collapse(text) for text in (element.text, *(child.tail for child in element)) if text and not text.isspace()
    ]


def inline_text(element: Any, context: Context) -> str:
    """The text of `element` as one block."""
    if len(element) == 0:
        text = element.text
        return " ".join(text.split()) if text else ""
    pieces: list[str] = []
    walk(element, pieces, context)
    return context.finish(pieces)


def walk(element: Any, out: list[str], context: Context) -> None:
    """Append the pieces of everything inside `element`, without its tail."""
    text = element.text
    if text:
        out.append(text)
    for child in element:
        handler = HANDLERS.get(child.tag)
        if handler is None:
            walk(child, out, context)
        else:
            handler(child, out, context)
        tail = child.tail
        if tail:
            out.append(tail)


def _sup(element: Any, out: list[str], context: Context) -> None:
    if len(element) == 0:
        out += (RAISED, element.text or "", RAISED_END)
        return
    out.append(RAISED)
    walk(element, out, context)
    out.append(RAISED_END)


def _sub(element: Any, out: list[str], context: Context) -> None:
    if len(element) == 0:
        out += (LOWERED, element.text or "", LOWERED_END)
        return
    out.append(LOWERED)
    walk(element, out, context)
    out.append(LOWERED_END)


def _xref(element: Any, out: list[str], context: Context) -> None:
    kind = element.get("ref-type")
    if kind in ("bibr", "ref"):
        text = ((element.text or "") if len(element) == 0 else "".join(element.itertext())).strip()
        if context.references is not None:
            mark = context.references.mark(element, text)
        else:
            plain = len(text) <= 3 and text.isascii() and text.isdecimal()
            mark = text if plain or NUMERIC_MARK.fullmatch(text) else None
        if mark is not None:
            out += (CITE_START, mark, CITE_END)
            return
    elif kind in ("fn", "table-fn", "author-notes", "corresp"):
        # A footnote mark beside a number must not become one of its digits.
        text = "".join(element.itertext()).strip()
        if kind == "fn" and not context.in_table and not _WORD.search(text):
            context.count("extract.footnote_marks")
            return
        if len(text) <= 3:
            out += (RAISED, text, RAISED_END)
            return
    walk(element, out, context)


def _break(element: Any, out: list[str], context: Context) -> None:
    out.append(" ")
    walk(element, out, context)


def _block(element: Any, out: list[str], context: Context) -> None:
    out.append(" ")
    walk(element, out, context)
    out.append(" ")


def _skip(element: Any, _out: list[str], context: Context) -> None:
    context.leave_out(_SKIPPED[element.tag], element)


def _footnote(element: Any, _out: list[str], context: Context) -> None:
    note = inline_text(element, context)
    if note:
        context.notes.append(note)


def _mathml(element: Any, out: list[str], _context: Context) -> None:
    out.append(linear(element))


def _tex(element: Any, out: list[str], _context: Context) -> None:
    source = tex("".join(element.itertext()))
    if source:
        out += ("$", source, "$")


def formula(element: Any, context: Context) -> str:
    """A formula element in one line, its label left out: TeX (between `$`) before MathML before a picture's text."""
    pieces: list[str] = []
    if element.tag == f"{MATHML}math":
        return linear(element)
    pieces.append(element.text or "")
    has_tex = any(child.tag == "tex-math" for child in element)
    for child in element:
        if child.tag != "label" and not (has_tex and child.tag == f"{MATHML}math"):
            handler = HANDLERS.get(child.tag)
            if handler is None:
                walk(child, pieces, context)
            else:
                handler(child, pieces, context)
        pieces.append(child.tail or "")
    text = context.finish(pieces)
    if text:
        return text
    for found in element.iter("alt-text"):
        if (found.text or "").strip():
            return " ".join(found.text.split())
    context.count("extract.formula_pictures")
    return "[formula]"


def _inline_formula(element: Any, out: list[str], context: Context) -> None:
    out.append(formula(element, context))
    for label in element.iterchildren("label"):
        _block(label, out, context)


def _display_formula(element: Any, out: list[str], context: Context) -> None:
    out.append(" ")
    _inline_formula(element, out, context)
    out.append(" ")


def _alternatives(element: Any, out: list[str], context: Context) -> None:
    child = preferred(element)
    if child is None:
        return
    handler = HANDLERS.get(child.tag)
    if handler is None:
        walk(child, out, context)
    else:
        handler(child, out, context)


_PREFERENCE = (
    *("tex-math", f"{MATHML}math", "table", "table-wrap", "textual-form", "chem-struct", "preformat", "code"),
    *("list", "def-list", "p", "boxed-text"),
)


def preferred(element: Any) -> Any | None:
    """The one child of `alternatives` to read: the first that is text rather than a picture."""
    for tag in _PREFERENCE:
        found = element.find(tag)
        if found is not None and (tag == "table" or "".join(found.itertext()).strip()):
            return found
    for child in element:
        if isinstance(child.tag, str):
            return child
    return None


def _graphic(element: Any, out: list[str], context: Context) -> None:
    context.count("extract.pictures")
    if len(element) or element.text:
        # A graphic may have a label and a caption of its own, without a figure around it.
        _block(element, out, context)


def _reading(element: Any, out: list[str], context: Context) -> None:
    out.append(" (")
    walk(element, out, context)
    out.append(")")


def _citation(element: Any, out: list[str], context: Context) -> None:
    # Structured references have no punctuation of their own: their fields must not run together.
    for text in element.itertext():
        out += (text, " ")


def _entity(element: Any, out: list[str], _context: Context) -> None:
    out.append(entity_text(element))


_SKIPPED = {
    "object-id": "identifiers",
    "alt-text": "alternative_texts",
    "long-desc": "alternative_texts",
    "permissions": "permissions",
    "index-term": "index_terms",
    "private-char": "pictures",
    "supplementary-material": "supplements",
    "ref-list": "references",
}

Handler = Callable[[Any, list[str], Context], None]
HANDLERS: dict[Any, Handler] = {
    "sup": _sup,
    "sub": _sub,
    "xref": _xref,
    "break": _break,
    "fn": _footnote,
    f"{MATHML}math": _mathml,
    "tex-math": _tex,
    "inline-formula": _inline_formula,
    "disp-formula": _display_formula,
    "alternatives": _alternatives,
    "graphic": _graphic,
    "inline-graphic": _graphic,
    "media": _graphic,
    "inline-media": _graphic,
    "rt": _reading,
    "hr": _break,
    "element-citation": _citation,
    "name": _citation,
    etree.Entity: _entity,
    **dict.fromkeys(_SKIPPED, _skip),
    **dict.fromkeys(
        (
            "p",
            "title",
            "label",
            "caption",
            "list",
            "list-item",
            "def-list",
            "def-item",
            "term",
            "def",
            "disp-quote",
            "boxed-text",
            "sec",
            "fig",
            "table-wrap",
            "table",
            "tr",
            "td",
            "th",
            "attrib",
            "statement",
            "speech",
            "verse-line",
            "DispFormula",  # MEDLINE
        ),
        _block,
    ),
}
"""How each element is written; any other is transparent."""

TRANSPARENT = (
    "italic",
    "bold",
    "named-content",
    "styled-content",
    "underline",
    "sc",
    "abbrev",
    "roman",
    "monospace",
    "sans-serif",
    "overline",
)
"""Those of them that are common and only change how text looks or say what it is: three of four inline elements."""
