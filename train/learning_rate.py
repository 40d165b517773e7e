"""The learning rate as a function of rows consumed, so that another batch size keeps the curve.

warmup      linear from 0 over the first rows
cosine      from `lr` to `min_lr` by half a cosine (Loshchilov and Hutter, arXiv:1608.03983), or linearly, or flat
"""

from __future__ import annotations

import math

from train.config import OptimSection


def warmup_rows(optim: OptimSection, *, rows_per_step: int, total_rows: int) -> float:
    """Rows of the warmup: so many steps, or a fraction of the run."""
    if optim.warmup_steps:
        return float(min(total_rows, optim.warmup_steps * rows_per_step))
    return optim.warmup * total_rows


def learning_rate(optim: OptimSection, *, rows_done: int, rows_per_step: int, total_rows: int) -> float:
    """The rate of the step that comes after `rows_done` rows of the whole run.

    A step takes the curve's value at its middle: the sum of rate x rows over a run is then the same for every size of
    step, to second order, and neither the first step nor the last is wasted on a rate of 0.
    """
    middle = min(rows_done + rows_per_step / 2, float(total_rows))
    warmup = warmup_rows(optim, rows_per_step=rows_per_step, total_rows=total_rows)
    if middle < warmup:
        return optim.lr * middle / warmup
    if optim.schedule == "constant":
        return optim.lr
    done = (middle - warmup) / max(1.0, total_rows - warmup)
    left = (1 + math.cos(math.pi * done)) / 2 if optim.schedule == "cosine" else 1 - done
    return optim.min_lr + (optim.lr - optim.min_lr) * left
