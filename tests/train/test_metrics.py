from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from manifests.errors import RecipeError
from train.config import load_config
from train.metrics import METRICS, MetricsFile, flops_per_token, read_metrics
from train.trackers import Trackers, flattened


def test_flops_are_those_of_the_roofline_table() -> None:
    llama_7b = flops_per_token(trained=6_607_077_376, frozen=0, layers=32, width=4096, length=4096)
    assert llama_7b.causal / 1e9 == pytest.approx(42.9, abs=0.05)
    llama_1b = flops_per_token(trained=1_235_814_400, frozen=0, layers=16, width=2048, length=4096)
    assert llama_1b.causal / 1e9 == pytest.approx(8.2, abs=0.05)
    assert llama_1b.full - llama_1b.causal == 6 * 16 * 2048 * 4096
    frozen = flops_per_token(trained=10, frozen=1000, layers=0, width=1, length=1)
    assert frozen.causal == 4060


def write(run: Path, step: int, upto: int) -> MetricsFile:
    metrics = MetricsFile(run, {"world": 1, "preset": "x"}, step=step, restricted=False)
    for number in range(step + 1, upto + 1):
        metrics.write("step", step=number, loss=1.0 / number)
    metrics.close()
    return metrics


def test_lines_after_the_checkpoint_are_cut_and_it_says_so(tmp_path: Path) -> None:
    write(tmp_path, 0, 7)
    with (tmp_path / METRICS).open("a") as stream:
        stream.write('{"kind": "step", "step": 8, "lo')  # killed in the middle of a line
    again = write(tmp_path, 5, 9)
    assert again.cut == 3
    lines = read_metrics(tmp_path)
    assert lines[0]["kind"] == "header"
    assert [line["step"] for line in lines if line["kind"] == "step"] == list(range(1, 10))
    (resumed,) = [line for line in lines if line["kind"] == "resumed"]
    assert (resumed["step"], resumed["lines_cut"]) == (5, 3)


def test_a_run_begun_again_begins_its_metrics_again(tmp_path: Path) -> None:
    write(tmp_path, 0, 3)
    write(tmp_path, 0, 2)
    assert [line.get("step") for line in read_metrics(tmp_path)] == [None, 1, 2]


def test_what_is_not_finite_is_null_and_named(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path, {"world": 1}, step=0, restricted=True)
    metrics.write("step", step=1, loss=math.nan, gnorm=math.inf, lr=0.5, by_source={"pmc": math.nan, "cdc": 2.0})
    metrics.close()
    line = json.loads((tmp_path / METRICS).read_text().splitlines()[1])
    assert line["loss"] is None
    assert line["not_finite"] == {"loss": "nan", "gnorm": "inf", "by_source/pmc": "nan"}
    assert line["by_source"] == {"pmc": None, "cdc": 2.0}
    assert line["lr"] == 0.5
    assert (tmp_path / METRICS).stat().st_mode & 0o077 == 0


def test_trackers_get_numbers_alone() -> None:
    values = {"loss": 1.5, "text": "a patient", "by_source": {"pmc": 2, "note": "x"}, "skipped": True, "rows": [1, 2]}
    assert flattened(values) == {"loss": 1.5, "by_source/pmc": 2.0}


def test_samples_go_to_no_tracker(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="I will not share access"):
        Trackers(load_config("sample"), tmp_path, restricted=True).samples([["text"]])
    with pytest.raises(RecipeError, match="third party"):
        Trackers(load_config("sample"), tmp_path, restricted=False).samples([["text"]])


@pytest.mark.parametrize(("override", "package"), [("tensorboard=true", "tensorboard"), ("wandb_project='x'", "wandb")])
def test_a_missing_tracker_is_named(
    tmp_path: Path, override: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(RecipeError, match=f"{package} is not installed"):
        Trackers(load_config("sample", [f"run.{override}"]), tmp_path, restricted=False)
