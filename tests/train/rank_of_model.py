"""One rank of `test_model_under_zero`: steps of DeepSpeed on a saved base, what came out as JSON.

Arguments: folder of the base, folder for the results. One start for all cases: importing takes longer than training.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import deepspeed
import torch
from tiny_models import tiny_batch, tiny_config, tiny_model

from train.apart import check_documents_apart
from train.lora import adapter_state, has_adapters, save_adapter
from train.loss import token_losses
from train.model import parameter_groups, repair_rotary

ROWS = [[5, 9, 14], [32], [1, 1, 20], [30]]


def case(base: Path, out: Path, stage: int, r: int) -> None:
    """A run with a ZeRO stage and adapters of rank r (0: none)."""
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    settings = {
        "train_micro_batch_size_per_gpu": len(ROWS) // world,
        "gradient_accumulation_steps": 1,
        "zero_optimization": {"stage": stage, "stage3_param_persistence_threshold": 0},
        "bf16": {"enabled": True},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }
    folder = out / f"rank{rank}"
    folder.mkdir(parents=True)
    config = tiny_config(
        folder,
        model={"base": str(base), "dtype": "bf16", "recompute": "full"},
        parallel={"engine": "deepspeed", "zero_stage": stage},
        lora={"r": r},
    )
    model = tiny_model(config, partitioned=stage == 3, deepspeed_config=settings)
    shared_out = sum(hasattr(p, "ds_id") for p in model.parameters())
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.1), lr=1e-2, eps=1e-8)
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=settings)
    repair_rotary(engine.module)
    rotary = next(b for name, b in engine.module.named_buffers() if name.endswith("rotary_emb.inv_freq"))
    check_documents_apart(engine, kind="sdpa", vocabulary=128)
    batch = tiny_batch(ROWS[rank::world] if world > 1 else ROWS, seed=0)
    losses = []
    for _ in range(3):
        sums = token_losses(engine, batch, n_sources=3, kind="sdpa", chunk_tokens=9)
        total = torch.stack([sums.loss.detach(), sums.tokens.float()])
        torch.distributed.all_reduce(total)
        engine.backward(sums.loss * world / total[1], scale_wrt_gas=False)
        engine.step()
        losses.append((total[0] / total[1]).item())
    result = {
        "engine": type(engine).__name__,
        "world": world,
        "shared_out": shared_out,
        "rotary": str(rotary.dtype),
        "losses": losses,
    }
    if has_adapters(engine.module):
        state = adapter_state(engine.module)
        result["sums"] = {name: tensor.double().abs().sum().item() for name, tensor in state.items()}
        if rank == 0:
            save_adapter(engine.module, out, state=state, base=str(base))
    (folder / "result.json").write_text(json.dumps(result))
    torch.distributed.barrier()


def main() -> None:
    base, out = Path(sys.argv[1]), Path(sys.argv[2])
    deepspeed.init_distributed("gloo", verbose=False)
    for stage in (1, 3):
        for r in (0, 4):
            case(base, out / f"stage{stage}-lora{r}", stage, r)
            gc.collect()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
