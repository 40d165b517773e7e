"""The commands `medtrove pretrain` and `medtrove train ...`: from shards to a trained model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from manifests.errors import CheckFailed
from pipelines.command_line import JsonOption, print_json, screen

train_app = typer.Typer(help="Plan, check and export training runs.")

PresetArgument = Annotated[str, typer.Argument(help="Name of a shipped preset, or the path of a TOML file.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")]
ShardsOption = Annotated[str, typer.Option("--shards", help="A build's folder, or its shards; default: the preset's.")]
RunOption = Annotated[str, typer.Option("--run", help="The run's folder; default: ./runs/NAME@SHARDS.")]
ResumeOption = Annotated[str, typer.Option("--resume", help="auto: the newest checkpoint; none: refuse one; a folder.")]
RanksOption = Annotated[int, typer.Option("--ranks", min=0, help="Ranks on this machine; 0: as the preset says.")]


def pretrain(
    preset: PresetArgument = "sample",
    overrides: SetOption = None,
    shards: ShardsOption = "",
    run: RunOption = "",
    resume: ResumeOption = "auto",
    ranks: RanksOption = 0,
    queue: Annotated[
        bool,
        typer.Option("--submit/--no-submit", help="With cluster.kind = 'slurm': submit the job, or only write it."),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Train PRESET on the shards of a build: every token once an epoch, from where an earlier try stopped.

    What it needs and takes is shown first. With cluster.kind = "slurm" a batch job is written and submitted.
    """
    from mixing.reader import open_shards
    from pipelines.train_needs import check_needs
    from pipelines.train_planned import planned
    from train.combinations import check_runs
    from train.config import load_config
    from train.engine import check_ranks
    from train.launch import launch, local_ranks
    from train.ledger import read_consumed, shards_fingerprint
    from train.resume import check_before_start
    from train.run_folder import CONFIG, check_shards, find_shards, open_run, read_run, run_folder
    from train.slurm import submit, write_sbatch
    from train.taint import as_tainted

    config = load_config(preset, overrides or [])
    check_runs(config)
    opened = as_tainted(open_shards(find_shards(shards or config.data.shards)), config)
    check_shards(config, opened)
    folder = Path(run) if run else run_folder(config, opened)
    check_before_start(folder, resume, config, shards_fingerprint=shards_fingerprint(opened))
    if ranks:
        check_ranks(config, ranks)
    plan, config = planned(config, opened.folder, ranks=ranks, told=not as_json)
    if config.cluster.kind == "slurm" and not ranks:
        open_run(folder, config, shards=opened.folder, restricted=opened.restricted, status="queued")
        script = write_sbatch(
            config,
            folder,
            shards=opened.folder,
            restricted=opened.restricted,
            checkpoint_bytes=plan.checkpoint_bytes if plan else 0.0,
        )
        job = submit(script) if queue else ""
        if as_json:
            print_json({"run": str(folder), "script": str(script), "job": job})
        else:
            told = f"Submitted as {job}; it goes on by itself until it is complete: {folder}" if job else str(script)
            screen().print(told, highlight=False, markup=False)
        return
    check_needs(config)
    n_ranks = ranks or local_ranks(config)
    open_run(folder, config, shards=opened.folder, restricted=opened.restricted, status="starting")
    if not as_json:
        tokens = opened.index["totals"]["tokens"]
        screen().print(
            f"[bold]{config.name}[/bold]: {escape(config.description)}\n"
            f"{tokens:,} tokens in {len(opened):,} rows of {opened.sequence_length:,}, {config.data.epochs} epoch"
            f"{'s' if config.data.epochs > 1 else ''}; {n_ranks} rank{'s' if n_ranks > 1 else ''}; "
            f"run {escape(str(folder))}" + (" (restricted)" if opened.restricted else ""),
            highlight=False,
        )
    arguments = ["--config", str(folder / CONFIG), "--shards", str(opened.folder), "--run-folder", str(folder)]
    code = launch("train.pretrain", [*arguments, "--resume", resume], n_ranks=n_ranks, run=folder)
    if as_json and code == 0:
        print_json(read_run(folder) | {"consumed": read_consumed(folder)})
    elif code == 0 and read_consumed(folder)["closed"]:
        told = f"Done: {folder}/checkpoints; `medtrove train audit --run {shlex.quote(str(folder))}` counts again."
        screen().print(told, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(code)


@train_app.command()
def audit(
    run: Annotated[Path, typer.Option("--run", help="The run's folder.")],
    shards: ShardsOption = "",
    as_json: JsonOption = False,
) -> None:
    """Compare what a run consumed of every source with what its shards hold; exit 1 on any difference."""
    from mixing.reader import open_shards
    from train.ledger import audit as audit_run
    from train.ledger import read_consumed
    from train.run_folder import find_shards, read_run

    consumed = read_consumed(run)
    folder = Path(shards) if shards else Path(read_run(run)["shards"])
    opened = open_shards(find_shards(str(folder))) if folder.exists() else None
    problems = audit_run(run, opened)
    if as_json:
        print_json({"run": str(run), "problems": problems, "shards_read": opened is not None, **consumed})
    elif not problems:
        by_source = consumed["epochs"][-1]["tokens_by_source"]
        for source, tokens in sorted(by_source.items()):
            screen().print(f"  {source:<18} {tokens:>16,} tokens, as planned", highlight=False)
        against = "as the shards' index counts them" if opened is not None else "by the run's own plan; no shards here"
        screen().print(f"Closed: {len(consumed['epochs'])} epoch(s), {against}.", highlight=False)
    if problems:
        raise CheckFailed(
            "the books do not close. " + " ".join(problems), where=str(run), why="Tokens were consumed twice or never."
        )
