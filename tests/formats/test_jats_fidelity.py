"""No number of a real article is lost: its source's digits and comparators against those of the extracted text.

The source is read by a second, independent walk that knows only which whole blocks leave on purpose.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from manifests.licences import classify
from scrapers.formats import jats
from scrapers.formats.jats_inline import preferred
from scrapers.formats.jats_removed import (
    REMOVED_ELEMENTS,
    removed_by_title,
    removed_by_type,
    removed_footnote,
)
from scrapers.formats.mathml import tex

REALDATA = os.environ.get("MEDTROVE_REALDATA")
pytestmark = pytest.mark.skipif(not REALDATA, reason="MEDTROVE_REALDATA is not set: the real-data pack is not here")

# Where one of these begins or ends, two runs of digits are two numbers.
BORDERS = frozenset(
    "p td th title label sup sub caption list-item tr mn mi mo mtext term def fn break disp-formula sec fig table-wrap "  # noqa: SIM905
    "entry disp-quote attrib mtd media graphic inline-graphic".split()
)
SECTIONS = frozenset({"sec", "notes", "glossary", "app", "app-group"})
SHORT_ABSTRACTS = frozenset({"teaser", "toc", "precis", "short", "web-summary"})
NUMBERS = re.compile(r"[A-Za-z]?\d{1,4}[a-z]?(?:\s*[,;‐‑‒–—−-]\s*[A-Za-z]?\d{1,4}[a-z]?)*")
YEAR = re.compile(r"(?:1[89]|20)\d\d[a-z]?")
INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")


def local(element: Any) -> str:
    return str(etree.QName(element).localname) if isinstance(element.tag, str) else ""


def leaves(element: Any, name: str) -> bool:
    """Whether the whole element is removed by rule."""
    if name in REMOVED_ELEMENTS or name in ("annotation", "index-term", "private-char"):
        return True
    if name in SECTIONS:
        parts = [element.find("label"), element.find("title")]
        title = " ".join(" ".join("".join(part.itertext()) for part in parts if part is not None).split())
        kind = element.get("sec-type") or element.get("notes-type")
        return bool(removed_by_type(kind) or removed_by_title(title))
    if name == "fn" and local(element.getparent()) == "fn-group":
        return bool(removed_footnote(element, " ".join("".join(element.itertext()).split())))
    if name == "xref":
        text = "".join(element.itertext()).strip()
        if element.get("ref-type") in ("bibr", "ref"):
            bare = text.strip("[]() .,;")
            return bool(NUMBERS.fullmatch(bare)) and not YEAR.fullmatch(bare)
        return element.get("ref-type") == "fn" and not any(local(up) == "table-wrap" for up in element.iterancestors())
    return False


def source_text(element: Any, out: list[str], *, top: bool = False) -> None:
    name = local(element)
    if not top and leaves(element, name):
        return
    if name == "alternatives":
        child = preferred(element)
        if child is not None:
            source_text(child, out)
        return
    if name == "tex-math":
        out.append(f" {tex(''.join(element.itertext()))} ")
        return
    border = " " if name in BORDERS or (name == "xref" and element.get("ref-type") == "table-fn") else ""
    out += (border, element.text or "")
    has_tex = name in ("disp-formula", "inline-formula") and element.find("tex-math") is not None
    for child in element:
        if not (has_tex and local(child) == "math"):
            source_text(child, out)
        out.append(child.tail or "")
    out.append(border)


def content(article: Any) -> str:
    """Title, abstracts, body, back matter and floats of one article, without what leaves on purpose."""
    out: list[str] = []
    meta = article.find("front/article-meta")
    meta = article.find("front-stub") if meta is None else meta
    if meta is not None:
        for path in ("title-group/article-title", "title-group/subtitle"):
            for found in meta.iterfind(path):
                source_text(found, out)
        for abstract in meta.iterfind("abstract"):
            if abstract.get("abstract-type") not in SHORT_ABSTRACTS:
                source_text(abstract, out)
    for path in ("body", "back", "floats-group"):
        found = article.find(path)
        if found is not None:
            source_text(found, out, top=True)
    return INVISIBLE.sub("", "".join(out))


def pack() -> Iterator[tuple[str, bytes]]:
    with tarfile.open(Path(str(REALDATA)) / "jats" / "jats_ccby.tar.xz") as archive:
        for member in archive:
            handle = archive.extractfile(member) if member.name.endswith(".xml") else None
            if handle is not None:
                yield member.name, handle.read()


def test_the_whole_pack_is_read_and_its_numbers_and_comparators_survive() -> None:
    parser = etree.XMLParser(remove_comments=True, remove_pis=True, resolve_entities=False)
    total, lost, articles = Counter[str](), Counter[str](), 0
    commercial = 0
    for _name, data in pack():
        articles += 1
        root = etree.fromstring(data, parser)
        elements = [root, *root.iter("sub-article", "response")]
        parsed = jats.parse(data)
        commercial += classify(parsed[0].licence).use == "commercial"
        texts = [text for text in parsed if not text.part.startswith("a")]
        assert len(elements) == len(texts)
        for element, text in zip(elements, texts, strict=True):
            source = content(element)
            for name, pattern in (("digits", r"\d+"), ("comparators", r"[<>≤≥±≦≧⩽⩾]")):
                before = Counter(re.findall(pattern, source))
                total[name] += before.total()
                lost[name] += (before - Counter(re.findall(pattern, text.text))).total()
            assert text.text == text.text.strip()
            assert "\n\n\n" not in text.text
            assert not re.search("[\x00-\x08\x0e-\x1f]", text.text)
    assert articles == 1053
    assert total["digits"] > 500_000
    assert lost["digits"] / total["digits"] < 0.0001
    assert lost["comparators"] / total["comparators"] < 0.0005
    assert commercial >= 1050
