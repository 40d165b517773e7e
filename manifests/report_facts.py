"""What the report says, gathered from the manifest: numbers, figures, and one sentence for each."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from manifests.assemble import DOCUMENTS_FILE
from manifests.boilerplate_side import boilerplate_section
from manifests.build import INDEX, RECIPE, mixture, read_json, sources_in_order
from manifests.figures import HUES, compact
from manifests.query import scan
from manifests.reasons import KEPT, reason
from manifests.removed_tables import removed_section
from manifests.report_flow import flow_section, lengths_section, mixture_section, reasons_section, repeats_section
from manifests.report_parts import ReportFacts, Section, share
from manifests.report_sections import (
    duplicates_section,
    identifiers_section,
    languages_section,
    licences_section,
    quarantine_section,
)
from manifests.sides import sources_tables, stages_tables
from manifests.store import Store
from manifests.tables import counted

SAMPLES = 2
"""Documents shown per source and fate: those with the smallest keys, a random choice that never changes."""


def gather(build: Store) -> ReportFacts:
    """Everything the report shows, from the manifest of a finished build."""
    entries = sources_in_order(build)
    hues = {name: number % HUES for number, name in enumerate(entries)}
    index = read_json(build, INDEX)
    mixed = mixture(build)
    drops = _drops(build)
    sections = (
        flow_section(entries, hues, drops),
        reasons_section(build, entries, hues, drops),
        mixture_section(build, mixed, hues),
        repeats_section(mixed, hues),
        lengths_section(build, entries, hues),
        languages_section(build),
        licences_section(build),
        identifiers_section(build),
        *filter(None, [boilerplate_section(build)]),
        duplicates_section(build),
        removed_section(build, hues),
        quarantine_section(build, entries),
        Section("sources", "Sources", _sources_takeaway(entries), tuple(sources_tables(build))),
    )
    return ReportFacts(
        hues=hues,
        tiles=_tiles(entries, mixed, drops, index),
        headline=_headline(mixed, drops),
        sections=sections,
        samples=tuple(_samples(build, entries)),
        cards={name: entry["card"] for name, entry in entries.items()},
        recipe=build.read_bytes(RECIPE).decode(),
        tokenizer=json.dumps(index["tokenizer"], sort_keys=True),
        fingerprints=stages_tables(build)[0],
    )


def _drops(build: Store) -> list[dict[str, Any]]:
    """(source, fate) -> documents and characters as extracted."""
    import polars as pl

    frame = scan(build, DOCUMENTS_FILE).group_by("source", "fate")
    found = frame.agg(pl.len().alias("documents"), pl.col("n_chars_raw").sum().alias("characters"))
    rows: list[dict[str, Any]] = found.sort("source", "fate").collect().to_dicts()
    return rows


def _tiles(
    entries: Mapping[str, Any], mixed: Mapping[str, Any], drops: Sequence[Mapping[str, Any]], index: Mapping[str, Any]
) -> tuple[tuple[str, str, str], ...]:
    unique = sum(row["unique_tokens"] for row in mixed["sources"])
    effective = sum(row["effective_tokens"] for row in mixed["sources"])
    entered = sum(row["documents"] for row in drops)
    kept = sum(row["documents"] for row in drops if row["fate"] == KEPT)
    padding = index["totals"]["padding"]
    rows = index["totals"]["rows"]
    empty = share(padding, rows * index["row_tokens"])
    return (
        (compact(effective), "effective tokens", f"{effective:,} stored in the shards"),
        (compact(unique), "unique tokens", f"{unique:,}; each is seen {share(effective, unique):.2f} times"),
        (compact(kept), "documents kept", f"{share(kept, entered):.1%} of {entered:,}"),
        (
            str(len(entries)),
            "source" if len(entries) == 1 else "sources",
            f"{sum(1 for e in entries.values() if e['card']['restricted'])} restricted",
        ),
        (compact(rows), "rows", f"of {index['row_tokens']:,} tokens, {empty:.3%} padding"),
    )


def _headline(mixed: Mapping[str, Any], drops: Sequence[Mapping[str, Any]]) -> str:
    worst = max(mixed["sources"], key=lambda row: (abs(row["realised_share"] - row["target_share"]), row["source"]))
    points = (worst["realised_share"] - worst["target_share"]) * 100
    repeated = max(mixed["sources"], key=lambda row: (row["epochs"], row["source"]))
    by_stage: defaultdict[str, int] = defaultdict(int)
    for row in drops:
        if row["fate"] != KEPT:
            by_stage[row["fate"].split(".")[0]] += row["documents"]
    lost = max(by_stage, key=lambda name: (by_stage[name], name), default="")
    entered = sum(row["documents"] for row in drops)
    first = f"Most documents left at {lost} ({share(by_stage[lost], entered):.1%} of all). " if lost else ""
    return (
        f"{first}The source furthest from its target is {worst['source']}, by {points:+.3f} points; "
        f"the most repeated is {repeated['source']}, {repeated['epochs']:.2f} times."
    )


def _sources_takeaway(entries: Mapping[str, Any]) -> str:
    closed = [name for name, entry in entries.items() if entry["card"]["restricted"]]
    items = sum(entry["items"] for entry in entries.values())
    first = f"{counted(len(entries), 'source')}, {counted(items, 'item')} fetched or read"
    if not closed:
        return f"{first}; all open."
    return f"{first}; {', '.join(closed)} under an agreement, so this build is restricted as a whole."


def _samples(build: Store, entries: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A few documents of every open source and fate."""
    import polars as pl

    frame = scan(build, DOCUMENTS_FILE).filter(~pl.col("restricted"))
    chosen = (
        frame.select(
            "doc_id", "doc_key", "source", "title", "fate", "split", "fate_value", "fate_threshold", "n_tokens"
        )
        .filter(pl.col("doc_key").rank("ordinal").over("source", "fate") <= SAMPLES)
        .sort("source", "fate", "doc_key")
        .collect()
        .to_dicts()
    )
    found = []
    for name in entries:
        for row in chosen:
            if row["source"] == name:
                limit = "" if row["fate_threshold"] is None else f", threshold {row['fate_threshold']:g}"
                value = "" if row["fate_value"] is None else f" ({row['fate_value']:.4g}{limit})"
                told = (
                    f"{row['split']}, {row['n_tokens'] or 0:,} tokens"
                    if row["fate"] == KEPT
                    else reason(row["fate"]).meaning
                )
                found.append({**row, "told": told.rstrip(".") + value})
    return found
