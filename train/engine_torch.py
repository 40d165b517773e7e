"""The engine of a single GPU, or of the CPU: torch alone, for speed.

Where the model computes in half precision, the weights that are trained have fp32 masters, and every micro-batch's
gradient is added to the master's in fp32 as soon as it is there: 2 + 4 + 4 + 8 bytes a parameter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from manifests.errors import BuildError
from train.config import RunConfig
from train.data import Batch
from train.distributed import device
from train.engine import LossSums, StepResult
from train.optimizer import acceptable, gated_adamw, total_norm
from train.sums import Running

_FILE = "torch.pt"
_SCALE, _SCALE_STEPS = 2.0**16, 2000
"""First scale of an fp16 loss, and good steps after which it is doubled (Micikevicius et al., arXiv:1710.03740)."""


class TorchEngine:
    """One rank; see `train.engine.Engine`."""

    rank, world = 0, 1

    def __init__(self, config: RunConfig, model: Any, *, n_sources: int) -> None:
        import torch

        from train.model import parameter_groups, repair_rotary

        self._config, self._n_sources = config, n_sources
        self.device = device()
        self.module = model.to(self.device)
        self._trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._masters = self._trained
        if config.model.dtype != "fp32" and config.lora.r == 0:
            # Copied before the cast: masters are the weights as they were made or read, not rounded first.
            self._masters = {name: torch.nn.Parameter(w.detach().float().clone()) for name, w in self._trained.items()}
            self.module.to({"bf16": torch.bfloat16, "fp16": torch.float16}[config.model.dtype])
            for name, weight in self._trained.items():
                weight.register_post_accumulate_grad_hook(_move_gradient_to(self._masters[name]))
        repair_rotary(self.module)
        master_of = {id(weight): self._masters[name] for name, weight in self._trained.items()}
        groups = parameter_groups(model, config.optim.weight_decay)
        for group in groups:
            group["params"] = [master_of[id(weight)] for weight in group["params"]]
        self._norm, self._limit, self._taken = math.nan, math.inf, False
        self._optimizer = gated_adamw(groups, config.optim, self._gate)
        self._scale, self._good_steps = (_SCALE if config.model.dtype == "fp16" else 1.0), 0

    def train_step(
        self, micro_batches: Sequence[Batch], *, lr: float, global_tokens: int, norm_limit: float = math.inf
    ) -> StepResult:

        sums = Running(self.module, self._n_sources, self.device)
        self.module.train()
        for batch in micro_batches:
            losses = sums.of(batch, self._config)
            (losses.loss * (self._scale / max(1, global_tokens))).backward()
        self._limit = norm_limit
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self._taken:
            self._cast_masters()
        return sums.step_result(self.sum, norm=self._norm, skipped=not self._taken)

    def evaluate(self, batches: Iterable[Batch]) -> LossSums:
        import torch

        sums = Running(self.module, self._n_sources, self.device)
        self.module.eval()
        with torch.no_grad():
            for batch in batches:
                sums.of(batch, self._config)
        self.module.train()
        return sums.result(self.sum)

    def save(self, folder: Path) -> None:
        import torch

        state = {
            "masters": {name: weight.detach() for name, weight in self._masters.items()},
            "optimizer": self._optimizer.state_dict(),
            "scale": self._scale,
            "good_steps": self._good_steps,
        }
        torch.save(state, folder / _FILE)

    def load(self, folder: Path, *, saved_world: int, scratch: Path) -> None:
        import torch

        if not (folder / _FILE).is_file():
            raise BuildError(
                f"{_FILE} is not there.",
                where=str(folder),
                why="The checkpoint is not one of the torch engine.",
                fix="Go on with the engine that wrote it: --set parallel.engine=deepspeed.",
            )
        state = torch.load(folder / _FILE, map_location=self.device, weights_only=True)
        with torch.no_grad():
            for name, master in self._masters.items():
                master.copy_(state["masters"][name])
        self._cast_masters()
        self._optimizer.load_state_dict(state["optimizer"])
        self._scale, self._good_steps = state["scale"], state["good_steps"]

    def weights(self) -> dict[str, Any] | None:
        return {
            name: self._masters.get(name, weight).detach().cpu().clone()
            for name, weight in self.module.named_parameters()
        }

    def sum(self, values: Sequence[float]) -> list[float]:
        return [float(value) for value in values]

    def any(self, flag: bool) -> bool:  # noqa: FBT001
        return flag

    def barrier(self) -> None:
        """There is nobody to wait for."""

    def close(self) -> None:
        """There is no group to leave."""

    def _cast_masters(self) -> None:
        import torch

        if self._masters is not self._trained:
            names = list(self._trained)
            with torch.no_grad():
                torch._foreach_copy_([self._trained[n] for n in names], [self._masters[n] for n in names])

    def _gate(self, optimizer: Any) -> bool:
        """Unscale, measure and clip; false where the step is not to be taken."""
        import torch

        gradients = [master.grad for master in self._masters.values() if master.grad is not None]
        if self._scale != 1.0:
            torch._foreach_div_(gradients, self._scale)
        norm = total_norm(gradients)
        self._norm = float(norm)
        self._taken = acceptable(self._norm, self._limit)
        if self._config.model.dtype == "fp16":
            self._good_steps = self._good_steps + 1 if math.isfinite(self._norm) else 0
            if not math.isfinite(self._norm):
                self._scale = max(1.0, self._scale / 2)
            elif self._good_steps % _SCALE_STEPS == 0:
                self._scale *= 2
        clip = self._config.optim.clip
        if self._taken and clip and self._norm > clip:
            torch._foreach_mul_(gradients, clip / (self._norm + 1e-6))
        return self._taken


def _move_gradient_to(master: Any) -> Any:
    def move(weight: Any) -> None:
        if master.grad is None:
            master.grad = weight.grad.float()
        else:
            master.grad += weight.grad
        weight.grad = None

    return move
