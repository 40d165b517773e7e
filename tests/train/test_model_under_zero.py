from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_models import tiny_batch, tiny_config, tiny_model

from train.lora import load_adapter
from train.loss import token_losses

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ranks that trained the same bf16 base by stages 1 and 3, whole and with adapters."""
    folder = tmp_path_factory.mktemp("zero")
    tiny_model(tiny_config(folder)).to(torch.bfloat16).save_pretrained(folder / "base")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(HERE / "rank_of_model.py"), str(folder / "base"), str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{HERE.parents[1]}:{HERE}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def results(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"rank{rank}" / "result.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("r", [0, 4], ids=["full", "lora"])
def test_a_partitioned_model_learns_what_a_whole_one_does(tmp_path: Path, runs: Path, r: int) -> None:
    """T7 and more: bf16 base read under zero.Init, recomputed layers, chunks of logits, adapters."""
    one, three = runs / f"stage1-lora{r}", runs / f"stage3-lora{r}"
    for folder in (one, three):
        both = results(folder)
        assert [result["engine"] for result in both] == ["DeepSpeedEngine"] * 2
        assert {result["world"] for result in both} == {2}
        assert {result["rotary"] for result in both} == {"torch.float32"}
        assert {result["shared_out"] > 0 for result in both} == {folder == three}
        assert both[0]["losses"] == both[1]["losses"]
    expected, found = results(one)[0]["losses"], results(three)[0]["losses"]
    assert found == pytest.approx(expected, rel=2e-3)
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found[2] < found[0] - 0.1


def test_adapters_are_gathered_whole_from_every_stage(tmp_path: Path, runs: Path) -> None:
    """T9: non-empty on each rank, and what is saved is what was trained."""
    config = tiny_config(tmp_path, model={"base": str(runs / "base")}, lora={"r": 4})
    batch = tiny_batch([[5, 9, 14], [1, 1, 20]])
    losses = []
    for folder in (runs / "stage1-lora4", runs / "stage3-lora4"):
        both = results(folder)
        assert both[0]["sums"] == both[1]["sums"]
        assert len(both[0]["sums"]) == 28
        assert all(both[0]["sums"].values())
        model = tiny_model(config)
        load_adapter(model, folder)
        with torch.no_grad():
            sums = token_losses(model, batch, n_sources=3, kind="sdpa", chunk_tokens=0)
        losses.append((sums.loss / sums.tokens).item())
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)
    assert losses[0] < results(runs / "stage1-lora4")[0]["losses"][0] - 0.1
