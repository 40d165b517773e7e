"""Metrics of a run: `metrics.jsonl`, a line a step, with a header that says by which formulas.

A line is appended by one write, so a killed process leaves whole lines. On resume the lines after the checkpoint are
cut, since their steps are done again; a line says how many. Nothing here ever holds text. TensorBoard and Weights &
Biases get the same numbers where the configuration asks for them.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.errors import BuildError

METRICS = "metrics.jsonl"
FORMULAS = {
    "n": "parameters that multiply a token: all but the input embedding, or with it where it is the output as well",
    "model_flops_per_token_causal": "6 N + 6 L h s; 4 N instead of 6 N for frozen parameters",
    "model_flops_per_token_full": "6 N + 12 L h s; 4 N instead of 6 N for frozen parameters",
    "attention": "s is the length of a row, though documents in it do not see each other: nothing is subtracted",
    "tokens_per_second": "stored tokens of the step on all ranks, padding not counted / seconds of the step",
    "model_tflops": "model FLOPs (causal; _full: full) x tokens per second / ranks / 1e12, recomputation not counted",
    "mfu": "model_tflops / 16-bit peak of the GPU; null where the GPU is not known",
    "loss": "nats a learned token, mean over the whole step; by_source: over those of a source",
    "gnorm": "2-norm of the gradient of that mean, before clipping",
    "data_wait": "share of the step's seconds spent waiting for its batches",
    "memory_gib": "peak of the process since the step before: allocated on the GPU, or resident on CPU since its start",
}


@dataclass(frozen=True, slots=True)
class Flops:
    """Floating-point operations of training on one token, in the two conventions people compare."""

    causal: float
    """6 N + 6 L h s: half of the attention matrix is computed."""
    full: float
    """6 N + 12 L h s: all of it is counted (PaLM, torchtitan, llm-foundry)."""


def flops_per_token(*, trained: int, frozen: int, layers: int, width: int, length: int) -> Flops:
    """By numbers of multiplied parameters; `width` is heads x size of a head."""
    products = 6 * trained + 4 * frozen
    attention = layers * width * length
    return Flops(causal=products + 6 * attention, full=products + 12 * attention)


class MetricsFile:
    """`metrics.jsonl` of a run; rank 0 alone has one."""

    def __init__(self, run: Path, header: Mapping[str, Any], *, step: int, restricted: bool) -> None:
        """Begin the file, or go on after `step`."""
        self._path = run / METRICS
        mode = 0o600 if restricted else 0o644
        kept, cut = _up_to(self._path, step)
        if step == 0 or not kept:
            kept = [json.dumps({"kind": "header", **header}, allow_nan=False)]
        else:
            kept.append(json.dumps({"kind": "resumed", "step": step, "lines_cut": cut, "world": header["world"]}))
        partial = self._path.with_name(METRICS + ".partial")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as stream:
            stream.write("".join(line + "\n" for line in kept))
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self._path)
        self.cut = cut
        self._number = os.open(self._path, os.O_WRONLY | os.O_APPEND)

    def write(self, kind: str, **values: Any) -> None:
        """Append a line; numbers that are not finite become null, with their names in `not_finite`."""
        odd: dict[str, str] = {}
        line = {"kind": kind, **_finite(values, "", odd)}
        if odd:
            line["not_finite"] = odd
        os.write(self._number, (json.dumps(line, allow_nan=False) + "\n").encode())

    def close(self) -> None:
        """Sync and close."""
        os.fsync(self._number)
        os.close(self._number)


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """All whole lines of a run's metrics."""
    path = run / METRICS
    if not path.is_file():
        raise BuildError(f"no {METRICS} here.", where=str(run), fix="Give the folder of a run.")
    found = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue  # the last one, cut by a full disk
    return found


def _finite(values: Mapping[str, Any], place: str, odd: dict[str, str]) -> dict[str, Any]:
    """`values` with null for what JSON cannot say; `odd` gets the paths of these."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found[name] = _finite(value, f"{place}{name}/", odd)
        elif isinstance(value, float) and not math.isfinite(value):
            found[name], odd[f"{place}{name}"] = None, str(value)
        else:
            found[name] = value
    return found


def _up_to(path: Path, step: int) -> tuple[list[str], int]:
    """The lines that belong to steps up to this one, and how many others there are."""
    if not path.is_file():
        return [], 0
    kept, cut = [], 0
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            of_step = json.loads(line).get("step", 0)
        except ValueError:
            of_step = step + 1
        if of_step <= step:
            kept.append(line)
        else:
            cut += 1
    return kept, cut
