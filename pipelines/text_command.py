"""The command `medtrove text`: one document as captured, as extracted, as it went to training, and what changed it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from manifests.errors import RecipeError
from pipelines.command_line import BuildOption, JsonOption, opened, print_json

if TYPE_CHECKING:
    from pipelines.text_sides import Answer

STAGES = ("final", "extracted")
HEADER_LINES = 8
"""Of a screen, for what is said about the text and the prompt after it."""
LEAST_LINES = 10


def text(
    doc_id: Annotated[str, typer.Argument(help="A document, or SOURCE:ITEM of something put aside.")],
    stage: Annotated[str, typer.Option(help="final: as it went to tokenizing; extracted: before any rule.")] = "final",
    raw: Annotated[bool, typer.Option("--raw", help="The captured payload itself, its sha256 verified.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="What each rule changed, from extracted to final.")] = False,
    output: Annotated[Path | None, typer.Option("--output", help="Write the whole of it to this file.")] = None,
    include_restricted: Annotated[
        bool, typer.Option("--include-restricted", help="You may read it; only with --output, to a file of mode 0600.")
    ] = False,
    build: BuildOption = "",
    out: Annotated[str, typer.Option("--out", help="Folder with raw/ and stages/; default: the build's own.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show the text of a document: final, as extracted, as captured, or what each rule did; exit 1 if not as built."""
    from pipelines.text_sides import answer, write_file

    what = _what(stage, raw=raw, diff=diff)
    made = answer(opened(build), doc_id, what=what, out=out, allowed=include_restricted)
    if made.guarded and output is None:
        raise RecipeError(
            f"the text of {doc_id} is restricted, and there is no file for it.",
            why="It is never put on a screen or into a pipe.",
            fix="Add --output FILE.",
        )
    if output is not None:
        write_file(made, output)
    if as_json:
        print_json(_as_json(made, output))
    else:
        _show(made, output)
    if not made.equal:
        raise typer.Exit(1)


def _what(stage: str, *, raw: bool, diff: bool) -> str:
    if stage not in STAGES:
        raise RecipeError(f"there is no stage {stage!r}.", why=f"There are {' and '.join(STAGES)}.", fix="Name one.")
    if raw + diff + (stage != "final") > 1:
        raise RecipeError("--raw, --diff and --stage extracted ask for different things.", fix="Ask for one at a time.")
    return "raw" if raw else "diff" if diff else stage


def _as_json(made: Answer, output: Path | None) -> dict[str, Any]:
    subject = made.subject
    found = {
        "doc_id": subject.name,
        "source": subject.source,
        "what": made.what,
        "restricted": subject.restricted,
        "raw_ref": subject.raw_ref,
        "put_aside": subject.reason,
        **made.facts,
        "output": str(output) if output else "",
    }
    if made.payload is None and not made.guarded:
        found["text"] = made.text
        if made.what == "diff":
            found["rules"] = made.edits
    return found


def _show(made: Answer, output: Path | None) -> None:
    """The text to a screen, cut to one, or whole to a pipe; what is said about it always beside the text."""
    from pipelines.text_diff import shown
    from pipelines.text_sides import BANNER, copy_payload

    for line in (made.subject.name, *made.said):
        typer.echo(line, err=True)
    if made.guarded:
        typer.echo(BANNER, err=True)
    if output is not None:
        typer.echo(f"written   {output}", err=True)
        return
    on_screen = sys.stdout.isatty()
    if made.payload is not None:
        if on_screen:
            typer.echo("Bytes are not for a screen: --output FILE, or a pipe.", err=True)
            return
        sys.stdout.flush()
        copy_payload(made, sys.stdout.buffer)
        return
    whole = made.text or ""
    if not on_screen:
        sys.stdout.flush()
        sys.stdout.buffer.write(whole.encode("utf-8", "surrogatepass") + b"\n")
        return
    typer.echo(one_screen(shown(whole), *shutil.get_terminal_size()))


def one_screen(whole: str, columns: int, lines: int) -> str:
    """As much of `whole` as fits a screen, and how much more there is."""
    room = max(lines - HEADER_LINES, LEAST_LINES)
    rows = whole.split("\n")
    taken, used = 0, 0
    for row in rows:
        used += max(1, -(-len(row) // columns))
        if used > room and taken:
            break
        taken += 1
    # One paragraph can be longer than a screen.
    first = "\n".join(rows[:taken])[: room * columns]
    if len(first) == len(whole):
        return whole
    left = len(whole) - len(first)
    return f"{first}\n… {left:,} more characters: the whole with --output FILE, or piped."
