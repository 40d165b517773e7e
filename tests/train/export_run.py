"""A run's folder with a checkpoint, and the logits of its engine: `python export_run.py SHARDS OUT STEPS [key=value]`.

Started by tests through `engine_run.run_engine`; all ranks save, and rank 0 writes OUT and `logits.pt` beside it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from engine_run import make

PROBE = [[5, 9, 200, 17, 3, 64, 81, 7, 7, 120, 33, 2], [250, 11, 4, 4, 9, 100, 101, 102, 5, 6, 77, 8]]


def probe(model: Any) -> Any:
    """[2, 12, vocabulary] logits in fp32, as transformers computes them."""
    import torch

    from train.attention import plain_attention

    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad(), plain_attention(model):
        logits = model(input_ids=torch.tensor(PROBE, device=device), use_cache=False).logits
    return logits.float().cpu()


def main(shards_path: str, out: str, n_steps: str, *overrides: str) -> None:
    import torch

    from train.checkpoint import TrainState, save_checkpoint
    from train.data import IGNORED, steps
    from train.ledger import shards_fingerprint
    from train.resume import config_digest
    from train.run_folder import open_run

    engine, config, shards = make(shards_path, list(overrides))
    run = Path(os.environ["RUN"])
    batch = config.batch
    parts = steps(
        shards, rows_per_step=batch.rows, micro_rows=batch.micro_rows, rank=engine.rank, world_size=engine.world
    )
    for _, step in zip(range(int(n_steps)), parts, strict=False):
        learned = engine.sum([sum(int((part.labels != IGNORED).sum()) for part in step)])[0]
        engine.train_step(step, lr=config.optim.lr, global_tokens=int(learned))
    if engine.rank == 0:
        open_run(
            run,
            config,
            shards=shards.folder,
            restricted=shards.restricted,
            status="done",
            step=int(n_steps),
            tokenizer=shards.index["tokenizer"],
        )
    engine.barrier()
    state = TrainState(
        shards_fingerprint=shards_fingerprint(shards),
        seed=config.data.seed,
        epoch=0,
        rows_done=int(n_steps) * batch.rows,
        step=int(n_steps),
        rows_per_step=batch.rows,
        world=engine.world,
        zero_stage=config.parallel.zero_stage,
        engine=config.parallel.engine,
        config_sha256=config_digest(config),
        restricted=shards.restricted,
    )
    save_checkpoint(run, state, engine.save, group=engine)
    logits = probe(engine.module)
    weights = engine.weights()
    if engine.rank == 0:
        torch.save({"logits": logits, "weights": weights}, run / "logits.pt")
        wrapper = getattr(engine, "deepspeed", engine)
        Path(out).write_text(json.dumps({"world": engine.world, "wrapper": type(wrapper).__name__}))
    engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # As the trainer does: threads that are torn down at exit have ended good ranks with "terminate called".
    os._exit(0)
