from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from engine_run import ROOT, SMALL
from tiny_shards import tiny_shards

from mixing.reader import open_shards
from train.metrics import read_metrics

pytestmark = pytest.mark.slow


def medtrove(*arguments: str, code: int = 0) -> str:
    """What the command says; its output is in the assertion if it ends otherwise."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-5000:]
    return done.stdout + done.stderr


def settings(folder: Path, *overrides: str) -> list[str]:
    shape = folder / "small.json"
    shape.write_text(json.dumps(SMALL))
    keys = [
        f"model.architecture={shape}",
        "data.sequence_length=64",
        "data.epochs=2",
        "data.seed=3",
        "batch.rows=8",
        "batch.micro_rows=2",
        "optim.lr=1e-2",
        "run.generate=''",
        *overrides,
    ]
    return [part for key in keys for part in ("--set", key)]


def steps_of(run: Path) -> list[dict[str, Any]]:
    return [line for line in read_metrics(run) if line["kind"] == "step"]


def test_every_token_is_consumed_once_an_epoch_and_the_books_say_so(tmp_path: Path) -> None:
    """T6: two ranks, two epochs, 23 rows in steps of 8, so the last step of an epoch is partial."""
    shards = tiny_shards(tmp_path, rows=23, restricted=True)
    run = tmp_path / "run"
    said = medtrove("pretrain", "sample", "--shards", str(tmp_path), "--run", str(run), *settings(tmp_path))
    assert "The books close" in said
    planned = open_shards(shards).index["totals"]["tokens_by_source"]
    consumed = json.loads((run / "consumed.json").read_bytes())
    assert consumed["closed"] is True
    assert [epoch["tokens_by_source"] for epoch in consumed["epochs"]] == [planned, planned]
    steps = steps_of(run)
    assert [(line["epoch"], line["first_row"], line["rows_done"]) for line in steps] == [
        (epoch, begin, min(begin + 8, 23)) for epoch in (0, 1) for begin in (0, 8, 16)
    ]
    assert steps[-1]["tokens"] == 2 * sum(planned.values())
    assert steps[-1]["of_plan"] == dict.fromkeys(planned, 1.0)
    assert steps[-1]["loss"] < steps[0]["loss"]
    first, last = [line for line in read_metrics(run) if line["kind"] == "validation"]
    assert (first["step"], last["step"]) == (0, 6)
    assert first["by_source"].keys() == last["by_source"].keys() == planned.keys()
    assert "Closed: 2 epoch(s), as the shards' index counts them." in medtrove("train", "audit", "--run", str(run))
    # What was trained on restricted shards is restricted.
    for path in [run, *run.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0 or path.name == "__pycache__", path

    # The same command finds the run done, and trains nothing again.
    again = medtrove("pretrain", "sample", "--shards", str(tmp_path), "--run", str(run), *settings(tmp_path))
    assert "Going on from" in again
    assert steps_of(run) == steps


def test_a_run_stopped_early_goes_on_and_is_the_run_it_would_have_been(tmp_path: Path) -> None:
    tiny_shards(tmp_path, rows=23)
    whole, parts = tmp_path / "whole run [1]", tmp_path / "parts"
    given = ["pretrain", "sample", "--shards", str(tmp_path), *settings(tmp_path)]
    said = medtrove(*given, "--run", str(whole))
    assert said.replace("\n", " ").count("whole run [1]") >= 3  # a console takes [1] for its own
    assert f"--run '{whole}'" in said
    stopped = medtrove(*given, "--run", str(parts), "--set", "run.stop_at_tokens=1500")
    assert "Stopped after step" in stopped
    assert "Done" not in stopped
    half = len(steps_of(parts))
    assert 0 < half < 6
    assert json.loads((parts / "consumed.json").read_bytes())["closed"] is False
    assert "rows were consumed" in medtrove("train", "audit", "--run", str(parts), code=1)
    again = medtrove(*given, "--run", str(parts), "--set", "run.stop_at_tokens=1500")
    assert "goes on with a greater run.stop_at_tokens" in again
    assert len(steps_of(parts)) == half
    medtrove(*given, "--run", str(parts))
    keys = ("step", "epoch", "first_row", "loss", "gnorm", "lr", "tokens", "consumed")
    # To the last bit: the same world, from a checkpoint in the middle of an epoch.
    assert [[line[key] for key in keys] for line in steps_of(parts)] == [
        [line[key] for key in keys] for line in steps_of(whole)
    ]
    assert json.loads((parts / "consumed.json").read_bytes()) == json.loads((whole / "consumed.json").read_bytes())


def test_shards_of_another_length_are_refused_before_anything_starts(tmp_path: Path) -> None:
    tiny_shards(tmp_path, rows=3)
    run = tmp_path / "run"
    said = medtrove("pretrain", "sample", "--shards", str(tmp_path), "--run", str(run), code=2)
    assert "rows of 64 tokens, [data] sequence_length is 512" in said
    assert "--set data.sequence_length=64" in said
    assert not run.exists()


def only_sentence(said: str) -> str:
    """What the user is told: one sentence, no stack of anybody's."""
    assert "Traceback" not in said
    assert "torch/distributed" not in said
    (sentence,) = [line for line in said.splitlines() if line.startswith("medtrove: ")]
    return sentence


def test_a_fault_that_all_ranks_find_is_said_once_with_its_own_code(tmp_path: Path) -> None:
    tiny_shards(tmp_path, rows=3)
    given = ["pretrain", "sample", "--shards", str(tmp_path), "--run", str(tmp_path / "run"), *settings(tmp_path)]
    (tmp_path / "small.json").write_text(json.dumps(SMALL | {"max_position_embeddings": 32}))
    said = only_sentence(medtrove(*given, code=2))
    assert "the model takes 32 positions, a row has 64" in said


TORCH = ("parallel.engine=torch", "data.epochs=1")


def test_a_byte_changed_in_the_shards_is_found_before_the_first_step(tmp_path: Path) -> None:
    file = tiny_shards(tmp_path, rows=3) / "shard-00001.arrow"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    run = tmp_path / "run"
    given = ["pretrain", "sample", "--shards", str(tmp_path), "--run", str(run), *settings(tmp_path, *TORCH)]
    assert "shard-00001.arrow: the shard is not the one that index.json names" in only_sentence(
        medtrove(*given, code=2)
    )
    assert not (run / "metrics.jsonl").exists()


def test_a_refused_change_leaves_the_run_s_own_configuration(tmp_path: Path) -> None:
    tiny_shards(tmp_path, rows=3)
    run = tmp_path / "run"
    given = ["pretrain", "sample", "--shards", str(tmp_path), "--run", str(run), *settings(tmp_path, *TORCH)]
    medtrove(*given)
    before = {name: (run / name).read_bytes() for name in ("config.toml", "run.json", "metrics.jsonl")}
    said = only_sentence(medtrove(*given, "--set", "optim.lr=1e-3", code=2))
    assert "optim.lr was 0.01 and is 0.001" in said
    assert {name: (run / name).read_bytes() for name in before} == before


def test_a_model_that_computes_nothing_finite_is_not_trained(tmp_path: Path) -> None:
    tiny_shards(tmp_path, rows=3)
    run = tmp_path / "run"
    given = ["pretrain", "sample", "--shards", str(tmp_path), "--run", str(run), *settings(tmp_path, *TORCH)]
    (tmp_path / "small.json").write_text(json.dumps(SMALL | {"rms_norm_eps": -1.0}))
    assert "the loss on held-out rows is nan at step 0" in only_sentence(medtrove(*given, code=1))
    assert not steps_of(run)


def test_a_family_whose_documents_would_see_each_other_is_not_trained(tmp_path: Path) -> None:
    """Lfm2's convolutions run over the row, whatever attention does."""
    tiny_shards(tmp_path, rows=3)
    run = tmp_path / "run"
    given = ["pretrain", "sample", "--shards", str(tmp_path), "--run", str(run), *settings(tmp_path, *TORCH)]
    shape = SMALL | {"model_type": "lfm2", "layer_types": ["conv", "full_attention"]}
    (tmp_path / "small.json").write_text(json.dumps(shape))
    assert "changes with the document before it" in only_sentence(medtrove(*given, code=2))
    assert not (run / "metrics.jsonl").exists()
    (tmp_path / "small.json").write_text(json.dumps(SMALL | {"model_type": "olmo2"}))
    medtrove(*given)
