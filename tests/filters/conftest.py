"""Real texts by kind, from the pack that MEDTROVE_REALDATA names: a small sample, the same on every run."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from lxml import etree

_SKIPPED = {"ref-list", "tex-math", "contrib-group", "aff", "author-notes", "journal-meta", "permissions", "article-id"}


def _string(element: etree._Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _jats_blocks(element: etree._Element) -> Iterator[str]:
    for child in element:
        if not isinstance(child.tag, str) or child.tag in _SKIPPED:
            continue
        if child.tag == "table":
            rows = [[_string(cell) for cell in row if isinstance(cell.tag, str)] for row in child.iter("tr")]
            yield "\n".join("| " + " | ".join(row) + " |" for row in rows)
        elif child.tag in ("p", "disp-formula", "label"):
            yield _string(child)
        elif child.tag in ("title", "article-title"):
            yield "# " + _string(child)
        elif child.tag == "list-item":
            yield "- " + _string(child)
        else:
            yield from _jats_blocks(child)


def _jats(pack: Path) -> Iterator[str]:
    with tarfile.open(pack / "jats" / "jats_ccby.tar.xz") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                root = etree.fromstring(stream.read(), etree.XMLParser(huge_tree=True, no_network=True))
                if not (root.get("{http://www.w3.org/XML/1998/namespace}lang") or "en").startswith(("pt", "es")):
                    yield "\n\n".join(block for block in _jats_blocks(root) if block)


def _abstracts(pack: Path) -> Iterator[str]:
    with gzip.open(pack / "pubmed" / "pubmed21n1298.excerpt-a.xml.gz") as stream:
        for _, citation in etree.iterparse(stream, tag="MedlineCitation"):
            texts = [_string(part) for part in citation.iterfind("Article/Abstract/AbstractText")]
            if texts and citation.findtext("Article/Language") == "eng":
                yield "\n\n".join(["# " + _string(citation.find("Article/ArticleTitle")), *texts])
            citation.clear()


def _csv_column(path: Path, column: str) -> Iterator[str]:
    with gzip.open(path, "rb") as stream:
        for row in csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8", newline="")):
            yield row[column]


def _guidelines(pack: Path) -> Iterator[str]:
    with tarfile.open(pack / "guidelines" / "ngc_public_domain.tar.xz") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                parts = []
                for value in etree.fromstring(stream.read()).iter("FieldValue"):
                    html = etree.fromstring("<div>" + (value.get("Value") or "") + "</div>", etree.HTMLParser())
                    parts.append("\n".join(html.itertext()).strip())
                yield "\n\n".join(part for part in parts if part)


def _questions(pack: Path) -> Iterator[str]:
    with tarfile.open(pack / "qa" / "medquad_part-a.tar.xz") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                for pair in etree.fromstring(stream.read()).iter("QAPair"):
                    answer = (pair.findtext("Answer") or "").strip()
                    if answer:
                        yield f"{(pair.findtext('Question') or '').strip()}\n\n{answer}"


@pytest.fixture(scope="session")
def real_pack() -> Path:
    folder = os.environ.get("MEDTROVE_REALDATA")
    if not folder:
        pytest.skip("MEDTROVE_REALDATA is not set: the real-data pack is not here")
    return Path(folder)


@pytest.fixture(scope="session")
def real_texts(real_pack: Path) -> dict[str, list[str]]:
    """Kind -> texts: article, abstract, note, guideline, qa (English) and spanish."""
    spanish = (real_pack / "phi" / "meddocan_es.jsonl").read_text(encoding="utf-8").splitlines()
    return {
        "article": list(islice(_jats(real_pack), 60)),
        "abstract": list(islice(_abstracts(real_pack), 700)),
        "note": [
            *_csv_column(real_pack / "notes" / "aci_bench_train.csv.gz", "note"),
            *_csv_column(real_pack / "notes" / "aci_bench_valid.csv.gz", "note"),
        ],
        "guideline": list(_guidelines(real_pack))[:12],
        "qa": list(islice(_questions(real_pack), 1500)),
        "spanish": [json.loads(line)["text"] for line in spanish],
    }
