"""The sections of the report that are drawn: flow, reasons, mixture, repeats, lengths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from manifests.assemble import DOCUMENTS_FILE
from manifests.figures import Flow, compact, flow_svg, histogram_svg
from manifests.query import scan
from manifests.reasons import KEPT, STAGES, reason
from manifests.report_parts import Bar, Section, share
from manifests.sides import drop_cell, drops_tables, mix_tables
from manifests.store import Store
from manifests.subsources import parent
from manifests.tables import Column, Table, counted


def flow_section(entries: Mapping[str, Any], hues: Mapping[str, int], drops: Sequence[Mapping[str, Any]]) -> Section:
    order = (*STAGES[:-1], "custom", STAGES[-1])
    present = {row["fate"].split(".")[0] for row in drops if row["fate"] != KEPT}
    stages = tuple(stage for stage in order if stage in present)
    figures, narrow = [], []
    flows: dict[str, Flow] = {}
    for unit in ("documents", "characters"):
        left: dict[str, list[int]] = {}
        for name in entries:
            mine = [row for row in drops if row["source"] == name]
            values = [sum(row[unit] for row in mine)]
            for stage in stages:
                here = [row for row in mine if row["fate"].split(".")[0] == stage]
                values.append(values[-1] - sum(row[unit] for row in here))
            if values[0]:
                left[name] = values
        flow = flows[unit] = Flow(stages, left, hues)
        figures.append((unit, flow_svg(flow, width=1000, height=300, label=f"Flow of {unit} through the stages")))
        narrow.append((unit, flow_svg(flow, width=360, height=240, label=f"Flow of {unit} through the stages")))
    documents, characters = flows["documents"], flows["characters"]
    columns = (
        Column("source", "source"),
        Column("entered", "entered", "count"),
        *(Column(f"after {stage}", stage, "count") for stage in stages),
        Column("share", "documents kept", "share"),
        Column("characters", "characters kept", "share"),
    )
    rows = []
    for name, counts in documents.left.items():
        cells: dict[str, Any] = {f"after {stage}": n for stage, n in zip(stages, counts[1:], strict=True)}
        own = characters.left.get(name, [0, 0])
        rows.append({"source": name, "entered": counts[0], **cells, "share": share(counts[-1], counts[0]),
                     "characters": share(own[-1], own[0])})  # fmt: skip
    return Section(
        "flow",
        "From sources to shards",
        _flow_takeaway(documents),
        (Table("What was left after each stage", columns, rows),),
        figures=tuple(figures),
        narrow=tuple(narrow),
        note="Dropped documents are never tokenised, so the second unit is characters as extracted.",
    )


def _flow_takeaway(flow: Flow) -> str:
    entered = sum(values[0] for values in flow.left.values())
    kept = sum(values[-1] for values in flow.left.values())
    least = min(flow.left, key=lambda name: (share(flow.left[name][-1], flow.left[name][0]), name), default="")
    if not least:
        return "No document entered."
    remains = share(flow.left[least][-1], flow.left[least][0])
    rest = f"; {least} lost most of what it had, keeping {remains:.1%}" if len(flow.left) > 1 else ""
    return f"{kept:,} of {entered:,} documents were kept ({share(kept, entered):.1%}){rest}."


def reasons_section(
    build: Store, entries: Mapping[str, Any], hues: Mapping[str, int], drops: Sequence[Mapping[str, Any]]
) -> Section:
    by_reason: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in drops:
        if row["fate"] != KEPT:
            by_reason[row["fate"]].append(row)
    totals = {name: sum(row["documents"] for row in rows) for name, rows in by_reason.items()}
    most = max(totals.values(), default=1)
    table = drops_tables(build)[0]
    all_of = {row["reason"]: row["all"] for row in table.rows}
    bars = []
    for name in sorted(totals, key=lambda name: (-totals[name], name)):
        parts = []
        for row in by_reason[name]:
            told = drop_cell(name, row["documents"], restricted=entries[row["source"]]["card"]["restricted"])
            text = f"{row['source']}: {told:,}" if isinstance(told, int) else f"{row['source']}: {told}"
            parts.append((hues[row["source"]], row["documents"] / most * 100, text))
        parts.sort()
        total = all_of[name]
        bars.append(Bar(name, tuple(parts), f"{total:,}" if isinstance(total, int) else total))
    dropped = sum(totals.values())
    if not totals:
        takeaway = "Nothing was dropped."
    else:
        first = max(totals, key=lambda name: (totals[name], name))
        meaning = reason(first).meaning
        takeaway = (
            f"{counted(dropped, 'document')} left for {counted(len(totals), 'reason')}; {first} took "
            f"{share(totals[first], dropped):.0%} of them: {meaning[0].lower()}{meaning[1:]}"
        )
    return Section("reasons", "Why documents were dropped", takeaway, (table,), bars=tuple(bars))


def mixture_section(build: Store, mixed: Mapping[str, Any], hues: Mapping[str, int]) -> Section:
    rows = sorted(mixed["sources"], key=lambda row: (-row["target_share"], row["source"]))
    most = max((max(row["target_share"], row["realised_share"]) for row in rows), default=1.0) or 1.0
    pairs = tuple(
        {
            "source": row["source"],
            "hue": hues[parent(row["source"])],
            "target": row["target_share"] / most * 100,
            "realised": row["realised_share"] / most * 100,
            "told": f"{row['realised_share']:.2%}",
            "asked": f"{row['target_share']:.2%}",
            "points": f"{(row['realised_share'] - row['target_share']) * 100:+.3f}",
        }
        for row in rows
    )
    beyond = [row["source"] for row in rows if abs(row["error_tokens"]) > row["bound_tokens"]]
    worst = max(rows, key=lambda row: (abs(row["error_tokens"]), row["source"]))
    verdict = f"{', '.join(beyond)} miss it by more than the bound" if beyond else "every source is within its bound"
    takeaway = (
        f"{verdict[0].upper()}{verdict[1:]}; the largest error is {worst['error_tokens']:+,} tokens of "
        f"{worst['effective_tokens']:,} ({worst['source']}, bound {worst['bound_tokens']:,})."
    )
    return Section("mixture", "The mixture: asked for and realised", takeaway, tuple(mix_tables(build)), pairs=pairs)


def repeats_section(mixed: Mapping[str, Any], hues: Mapping[str, int]) -> Section:
    rows = sorted(mixed["sources"], key=lambda row: (-row["epochs"], row["source"]))
    most = max((row["effective_tokens"] for row in rows), default=1) or 1
    drawn = []
    for row in rows:
        cap = row["max_epochs"] * row["unique_tokens"] / most * 100
        drawn.append(
            {
                "source": row["source"],
                "hue": hues[parent(row["source"])],
                "unique": min(row["unique_tokens"], row["effective_tokens"]) / most * 100,
                "effective": row["effective_tokens"] / most * 100,
                "cap": cap if cap <= 100 else None,
                "told": f"{row['epochs']:.2f} x {compact(row['unique_tokens'])} = {compact(row['effective_tokens'])}",
            }
        )
    columns = (
        Column("source", "source"), Column("documents", "documents", "count"),
        Column("unique_tokens", "unique tokens", "count"), Column("epochs", "epochs", "decimal"),
        Column("max_epochs", "at most", "decimal"), Column("effective_tokens", "effective tokens", "count"),
    )  # fmt: skip
    unique = sum(row["unique_tokens"] for row in rows)
    effective = sum(row["effective_tokens"] for row in rows)
    first = rows[0]
    takeaway = (
        f"{effective:,} effective tokens are {unique:,} unique ones, {share(effective, unique):.2f} times on average; "
        f"{first['source']} is repeated most, {first['epochs']:.2f} of at most {first['max_epochs']:g} times."
    )
    table = Table("Unique and effective tokens", columns, rows)
    return Section("repeats", "Repeats", takeaway, (table,), repeats=tuple(drawn))


def lengths_section(build: Store, entries: Mapping[str, Any], hues: Mapping[str, int]) -> Section:
    import polars as pl

    kept = scan(build, DOCUMENTS_FILE).filter((pl.col("fate") == KEPT) & (pl.col("n_tokens") > 0))
    power = pl.col("n_tokens").cast(pl.Float64).log(2.0).floor().cast(pl.Int32)
    bins, quantiles = pl.collect_all(
        [
            kept.group_by("source", power.alias("power")).agg(pl.len().alias("n")),
            kept.group_by("source").agg(
                pl.len().alias("documents"),
                *(pl.col("n_tokens").quantile(q, "nearest").cast(pl.Int64).alias(name)
                  for name, q in (("p5", 0.05), ("median", 0.5), ("p95", 0.95), ("longest", 1.0))),
            ),
        ]
    )  # fmt: skip
    counts: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for row in bins.to_dicts():
        counts[row["source"]][row["power"]] = row["n"]
    powers = sorted({power for found in counts.values() for power in found}) or [0]
    known = {row["source"]: row for row in quantiles.to_dicts()}
    rows = [known[name] for name in entries if name in known]
    drawn = tuple(
        {
            "source": row["source"],
            "told": f"median {row['median']:,}",
            "svg": histogram_svg(counts[row["source"]], first=powers[0], last=powers[-1], hue=hues[row["source"]],
                                 label=f"Lengths of {row['source']}: median {row['median']:,} tokens"),
        }
        for row in rows
    )  # fmt: skip
    columns = (
        Column("source", "source"), Column("documents", "documents", "count"), Column("p5", "5 %", "count"),
        Column("median", "median", "count"), Column("p95", "95 %", "count"), Column("longest", "longest", "count"),
    )  # fmt: skip
    if not rows:
        takeaway = "No document was kept."
    else:
        short, long = (choose(rows, key=lambda row: (row["median"], row["source"])) for choose in (min, max))
        others = f", those of {short['source']} than {short['median']:,}" if short is not long else ""
        takeaway = f"Half the documents of {long['source']} are longer than {long['median']:,} tokens{others}."
    return Section("lengths", "How long documents are", takeaway,
                   (Table("Tokens per kept document", columns, rows),), multiples=drawn)  # fmt: skip
