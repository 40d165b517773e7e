"""The same steps by Hugging Face's Trainer over DeepSpeed: an oracle for our loop. Called as `engine_run.py` is.

Two traps, seen on 2026-11-21: with `ACCELERATE_USE_CPU=true` accelerate puts DDP in DeepSpeed's place, and without
`use_cpu=True` every rank on a CPU machine is a world of its own. The report names wrapper and world.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any


def main(shards_path: str, out: str, n_steps: str, *overrides: str) -> None:
    import deepspeed
    import torch
    from torch.utils.data import SequentialSampler
    from transformers import Trainer, TrainingArguments

    from mixing.reader import open_shards
    from train.attention import plain_attention
    from train.config import load_config
    from train.data import IGNORED, make_batch
    from train.engine import for_world
    from train.engine_deepspeed import deepspeed_config
    from train.model import build_model, parameter_groups

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    world = int(os.environ["WORLD_SIZE"])
    config = for_world(load_config("sample", list(overrides)), world)
    shards = open_shards(shards_path)
    n_rows = int(n_steps) * config.batch.rows
    batch = make_batch(shards, range(n_rows), n_rows, rows_consumed=n_rows)
    # Transformers shifts labels itself, so a row's last target has no place; `engine_run` leaves it out as well.
    labels = torch.full_like(torch.from_numpy(batch.labels), IGNORED)
    labels[:, 1:] = torch.from_numpy(batch.labels)[:, :-1]
    rows = [
        {"input_ids": ids, "position_ids": positions, "labels": shifted}
        for ids, positions, shifted in zip(
            torch.from_numpy(batch.input_ids), torch.from_numpy(batch.position_ids), labels, strict=True
        )
    ]
    ids = shards.index["tokenizer"]
    model = build_model(
        config, vocabulary=ids["vocab_size"], bos_id=ids["bos_id"], eos_id=ids["eos_id"], pad_id=ids["pad_id"]
    )
    # Its own forward pass and its own loss.
    del model.forward
    model.config.use_cache = False
    optim = config.optim
    adam = torch.optim.AdamW(
        parameter_groups(model, optim.weight_decay), lr=optim.lr, betas=(optim.beta1, optim.beta2), eps=optim.eps
    )
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        use_cpu=True,
        bf16=config.model.dtype == "bf16",
        deepspeed=deepspeed_config(config, world),
        per_device_train_batch_size=config.batch.micro_rows,
        gradient_accumulation_steps=config.batch.accumulation,
        num_train_epochs=1,
        max_grad_norm=optim.clip,
        learning_rate=optim.lr,
        lr_scheduler_type="constant",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_drop_last=False,
    )

    class InOrder(Trainer):
        def _get_train_sampler(self, *_: Any) -> Any:
            return SequentialSampler(self.train_dataset)

    trainer = InOrder(model=model, args=arguments, train_dataset=rows, optimizers=(adam, None))
    with plain_attention(model):
        trainer.train()
    wrapper = trainer.model_wrapped
    log = [entry for entry in trainer.state.log_history if "grad_norm" in entry]
    report: dict[str, Any] = {
        "rates": [entry["learning_rate"] for entry in log],
        "loss": [entry["loss"] for entry in log],
        "norm": [float(entry["grad_norm"]) for entry in log],
        "wrapper": f"{type(wrapper).__module__}.{type(wrapper).__name__}",
        "world": arguments.world_size,
    }
    if arguments.process_index == 0:
        Path(out).write_text(json.dumps(report))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # As the trainer does: threads that are torn down at exit have ended good ranks with "terminate called".
    os._exit(0)
