from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_run import ROOT, SMALL
from tiny_shards import tiny_shards

from train.checkpoint import checkpoints, newest, read_state
from train.ledger import audit
from train.metrics import read_metrics
from train.signals import KILL_SWITCH, SAVE_AND_EXIT, STOPPED

pytestmark = pytest.mark.slow
ROWS = 100
B = 8
STEPS = -(-ROWS // B)
TORCH = "parallel.engine=torch"


class Run:
    """A run's folder, and processes that train in it."""

    def __init__(self, folder: Path, run: Path | None = None) -> None:
        self.folder, self.run, self.record = folder, run or folder / "run", folder / "record"
        self.record.mkdir(parents=True)
        self.shards = tiny_shards(folder, rows=ROWS)
        (folder / "small.json").write_text(json.dumps(SMALL))

    def start(self, *keys: str, world: int = 1, resume: str = "auto", **more: str) -> subprocess.Popen[str]:
        from train.config import dump_config, load_config

        base = [f"model.architecture={self.folder / 'small.json'}", "data.sequence_length=64", f"batch.rows={B}"]
        base += ["batch.micro_rows=2", "optim.lr=1e-2", "run.generate=''", "run.save_steps=2", "run.save_minutes=0"]
        config = self.folder / "config.toml"
        config.write_text(dump_config(load_config("sample", [*base, *keys])))
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
        script = [str(Path(__file__).with_name("recorded_run.py")), str(self.record)]
        given = ["--config", str(config), "--shards", str(self.shards), "--run-folder", str(self.run)]
        environment = {name: value for name, value in os.environ.items() if "RANK" not in name} | more
        return subprocess.Popen(
            [sys.executable, *(launcher if TORCH not in keys else []), *script, *given, "--resume", resume],
            env=environment | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests/train'}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def finish(self, *keys: str, code: int = 0, **named: Any) -> str:
        process = self.start(*keys, **named)
        said, _ = process.communicate(timeout=600)
        assert process.returncode == code, said[-8000:]
        return said

    def trained(self) -> list[list[dict[str, Any]]]:
        """The steps that each process in turn trained on, those of its ranks joined; as far as all ranks came."""
        of_rank = []
        for path in sorted(self.record.glob("rank-*")):
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            of_rank.append([list(group) for _, group in itertools.groupby(lines, key=lambda line: line["pid"])])
        joined = []
        for number, process in enumerate(of_rank[0]):
            ranks = [of_rank[rank][number] for rank in range(process[0]["world"])]
            joined.append(
                [
                    {"loss": parts[0]["loss"], "rows": [row for part in parts for row in part["rows"]]}
                    for parts in zip(*ranks, strict=False)
                ]
            )
        return joined

    def steps(self) -> list[dict[str, Any]]:
        return [line for line in read_metrics(self.run) if line["kind"] == "step"]


def wait_for(process: subprocess.Popen[str], happened: Callable[[], bool]) -> None:
    for _ in range(6000):
        if happened():
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    pytest.fail("it did not come to that: " + process.communicate()[0][-6000:])


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to launcher and ranks at once."""
    ranks = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False).stdout
    os.killpg(process.pid, signal.SIGKILL)
    for pid in map(int, ranks.split()):  # the launcher starts them in sessions of their own
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate()


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The steps of a run that nobody stopped, on one rank of DeepSpeed."""
    run = Run(tmp_path_factory.mktemp("whole"))
    run.finish()
    assert len(run.steps()) == STEPS
    return run.steps()


def assert_as_if_never_stopped(run: Run, whole: list[dict[str, Any]], resumed: list[int]) -> None:
    """`resumed`: the steps whose checkpoints later processes went on from."""
    assert [line["step"] for line in read_metrics(run.run) if line["kind"] == "resumed"] == resumed
    # Only what a checkpoint carried on counts: of each process the steps up to where the next one went on.
    lineage: list[dict[str, Any]] = []
    for process, begin, until in zip(run.trained(), [0, *resumed], [*resumed, STEPS], strict=True):
        lineage += process[: until - begin]
    assert len(lineage) == STEPS
    assert Counter(row for step in lineage for row in step["rows"]) == Counter(range(ROWS))
    steps = run.steps()
    assert [line["step"] for line in steps] == list(range(1, STEPS + 1))
    for found, expected in zip(steps, whole, strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert found["lr"] == expected["lr"]
        assert found["consumed"] == expected["consumed"]
    assert [step["loss"] for step in lineage] == [line["loss"] for line in steps]
    assert audit(run.run) == []
    assert json.loads((run.run / "consumed.json").read_text())["closed"] is True


def test_killed_at_four_ranks_resumed_at_two_then_one(tmp_path: Path, whole: list[dict[str, Any]]) -> None:
    """T3: once in the middle of a save, once at a moment nobody chose."""
    run = Run(tmp_path)
    process = run.start(world=4, HANG_SAVE="3")
    half = run.run / "checkpoints/step-00000006.tmp/engine/deepspeed"
    wait_for(process, lambda: half.is_dir() and any(half.iterdir()))
    kill(process)
    assert [path.name for path in checkpoints(run.run)] == ["step-00000002", "step-00000004"]
    assert half.is_dir()

    process = run.start(world=2, SLOW_STEP="0.1")
    before = lines(run.record / "rank-0.jsonl")
    wait_for(process, lambda: lines(run.record / "rank-0.jsonl") >= before + 3)
    time.sleep(random.random() * 0.3)
    kill(process)
    found = newest(run.run, say=pytest.fail)
    assert found is not None
    assert 6 <= found[1].step < STEPS

    said = run.finish(world=1)
    assert "written by 2 ranks, now 1." in said
    assert "The books close" in said
    assert not list((run.run / "checkpoints").glob("*.*")), "neither half-written nor converted files are left"
    assert_as_if_never_stopped(run, whole, [4, found[1].step])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1], ids=["SIGTERM", "SIGUSR1"])
def test_a_signal_to_one_rank_saves_on_all(tmp_path: Path, whole: list[dict[str, Any]], number: signal.Signals) -> None:
    """T14."""
    run = Run(tmp_path)
    process = run.start("run.save_steps=0", world=2, SLOW_STEP="0.2")
    file = run.record / "rank-1.jsonl"
    wait_for(process, lambda: lines(file) >= 2)
    os.kill(json.loads(file.read_text().splitlines()[0])["pid"], number)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert (run.run / STOPPED).exists(), "the launcher makes 85 of it"
    found = newest(run.run, say=pytest.fail)
    assert found is not None
    assert 2 <= found[1].step < STEPS
    assert found[1].step == len(run.trained()[0]), "nothing was trained on after the checkpoint"
    run.finish("run.save_steps=0", world=2)
    assert not (run.run / STOPPED).exists()
    assert_as_if_never_stopped(run, whole, [found[1].step])


def test_files_stop_a_run(tmp_path: Path) -> None:
    run = Run(tmp_path)
    process = run.start(TORCH, SLOW_STEP="0.1")
    wait_for(process, lambda: lines(run.record / "rank-0.jsonl") >= 1)
    (run.run / SAVE_AND_EXIT).touch()
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 85, said
    assert not (run.run / SAVE_AND_EXIT).exists()

    process = run.start(TORCH, SLOW_STEP="0.1")
    before = lines(run.record / "rank-0.jsonl")
    wait_for(process, lambda: lines(run.record / "rank-0.jsonl") > before)
    (run.run / KILL_SWITCH).touch()
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 2, said
    assert "stopped by KILL_SWITCH, with a checkpoint" in said
    assert "KILL_SWITCH lies in it, so nothing starts" in run.finish(TORCH, code=2)
    assert read_state(checkpoints(run.run)[-1]).step == sum(map(len, run.trained()))


def test_a_damaged_checkpoint_costs_two_steps_not_the_run(tmp_path: Path, whole: list[dict[str, Any]]) -> None:
    run = Run(tmp_path)
    run.finish(TORCH, "run.stop_at_tokens=3000")
    last = checkpoints(run.run)[-1]
    file = last / "engine/torch.pt"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    before = checkpoints(run.run)[-2]
    said = run.finish(TORCH)
    assert f"Checkpoint {last} is not used: engine/torch.pt is not what was written: its sha256 differs." in said
    assert_as_if_never_stopped(run, whole, [read_state(before).step])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_all_ranks_with_the_reason(tmp_path: Path, small_disk: Path) -> None:
    """DeepSpeed's writes fail on some ranks, others wait in its barriers: nobody may hang."""
    run = Run(tmp_path / "rest", small_disk / "run")
    process = run.start("run.keep=9", world=2)
    said, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "Writing the checkpoint of step" in said
    assert "What is on disk from before is untouched." in said
    found = newest(run.run, say=pytest.fail)
    assert found is not None
    assert not list((run.run / "checkpoints").glob("*.tmp"))


def test_a_run_that_is_over_stays_over(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.finish(TORCH)
    run.finish(TORCH)
    assert [len(process) for process in run.trained()] == [STEPS], "the second process had nothing to train on"
    assert audit(run.run) == []
