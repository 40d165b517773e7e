"""AdamW with a gate: the last look at a step's gradient norm before anything changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from train.config import OptimSection


def gated_adamw(groups: Sequence[dict[str, Any]], optim: OptimSection, gate: Callable[[Any], bool]) -> Any:
    """torch's AdamW (arXiv:1711.05101), whose step does nothing where `gate(optimizer)` is false.

    DeepSpeed clips and then calls the optimizer; this is the one place between the norm and the weights that all its
    stages share. A step left out leaves weights, moments and the count of steps as they were.
    """
    import torch

    class GatedAdamW(torch.optim.AdamW):  # type: ignore[misc]  # torch is Any for mypy
        def step(self, closure: Any = None) -> Any:
            return super().step(closure) if gate(self) else None

    # One kernel for all weights on a GPU; torch's own, so that nothing is compiled at the start of a run.
    fused = any(weight.is_cuda for group in groups for weight in group["params"])
    return GatedAdamW(groups, lr=optim.lr, betas=(optim.beta1, optim.beta2), eps=optim.eps, fused=fused or None)


def total_norm(gradients: Sequence[Any]) -> Any:
    """2-norm of all gradients together.

    On CPU torch adds up fp32 squares one after the other: 7e-4 too small over 16M of them; on a GPU as a tree.
    """
    import torch

    dtype = torch.float64 if gradients[0].device.type == "cpu" else None
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients, 2, dtype)))


def acceptable(norm: float, limit: float) -> bool:
    """Whether a step of this gradient norm is taken; DeepSpeed writes -1 for a norm that is not finite."""
    return math.isfinite(norm) and 0 <= norm <= limit
