"""GPUs by name: what they hold and what they can do, and what others reached on them, each figure with its source."""

from __future__ import annotations

import math
from dataclasses import dataclass

from manifests.errors import RecipeError

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Gpu:
    """One kind of GPU; peaks are the makers' dense 16-bit figures with fp32 sums."""

    name: str
    title: str
    memory_gib: float
    """What a process can see of it (`torch.cuda.mem_get_info`), less than the name says."""
    teraflops: float
    link: float
    """GB/s into one GPU from its neighbours in the node: NVLink one way, or PCIe."""
    node_link: float
    """GB/s into a node of eight, all its cards together, in the usual machine; `[cluster]` may say otherwise."""
    family: str
    """Whose anchors hold for it."""

    @property
    def usable_bytes(self) -> float:
        """Less the CUDA context and NCCL's buffers (1.5 GiB) and 4 % lost between blocks of the allocator."""
        return (self.memory_gib - 1.5) * 0.96 * GIB


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("rtx4090-24", "GeForce RTX 4090", 23.6, 165.2, 32, 12.5, "rtx4090"),
        Gpu("a100-40", "A100 SXM 40 GB", 39.4, 312, 300, 200, "a100"),
        Gpu("l40s-48", "L40S", 44.4, 362, 32, 50, "l40s"),
        Gpu("a100-80", "A100 SXM 80 GB", 79.2, 312, 300, 200, "a100"),
        Gpu("h100-80", "H100 SXM", 79.1, 989.4, 450, 400, "h100"),
        Gpu("h200-141", "H200 SXM", 139.8, 989.4, 450, 400, "h200"),
        Gpu("b200-180", "B200 SXM", 178.4, 2250, 900, 400, "b200"),
    )
}
"""By memory, smallest first."""


def gpu_named(name: str) -> Gpu:
    """The GPU a configuration names; RecipeError if there is none of that name."""
    if name not in GPUS:
        raise RecipeError(
            f"no GPU called {name!r}.",
            where="[cluster] gpu",
            why=f"Known are {', '.join(GPUS)}.",
            fix="Name the nearest: only memory, peak and links are taken from it.",
        )
    return GPUS[name]


@dataclass(frozen=True, slots=True)
class Anchor:
    """What somebody reached: share of the peak that went into the model's own arithmetic (MFU)."""

    family: str
    billions: float
    mfu: float
    who: str


ANCHORS = (
    Anchor("a100", 1.1, 0.52, "TinyLlama, litgpt on 64 A100"),
    Anchor("a100", 6.7, 0.391, "Meta's Llama-2 7B, from its GPU-hours"),
    Anchor("a100", 6.7, 0.423, "BioMed-LLaMA 7B, 32 A100"),
    Anchor("a100", 6.7, 0.548, "llm-foundry 7B at 4,096, 8 A100, full recompute"),
    Anchor("a100", 6.7, 0.57, "IBM and Meta FSDP 7B, 128 A100"),
    Anchor("a100", 13.0, 0.378, "Meta's Llama-2 13B, from its GPU-hours"),
    Anchor("a100", 13.0, 0.576, "llm-foundry 13B at 4,096, 8 A100, full recompute"),
    Anchor("a100", 69.0, 0.416, "MediTron 70B, 128 A100, Megatron TP8 PP8 DP2"),
    Anchor("a100", 69.0, 0.429, "Meta's Llama-2 70B, from its GPU-hours"),
    Anchor("a100", 69.0, 0.533, "llm-foundry 70B, 64 A100 (16-bit weights without a master copy)"),
    Anchor("h100", 1.3, 0.403, "llm-foundry 1B at 4,096, 8 H100"),
    Anchor("h100", 2.7, 0.423, "llm-foundry 3B at 4,096, 8 H100"),
    Anchor("h100", 6.7, 0.404, "llm-foundry 7B at 4,096, 8 H100"),
    Anchor("h100", 8.0, 0.33, "torchtitan 8B at 8,192, 8 H100, not compiled"),
    Anchor("h100", 8.0, 0.39, "torchtitan 8B at 8,192, 8 H100, compiled"),
    Anchor("h100", 13.0, 0.416, "llm-foundry 13B at 4,096, 8 H100"),
    Anchor("h100", 69.0, 0.434, "llm-foundry 70B, 128 H100 (16-bit weights without a master copy)"),
    Anchor("h200", 8.0, 0.578, "KempnerForge 8B at 4,096, one H200 (16-bit optimizer states)"),
    Anchor("h200", 14.8, 0.444, "KempnerForge 14.8B, 8 H200"),
    Anchor("h200", 69.0, 0.254, "KempnerForge 70B, 32 H200, TP4"),
)
"""Published figures, read 2026-11; conventions of counting attention differ between them by a few percent."""
_STANDS_FOR = {"h200": ("h200", "h100"), "b200": ("h100",), "rtx4090": ("a100",), "l40s": ("a100",)}
"""Whose figures are taken: an H200 computes like an H100; of the others we have none."""
_NEAR = math.log(2.5)


def anchors_for(gpu: Gpu, parameters: int) -> list[Anchor]:
    """What was reached with models of this size (within a factor of 2.5, else the nearest two) on such GPUs."""
    families = _STANDS_FOR.get(gpu.family, (gpu.family,))
    far = {anchor: abs(math.log(anchor.billions * 1e9 / parameters)) for anchor in ANCHORS if anchor.family in families}
    near = [anchor for anchor, distance in far.items() if distance <= _NEAR]
    return near if len(near) > 1 else sorted(far, key=lambda anchor: far[anchor])[:2]
