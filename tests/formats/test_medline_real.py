"""Real MEDLINE files: every number of every title and abstract is accounted for, by an oracle of its own."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from scrapers.formats import medline
from scrapers.formats.medline import MedlineRecord

REALDATA = os.environ.get("MEDTROVE_REALDATA")
pytestmark = pytest.mark.skipif(not REALDATA, reason="MEDTROVE_REALDATA is not set: the real-data pack is not here")
GOLDEN = Path(__file__).with_name("medline_golden.json")
NUMBER = re.compile(r"\d+")
SENTINEL = re.compile(r"\(ABSTRACT TRUNCATED(?: AT (\d+) WORDS)?\)", re.IGNORECASE)
COMPARATORS = "<>=±≤≥≈≠~%"


def files() -> list[Path]:
    return sorted((Path(str(REALDATA)) / "pubmed").glob("*.xml.gz"))


def pairs() -> Iterator[tuple[Any, MedlineRecord]]:
    """Each record's element, parsed by lxml alone, and what the reader makes of it."""
    for path in files():
        with gzip.open(path) as stream, gzip.open(path) as again:
            read = (one for one in medline.parse(stream) if isinstance(one, MedlineRecord))
            elements = etree.iterparse(again, tag="PubmedArticle")
            for (_event, element), item in zip(elements, read, strict=True):
                yield element, item
                element.clear()


def source_text(element: Any) -> str:
    """The text nodes below `element`; all but plain formatting ends a number."""
    pieces = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str):
            glued = child.tag in ("i", "b", "u")
            pieces.append(source_text(child) if glued else f" {source_text(child)} ")
        pieces.append(child.tail or "")
    return "".join(pieces)


def test_kept_and_removed_numbers_are_those_of_the_source() -> None:
    totals: Counter[str] = Counter()
    for element, item in pairs():
        article = element.find("MedlineCitation/Article")
        title = article.find("ArticleTitle")
        parts = article.findall("Abstract/AbstractText")
        texts = [source_text(title)] if title is not None else []
        texts += [f"{part.get('Label', '')} {source_text(part)}" for part in parts]
        source = Counter(NUMBER.findall(" ".join(texts)))
        removed = [found[0] for text in texts[1:] for found in SENTINEL.finditer(text)]
        sentinels = Counter(NUMBER.findall(" ".join(removed)))
        kept = Counter(NUMBER.findall(item.text.removeprefix("# ")))
        assert source == kept + sentinels, item.pmid
        for sign in COMPARATORS:
            assert item.text.count(sign) >= " ".join(texts).count(sign), (item.pmid, sign)
        assert item.counts.get("extract.truncated_abstracts", 0) == len(removed)
        totals["records"] += 1
        totals["numbers"] += source.total()
        totals["numbers of sentinels"] += sentinels.total()
        totals["sentinels"] += len(removed)
        totals["abstracts"] += bool(item.abstract)
    # 6,867 + 5,280 elements, one of which is empty.
    assert (totals["records"], totals["abstracts"]) == (20_000, 12_146)
    assert totals["numbers"] > 130_000
    # Two notices "AT n WORDS": counted as removed, so that the balance closes.
    assert (totals["sentinels"], totals["numbers of sentinels"]) == (2, 2)


def test_fifty_records_read_by_eye_are_as_they_were() -> None:
    """Drawn at random, 25 of them for formulas, raised and lowered text or labels, and read beside their XML."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    wanted = {one["pmid"]: one["sha256"] for one in golden}
    assert len(wanted) == 50
    assert all(one["checked"] for one in golden)
    found: dict[str, str] = {}
    for path in files():
        with gzip.open(path) as stream:
            for one in medline.parse(stream):
                if isinstance(one, MedlineRecord) and one.pmid in wanted:
                    found[one.pmid] = hashlib.sha256(one.text.encode()).hexdigest()[:16]
    assert found == wanted


def test_identities_are_those_of_the_records() -> None:
    for path in files():
        with gzip.open(path) as stream, gzip.open(path) as again:
            read = [(one.pmid, one.version) for one in medline.parse(stream)]
            assert [(one.pmid, one.version) for one in medline.identities(again)] == read
