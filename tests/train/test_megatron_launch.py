"""The launch file for Megatron-LM: MediTron's published layout, as bash starts it."""

from __future__ import annotations

import os
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tiny_shards import tiny_shards

from manifests.errors import RecipeError
from mixing.reader import open_shards
from pipelines.export_command import _launch
from train.architecture import architecture_of
from train.config import load_config
from train.megatron_launch import launch_text

GOLDEN = Path(__file__).parent / "golden" / "meditron-70b.launch.sh"
INDEX: dict[str, Any] = {"totals": {"tokens": 48_100_000_000}, "split": "train"}


def text(preset: str, *, by_source: bool = False) -> str:
    config = load_config(preset)
    return launch_text(config, architecture_of(config), INDEX, by_source=by_source)


def test_meditron_70b_is_launched_as_published() -> None:
    found = text("meditron-70b")
    assert found == GOLDEN.read_text(encoding="utf-8")
    # 48.1B tokens in 512 rows of 4,096: the seed's 23,000 iterations, within 0.3 %.
    assert "--train-iters 22935" in found


def test_bash_hands_every_argument_to_megatron_once(tmp_path: Path) -> None:
    launcher = tmp_path / "torchrun"
    launcher.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    launcher.chmod(0o755)
    folder = tmp_path / "an export's folder"
    folder.mkdir()
    (folder / "launch.sh").write_text(text("meditron-70b", by_source=True))
    names = ("MEGATRON", "TOKENIZER", "LOAD", "SAVE", "MASTER_ADDR")
    given = {name: f"/a place/{name}" for name in names} | {"NODES": "16", "NODE_RANK": "3"}
    environment = {**os.environ, **given, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", str(folder / "launch.sh")]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()
    assert said[:4] == ["--nnodes=16", "--nproc-per-node=8", "--node-rank=3", "--master-addr=/a place/MASTER_ADDR"]
    options = [word for word in said if word.startswith("--")]
    assert len(options) == len(set(options))
    value = dict(pairwise(said))
    assert value["--tensor-model-parallel-size"] == "8"
    assert value["--pipeline-model-parallel-size"] == "8"
    assert value["--data-args-path"] == f"{folder}/data-args.txt"
    assert value["--tokenizer-model"] == "/a place/TOKENIZER"
    assert value["--load"] == "/a place/LOAD"
    assert "--finetune" in said
    done = subprocess.run(command, env=environment | {"NODES": "15"}, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "needs 128 GPUs" in done.stderr


def test_the_7b_has_its_own_layout_and_no_grouped_heads() -> None:
    found = text("meditron-7b")
    assert "--tensor-model-parallel-size 4 --pipeline-model-parallel-size 1 " in found
    assert "--num-query-groups" not in found
    assert "--lr 0.0003 --min-lr 1e-06 --lr-decay-style cosine --lr-warmup-iters 2000" in found


def test_a_preset_without_a_layout_is_refused() -> None:
    with pytest.raises(RecipeError, match="no layout for Megatron"):
        text("mellama-70b")


def test_the_export_takes_tokens_from_the_shards_and_refuses_rows_of_another_length(tmp_path: Path) -> None:
    shards = open_shards(tiny_shards(tmp_path, rows=1700, length=2048, sources=("a",)))
    steps = (shards.index["totals"]["tokens"] - 1) // 2048 // 1600
    assert f"--train-iters {steps} " in _launch("meditron-7b", shards, by_source=False).replace("\n", " ")
    with pytest.raises(RecipeError, match="4,096"):
        _launch("meditron-70b", shards, by_source=False)
