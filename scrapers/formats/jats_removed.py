"""Blocks of an article that are about it rather than in it: which they are, and under which name each is counted.

Whole blocks only, told by their element, their type attribute or, where publishers set none, by a title that
can mean nothing else.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

REMOVED_ELEMENTS = {
    "ref-list": "references",
    "ack": "acknowledgements",
    "bio": "biographies",
    "supplementary-material": "supplements",
    "permissions": "permissions",
    "object-id": "identifiers",
    "alt-text": "alternative_texts",
    "long-desc": "alternative_texts",
    "sec-meta": "metadata",
    "kwd-group": "metadata",
    "contrib-group": "metadata",
    "aff": "metadata",
    "related-article": "metadata",
    "related-object": "metadata",
    "sig-block": "signatures",
    "x": "separators",
}
"""Elements that never are text of the article, and the name they are counted under (`extract.<name>`)."""

_TYPES = {
    "coi-statement": "competing_interests",
    "conflict": "competing_interests",
    "conflict-of-interest": "competing_interests",
    "competing-interests": "competing_interests",
    "financial-disclosure": "funding",
    "funding-information": "funding",
    "funding": "funding",
    "supported-by": "funding",
    "con": "author_contributions",
    "author-contribution": "author_contributions",
    "author-contributions": "author_contributions",
    "equal": "author_notes",
    "present-address": "author_notes",
    "current-aff": "author_notes",
    "previously-at": "author_notes",
    "presented-at": "author_notes",
    "presented-by": "author_notes",
    "corresp": "author_notes",
    "com": "author_notes",
    "deceased": "author_notes",
    "edited-by": "author_notes",
    "on-leave": "author_notes",
    "participating-researchers": "author_notes",
    "study-group-members": "author_notes",
    "supplementary-material": "supplements",
    "supplementary material": "supplements",
    "data-availability": "data_availability",
    "ack": "acknowledgements",
}

_TITLES = tuple(
    (name, re.compile(pattern + r"[\s.:]*$", re.I))
    for name, pattern in (
        (
            "competing_interests",
            r"(?:authors?['’]?s?['’]?\s+)?(?:(?:statement|declaration|declarations|disclosure|disclosures)\s+(?:of|on)\s+)?"
            r"(?:(?:potential\s+)?conflicts?\s+of\s+interests?|(?:competing|conflicting|duality\s+of)\s+(?:financial\s+)?interests?"
            r"|interests?)(?:\s+(?:statement|disclosures?|declaration|policy))?",
        ),
        (
            "competing_interests",
            r"financial\s*(?:&|and)\s*competing\s+interests?\s+disclosure|disclosures?(?:\s+statement)?",
        ),
        (
            "funding",
            r"(?:funding|financial\s+support(?:\s+and\s+sponsorship)?|sources?\s+of\s+(?:funding|support)|grant\s+(?:support|information)"
            r"|role\s+of\s+(?:the\s+)?funding\s+source)(?:\s+(?:statement|information|sources?|support))?",
        ),
        (
            "author_contributions",
            r"(?:authors?['’]?s?['’]?|author)\s+contributions?(?:\s+statement)?|contributors?(?:hip(?:\s+statement)?)?",
        ),
        ("acknowledgements", r"acknowledge?ments?"),
        (
            "supplements",
            r"(?:electronic\s+)?(?:supplementary|supporting|supplemental|additional)\s+(?:materials?|information|data|files?)"
            r"(?:\s+available)?",
        ),
        ("supplements", r"authors?['’]\s+original\s+(?:submitted\s+)?files?\s+for\s+images"),
        ("publication_history", r"pre-?publication\s+history|publication\s+history|peer\s+review(?:\s+information)?"),
        (
            "publisher_notes",
            r"publisher['’]?s?\s+notes?|disclaimer|authors?['’]?\s+information|consent\s+for\s+publication",
        ),
        (
            "data_availability",
            r"(?:availability\s+of\s+(?:supporting\s+)?(?:data(?:\s+and\s+materials?)?|materials?)"
            r"|data\s+(?:and\s+materials?\s+)?availability|data\s+(?:sharing|accessibility))(?:\s+statement)?",
        ),
        ("references", r"references|bibliography|literature\s+cited|works\s+cited"),
    )
)

_ANY_TITLE = re.compile("|".join(f"(?:{pattern.pattern})" for _, pattern in _TITLES), re.I)

_FOOTNOTES = re.compile(
    r"(?:conflicts?\s+of\s+interests?|competing\s+(?:financial\s+)?interests?|the\s+authors?\s+(?:declare|report|have\s+no)"
    r"|none\s+declared|source\s+of\s+support|funding(?:\s*[:.]|\s+(?:information|declaration|statement|sources?|support|was|for)\b)"
    r"|grant\s+support|authors?['’]?\s+contributions?|contributors?\s*:"
    r"|edited\s+by|reviewed\s+by|academic\s+editor|peer\s+review|provenance|pre-?publication|publisher['’]?s\s+note"
    r"|how\s+to\s+cite|cite\s+this|supplementa(?:ry|l)\s+(?:digital|online|data|materials?|information|contents?|files?)\b"
    r"|additional\s+information|this\s+(?:article|manuscript|work)\s+was"
    r"|these\s+authors|correspondence\b|corresponding\s+authors?\b|e-?mail\b|(?:received|accepted)\s*:"
    r"|(?:received|accepted)\s+(?:for\s+publication\s+)?(?:on\s+)?(?:\d{1,2}\.?\s+)?"
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b|copyright|©|handling\s+editor|contributed\s+equally"
    r"|ethics\s+approval|patient\s+consent|data\s+sharing|citation\s*:|author\s+contributions?|abbreviations\s+used\s*:?\s*$)",
    re.I,
)


def removed_by_type(value: str | None) -> str | None:
    """The name under which a block of this `sec-type`, `fn-type` or `notes-type` is removed, or None."""
    return _TYPES.get(value.strip().lower()) if value else None


@lru_cache(maxsize=4096)
def removed_by_title(title: str) -> str | None:
    """The name under which a section with exactly this title is removed, or None."""
    title = title.strip()
    if not title or len(title) > 80:
        return None
    bare = re.sub(r"^[\dIVX]+(?:\.\d+)*\.?\s+", "", title)
    if not _ANY_TITLE.match(bare):
        return None
    for name, pattern in _TITLES:
        if pattern.match(bare):
            return name
    return None


def removed_footnote(element: Any, text: str) -> str | None:
    """The name under which a footnote at the end of an article is removed, or None: notes on the text itself stay."""
    by_type = removed_by_type(element.get("fn-type"))
    if by_type:
        return by_type
    return "author_notes" if _FOOTNOTES.match(text) else None
