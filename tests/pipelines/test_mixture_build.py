"""Buckets, stages, a timeline and held-out shares of their own, from the recipe to shards that prove them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from manifests.build import mixture
from manifests.build import recipe as recipe_of
from manifests.least_rows import PackedLengths
from manifests.show import show
from manifests.store import Store
from manifests.subsources import bucket_edges, buckets_of
from manifests.verify import verify
from mixing.shards import open_shards
from pipelines import passes
from pipelines.build import latest_build, run_build
from pipelines.display import PlainDisplay
from pipelines.plan import Plan
from pipelines.recipe import load_recipe, recipe_path

SOURCES = {
    "magic": 'buckets = { score = "relevance.fasttext", edges = [0.5], weights = [1, 2], unscored = 1.5 }\n',
    "mimic-iv-note": 'pack = "timeline"\nvalidation_fraction = 0.1\n',
    "redpajama": 'buckets = { score = "relevance.fasttext", edges = [0.01, 0.2], weights = [1, 2, 3] }\n',
}
MIXTURE = """
[mixture]
sequence_length = 512
total_tokens = 260000
seed = 17
rows_per_shard = 128

[mixture.groups.biomedical]
sources = ["magic"]
[mixture.groups.clinical]
sources = ["mimic-iv-note"]
[mixture.groups.general]
sources = ["redpajama"]

[[mixture.stages]]
until = 0.6
shares = { biomedical = 3, clinical = 1, general = 8 }
[[mixture.stages]]
until = 1.0
shares = { biomedical = 2, clinical = 3, general = 0 }
anneal = true
"""
MOMENTS = ("stages/tokenize/*/blocks/*", "stages/fraction/*/counted/*/*", "builds/*/shards/*.arrow")
"""What lies there when a run is killed; the paths have a temporary name while they are written."""


def recipe(folder: Path) -> str:
    """The sample's recipe with three of its sources and a mixture of every kind of part."""
    text = recipe_path("sample").read_text()
    head, rest = text.split("[sources.cps]")
    rules = "[[rules]]" + rest.split("[[rules]]", 1)[1].split('[[rules]]\nrule = "clean.boilerplate"', 1)[0]
    rules += (
        '[[rules]]\nrule = "relevance.fasttext"\nparameters = { threshold = 0.0 }\nsources = ["magic", "redpajama"]\n'
    )
    rules += '[[rules]]\nrule = "phi.check"\n[dedup]\n[tokenizer]\nfile = "package://scrapers/sample/tokenizer.json"\n'
    sources = "".join(
        f'[sources.{name}]\npermission = "ours"\nsnapshot = "sample"\nmax_epochs = 12\n{more}'
        f"options = {{ delay_seconds = 0.02{', min_expected = 15' if name == 'magic' else ''} }}\n"
        for name, more in SOURCES.items()
    )
    path = folder / "mixture-recipe.toml"
    path.write_text(head.replace('name = "sample"', 'name = "every-kind"') + sources + rules + MIXTURE)
    return str(path)


def start(recipe: str, cwd: Path, workers: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pipelines.cli", "build", recipe, "--workers", str(workers)]
    return subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(recipe: str, cwd: Path, workers: int) -> Store:
    running = start(recipe, cwd, workers)
    output = running.communicate(timeout=900)[0]
    assert running.returncode == 0, output
    return latest_build(Store(cwd / "build"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Store:
    where = tmp_path_factory.mktemp("mixture")
    return finish(recipe(where), where, 2)


@pytest.fixture(scope="module")
def documents(built: Store) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(built.local("manifest/documents.parquet")).to_pylist()
    return rows


def notes_of(out: Path) -> dict[int, tuple[str, str, int]]:
    """(patient, day, key) of every note, by key."""
    found = {}
    for path in out.glob("stages/prepare/mimic-iv-note@*/text/*.parquet"):
        for row in pq.read_table(path, columns=["doc_key", "subject", "published"]).to_pylist():
            found[row["doc_key"]] = (row["subject"], row["published"], row["doc_key"])
    return found


def test_it_holds_what_it_says(built: Store) -> None:
    checks = verify(built)
    assert [check for check in checks if not check.ok] == []
    names = {check.name for check in checks}
    assert {"mixture.copies", "mixture.padding", "mixture.rows", "mixture.windows", "documents.units"} <= names


def test_each_bucket_has_its_weight_and_copies_differ_by_one(built: Store, documents: list[dict[str, Any]]) -> None:
    mixed = {row["source"]: row for row in built.read_json("manifest/mixture.json")["sources"]}
    epochs: defaultdict[str, set[int]] = defaultdict(set)
    for row in documents:
        if row["source"] == "redpajama" and row["split"] == "train":
            bucket = int(buckets_of([row["score"]], [0.01, 0.2])[0])
            epochs[f"redpajama/{bucket}"].add(row["epochs"])
    assert set(epochs) == {"redpajama/0", "redpajama/1", "redpajama/2"}
    base = mixed["redpajama/0"]["target_tokens"] / mixed["redpajama/0"]["unique_tokens"]
    for number, weight in enumerate((1, 2, 3)):
        row = mixed[f"redpajama/{number}"]
        assert row["target_tokens"] / row["unique_tokens"] == pytest.approx(base * weight, rel=1e-3)
        assert max(epochs[row["source"]]) - min(epochs[row["source"]]) <= 1
        assert (row["min_copies"], row["max_copies"]) == (min(epochs[row["source"]]), max(epochs[row["source"]]))


def test_rows_name_the_bucket_and_stages_are_followed(built: Store) -> None:
    shards = open_shards(built.local("shards"))
    rows = [shards[i] for i in range(len(shards))]
    names = np.array(shards.sources)[[row.source for row in rows]]
    groups = np.array([name.partition("/")[0] for name in names])
    tokens = np.array([row.doc_ends[-1] for row in rows])
    progress = np.cumsum(tokens) / tokens.sum()

    def share(group: str, begin: float, end: float) -> float:
        inside = (progress > begin) & (progress <= end)
        return float(tokens[inside & (groups == group)].sum() / tokens[inside].sum())

    for group, wanted in (("magic", 3 / 12), ("mimic-iv-note", 1 / 12), ("redpajama", 8 / 12)):
        assert share(group, 0.0, 0.6) == pytest.approx(wanted, abs=0.015)
    # The last tenth: redpajama falls from a sixth to nothing, notes rise from 0.4958 to 0.6.
    assert share("redpajama", 0.9, 1.0) == pytest.approx(1 / 12, abs=0.03)
    assert share("mimic-iv-note", 0.9, 1.0) == pytest.approx(0.535, abs=0.03)
    assert {"redpajama/2", "magic/1"} <= set(names.tolist())
    assert open_shards(built.local("validation")).sources == list(SOURCES)


def test_a_patients_notes_follow_each_other_in_time(built: Store, documents: list[dict[str, Any]]) -> None:
    times = notes_of(built.local("").parent.parent)
    shards = open_shards(built.local("shards"))
    number = shards.sources.index("mimic-iv-note")
    together = inside = 0
    for i in range(len(shards)):
        if shards[i].source != number:
            continue
        row = [times[key] for key in shards[i].doc_key.tolist()]
        for before, after in pairwise(row):
            together += before[0] == after[0]
            if before[0] == after[0]:
                assert before < after, "notes of one patient stand in time order"
                inside += 1
    assert together == inside > 5


@pytest.fixture(scope="module")
def in_blocks(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The same corpus with blocks of 8 kB: as a source of many gigabytes is cut."""
    where = tmp_path_factory.mktemp("blocks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "BLOCK_BYTES", 8192)
        plan = Plan(load_recipe(recipe(where)), Store(where / "build"), base=where)
        result = run_build(plan, workers=2, display=PlainDisplay(Console(quiet=True)))
    assert result.failed_checks == []
    return result.build


def test_a_patient_is_in_one_block_in_time_order(in_blocks: Store, built: Store) -> None:
    out = in_blocks.local("").parent.parent
    of = notes_of(out)
    blocks = sorted(out.glob("stages/tokenize/mimic-iv-note@*/tokens/train-*.parquet"))
    assert len(blocks) > 4
    homes: defaultdict[str, set[int]] = defaultdict(set)
    for number, path in enumerate(blocks):
        keys = pq.read_table(path)["doc_key"].to_pylist()
        for subject, notes in groupby((of[key] for key in keys), key=lambda note: note[0]):
            assert number not in homes[subject], "a patient's notes are neighbours"
            homes[subject].add(number)
            assert list(notes) == sorted(note for note in of.values() if note[0] == subject and note[2] in keys)
    assert all(len(home) == 1 for home in homes.values())
    assert sum(1 for note in of.values() if note[0] in homes) > len(homes) > 5
    # The documents, their tokens and how often each comes are those of one block.
    columns = ["doc_id", "n_tokens", "epochs", "split"]
    tables = [pq.read_table(one.local("manifest/documents.parquet"), columns=columns) for one in (in_blocks, built)]
    assert tables[0].equals(tables[1])


def test_what_fits_into_a_row_of_a_patients_notes_shares_one_in_every_pass(in_blocks: Store) -> None:
    """Placed again from the lengths alone: notes in time order share a row until the next one does not fit."""
    of = notes_of(in_blocks.local("").parent.parent)
    lengths: dict[tuple[int, int], int] = defaultdict(int)
    places: defaultdict[tuple[int, int], set[tuple[int, int]]] = defaultdict(set)
    starts: dict[tuple[int, int], int] = {}
    for row in pq.read_table(in_blocks.local("manifest/placements.parquet")).to_pylist():
        if row["doc_key"] in of:
            key = (row["epoch"], row["doc_key"])
            lengths[key] += row["length"]
            places[key].add((row["shard"], row["row"]))
            starts[key] = row["start"]
    assert len({epoch for epoch, _ in lengths}) > 1
    shared = 0
    in_time = sorted(lengths, key=lambda key: (key[0], of[key[1]]))
    for _, notes in groupby(in_time, key=lambda key: (key[0], of[key[1]][0])):
        filled = 0
        before: tuple[int, int] | None = None
        for key in notes:
            if before is not None and filled + lengths[key] <= 513:
                assert places[key] == places[before], "it fits beside the note before it"
                assert starts[key] == starts[before] + lengths[before]
                shared += 1
                filled += lengths[key]
            else:
                filled = lengths[key]
            before = key
    assert shared > 5


def test_the_least_rows_are_counted_again_from_the_documents_of_every_block(in_blocks: Store) -> None:
    """With one row too many stated the bound of padding would be wider: buckets, blocks and partial passes tell."""
    stated = mixture(in_blocks)
    edges = bucket_edges(recipe_of(in_blocks))
    tokens = stated["row_tokens"]
    for row in stated["sources"]:
        name, timeline = row["source"], row["source"] == "mimic-iv-note"
        lengths = PackedLengths(in_blocks, stated, edges)
        assert row["blocks_per_pass"] > 1
        assert list(lengths.lies(name, tokens, timeline=timeline)) == []
        row["least_rows"] += 1
        assert len(list(lengths.lies(name, tokens, timeline=timeline))) == (not timeline)
        row["least_rows"] -= 1
        row["blocks"] += 1
        assert len(list(lengths.lies(name, tokens, timeline=timeline))) == 1
        row["blocks"] -= 1


def test_patients_are_on_one_side_and_every_source_is_held_out(documents: list[dict[str, Any]]) -> None:
    sides: defaultdict[str, set[str]] = defaultdict(set)
    for row in documents:
        if row["fate"] == "kept" and row["subject"]:
            sides[row["subject"]].add(row["split"])
    assert all(len(side) == 1 for side in sides.values())
    assert {"train", "validation"} <= set().union(*sides.values())
    held_out = {row["source"] for row in documents if row["split"] == "validation"}
    assert held_out == set(SOURCES)


def test_show_mix_has_every_figure_beside_its_bound(built: Store) -> None:
    mixture, proofs, groups = show(built, "mix")["tables"]
    assert [row["source"] for row in mixture["rows"]] == [row["source"] for row in proofs["rows"]]
    for row in mixture["rows"]:
        assert abs(row["error_tokens"]) <= row["bound_tokens"]
    for row in proofs["rows"]:
        assert 0 <= row["padding"] <= row["padding_bound"]
        assert row["window_rows_off"] <= row["window_bound"]
        assert row["max_copies"] - row["min_copies"] <= 1
    assert "Dropped tokens: 0." in proofs["note"]
    assert [row["group"] for row in groups["rows"]] == ["biomedical", "clinical", "general"]


def test_killed_at_every_pass_one_worker_makes_the_same_bytes(built: Store, tmp_path: Path) -> None:
    path = recipe(tmp_path)
    for moment in MOMENTS:
        running = start(path, tmp_path, 1)
        until = time.monotonic() + 300
        while running.poll() is None and time.monotonic() < until and not any((tmp_path / "build").glob(moment)):
            time.sleep(0.01)
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        assert any((tmp_path / "build").glob(moment)), f"the run came to {moment}"
    again = finish(path, tmp_path, 1)
    outside = "manifest/run.jsonl"
    assert {name: again.sha256(name) for name in again.files() if name != outside} == {
        name: built.sha256(name) for name in built.files() if name != outside
    }
