"""`medtrove pretrain` before anything starts: the plan on screen, the micro-batch it chose, the job it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_shards import tiny_shards
from typer.testing import CliRunner

from manifests.errors import CheckFailed
from pipelines.cli import app
from pipelines.train_planned import planned
from train.config import load_config


def test_a_slurm_run_is_planned_and_its_job_written(tmp_path: Path) -> None:
    shards = tiny_shards(tmp_path / "build", rows=40, restricted=True)
    run = tmp_path / "runs" / "one"
    keys = ["data.sequence_length=64", "cluster.kind=slurm", "cluster.account=group"]
    command = ["pretrain", "sample", "--shards", str(shards), "--run", str(run), "--no-submit"]
    result = CliRunner().invoke(app, [*command, *(word for key in keys for word in ("--set", key))])
    assert result.exit_code == 0, result.output
    assert "steps" in result.output
    script = (run / "job.sbatch").read_text()
    assert "#SBATCH --account=group" in script
    assert "umask 077" in script
    assert f"export SHARDS={shards}" in script
    assert json.loads((run / "run.json").read_text())["status"] == "queued"
    assert load_config(str(run / "config.toml")).cluster.account == "group"


def test_a_layout_that_the_loop_does_not_run_is_no_job(tmp_path: Path) -> None:
    shards = tiny_shards(tmp_path / "build", rows=40)
    run = tmp_path / "run"
    keys = ["parallel.tensor_parallel=2", "data.sequence_length=64", "cluster.kind=slurm"]
    command = ["pretrain", "sample", "--shards", str(shards), "--run", str(run), "--no-submit"]
    result = CliRunner().invoke(app, [*command, *(word for key in keys for word in ("--set", key))])
    assert "does not yet share tensors" in str(result.exception)
    assert not run.exists()


def test_what_does_not_fit_is_not_started(tmp_path: Path) -> None:
    shards = tiny_shards(tmp_path, rows=40)
    with pytest.raises(CheckFailed, match=r"do not fit A100.*zero_stage = 3"):
        planned(load_config("mellama-13b", ["parallel.zero_stage=1"]), shards, ranks=0, told=False)


def test_the_run_takes_the_micro_batch_that_fits(tmp_path: Path) -> None:
    shards = tiny_shards(tmp_path, rows=40)
    keys = ["batch.micro_rows=64", "batch.accumulation=1", 'cluster.gpu="a100-80"']
    plan, config = planned(load_config("1b-1gpu", keys), shards, ranks=0, told=False)
    assert plan is not None
    assert config.batch.micro_rows == plan.micro_rows < 64
    assert config.batch.micro_rows * config.batch.accumulation == 64


def test_a_model_of_unknown_shape_is_trained_without_a_plan(tmp_path: Path) -> None:
    shards = tiny_shards(tmp_path, rows=40)
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    given = load_config("sample", [f'model.architecture="{tmp_path}/config.json"'])
    assert planned(given, shards, ranks=2, told=False) == (None, given)
