"""What a browser does not show, and what it shows twice.

A closed panel is content: a reader opens it. So a hidden element leaves only when it holds no block and nothing opens
it. `aria-hidden` text is on the screen; it leaves only when it is decoration. Words for the ear leave unless the page
says the same with a picture alone: the `Yes` of a cell with a tick, the `do not` beside a cross.
"""

from __future__ import annotations

import re

from bs4 import Tag

from scrapers.formats.html_elements import DELETED, STRUCK, is_cell

_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_FOR_THE_EAR = frozenset(
    {
        "visually-hidden",
        "visuallyhidden",
        "visually-hidden-focusable",
        "govuk-visually-hidden",
        "nhsuk-u-visually-hidden",
        "usa-sr-only",
        "sr-only",
        "sr-only-focusable",
        "screen-reader-text",
        "screen-reader-only",
        "element-invisible",
    }
)
"""Classes of Bootstrap, Drupal, WordPress and the British and American government styles."""
_PANEL = re.compile(r"accordion|collaps|panel|drawer|toggle|tab-?(?:pane|content)|expand|show-?more|read-?more", re.I)
_BLOCKS = ["p", "li", "table", "tr", "td", "dl", "pre", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6"]
_STRUCTURE = frozenset(
    {"table", "ul", "ol", "dl", "pre", "menu", "dir", "math", "details", "br", "hr", "img", "script"}
)
_NEGATION = re.compile(r"\b(?:no|not|never|don['\u2019]?t|without|avoid|contraindicated)\b", re.I)
_COMPARISON = re.compile(
    r"\W*(?:is )?(?:(?:(?:less|more|greater|fewer|higher|lower) than|at (?:least|most)|over|under|above|below|up to)"
    r"(?: or equal(?: to)?)?|minus|plus|plus or minus)\W*",
    re.I,
)
_SIGNS = frozenset("<>\u2264\u2265\u00b1+-\u2212=")
_LONGEST_SIGN = 40
_SAYS_SOMETHING = re.compile(r"[\w<>=≤≥±≈~%°+]")
_RENDERED = re.compile(r"^(?:MathJax(?:_Preview|_Display|_SVG|_CHTML)?|katex-html|mjx-chtml)$")
_TEX_TYPE = re.compile(r"math/tex|application/x-tex", re.I)


def unseen(element: Tag, name: str) -> str:
    """What `element` is counted as when it leaves with all that it holds; empty for what stays."""
    if not element.attrs:
        return ""
    if shown_twice(element, name):
        return "formula_copies"
    if hidden(element, name):
        return "hidden_elements"
    classes, style = element.attrs.get("class"), element.attrs.get("style")
    struck = (classes and not DELETED.isdisjoint(classes)) or (style and STRUCK.search(str(style)))
    return "tracked_deletions" if struck else ""


def hidden(element: Tag, name: str) -> bool:
    """Whether `element` leaves because nobody sees it."""
    if name in _STRUCTURE:
        return False
    attributes = element.attrs
    classes = attributes.get("class")
    if classes and not _FOR_THE_EAR.isdisjoint(classes):
        return element.find([*_BLOCKS, "math"]) is None and not (_alone(element) or _stands_for_a_sign(element))
    style = attributes.get("style")
    if "hidden" in attributes or (style and _STYLE.search(str(style))):
        return not _opens(element)
    if attributes.get("aria-hidden") == "true" and element.find(["math", "script", "img"]) is None:
        return not (_SAYS_SOMETHING.search(element.get_text()) or _alone(element))
    return False


def _alone(element: Tag) -> bool:
    """Whether `element` has the only text of its cell."""
    cell = element.find_parent(is_cell)
    return (
        cell is not None
        and (said := element.get_text().strip()) != ""
        and element.find_parent(["a", "button"]) is None
        and cell.get_text().replace(said, "", 1).strip(" \n\t\xa0\u2713\u2714\u2717\u2718\u00d7\u2716\u25cf\u25cb")
        == ""
    )


def _stands_for_a_sign(element: Tag) -> bool:
    """Whether words for the ear are a negation or a comparison that no sign beside them says."""
    said = element.get_text().strip()
    if len(said) > _LONGEST_SIGN or element.find_parent(["a", "button", "label", "nav"]) is not None:
        return False
    if _NEGATION.search(said):
        return True
    if not _COMPARISON.fullmatch(said):
        return False
    before = element.find_previous(string=_SAYS_SOMETHING)
    inside = element.find(string=True)
    after = inside.find_next(string=lambda text: text is not None and bool(text.strip())) if inside else None
    return not (
        (before is not None and before.strip()[-1:] in _SIGNS) or (after is not None and after.strip()[:1] in _SIGNS)
    )


def _opens(element: Tag) -> bool:
    """Whether a hidden element is a closed panel."""
    attributes = element.attrs
    said = " ".join((*(attributes.get("class") or ()), str(attributes.get("id", "")), str(attributes.get("role", ""))))
    if _PANEL.search(said) or "aria-labelledby" in attributes or element.find([*_BLOCKS, "math"]) is not None:
        return True
    mark = attributes.get("id")
    if not mark:
        return False
    page = next(reversed(list(element.parents)), element)
    return page.find(lambda one: one.get("aria-controls") == mark or one.get("href") == f"#{mark}") is not None


def shown_twice(element: Tag, name: str) -> bool:
    """Whether `element` is the picture of a formula that stands beside it as MathML or TeX."""
    if name != "mjx-math" and not any(_RENDERED.match(one) for one in element.get("class") or ()):
        return False
    # MathJax keeps the source right after its rendering, KaTeX right before.
    parent = element.parent
    if parent is None:
        return False
    if parent.find("script", attrs={"type": _TEX_TYPE}) is not None:
        return True
    source = parent.find("math")
    return source is not None and all(above is not element for above in source.parents)
