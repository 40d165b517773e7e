"""What a person sees at the end of a command: one screen, then where things lie and what to run next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from manifests.store import Store

if TYPE_CHECKING:
    from pipelines.build import BuildResult


REPAIR = (
    "A file that was changed or lost is made anew, the same bytes, if you delete it and run `medtrove build` with the "
    "same recipe; train on nothing before that."
)


MOST_COLUMNS = 8
"""Sources side by side on a screen of 120 characters."""


def _table(*columns: str) -> Table:
    """A plain table: names to the left, numbers to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    return table


def render_summary(console: Console, result: BuildResult) -> None:
    """The end of `medtrove build`."""
    totals = result.corpus["totals"]
    console.print()
    console.print(
        f"[bold]documents[/bold]  {totals['documents_in']:,} in = {totals['documents_kept']:,} kept"
        f" + {totals['documents_in'] - totals['documents_kept']:,} dropped"
        f"; {totals['quarantined']:,} items put aside",
        highlight=False,
    )
    console.print(_fates(result))
    console.print()
    console.print(_mixture(result))
    bound = result.mixture["bound_text"]
    console.print(Text(bound, style="dim"))
    console.print()
    if result.failed_checks:
        console.print(f"[bold red]verify: {len(result.failed_checks)} of {result.n_checks} checks failed[/bold red]")
        for check in result.failed_checks:
            console.print(f"  {check.name}: {check.detail or f'{check.observed} instead of {check.expected}'}")
        console.print(REPAIR)
    else:
        how = " (sizes and counts; `medtrove verify` reads the shards again)" if result.fast else ""
        console.print(f"[bold]verify[/bold]     {result.n_checks} checks, all hold{how}", highlight=False)
    _warnings(console, result.checks)
    store = result.build
    console.print(f"[bold]shards[/bold]     {store.url}/shards  ({totals['rows']:,} rows)", highlight=False)
    console.print(f"[bold]manifest[/bold]   {store.url}/manifest", highlight=False)
    console.print(f"[bold]report[/bold]     {store.url}/report.html", highlight=False)
    if result.corpus["restricted"]:
        console.print(
            "[bold]access[/bold]     restricted: it holds a credentialed source; never export it beside open data"
        )
    console.print()
    console.print(Text(next_steps(result), style="dim"))


def _warnings(console: Console, checks: Sequence[Any]) -> None:
    for check in checks:
        for warning in filter(None, check.warning.split("\n")):
            console.print(Text.assemble(("ALARM ", "bold yellow"), warning))


def next_steps(result: BuildResult) -> str:
    """What to run next, with a document of this build as the example."""
    return (
        "Next: open report.html, or ask the manifest:\n"
        f"  .venv/bin/medtrove explain {result.example}\n"
        "  .venv/bin/medtrove show mix | drops | sources | licences | phi | dedup | removed | boilerplate\n"
        "The 129B-token corpus (Me-LLaMA's 15:1:4) is the recipe me-llama-129b. It needs disk, a network, PhysioNet\n"
        "credentials for MIMIC and your model's tokenizer.json; this says what is missing and what would run:\n"
        "  make plan RECIPE=me-llama-129b      then      make corpus RECIPE=me-llama-129b"
    )


def _fates(result: BuildResult) -> Table:
    dropped: dict[str, Counter[str]] = {source: Counter() for source in result.sources}
    for source, counts in result.dropped.items():
        dropped[source].update(counts)
    reasons = sorted({reason for counts in dropped.values() for reason in counts})
    if len(result.sources) > MOST_COLUMNS:
        return _fates_by_line(result, dropped)
    table = _table("", *result.sources)
    for reason in reasons:
        cells = [f"{dropped[source][reason]:,}" if dropped[source][reason] else "" for source in result.sources]
        table.add_row(f"  {reason}", *cells)
    table.add_row("  kept", *(f"{result.kept[source]:,}" for source in result.sources))
    return table


def _fates_by_line(result: BuildResult, dropped: dict[str, Counter[str]]) -> Table:
    """A line for each source, where a column for each does not fit a screen."""
    table = _table("", "kept", "dropped", "")
    table.columns[-1].justify = "left"
    for source in result.sources:
        counts = dropped[source]
        told = ", ".join(f"{reason} {n:,}" for reason, n in sorted(counts.items()))
        table.add_row(f"  {source}", f"{result.kept[source]:,}", f"{counts.total():,}" if counts else "", told)
    return table


def _mixture(result: BuildResult) -> Table:
    table = _table(
        "source", "documents", "unique tokens", "epochs", "effective", "target", "realised", "error", "bound"
    )
    for row in result.mixture["sources"]:
        table.add_row(
            row["source"],
            f"{row['documents']:,}",
            f"{row['unique_tokens']:,}",
            f"{row['epochs']:.3f}",
            f"{row['effective_tokens']:,}",
            f"{row['target_share']:.4%}",
            f"{row['realised_share']:.4%}",
            f"{row['error_tokens']:+,}",
            f"{row['bound_tokens']:,}",
        )
    for row in result.mixture["groups"]:
        table.add_row(
            Text(row["group"], style="bold"),
            "",
            f"{row['unique_tokens']:,}",
            "",
            f"{row['effective_tokens']:,}",
            f"{row['target_share']:.4%}",
            f"{row['realised_share']:.4%}",
            f"{row['error_tokens']:+,}",
            f"{row['bound_tokens']:,}",
            style="bold",
        )
    return table


def render_checks(console: Console, store: Store, checks: Sequence[Any]) -> None:
    """The end of `medtrove verify`."""
    failed = [check for check in checks if not check.ok]
    for check in failed:
        console.print(f"[red]FAILED[/red] {check.name}", highlight=False)
        console.print(f"       observed {check.observed}, expected {check.expected}", highlight=False)
        if check.detail:
            console.print(f"       {check.detail}", highlight=False)
    if failed:
        console.print(REPAIR, highlight=False)
    _warnings(console, checks)
    verdict = f"{len(failed)} of {len(checks)} checks failed" if failed else f"{len(checks)} checks, all hold"
    console.print(f"{store.url}: {verdict}", highlight=False)
