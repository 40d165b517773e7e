"""An engine that saves, or goes on from what another world saved; started by `test_world_change.py`.

`python world_change_run.py SHARDS OUT save|load FOLDER SAVED_WORLD FIRST LAST [section.key=value ...]`
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from engine_run import make


def digest(engine: Any) -> str:
    """sha256 of all weights, of the fp32 masters where there are such; collective."""
    weights, found = engine.weights() or {}, hashlib.sha256()
    for name in sorted(weights):
        found.update(weights[name].contiguous().float().numpy().tobytes())
    return found.hexdigest()


def main(
    shards_path: str, out: str, what: str, folder: str, saved_world: str, first: str, last: str, *keys: str
) -> None:
    import torch

    from train.data import IGNORED, steps

    engine, config, shards = make(shards_path, list(keys))
    path, batch = Path(folder), config.batch
    report: dict[str, Any] = {"loss": [], "norm": []}
    if what == "load":
        engine.load(path, saved_world=int(saved_world), scratch=path.with_name("scratch"))
        report["digest_half"] = digest(engine)
    micro_batches = steps(
        shards,
        rows_per_step=batch.rows,
        micro_rows=batch.micro_rows,
        rank=engine.rank,
        world_size=engine.world,
        start_row=int(first) * batch.rows,
    )
    for number, step in zip(range(int(first), int(last)), micro_batches, strict=False):
        torch.manual_seed(100 * number + engine.rank)
        learned = engine.sum([sum(int((part.labels != IGNORED).sum()) for part in step)])[0]
        result = engine.train_step(step, lr=config.optim.lr * (1 - number / 20), global_tokens=int(learned))
        report["loss"].append(result.loss)
        report["norm"].append(result.grad_norm)
        if what == "save" and number + 1 == int(last) // 2:
            if engine.rank == 0:
                path.mkdir()
            engine.barrier()
            engine.save(path)
            report["digest_half"] = digest(engine)
    adam = getattr(engine, "_adam", None) or engine._optimizer
    counts = {float(state["step"]) for state in adam.state.values() if "step" in state}
    wrapper = getattr(engine, "deepspeed", engine)
    report |= {
        "world": engine.world,
        "wrapper": type(wrapper).__name__,
        "counts": sorted(counts),
        "decays": [group["weight_decay"] for group in adam.param_groups],
    }
    report["digest"] = digest(engine)
    weights = engine.weights()
    if engine.rank == 0:
        assert weights is not None
        report["weights"] = {name: float(weight.double().abs().sum()) for name, weight in weights.items()}
        Path(out).write_text(json.dumps(report))
    engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # As the trainer does: threads that are torn down at exit have ended good ranks with "terminate called".
    os._exit(0)
