"""`medtrove plan` on one screen: the expected mixture by source, what it costs, what would run, what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.agenda import agenda
from pipelines.costs import MEASURED
from pipelines.needs import needs
from pipelines.optional import NO_PERMISSION
from pipelines.outlook import GroupOutlook, Outlook, SourceOutlook, outlook
from pipelines.plan import Plan

UNKNOWN = "unknown"
BOUND = (
    "Expected before rules and deduplication, held-out documents taken off. <= at most, >= at least, ~ estimated. "
    "Error: planned less asked, in tokens; stored tokens will miss that by at most one row ({row:,}) or the longest "
    "document of a source's partial pass."
)
COLUMNS = ("source", "documents", "unique tokens", "target", "epochs", "max", "effective", "error", "basis")


def plan_facts(plan: Plan) -> dict[str, Any]:
    """The plan as JSON."""
    found = outlook(plan)
    return {
        "recipe": plan.recipe.model_dump(mode="json"),
        "stages": agenda(plan),
        "needs": needs(plan),
        "left_out": plan.left_out,
        "build": plan.build_path if plan.build_fingerprint else "",
        "expected": _facts(found),
    }


def _facts(found: Outlook) -> dict[str, Any]:
    return {**asdict(found), "unknown": found.unknown, "rates": MEASURED}


def render_plan(console: Console, plan: Plan) -> Outlook:
    """What the recipe will become and what would run."""
    recipe, found = plan.recipe, outlook(plan)
    console.print(f"[bold]{recipe.name}[/bold]: {recipe.description}", highlight=False)
    console.print(_mixture(found))
    console.print(Text(BOUND.format(row=found.row_tokens), style="dim"))
    for line in _origins(found):
        console.print(Text(line, style="dim", overflow="ellipsis"), no_wrap=True)
    console.print()
    _costs(console, found)
    _run(console, plan)
    console.print(f"[bold]rules[/bold]      {', '.join(rule.rule for rule in recipe.rules)}", highlight=False)
    _left_out(console, plan)
    if missing := needs(plan):
        console.print("[bold red]missing[/bold red]")
        for need in missing:
            console.print(f"  {need}", highlight=False, markup=False)
    else:
        console.print("[bold]ready[/bold]      nothing is missing")
    return found


def _mixture(found: Outlook) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if number in (0, len(COLUMNS) - 1) else "right", no_wrap=True)
    for row in found.sources:
        table.add_row(*_source_cells(row))
    for group in found.groups:
        table.add_row(*_group_cells(group), style="bold")
    sign = "<= " if found.total_at_most else ""
    total = UNKNOWN if found.total_tokens is None else sign + f"{found.total_tokens:,}"
    unknown = found.unknown
    unique = UNKNOWN if unknown else f"{sum(row.unique_tokens or 0 for row in found.sources):,}"
    table.add_row("all", "", unique, "", "", "", total, "", "", style="bold")
    return table


def _source_cells(row: SourceOutlook) -> Sequence[str]:
    mark = "~ " if row.basis == "estimated" and not row.at_most else "<= " if row.at_most else ""
    return (
        row.source,
        _number(row.documents, "<= " if row.at_most else ""),
        _number(row.unique_tokens, mark),
        _share(row.target_share),
        _epochs(row.epochs, at_least=row.at_most),
        f"{row.max_epochs:g}",
        _number(row.effective_tokens),
        "" if row.error_tokens is None else f"{row.error_tokens:+,}",
        row.basis or UNKNOWN,
    )


def _group_cells(group: GroupOutlook) -> Sequence[str]:
    return (
        group.group,
        "",
        _number(group.unique_tokens, "<= " if group.at_most else ""),
        _share(group.target_share),
        _epochs(group.epochs, at_least=group.at_most),
        "",
        _number(group.effective_tokens),
        "",
        "",
    )


def _number(value: int | None, mark: str = "") -> str:
    return UNKNOWN if value is None else f"{mark}{value:,}"


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.4%}"


def _epochs(value: float | None, *, at_least: bool) -> str:
    return UNKNOWN if value is None else f"{'>= ' if at_least else ''}{value:.3f}"


def _origins(found: Outlook) -> list[str]:
    """Who says so: sources with the same words together."""
    by_words: dict[str, list[str]] = {}
    for row in found.sources:
        by_words.setdefault(row.expected_from, []).append(row.source)
    lines = []
    for words, sources in by_words.items():
        unknown = all(row.unique_tokens is None for row in found.sources if row.source in sources)
        what = "unknown, so its share cannot be judged: " if unknown else ""
        lines.append(f"{', '.join(sources)}: {what}{words}.")
    return lines


def _costs(console: Console, found: Outlook) -> None:
    costs = found.costs
    more = "" if costs.complete else ", and what the unknown takes"
    console.print(
        f"[bold]disk[/bold]       {_bytes(costs.stages_bytes)} of stages, {_bytes(costs.shards_bytes)} of shards "
        f"(16-bit tokens), beside the download{more}",
        highlight=False,
    )
    console.print(f"[bold]cores[/bold]      {costs.core_hours:,.1f} core-hours{more}; {MEASURED}", highlight=False)

    if found.pace is not None and found.pace.hours >= 0.01:
        pace = found.pace
        console.print(
            f"[bold]pace[/bold]       at least {pace.hours:,.1f} hours of asking {pace.source} "
            f"({pace.documents:,} documents, {pace.delay_seconds:g} s apart); the others are asked beside it",
            highlight=False,
        )


def _left_out(console: Console, plan: Plan) -> None:
    """Optional sources without what they need, those without a permission together."""
    closed = [source for source in plan.left_out if plan.left_out[source] == NO_PERMISSION]
    if closed:
        console.print(Text.assemble(("left out   ", "bold"), f"{', '.join(closed)}: {NO_PERMISSION}"))
    for source, why in plan.left_out.items():
        if source not in closed:
            console.print(Text.assemble(("left out   ", "bold"), f"{source}: {why}"))


def _bytes(value: int) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= size:
            return f"{value / size:,.1f} {unit}"
    return f"{value:,} bytes"


def _run(console: Console, plan: Plan) -> None:
    """Stages by what happens to them; the whole list is in --json."""
    lines = agenda(plan)
    for action in ("skip", "run"):
        chosen = Counter(line["stage"] for line in lines if line["action"] == action)
        if not chosen:
            continue
        told = ", ".join(f"{stage} {n}" if n > 1 else stage for stage, n in chosen.items())
        why = Counter(line["why"].split(";")[0] for line in lines if line["action"] == action).most_common(1)[0][0]
        console.print(f"[bold]{action:<10}[/bold] {told} ({why})", highlight=False)
