"""One publisher, one card, one filter: added from outside the repository and built to shards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from manifests.verify import verify
from mixing.shards import open_shards
from pipelines.build import latest_build

RUN = [sys.executable, "-m", "pipelines.cli"]


def medtrove(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*RUN, *arguments], cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def digests(build: Any) -> dict[str, str]:
    return {name: build.sha256(name) for name in build.files() if name != "manifest/run.jsonl"}


@pytest.fixture
def where(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def test_a_toy_publisher_and_a_toy_filter_reach_the_shards(toy: Any, where: Path) -> None:
    from manifests.store import Store

    done = medtrove("build", toy.recipe(), cwd=where)
    assert "29 in" in done.stdout
    build = latest_build(Store(where / "build"))
    fates = {row["doc_id"]: row["fate"] for row in pq.read_table(build.local("manifest/documents.parquet")).to_pylist()}
    assert fates["toy:leeches"] == "custom.leeches"
    assert fates["toy:short"] == "quality.too_few_words"
    assert fates["toy:dose"] == "kept", "documents that differ in doses are not duplicates"
    assert sorted((fates["toy:copy"], fates["toy:g3"])) == ["dedup.exact", "kept"]
    assert sorted((fates["toy:reflowed"], fates["toy:g5"]))[1] == "kept"
    assert sum(fate == "kept" for fate in fates.values()) == 25
    assert [check for check in verify(build) if not check.ok] == []
    shards = open_shards(build.local("shards"))
    assert len(shards) == build.read_json("corpus.json")["totals"]["rows"]
    told = medtrove("explain", "toy:leeches", "--json", cwd=where)
    assert json.loads(told.stdout)["fate"] == "custom.leeches"
    # Run again: nothing is fetched, nothing changes.
    before, asked = digests(build), len(toy.requests)
    medtrove("build", toy.recipe(), cwd=where)
    assert digests(build) == before
    assert len(toy.requests) == asked
