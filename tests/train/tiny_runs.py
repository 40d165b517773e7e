"""A run's folder made in this process with the torch engine: a checkpoint whose weights have moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny_models import tiny_config
from tiny_shards import tiny_shards

from mixing.reader import open_shards
from train.agreement import Alone
from train.checkpoint import TrainState, save_checkpoint
from train.config import dump_config, parse_config
from train.ledger import Ledger, shards_fingerprint
from train.resume import config_digest
from train.run_folder import open_run

VOCABULARY = 128
TOKENIZER = {"sha256": "0" * 64, "vocab_size": VOCABULARY, "bos_id": 0, "eos_id": 1, "pad_id": 1}


def tiny_run(
    folder: Path,
    family: str = "llama",
    *,
    restricted: bool = False,
    steps: int = 2,
    vocabulary: int = VOCABULARY,
    tokenizer: Any = None,
    **sections: Any,
) -> tuple[Path, Any]:
    """The run's folder, and its engine as it was when it saved; `sections` as in `tiny_config`."""
    from train.data import make_batch
    from train.engine_torch import TorchEngine
    from train.taint import as_tainted

    folder.mkdir(exist_ok=True)
    config = tiny_config(folder, family, optim={"lr": 1e-2}, run={"id": "tiny-run"}, **sections)
    path = tiny_shards(folder / "corpus", rows=8, length=32, vocabulary=VOCABULARY, restricted=restricted)
    shards = as_tainted(open_shards(path), config)
    from train.model import build_model

    model = build_model(config, vocabulary=vocabulary, bos_id=0, eos_id=1, pad_id=1)
    engine = TorchEngine(config, model, n_sources=len(shards.sources))
    for step in range(steps):
        batch = make_batch(shards, [2 * step, 2 * step + 1], 2, rows_consumed=2 * step + 2)
        engine.train_step([batch], lr=1e-2, global_tokens=int((batch.labels >= 0).sum()))
    run = folder / "run"
    config = parse_config(config.model_dump(), where="test")
    known = json.loads((path / "index.json").read_bytes())
    (path / "index.json").write_text(json.dumps(known | {"tokenizer": tokenizer or TOKENIZER}))
    open_run(run, config, shards=path, restricted=shards.restricted, status="done", tokenizer=tokenizer or TOKENIZER)
    assert (run / "config.toml").read_text() == dump_config(config)
    ledger = Ledger(shards, epochs=1, manifest_sha256="ab" * 32)
    ledger.begin(0)
    ledger.write(run, restricted=shards.restricted)
    state = TrainState(
        shards_fingerprint=shards_fingerprint(shards),
        seed=0,
        epoch=0,
        rows_done=2 * steps,
        step=steps,
        rows_per_step=2,
        world=1,
        zero_stage=1,
        engine="torch",
        config_sha256=config_digest(config),
        restricted=shards.restricted,
    )
    save_checkpoint(run, state, engine.save, group=Alone())
    return run, engine
