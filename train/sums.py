"""The running sums of a step, kept on the device until its end: one reduction, one copy to the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from train.config import RunConfig
from train.data import Batch
from train.engine import LossSums, StepResult


class Running:
    """Loss and learned tokens, in all and by source, over some forward passes of one rank."""

    def __init__(self, module: Any, n_sources: int, device: Any) -> None:
        import torch

        self._module, self._n_sources = module, n_sources
        self._total = torch.zeros(2 + 2 * n_sources, dtype=torch.float64, device=device)

    def of(self, batch: Batch, config: RunConfig, around: Any = None) -> Any:
        """The losses of one batch (`train.loss.Sums`), added to the total; `around` is DeepSpeed's engine."""
        import torch

        from train.attention import attention_kind
        from train.loss import token_losses

        losses = token_losses(
            around or self._module,
            batch,
            n_sources=self._n_sources,
            kind=attention_kind(self._module),
            chunk_tokens=config.model.loss_chunk_tokens,
            per_conversation=config.sft.loss == "conversation",
        )
        parts = (losses.loss.detach()[None], losses.tokens[None], losses.by_source, losses.tokens_by_source)
        self._total += torch.cat([part.double() for part in parts])
        return losses

    def result(self, reduce: Callable[[Sequence[float]], list[float]]) -> LossSums:
        """The sums of all ranks."""
        n = self._n_sources
        total = reduce(self._total.tolist())
        return LossSums(
            loss_sum=total[0],
            tokens=round(total[1]),
            by_source=total[2 : 2 + n],
            tokens_by_source=[round(value) for value in total[2 + n :]],
        )

    def step_result(
        self, reduce: Callable[[Sequence[float]], list[float]], *, norm: float, skipped: bool
    ) -> StepResult:
        """The same for a step of the optimizer."""
        sums = self.result(reduce)
        return StepResult(
            sums.loss_sum, sums.tokens, sums.by_source, sums.tokens_by_source, grad_norm=norm, skipped=skipped
        )
