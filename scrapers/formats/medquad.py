"""MedQuAD question and answer documents (NIH sites) as one text: a heading for each question, the answer below it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from scrapers.formats import xml_safe
from scrapers.formats.errors import Unreadable
from scrapers.formats.inline import normalise

_SPACE_BEFORE_MARK = re.compile(r"\s+([?])")
_LIST = re.compile(r"(?:^|\s{2,}|\n\s*)-\s+")
_BLANK = re.compile(r"\n\s*\n")


@dataclass(slots=True)
class MedquadDocument:
    """Every question and answer on one topic."""

    id: str
    title: str
    url: str
    text: str
    """Empty when no pair has an answer (collections 10-12)."""
    n_pairs: int
    """Pairs with an answer."""
    counts: dict[str, int] = field(default_factory=dict)


def parse(data: bytes) -> MedquadDocument:
    """The document in `data`; Unreadable when it is no MedQuAD document."""
    root = xml_safe.parse(data)
    if root.tag not in ("Document", "doc"):
        raise Unreadable("extract.not_a_document", "The root element is not a MedQuAD Document.")
    counts: dict[str, int] = {}
    title = " ".join((root.findtext("Focus") or "").split())
    blocks = [f"# {title}"] if title else []
    pairs = 0
    for pair in root.iter("QAPair", "pair"):
        question = _SPACE_BEFORE_MARK.sub(r"\1", " ".join(_text(pair.find("Question")).split()))
        answer = _answer(_text(pair.find("Answer")))
        if not answer:
            counts["extract.unanswered_questions"] = counts.get("extract.unanswered_questions", 0) + 1
            continue
        pairs += 1
        blocks += [f"## {question}", *answer] if question else answer
    return MedquadDocument(
        id=root.get("id", ""),
        title=title,
        url=root.get("url", ""),
        text=normalise("\n\n".join(blocks)) if pairs else "",
        n_pairs=pairs,
        counts=counts,
    )


def _text(element: Any | None) -> str:
    return "".join(element.itertext()) if element is not None else ""


def _answer(text: str) -> list[str]:
    """Paragraphs of an answer; list items that the source runs together with ` - ` become bullets."""
    blocks: list[str] = []
    for paragraph in _BLANK.split(text.replace("\r", "\n")):
        head, *items = _LIST.split(paragraph.strip())
        if head.strip():
            blocks.append(" ".join(head.split()))
        bullets = [f"- {item}" for item in (" ".join(item.split()) for item in items) if item]
        if bullets:
            blocks.append("\n".join(bullets))
    return blocks
