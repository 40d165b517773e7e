"""Suggested deletions that CKEditor marks by their two ends: what stands between leaves, wherever the ends stand.

`<suggestion-start name="deletion:ID:AUTHOR">` and `<suggestion-end …>` stand in the text, or as
`data-suggestion-start-before` and `data-suggestion-end-after` (and their two turned forms) on elements. A deletion with
one end only removes nothing.
https://ckeditor.com/docs/ckeditor5/latest/features/collaboration/track-changes/track-changes-data.html
"""

from __future__ import annotations

from bs4 import BeautifulSoup, Tag
from bs4.element import PageElement

_DELETION = "deletion:"
_HOLDS_NOTHING = frozenset({"img", "br", "hr", "input"})


def without_deletions(soup: BeautifulSoup, counts: dict[str, int]) -> None:
    """Take out of `soup` what is suggested to be deleted, counted as `extract.tracked_deletions`."""
    between: dict[str, list[PageElement]] = {}
    gone: list[PageElement] = []
    later: dict[int, list[str]] = {}
    closed = 0
    for node in list(soup.descendants):
        if isinstance(node, Tag):
            for name in _names(node, "suggestion-start", "data-suggestion-start-before"):
                between[name] = []
            after = _names(node, "", "data-suggestion-start-after")
            ends = _names(node, "", "data-suggestion-end-after")
            if after or ends:
                last = next(reversed(list(node.descendants)), node)
                later.setdefault(id(last), []).extend([*(f"+{one}" for one in after), *ends])
            for name in _names(node, "suggestion-end", "data-suggestion-end-before"):
                closed += name in between
                gone += between.pop(name, [])
        if not isinstance(node, Tag) or node.name in _HOLDS_NOTHING:
            for nodes in between.values():
                nodes.append(node)
        for name in later.pop(id(node), ()):
            if name.startswith("+"):
                between[name[1:]] = []
            else:
                closed += name in between
                gone += between.pop(name, [])
    for node in gone:
        node.extract()
    if closed:
        counts["extract.tracked_deletions"] = counts.get("extract.tracked_deletions", 0) + closed


def _names(node: Tag, element: str, attribute: str) -> list[str]:
    said = node.get("name") if element and node.name == element else node.get(attribute)
    # One attribute holds several, parted by commas.
    return [one for one in str(said or "").split(",") if one.startswith(_DELETION)]
