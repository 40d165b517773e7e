"""A self-test of the user's own machine: the same few steps, however the ranks share them.

    python -m train.parity --config FILE --shards DIR --report FILE --steps N

is one rank of one arrangement; `medtrove train parity` starts an arrangement on all ranks and one on a single rank and
compares. The model is the preset's own with two layers and random weights, so that one rank can hold it; rows, rows of
a step, dtype, ZeRO stage and network are the real ones. What differs: reduction bugs, a wrong NCCL, a broken GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mixing.reader import open_shards
from train.config import RunConfig, load_config

LAYERS = 2
TOLERANCE = {"fp32": (1e-4, 1e-3), "bf16": (3e-3, 3e-2), "fp16": (3e-3, 3e-2)}
"""By dtype: greatest relative difference of the loss and of the gradient's norm that rounding explains."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One step on all ranks beside the same on one."""

    step: int
    loss: float
    loss_alone: float
    norm: float
    norm_alone: float
    same: bool


def shrunken(config: RunConfig, folder: Path) -> RunConfig:
    """The same run with a model of two layers and random weights; its `config.json` is written into `folder`."""
    from train.base import read_shape

    shape = read_shape(config.model)
    layers = min(LAYERS, int(shape.get("num_hidden_layers", LAYERS)))
    shape["num_hidden_layers"] = layers
    if isinstance(kinds := shape.get("layer_types"), list):
        shape["layer_types"] = kinds[:layers]
    path = folder / "config.json"
    path.write_text(json.dumps(shape), encoding="utf-8")
    update = {"base": "", "architecture": str(path), "quantize": "none", "compile": False}
    return config.model_copy(
        update={
            "model": config.model.model_copy(update=update),
            "lora": config.lora.model_copy(update={"r": 0}),
        }
    )


def compare(together: dict[str, Any], alone: dict[str, Any], dtype: str) -> list[Compared]:
    """Step by step; `same` within the tolerance of the dtype."""
    found = []
    of_loss, of_norm = TOLERANCE[dtype]
    values = zip(together["loss"], alone["loss"], together["norm"], alone["norm"], strict=True)
    for number, (loss, loss_alone, norm, norm_alone) in enumerate(values, 1):
        # Not `difference > tolerance`, which NaN passes.
        same = abs(loss - loss_alone) <= of_loss * loss_alone and abs(norm - norm_alone) <= of_norm * norm_alone
        found.append(Compared(number, loss, loss_alone, norm, norm_alone, same))
    return found


def main(arguments: list[str] | None = None) -> int:
    """One rank of one arrangement."""
    from train.data import counts, steps
    from train.distributed import join
    from train.engine import for_world, make_engine
    from train.model import build_model

    parser = argparse.ArgumentParser(prog="python -m train.parity")
    for name in ("--config", "--shards", "--report"):
        parser.add_argument(name, required=True)
    parser.add_argument("--steps", type=int, required=True)
    given = parser.parse_args(arguments)
    config, shards = load_config(given.config), open_shards(given.shards)
    config = for_world(config, join(config.parallel.engine).world)
    ids = shards.index["tokenizer"]
    build = partial(
        build_model,
        config,
        vocabulary=ids["vocab_size"],
        bos_id=ids["bos_id"],
        eos_id=ids["eos_id"],
        pad_id=ids["pad_id"],
    )
    engine = make_engine(config, build, n_sources=len(shards.sources))
    report: dict[str, Any] = {"world": engine.world, "loss": [], "norm": []}
    of_rank = steps(
        shards,
        rows_per_step=config.batch.rows,
        micro_rows=config.batch.micro_rows,
        rank=engine.rank,
        world_size=engine.world,
    )
    for _, batches in zip(range(given.steps), of_rank, strict=False):
        learned = engine.sum(counts(batches, len(shards.sources)))[0]
        result = engine.train_step(batches, lr=config.optim.lr, global_tokens=int(learned))
        report["loss"].append(result.loss)
        report["norm"].append(result.grad_norm)
    if engine.rank == 0:
        Path(given.report).write_text(json.dumps(report), encoding="utf-8")
    engine.close()
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the group that are torn down at exit have ended a good rank with "terminate called".
    os._exit(code)
