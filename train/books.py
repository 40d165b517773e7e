"""What a run writes down about itself: ledger, metrics, screen, trackers; every rank counts, rank 0 writes."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from manifests.errors import CheckFailed
from mixing.order import epoch_order
from mixing.reader import Shards
from train.checkpoint import TrainState
from train.config import RunConfig
from train.engine import Engine, StepResult
from train.header import header
from train.ledger import Ledger, manifest_sha256
from train.metrics import MetricsFile
from train.progress import ProgressLine
from train.run_folder import open_run, update_run
from train.trackers import Trackers

_FEW = 20
"""Steps whose gradient norms make a mean that a spike can be told by."""
_LOST = 3
"""Steps in succession without a finite loss after which a run ends: each of them learns nothing of its rows."""
_OVERFLOWN = 25
"""The same of gradients alone: fp16 begins with a scale that is too large and halves it at each such step."""
_KEPT = 0.98
"""Part of the running mean that stays at a step: a memory of about 50 steps."""


class Books:
    """Of one run, on one rank."""

    def __init__(
        self, config: RunConfig, run: Path, shards: Shards, engine: Engine, state: TrainState | None, *, steps: int
    ) -> None:
        self._config, self._run, self._shards, self._engine = config, run, shards, engine
        self.screen = ProgressLine(steps, silent=engine.rank != 0)
        self.ledger = Ledger(shards, epochs=config.data.epochs, manifest_sha256=manifest_sha256(shards))
        self.ledger.begin(
            state.epoch if state else 0,
            rows_done=state.rows_done if state else 0,
            tokens_by_source=state.tokens_by_source if state else None,
        )
        self.step = state.step if state else 0
        more = state.more if state else {}
        self._lost = self._overflown = 0
        self._norm_mean, self._norm_count = more.get("norm_mean", 0.0), more.get("norm_count", 0)
        self._facts = header(config, engine, shards)
        self._metrics: MetricsFile | None = None
        self._trackers: Trackers | None = None
        if engine.rank == 0:
            open_run(
                run,
                config,
                shards=shards.folder,
                restricted=shards.restricted,
                status="running",
                tokenizer=shards.index["tokenizer"],
            )
            self._metrics = MetricsFile(run, self._facts, step=self.step, restricted=shards.restricted)
            self._trackers = Trackers(config, run, restricted=shards.restricted)
            if cut := self._metrics.cut:
                self.screen.say(f"{cut} lines of metrics.jsonl after step {self.step:,} are cut: they come again.")
        self._waited = self._began = time.perf_counter()

    # ---- what the loop asks

    def data_is_here(self) -> None:
        """The batches of a step have come; what passed since the last step's end was waiting."""
        self._began = time.perf_counter()

    def norm_limit(self) -> float:
        """Gradient norm above which the next step is left out; infinite without a rule or a mean to go by."""
        factor = self._config.optim.spike_factor
        return factor * self._norm_mean if factor and self._norm_count >= _FEW else float("inf")

    def kept_by_checkpoint(self) -> dict[str, Any]:
        """What goes on with a resumed run beside the ledger."""
        return {"norm_mean": self._norm_mean, "norm_count": self._norm_count}

    # ---- what is written

    def enter(
        self, result: StepResult, *, epoch: int, rows: tuple[int, int], lr: float, tokens: Sequence[float]
    ) -> None:
        """Write a step down; `rows`: of the epoch, before and after it; `tokens`: consumed, in the order of sources."""
        if self.ledger.epochs[-1].epoch != epoch:
            self.ledger.begin(epoch)
        self.ledger.add(tokens, rows_done=rows[1])
        self.step += 1
        self._lost = self._lost + 1 if result.tokens and not math.isfinite(result.loss) else 0
        self._overflown = 0 if math.isfinite(result.grad_norm) else self._overflown + 1
        if not result.skipped:
            mean = result.grad_norm if self._norm_count == 0 else self._norm_mean
            self._norm_mean = _KEPT * mean + (1 - _KEPT) * result.grad_norm
            self._norm_count += 1
        seconds = time.perf_counter() - self._waited
        if self._metrics is not None and self._trackers is not None:
            line = self._line(result, epoch, rows, lr, sum(tokens), seconds)
            if result.skipped:
                # Which rows they were, so that somebody can look at them: `medtrove inspect`.
                order = epoch_order(len(self._shards), self._config.data.seed, epoch, self._shards.window_rows)
                line["skipped_rows"] = order.rows(np.arange(*rows)).tolist()
                self.screen.say(
                    f"Step {self.step:,} was left out: gradient norm {result.grad_norm:.4g}, loss {result.loss:.4g}; "
                    "its rows are in metrics.jsonl."
                )
            if result.skipped or self.step % self._config.run.log_every_steps == 0:
                self._metrics.write("step", **line)
                self._trackers.log(self.step, line)
            left = len(self._shards) * (self._config.data.epochs - epoch) - rows[1]
            self.screen.step(line, rows_left=left, rows=self._config.batch.rows)
        if self._lost == _LOST or self._overflown == _OVERFLOWN:
            raise CheckFailed(
                f"{'the loss' if self._lost == _LOST else 'the gradient'} was not finite in "
                f"{max(self._lost, self._overflown)} steps, the last {self.step:,}.",
                where=str(self._run),
                why="Such steps are left out, so the run would go through its rows and learn nothing.",
                fix="Look at gnorm and skipped_rows in metrics.jsonl; then go on from the newest checkpoint, or start "
                "a new run with a smaller optim.lr or model.dtype = 'bf16'.",
            )
        self._waited = time.perf_counter()

    def enter_validation(self, losses: dict[str, Any]) -> None:
        """Write losses on held-out rows down; CheckFailed on all ranks where they are not finite."""
        if self._metrics is not None and self._trackers is not None:
            self._metrics.write("validation", step=self.step, **losses)
            self._trackers.log(self.step, {"validation": losses})
        by_source = "  ".join(f"{name} {loss:.3f}" for name, loss in losses["by_source"].items())
        self.screen.say(f"validation at step {self.step:,}: {losses['loss']:.3f}  ({by_source})")
        if losses["tokens"] and not math.isfinite(losses["loss"]):
            raise CheckFailed(
                f"the loss on held-out rows is {losses['loss']} at step {self.step:,}.",
                where=str(self._run),
                why="The model has weights that are not finite."
                if self.step
                else "The base has such weights, or computes beyond the range of model.dtype.",
                fix="Go on from an earlier checkpoint." if self.step else "Check the base's files, and model.dtype.",
            )
        self._waited = time.perf_counter()

    def enter_checkpoint(self) -> None:
        """Write `consumed.json` as a checkpoint leaves it; the time of saving is no step's."""
        if self._engine.rank == 0:
            self.ledger.write(self._run, restricted=self._shards.restricted)
        self._waited = time.perf_counter()

    def check_closed(self) -> None:
        """CheckFailed on all ranks, naming source and difference, unless every token was consumed exactly once."""
        if self.ledger.closed:
            n = sum(self.ledger.epochs[-1].planned_by_source.values())
            self.screen.say(f"The books close: {n:,} tokens an epoch, by source what the shards hold.")
            return
        problems = [problem for epoch in self.ledger.epochs for problem in epoch.problems()]
        raise CheckFailed(
            "the books do not close. " + " ".join(problems),
            where=str(self._run),
            why="A row was consumed twice or never.",
            fix="`medtrove train audit` says it again; do not use the model before it is explained.",
        )

    def close(self, status: str) -> None:
        """The run ends: `done`, `stopped` or `failed`."""
        self.screen.close()
        if self._metrics is not None and self._trackers is not None:
            self._metrics.close()
            self._trackers.close()
            update_run(self._run, status=status, step=self.step, tokens=self.ledger.tokens)

    def _line(
        self, result: StepResult, epoch: int, rows: tuple[int, int], lr: float, tokens: float, seconds: float
    ) -> dict[str, Any]:
        speed = tokens / seconds
        each = speed / self._engine.world / 1e12
        causal = each * self._facts["model_flops_per_token_causal"]
        peak = self._facts["gpu_peak_tflops"]
        now = self.ledger.epochs[-1]
        parts = zip(self._shards.sources, result.by_source, result.tokens_by_source, strict=True)
        return {
            "step": self.step,
            "epoch": epoch,
            "first_row": rows[0],
            "rows_done": rows[1],
            "loss": result.loss,
            "by_source": {name: total / n for name, total, n in parts if n},
            "gnorm": result.grad_norm,
            "lr": lr,
            "skipped": result.skipped,
            "tokens": self.ledger.tokens,
            "learned": result.tokens,
            "consumed": dict(now.tokens_by_source),
            "of_plan": {
                name: now.tokens_by_source.get(name, 0) / planned for name, planned in now.planned_by_source.items()
            },
            "seconds": seconds,
            "tokens_per_second": speed,
            "data_wait": (self._began - self._waited) / seconds,
            "model_tflops": causal,
            "model_tflops_full": each * self._facts["model_flops_per_token_full"],
            "mfu": causal / peak if peak else None,
            "mfu_full": each * self._facts["model_flops_per_token_full"] / peak if peak else None,
            "memory_gib": _memory(self._engine.device) / 2**30,
        }


def _memory(device: Any) -> float:
    """Peak bytes: on the GPU since the step before, on CPU of the process so far."""
    if device.type != "cuda":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    import torch

    peak = float(torch.cuda.max_memory_allocated(device))
    torch.cuda.reset_peak_memory_stats(device)
    return peak
