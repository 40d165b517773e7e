"""The command `medtrove sft`: a file of questions and answers, or shards of them, to a trained model in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from pipelines.command_line import JsonOption, print_json, screen
from pipelines.train_command import RanksOption, ResumeOption, RunOption, SetOption

if TYPE_CHECKING:
    from train.sft import Prepared


def sft(
    preset: Annotated[
        str, typer.Argument(help="A preset or TOML file; default: sft with --data or --model, else sft-sample.")
    ] = "",
    data: Annotated[str, typer.Option("--data", help="JSON or JSONL of instruction, input, output.")] = "",
    shards: Annotated[str, typer.Option("--shards", help="SFT shards instead, or the build that has them.")] = "",
    model: Annotated[str, typer.Option("--model", help="Folder of the base, or its name on a hub.")] = "",
    tokenizer: Annotated[str, typer.Option("--tokenizer", help="A tokenizer.json; default: the base's.")] = "",
    template: Annotated[str, typer.Option("--template", help="alpaca, medalpaca, mellama, llama-2, llama-3, ...")] = "",
    val_fraction: Annotated[float | None, typer.Option("--val-fraction", help="Share of questions held out.")] = None,
    max_length: Annotated[int | None, typer.Option("--max-length", help="Most tokens of a conversation.")] = None,
    allow_too_long: Annotated[
        bool, typer.Option("--allow-too-long", help="Leave longer ones out, however many they are.")
    ] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Compute in fp16, with loss scaling.")] = False,
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bf16.")] = False,
    tf32: Annotated[bool, typer.Option("--tf32", help="TensorFloat-32 for what stays fp32.")] = False,
    load_8bit: Annotated[bool, typer.Option("--load-8bit", help="Hold the frozen base in 8 bits.")] = False,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Times over the rows.")] = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Peak learning rate.")] = None,
    lora_r: Annotated[int | None, typer.Option("--lora-r", min=0, help="Rank; 0 trains all weights.")] = None,
    lora_alpha: Annotated[
        float | None, typer.Option("--lora-alpha", help="Scale; adapters count alpha / rank.")
    ] = None,
    lora_dropout: Annotated[float | None, typer.Option("--lora-dropout", help="Of what adapters are given.")] = None,
    lora_targets: Annotated[
        list[str] | None, typer.Option("--lora-targets", help="A module's name or all-linear; may be repeated.")
    ] = None,
    batch_rows: Annotated[int | None, typer.Option("--batch-rows", min=1, help="Rows of a step, all ranks.")] = None,
    loss: Annotated[str, typer.Option("--loss", help="token or conversation: what counts the same.")] = "",
    restricted: Annotated[
        bool, typer.Option("--restricted", help="The data are under an agreement: so is all that comes of them.")
    ] = False,
    run: RunOption = "",
    resume: ResumeOption = "auto",
    ranks: RanksOption = 0,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn from conversations: rows by one chat template, answers and their stop learned, LoRA or all weights."""
    from pipelines.train_needs import check_needs
    from train.engine import check_ranks
    from train.launch import launch, local_ranks
    from train.ledger import read_consumed, shards_fingerprint
    from train.resume import check_before_start
    from train.run_folder import CONFIG, open_run, read_run
    from train.sft import Wishes, prepare
    from train.sft_conflicts import check_device, check_wishes, has_gpu, has_quantizer

    wishes = Wishes(
        preset=preset,
        data=data,
        shards=shards,
        model=model,
        tokenizer=tokenizer,
        template=template,
        val_fraction=val_fraction,
        max_length=max_length,
        fp16=fp16,
        bf16=bf16,
        tf32=tf32,
        load_8bit=load_8bit,
        epochs=epochs,
        lr=lr,
        lora_r=lora_r,
        lora_alpha=lora_alpha,
        lora_dropout=lora_dropout,
        lora_targets=tuple(lora_targets or ()),
        batch_rows=batch_rows,
        loss=loss,
        ranks=ranks,
        restricted=restricted,
        allow_too_long=allow_too_long,
        overrides=tuple(overrides or ()),
    )
    check_wishes(wishes)
    if fp16 or tf32 or load_8bit:
        check_device(wishes, gpu=has_gpu(), quantizer=has_quantizer())
    prepared = prepare(wishes, run)
    config, folder, rows = prepared.config, prepared.run, prepared.shards
    check_needs(config)
    n_ranks = ranks or local_ranks(config)
    check_before_start(folder, resume, config, shards_fingerprint=shards_fingerprint(rows))
    check_ranks(config, n_ranks)
    open_run(folder, config, shards=rows.folder, restricted=rows.restricted, status="starting")
    if not as_json:
        render_prepared(screen(), prepared, n_ranks)
    arguments = ["--config", str(folder / CONFIG), "--shards", str(rows.folder), "--run-folder", str(folder)]
    code = launch("train.pretrain", [*arguments, "--resume", resume], n_ranks=n_ranks, run=folder)
    if as_json and code == 0:
        print_json(read_run(folder) | {"rows": prepared.facts, "consumed": read_consumed(folder), **_answers(folder)})
    elif code == 0 and read_consumed(folder)["closed"]:
        told = f"Done: {folder}/checkpoints; tokenizer and template: {folder}/tokenizer."
        screen().print(told, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(code)


def render_prepared(console: Console, prepared: Prepared, n_ranks: int) -> None:
    """What will be learned: counts of each side, and three conversations in colour, what is learned in green."""
    from train.progress import visible
    from train.sft import shown_rows

    config, rows = prepared.config, prepared.shards
    console.print(f"[bold]{config.name}[/bold]: {escape(config.description)}", highlight=False)
    for side, facts in prepared.facts.items():
        told = [f"{facts['conversations']:,} conversations"] if "conversations" in facts else []
        told += [f"{facts['rows']:,} rows of {rows.sequence_length:,}"]
        told += [f"{facts['tokens']:,} tokens"] if "tokens" in facts else []
        told += [f"{facts['learned']:,} learned"]
        told += [f"{n:,} left out as {reason}" for reason, n in facts.get("left", {}).items()]
        console.print(f"  {'training' if side == 'shards' else side}: {', '.join(told)}", highlight=False)
    added = config.sft.added_tokens
    adapter = f"LoRA of rank {config.lora.r}" if config.lora.r else "all weights"
    console.print(
        f"  template {config.sft.template}, {adapter}"
        + (f", {len(added)} new tokens" if added else "")
        + f"; {n_ranks} rank{'s' if n_ranks > 1 else ''}; run {escape(str(prepared.run))}"
        + (" (restricted: no conversation is shown)" if rows.restricted else ""),
        highlight=False,
    )
    for pieces in shown_rows(prepared):
        line = Text("  ")
        for text, learned in pieces:
            line.append(visible(text).replace("\n", "\n  "), style="bold green" if learned else "dim")
        console.print(line)


def _answers(folder: Any) -> dict[str, Any]:
    import json

    path = folder / "answers.json"
    return {"answers": json.loads(path.read_bytes())} if path.is_file() else {}
