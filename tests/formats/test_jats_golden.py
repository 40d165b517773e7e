"""Real articles and citations against what was read by eye in their XML, and every table of the pack.

The pack itself is not here: the lists name an article or PMID, a place, and a few characters or a hash.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from scrapers.formats import jats, medline, xml_safe
from scrapers.formats.jats_inline import Context, inline_text
from scrapers.formats.medline import MedlineRecord

REALDATA = os.environ.get("MEDTROVE_REALDATA")
pytestmark = pytest.mark.skipif(not REALDATA, reason="MEDTROVE_REALDATA is not set: the real-data pack is not here")
GOLDEN = Path(__file__).parent / "golden"


def listed(name: str) -> list[list[str]]:
    lines = (GOLDEN / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


@pytest.fixture(scope="module")
def pack() -> dict[str, bytes]:
    def members() -> Iterator[tuple[str, bytes]]:
        with tarfile.open(Path(str(REALDATA)) / "jats" / "jats_ccby.tar.xz") as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.name.endswith(".xml") else None
                if stream is not None:
                    yield Path(member.name).stem, stream.read()

    return dict(members())


def test_raised_and_lowered_characters_read_as_they_were_read_by_eye(pack: dict[str, bytes]) -> None:
    wrong = []
    rows = listed("jats_scripts.tsv")
    assert len(rows) >= 70
    for article, occurrence, expected in rows:
        element = list(xml_safe.parse(pack[article]).iter("sup", "sub"))[int(occurrence)]
        block = next(up for up in element.iterancestors() if up.tag in ("p", "td", "th", "title", "label"))
        if expected not in inline_text(block, Context(in_table=block.tag in ("td", "th"))):
            wrong.append((article, occurrence, expected))
    assert wrong == []


def test_every_table_of_every_article_is_a_pipe_table_and_pictures_of_tables_are_counted(
    pack: dict[str, bytes],
) -> None:
    parser = etree.XMLParser(remove_comments=True, remove_pis=True, resolve_entities=False)
    tables = pictures = 0
    for name, data in pack.items():
        root = etree.fromstring(data, parser)
        wanted = sum(bool("".join(found.itertext()).strip()) for found in root.iter("{*}table", "array"))
        texts = [text for text in jats.parse(data) if not text.part.startswith("a")]
        assert sum(line.startswith("| --- |") for text in texts for line in text.text.splitlines()) == wanted, name
        tables += wanted
        bare = [
            wrap
            for wrap in root.iter("table-wrap")
            if not any("".join(found.itertext()).strip() for found in wrap.iter("{*}table", "array"))
            and not any(child.tag in ("p", "list", "disp-formula", "code", "preformat") for child in wrap)
        ]
        assert sum(text.counts.get("extract.table_is_image", 0) for text in texts) == len(bare), name
        whole = " ".join(" ".join(text.text.split()) for text in texts)
        for wrap in bare:
            label = " ".join((wrap.findtext("label") or "").split())
            assert label in whole, name
        pictures += len(bare)
    assert tables > 2000
    assert pictures > 30


def test_abstracts_of_citations_are_those_that_were_read_by_eye() -> None:
    wanted = {pmid: digest for pmid, digest in listed("medline_abstracts.tsv")}
    assert len(wanted) == 50
    found: dict[str, str] = {}
    records = 0
    for path in sorted((Path(str(REALDATA)) / "pubmed").glob("*.xml.gz")):
        with gzip.open(path) as stream:
            for record in medline.parse(stream):
                if isinstance(record, MedlineRecord):
                    records += 1
                    if record.pmid in wanted:
                        found[record.pmid] = hashlib.sha256(record.abstract.encode()).hexdigest()
    assert records == 20_000
    assert found == wanted
