"""Preflight: what it finds wrong, and that it measures over two nodes (gloo on CPU)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from train.preflight import Measured, judge


def ranks(*speeds: float, pairs: dict[str, float] | None = None) -> list[Measured]:
    found = [Measured(number, f"c{number // 2}", number % 2, speed, {}) for number, speed in enumerate(speeds)]
    return [*found[:-1], Measured(len(speeds) - 1, "c9", 1, speeds[-1], pairs or {})]


def test_a_slow_gpu_is_named_and_a_broken_one_forbids_the_run() -> None:
    room = {"free": 10, "inodes": 10**6, "need": 5}
    assert judge(ranks(300, 301, 299, 300), **room) == ([], [])
    problems, warnings = judge(ranks(300, 240, 299, 300), **room)
    assert problems == []
    assert "rank 1 (GPU 1 of c0; exclude it with --exclude=c0)" in warnings[0]
    problems, _ = judge(ranks(300, 301, 100, 300), **room)
    assert "rank 2 (GPU 0 of c1" in problems[0]
    problems, warnings = judge(ranks(300, 301, 100, 300), **room, gpu=False)
    assert (problems, len(warnings)) == ([], 1)


def test_a_slow_pair_of_nodes_is_named() -> None:
    pairs = {"node 0 (a) and node 1 (b)": 20.0, "node 1 (b) and node 2 (c)": 190.0, "node 2 (c) and node 3 (d)": 200.0}
    _, warnings = judge(ranks(1, 1, pairs=pairs), free=1, inodes=-1, need=0)
    assert warnings == ["node 0 (a) and node 1 (b) sum at 20 GB/s, the median pair at 190."]


def test_no_room_for_checkpoints_forbids_the_run() -> None:
    problems, _ = judge(ranks(1, 1), free=10**12, inodes=10**6, need=2 * 10**12)
    assert problems == ["1,000.0 GB are free and checkpoints need 2,000.0."]
    problems, _ = judge(ranks(1, 1), free=1, inodes=12, need=0)
    assert "12 inodes" in problems[0]
    assert judge(ranks(1, 1), free=1, inodes=-1, need=0) == ([], [])


@pytest.mark.slow
def test_two_nodes_of_two_ranks_measure_each_other(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = f"--nnodes=2 --nproc-per-node=2 --master-addr=127.0.0.1 --master-port={port}"
    preflight = ["-m", "train.preflight", "--folder", str(tmp_path)]
    nodes = [
        subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *flags.split(), f"--node-rank={node}", *preflight],
            env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for node in (0, 1)
    ]
    said = [node.communicate(timeout=120)[0] for node in nodes]
    facts = json.loads((tmp_path / "preflight.json").read_text())
    assert [node.returncode for node in nodes] == [0, 0], said
    assert [one["rank"] for one in facts["ranks"]] == [0, 1, 2, 3]
    assert all(one["teraflops"] > 0 for one in facts["ranks"])
    assert facts["all_reduce_gigabytes_per_second"] > 0
    host = socket.gethostname()
    assert list(facts["ranks"][3]["pair_gigabytes_per_second"]) == [f"node 0 ({host}) and node 1 ({host})"]
    assert facts["free_bytes"] > 0


@pytest.mark.slow
def test_alone_it_needs_no_group_and_refuses_where_there_is_no_room(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    command = [sys.executable, "-m", "train.preflight", "--folder", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(command, env=environment, check=True)
    done = subprocess.run(
        [*command, "--need", str(10**18)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "checkpoints need 1,000,000,000.0" in done.stderr
