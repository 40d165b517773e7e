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

pytestmark = pytest.mark.slow
STEPS = 6
HALF = STEPS // 2
LORA = ("lora.r=4", "lora.dropout=0.3")


class Runs:
    """Runs of `world_change_run.py` over the same shards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards = tiny_shards(folder, rows=16 * STEPS, loss_mask=True)
        (folder / "small.json").write_text(json.dumps(SMALL))
        self._saved: dict[tuple[str, ...], dict[str, Any]] = {}

    def saved(self, *keys: str, world: int = 2) -> tuple[Path, dict[str, Any]]:
        """The checkpoint of the middle of a run, and what the run reported that never stopped."""
        path = self.folder / f"checkpoint-{'-'.join(keys)}"
        if keys not in self._saved:
            self._saved[keys] = self.start("save", path, world, 0, *keys, world=world)
        return path, self._saved[keys]

    def start(self, what: str, path: Path, saved_world: int, first: int, *keys: str, world: int) -> dict[str, Any]:
        out = self.folder / "out.json"
        base = [f"model.architecture={self.folder / 'small.json'}", "data.sequence_length=64", "batch.rows=16"]
        base += ["batch.micro_rows=4", "optim.weight_decay=0.1"]
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
        if "parallel.engine=torch" in keys:
            launcher = []
        script = Path(__file__).with_name("world_change_run.py")
        given = [str(self.shards), str(out), what, str(path), str(saved_world), str(first), str(STEPS)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests/train'}"}
        done = subprocess.run(
            [sys.executable, *launcher, str(script), *given, *base, *keys],
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
        report: dict[str, Any] = json.loads(out.read_text())
        assert (report["world"], report["wrapper"]) == (world, "DeepSpeedEngine" if launcher else "TorchEngine")
        assert not list(self.folder.glob("scratch*")), "the conversion is gone"
        return report


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("worlds"))


@pytest.mark.parametrize(
    "keys",
    [
        ("parallel.zero_stage=0",),
        ("parallel.zero_stage=1",),
        ("parallel.zero_stage=2",),
        ("parallel.zero_stage=3",),
        ("parallel.zero_stage=3", "model.dtype=bf16"),
        ("parallel.zero_stage=3", *LORA),
        ("parallel.engine=torch", *LORA),
    ],
    ids=" ".join,
)
def test_the_same_world_goes_on_to_the_last_bit(runs: Runs, keys: tuple[str, ...]) -> None:
    world = 1 if "parallel.engine=torch" in keys else 2
    path, whole = runs.saved(*keys, world=world)
    on = runs.start("load", path, world, HALF, *keys, world=world)
    for name in ("loss", "norm"):
        assert on[name] == whole[name][HALF:]
    assert on["digest"] == whole["digest"]
    assert on["decays"] == whole["decays"]
    assert on["counts"] == [STEPS]


@pytest.mark.parametrize(("stage", "world"), [(0, 1), (1, 1), (1, 4), (2, 1), (2, 4), (3, 1), (3, 4)])
def test_another_world_goes_on_as_if_nothing_had_changed(runs: Runs, stage: int, world: int) -> None:
    """Tight enough to see a bias correction off by a step, or norms that begin to decay: both happened."""
    keys = (f"parallel.zero_stage={stage}",)
    path, whole = runs.saved(*keys)
    on = runs.start("load", path, 2, HALF, *keys, world=world)
    assert on["digest_half"] == whole["digest_half"]
    assert on["loss"] == pytest.approx(whole["loss"][HALF:], rel=1e-6)
    assert on["norm"] == pytest.approx(whole["norm"][HALF:], rel=1e-6)
    assert on["weights"] == pytest.approx(whole["weights"], rel=1e-6)
    assert on["counts"] == [STEPS], "each weight counted its own steps"
    assert on["decays"] == whole["decays"] == [0.1, 0.0], "norms do not decay"


def test_half_precision_changes_world_with_its_masters(runs: Runs) -> None:
    keys = ("parallel.zero_stage=3", "model.dtype=bf16")
    path, whole = runs.saved(*keys)
    on = runs.start("load", path, 2, HALF, *keys, world=1)
    assert on["digest_half"] == whole["digest_half"], "the masters are read to the last bit"
    assert on["loss"] == pytest.approx(whole["loss"][HALF:], rel=1e-4)
    assert on["norm"] == pytest.approx(whole["norm"][HALF:], rel=5e-3)


@pytest.mark.parametrize("stage", [1, 3])
def test_adapters_change_world_without_their_base(runs: Runs, stage: int) -> None:
    keys = (f"parallel.zero_stage={stage}", "lora.r=4")
    path, whole = runs.saved(*keys)
    on = runs.start("load", path, 2, HALF, *keys, world=1)
    assert on["digest_half"] == whole["digest_half"]
    assert on["loss"] == pytest.approx(whole["loss"][HALF:], rel=1e-6)
    assert on["weights"] == pytest.approx(whole["weights"], rel=1e-6)
