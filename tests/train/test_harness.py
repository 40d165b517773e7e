from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tiny_runs import tiny_run

from manifests.errors import RecipeError

pytestmark = pytest.mark.slow
pytest.importorskip("torch")

FILE = Path(__file__).resolve().parents[2] / "scrapers" / "sample" / "tokenizer.json"
TASK = """
task: medtrove_tiny
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
output_type: multiple_choice
test_split: test
doc_to_text: "Question: {{q}} Answer:"
doc_to_choice: "{{choices}}"
doc_to_target: gold
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


def test_a_task_of_ones_own_is_scored_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lm_eval", reason="the extra `eval` is not installed")
    from train.export import export
    from train.harness import run_tasks

    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    sha256 = hashlib.sha256(FILE.read_bytes()).hexdigest()
    known = {"sha256": sha256, "vocab_size": 8192, "bos_id": 0, "eos_id": 1, "pad_id": 1}
    run, _ = tiny_run(tmp_path, vocabulary=8192, tokenizer=known)
    out = tmp_path / "out"
    export(run, str(out), dtype="fp32", tokenizer=str(FILE))
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    items = [{"q": "Is saline isotonic?", "choices": ["yes", "no"], "gold": gold} for gold in (0, 1)]
    (tasks / "tiny.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (tasks / "tiny.yaml").write_text(TASK.replace("FILE", str(tasks / "tiny.jsonl")))
    # The same question with both answers: one of the two is right, whatever the model says.
    assert run_tasks(out, ["medtrove_tiny"], dtype="fp32", task_folder=str(tasks))["medtrove_tiny"]["acc,none"] == 0.5
    with pytest.raises(RecipeError, match="no task 'nonsense'"):
        run_tasks(out, ["nonsense"], dtype="fp32")
    with pytest.raises(RecipeError, match="train export"):
        run_tasks(run, ["medtrove_tiny"], dtype="fp32", task_folder=str(tasks))
