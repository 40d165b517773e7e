"""The sections of the report that are tables first: languages, licences, identifiers, duplicates, quarantine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manifests.assemble import QUARANTINE_FILE
from manifests.query import scan
from manifests.reasons import KEPT, reason
from manifests.report_parts import Bar, Section, share
from manifests.sides import dedup_tables, documents_with_tokens, licences_tables, phi_tables
from manifests.store import Store
from manifests.tables import SMALL_CELL, Column, Table, counted

if TYPE_CHECKING:
    import polars as pl

ITEMS_SHOWN = 40
YEARS = 10
"""Years in one line of the table of years."""


def _grouped(build: Store, key: pl.Expr) -> list[dict[str, Any]]:
    import polars as pl

    frame = documents_with_tokens(build).filter(pl.col("fate") == KEPT).group_by(key.alias("key"))
    found = frame.agg(pl.len().alias("documents"), pl.col("unique").sum(), pl.col("effective").sum()).collect()
    rows = found.to_dicts()
    total = sum(row["effective"] for row in rows)
    return [{**row, "share": share(row["effective"], total)} for row in rows]


def languages_section(build: Store) -> Section:
    import polars as pl

    numbers = (
        Column("documents", "documents", "count"), Column("unique", "unique tokens", "count"),
        Column("effective", "effective tokens", "count"), Column("share", "share", "share"),
    )  # fmt: skip
    languages = sorted(_grouped(build, pl.col("lang")), key=lambda row: (-row["effective"], row["key"]))
    for row in languages:
        row["key"] = row["key"] or "not stated"
    years = sorted(_grouped(build, pl.col("year").cast(pl.Int32) // YEARS * YEARS), key=lambda row: row["key"] or 0)
    for row in years:
        row["key"] = f"{row['key']} to {row['key'] + YEARS - 1}" if row["key"] is not None else "not stated"
    tables = (
        Table("Languages", (Column("key", "language"), *numbers), languages),
        Table("Years", (Column("key", "year"), *numbers), years),
    )
    if not languages:
        return Section("languages", "Languages and years", "No document was kept.", tables)
    newest = max((row for row in years if row["key"] != "not stated"), key=lambda row: row["effective"], default=None)
    when = f"; most tokens are of {newest['key']} ({newest['share']:.0%})" if newest else ""
    first = languages[0]
    what = "have no stated language" if first["key"] == "not stated" else f"are {first['key']}"
    takeaway = f"{first['share']:.1%} of effective tokens {what}{when}."
    return Section("languages", "Languages and years", takeaway, tables)


def licences_section(build: Store) -> Section:
    table = licences_tables(build)[0]
    by_use: defaultdict[str, float] = defaultdict(float)
    for row in table.rows:
        by_use[row["use"]] += row["share"]
    words = {"commercial": "allow commercial use", "noncommercial": "forbid it", "restricted": "allow neither clearly"}
    parts = [f"{by_use[use]:.1%} {sentence}" for use, sentence in words.items() if by_use[use]]
    takeaway = f"By effective tokens, {', '.join(parts)}." if parts else "No document was kept."
    return Section("licences", "Licences", takeaway, (table,))


def identifiers_section(build: Store) -> Section:
    table = phi_tables(build)[0]
    checked = [row for row in table.rows if row["checked"]]
    n = sum(row["checked"] for row in checked)
    told = [row for row in checked if isinstance(row["hit"], int)]
    hit = sum(row["hit"] for row in told)
    hidden = len(checked) - len(told)
    withheld = f", besides fewer than {SMALL_CELL} in {counted(hidden, 'restricted source')}" if hidden else ""
    came = f"{counted(n, 'document')} of {counted(len(checked), 'source')} reached the check"
    takeaway = f"{came}; identifiers were found in {hit:,}{withheld}."
    note = (
        "The check finds what its rules describe. That nothing else is left is not claimed here: the residual rate "
        "needs a random sample read by people."
    )
    return Section("identifiers", "Identifiers of people", takeaway, (table,), note=note)


def duplicates_section(build: Store) -> Section:
    tables = dedup_tables(build)
    sizes = tables[1].rows
    most = max((row["clusters"] for row in sizes), default=1)
    bars = tuple(
        Bar(f"{row['size']} documents", ((-1, row["clusters"] / most * 100, ""),), counted(row["clusters"], "cluster"))
        for row in sizes[:12]
    )
    taken = sum(row["in"] - row["kept"] for row in tables[0].rows)
    came = sum(row["in"] for row in tables[0].rows)
    clusters = sum(row["clusters"] for row in sizes)
    part = f"{taken:,} of {came:,} documents ({share(taken, came):.1%})"
    takeaway = f"{part} said what another one says, in {counted(clusters, 'cluster')}."
    return Section("duplicates", "Duplicates", takeaway, tuple(tables), bars=bars)


def quarantine_section(build: Store, entries: Mapping[str, Any]) -> Section:
    import polars as pl

    frame = scan(build, QUARANTINE_FILE)
    restricted = sorted(name for name, entry in entries.items() if entry["card"]["restricted"])
    counts, items = pl.collect_all(
        [
            frame.group_by("reason", "source").agg(pl.len().alias("n")).sort("reason", "source"),
            frame.filter(~pl.col("source").is_in(restricted)).sort("source", "item").head(ITEMS_SHOWN),
        ]
    )
    by_name: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in counts.to_dicts():
        by_name[row["reason"]][row["source"]] = row["n"]
    rows: list[dict[str, Any]] = [
        {"reason": name, "meaning": reason(name).meaning, "all": sum(cells.values()), **cells}
        for name, cells in by_name.items()
    ]
    touched = [name for name in entries if any(name in cells for cells in by_name.values())]
    columns = (
        Column("reason", "reason"), Column("all", "all", "count"),
        *(Column(name, name, "count") for name in touched), Column("meaning", ""),
    )  # fmt: skip
    by_reason = Table("Put aside, by reason", columns, rows)
    shown = Table(
        "What was put aside",
        (Column("source", "source"), Column("item", "item"), Column("reason", "reason"), Column("detail", "why")),
        items.to_dicts(),
        f"The first {ITEMS_SHOWN} of open sources; all are in manifest/quarantine.parquet.",
    )
    total = len(counts) and int(counts["n"].sum())
    takeaway = (
        f"{counted(total, 'item')} could not be read; each is on record with its reason."
        if total
        else "Everything could be read."
    )
    return Section("quarantine", "What could not be read", takeaway, (by_reason, shown) if total else (by_reason,))
