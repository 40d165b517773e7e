"""The commands `medtrove train-tokenizer` and `medtrove tokenizer extend`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from manifests.errors import RecipeError
from pipelines.command_line import BuildOption, JsonOption, opened, print_json, screen

tokenizer_app = typer.Typer(help="Work on tokenizer files.", no_args_is_help=True)


def train_tokenizer(
    build: BuildOption = "",
    out: Annotated[Path, typer.Option("--out", help="Folder for tokenizer.json, its config and card.")] = Path(
        "tokenizer"
    ),
    source: Annotated[list[str] | None, typer.Option("--source", help="Only this source; may be repeated.")] = None,
    weight: Annotated[list[str] | None, typer.Option(help="SOURCE=TIMES its natural share; may be repeated.")] = None,
    characters: Annotated[int, typer.Option(min=1, help="Characters of the sample.")] = 200_000_000,
    vocabulary: Annotated[int, typer.Option(help="Tokens in all, special ones too; at most 65536.")] = 32768,
    digits: Annotated[int, typer.Option(help="Digits of one token at most: 3 or 1.")] = 3,
    special: Annotated[list[str] | None, typer.Option(help="A special token; may be repeated.")] = None,
    beside: Annotated[list[str] | None, typer.Option(help="Another tokenizer.json to judge beside it.")] = None,
    seed: int = 7,
    include_restricted: Annotated[
        bool, typer.Option("--include-restricted", help="Train on restricted texts; the files are then restricted.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a byte-level BPE tokenizer on a build's texts, and print its fertility by source beside others."""
    from pipelines.tokenizer_training import Choices
    from pipelines.tokenizer_training import train_tokenizer as train

    choices = Choices(
        sources=source or [],
        weights=_weights(weight or []),
        characters=characters,
        vocabulary=vocabulary,
        digits=digits,
        special=special or [],
        seed=seed,
        beside=beside or [],
        include_restricted=include_restricted,
    )
    facts = train(opened(build), choices, out)
    print_json(facts) if as_json else render_training(screen(), facts)


@tokenizer_app.callback()
def _tokenizer() -> None:
    """Work on tokenizer files."""


@tokenizer_app.command()
def extend(
    file: Annotated[Path, typer.Argument(help="A tokenizer.json.")],
    output: Annotated[Path, typer.Option("--output", help="Folder for the new files.")],
    special: Annotated[list[str] | None, typer.Option(help="A special token to add; may be repeated.")] = None,
    chat_template: Annotated[
        str, typer.Option(help="Add the tokens of this chat template, and write it into the config.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Add special tokens to a tokenizer file: new ids at the end, and nothing else changed."""
    from mixing.extend import extend as extend_file
    from mixing.template import template

    if not special and not chat_template:
        raise RecipeError("no token is named.", fix="Add --special '[bib_ref]', or --chat-template NAME.")
    form = template(chat_template) if chat_template else None
    facts = extend_file(str(file), special or [], output, form=form)
    if as_json:
        print_json(facts)
        return
    console = screen()
    for name, number in facts["added"].items():
        console.print(f"{number:>8,}  {name}", highlight=False, markup=False)
    for name, number in facts["kept"].items():
        console.print(f"{number:>8,}  {name}, there before", highlight=False, markup=False)
    console.print(f"{facts['tokenizer']}: {facts['vocab_size']:,} tokens", highlight=False, markup=False)


def _weights(given: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in given:
        name, _, value = one.partition("=")
        try:
            times = float(value)
        except ValueError:
            times = -1.0
        if not name or not 0 <= times < float("inf"):
            raise RecipeError(f"--weight {one!r} is not understood.", fix="Write --weight pmc=2.")
        found[name] = times
    return found


def render_training(console: Console, facts: dict[str, Any]) -> None:
    """What was trained on what, and the fertility, on one screen."""
    card = facts["card"]
    mode = ", restricted: mode 0600, and so is every build and model made with it" if card["restricted"] else ""
    settings = card["settings"]
    console.print(
        f"{facts['tokenizer']}: {settings['vocabulary']:,} tokens, digits by {settings['digits']}{mode}",
        highlight=False,
        markup=False,
    )
    for source, about in card["trained_on"].items():
        counts = f"{about['documents']:,} documents, {about['characters']:,} characters"
        console.print(f"  {source}: {counts}, weight {about['weight']:g}", highlight=False, markup=False)
    table = Table("source", "tokenizer", "vocabulary", "words", "tokens/word", "tokens/character", "tokens/number")
    for row in facts["fertility"]:
        table.add_row(
            row["source"] + " (seen in training)" * row["seen_in_training"],
            row["tokenizer"],
            f"{row['vocabulary']:,}",
            f"{row['words']:,}",
            *(f"{row[name]:.3f}" for name in ("tokens_per_word", "tokens_per_character", "tokens_per_number")),
        )
    console.print(table)
