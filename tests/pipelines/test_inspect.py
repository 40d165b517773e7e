"""medtrove inspect and export: a row as a trainer is given it, the shards for other trainers, and nothing leaked."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from manifests.store import Store
from mixing.reader import Shards, open_shards
from mixing.rows import Rows
from mixing.shards import write_folder_files, write_shard
from pipelines.build import latest_build
from pipelines.inspected import Place, lines, row_facts

PLANTED = "Quillfeather"
WORDS = """
adult child kidney liver heart lung pressure glucose sodium potassium aspirin metformin ramipril warfarin insulin
clinic hospital nurse doctor family morning evening week month winter summer breath sleep pain fever cough weight
height blood urine sample result letter record plan visit question answer reason change help risk benefit harm choice
"""


DOC_ID = re.compile("local-[a-z]+:")
SMALL = "the of and to that was with not for in be have"


def medtrove(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def prose(seed: int, n_sentences: int) -> str:
    """Invented sentences, none like another."""
    draw, words, small = random.Random(seed), WORDS.split(), SMALL.split()
    made = []
    for _ in range(n_sentences):
        some = " ".join(f"{draw.choice(small)} {draw.choice(words)}" for _ in range(draw.randint(6, 14)))
        made.append(f"The {some} at {draw.randint(2, 900)} mg/L.")
    return "\n\n".join(" ".join(made[i : i + 5]) for i in range(0, len(made), 5))


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An open corpus with documents of several rows, and, beside it, one with a note."""
    folder = tmp_path_factory.mktemp("inspect")
    for name in ("open", "closed"):
        (folder / name / "own").mkdir(parents=True)
        rows = [{"id": f"d{i}", "text": prose(i, n)} for i, n in enumerate([*range(20, 60), 700, 900])]
        content = "".join(json.dumps(row) + "\n" for row in rows[: None if name == "open" else 12])
        (folder / name / "own" / "plain.jsonl").write_text(content)
    note = f'1,7,"Name:   ___\n\nSeen by Dr {PLANTED} for {prose(99, 20)}"'
    (folder / "closed" / "own" / "notes.csv").write_text(f"note_id,subject_id,text\n{note}\n")
    for name in ("open", "closed"):
        medtrove("build", "local-files", "own", cwd=folder / name)
    return folder


@pytest.fixture(scope="module")
def shards(where: Path) -> Shards:
    return open_shards(latest_build(Store(where / "open" / "build")).sub("shards"))


def test_a_row_is_told_document_by_document(where: Path, shards: Shards) -> None:
    cut = next(i for i, row in enumerate(shards) if row.continues)
    found = json.loads(medtrove("inspect", "0", str(cut), "--json", cwd=where / "open").stdout)
    row = shards[cut]
    assert [one["end"] for one in found["documents"]] == row.doc_ends.tolist()
    assert [one["doc_key"] for one in found["documents"]] == row.doc_key.tolist()
    assert found["source"] == shards.sources[row.source]
    assert (found["tokens"], found["padding"]) == (row.n_tokens, shards.row_tokens - row.n_tokens)
    assert found["documents"][0]["begins"] is False
    assert all(one["doc_id"].startswith("local-") for one in found["documents"])


def test_the_pieces_of_a_document_lead_to_each_other_and_are_its_text(where: Path, shards: Shards) -> None:
    build = latest_build(Store(where / "open" / "build"))
    place = Place(build, shards, 0)
    facts = [row_facts(place, i) for i in range(len(shards))]
    texts: dict[str, str] = {}
    for row in facts:
        for one in row["documents"]:
            if not one["begins"]:
                continue
            parts, at = [one], row
            while parts[-1]["to"]:
                there = parts[-1]["to"]
                assert there["file"] == place.file
                following = facts[there["row"]]["documents"][0]
                assert following["from"] == {"file": place.file, "row": at["row"]}
                at = facts[there["row"]]
                parts.append(following)
            assert sum(part["end"] - part["start"] for part in parts) == one["document_tokens"]
            texts[one["doc_id"]] = "".join(piece["text"] for part in parts for piece in part["parts"])
    kept = {name: medtrove("text", name, cwd=where / "open").stdout.strip() for name in sorted(texts)[-4:]}
    for name, text in kept.items():
        assert text in texts[name]
    longest = max(texts, key=lambda name: len(texts[name]))
    assert medtrove("text", longest, cwd=where / "open").stdout.strip() in texts[longest]
    assert sum(row["tokens"] for row in facts) == shards.index["totals"]["tokens"]
    assert any(not one["begins"] and one["to"] for row in facts for one in row["documents"])


def test_the_screen_holds_a_row_and_the_file_all_of_it(where: Path, shards: Shards) -> None:
    cut = next(i for i, row in enumerate(shards) if row.continues)
    done = medtrove("inspect", "0", str(cut), cwd=where / "open")
    assert len(done.stdout.splitlines()) <= 24 + 2 * len(shards[cut].doc_ends)
    assert "more" in done.stdout
    assert "goes on in" in done.stdout or "from shard-" in done.stdout
    path = where / "row.txt"
    medtrove("inspect", str(shards.folder / "shard-00000.arrow"), str(cut), "--output", str(path), cwd=where)
    assert len(path.read_text()) > 3 * len(done.stdout)
    assert "RESTRICTED" not in path.read_text()


def test_a_shard_at_a_glance_and_its_validation(where: Path, shards: Shards) -> None:
    found = json.loads(medtrove("inspect", "0", "--json", cwd=where / "open").stdout)
    record = shards.index["shards"][0]
    assert {one["source"]: one["tokens"] for one in found["sources"]} == record["tokens"]
    assert found["rows"] * found["row_tokens"] == found["tokens"] + found["padding"]
    held_out = next((shards.folder.parent / "validation").glob("*.arrow"))
    assert "validation" in medtrove("inspect", str(held_out), "0", cwd=where).stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["9"], "there is no shard 9"),
        (["0", "100000"], "there is no row 100,000"),
        (["shard-00000.arrow"], "no readable index.json"),
        (["0", "0", "--tokenizer", "build/latest"], "not the tokenizer"),
        (["0", "0", "--tokenizer", "no.json"], "is not there"),
    ],
)
def test_what_cannot_be_shown_is_a_sentence(where: Path, arguments: list[str], says: str) -> None:
    done = medtrove("inspect", *arguments, cwd=where / "open", code=2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_restricted_rows_go_to_a_file_of_their_reader_alone(where: Path) -> None:
    folder = where / "closed"
    shards = open_shards(latest_build(Store(folder / "build")).sub("shards"))
    assert shards.restricted
    assert len(shards) > 1
    for arguments in ([], ["--output", "x"], ["--include-restricted", "--json"]):
        done = medtrove("inspect", "0", "0", *arguments, cwd=folder, code=2)
        assert "kidney" not in done.stdout + done.stderr
        assert not DOC_ID.search(done.stdout + done.stderr)
    assert not (folder / "x").exists()
    (folder / "all.txt").write_text("as others may read")
    (folder / "all.txt").chmod(0o644)
    seen = ""
    for row, more in enumerate(([], ["--json"])):
        path = folder / ("row.json" if more else "all.txt")
        done = medtrove("inspect", "0", str(row), *more, "--include-restricted", "--output", str(path), cwd=folder)
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_text().startswith("RESTRICTED")
        assert "kidney" not in done.stdout + done.stderr
        assert not DOC_ID.search(done.stdout + done.stderr)
        seen += path.read_text()
    assert DOC_ID.search(seen)
    # The glance has counts alone.
    assert not DOC_ID.search(medtrove("inspect", "0", cwd=folder).stdout)


def test_learned_text_is_marked(where: Path, shards: Shards, tmp_path: Path) -> None:
    mask = np.zeros((1, shards.row_tokens), dtype=np.uint8)
    ends = shards[0].doc_ends
    mask[0, 3 : int(ends[0])] = 1
    picked = shards.rows([0])
    rows = Rows(
        picked.input_ids, picked.offsets, picked.doc_ends, picked.doc_key, picked.continues, picked.source, mask
    )
    with Store(tmp_path).writing("shard-00000.arrow") as stream:
        record = write_shard(
            stream,
            [rows],
            file="shard-00000.arrow",
            sources=shards.sources,
            row_tokens=shards.row_tokens,
            dtype=shards.dtype,
            loss_mask=True,
        )
    write_folder_files(
        Store(tmp_path),
        [record],
        sources=shards.sources,
        sequence_length=shards.sequence_length,
        dtype=shards.dtype,
        tokenizer=shards.index["tokenizer"],
        schedule={"kind": "by source"},
        restricted=False,
        loss_mask=True,
    )
    found = row_facts(Place(latest_build(Store(where / "open" / "build")), open_shards(tmp_path), 0), 0)
    first = found["documents"][0]
    assert first["learned_tokens"] == int(ends[0]) - 3
    assert [(one["start"], one["end"], one["learned"]) for one in first["parts"]] == [
        (0, 3, False),
        (3, int(ends[0]), True),
    ]
    told = "\n".join(lines(found))
    assert f"⟦{first['parts'][1]['text']}⟧" in told
    assert "is learned" in told


def test_exports_close_their_counts_and_restricted_builds_are_refused(where: Path, shards: Shards) -> None:
    totals = shards.index["totals"]
    for arguments in (["megatron"], ["megatron", "--by-source"], ["mds"], ["megatron", "--validation"]):
        output = where / "_".join(arguments)
        done = medtrove("export", *arguments, "--output", str(output), cwd=where / "open")
        facts: dict[str, Any] = json.loads((output / "export.json").read_bytes())
        if "--validation" not in arguments:
            assert facts["tokens"] == totals["tokens"]
            assert (
                Counter({name: one["tokens"] for name, one in facts["sources"].items()}) == totals["tokens_by_source"]
            )
        assert f"{facts['tokens']:,} tokens" in done.stdout
        assert facts["build"]["fingerprint"] in str(shards.folder)
        assert facts["tokenizer"]["sha256"] == shards.index["tokenizer"]["sha256"]
    for arguments in (["megatron"], ["mds"], ["mds", "--validation"]):
        done = medtrove("export", *arguments, "--output", "no", cwd=where / "closed", code=2)
        assert "restricted" in done.stderr
        assert not (where / "closed" / "no").exists()
