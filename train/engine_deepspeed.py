"""The engine of many ranks: DeepSpeed's ZeRO around our own loop, with torch's AdamW and no JIT op.

loss   sum of a micro-batch's token losses / learned tokens of the whole step x ranks, `scale_wrt_gas=False`:
       DeepSpeed averages gradients over ranks, and that is all the averaging there is
RoPE   frequencies are computed again in fp32 after initialisation: `zero.Init` makes them bf16, 5 rad off at
       4,095 (facts of 2026-11-21; relatives: DeepSpeed#4932, transformers#28596)
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from manifests.errors import BuildError
from train.combinations import check_runs
from train.config import RunConfig
from train.data import Batch
from train.deepspeed_files import TAG, load_files, save_files
from train.distributed import device, join, leave
from train.engine import LossSums, StepResult, for_world
from train.optimizer import acceptable, gated_adamw, total_norm
from train.sums import Running
from train.universal import converted


def deepspeed_config(config: RunConfig, world: int) -> dict[str, Any]:
    """DeepSpeed's configuration for a run on `world` ranks, complete: no "auto", no optimizer, no scheduler."""
    parallel, model, optim = config.parallel, config.model, config.optim
    data_ranks = max(1, world // (parallel.tensor_parallel * parallel.sequence_parallel))
    batch = for_world(config, data_ranks).batch
    zero: dict[str, Any] = {
        "stage": parallel.zero_stage,
        "overlap_comm": parallel.overlap_comm,
        "contiguous_gradients": True,
        "stage3_gather_16bit_weights_on_model_save": True,
    }
    if parallel.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": config.cluster.gpus_per_node > 0}
    if parallel.hpz > 1:
        zero["zero_hpz_partition_size"] = parallel.hpz
    half = model.dtype != "fp32"
    # Stage 0 in fp32 is torch's optimizer as it is, which our gate clips: DeepSpeed would do so before we saw the norm.
    clip = 0.0 if parallel.zero_stage == 0 and not half else optim.clip
    return {
        "train_batch_size": batch.rows,
        "train_micro_batch_size_per_gpu": batch.micro_rows,
        "gradient_accumulation_steps": batch.accumulation,
        "gradient_clipping": clip,
        "bf16": {"enabled": model.dtype == "bf16"},
        "fp16": {"enabled": model.dtype == "fp16", "initial_scale_power": 16, "loss_scale_window": 2000},
        # Stage 0 knows only the model's dtype. The others add micro-batches up in fp32 if there are several.
        "data_types": {"grad_accum_dtype": _accumulated_in(config, batch.accumulation)},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": None,
        "wall_clock_breakdown": False,
    }


def _accumulated_in(config: RunConfig, accumulation: int) -> str:
    dtype = config.model.dtype
    whole = config.parallel.zero_stage == 0 or accumulation == 1 or config.parallel.gradients == "model"
    return dtype if whole else "fp32"


class DeepSpeedEngine:
    """One of many ranks; see `train.engine.Engine`."""

    def __init__(self, config: RunConfig, build: Callable[..., Any], *, n_sources: int) -> None:
        check_runs(config)
        # Before deepspeed is imported, which reads the limit of its group once.
        self._group = join("deepspeed")
        import deepspeed

        from train.model import parameter_groups, repair_rotary

        logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
        self._config, self._n_sources = config, n_sources
        self.rank, self.world, self.device = self._group.rank, self._group.world, device()
        self._stage = config.parallel.zero_stage
        settings = deepspeed_config(config, self.world)
        model = build(partitioned=self._stage == 3, deepspeed_config=settings)
        self._norm, self._limit, self._taken = math.nan, math.inf, False
        self._adam = gated_adamw(parameter_groups(model, config.optim.weight_decay), config.optim, self._gate)
        self.deepspeed, *_ = deepspeed.initialize(
            model=model,
            optimizer=self._adam,
            config=settings,
            dist_init_required=False,
        )
        self.module = self.deepspeed.module
        repair_rotary(self.module)
        self._accumulation = self.deepspeed.gradient_accumulation_steps()

    def train_step(
        self, micro_batches: Sequence[Batch], *, lr: float, global_tokens: int, norm_limit: float = math.inf
    ) -> StepResult:
        assert len(micro_batches) == self._accumulation, "DeepSpeed accumulates as the loop does"
        sums = Running(self.module, self._n_sources, self.device)
        self._limit, self._taken, self._norm = norm_limit, False, math.inf
        for group in self._adam.param_groups:
            group["lr"] = lr
        self.deepspeed.train()
        for batch in micro_batches:
            losses = sums.of(batch, self._config, around=self.deepspeed)
            self.deepspeed.backward(losses.loss * (self.world / max(1, global_tokens)), scale_wrt_gas=False)
            self.deepspeed.step()
        return sums.step_result(self.sum, norm=self._norm, skipped=not self._taken)

    def evaluate(self, batches: Iterable[Batch]) -> LossSums:
        import torch

        sums = Running(self.module, self._n_sources, self.device)
        self.deepspeed.eval()
        with torch.no_grad():
            for batch in batches:
                sums.of(batch, self._config, around=self.deepspeed)
        self.deepspeed.train()
        return sums.result(self.sum)

    def save(self, folder: Path) -> None:
        save_files(self.deepspeed, folder, with_frozen=self._config.lora.r == 0)

    def load(self, folder: Path, *, saved_world: int, scratch: Path) -> None:
        if not (folder / TAG).is_dir():
            raise BuildError(
                "there are no files of DeepSpeed.",
                where=str(folder),
                why="The checkpoint is not one of this engine.",
                fix="Go on with the engine that wrote it: --set parallel.engine=torch.",
            )
        strict = self._config.lora.r == 0
        if saved_world == self.world or self._stage == 0:
            load_files(self.deepspeed, self._adam, folder, strict=strict, universal=False)
            return
        with converted(folder, scratch, group=self._group) as shared_anew:
            load_files(self.deepspeed, self._adam, shared_anew, strict=strict, universal=True)

    def weights(self) -> dict[str, Any] | None:
        import deepspeed
        from deepspeed.utils import safe_get_full_fp32_param

        found: dict[str, Any] = {}
        masters = self._stage_0_masters()
        for name, weight in self.module.named_parameters():
            # One after the other: all at once would need every weight on one rank's device.
            if not weight.requires_grad or self._stage == 0:
                with deepspeed.zero.GatheredParameters([weight], enabled=self._stage == 3):
                    whole = masters.get(id(weight), weight)
                    if self.rank == 0:
                        found[name] = whole.detach().cpu().clone()
                continue
            whole = safe_get_full_fp32_param(weight)
            if self.rank == 0:
                found[name] = whole.detach().reshape(getattr(weight, "ds_shape", weight.shape)).cpu().clone()
        return found if self.rank == 0 else None

    def sum(self, values: Sequence[float]) -> list[float]:
        return self._group.sum(values)

    def any(self, flag: bool) -> bool:  # noqa: FBT001
        return self._group.any(flag)

    def barrier(self) -> None:
        self._group.barrier()

    def close(self) -> None:
        leave()

    def _gate(self, optimizer: Any) -> bool:
        """The last look before the weights change; all ranks see the same norm and decide alike."""
        if not hasattr(self, "deepspeed"):
            return False  # stage 0 takes a step while it is set up: it would decay weights and count as the first
        if self._stage == 0 and self._config.model.dtype == "fp32":
            self._norm = self._measure_and_clip(optimizer)
        else:
            around = self.deepspeed.optimizer
            scale = around.cur_scale if self._stage == 0 and self._config.model.dtype == "fp16" else 1.0
            self._norm = float(around._global_grad_norm) / scale
        self._taken = acceptable(self._norm, self._limit)
        return self._taken

    def _measure_and_clip(self, optimizer: Any) -> float:
        import torch

        gradients = [w.grad for group in optimizer.param_groups for w in group["params"] if w.grad is not None]
        norm = float(total_norm(gradients))
        clip = self._config.optim.clip
        if clip and norm > clip:
            torch._foreach_mul_(gradients, clip / (norm + 1e-6))
        return norm

    def _stage_0_masters(self) -> dict[int, Any]:
        """Half-precision weight -> its fp32 master, where stage 0 has such."""
        around = self.deepspeed.optimizer
        if self._stage != 0 or not hasattr(around, "fp32_groups"):
            return {}
        pairs = zip(around.fp16_groups, around.fp32_groups, strict=True)
        return {id(half): full for group in pairs for half, full in zip(*group, strict=True)}
