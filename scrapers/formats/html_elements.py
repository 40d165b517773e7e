"""What single HTML elements mean: which are blocks, which leave, what is raised, what is a formula."""

from __future__ import annotations

import re

from bs4 import Tag
from bs4.element import NavigableString

from scrapers.formats import xml_safe
from scrapers.formats.errors import Unreadable
from scrapers.formats.inline import LOWERED, RAISED
from scrapers.formats.mathml import linear, tex

# Whole words of a target, so that #table5 and #recommendation-3 are no references.
REFERENCE_TARGET = re.compile(
    r"#(?:[\w.:-]*[^A-Za-z])?(?i:refs?|references?|cite|cit|citations?|bib|bibr|footnotes?|notes?|endnotes?|_?ftn|_?edn|fn)"
    r"(?![A-Za-z])[\w.:-]*\d|#(?:CR|[RrBb])\d+$"
)
NOTE_TARGET = re.compile(r"#.*(?:note|fn|ftn|edn)", re.I)
ASKS_FOR_A_NUMBER = re.compile(
    r"\b(?:grade|type|stage|class|category|level|notes?|footnotes?|step|phase|group|tier|part|option|score|line)s?"
    r"(?:\s+\d+[a-z]?\s*(?:,|-|\u2013|to|and|or))*\s+$",
    re.I,
)
"""Words before a link whose number belongs to the sentence."""
TWICE_ESCAPED = re.compile(r"&(?:#\d{1,6}|#[xX][\da-fA-F]{1,5}|[A-Za-z][A-Za-z0-9]{1,8});")
DELETED = frozenset({"ck-suggestion-marker-deletion", "ice-del", "msoDel"})
"""Classes of deletions that CKEditor, ICE and Word track."""
SMALL_PICTURE = re.compile(
    r"[<>≤≥±×µμ°%αβγδ=+−-]|<=|>=|\+/-|(?:is )?(?:greater|more|less) than(?: or equal(?: to)?)?"
    r"|plus[ /]?(?:or[ /]?)?minus",
    re.I,
)
"""A sign that old pages show as a picture, told by its alternative text."""
_RAISED_STYLE = re.compile(r"vertical-align\s*:\s*super|(?:^|\s)(?:superscript|super|sup)(?=\s|$)", re.I)
STRUCK = re.compile(r"text-decoration(?:-line)?\s*:[^;]*line-through", re.I)
_LOWERED_STYLE = re.compile(r"vertical-align\s*:\s*sub|(?:^|\s)(?:subscript|sub)(?=\s|$)", re.I)
_CONTROL_IS_TEXT = ("h1", "h2", "h3", "h4", "h5", "h6", "th", "dt", "summary", "caption", "legend")
_IN_SENTENCE = re.compile(r"[\w,(%/-]\s*$")
_PREFIX = re.compile(r"<(/?)[\w.-]+:")
TEX_TYPE = re.compile(r"math/tex|application/x-tex", re.I)

DROPPED = {
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
BLOCK_TAGS = frozenset(_BLOCK_NAMES.split())
LISTS = frozenset({"ul", "ol", "menu", "dir"})
HEADINGS = {f"h{level}": level for level in range(1, 7)}
CELL_ROLES = frozenset({"cell", "gridcell", "columnheader", "rowheader"})
"""https://www.w3.org/TR/wai-aria-1.2/#row"""


def opens_a_panel(button: Tag) -> bool:
    """Whether a button is the heading of what it opens."""
    if _is_tab(button):
        return True
    holder = button.find_parent(_CONTROL_IS_TEXT)
    if holder is None:
        return False
    return "aria-expanded" in button.attrs or holder.get_text().strip() == button.get_text().strip()


def names_panels(element: Tag) -> bool:
    """Whether `element` is a row of tabs: their labels say for whom the panels below are."""
    return element.get("role") == "tablist" or element.find(_is_tab) is not None


def _is_tab(element: Tag) -> bool:
    toggled = element.get("data-bs-toggle") or element.get("data-toggle")
    return element.get("role") == "tab" or toggled in ("tab", "pill")


def says_something(button: Tag) -> bool:
    """Whether a button is a word of a sentence, such as a term that opens its definition."""
    before, after = button.previous_sibling, button.next_sibling
    return (
        isinstance(before, NavigableString)
        and isinstance(after, NavigableString)
        and bool(_IN_SENTENCE.search(before))
        and bool(after.strip())
        and button.find_parent(["p", "li", "td", "dd"]) is not None
    )


def script(element: Tag) -> str:
    """Whether `element` is raised or lowered, by its name or its style; empty if neither."""
    if element.name in ("sup", "sub"):
        return RAISED if element.name == "sup" else LOWERED
    if not element.attrs:
        return ""
    said = f"{element.attrs.get('style', '')} {' '.join(element.attrs.get('class') or ())}"
    return RAISED if _RAISED_STYLE.search(said) else LOWERED if _LOWERED_STYLE.search(said) else ""


def role(element: Tag) -> str:
    """The first ARIA role of `element`, in small letters; empty without one."""
    return next(iter(str(element.attrs.get("role", "")).lower().split()), "")


def is_cell(element: Tag) -> bool:
    """Whether `element` is a cell of a table, by its name or its role."""
    return element.name in ("td", "th") or role(element) in CELL_ROLES


def attribute(element: Tag, name: str) -> str | None:
    """The attribute `name` where it is one text; None where it is absent or a list."""
    value = element.get(name)
    return value if isinstance(value, str) else None


def math_text(element: Tag) -> str:
    """A `math` element in the line: its author's TeX if there is one, else its MathML written linearly."""
    alternative = element.get("alttext")
    if isinstance(alternative, str) and alternative.strip():
        return f"${tex(alternative)}$"
    try:
        root = xml_safe.parse(_PREFIX.sub(r"<\1", str(element)).encode())
    except Unreadable:
        return element.get_text(" ", strip=True)
    return linear(root)
