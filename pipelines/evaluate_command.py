"""`medtrove evaluate`: loss and bits per byte by source on held-out rows, and benchmarks by lm-evaluation-harness."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from manifests.errors import RecipeError
from pipelines.command_line import JsonOption, print_json, screen
from pipelines.train_command import ShardsOption

ModelArgument = Annotated[str, typer.Argument(help="A run, a checkpoint, an exported folder or a base's folder.")]
KindOption = Annotated[str, typer.Option("--dtype", help="bf16 or fp32, of the weights while they are asked.")]


def evaluate(
    model: ModelArgument,
    shards: ShardsOption = "",
    dtype: KindOption = "fp32",
    tokenizer: Annotated[str, typer.Option("--tokenizer", help="The model's tokenizer.json.")] = "",
    rows_per_batch: Annotated[int, typer.Option("--batch-rows", min=1)] = 8,
    tasks: Annotated[str, typer.Option("--tasks", help="medqa_4options,pubmedqa,...: by the harness, instead.")] = "",
    task_folder: Annotated[str, typer.Option("--task-folder", help="YAML files of your own tasks.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="Items of a task; 0: all.")] = 0,
    endpoint: Annotated[str, typer.Option("--endpoint", help="http://HOST:PORT/v1 that serves MODEL.")] = "",
    as_json: JsonOption = False,
) -> None:
    """How well MODEL knows rows it was not trained on, by source; or its scores in benchmarks, with --tasks."""
    from pipelines.train_needs import check_installed

    if tasks:
        from train.harness import run_tasks

        check_installed(["torch", "transformers"])
        names = [name.strip() for name in tasks.split(",") if name.strip()]
        scores = run_tasks(Path(model), names, dtype=dtype, limit=limit, task_folder=task_folder)
        if as_json:
            print_json({"model": model, "tasks": scores})
        else:
            for name, one in sorted(scores.items()):
                numbers = [f"{key} {value:.4f}" for key, value in sorted(one.items()) if isinstance(value, float)]
                screen().print(f"  {name:<24} {', '.join(numbers)}", highlight=False)
        return
    if endpoint:
        found = _served(model, endpoint, shards, tokenizer, rows_per_batch)
    else:
        check_installed(["torch", "transformers"])
        found = _local(model, shards, tokenizer, dtype, rows_per_batch)
    if as_json:
        print_json({"model": model, **found})
    else:
        _tell(found)


def _local(model: str, shards: str, tokenizer: str, dtype: str, rows_per_batch: int) -> dict[str, Any]:
    from manifests.store import Store
    from train.asked import asked, rows_for
    from train.evaluate import model_losses
    from train.loaded import KINDS

    if dtype not in KINDS:
        raise RecipeError(f"there is no dtype {dtype!r}.", where="--dtype", fix=f"Give one of {', '.join(KINDS)}.")
    one = asked(Path(model), tokenizer=tokenizer)
    held_out = rows_for(one, shards)
    loaded = one.model(dtype=dtype, length=held_out.sequence_length)
    losses = model_losses(loaded, len(held_out.sources))
    found = _scored(losses, held_out, one.tokenizer, rows_per_batch)
    if one.trained is not None and not shards and one.trained.run.resolve() == Path(model).resolve():
        # Beside the run's other books, where its card finds it.
        private = one.restricted or held_out.restricted
        Store(one.trained.run, mode=0o600 if private else None).write_json(
            "evaluation.json", {"step": one.trained.state.step, **found}
        )
    return found


def _served(name: str, endpoint: str, shards: str, tokenizer: str, rows_per_batch: int) -> dict[str, Any]:
    from mixing.reader import open_shards
    from train.endpoint import endpoint_losses
    from train.run_folder import find_shards, validation_of
    from train.taint import check_endpoint

    if not shards:
        raise RecipeError("which rows are sent is not said.", where="--endpoint", fix="Name a build: --shards DIR.")
    opened = open_shards(find_shards(shards))
    check_endpoint(endpoint, restricted=opened.restricted)
    held_out = validation_of(opened)
    if held_out is None:
        raise RecipeError("the build held no rows out.", where=shards, fix="Set [mixture] validation_fraction.")
    losses = endpoint_losses(endpoint, name, len(held_out.sources))
    return _scored(losses, held_out, Path(tokenizer) if tokenizer else None, rows_per_batch)


def _scored(losses: Any, held_out: Any, tokenizer: Path | None, rows_per_batch: int) -> dict[str, Any]:
    from mixing.reader import open_shards
    from train.evaluate import evaluate as scores_of
    from train.evaluate import summary
    from train.token_bytes import token_bytes
    from train.tokenizer import tokenizer_file

    file = tokenizer_file(held_out) or tokenizer
    lengths = token_bytes(file) if file is not None else None
    scores = scores_of(losses, held_out, lengths=lengths, rows_per_batch=rows_per_batch)
    beside = held_out.folder.parent / "shards"
    shares = open_shards(beside).index["totals"]["tokens_by_source"] if beside.is_dir() else {}
    return summary(scores, shares, held_out.index["tokenizer"]["vocab_size"])


def _tell(found: dict[str, Any]) -> None:
    console = screen()
    rows = [*found["by_source"].items(), ("all", found["all"])]
    for name, one in rows:
        bits = f"{one['bits_per_byte']:.4f} bits a byte" if one["bits_per_byte"] else "bits a byte not known"
        console.print(f"  {name:<18} loss {one['loss']:8.4f}   {bits}   {one['tokens']:>12,} tokens", highlight=False)
    if found["mixture"] is not None:
        console.print(f"  {'as the mixture':<18} loss {found['mixture']:8.4f}", highlight=False)
    if found["warning"]:
        console.print(found["warning"], highlight=False)
