"""A restricted source of which nothing can be read: the build is restricted all the same, and its books close."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from manifests.build import corpus
from manifests.store import Store
from scrapers.sample.literature import abstract
from scrapers.sample.medline_xml import medline_file


def test_a_build_whose_notes_cannot_be_read_verifies(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "pubmed.xml").write_bytes(medline_file([abstract(7, n) for n in range(60)]))
    (given / "notes.csv").write_text('note_id,subject_id,text\n1,2,"Pt Mary Smithson BP <120 mmHg\n', encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pipelines.cli",
        "build",
        "local-files",
        str(given),
        "--out",
        str(tmp_path / "out"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "all hold" in ended.stdout
    (build,) = (tmp_path / "out" / "builds").iterdir()
    assert corpus(Store(build))["restricted"]
    assert "Smithson" not in ended.stdout + ended.stderr
    kept = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and b"Smithson" in path.read_bytes()]
    assert kept == []
