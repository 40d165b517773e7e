"""What a person sees of sources: the table of all of them, the end of an acquisition, the canary's verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

STATES = ("fetched", "unchanged", "gone", "refused_by_robots", "forbidden_by_terms", "failed")
"""Of an item, as the ledger and the snapshot's counts name them."""


def _table(*columns: str, left: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right", no_wrap=column != "title")
    return table


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def render_sources(console: Console, facts: Mapping[str, Any]) -> None:
    """`medtrove sources`."""
    left = ("source", "title", "kind", "licence class", "use", "last success")
    table = _table("source", "title", "kind", "licence class", "use", "expected", "fetched", "last success", left=left)
    for row in facts["sources"]:
        table.add_row(
            row["source"],
            row["title"],
            row["kind"],
            row["licence_class"],
            row["use"],
            _number(row["expected_documents"]),
            _number(row["fetched_items"]),
            row["last_success"][:10],
        )
    console.print(table)
    counts = ", ".join(f"{use} {n}" for use, n in facts["guidelines"].items())
    console.print(f"\n[bold]guideline sources[/bold]  {counts}", highlight=False)
    note = (
        "with recorded basis: the recipe says on what ground the source is used (`permission` where the terms demand\n"
        "one); archive: the publisher's own door is closed, the text is of a past date. Expected are documents as the\n"
        "card's `expected_source` counts them, fetched are items of the last complete snapshot in this output folder.\n"
        "Terms, licence and contact of a source: medtrove sources show SOURCE."
    )
    console.print(Text(note, style="dim"))


def render_card(console: Console, card: Mapping[str, Any]) -> None:
    """`medtrove sources show`: everything a card says, in words."""
    terms, quote, source = card["licence_class"], card["terms_quote"], card["terms_from"]
    expected, counted_by = card["expected_documents"], card["expected_source"]
    yes_no = {True: "yes", False: "no"}
    lines = (
        ("source", f"{card['id']}: {card['title']}"),
        ("publisher", f"{card['publisher']}, {card['homepage']}"),
        ("use", card["use"] + (", the recipe must record a `permission`" if card["needs_permission"] else "")),
        ("licence", f"{card['licence']} ({terms['use']}); redistribution: {yes_no[card['redistribution']]}"),
        ("terms", quote if quote.startswith("Not quoted") else f'"{quote}"'),
        ("", f"{card['terms_url']}, read {card['terms_read']}" + (f": {source}" if source else "")),
        ("robots", card["robots"]),
        ("contact", card["contact"]),
        ("identifiers", f"policy {card['phi_policy']!r}"),
        ("hosts", ", ".join(card["hosts"]) or "none: read from your own disk"),
        ("expected", f"{expected:,} documents: {counted_by}" if expected else ""),
        (
            "",
            f"{card['expected_tokens']:,} tokens, {card['expected_basis']}: {card['expected_from']}"
            if card["expected_tokens"]
            else "",
        ),
        ("met live", str(card["verified_live"] or "never")),
        ("notes", " ".join(card["notes"].split())),
    )
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines:
        if text:
            table.add_row(name, Text(text))
    console.print(table)


def render_acquired(console: Console, facts: Sequence[Mapping[str, Any]], *, recipe: str, limit: int) -> None:
    """The end of `medtrove acquire`."""
    states = [state for state in STATES if any(row["counts"].get(state) for row in facts)]
    table = _table("source", "items", *(s.replace("_", " ") for s in states), "MB", "", left=("source", ""))
    for row in facts:
        told = "complete before" if row["had_it"] else "" if row["changed"] else "nothing changed"
        table.add_row(
            row["source"],
            _number(row["items"]),
            *(_number(row["counts"].get(state, 0)) for state in states),
            f"{row['bytes'] / 1e6:,.1f}",
            told,
        )
    console.print(table)
    if limit:
        where = "\n".join(f"  {row['folder']}" for row in facts)
        console.print(f"\nA trial of {limit} items a source; no build reads it:\n{where}", highlight=False)
    else:
        console.print(f"\nSnapshots are complete and frozen. Next: medtrove build {recipe}", highlight=False)


def render_canary(console: Console, verdicts: Sequence[Mapping[str, Any]]) -> None:
    """`medtrove sources check`."""
    colours = {"ok": "green", "drift": "bold red", "unreachable": "yellow", "skipped": "dim"}
    table = _table("source", "verdict", "requests", "document", "characters", "", left=("source", "document", ""))
    table.columns[-1].no_wrap = False
    for row in verdicts:
        table.add_row(
            row["source"],
            Text(row["verdict"], style=colours[row["verdict"]]),
            _number(row["requests"]),
            row["document"],
            _number(row["characters"]),
            row["sentence"],
        )
    console.print(table)
