"""The command line: every door of medtrove, one verb each. Exit 0 ok, 1 a check failed, 2 bad usage."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from manifests.errors import BuildError, CorpusError
from pipelines.chat_command import chat
from pipelines.command_line import JsonOption, OutOption, RecipeArgument, opened, plan_for, print_json, screen
from pipelines.evaluate_command import evaluate
from pipelines.export_command import export_app
from pipelines.inspect_command import inspect
from pipelines.read_commands import explain, list_, report, show, verify
from pipelines.sft_command import sft
from pipelines.sources_command import sources_app
from pipelines.text_command import text
from pipelines.tokenizer_command import tokenizer_app, train_tokenizer
from pipelines.train_command import pretrain, train_app
from pipelines.train_export_command import export as train_export
from pipelines.train_export_command import merge
from pipelines.train_parity_command import parity
from pipelines.train_plan_command import plan_run

app = typer.Typer(
    name="medtrove",
    help="Rebuild the training corpus of the open medical language models, and prove what is in it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def build(
    recipe: RecipeArgument = "sample",
    inputs: Annotated[list[str] | None, typer.Argument(help="Files and folders, for the recipe local-files.")] = None,
    out: OutOption = "",
    workers: Annotated[int, typer.Option(min=0, help="Tasks at once; 0: as the recipe says.")] = 0,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what was acquired before.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Build the corpus of RECIPE: acquire, prepare, deduplicate, tokenise, mix, verify, report."""
    from pipelines.build import run_build
    from pipelines.display import display_for
    from pipelines.summary import render_summary

    console = screen()
    plan = plan_for(recipe, out, inputs or [])
    if not as_json:
        console.print(f"[bold]{plan.recipe.name}[/bold]: {plan.recipe.description}", highlight=False)
    with display_for(Console(stderr=True) if as_json else console) as display:
        result = run_build(plan, workers=workers, offline=offline, display=display)
    if as_json:
        print_json(result.facts())
    else:
        render_summary(console, result)
    if result.failed_checks:
        raise typer.Exit(1)


@app.command()
def acquire(
    recipe: RecipeArgument = "sample",
    source: Annotated[list[str] | None, typer.Option("--source", help="Only this source; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="A trial: so many items of a source, kept apart.")] = 0,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Look again: a new revision of complete snapshots, what is new fetched.")
    ] = False,
    out: OutOption = "",
    workers: Annotated[int, typer.Option(min=0, help="Sources at once; 0: as the recipe says.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Fetch the sources of RECIPE into raw snapshots, and nothing more; what is complete is not fetched again."""
    from pipelines.acquisition import acquire_command
    from pipelines.display import display_for

    console = screen()
    loaded = plan_for(recipe, out, [], trial=limit)
    with display_for(Console(stderr=True) if as_json else console) as display:
        facts = acquire_command(
            loaded, workers=workers, display=display, sources=source or [], limit=limit, refresh=refresh
        )
    if as_json:
        print_json(facts)
    else:
        from pipelines.source_tables import render_acquired

        render_acquired(console, facts, recipe=recipe, limit=limit)


@app.command()
def plan(
    recipe: RecipeArgument = "sample",
    inputs: Annotated[list[str] | None, typer.Argument(help="Files and folders, for local-files.")] = None,
    out: OutOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say what RECIPE will hold, by expectation, what would run, and what is missing; runs and fetches nothing."""
    from pipelines.outlook import check_outlook, outlook
    from pipelines.plan_table import plan_facts, render_plan

    planned = plan_for(recipe, out, inputs or [])
    if as_json:
        print_json(plan_facts(planned))
        check_outlook(outlook(planned))
    else:
        check_outlook(render_plan(screen(), planned))


@app.command(name="train-relevance")
def train_relevance(
    examples: Annotated[list[str] | None, typer.Argument(help="JSON lines {text, label: medical|other}.")] = None,
    out: Annotated[Path, typer.Option("--out", help="The model to write.")] = Path("relevance.ftz"),
    positives: Annotated[list[str] | None, typer.Option(help="Medical .txt or .jsonl files: a pattern.")] = None,
    negatives: Annotated[list[str] | None, typer.Option(help="Other .txt or .jsonl files: a pattern.")] = None,
    build: Annotated[str, typer.Option("--build", help="Take documents of this finished build.")] = "",
    medical_source: Annotated[list[str] | None, typer.Option(help="A source of the build; may be repeated.")] = None,
    other_source: Annotated[list[str] | None, typer.Option(help="A source of the build; may be repeated.")] = None,
    statistics: Annotated[Path | None, typer.Option(help="Word statistics to train from as well.")] = None,
    bundled: Annotated[bool, typer.Option("--bundled", help="Make the model that comes with medtrove.")] = False,
    evaluate: Annotated[list[str] | None, typer.Option(help="JSON lines that are evaluated on, never trained.")] = None,
    held_out: Annotated[float, typer.Option(min=0, max=0.9, help="Share of the examples held out.")] = 0.2,
    recall: Annotated[float, typer.Option(min=0.01, max=1, help="Suggest the threshold that keeps it.")] = 0.95,
    seed: int = 7,
    count_words: Annotated[bool, typer.Option("--count-words", help="Write word statistics to --out instead.")] = False,
    about: Annotated[Path | None, typer.Option(help="JSON that says where counted texts came from.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a classifier of medical text, evaluate it on held-out examples, and write both with a model card."""
    from pipelines import relevance_command as command

    inputs = command.Inputs(
        examples=examples or [],
        positives=positives or [],
        negatives=negatives or [],
        evaluate=evaluate or [],
        build=opened(build) if build else None,
        medical_sources=medical_source or [],
        other_sources=other_source or [],
        statistics=statistics,
        held_out=held_out,
        seed=seed,
        recall=recall,
    )
    if count_words:
        print_json(command.write_statistics(inputs, out, about))
        return
    facts = command.train_relevance(command.bundled(evaluate or [], recall) if bundled else inputs, out)
    print_json(facts) if as_json else command.render_evaluation(screen(), facts)


@app.command()
def recipes(as_json: JsonOption = False) -> None:
    """List the shipped recipes."""
    from pipelines.recipe import load_recipe, shipped

    found = {name: load_recipe(name).description for name in shipped()}
    if as_json:
        print_json(found)
        return
    for name, description in found.items():
        print(f"{name:<18} {description}")


app.command()(verify)
app.command()(explain)
app.command()(show)
app.command("list")(list_)
app.command()(report)
app.command()(text)
app.command()(inspect)
app.add_typer(sources_app, name="sources", invoke_without_command=True)
app.add_typer(export_app, name="export", no_args_is_help=True)
app.add_typer(tokenizer_app, name="tokenizer")
app.command()(train_tokenizer)
app.command()(pretrain)
app.command()(sft)
app.command()(evaluate)
app.command()(chat)
train_app.command("plan")(plan_run)
train_app.command("export")(train_export)
train_app.command()(merge)
train_app.command()(parity)
app.add_typer(train_app, name="train", no_args_is_help=True)


def _check_packages() -> None:
    """Stop if another installation's `filters` or `train` would be used instead of ours."""
    import importlib

    ours = Path(__file__).resolve().parent.parent
    for name in ("manifests", "scrapers", "filters", "dedup", "mixing", "train"):
        found = Path(str(importlib.import_module(name).__file__)).resolve().parent.parent
        if found != ours:
            raise BuildError(
                f"the package {name!r} comes from {found}, not from {ours}.",
                why="Another distribution's package of the same name hides ours.",
                fix="Use an environment of its own: `make setup` makes one.",
            )


def guarded(run: Callable[[], None]) -> int:
    """Run a command; a user's error becomes one message without a traceback."""
    try:
        _check_packages()
        run()
    except CorpusError as error:
        print(f"medtrove: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("medtrove: stopped; run the same command again to continue.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"medtrove: {place}{error.strerror or error}. Nothing unfinished will be trusted.", file=sys.stderr)
        return 2
    return 0


def main() -> None:
    """Console entry point."""
    try:
        code = guarded(app)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is written and renamed by now. Tearing down the threads of the libraries at interpreter exit once
    # ended a perfect build with "terminate called without an active exception" (2026-11-21, not seen in 80 tries to
    # repeat it), and a build that is right must not end with an error.
    os._exit(code)


if __name__ == "__main__":
    main()
