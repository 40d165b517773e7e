"""Deduplication of real abstracts and articles, with variants planted beside them."""

from __future__ import annotations

import csv
import gzip
import os
import random
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

realdata = os.environ.get("MEDTROVE_REALDATA")
pytestmark = pytest.mark.skipif(not realdata, reason="MEDTROVE_REALDATA is not set: the real-data pack is not here")

N_PLANTED = 300


def _string(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def _abstracts() -> Iterator[dict[str, Any]]:
    with gzip.open(Path(realdata or "") / "pubmed" / "pubmed21n1298.excerpt-a.xml.gz") as stream:
        for _, record in etree.iterparse(stream, tag="PubmedArticle"):
            parts = [_string(part) for part in record.iterfind("MedlineCitation/Article/Abstract/AbstractText")]
            ids = {one.get("IdType"): one.text or "" for one in record.iterfind("PubmedData/ArticleIdList/ArticleId")}
            pmid = record.findtext("MedlineCitation/PMID")
            version = record.find("MedlineCitation/PMID").get("Version")
            if parts and version == "1":
                yield {
                    "doc_id": f"pubmed:{pmid}",
                    "kind": "abstract",
                    "text": "\n\n".join(parts),
                    "pmid": pmid,
                    "pmcid": ids.get("pmc", ""),
                    "doi": ids.get("doi", ""),
                }
            record.clear()


@pytest.fixture(scope="module")
def abstracts() -> list[dict[str, Any]]:
    by_id = {found["doc_id"]: found for found in _abstracts()}
    return [by_id[doc_id] for doc_id in sorted(by_id)]


def _articles() -> Iterator[dict[str, Any]]:
    folder = Path(realdata or "") / "jats"
    with (folder / "jats_ccby.manifest.tsv").open(encoding="utf-8", newline="") as stream:
        known = {row["file"]: row for row in csv.DictReader(stream, delimiter="\t")}
    with tarfile.open(folder / "jats_ccby.tar.xz") as archive:
        for member in archive:
            row = known.get(Path(member.name).name)
            stream = archive.extractfile(member)
            if row is None or stream is None or not (row["pmcid"] or row["doi"]):
                continue
            body = re.search(rb"<body.*</body>", stream.read(), re.DOTALL)
            if body is not None:
                text = re.sub(rb"<[^>]*>", b" ", body[0]).decode("utf-8", "replace")
                yield {
                    "doc_id": f"pmc:{row['pmcid'] or 'doi:' + row['doi']}",
                    "kind": "article",
                    "text": text,
                    "pmid": row["pmid"],
                    "pmcid": row["pmcid"],
                    "doi": row["doi"],
                }


def test_abstracts_of_full_texts_are_found_by_their_identifiers(abstracts, deduplicate, fates_of) -> None:  # type: ignore[no-untyped-def]
    """The pack holds the full text of 16 of its PubMed records; none of those articles states its PMID."""
    full_texts = {found["doc_id"]: found for found in _articles()}
    dois = {found["doi"].lower() for found in full_texts.values()} - {""}
    pmcids = {found["pmcid"] for found in full_texts.values()} - {""}
    expected = {one["doc_id"] for one in abstracts if one["doi"].lower() in dois or one["pmcid"] in pmcids}
    assert len(expected) == 16
    here = [one for one in abstracts if one["doc_id"] in expected]
    others = [one for one in abstracts if one["doc_id"] not in expected][:300]
    named = ({one["doi"].lower() for one in here} | {one["pmcid"] for one in here}) - {""}
    wanted = [one for one in full_texts.values() if one["doi"].lower() in named or one["pmcid"] in named]
    found = deduplicate([*here, *others, *wanted])
    gone = {doc_id for doc_id, fate in fates_of(found).items() if fate == "dedup.abstract_of_full_text"}
    assert gone == expected


def test_planted_variants_of_real_abstracts(abstracts, deduplicate, variants) -> None:  # type: ignore[no-untyped-def]
    chance = random.Random(11)
    chosen = [one for one in abstracts if len(one["text"]) > 600 and re.search(r"\d", one["text"])][:N_PLANTED]
    assert len(chosen) == N_PLANTED
    documents = []
    for at, one in enumerate(chosen):
        name = f"{at:04}"
        documents.append({"doc_id": f"a:{name}", "text": one["text"]})
        documents.append({"doc_id": f"formatted:{name}", "text": variants["reformatted"](one["text"], chance)})
        documents.append({"doc_id": f"reworded:{name}", "text": variants["reworded"](one["text"], chance, 0.005)})
        documents.append({"doc_id": f"dose:{name}", "text": variants["redosed"](one["text"], chance)})
    found = deduplicate(documents)
    gone: dict[str, int] = {}
    for row in found.table.to_pylist():
        if row["fate"] != "kept":
            gone[row["source"]] = gone.get(row["source"], 0) + 1
            assert row["doc_id"][-4:] == row["representative"][-4:]
    assert gone.get("dose", 0) == 0
    assert gone["formatted"] == N_PLANTED
    assert gone["reworded"] + gone.get("a", 0) >= 0.99 * N_PLANTED


def test_real_abstracts_are_hardly_ever_duplicates(abstracts, deduplicate) -> None:  # type: ignore[no-untyped-def]
    documents = [{"doc_id": one["doc_id"], "text": one["text"], "kind": "abstract"} for one in abstracts]
    found = deduplicate(documents, validation_fraction=0.01)
    assert found.counts["dedup.near_duplicate"] + found.counts["dedup.exact"] < 0.01 * len(documents)
    assert 0.005 < found.counts["validation"] / len(documents) < 0.015
