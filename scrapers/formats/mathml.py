"""Formulas as text: TeX where the source has it, else MathML written in one line.

Every number of a formula survives with its place: `(a)/(b)`, `x^(n+1)`, `sqrt(2)`; matrices row by row.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

MATHML = "{http://www.w3.org/1998/Math/MathML}"
_DOCUMENT = re.compile(r"\\begin\{document\}(.*?)\\end\{document\}", re.S)
_DELIMITED = re.compile(r"^\s*(?:\$\$(.*)\$\$|\$(.*)\$|\\\[(.*)\\\]|\\\((.*)\\\))\s*$", re.S)
_INVISIBLE = dict.fromkeys((0x2061, 0x2062, 0x2063, 0x2064, 0x200B, 0xFEFF))
_SPACED = frozenset("=<>+±∓×÷≤≥≈≠≡∼~→←⇒⇔∈∉⊂⊆∪∩∧∨∝≪≫⩽⩾≦≧−·∗*") | {":=", "<=", ">="}
_RELATIONS = frozenset("=<>≤≥≈≡∼→")
_ACCENTS = {
    **dict.fromkeys("^\u02c6", "\u0302"),
    **dict.fromkeys("~\u02dc\u223c", "\u0303"),
    **dict.fromkeys("_\u00af\u203e", "\u0304"),
    **dict.fromkeys(".\u02d9", "\u0307"),
    "\u00a8": "\u0308",
    "\u2192": "\u20d7",
}
_SIGNS = frozenset("-−+±∓")
_BEFORE_SIGN = frozenset("([{=<>≤≥≈≠,;|+-−×·∗*/^_")
_SIMPLE = re.compile(r"[-−+]?\w+(?:\.\w+)?$|[^\w\s]$")


def tex(source: str) -> str:
    """The formula inside a TeX source, without the document some publishers wrap around it and without delimiters."""
    wrapped = _DOCUMENT.search(source)
    if wrapped:
        source = wrapped[1]
    found = _DELIMITED.match(source)
    if found:
        source = next(group for group in found.groups() if group is not None)
    return " ".join(source.split())


def linear(math: Any) -> str:
    """A MathML element as one line of text; TeX if it carries an annotation in TeX."""
    for annotation in math.iter("{*}annotation"):
        if "tex" in (annotation.get("encoding") or "").lower() and annotation.text:
            return tex(annotation.text)
    return " ".join(_render(math).split())


def _render(element: Any) -> str:
    tag = element.tag
    if not isinstance(tag, str):
        return ""
    name = tag.rpartition("}")[2]
    handler = _HANDLERS.get(name)
    if handler is not None:
        return handler(element)
    if len(element) == 0:
        return _token(element)
    return _row(element)


def _token(element: Any) -> str:
    return " ".join("".join(element.itertext()).translate(_INVISIBLE).split())


def _operator(element: Any) -> str:
    text = _token(element)
    return f" {text} " if text in _SPACED else text


def _row(element: Any) -> str:
    parts = [element.text.strip()] if element.text and element.text.strip() else []
    for child in element:
        text = _render(child)
        if not text:
            continue
        if text.strip() in _SIGNS and (not parts or parts[-1].rstrip()[-1:] in _BEFORE_SIGN):
            text = text.strip()
        # Two tokens that would read as one number, or one word, stay apart.
        if parts and text and parts[-1][-1:].isalnum() and text[:1].isalnum() and _apart(parts[-1], text):
            parts.append(" ")
        parts.append(text)
        if child.tail and child.tail.strip():
            parts.append(child.tail.strip())
    return "".join(parts)


def _apart(left: str, right: str) -> bool:
    if left[-1].isdigit() or right[0].isdigit():
        return right[0].isdigit()
    return len(left) > 1 or len(right) > 1


def _grouped(text: str) -> str:
    text = text.strip()
    return text if _SIMPLE.match(text) else f"({text})"


def _children(element: Any, count: int) -> list[str]:
    texts = [_render(child) for child in element if isinstance(child.tag, str)]
    texts += [""] * (count - len(texts))
    return texts + _loose(element)


def _loose(element: Any) -> list[str]:
    """Text that stands between elements, where none should."""
    found = (element.text, *(child.tail for child in element))
    return [stripped for text in found if text and (stripped := text.strip())]


def _with(written: str, rest: list[str]) -> str:
    return " ".join((written, *(text.strip() for text in rest if text.strip())))


def _script(*marks: str) -> Callable[[Any], str]:
    def render(element: Any) -> str:
        base, *scripts = _children(element, len(marks) + 1)
        written = base.rstrip()
        for mark, script in zip(marks, scripts, strict=False):
            if script.strip():
                written += mark + _grouped(script)
        return _with(written, scripts[len(marks) :])

    return render


def _over(element: Any) -> str:
    """An accent joins its letter; a limit is written `_` or `^`."""
    base, *scripts = _children(element, 2)
    name: str = element.tag.rpartition("}")[2]
    marks = {"mover": ("^",), "munder": ("_",), "munderover": ("_", "^")}[name]
    written = base.strip()
    for mark, script in zip(marks, scripts, strict=False):
        script = script.strip()
        if script:
            accent = len(script) == 1 and not script.isalnum() and mark == "^"
            if accent:
                written += _ACCENTS.get(script, script) if len(written) == 1 else script
            else:
                written += mark + _grouped(script)
    return _with(written, scripts[len(marks) :])


def _fraction(element: Any) -> str:
    top, bottom, *rest = _children(element, 2)
    return _with(f"{_grouped(top)}/{_grouped(bottom)}", rest)


def _root(element: Any) -> str:
    radicand, index, *rest = _children(element, 2)
    return _with(f"root({radicand.strip()}, {index.strip()})", rest)


def _square_root(element: Any) -> str:
    return f"sqrt({_row(element).strip()})"


def _fenced(element: Any) -> str:
    opening: str = element.get("open", "(")
    closing: str = element.get("close", ")")
    separators = "".join((element.get("separators", ",") or "").split())
    inner = f"{separators[:1]} " if separators else ""
    return opening + inner.join(_render(child).strip() for child in element) + closing


def _table(element: Any) -> str:
    return "[" + "; ".join(_render(row).strip() for row in element if isinstance(row.tag, str)) + "]"


def _table_row(element: Any) -> str:
    cells = [_row(cell).strip() for cell in element if isinstance(cell.tag, str)]
    aligned = any(cell[:1] in _RELATIONS for cell in cells if cell)
    # A table that lines equations up at their signs is no matrix.
    return (" " if aligned else ", ").join(cell for cell in cells if cell or not aligned)


def _multiscripts(element: Any) -> str:
    texts = [(child.tag.rpartition("}")[2], _render(child).strip()) for child in element if isinstance(child.tag, str)]
    base = texts[0][1] if texts else ""
    before, after, target = "", "", False
    position = 0
    for name, text in texts[1:]:
        if name == "mprescripts":
            target, position = True, 0
            continue
        mark = "_" if position % 2 == 0 else "^"
        position += 1
        if text:
            if target:
                before += mark + _grouped(text)
            else:
                after += mark + _grouped(text)
    return f"{before}{base}{after}"


def _first(element: Any) -> str:
    for child in element:
        if isinstance(child.tag, str):
            return _render(child)
    return _token(element)


def _space(_element: Any) -> str:
    return " "


def _text(element: Any) -> str:
    text = "".join(element.itertext()).translate(_INVISIBLE)
    lead, trail = (" " if text[:1].isspace() else ""), (" " if text[-1:].isspace() else "")
    return f"{lead}{' '.join(text.split())}{trail}"


_HANDLERS: dict[str, Callable[[Any], str]] = {
    "mo": _operator,
    "mtext": _text,
    "mspace": _space,
    "msup": _script("^"),
    "msub": _script("_"),
    "msubsup": _script("_", "^"),
    "mover": _over,
    "munder": _over,
    "munderover": _over,
    "mfrac": _fraction,
    "msqrt": _square_root,
    "mroot": _root,
    "mfenced": _fenced,
    "mtable": _table,
    "mtr": _table_row,
    "mlabeledtr": _table_row,
    "mmultiscripts": _multiscripts,
    "semantics": _first,
    "maction": _first,
    "none": lambda _element: "",
    "mprescripts": lambda _element: "",
    "mphantom": lambda _element: "",
    "annotation": lambda _element: "",
    "annotation-xml": lambda _element: "",
}
