"""Some steps of an engine in processes of their own: `python engine_run.py SHARDS OUT STEPS [section.key=value ...]`.

Started once for each case by the tests, on one rank or by torch.distributed.run; rank 0 writes what happened to OUT.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "tie_word_embeddings": False,
}


def run_engine(
    shards: Path, *overrides: str, world: int = 1, steps: int = 3, script: Path = Path(__file__), **more: str
) -> dict[str, Any]:
    """What rank 0 reports of `steps` steps on `world` ranks; the output of a failed run is in the assertion."""
    out = shards.parent / f"{abs(hash((overrides, world, steps, script, tuple(more.items()))))}.json"
    shape = shards.parent / "small.json"
    shape.write_text(json.dumps(SMALL))
    command = [sys.executable]
    if world > 1:
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
    base = [f"model.architecture={shape}", "data.sequence_length=64", "optim.weight_decay=0.0"]
    command += [str(script), str(shards), str(out), str(steps), *base, *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests/train'}", **more}
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        environment.pop(name, None)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
    report: dict[str, Any] = json.loads(out.read_text())
    report["output"] = done.stdout + done.stderr
    assert report["world"] == world
    return report


def make(shards_path: str, overrides: list[str]) -> tuple[Any, Any, Any]:
    """Engine, configuration and shards of a case."""
    from mixing.reader import open_shards
    from train.config import load_config
    from train.distributed import ranks
    from train.engine import for_world, make_engine
    from train.model import build_model

    config = for_world(load_config("sample", overrides), ranks().world)
    shards = open_shards(shards_path)
    ids = shards.index["tokenizer"]
    build = partial(
        build_model,
        config,
        vocabulary=ids["vocab_size"],
        bos_id=ids["bos_id"],
        eos_id=ids["eos_id"],
        pad_id=ids["pad_id"],
    )

    def built(**given: Any) -> Any:
        model = build(**given)
        if os.environ.get("SPOILT_ROTARY"):  # as zero.Init does with transformers 5.17
            for module in model.modules():
                if getattr(module, "inv_freq", None) is not None:
                    module.register_buffer("inv_freq", module.inv_freq.bfloat16(), persistent=False)
        return model

    return make_engine(config, built, n_sources=len(shards.sources)), config, shards


def total(weights: dict[str, Any] | None) -> float:
    """One number that changes with any weight."""
    return sum(float(weight.double().abs().sum()) for weight in weights.values()) if weights else 0.0


def spoil(engine: Any) -> None:
    """Make the gradient of the next backward pass of rank 1 (or the only one) not finite, once."""
    if engine.rank != engine.world - 1:
        return
    norm = engine.module.model.norm

    def not_a_number(module: Any, given: Any, result: Any) -> Any:
        handle.remove()
        return result * float("nan")

    handle = norm.register_forward_hook(not_a_number)


def main(shards_path: str, out: str, n_steps: str, *overrides: str) -> None:
    import torch

    from train.data import IGNORED, counts, steps

    engine, config, shards = make(shards_path, list(overrides))
    report: dict[str, Any] = {"loss": [], "norm": [], "tokens": [], "by_source": [], "skipped": [], "after": []}
    batch = config.batch
    micro_batches = steps(
        shards, rows_per_step=batch.rows, micro_rows=batch.micro_rows, rank=engine.rank, world_size=engine.world
    )
    for number, step in zip(range(int(n_steps)), micro_batches, strict=False):
        if os.environ.get("WITHOUT_LAST_TARGET"):
            for part in step:
                part.labels[:, -1] = IGNORED
        by_conversation = config.sft.loss == "conversation"
        learned = engine.sum([counts(step, len(shards.sources), per_conversation=by_conversation)[0]])[0]
        if os.environ.get("SPOILT_STEP") == str(number):
            spoil(engine)
        limit = float(os.environ.get("NORM_LIMIT", "inf")) if number == 1 else float("inf")
        result = engine.train_step(step, lr=config.optim.lr, global_tokens=int(learned), norm_limit=limit)
        report["loss"].append(result.loss)
        report["norm"].append(result.grad_norm)
        report["tokens"].append(result.tokens)
        report["by_source"].append(result.by_source)
        report["skipped"].append(result.skipped)
        report["after"].append(total(engine.weights()))
    wrapper = getattr(engine, "deepspeed", engine)
    rotary = [buffer for name, buffer in engine.module.named_buffers() if name.endswith("inv_freq")]
    report |= {
        "wrapper": f"{type(wrapper).__module__}.{type(wrapper).__name__}",
        "world": engine.world,
        "rotary": sorted({str(buffer.dtype) for buffer in rotary}),
        "weight_dtypes": sorted({str(weight.dtype) for weight in engine.module.parameters()}),
        "threads": torch.get_num_threads(),
    }
    weights = engine.weights()
    if engine.rank == 0:
        assert weights is not None
        report["weights"] = {name: float(weight.double().abs().sum()) for name, weight in weights.items()}
        report["shapes"] = {name: list(weight.shape) for name, weight in weights.items()}
        report["master_dtypes"] = sorted({str(weight.dtype) for weight in weights.values()})
        Path(out).write_text(json.dumps(report))
    engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # As the trainer does: threads that are torn down at exit have ended good ranks with "terminate called".
    os._exit(0)
