"""Real articles, citations, guidelines, notes and questions, as they lie on disk, to shards and report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from manifests.store import Store
from manifests.verify import verify
from pipelines.build import latest_build

REALDATA = os.environ.get("MEDTROVE_REALDATA")
pytestmark = pytest.mark.skipif(not REALDATA, reason="MEDTROVE_REALDATA is not set: the real-data pack is not here")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Store:
    where = tmp_path_factory.mktemp("real")
    command = [sys.executable, "-m", "pipelines.cli", "build", "local-files", str(REALDATA)]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return latest_build(Store(where / "build"))


@pytest.fixture(scope="module")
def documents(build: Store) -> list[dict[str, Any]]:
    columns = ["doc_id", "source", "kind", "fate", "n_chars", "pmid", "doi", "pmcid"]
    rows: list[dict[str, Any]] = pq.read_table(build.local("manifest/documents.parquet"), columns=columns).to_pylist()
    return rows


def test_the_build_of_real_data_tells_the_truth(build: Store) -> None:
    assert [check for check in verify(build) if not check.ok] == []
    assert build.exists("report.html")


def test_every_file_gave_documents_or_says_why_not(build: Store) -> None:
    aside = {row["item"] for row in pq.read_table(build.local("manifest/quarantine.parquet")).to_pylist()}
    raw = build.local().parent.parent / "raw"
    read: set[str] = set()
    for items in raw.glob("*/*/items.parquet"):
        read.update(Path(path).name for path in pq.read_table(items, columns=["path"])["path"].to_pylist())
    for path in sorted(Path(str(REALDATA)).rglob("*")):
        if path.is_file():
            assert path.name in read or any(name.split("!")[0].endswith(path.name) for name in aside), path


def test_every_article_and_record_entered(build: Store, documents: list[dict[str, Any]]) -> None:
    with tarfile.open(Path(str(REALDATA)) / "jats" / "jats_ccby.tar.xz") as archive:
        n_articles = sum(member.isfile() for member in archive)
    whole = [row for row in documents if row["source"] == "local-jats" and "#" not in row["doc_id"]]
    assert len(whole) >= n_articles  # one more lies among the E-utility replies
    assert sum(row["source"] == "local-guidelines" for row in documents) == 32
    stages = [json.loads(line) for line in build.read_bytes("manifest/stages.jsonl").splitlines()]
    medline = next(line for line in stages if line["source"] == "local-medline" and line["stage"] == "prepare")
    records = [row for row in documents if row["source"] == "local-medline" and "#" not in row["doc_id"]]
    assert medline["in"] >= len(records) >= 12_000


def test_no_rule_throws_away_what_is_plainly_medical(documents: list[dict[str, Any]]) -> None:
    fates: dict[str, Counter[str]] = {}
    for row in documents:
        fates.setdefault(row["source"], Counter())[row["fate"].split(".")[0]] += 1
    for source in ("local-jats", "local-medline", "local-guidelines", "local-qa"):
        assert fates[source]["quality"] <= 0.01 * sum(fates[source].values()), (source, fates[source])


def test_abstracts_of_articles_at_hand_leave(documents: list[dict[str, Any]]) -> None:
    assert sum(row["fate"] == "dedup.abstract_of_full_text" for row in documents) >= 16
