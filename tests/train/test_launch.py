from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from train.config import load_config
from train.launch import command, launch, local_ranks
from train.signals import EXIT_STOPPED, SAVE_AND_EXIT, STOPPED


def test_ranks_are_what_the_cluster_section_says() -> None:
    assert local_ranks(load_config("sample")) == 2
    assert local_ranks(load_config("sample", ["cluster.ranks_per_node=0"])) == 1
    assert local_ranks(load_config("sample", ["cluster.ranks_per_node=0", "cluster.gpus_per_node=8"])) == 8
    assert local_ranks(load_config("sample", ["parallel.engine=torch"])) == 1


def test_several_ranks_start_under_torch_and_one_alone() -> None:
    assert command("train.pretrain", ["--x"], n_ranks=1) == [sys.executable, "-m", "train.pretrain", "--x"]
    several = command("train.pretrain", ["--x"], n_ranks=3)
    assert several[1:3] == ["-m", "train.torchrun"]
    assert "--standalone" in several
    assert several[several.index("--nproc-per-node") + 1] == "3"


def module(folder: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pretended_rank.py").write_text(textwrap.dedent(source))
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")


def test_exit_codes_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module(tmp_path, "import sys; sys.exit(int(sys.argv[1]))", monkeypatch)
    assert launch("pretended_rank", ["0"], n_ranks=1, run=tmp_path) == 0
    assert launch("pretended_rank", ["2"], n_ranks=1, run=tmp_path) == 2


def test_what_a_stopped_run_left_says_85_and_an_older_stop_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(tmp_path, f"import pathlib; pathlib.Path({str(tmp_path)!r}, {STOPPED!r}).touch()", monkeypatch)
    assert launch("pretended_rank", [], n_ranks=1, run=tmp_path) == EXIT_STOPPED
    module(tmp_path, "", monkeypatch)
    assert launch("pretended_rank", [], n_ranks=1, run=tmp_path) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_asks_the_ranks_to_save_and_does_not_kill_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    waiting = f"""
        import pathlib, time
        run = pathlib.Path({str(tmp_path)!r})
        (run / "ready").touch()
        while not (run / {SAVE_AND_EXIT!r}).exists():
            time.sleep(0.01)
        (run / {STOPPED!r}).touch()
        """
    module(tmp_path, waiting, monkeypatch)
    outer = (
        "import sys; from pathlib import Path; from train.launch import launch; "
        f"sys.exit(launch('pretended_rank', [], n_ranks=1, run=Path({str(tmp_path)!r})))"
    )
    process = subprocess.Popen([sys.executable, "-c", outer], env={**os.environ})
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
    process.send_signal(number)
    assert process.wait(timeout=300) == EXIT_STOPPED


def test_a_signal_is_not_lost_on_ranks_that_clean_up_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starting = f"""
        import pathlib, time
        file = pathlib.Path({str(tmp_path / SAVE_AND_EXIT)!r})
        (file.parent / "ready").touch()
        while not file.exists():
            time.sleep(0.01)
        file.unlink()  # as a run that starts does with what an earlier process may have left
        given_up = time.monotonic() + 60
        while not file.exists():
            assert time.monotonic() < given_up
            time.sleep(0.01)
        (file.parent / {STOPPED!r}).touch()
    """
    module(tmp_path, starting, monkeypatch)

    def tell() -> None:
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=tell).start()
    assert launch("pretended_rank", [], n_ranks=1, run=tmp_path) == EXIT_STOPPED
    assert not (tmp_path / SAVE_AND_EXIT).exists()
