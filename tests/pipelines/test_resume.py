"""Interrupted, deleted, more workers, fewer: the bytes are those of an undisturbed run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from manifests.store import Store
from pipelines.build import latest_build

Digests = dict[str, str]


def start(recipe: str, cwd: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pipelines.cli", "build", recipe, *arguments]
    return subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(recipe: str, cwd: Path, *arguments: str) -> Digests:
    running = start(recipe, cwd, *arguments)
    output = running.communicate(timeout=600)[0]
    assert running.returncode == 0, output
    build = latest_build(Store(cwd / "build"))
    return {name: build.sha256(name) for name in build.files() if name != "manifest/run.jsonl"}


def folder(tmp_path: Path, name: str) -> Path:
    made = tmp_path / name
    made.mkdir()
    return made


def test_one_worker_and_two_give_the_same_bytes(toy: Any, tmp_path: Path) -> None:
    recipe = toy.recipe()
    one = finish(recipe, folder(tmp_path, "one"), "--workers", "1")
    two = finish(recipe, folder(tmp_path, "two"), "--workers", "2")
    assert one == two


def test_a_killed_run_continues_to_the_same_bytes(toy: Any, tmp_path: Path) -> None:
    recipe = toy.recipe()
    undisturbed = finish(recipe, folder(tmp_path, "calm"))
    where = folder(tmp_path, "storm")
    draw = random.Random(5)
    for _ in range(4):
        running = start(recipe, where)
        time.sleep(draw.uniform(1.5, 6.0))
        os.kill(running.pid, signal.SIGKILL)
        running.communicate()
    assert finish(recipe, where) == undisturbed


def test_deleted_results_are_made_again(toy: Any, tmp_path: Path) -> None:
    recipe = toy.recipe()
    where = folder(tmp_path, "holes")
    whole = finish(recipe, where)
    build = latest_build(Store(where / "build"))
    build.remove("shards/shard-00001.arrow")
    assert finish(recipe, where) == whole
    for part in ("stages/prepare", "stages/tokenize", "stages/mix"):
        victim = sorted(path for path in (where / "build" / part).rglob("*.parquet"))[0]
        victim.unlink()
    build.remove("corpus.json")
    assert finish(recipe, where) == whole
    shutil.rmtree(where / "build" / "stages")
    build.remove("corpus.json")
    assert finish(recipe, where) == whole


@pytest.mark.slow
def test_the_sample_killed_at_any_moment_ends_with_the_same_bytes(tmp_path: Path) -> None:
    undisturbed = finish("sample", folder(tmp_path, "calm"), "--workers", "2")
    where = folder(tmp_path, "storm")
    draw = random.Random(11)
    for _ in range(6):
        running = start("sample", where, "--workers", "2")
        time.sleep(draw.uniform(2.0, 25.0))
        os.kill(running.pid, signal.SIGKILL)
        running.communicate()
    assert finish("sample", where, "--workers", "1") == undisturbed
