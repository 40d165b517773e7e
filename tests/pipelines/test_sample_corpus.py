"""The sample corpus, built once by the command a newcomer runs, against the truth that was planted in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from manifests.store import Store
from manifests.verify import verify
from mixing.shards import open_shards
from mixing.tokenize import Encoder
from pipelines.build import latest_build
from pipelines.recipe import load_recipe, resolve_path
from pipelines.reread import Rereading
from pipelines.text_sides import answer
from train.data import batches

Row = dict[str, Any]


def medtrove(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    (folder / "screen.txt").write_text(medtrove("build", "sample", cwd=folder).stdout)
    return folder


@pytest.fixture(scope="module")
def build(where: Path) -> Store:
    return latest_build(Store(where / "build"))


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from scrapers.sample.world import write_world

    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    planted: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    return planted


@pytest.fixture(scope="module")
def documents(build: Store) -> dict[str, Row]:
    table = pq.read_table(build.local("manifest/documents.parquet"))
    return {row["doc_id"]: row for row in table.to_pylist()}


def test_the_build_tells_the_truth(build: Store) -> None:
    assert [check for check in verify(build) if not check.ok] == []


def test_the_screen_says_what_a_newcomer_needs(where: Path) -> None:
    screen = (where / "screen.txt").read_text()
    for words in ("documents", "kept", "target", "realised", "shards", "manifest", "report.html", "me-llama-129b"):
        assert words in screen


def test_every_plant_met_its_fate(documents: dict[str, Row], truth: dict[str, Any]) -> None:
    def fate(doc_id: str) -> str:
        return str(documents[doc_id]["fate"])

    for pair in truth["exact_duplicates"]:
        assert sorted(map(fate, pair)) == ["dedup.exact", "kept"], pair
    for pair in truth["near_duplicates"]:
        assert sorted(map(fate, pair)) == ["dedup.near_duplicate", "kept"], pair
    for pair in truth["dose_variants"]:
        assert list(map(fate, pair)) == ["kept", "kept"], pair
    for abstract, article in truth["abstract_full_text"]:
        assert fate(abstract) == "dedup.abstract_of_full_text", abstract
        assert fate(article) == "kept", article
    for doc_id in truth["french"]:
        assert fate(doc_id) == "language.not_allowed", doc_id
    for doc_id in truth["stubs"]:
        assert fate(doc_id) == "quality.too_few_words", doc_id
    for doc_id in truth["benchmark"]:
        assert fate(doc_id).startswith("decontaminate."), doc_id
    for doc_id in truth["identifiers"]:
        assert fate(doc_id) == "phi.direct_identifier", doc_id
    for pmid in truth["deleted_pmids"]:
        assert f"pubmed:{pmid}" not in documents


def test_retracted_articles_never_reach_the_shards(documents: dict[str, Row], truth: dict[str, Any]) -> None:
    for doc_id in truth["retracted"]:
        # PMC's bucket says it before the article is fetched: then it never became a document.
        assert doc_id not in documents or documents[doc_id]["fate"] == "source.retracted"


def test_broken_items_are_put_aside_with_their_reason(build: Store, truth: dict[str, Any]) -> None:
    rows = pq.read_table(build.local("manifest/quarantine.parquet")).to_pylist()
    aside = {(row["source"], row["item"]) for row in rows}
    for source, items in truth["broken_items"].items():
        for item in items:
            assert any(found == source and (item in name or name in item) for found, name in aside), (source, item)
    assert all(row["detail"] for row in rows)


def test_identifiers_are_in_no_file_a_person_or_a_trainer_reads(
    where: Path, build: Store, truth: dict[str, Any]
) -> None:
    stored = [string.encode() for strings in truth["identifiers"].values() for string in strings]
    for path in [*(where / "build" / "stages").rglob("*"), *build.local().rglob("*")]:
        # Raw payloads hold them by nature; prepared text does not, for the document was dropped.
        if path.is_file() and path.suffix != ".parquet":
            content = path.read_bytes()
            assert not [string for string in stored if string in content], path
    tokenizer = load_recipe("sample").tokenizer
    encoder = Encoder(str(resolve_path(tokenizer.file)), bos=True, eos=True)
    shards = open_shards(build.local("shards"))
    text = "\n".join(encoder.decode(shards[i].input_ids) for i in range(len(shards)))
    assert not [string for string in stored if string.decode() in text]


def test_no_text_of_a_restricted_source_is_in_logs_or_manifest(where: Path, build: Store) -> None:
    raw = where / "build" / "raw" / "mimic-iv-note"
    from scrapers.formats.mimic_csv import NoteRow, rows

    lines: set[str] = set()
    for path in raw.rglob("*.csv.gz"):
        with path.open("rb") as stream:
            for row in rows(stream, compressed=True):
                if isinstance(row, NoteRow):
                    lines.update(line for line in row.text.splitlines() if len(line) > 40)
    assert len(lines) > 100
    told = [*(where / "build" / "stages").glob("*/*/logs/*"), *(where / "build" / "stages").glob("*/*/stats/*")]
    told += [build.local("report.html"), build.local("corpus.json"), *build.local("manifest").glob("*.json*")]
    for path in told:
        content = path.read_text()
        assert not [line for line in lines if line in content], path


def test_whatever_may_hold_restricted_text_lies_in_folders_of_its_owner_alone(where: Path, build: Store) -> None:
    root = where / "build"
    private = [root / "raw" / "mimic-iv-note" / "sample", build.local()]
    private += [*(root / "stages").glob("*/mimic-iv-note@*"), *(root / "stages").glob("*/all@*")]
    assert len(private) >= 8
    for folder in private:
        assert folder.stat().st_mode & 0o777 == 0o700, folder
    written = [path for folder in private for path in folder.rglob("*.*") if path.suffix in (".parquet", ".arrow")]
    written += [path for path in private[0].iterdir() if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}


def test_the_shares_are_15_to_1_to_4_within_their_bound(build: Store) -> None:
    mixture = build.read_json("manifest/mixture.json")
    shares = {group["group"]: group for group in mixture["groups"]}
    for name, weight in (("biomedical", 15), ("clinical", 1), ("general", 4)):
        assert shares[name]["target_share"] == pytest.approx(weight / 20, abs=1e-5)
    for row in mixture["sources"]:
        assert abs(row["error_tokens"]) <= row["bound_tokens"], row["source"]
        assert row["epochs"] <= row["max_epochs"]
    assert build.read_json("corpus.json")["totals"]["rows"] >= 1200


def test_every_token_of_every_document_is_stored_epochs_times(build: Store, documents: dict[str, Row]) -> None:
    stored: Counter[int] = Counter()
    for row in open_shards(build.local("shards")):
        lengths = np.diff(row.doc_ends, prepend=0)
        for key, length in zip(row.doc_key.tolist(), lengths.tolist(), strict=True):
            stored[key] += length
    wanted = {row["doc_key"]: row["n_tokens"] * row["epochs"] for row in documents.values() if row["epochs"]}
    assert dict(stored) == wanted


def test_training_reads_every_token_of_every_source_once(build: Store) -> None:
    index = build.read_json("shards/index.json")
    seen: Counter[str] = Counter()
    for rank in range(2):
        for batch in batches(build.local("shards"), rows_per_batch=16, rank=rank, world_size=2):
            assert batch.input_ids.shape[1] == index["sequence_length"]
            for source, segments in zip(batch.source.tolist(), batch.segment_ids, strict=True):
                if source >= 0:
                    seen[index["sources"][source]] += int((segments > 0).sum())
    stored = index["totals"]["tokens_by_source"]
    rows = index["schedule"]["rows"]
    for source in index["sources"]:
        # The last token of a full row is a target only.
        assert stored[source] - rows[source] <= seen[source] <= stored[source]


def test_a_patient_or_a_cluster_is_in_one_split(documents: dict[str, Row]) -> None:
    splits: dict[str, set[str]] = {}
    for row in documents.values():
        if row["split"] and (unit := row["subject"] or row["cluster_key"]):
            splits.setdefault(unit, set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    by_source = Counter(row["source"] for row in documents.values() if row["split"] == "validation")
    assert set(by_source) == {row["source"] for row in documents.values()}


def test_a_second_run_skips_everything_and_changes_nothing(where: Path, build: Store) -> None:
    before = {path: path.stat().st_mtime_ns for path in build.local().rglob("*") if path.is_file()}
    medtrove("build", "sample", "--offline", cwd=where)
    after = {path: path.stat().st_mtime_ns for path in build.local().rglob("*") if path.is_file()}
    assert after == before
    lines = json.loads(medtrove("plan", "sample", "--json", cwd=where).stdout)["stages"]
    assert {line["action"] for line in lines} == {"skip"}


def test_the_curators_doors_answer_in_json(where: Path, truth: dict[str, Any]) -> None:
    doc_id = truth["near_duplicates"][0][0]
    assert json.loads(medtrove("explain", doc_id, "--json", cwd=where).stdout)["doc_id"] == doc_id
    for side in ("sources", "mix", "licences", "drops", "phi", "dedup", "removed", "stages"):
        assert json.loads(medtrove("show", side, "--json", cwd=where).stdout)
    listed = json.loads(medtrove("list", "--source", "cps", "--limit", "5", "--json", cwd=where).stdout)
    assert len(listed["documents"]) == 5 < listed["matching"]
    assert all(check["ok"] for check in json.loads(medtrove("verify", "--fast", "--json", cwd=where).stdout))
    assert Path(where, json.loads(medtrove("report", "--json", cwd=where).stdout)["report"]).exists()
    assert all(check["ok"] for check in json.loads(medtrove("verify", "--json", cwd=where).stdout))
    unknown = medtrove("explain", "cps:no-such", cwd=where, code=2)
    assert "cps:no-such" in unknown.stderr
    assert "Traceback" not in unknown.stderr


def test_documents_of_every_source_are_read_again_from_their_captures(build: Store, documents: dict[str, Row]) -> None:
    again = Rereading(build)
    seen: Counter[str] = Counter()
    for row in documents.values():
        seen[row["source"]] += 1
        if seen[row["source"]] <= 3 or row["fate"] != "kept":
            assert again.replay(row).differences == (), row["doc_id"]
    aside = pq.read_table(build.local("manifest/quarantine.parquet")).to_pylist()
    captured = [row for row in aside if row["raw_ref"]]
    assert captured
    for row in captured:
        made = answer(build, f"{row['source']}:{row['item']}", what="raw", allowed=True)
        assert made.facts["payload"]["sha256"] == row["raw_ref"]


def test_a_lie_is_found_and_exits_1(where: Path, tmp_path: Path, build: Store) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(build.local(), copy)
    shard = sorted(copy.glob("shards/*.arrow"))[0]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    done = medtrove("verify", "--build", str(copy), cwd=where, code=1)
    assert "FAILED" in done.stdout


def test_versions_of_a_guideline_are_on_one_side_of_the_split(documents: dict[str, Row], truth: dict[str, Any]) -> None:
    (pair,) = truth["versions"]
    versions = [documents[doc_id] for doc_id in pair]
    assert [one["fate"] for one in versions] == ["kept", "kept"]
    # No likeness joins them, and the later one alone has the least hash of its source: it would be validated on, while
    # what it replaced is trained on.
    assert {one["cluster_key"] for one in versions} == {""}
    assert {one["document_status"] for one in versions} == {"current", "superseded"}
    assert {one["split"] for one in versions} == {"train"}
    assert len({one["unit"] for one in versions}) == 1
