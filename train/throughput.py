"""Arithmetic of training and how fast it has been done: floating-point operations by token, tokens by second.

A token costs 2 operations for each parameter multiplied with it, forward, and twice that backward; causal attention
adds 2 x layers x width x length forward (half of what two full products would cost) and twice that backward. Adapters
on a frozen base save the gradient of the weights: 4 instead of 6 by parameter.
"""

from __future__ import annotations

from dataclasses import dataclass

from train.architecture import Architecture
from train.config import RunConfig
from train.hardware import Gpu, anchors_for

SLOWDOWN = {
    "8bit": (2.5, 5.34, "2.5 measured on a T4 (earino.github.io, 2026), 5.3 in MedAlpaca's own table"),
    "4bit": (1.56, 2.0, "litgpt's resource tables, Llama-2 7B and 13B with nf4 on an A100"),
}
"""Of a quantised base against a 16-bit one: least, most, who says so."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second of one GPU, as a range, and whose figures it rests on."""

    low: float
    high: float
    mfu_low: float
    mfu_high: float
    sources: tuple[str, ...]


def flops_per_token(shape: Architecture, length: int, *, lora: bool = False, attention: bool = True) -> float:
    """Operations of forward and backward for one token of rows of `length`, without any recomputation.

    One document of the whole length is assumed; shorter ones cost less attention.
    """
    width = shape.heads * shape.head_dim
    return (4 if lora else 6) * shape.matmul_parameters + (6 * shape.layers * width * length if attention else 0)


def hardware_flops_per_token(shape: Architecture, config: RunConfig) -> float:
    """What the GPU computes: the forward pass once more where activations are recomputed."""
    length = config.data.sequence_length
    flops = flops_per_token(shape, length, lora=config.lora.r > 0)
    if config.model.recompute == "full":
        flops += 2 * shape.matmul_parameters + 2 * shape.layers * shape.heads * shape.head_dim * length
    return flops


def speed(shape: Architecture, config: RunConfig, gpu: Gpu) -> Speed:
    """What to expect of one GPU, from what others reached with models of the same size on such GPUs."""
    found = anchors_for(gpu, shape.parameters)
    low, high = min(anchor.mfu for anchor in found), max(anchor.mfu for anchor in found)
    each = gpu.teraflops * 1e12 / flops_per_token(shape, config.data.sequence_length, lora=config.lora.r > 0)
    sources = [f"{anchor.who}: {anchor.mfu:.1%}" for anchor in found]
    least, most = 1.0, 1.0
    if config.model.quantize != "none":
        least, most, why = SLOWDOWN[config.model.quantize]
        sources.append(f"{config.model.quantize} base {least:g} to {most:g} times slower: {why}")
    return Speed(each * low / most, each * high / least, low, high, tuple(sources))
