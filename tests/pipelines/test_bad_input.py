"""Bad input: one clear sentence with the fix, the right exit code, and nothing a rerun would trust."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from manifests.store import Store
from pipelines.build import latest_build

NOTE = "The patient was seen in clinic and feels well on the present dose; the plan is to go on as before. "


def medtrove(*arguments: str, cwd: Path, code: int) -> str:
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr.strip()


def test_an_unusable_tokenizer_is_told_before_anything_is_fetched(toy: Any, tmp_path: Path) -> None:
    wrong = toy.folder / "wrong.json"
    wrong.write_text("this is not a tokenizer")
    recipe = toy.recipe(replace=("package://scrapers/sample/tokenizer.json", str(wrong)))
    said = medtrove("build", recipe, cwd=tmp_path, code=2)
    assert "wrong.json" in said
    assert toy.requests == []
    recipe = toy.recipe(replace=("package://scrapers/sample/tokenizer.json", "no/such/tokenizer.json"))
    assert "no/such/tokenizer.json is not there" in medtrove("build", recipe, cwd=tmp_path, code=2)


def test_an_output_folder_that_cannot_be_written_is_named(toy: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = medtrove("build", toy.recipe(), "--out", str(tmp_path / "file" / "build"), cwd=tmp_path, code=2)
    assert "cannot be written" in said
    assert "--out" in said


def test_a_source_that_gives_nothing_is_an_error_and_can_be_corrected(toy: Any, tmp_path: Path) -> None:
    loader = toy.folder / "toy_publisher.py"
    good = loader.read_text()
    loader.write_text(good.replace("a.guideline", "a.renamed-by-the-publisher"))
    said = medtrove("build", toy.recipe(), cwd=tmp_path, code=2)
    assert "the source toy is empty" in said
    loader.write_text(good)
    medtrove("build", toy.recipe(), cwd=tmp_path, code=0)


def test_a_frozen_snapshot_does_not_answer_another_request(toy: Any, tmp_path: Path) -> None:
    medtrove("build", toy.recipe(), cwd=tmp_path, code=0)
    changed = toy.recipe(replace=("delay_seconds = 0.0", "delay_seconds = 0.0, limit = 3"))
    said = medtrove("build", changed, cwd=tmp_path, code=2)
    assert "acquired with other options" in said


def test_offline_says_what_is_missing(toy: Any, tmp_path: Path) -> None:
    said = medtrove("build", toy.recipe(), "--offline", cwd=tmp_path, code=2)
    assert "the snapshots of toy are not complete" in said
    assert "medtrove acquire" in said


def test_reading_commands_without_a_build_say_how_to_make_one(tmp_path: Path) -> None:
    for command in (["show", "mix"], ["verify"], ["explain", "x:1"], ["report"], ["list"]):
        assert "make corpus" in medtrove(*command, cwd=tmp_path, code=2)


def test_local_files_needs_paths_that_exist(tmp_path: Path) -> None:
    assert "needs the files or folders" in medtrove("build", "local-files", cwd=tmp_path, code=2)
    assert "no such file or folder" in medtrove("build", "local-files", "nowhere", cwd=tmp_path, code=2)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "nothing there that any reader knows" in medtrove("build", "local-files", "odd", cwd=tmp_path, code=2)


def test_a_corpus_of_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short.jsonl").write_text(
        '{"id": "a", "text": "Electroencephalographic pseudohypoparathyroidism hyperbetalipoproteinaemia again."}\n'
    )
    assert "no document was kept" in medtrove("build", "local-files", "short.jsonl", cwd=tmp_path, code=1)


def test_damaged_and_hostile_files_are_put_aside_and_the_rest_is_built(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    rows = "".join(f'{{"id": "n{n}", "text": "{NOTE}Day {n} of the treatment."}}\n' for n in range(40))
    (folder / "good.jsonl").write_text(rows)
    packed = gzip.compress(rows.replace('"n', '"m').replace("seen", "met").encode() * 50, mtime=0)
    (folder / "truncated.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    bomb = b'<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx">' + b"".join(
        b'<!ENTITY x%d "&x%s;&x%s;">' % (n, str(n - 1).encode() if n else b"", str(n - 1).encode() if n else b"")
        for n in range(12)
    )
    article = bomb + b"]><article><front/><body><p>&x11;</p></body></article>"
    (folder / "bomb.xml").write_bytes(article)
    with tarfile.open(folder / "escape.tar.gz", "w:gz") as archive:
        inside = b"<article><front/><body><p>Out of the folder.</p></body></article>"
        member = tarfile.TarInfo("../../escape.xml")
        member.size = len(inside)
        archive.addfile(member, io.BytesIO(inside))
    medtrove("build", "local-files", "files", cwd=tmp_path, code=0)
    build = latest_build(Store(tmp_path / "build"))
    aside = {
        row["item"]: row["reason"] for row in pq.read_table(build.local("manifest/quarantine.parquet")).to_pylist()
    }
    reasons = {
        name: next((why for item, why in aside.items() if name in item), "") for name in ("bomb", "escape", "truncated")
    }
    assert reasons["truncated"] == "extract.corrupt"
    assert reasons["bomb"] == "extract.unsafe"
    assert reasons["escape"] == "extract.unsafe"
    fates = pq.read_table(build.local("manifest/documents.parquet"), columns=["doc_id", "fate"]).to_pylist()
    assert sum(row["fate"] == "kept" and ":n" in row["doc_id"] for row in fates) == 40
    assert not (tmp_path / "escape.xml").exists()
