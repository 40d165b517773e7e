"""MedAlpaca's table of five fine-tuning settings beside what `plan` predicts for the same, as Markdown.

Theirs: LLaMA 7B, about 6,000 question-answer pairs, at most 256 tokens each, one 80 GB GPU, 2 rows a micro-step. An
epoch is counted as 6,000 full rows, the most it can be; packing and shorter pairs make it shorter. Full fine-tuning is
planned as it is done here, with an fp32 master copy, which theirs had not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from train.architecture import architecture_of
from train.config import RunConfig, load_config
from train.plan import Plan, Tokens, make_plan

PAIRS, LENGTH = 6_000, 256
GPUS = ("a100-80", "h200-141")


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: what was set, and what MedAlpaca's README printed for it."""

    words: str
    keys: tuple[str, ...]
    printed_memory: str
    printed_time: str


SETTINGS = (
    Setting("LoRA r 8, 8-bit base", ('model.quantize="8bit"',), "8.9 GB", "77:30"),
    Setting("LoRA r 8, 16-bit base", (), "18.8 GB", "14:30"),
    Setting("all weights, fp16", ("lora.r=0", 'model.dtype="fp16"'), "out of memory", "-"),
    Setting("all weights, bf16", ("lora.r=0",), "out of memory", "-"),
    Setting("all weights, bf16, recompute", ("lora.r=0", 'model.recompute="full"'), "79.5 GB", "35:30"),
)


def table_facts() -> list[dict[str, Any]]:
    """The five settings with MedAlpaca's figures and our predictions on each GPU."""
    found = []
    for setting in SETTINGS:
        predicted = {gpu: _plan(setting, gpu) for gpu in GPUS}
        found.append(
            {
                "setting": setting.words,
                "medalpaca": {"memory": setting.printed_memory, "time_per_epoch": setting.printed_time},
                "plan": {
                    gpu: {
                        "gigabytes": plan.memory.total / 1e9,
                        "fits": plan.fits,
                        "minutes_per_epoch": [hours * 60 for hours in plan.gpu_hours or ()] if plan.fits else [],
                    }
                    for gpu, plan in predicted.items()
                },
            }
        )
    return found


def table_markdown() -> str:
    """The table, ready for a README."""
    heads = ["setting", "MedAlpaca: VRAM", "time/epoch"]
    heads += [f"{column} on {gpu}" for gpu in GPUS for column in ("planned VRAM", "time/epoch")]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for row in table_facts():
        cells = [row["setting"], row["medalpaca"]["memory"], row["medalpaca"]["time_per_epoch"]]
        for gpu in GPUS:
            plan = row["plan"][gpu]
            cells.append(f"{plan['gigabytes']:.1f} GB" + ("" if plan["fits"] else ": does not fit"))
            cells.append(" to ".join(map(_minutes, plan["minutes_per_epoch"])) or "-")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _plan(setting: Setting, gpu: str) -> Plan:
    keys = [*setting.keys, f'cluster.gpu="{gpu}"', "batch.micro_rows=2", "batch.accumulation=64"]
    config: RunConfig = load_config("medalpaca-lora-7b", keys)
    tokens = Tokens({"pairs": PAIRS * LENGTH}, "MedAlpaca's small set, every pair counted full", rows=PAIRS)
    one = config.model_copy(update={"data": config.data.model_copy(update={"epochs": 1})})
    return make_plan(one, architecture_of(one), tokens)


def _minutes(value: float) -> str:
    return f"{int(value)}:{round(value % 1 * 60) % 60:02d}"
