"""The command `medtrove inspect`: a shard at a glance, or one of its rows as text with its documents' borders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from manifests.errors import RecipeError
from pipelines.command_line import BuildOption, JsonOption, opened, print_json, screen

if TYPE_CHECKING:
    from pipelines.inspected import Place


def inspect(
    shard: Annotated[str, typer.Argument(help="A shard's number in the build, or the path of its file.")],
    row: Annotated[
        int | None, typer.Argument(min=0, help="A row of it, from 0; without it, the shard at a glance.")
    ] = None,
    tokenizer: Annotated[str, typer.Option(help="The tokenizer.json, if the recipe's path is not right here.")] = "",
    output: Annotated[Path | None, typer.Option("--output", help="Write the whole of it to this file.")] = None,
    include_restricted: Annotated[
        bool, typer.Option("--include-restricted", help="You may read it; only with --output, to a file of mode 0600.")
    ] = False,
    build: BuildOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show what a trainer is given: a row's text, its documents' borders, ids and sources, and where they go on."""
    from pipelines.inspected import lines, place_of, row_facts, summary

    place = place_of(shard, opened(build) if shard.isdecimal() else None)
    if row is None:
        found = summary(place)
        print_json(found) if as_json else _show_summary(found)
        return
    guarded = place.shards.restricted
    if guarded:
        _check_allowed(place, allowed=include_restricted, output=output)
    found = row_facts(place, row, tokenizer)
    if output is None:
        if as_json:
            print_json(found)
            return
        size = shutil.get_terminal_size()
        typer.echo("\n".join(lines(found, room=size.lines - 2, columns=size.columns)))
        return
    whole = json.dumps(found, indent=2, ensure_ascii=False) if as_json else "\n".join(lines(found))
    _write(whole + "\n", output, guarded=guarded)
    typer.echo(f"written   {output}", err=True)


def _check_allowed(place: Place, *, allowed: bool, output: Path | None) -> None:
    if not allowed or output is None:
        raise RecipeError(
            "the rows of a restricted build are restricted, text and ids.",
            where=str(place.shards.folder),
            why="It is under an agreement, and is never put on a screen or into a pipe.",
            fix="If you may read it: --include-restricted --output FILE writes it to a file of yours alone.",
        )


def _write(text: str, output: Path, *, guarded: bool) -> None:
    from pipelines.text_sides import BANNER, file_store

    banner = f"{BANNER}\n\n" if guarded else ""
    file_store(output, private=guarded).write_bytes(output.name, (banner + text).encode("utf-8", "surrogatepass"))


def _show_summary(found: dict[str, Any]) -> None:
    from manifests.tables import Column, Table, rich_table

    columns = (Column("source", "source"), Column("tokens", "tokens", "count"), Column("share", "share", "share"))
    console = screen()
    console.print(
        f"{found['file']}  {found['split']}  {found['rows']:,} rows of {found['row_tokens']:,} tokens: "
        f"{found['tokens']:,} stored, {found['padding']:,} padding",
        highlight=False,
    )
    console.print(rich_table(Table("", columns, found["sources"])))
