"""A plan for a person: one screen, or a dictionary for `--json`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.architecture import architecture_of
from train.config import RunConfig
from train.plan import SPARE, STORAGE, Plan, Tokens, make_plan
from train.run_folder import find_shards

if TYPE_CHECKING:
    from rich.console import RenderableType

GIB = 1 << 30


def tokens_of_shards(folder: Path) -> Tokens:
    """What the index of shards says is in them."""
    from mixing.reader import open_shards

    shards = open_shards(folder)
    totals = shards.index["totals"]
    return Tokens(
        by_source=dict(totals["tokens_by_source"]),
        origin=str(folder),
        rows=len(shards),
        sequence_length=int(shards.index["sequence_length"]),
        restricted=shards.restricted,
        vocabulary=int(shards.index["tokenizer"]["vocab_size"]),
    )


def plan_of(config: RunConfig, tokens: Tokens | None = None, *, shards: str = "", storage: float = STORAGE) -> Plan:
    """The plan of a configuration for `tokens`, or for the shards it would read; BuildError where there are none."""
    if tokens is None:
        tokens = tokens_of_shards(find_shards(shards or config.data.shards))
    return make_plan(config, architecture_of(config, vocabulary=tokens.vocabulary), tokens, storage=storage)


def plan_facts(plan: Plan) -> dict[str, Any]:
    """The plan as JSON."""
    facts = asdict(plan)
    facts["memory"]["total"] = plan.memory.total
    facts["total_tokens"] = plan.total_tokens
    if plan.traffic:
        facts["traffic"]["ratio"] = plan.traffic.ratio
    return facts


def plan_screen(plan: Plan) -> RenderableType:
    """The plan on one screen."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _lines(plan):
        table.add_row(name, Text(text))
    return Group(Text.assemble((plan.name, "bold"), f": {plan.description}"), table)


def _lines(plan: Plan) -> list[tuple[str, str]]:
    memory = plan.memory
    learns = "" if plan.trainable == plan.parameters else f", of which {plan.trainable:,} learn"
    machine = f"{plan.gpus} x {plan.gpu} in {plan.nodes} node{'s' * (plan.nodes > 1)}" if plan.gpus else "CPU ranks"
    published = "published by the seed" if plan.sequence_length_published else "our choice"
    parts = {
        "weights": memory.weights,
        "gradients": memory.gradients,
        "fp32 master": memory.master,
        "Adam": memory.moments,
        "fp32 gradient": memory.gradient_copy,
        "activations": memory.activations,
        "logits": memory.logits,
        "buffers": memory.buffers,
    }
    told = " + ".join(f"{name} {size / GIB:.1f}" for name, size in parts.items() if size / GIB >= 0.05)
    verdict = (
        ""
        if not plan.usable_bytes
        else f" of {plan.usable_bytes / GIB:.1f} usable: " + ("fits" if plan.fits else "DOES NOT FIT")
    )
    lines = [
        ("model", f"{plan.parameters:,} parameters{learns}; {_flops(plan.flops_per_token)} a token"),
        ("machine", f"{machine}, {plan.data_parallel} ranks of data parallelism"),
        ("memory", f"{memory.total / GIB:.1f} GiB by rank{verdict} ({told})"),
    ]
    if not plan.fits:
        lines.append(("nearest", "; ".join(plan.nearest) or "nothing of what is known here: take more or larger GPUs"))
    lines += [
        ("length", f"{plan.sequence_length:,} tokens a row, {published}"),
        (
            "step",
            f"{plan.data_parallel} ranks x {plan.micro_rows} rows x {plan.accumulation} = {plan.rows_per_step:,} rows, "
            f"{plan.tokens_per_step:,} tokens",
        ),
        *_token_lines(plan),
    ]
    lines += _cost_lines(plan)
    lines.append(
        (
            "checkpoint",
            f"{_bytes(plan.checkpoint_bytes)}, {plan.checkpoint_seconds:,.0f} s to write; "
            f"export {_bytes(plan.export_bytes)}",
        )
    )
    if moved := plan.traffic:
        lines.append(
            (
                "network",
                f"{_bytes(moved.bytes)} a micro-step into a {'node' if plan.nodes > 1 else 'GPU'} at "
                f"{moved.gigabytes_per_second:,.0f} GB/s: {moved.seconds:.2f} s against {moved.compute_seconds:.2f} s "
                f"of computation, ratio {moved.ratio:.2f}",
            )
        )
    return lines + [("note", note) for note in plan.notes]


def _token_lines(plan: Plan) -> list[tuple[str, str]]:
    epochs = f"{plan.epochs} epoch{'s' * (plan.epochs > 1)}"
    if not plan.tokens.by_source:
        return [("steps", f"not known: {plan.tokens.origin}; {epochs}")]
    return [
        ("steps", f"{plan.steps:,}, {plan.warmup_steps:,} of them warmup, {epochs}"),
        ("tokens", f"{plan.total_tokens:,}: {_sources(plan)}"),
    ]


def _cost_lines(plan: Plan) -> list[tuple[str, str]]:
    if plan.speed is None:
        return [("speed", "not predicted: no published figure is comparable")]
    found = plan.speed
    lines = [
        (
            "speed",
            f"{found.low:,.0f} to {found.high:,.0f} tokens/s a GPU, {found.low * plan.gpus:,.0f} to "
            f"{found.high * plan.gpus:,.0f} in all (MFU {found.mfu_low:.0%} to {found.mfu_high:.0%})",
        ),
        ("from", "; ".join(found.sources)),
    ]
    if plan.gpu_hours is None or plan.days is None:
        least, most = (1e9 / rate / 3600 for rate in (found.high, found.low))
        told = f"{least / plan.gpus:,.1f} to {most / plan.gpus:,.1f} hours, {least:,.0f} to {most:,.0f} GPU-hours"
        return [*lines, ("time", f"for every 1,000,000,000 tokens trained on: {told}")]
    hours, days = plan.gpu_hours, plan.days
    time = (
        f"{days[0]:,.1f} to {days[1]:,.1f} days"
        if days[1] >= 1
        else f"{days[0] * 24:,.1f} to {days[1] * 24:,.1f} hours"
    )
    ask = days[1] * SPARE
    asked = f"{ask:,.1f} days" if ask >= 1 else f"{ask * 24:,.1f} hours"
    return [
        *lines,
        ("time", f"{time}, {hours[0]:,.0f} to {hours[1]:,.0f} GPU-hours; ask for {asked}, a tenth more than the most"),
    ]


def _sources(plan: Plan) -> str:
    total = sum(plan.tokens.by_source.values()) or 1
    found = sorted(plan.tokens.by_source.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {count:,} ({count / total:.1%})" for name, count in found) + f" ({plan.tokens.origin})"


def _bytes(value: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= size:
            return f"{value / size:,.1f} {unit}"
    return f"{value:,.0f} bytes"


def _flops(n: float) -> str:
    return f"{n / 1e9:,.1f} GFLOP" if n >= 1e9 else f"{n / 1e6:,.1f} MFLOP"
