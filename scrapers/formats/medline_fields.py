"""The fields of a MEDLINE element: title, abstract, dates, headings, as the corpus writes them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from html.entities import html5
from typing import Any

from scrapers.formats.dates import iso_date
from scrapers.formats.inline import normalise
from scrapers.formats.jats_inline import Context, child_of, inline_text

# "(ABSTRACT TRUNCATED AT 250 WORDS)": NLM's mark until 2000, when an abstract was longer than it took,
# https://www.nlm.nih.gov/bsd/mms/medlineelements.html#ab
_TRUNCATED = re.compile(r"\s*\(ABSTRACT TRUNCATED(?: AT \d+ WORDS)?\)\.?\s*$", re.I)
# Placeholders of records whose title was not translated, or not yet.
_NO_TITLE = re.compile(r"\[?\s*(?:not available|in process citation)\s*\]?\.?$", re.I)
_BRACKETED = re.compile(r"\[(.*)\](\.?)$", re.S)
_STATEMENT = re.compile(r"\d|:\s*\S")
_YEAR = re.compile(r"\d{4}")
_NAMED_CHARACTER = re.compile(r"&([A-Za-z]{2,8}\d{0,2};)")
_NUMBERED_CHARACTER = re.compile(r"&#(?:\d{2,6}|[xX][0-9a-fA-F]{2,5});")
_COPYRIGHT = re.compile(
    r"(?:\u00a9|\(c\)\s?(?:19|20)\d\d\b|\bcopyright\b\s*(?:\u00a9|\(c\)|\d{4})|\bprotected by copyright\b)"
    r"|\ball rights reserved\b",
    re.I,
)
_COPYRIGHT_MARKS = ("\u00a9", "(c)", "copyright", "rights reserved")
"""What every match of the pattern holds; looked for first, because a pattern of many beginnings is slow."""
_LAST_CHARS = 300
"""Copyright lines recorded in abstracts had at most 240."""


def plain(element: Any | None, context: Context, *, english: bool = True) -> str:
    """The text of `element` in one line; empty without one."""
    return normalise(_unescaped(inline_text(element, context), context, english=english)) if element is not None else ""


def _unescaped(text: str, context: Context, *, english: bool) -> str:
    """`text` without what publishers escaped twice: `P &lt; 0.05` is a comparator that no reader would know.

    Characters by number (`&#353;`) are those of other languages; in English text no digit leaves.
    """
    if "&" not in text or ";" not in text:
        return text
    written = _NAMED_CHARACTER.sub(lambda found: html5.get(found[1], found[0]), text)
    if not english:
        written = _NUMBERED_CHARACTER.sub(lambda found: html.unescape(found[0]), written)
    if written != text:
        context.count("extract.escaped_twice")
    return " ".join(written.split())


def title(element: Any | None, context: Context) -> str:
    """The title, without the brackets that say it is a translation; empty where NLM writes that there is none."""
    text = plain(element, context)
    if _NO_TITLE.match(text):
        return ""
    bracketed = _BRACKETED.match(text)
    if bracketed and _one_group(bracketed[1]):
        text = bracketed[1] + bracketed[2]
    return text


def _one_group(inner: str) -> bool:
    """Whether the brackets around `inner` belong together: those of `A] and [B` do not."""
    depth = 0
    for character in inner:
        depth += (character == "[") - (character == "]")
        if depth < 0:
            return False
    return depth == 0


def abstract(element: Any, context: Context, *, english: bool = True) -> str:
    """The paragraphs of an abstract, each as `LABEL: text`; truncation notices leave and are counted."""
    paragraphs: list[str] = []
    for part in element.iterchildren("AbstractText"):
        text = _unescaped(inline_text(part, context), context, english=english)
        label = part.get("Label")
        label = " ".join(label.split()) if label else ""
        if not text:
            # "LEVEL OF EVIDENCE: 4" is a whole statement; its text was a picture.
            if _STATEMENT.search(label):
                paragraphs.append(label)
            continue
        if "TRUNC" in text[-40:].upper():
            shorter = _TRUNCATED.sub("", text)
            if shorter != text:
                context.count("extract.truncated_abstracts")
                text = shorter
        if label and label.upper() != "UNLABELLED":
            text = f"{label.rstrip(':')}: {text}"
        paragraphs.append(text)
    return normalise("\n\n".join(paragraph for paragraph in paragraphs if paragraph))


def copyright_line(element: Any, text: str, context: Context) -> str:
    """The publisher's copyright line: its own element's, else the sentence that ends the abstract `text`.

    The sentence stays in the text and is counted.
    """
    found = child_of(element, "CopyrightInformation")
    stated = " ".join((found.text or "").split()) if found is not None else ""
    last = text[-_LAST_CHARS:].rpartition("\n\n")[2]
    lowered = last.lower()
    if not any(mark in lowered for mark in _COPYRIGHT_MARKS):
        return stated
    within = _COPYRIGHT.search(last)
    if not within:
        return stated
    context.count("extract.copyright_in_abstract")
    return stated or last[within.start() :]


def headings(element: Any | None) -> tuple[str, ...]:
    """MeSH headings: `Descriptor`, and `Descriptor/qualifier` for each qualifier."""
    if element is None:
        return ()
    found: list[str] = []
    name = ""
    for each in element.iter("DescriptorName", "QualifierName"):
        text = (each.text or "").strip()
        if each.tag == "DescriptorName":
            name = text
            found.append(name)
        else:
            found.append(f"{name}/{text}")
    return tuple(found)


def published(*dates: Any | None) -> tuple[int | None, str]:
    """(year, ISO date) of the first of `dates` that has a year; a `MedlineDate` begins with one."""
    for date in dates:
        if date is None:
            continue
        parts = {part.tag: part.text or "" for part in date.iterchildren(reversed=True)}
        found = _YEAR.search(parts.get("Year") or parts.get("MedlineDate", ""))
        if found:
            return int(found[0]), iso_date(found[0], parts.get("Month"), parts.get("Day"))
    return None, ""


def identifiers(groups: Iterator[Any]) -> dict[str, str]:
    """`IdType` -> identifier of `ArticleIdList` elements: the record's own, those of its references are elsewhere."""
    return {
        one.get("IdType", ""): (one.text or "").strip() for group in groups for one in group.iterchildren("ArticleId")
    }
