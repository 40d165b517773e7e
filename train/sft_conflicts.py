"""What `medtrove sft` is asked, and which wishes exclude each other: said before anything is loaded.

MedAlpaca's `train.py` (https://github.com/kbressem/medAlpaca/blob/main/medalpaca/train.py) refused fp16 with bf16,
8-bit without LoRA, and LoRA with recomputation. The first two stay. The third works here: recomputation is
non-reentrant and needs no gradient on its inputs. The rest are its silent errors: a batch that no accumulation
divides, LoRA settings without LoRA, a count given where a fraction is meant, and more.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from manifests.errors import RecipeError

DOOR_PRESET, EXAMPLE_PRESET = "sft", "sft-sample"
"""Configuration where none is named: with a file of one's own, and without."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """The command line of `medtrove sft`; None, empty or False: as the preset says."""

    preset: str = ""
    data: str = ""
    shards: str = ""
    model: str = ""
    tokenizer: str = ""
    template: str = ""
    val_fraction: float | None = None
    max_length: int | None = None
    fp16: bool = False
    bf16: bool = False
    tf32: bool = False
    load_8bit: bool = False
    epochs: int | None = None
    lr: float | None = None
    lora_r: int | None = None
    lora_alpha: float | None = None
    lora_dropout: float | None = None
    lora_targets: tuple[str, ...] = ()
    batch_rows: int | None = None
    loss: str = ""
    ranks: int = 0
    restricted: bool = False
    allow_too_long: bool = False
    overrides: tuple[str, ...] = field(default=())

    def keys(self) -> list[str]:
        """The wishes as `section.key=value`; what was given with --set comes last and wins."""
        given: list[tuple[str, object]] = [
            ("sft.data", self.data or ("" if self.shards else None)),
            ("data.shards", self.shards or None),
            ("model.base", self.model or None),
            ("model.architecture", "" if self.model else None),
            ("model.licence", "" if self.model else None),  # the preset's is that of its own base
            ("sft.tokenizer", self.tokenizer or None),
            ("sft.template", self.template or None),
            ("sft.validation_fraction", self.val_fraction),
            ("sft.max_length", self.max_length),
            ("model.dtype", "fp16" if self.fp16 else "bf16" if self.bf16 else None),
            ("model.tf32", self.tf32 or None),
            ("model.quantize", "8bit" if self.load_8bit else None),
            ("data.epochs", self.epochs),
            ("optim.lr", self.lr),
            ("lora.r", self.lora_r),
            ("lora.alpha", self.lora_alpha),
            ("lora.dropout", self.lora_dropout),
            ("lora.targets", list(self.lora_targets) or None),
            ("batch.rows", self.batch_rows),
            ("sft.loss", self.loss or None),
            ("parallel.engine", "deepspeed" if self.ranks > 1 else None),  # the torch engine is of one rank
        ]
        # JSON strings, numbers, booleans and lists of these are TOML values too.
        return [*(f"{key}={json.dumps(value)}" for key, value in given if value is not None), *self.overrides]

    def preset_name(self) -> str:
        """The configuration to begin with."""
        return self.preset or (DOOR_PRESET if self.data or self.shards or self.model else EXAMPLE_PRESET)


def check_wishes(wishes: Wishes) -> None:
    """RecipeError for the first conflict between options, whatever the preset."""
    check_adapters(wishes, wishes.lora_r)
    _refuse(
        [
            (
                wishes.fp16 and wishes.bf16,
                "--fp16 and --bf16 exclude each other.",
                "Weights have one type in the forward pass.",
                "Give one: --bf16 wherever the GPU has it (Ampere and newer), for its range needs no loss scaling.",
            ),
            (
                wishes.load_8bit and wishes.lora_r == 0,
                "--load-8bit with --lora-r 0.",
                "A quantised weight takes no gradient, so nothing could be trained.",
                "Give --lora-r 8, or leave --load-8bit out.",
            ),
            (
                bool(wishes.data) and bool(wishes.shards),
                "--data and --shards exclude each other.",
                "Rows are made from a file, or are there already.",
                "Give one of them.",
            ),
            (
                wishes.val_fraction is not None and not 0 <= wishes.val_fraction < 0.5,
                f"--val-fraction {wishes.val_fraction:g} is no fraction below one half."
                if wishes.val_fraction is not None
                else "",
                "Validation takes a share of the questions, not a count.",
                "Give --val-fraction 0.1 for a tenth.",
            ),
            (
                wishes.max_length is not None and wishes.max_length < 1,
                f"--max-length {wishes.max_length} leaves no token.",
                "It is the longest conversation in tokens, question and answer together.",
                "Give --max-length 1024, or leave it out: then it is the sequence length.",
            ),
            (
                bool(wishes.shards)
                and (wishes.val_fraction is not None or wishes.max_length is not None or wishes.allow_too_long),
                "--val-fraction, --max-length and --allow-too-long need --data.",
                "Shards are packed already, and bring their own validation rows.",
                "Leave them out, or build the shards with other settings.",
            ),
            (
                bool(wishes.data) and not wishes.model and not wishes.preset,
                "no model is named.",
                "--data says what to learn, and something has to learn it.",
                "Add --model FOLDER (a Hugging Face checkpoint) or a preset: medtrove sft PRESET --data FILE.",
            ),
        ]
    )


def check_adapters(wishes: Wishes, rank: int | None) -> None:
    """RecipeError for wishes about adapters where there will be none; `rank` is that of the configuration."""
    asked = wishes.lora_alpha is not None or wishes.lora_dropout is not None or bool(wishes.lora_targets)
    whose = "--lora-r 0" if wishes.lora_r == 0 else "a configuration whose lora.r is 0"
    _refuse(
        [
            (
                asked and rank == 0,
                f"--lora-alpha, --lora-dropout or --lora-targets with {whose}.",
                "Rank 0 trains all weights and no adapter.",
                "Give --lora-r 8, or leave the others out.",
            )
        ]
    )


def check_device(wishes: Wishes, *, gpu: bool, quantizer: bool) -> None:
    """RecipeError for what this machine cannot do; `gpu`: there is one, `quantizer`: bitsandbytes is installed."""
    no_gpu = "Training then runs on the CPU, which computes"
    _refuse(
        [
            (wishes.fp16 and not gpu, "--fp16 without a GPU.", f"{no_gpu} fp16 by emulation.", "Give --bf16."),
            (
                wishes.tf32 and not gpu,
                "--tf32 without a GPU.",
                f"{no_gpu} in fp32 and has no such mode: it is one of Ampere and newer.",
                "Leave --tf32 out.",
            ),
            (
                wishes.load_8bit and not quantizer,
                "--load-8bit without bitsandbytes.",
                "The base's 8-bit layers are that library's.",
                "pip install 'bitsandbytes>=0.49', or leave --load-8bit out.",
            ),
        ]
    )


def has_gpu() -> bool:
    """Whether torch is installed and sees a GPU."""
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def has_quantizer() -> bool:
    """Whether bitsandbytes is installed."""
    return importlib.util.find_spec("bitsandbytes") is not None


def _refuse(cases: Iterable[tuple[bool, str, str, str]]) -> None:
    for refused, what, why, fix in cases:
        if refused:
            raise RecipeError(what, where="medtrove sft", why=why, fix=fix)
