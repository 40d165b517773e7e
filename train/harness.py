"""Benchmarks by lm-evaluation-harness (extra `eval`), through its Python API, on an exported folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manifests.errors import RecipeError
from train.distributed import device


def run_tasks(
    folder: Path, tasks: Sequence[str], *, dtype: str, limit: int = 0, task_folder: str = ""
) -> dict[str, Any]:
    """Scores by task as the harness reports them; its data sets are fetched by it, nothing of ours is sent.

    `task_folder`: YAML files of own tasks. `limit`: items of each task, 0: all.
    """
    try:
        from lm_eval import simple_evaluate
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager
    except ImportError:
        raise RecipeError(
            "lm-evaluation-harness is not installed.",
            where="--tasks",
            why="Benchmarks are run by it, so that scores compare with those of others.",
            fix=".venv/bin/pip install -e '.[train,eval]'",
        ) from None
    if not (folder / "config.json").is_file():
        raise RecipeError(
            "benchmarks are run on an exported folder.",
            where=str(folder),
            fix="medtrove train export RUN --output DIR, then evaluate DIR.",
        )
    manager = TaskManager(include_path=task_folder or None)
    known = set(manager.all_tasks)
    if unknown := [task for task in tasks if task not in known]:
        raise RecipeError(
            f"the harness has no task {unknown[0]!r}.", where="--tasks", fix="`lm_eval ls tasks` names them."
        )
    # Its own default is CUDA, also where torch has none.
    model = HFLM(pretrained=str(folder), dtype={"bf16": "bfloat16", "fp32": "float32"}[dtype], device=str(device()))
    found = simple_evaluate(
        model=model, tasks=list(tasks), task_manager=manager, limit=limit or None, log_samples=False, bootstrap_iters=0
    )
    return {name: dict(scores) for name, scores in found["results"].items()}
