"""Guideline summaries of the National Guideline Clearinghouse: XML whose field values are escaped HTML.

Clinical fields are kept in the summary's order under their names; fields about the summary as a publication leave
whole and are counted. Some values were escaped twice; the tags of those are recovered, comparators never are taken
for tags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from scrapers.formats import xml_safe
from scrapers.formats.dates import iso_date
from scrapers.formats.errors import Unreadable
from scrapers.formats.html import fragment_to_text
from scrapers.formats.inline import normalise
from scrapers.formats.left_out import left_out

_REMOVED_SECTIONS = frozenset({"Disclaimer", "NEATS Assessment"})
_REMOVED_SECTION = re.compile(r"^(?:Institute of Medicine|Identifying Information)")
_REMOVED_FIELDS = frozenset({"Guideline Title", "Bibliographic Source(s)", "Guideline Status"})
_TAGS = "p|div|span|table|thead|tbody|tr|td|th|ul|ol|li|dl|dt|dd|strong|b|em|i|u|a|br|sup|sub|h[1-6]|hr|blockquote"
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_TWICE_ESCAPED = re.compile(rf"&lt;(/?(?:{_TAGS})(?:\s+[\w-]+=[^&<>]*(?:&quot;[^&<>]*&quot;[^&<>]*)*)?\s*/?)&gt;", re.I)
_NUMBER = re.compile(r"\bNGC:?-?\s?(\d{3,7})\b")
_DATE = re.compile(r"\b((?:19|20)\d\d)(?:\s+([A-Z][a-z]{2,8}))?(?:\s+(\d{1,2}))?\b")
_HEADING = re.compile(r"^(#+) ")
_FIELD_DEPTH = 3


@dataclass(slots=True)
class NgcSummary:
    """One guideline summary."""

    id: str
    """NGC's number if the file states it; most do not, and are told by their file name."""
    title: str
    text: str
    year: int | None
    published: str
    """Date of the latest release or revision."""
    url: str
    counts: dict[str, int] = field(default_factory=dict)


def parse(data: bytes) -> NgcSummary:
    """The summary in `data`; Unreadable when it is no NGC summary."""
    root = xml_safe.parse(data)
    sections = root.findall("Section")
    if root.tag != "Version" or not sections:
        raise Unreadable("extract.not_a_document", "The root element is not an NGC summary.")
    counts: dict[str, int] = {}
    title = _plain(_value(root, "General", "Guideline Title"), counts)
    blocks = [f"# {title}"] if title else []
    for section in sections:
        blocks += _section(section, counts)
    year, published = _published(_plain(_value(root, "Identifying Information and Availability", "Date Released"), {}))
    number = _NUMBER.search(_value(root, "Identifying Information and Availability", "NGC Status"))
    return NgcSummary(
        id=number[1] if number else "",
        title=title,
        text=normalise("\n\n".join(blocks)),
        year=year,
        published=published,
        url="",
        counts=counts,
    )


def _section(section: Any, counts: dict[str, int]) -> list[str]:
    name = section.get("Name", "")
    if name in _REMOVED_SECTIONS or _REMOVED_SECTION.match(name):
        for entry in section.iterfind("Field"):
            _leaves(entry, counts)
        return []
    blocks: list[str] = []
    for entry in section.iterfind("Field"):
        label = entry.get("Name", "")
        if label in _REMOVED_FIELDS:
            _leaves(entry, counts)
            continue
        inner: list[str] = []
        for value in entry.iterfind("FieldValue"):
            inner += _html(value.get("Value", "") or value.text or "", counts)
        if inner:
            blocks.append(f"{'#' * _FIELD_DEPTH} {label}")
            blocks += inner
    return [f"## {name}", *blocks] if blocks else []


def _leaves(entry: Any, counts: dict[str, int]) -> None:
    name = "extract.administrative_fields"
    counts[name] = counts.get(name, 0) + 1
    for value in entry.iterfind("FieldValue"):
        left_out(counts, name, _TAG.sub(" ", value.get("Value", "") or value.text or ""))


def _html(value: str, counts: dict[str, int]) -> list[str]:
    value, recovered = _TWICE_ESCAPED.subn(lambda match: "<" + match[1].replace("&quot;", '"') + ">", value)
    if recovered:
        counts["extract.unescaped_tags"] = counts.get("extract.unescaped_tags", 0) + recovered
    blocks = fragment_to_text(value, counts)
    return [_HEADING.sub(lambda match: "#" * min(6, len(match[1]) + _FIELD_DEPTH) + " ", block) for block in blocks]


def _plain(value: str, counts: dict[str, int]) -> str:
    return " ".join(" ".join(_html(value, counts)).split()).lstrip("# ")


def _value(root: Any, section: str, name: str) -> str:
    for found in root.iterfind("Section"):
        if found.get("Name") == section:
            for entry in found.iterfind("Field"):
                if entry.get("Name") == name:
                    return " ".join(value.get("Value", "") for value in entry.iterfind("FieldValue"))
    return ""


def _published(text: str) -> tuple[int | None, str]:
    dates = [(int(year), iso_date(year, month, day)) for year, month, day in _DATE.findall(text)]
    return max(dates) if dates else (None, "")
