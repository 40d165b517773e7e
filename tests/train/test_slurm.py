"""The batch script: as written, as bash reads it, and against values that would break out of it."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from manifests.errors import BuildError, RecipeError
from train.config import load_config
from train.slurm import sbatch_text, seconds_of, submit, write_sbatch

GOLDEN = Path(__file__).parent / "golden" / "mellama-70b.sbatch"
SITE = [
    'cluster.account="medicine"',
    'cluster.partition="hpg-ai"',
    'cluster.qos="medicine-b"',
    'cluster.gpu_request="--gpus=a100:8"',
    'cluster.modules=["cuda/12.9", "gcc/13"]',
    'cluster.setup=["source /blue/medicine/env/bin/activate"]',
    "cluster.cpus_per_task=96",
]
SHARDS = Path("/shards of one's own")
NASTY = """a 'quoted' "run" $(touch escaped) `touch escaped` %A; touch escaped #"""


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_the_script_of_a_cluster_is_the_golden_one() -> None:
    config = load_config("mellama-70b", SITE)
    text = sbatch_text(
        config,
        Path("/blue/medicine/runs/mellama"),
        Path("/blue/medicine/build/me-llama-129b/shards"),
        restricted=True,
        checkpoint_bytes=966e9,
        python="/blue/medicine/env/bin/python",
    )
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_bash_reads_it_and_nothing_in_a_path_is_executed(tmp_path: Path) -> None:
    run = tmp_path / NASTY
    config = load_config("sample", ['cluster.modules=["cuda; touch escaped", "$(touch escaped)"]'])
    run.mkdir()
    script = write_sbatch(config, run, shards=SHARDS, restricted=True)
    subprocess.run(["bash", "-n", str(script)], check=True)
    # Everything up to the first command of Slurm, with `module` a stand-in: the values arrive as they are.
    head = script.read_text().split("export MASTER_ADDR")[0]
    said = subprocess.run(
        ["bash", "-c", 'module() { printf "%s\\n" "$@"; }\n' + head + 'printf "%s\\n" "$RUN" "$SHARDS"; umask'],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert said == ["load", "cuda; touch escaped", "load", "$(touch escaped)", str(run.resolve()), str(SHARDS), "0077"]
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ('cluster.account="x\\n#SBATCH --uid=0"', "account"),
        ('cluster.partition="a b"', "partition"),
        ('cluster.qos="$(id)"', "qos"),
        ('cluster.memory="0\\nrm"', "memory"),
        ('cluster.gpu_request="--gpus=8 --wrap=id"', "gpu_request"),
        ('cluster.gpu_request="--gpus=8;id"', "gpu_request"),
        ('cluster.time="soon"', "time"),
        ('cluster.modules=["a\\nb"]', "modules"),
        ('description="a\\nrm -rf /"', "description"),
    ],
)
def test_what_would_add_a_line_or_an_option_is_refused(tmp_path: Path, override: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        write_sbatch(load_config("mellama-70b", [override]), tmp_path, shards=SHARDS)


def test_a_run_whose_name_has_a_line_break_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="line break"):
        write_sbatch(load_config("sample"), tmp_path / "a\nb", shards=SHARDS)


def test_restricted_runs_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_script = write_sbatch(load_config("sample"), made(tmp_path / "open"), shards=SHARDS)
        script = write_sbatch(load_config("sample"), made(tmp_path / "closed"), shards=SHARDS, restricted=True)
    finally:
        os.umask(before)
    for path in (script, script.parent / "logs"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert "umask" not in open_script.read_text()


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("90", 5400), ("90:30", 5430), ("1:00:00", 3600), ("2-00:00:00", 172800), ("1-12", 129600), ("1-12:30", 131400)],
)
def test_time_limits(time: str, seconds: int) -> None:
    assert seconds_of(time) == seconds


@pytest.mark.parametrize(("time", "notice"), [("7-00:00:00", 600), ("20", 300), ("1", 30)])
def test_the_notice_is_shorter_where_the_limit_is(time: str, notice: int) -> None:
    config = load_config("sample", [f'cluster.time="{time}"'])
    assert f"--signal=B:USR1@{notice}\n" in sbatch_text(config, Path("/run"), Path("/shards"), restricted=False)


def test_one_process_is_not_spread_over_nodes() -> None:
    config = load_config("1b-1gpu", ["cluster.nodes=2"])
    with pytest.raises(RecipeError, match="one process"):
        sbatch_text(config, Path("/run"), Path("/shards"), restricted=False)


def test_without_slurm_the_script_is_left_to_be_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = write_sbatch(load_config("sample"), made(tmp_path / "run"), shards=SHARDS)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=r"no sbatch here.*sbatch PATH"):
        submit(script)


def test_a_refusal_of_slurm_is_told_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuses = tmp_path / "sbatch"
    refuses.write_text("#!/bin/sh\necho 'Invalid account' >&2\nexit 1\n")
    refuses.chmod(0o755)
    script = write_sbatch(load_config("sample"), made(tmp_path / "run"), shards=SHARDS)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(BuildError, match=r"Invalid account.*cluster\.account"):
        submit(script)
