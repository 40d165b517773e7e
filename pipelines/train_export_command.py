"""The commands that make models of runs: `medtrove train export`, `medtrove train merge`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipelines.command_line import JsonOption, print_json, screen

TrainedArgument = Annotated[Path, typer.Argument(help="A run's folder (its newest checkpoint), or a checkpoint.")]
OutputOption = Annotated[str, typer.Option("--output", help="A new folder, on this machine.")]
DtypeOption = Annotated[str, typer.Option("--dtype", help="bf16, or fp32: the master weights as they are.")]
TokenizerOption = Annotated[str, typer.Option("--tokenizer", help="The run's tokenizer.json, where it is not found.")]
NoTokenizerOption = Annotated[bool, typer.Option("--no-tokenizer", help="The weights alone.")]
HubOption = Annotated[
    str, typer.Option("--hub", help="Also upload to this private repository; not of restricted ones.")
]


def export(
    trained: TrainedArgument,
    output: OutputOption,
    dtype: DtypeOption = "bf16",
    tokenizer: TokenizerOption = "",
    no_tokenizer: NoTokenizerOption = False,
    hub: HubOption = "",
    as_json: JsonOption = False,
) -> None:
    """Write a checkpoint as a Hugging Face folder, any ZeRO stage and ranks, on one CPU; of adapters the adapter."""
    from pipelines.train_needs import check_installed
    from train.export import export as write

    check_installed(["torch", "transformers", "safetensors"])
    facts = write(trained, output, dtype=dtype, tokenizer=tokenizer, without_tokenizer=no_tokenizer, hub=hub)
    if as_json:
        print_json(asdict(facts))
        return
    screen().print(
        f"{facts.folder}: {facts.kind} of step {facts.step:,}, {facts.weights:,} weights in {facts.dtype}, "
        f"{facts.bytes:,} bytes, read back and compared" + (" (restricted, 0700)" if facts.restricted else ""),
        highlight=False,
        soft_wrap=True,
    )


def merge(
    trained: TrainedArgument,
    output: OutputOption,
    dtype: DtypeOption = "bf16",
    tokenizer: TokenizerOption = "",
    no_tokenizer: NoTokenizerOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write base and adapter of a LoRA run as one model, and compare its logits with the two; exit 1 if they differ."""
    from pipelines.train_needs import check_installed
    from train.merge import merge as write

    check_installed(["torch", "transformers", "peft", "safetensors"])
    facts = write(trained, output, dtype=dtype, tokenizer=tokenizer, without_tokenizer=no_tokenizer)
    if as_json:
        print_json(asdict(facts))
        return
    found = facts.compared
    console = screen()
    console.print(
        f"{facts.folder}: merged model of step {facts.step:,}, {facts.weights:,} weights in {facts.dtype}, "
        f"{facts.bytes:,} bytes" + (" (restricted, 0700)" if facts.restricted else ""),
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"Largest difference of logits: {found.exact:.3g} merged in fp32 (bound {found.exact_bound:.3g}), "
        f"{found.difference:.3g} as written (bound {found.bound:.3g}); the adapter changes them by {found.effect:.3g}.",
        highlight=False,
        soft_wrap=True,
    )
    if found.drowned:
        console.print("Rounding is a tenth or more of what the adapter does: consider --dtype fp32.", highlight=False)
