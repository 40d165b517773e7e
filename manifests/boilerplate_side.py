"""What boilerplate took from the sources of a build: for `medtrove show boilerplate`, `explain` and the report."""

from __future__ import annotations

from collections import Counter
from typing import Any

from manifests.assemble import DOCUMENTS_FILE
from manifests.boilerplate import CHARACTERS_MEASURE, LINES_MEASURE, RULE, boilerplate_rows, removals
from manifests.build import recipe, rules_of, sources_in_order
from manifests.query import scan
from manifests.report_parts import Bar, Section, share
from manifests.store import Store
from manifests.tables import Column, Table, counted, small_cell

LINES_SHOWN = 20

WITHHELD = {
    "restricted": "(text under an agreement: not told)",
    "person": "(may name a person: not told)",
    "not told": "(its file has no words)",
}


def boilerplate_tables(build: Store, source: str = "") -> list[Table]:
    """By source what left, and the lines that took the most; `source` narrows both."""
    import polars as pl

    rows = [row for row in boilerplate_rows(build) if source in ("", row["source"])]
    restricted = {name: entry["card"]["restricted"] for name, entry in sources_in_order(build).items()}
    frame = scan(build, DOCUMENTS_FILE).group_by("source").agg(pl.col("n_chars_raw").sum(), pl.len().alias("entered"))
    extracted = {row["source"]: row for row in frame.collect().to_dicts()}
    none = {"entered": 0, "n_chars_raw": 0}
    edited = removals(build).edited if rows else Counter[str]()
    by_source = []
    table = recipe(build)
    for name in restricted:
        if source not in ("", name) or RULE not in (rule for rule, _ in rules_of(table, name)):
            continue
        mine = [row for row in rows if row["source"] == name]
        characters = sum(row["characters_removed"] for row in mine)
        by_source.append(
            {
                "source": name,
                "lines": len(mine),
                "documents": small_cell(edited[name], restricted=restricted[name]),
                "entered": extracted.get(name, none)["entered"],
                "occurrences": sum(row["occurrences"] for row in mine),
                "characters": characters,
                "share": share(characters, extracted.get(name, none)["n_chars_raw"]),
            }
        )
    top = sorted(rows, key=lambda row: (-row["characters_removed"], row["source"], row["line_hash"]))[:LINES_SHOWN]
    told = [
        {
            **row,
            "removed_in": small_cell(row["removed_in"], restricted=restricted[row["source"]]),
            "line": row["line"] or WITHHELD[row["withheld"]],
        }
        for row in top
    ]
    left = len(rows) - len(top)
    more = f"{counted(left, 'more line')} in manifest/boilerplate.parquet." if left else ""
    source_columns = (
        Column("source", "source"), Column("lines", "lines", "count"), Column("documents", "documents cut", "count"),
        Column("entered", "of", "count"), Column("occurrences", "times", "count"),
        Column("characters", "characters removed", "count"), Column("share", "of all extracted", "share"),
    )  # fmt: skip
    line_columns = (
        Column("source", "source"), Column("share", "held by", "share"), Column("removed_in", "removed in", "count"),
        Column("characters_removed", "characters", "count"), Column("kind", "kind"), Column("line", "line"),
    )  # fmt: skip
    note = "" if by_source else f"No source of this build met the rule {RULE}."
    return [
        Table("Boilerplate by source", source_columns, by_source, note),
        Table("Lines that took the most", line_columns, told, more),
    ]


def boilerplate_section(build: Store) -> Section | None:
    """The section of the report; None for a build without lists of lines."""
    tables = boilerplate_tables(build)
    rows = tables[0].rows
    if not rows:
        return None
    most = max((row["share"] for row in rows), default=0.0)
    bars = tuple(
        Bar(
            row["source"],
            ((-1, share(row["share"], most) * 100, ""),),
            f"{counted(row['characters'], 'character')}, {row['share']:.2%} of what was extracted",
        )
        for row in rows
    )
    lines, characters = sum(row["lines"] for row in rows), sum(row["characters"] for row in rows)
    worst = max(rows, key=lambda row: (row["share"], row["source"]))["source"]
    takeaway = (
        f"{counted(lines, 'repeated line')} of {counted(len(rows), 'source')} took {counted(characters, 'character')} "
        f"with them, the largest share from {worst}."
        if lines
        else f"No line was learnt: {counted(len(rows), 'source')} repeated none often enough that may leave."
    )
    note = "A line with a number, comparator, unit, dose word or clinical negation is never removed, however frequent."
    return Section("boilerplate", "Boilerplate", takeaway, tuple(tables), bars=bars, note=note)


def removed_lines(build: Store, source: str, measures: dict[str, dict[str, float]]) -> dict[str, Any] | None:
    """Which lines a document lost, by its measures, whose entries of single lines are taken out; None if it lost none.

    Lines of restricted sources, and such as may name a person, are told by hash alone.
    """
    own = measures.get(RULE, {})
    lines = {
        name.removeprefix(LINES_MEASURE): int(own.pop(name)) for name in list(own) if name.startswith(LINES_MEASURE)
    }
    characters = sum(int(own.pop(name)) for name in list(own) if name.startswith(CHARACTERS_MEASURE))
    if not lines:
        return None
    words = {row["line_hash"]: row["line"] for row in boilerplate_rows(build) if row["source"] == source}
    which = [{"hash": hashed, "times": n, "line": words.get(hashed, "")} for hashed, n in sorted(lines.items())]
    return {"lines": sum(lines.values()), "characters": characters, "which": which}
