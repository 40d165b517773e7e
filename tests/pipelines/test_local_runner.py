"""The local runner: a death is a result, a rerun continues, nothing half-written is trusted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datatrove.pipeline.base import PipelineStep

from manifests.errors import BuildError, CheckFailed
from manifests.store import Store
from pipelines.executors import StageRun, run_stages, workers_for
from pipelines.stage import Stage, stage_is_done, task_is_done, write_task_mark


class Silent:
    def stage_started(self, run: StageRun, n_tasks: int) -> None: ...
    def task_progress(self, run: StageRun, rank: int, done: int, note: str) -> None: ...
    def task_finished(self, run: StageRun, rank: int) -> None: ...
    def stage_finished(self, run: StageRun) -> None: ...


class WriteNumber(PipelineStep):  # type: ignore[misc]
    """Writes its task's number; obeys orders given as files in the folder `orders`."""

    type = "TEST"
    name = "write number"

    def __init__(self, folder_url: str, orders: str, tasks: list[int]) -> None:
        super().__init__()
        self.folder_url, self.orders, self.tasks = folder_url, orders, tasks

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        folder = Store(self.folder_url)
        (Path(self.orders) / f"ran-{rank}-{time.time_ns()}").touch()
        order = Path(self.orders) / str(rank)
        text = order.read_text() if order.exists() else ""
        if text == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "die once":
            order.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "half":
            with folder.writing(f"out/{rank}.txt") as stream:
                stream.write(b"half")
                os.kill(os.getpid(), signal.SIGKILL)
        if text == "raise":
            raise ValueError("Mrs Canary, MRN 1234567")
        if text == "tell":
            raise BuildError("a sentence for the user.")
        folder.write_bytes(f"out/{rank}.txt", str(self.tasks[rank]).encode())
        write_task_mark(folder, rank, [f"out/{rank}.txt"], {"number": self.tasks[rank]})
        yield from ()


def make_run(tmp_path: Path, tasks: list[int], *, restricted: bool = False, name: str = "prepare") -> StageRun:
    folder = Store(tmp_path / name)
    (tmp_path / "orders").mkdir(exist_ok=True)
    step = WriteNumber(folder.url, str(tmp_path / "orders"), tasks)
    return StageRun(Stage(name, "toy", "0" * 16), folder, tasks, [step], restricted=restricted)


def ran(tmp_path: Path) -> list[int]:
    return sorted(int(path.name.split("-")[1]) for path in (tmp_path / "orders").glob("ran-*"))


def contents(folder: Store) -> dict[str, bytes]:
    return {path: folder.read_bytes(path) for path in folder.files("out")}


def test_every_task_runs_once_and_the_stage_is_recorded_last(tmp_path: Path) -> None:
    run = make_run(tmp_path, [5, 6, 7])
    run_stages([run], workers=2, display=Silent())
    assert contents(run.folder) == {"out/0.txt": b"5", "out/1.txt": b"6", "out/2.txt": b"7"}
    assert [fact["number"] for fact in run.folder.read_json("stage.json")["facts"]] == [5, 6, 7]
    run_stages([make_run(tmp_path, [5, 6, 7])], workers=2, display=Silent())
    assert ran(tmp_path) == [0, 1, 2]


def test_a_killed_task_is_tried_again_alone(tmp_path: Path) -> None:
    run = make_run(tmp_path, [5, 6])
    (tmp_path / "orders" / "1").write_text("die once")
    run_stages([run], workers=2, display=Silent())
    assert stage_is_done(run.folder)
    assert ran(tmp_path) == [0, 1, 1]


def test_a_task_killed_twice_fails_in_a_sentence_and_the_others_finish(tmp_path: Path) -> None:
    run = make_run(tmp_path, [5, 6, 7, 8])
    (tmp_path / "orders" / "0").write_text("die")
    with pytest.raises(CheckFailed, match="prepare toy, task 0: killed by SIGKILL, twice"):
        run_stages([run], workers=2, display=Silent())
    assert not stage_is_done(run.folder)
    assert [task_is_done(run.folder, rank) for rank in range(4)] == [False, True, True, True]
    (tmp_path / "orders" / "0").unlink()
    run_stages([make_run(tmp_path, [5, 6, 7, 8])], workers=2, display=Silent())
    assert contents(run.folder) == {f"out/{rank}.txt": str(5 + rank).encode() for rank in range(4)}
    assert ran(tmp_path).count(1) == 1


def test_a_kill_in_the_middle_of_a_file_leaves_no_file(tmp_path: Path) -> None:
    run = make_run(tmp_path, [5])
    (tmp_path / "orders" / "0").write_text("half")
    with pytest.raises(CheckFailed):
        run_stages([run], workers=1, display=Silent())
    assert run.folder.files("out") == []
    (tmp_path / "orders" / "0").unlink()
    run_stages([make_run(tmp_path, [5])], workers=1, display=Silent())
    assert contents(run.folder) == {"out/0.txt": b"5"}


def test_a_deleted_output_is_made_again_although_the_marks_say_done(tmp_path: Path) -> None:
    run = make_run(tmp_path, [5, 6])
    run_stages([run], workers=1, display=Silent())
    run.folder.remove("out/1.txt")
    assert not stage_is_done(run.folder)
    run_stages([make_run(tmp_path, [5, 6])], workers=1, display=Silent())
    assert contents(run.folder) == {"out/0.txt": b"5", "out/1.txt": b"6"}
    assert ran(tmp_path) == [0, 1, 1]


def test_work_of_other_inputs_is_not_trusted(tmp_path: Path) -> None:
    first = make_run(tmp_path, [5, 6])
    (tmp_path / "orders" / "1").write_text("raise")
    with pytest.raises(CheckFailed):
        run_stages([first], workers=1, display=Silent())
    (tmp_path / "orders" / "1").unlink()
    second = make_run(tmp_path, [9, 6])
    run_stages([second], workers=1, display=Silent())
    assert contents(second.folder) == {"out/0.txt": b"9", "out/1.txt": b"6"}


def test_messages_of_restricted_steps_are_withheld(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path, [5], restricted=True)
    (tmp_path / "orders" / "0").write_text("raise")
    with pytest.raises(CheckFailed) as caught:
        run_stages([run], workers=1, display=Silent())
    assert "ValueError at test_local_runner.py" in str(caught.value)
    printed = capfd.readouterr()
    everything = str(caught.value) + printed.out + printed.err
    everything += "".join(run.folder.read_bytes(path).decode() for path in run.folder.files(""))
    assert "Canary" not in everything
    assert "1234567" not in everything


def test_a_users_error_arrives_as_its_sentence(tmp_path: Path) -> None:
    run = make_run(tmp_path, [5])
    (tmp_path / "orders" / "0").write_text("tell")
    with pytest.raises(CheckFailed, match=r"a sentence for the user\."):
        run_stages([run], workers=1, display=Silent())


def test_stages_share_the_workers(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, [1, 2], name="prepare"), make_run(tmp_path, [3], name="tokenize")]
    run_stages(runs, workers=2, display=Silent())
    assert all(stage_is_done(run.folder) for run in runs)


def test_workers_follow_the_memory() -> None:
    assert workers_for(3, 1000.0) == 3
    assert workers_for(0, 1e9) == 1
    assert workers_for(0, 1e-6) >= 1
