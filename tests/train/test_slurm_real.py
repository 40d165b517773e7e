"""The batch job in a real Slurm of one node: it goes on by itself after a crash and after its limit."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from one_node_slurm import missing, one_node_slurm
from tiny_shards import tiny_shards

from train.config import load_config
from train.run_folder import open_run
from train.slurm import submit, write_sbatch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(missing()), reason=f"{missing()} of Slurm is not installed: apt-get install slurm-wlm munge"
    ),
]

STAND_IN = """#!/bin/bash
# In the place of python: preflight passes; training is stopped once, crashes once, and is then complete.
case "$*" in *train.preflight*) exit 0 ;; esac
count=$(wc -l < "$RUN/starts")
echo "$SLURM_ARRAY_TASK_ID $*" >> "$RUN/starts"
case $count in
  0) until [ -e "$RUN/SAVE_AND_EXIT" ]; do sleep 0.1; done
     rm "$RUN/SAVE_AND_EXIT"  # as a run does that is still starting
     until [ -e "$RUN/SAVE_AND_EXIT" ]; do sleep 0.1; done
     rm "$RUN/SAVE_AND_EXIT"; echo USR1 > "$RUN/STOPPED" ;;
  1) rm "$RUN/STOPPED"; exit 1 ;;
  *) rm -f "$RUN/STOPPED"; touch "$RUN/complete" ;;
esac
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with one_node_slurm(tmp_path_factory.mktemp("slurm") / "one") as environment:
        before = dict(os.environ)
        os.environ.update(environment)
        try:
            yield environment
        finally:
            os.environ.clear()
            os.environ.update(before)


def test_a_saved_job_is_queued_again_a_dead_one_followed_and_a_complete_one_ends_the_array(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    run = tmp_path / """it's a "run" of 100%A"""
    run.mkdir()
    (run / "starts").touch()
    python = run / "python"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    config = load_config("sample", ['cluster.kind="slurm"', 'cluster.time="1"', "cluster.repeats=4"])
    submit(write_sbatch(config, run, shards=tmp_path, restricted=True, python=str(python)))
    _until(lambda: (run / "complete").exists() and not _queue(), run)
    starts = (run / "starts").read_text().splitlines()
    assert len(starts) == 3, _logs(run)
    # The first is stopped and waits behind the second, which dies; then one of those still waiting completes the run.
    assert [start.split()[0] for start in starts[:2]] == ["1", "2"]
    assert shlex.split(starts[0].replace("'", r"\'").replace('"', r"\""))[1:4] == [
        "-m",
        "train.torchrun",
        "--nnodes=1",
    ]
    assert starts[0].endswith("--resume auto")
    assert "--nproc-per-node=2 --node-rank=0 --master-addr=" in starts[0]
    assert not (run / "SAVE_AND_EXIT").exists()
    assert "queued again" in _logs(run)
    assert "the run ended with 1" in _logs(run)
    log = next((run / "logs").glob("job-*.log"))
    assert log.stat().st_mode & 0o077 == 0


def test_the_sample_preset_is_stopped_by_the_batch_system_and_ends_complete(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("deepspeed")
    shards = tiny_shards(tmp_path / "build", rows=600, restricted=True)
    run = tmp_path / "the run"
    keys = ["data.sequence_length=64", "run.save_minutes=0", 'cluster.time="30"', 'run.generate=""']
    config = load_config("sample", ['cluster.kind="slurm"', "batch.micro_rows=1", "batch.accumulation=1", *keys])
    open_run(run, config, shards=shards, restricted=True)
    submit(write_sbatch(config, run, shards=shards, restricted=True, checkpoint_bytes=1e6, python=sys.executable))
    _until(lambda: _lines(run / "metrics.jsonl") > 20, run)
    number = _slurm("squeue", "-h", "-t", "R", "-o", "%A").strip()
    batch = [line.split()[0] for line in _slurm("scontrol", "listpids", number).splitlines() if " batch " in line]
    os.kill(min(map(int, batch)), signal.SIGUSR1)  # the script itself, as Slurm does before the limit
    _until(lambda: not _queue(), run)
    logs = _logs(run)
    consumed = json.loads((run / "consumed.json").read_text())
    index = json.loads((shards / "index.json").read_text())
    assert consumed["closed"], logs
    assert consumed["epochs"][-1]["tokens_by_source"] == index["totals"]["tokens_by_source"]
    assert logs.count("queued again") == 1, logs
    assert json.loads((run / "preflight.json").read_text())["problems"] == []


def _lines(path: Path) -> int:
    return path.read_text().count("\n") if path.exists() else 0


def _until(condition: object, run: Path, seconds: float = 150) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"nothing after {seconds} s\n{_slurm('scontrol', 'show', 'job')}\n{_logs(run)}"
        _release()
        time.sleep(0.5)


def _release() -> None:
    """A job queued again waits two minutes by default; a test does not."""
    for line in _slurm("squeue", "-h", "-t", "PD", "-o", "%A %r").splitlines():
        number, _, reason = line.partition(" ")
        if reason == "BeginTime":
            subprocess.run(["scontrol", "update", f"JobId={number}", "StartTime=now"], capture_output=True, check=False)


def _queue() -> str:
    return _slurm("squeue", "-h")


def _slurm(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def _logs(run: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in sorted((run / "logs").glob("job-*.log")))
