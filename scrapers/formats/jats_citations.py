"""What becomes of the citation marks of a JATS article: dropped, kept, or replaced by the title of what is cited.

`bib_ref` is the form of MediTron's corpus (https://arxiv.org/abs/2311.16079, appendix on GAP-Replay): `[bib_ref]`,
the first 12 words of the title, the first author's surname, `[/bib_ref]`. A reference without a title leaves a blank.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from manifests.markers import OURS, WRITTEN, names, plain
from scrapers.formats.inline import (
    CITE_END,
    CITE_START,
    GONE,
    NUMERIC_MARK,
    Cited,
    closed,
    each_citation,
    finish,
    is_span,
    names_a_reference,
    without_citations,
    without_controls,
)

CITATIONS = ("drop", "keep", "bib_ref")
"""`drop`: numeric marks leave whole, author-year marks are text. `keep`: both stay, numbers always in brackets."""
TITLE_WORDS = 12
_LONGEST_RANGE = 50
_PLACE = "\x0e"
_OUR_MARK = "\x10"
"""Stands before a mark that we write, until what the article itself has of U+FDD0 is out. XML cannot hold it."""
_DASH = "\\-\u2010\u2011\u2012\u2013\u2014\u2212"
_JOINED = rf"\s*(?:(?:[,;:{_DASH}]|and\b|&)\s*)?"
_PLACES = re.compile(rf"{_PLACE}[^{_PLACE}]*{_PLACE}(?:{_JOINED}{_PLACE}[^{_PLACE}]*{_PLACE})*")
_NUMBERS = re.compile(rf"(\d+)(?:[\s{_PLACE}]*[{_DASH}][\s{_PLACE}]*(\d+))?")
_BORDERS = re.compile(f"[{CITE_START}{CITE_END}]")
_BRACKETS = re.compile(r"[\[\]()]")
_NUMBER = re.compile(r"\d+")
_YEAR = re.compile(r"\b(?:1[89]|20)\d\d[a-z]?\b")
_TITLES = ("article-title", "chapter-title", "part-title", "data-title", "source")
_PEOPLE = ("surname", "collab", "string-name", "institution")


def kept(text: str, _counts: MutableMapping[str, int]) -> str:
    """`text` with every mark as it stands; a number without brackets gets square ones, so that it is no power."""

    def whole(match: re.Match[str]) -> str:
        mark = without_controls(match[0]).strip()
        bare = mark and not names_a_reference(match) and not any(bracket in mark for bracket in "[]()")
        return f"[{mark}]" if bare else mark

    return each_citation(text, whole)


def with_marks(text: str, counts: MutableMapping[str, int]) -> str:
    """A finished text with the marks we wrote, and no other, as `manifests.markers` tells them apart."""
    text = plain(text)
    if _OUR_MARK in text:
        counts[WRITTEN] = text.count(_OUR_MARK)
        text = text.replace(_OUR_MARK, OURS)
    return text


def without_marks(text: str) -> str:
    """A finished title or abstract, which no tokenizer reads: the marks in it as plain letters."""
    return plain(text).replace(_OUR_MARK, "")


def dropped(article: Any) -> Cited:
    """What removes the citation marks of `article`."""
    return partial(without_citations, highest=lambda: sum(1 for _ in article.iter("ref")))


@dataclass(slots=True)
class References:
    """The reference list of an article, and the marks that point into it."""

    written: list[str] = field(default_factory=list)
    """`title, surname` of each reference in order; empty where it has no title."""
    ids: dict[str, int] = field(default_factory=dict)
    """Place in `written`, from 1, of each `ref` by its id."""
    labels: dict[str, int] = field(default_factory=dict)
    """The same by the number that the publisher gives it."""

    @classmethod
    def of(cls, article: Any) -> References:
        """The references of a whole file, sub-articles included."""
        found = cls()
        for place, ref in enumerate(article.iter("ref"), start=1):
            found.written.append(_written(ref))
            found.ids.setdefault(ref.get("id", ""), place)
            for named in ref.iterdescendants("element-citation", "mixed-citation", "citation", "nlm-citation"):
                found.ids.setdefault(named.get("id", ""), place)
            label = _NUMBER.search(ref.findtext("label") or "")
            found.labels.setdefault(label[0] if label else str(place), place)
        found.ids.pop("", None)
        return found

    def mark(self, xref: Any, text: str) -> str | None:
        """The places a citation points to, as the content of a mark; None if its text is no citation mark."""
        places = [str(place) for rid in xref.get("rid", "").split() if (place := self.ids.get(rid))]
        numeric = NUMERIC_MARK.fullmatch(text)
        if places and (numeric or _YEAR.search(text) or not _NUMBER.search(text)):
            return ",".join(places)
        return "?" if numeric else None

    def cite(self, text: str, counts: MutableMapping[str, int]) -> str:
        """`text` with every group of marks as the titles it points to; a mark that points nowhere leaves."""
        removed = 0

        def place(match: re.Match[str]) -> str:
            nonlocal removed
            if is_span(match, lambda: len(self.written)):
                return without_controls(match[0])
            parts = _BORDERS.split(match[0])
            # Between the marks stand numbers that the publisher forgot to tag.
            parts[::2] = [_NUMBER.sub(self._of_label, part) for part in parts[::2]]
            content = _BRACKETS.sub("", "".join(parts))
            if self._titles(content):
                return f"{_PLACE}{content}{_PLACE}"
            removed += match[0].count(CITE_START)
            return GONE

        text = closed(each_citation(text, place))
        if removed:
            counts["extract.citation_marks"] = counts.get("extract.citation_marks", 0) + removed
        return _PLACES.sub(self._apart, text)

    def _of_label(self, match: re.Match[str]) -> str:
        return str(self.labels.get(match[0], ""))

    def _titles(self, content: str) -> list[str]:
        places: list[int] = []
        for first, last in _NUMBERS.findall(content):
            begin, end = int(first), int(last or first)
            places += range(begin, end + 1) if begin <= end <= begin + _LONGEST_RANGE else (begin, end)
        chosen = (self.written[place - 1] for place in dict.fromkeys(places) if 0 < place <= len(self.written))
        return [one for one in chosen if one]

    def _apart(self, match: re.Match[str]) -> str:
        before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
        lead = "" if not before or before.isspace() or before in "([" else " "
        trail = "" if not after or after.isspace() or after in ".,;:!?)]" else " "
        written = (f"{_OUR_MARK}[bib_ref] {one} {_OUR_MARK}[/bib_ref]" for one in self._titles(match[0]))
        return lead + " ".join(written) + trail


def _written(ref: Any) -> str:
    title = ""
    for name in _TITLES:
        found = next(ref.iter(name), None)
        title = _plain(found) if found is not None else ""
        if title:
            break
    if not title:
        return ""
    title = " ".join(title.split()[:TITLE_WORDS]).rstrip(".,;: ")
    for name in _PEOPLE:
        person = next(ref.iter(name), None)
        author = _plain(person).rstrip(".,;: ") if person is not None else ""
        if author:
            return f"{title}, {author}"
    return title


def _plain(element: Any) -> str:
    # A title of a reference must not look like one of our marks, not even to a tokenizer without special tokens.
    text = finish("".join(element.itertext()), {})
    for name in names():
        text = text.replace(name, "")
    return text.strip()
