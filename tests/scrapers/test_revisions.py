"""Which revision of a PubMed record counts: against a patient reader, in memory and on disk."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow.dataset import dataset

from manifests.document import Document, Quarantined
from scrapers import revision_merge, revisions
from scrapers.formats import medline
from scrapers.formats.errors import Unreadable
from scrapers.source import Item, SourceConfig

Row = tuple[int, int, bool]
"""PMID, version, whether it is a deletion."""
rows = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.booleans()), max_size=6)
histories = st.lists(rows, max_size=5)


def profile_of(file: int, content: Sequence[Row]) -> pa.Table:
    columns = {
        "pmid": [row[0] for row in content],
        "version": [row[1] for row in content],
        "file": [file] * len(content),
        "position": list(range(len(content))),
        "deleted": [row[2] for row in content],
    }
    return pa.table(columns, schema=revisions.PROFILE)


def profiles_of(files: Sequence[Sequence[Row]]) -> list[pa.Table]:
    # Deletions stand after all records of their file.
    return [profile_of(number, sorted(content, key=lambda row: row[2])) for number, content in enumerate(files)]


def merged(profiles: Sequence[pa.Table], folder: Path, rows_at_once: int = 1 << 20) -> pa.Table:
    target = io.BytesIO()
    revision_merge.merge(iter(profiles), folder / "scratch", target, rows_at_once=rows_at_once)
    assert not (folder / "scratch").exists()
    return pq.read_table(target)


def kept(files: Sequence[Sequence[Row]], resolved: pa.Table) -> set[tuple[int, int]]:
    lost = set(zip(resolved["file"].to_pylist(), resolved["position"].to_pylist(), strict=True))
    assert int(resolved.schema.metadata[b"merged_away"]) == len(lost) == resolved.num_rows
    every = {(n, p) for n, content in enumerate(files) for p in range(sum(not row[2] for row in content))}
    assert lost <= every
    return every - lost


@settings(deadline=None)
@given(histories)
@example([[(1, 1, False)], [(1, 1, True)], [(1, 1, False)]])  # withdrawn and back again
@example([[(1, 2, False)], [(1, 1, False)]])  # an older version after a newer number
@example([[(1, v, False) for v in (1, 2, 3)]])  # all versions in one file
def test_the_winner_of_each_pmid_is_the_one_a_patient_reader_would_name(files: list[list[Row]]) -> None:
    current: dict[tuple[int, int], tuple[int, int]] = {}
    for number, content in enumerate(files):
        for position, (pmid, version, deleted) in enumerate(sorted(content, key=lambda row: row[2])):
            if deleted:
                current.pop((pmid, version), None)
            else:
                current[pmid, version] = (number, position)
    newest = {pmid: place for (pmid, _version), place in sorted(current.items())}
    assert kept(files, revisions.not_read(profiles_of(files))) == set(newest.values())


@settings(deadline=None)
@given(histories, st.integers(1, 4))
def test_merging_on_disk_says_the_same_as_in_memory(files: list[list[Row]], rows_at_once: int) -> None:
    """With so few rows in memory at once that buckets are split several times."""
    profiles = profiles_of(files)
    with TemporaryDirectory() as folder:
        found = merged(profiles, Path(folder), rows_at_once)
    assert found.equals(revisions.not_read(profiles))
    assert found.schema.metadata == revisions.not_read(profiles).schema.metadata


RECORD = '<PubmedArticle><MedlineCitation><PMID Version="{}">{}</PMID></MedlineCitation></PubmedArticle>'
GONE = "<DeleteCitation><PMID>7</PMID><PMID Version='2'> 8 </PMID></DeleteCitation>"


@pytest.mark.parametrize(
    ("inside", "whole"),
    [
        (RECORD.format(1, 11) + RECORD.format(3, 12) + RECORD.format("x", 13) + GONE, 5),
        (RECORD.format(1, 11) + "<PubmedArticle><MedlineCitation/></PubmedArticle>" + RECORD.format(1, 12), 2),
        (RECORD.format(1, 11) + "<PubmedArticle><MedlineCitation>", 1),
        (RECORD.format(1, 11) + RECORD.format(1, " "), 1),
        ("", 0),
    ],
)
def test_a_profile_has_the_place_of_every_record_that_reading_meets(inside: str, whole: int) -> None:
    """Also where a file breaks off: what reading does not reach must not replace anything."""
    data = f"<PubmedArticleSet>{inside}</PubmedArticleSet>".encode()
    read = []
    try:
        for place, one in enumerate(medline.parse(io.BytesIO(data))):
            if one.pmid:
                read.append((place, int(one.pmid), one.version, isinstance(one, medline.Deleted)))
    except Unreadable:
        pass
    profile = revisions.profile(io.BytesIO(data), 5)
    rows = [profile[name].to_pylist() for name in ("position", "pmid", "version", "deleted")]
    assert list(zip(*rows, strict=True)) == read
    assert len(read) == whole
    assert set(profile["file"].to_pylist()) <= {5}


def random_profiles(seed: int, n_files: int, per_file: int, pmids: int) -> list[pa.Table]:
    random = np.random.default_rng(seed)
    tables = []
    for file in range(n_files):
        deleted = np.sort(random.random(per_file) < 0.01)
        tables.append(
            pa.table(
                {
                    "pmid": random.integers(1, pmids, per_file),
                    "version": random.choice([1, 1, 1, 2, 3], per_file).astype(np.int16),
                    "file": np.full(per_file, file * 100, np.int32),
                    "position": np.arange(per_file, dtype=np.int32),
                    "deleted": deleted,
                },
                schema=revisions.PROFILE,
            )
        )
    return tables


@pytest.mark.parametrize("rows_at_once", [700, 5_000, 1 << 20])
def test_merging_on_disk_says_the_same_of_many_files(tmp_path: Path, rows_at_once: int) -> None:
    profiles = random_profiles(1, 40, 1_000, 9_000)
    found = merged(profiles, tmp_path, rows_at_once)
    assert found.equals(revisions.not_read(profiles))
    assert found.num_rows > 30_000


def test_nothing_to_merge(tmp_path: Path) -> None:
    assert merged([], tmp_path).equals(revisions.not_read([]))


def test_what_an_interrupted_merge_left_is_not_taken_for_its_own(tmp_path: Path) -> None:
    left = tmp_path / "scratch" / "pmid"
    left.mkdir(parents=True)
    (left / "00000001").write_bytes(bytes(19 * 5))
    profiles = random_profiles(2, 3, 50, 40)
    assert merged(profiles, tmp_path).equals(revisions.not_read(profiles))


def test_a_task_reads_only_the_row_groups_of_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision_merge, "ROW_GROUP", 1_000)
    profiles = random_profiles(3, 30, 500, 900)
    target = tmp_path / "resolved.parquet"
    with target.open("wb") as stream:
        revision_merge.merge(profiles, tmp_path / "scratch", stream)
    whole = revisions.not_read(profiles)
    resolved = dataset(target, format="parquet")
    for file in (0, 1_400, 2_900, 50):
        assert revisions._positions(resolved, file) == revisions._positions(whole, file)
    assert revisions._positions(resolved, 1_400)
    assert not revisions._positions(resolved, 50)
    stored = pq.ParquetFile(target).metadata
    of_file = [
        n
        for n in range(stored.num_row_groups)
        if stored.row_group(n).column(0).statistics.min <= 1_400 <= stored.row_group(n).column(0).statistics.max
    ]
    assert 1 <= len(of_file) <= 2 < stored.num_row_groups
    # Every other row group can be gone from the disk without the reader of this file noticing.
    damaged = bytearray(target.read_bytes())
    for n in set(range(stored.num_row_groups)) - set(of_file):
        for column in range(stored.num_columns):
            chunk = stored.row_group(n).column(column)
            start = chunk.dictionary_page_offset or chunk.data_page_offset
            damaged[start : start + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
    target.write_bytes(damaged)
    assert revisions._positions(dataset(target, format="parquet"), 1_400) == revisions._positions(whole, 1_400)


def citation(pmid: int, abstract: str, more: str = "", version: int = 1) -> str:
    return (
        f"<PubmedArticle><MedlineCitation><PMID Version='{version}'>{pmid}</PMID><Article><ArticleTitle>T {pmid}."
        f"</ArticleTitle><Abstract><AbstractText>{abstract}</AbstractText></Abstract></Article>{more}"
        "</MedlineCitation></PubmedArticle>"
    )


def read_all(*files: str) -> tuple[dict[str, Document], list[Quarantined]]:
    """Documents by PMID, and what was put aside, of files in the order of their publication."""
    config = SourceConfig("pubmed", "pubmed", "abstract", "per-document")
    data = [f"<PubmedArticleSet>{content}</PubmedArticleSet>".encode() for content in files]
    resolved = revisions.not_read([revisions.profile(io.BytesIO(one), rank) for rank, one in enumerate(data)])
    documents: dict[str, Document] = {}
    aside: list[Quarantined] = []
    for rank, one in enumerate(data):
        item = Item(f"n{rank}.xml.gz", "", sha256="0" * 64)
        for found in revisions.read(io.BytesIO(one), rank, resolved, config, item):
            if isinstance(found, Document):
                documents[found.doc_id] = found
            else:
                aside.append(found)
    return documents, aside


def test_a_broken_record_is_named_and_its_older_revision_does_not_come_back() -> None:
    documents, aside = read_all(
        citation(1, "old 5 mg") + citation(2, "two"),
        citation(1, "new 7 mg & more") + citation(3, "three") + "<PubmedArticle/>",
    )
    assert sorted(documents) == ["pubmed:2", "pubmed:3"]
    told = {(one.item, one.reason) for one in aside}
    assert ("n1.xml.gz PMID1", "extract.corrupt") in told
    assert ("n1.xml.gz record 3", "extract.bad_record") in told
    assert [one.detail for one in aside if one.item == "n0.xml.gz"] == [
        "Records of this file that were replaced or withdrawn by a later file: 1."
    ]


def test_a_number_too_long_to_be_a_pmid_breaks_nothing() -> None:
    documents, aside = read_all(citation(10**30, "a") + citation(2, "b", version=10**9))
    assert sorted(documents) == [f"pubmed:{10**30}", "pubmed:2"]
    assert aside == []


@pytest.mark.parametrize(
    ("link", "status", "counted"),
    [
        ("RetractionIn", "retracted", set()),
        ("RetractedandRepublishedIn", "retracted", set()),
        ("RetractionOf", "retracted", {"extract.notice"}),
        ("PartialRetractionIn", "current", {"extract.partly_retracted"}),
        ("PartialRetractionOf", "current", {"extract.notice"}),
        ("ErratumIn", "current", set()),
        ("ErratumFor", "current", {"extract.notice"}),
        ("ExpressionOfConcernIn", "current", {"extract.expression_of_concern"}),
        ("ExpressionOfConcernFor", "current", {"extract.notice"}),
    ],
)
def test_what_becomes_of_retractions_and_corrections(link: str, status: str, counted: set[str]) -> None:
    links = f"<CommentsCorrectionsList><CommentsCorrections RefType='{link}'/></CommentsCorrectionsList>"
    other = "<OtherAbstract Type='Publisher' Language='ger'><AbstractText>Dosis 5</AbstractText></OtherAbstract>"
    documents, aside = read_all(citation(1, "Dose 5", links + other))
    # A translated abstract stands and falls with its article.
    assert sorted(documents) == ["pubmed:1", "pubmed:1#de"]
    assert all(one.document_status == status and set(one.counts) == counted for one in documents.values())
    assert aside == []
