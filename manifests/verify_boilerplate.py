"""The checks of boilerplate.parquet: its rows, and what was removed counted again from documents and measures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from manifests.boilerplate import RULE, RemovedLine, boilerplate_rows, removals
from manifests.identity import line_key
from manifests.store import Store
from manifests.verify_books import Check, Lies


def boilerplate_checks(
    build: Store, entries: Mapping[str, Mapping[str, Any]], lines: Sequence[Mapping[str, Any]], *, fast: bool
) -> Iterator[Check]:
    """`entries`: sources.json; `lines`: stages.jsonl; `fast` counts nothing in documents and measures."""
    rows = list(boilerplate_rows(build))
    yield _form(rows)
    yield _privacy(rows, entries)
    yield _stages(rows, entries, lines)
    if not fast:
        yield _removed(build, rows)


def _form(rows: Sequence[Mapping[str, Any]]) -> Check:
    lies = Lies()
    keys = [(row["source"], row["line_hash"]) for row in rows]
    if keys != sorted(set(keys)):
        lies.found.append("rows are not sorted by source and hash, or one is there twice")
    for row in rows:
        name = f"{row['source']} {row['line_hash']}"
        if row["line"]:
            lies.compare(f"{name}: hash", row["line_hash"], f"{line_key(row['line']):016x}")
            lies.compare(f"{name}: characters", row["characters"], len(row["line"]))
        if row["share"] is not None and row["documents_read"]:
            lies.compare(f"{name}: share", row["share"], round(row["documents"] / row["documents_read"], 6))
    return lies.check("boilerplate.lines", "each line has its hash, length and share, and stands there once")


def _privacy(rows: Sequence[Mapping[str, Any]], entries: Mapping[str, Mapping[str, Any]]) -> Check:
    told = [
        f"{row['source']} {row['line_hash']}"
        for row in rows
        if row["line"] and (row["withheld"] or "@" in row["line"] or entries[row["source"]]["card"]["restricted"])
    ]
    return Check("boilerplate.privacy", ok=not told, observed=f"{len(told)} lines told", detail=", ".join(told[:3]),
                 expected="no words of a restricted source, no address")  # fmt: skip


def _stages(
    rows: Sequence[Mapping[str, Any]], entries: Mapping[str, Mapping[str, Any]], lines: Sequence[Mapping[str, Any]]
) -> Check:
    """Against what pass 1 counted while it edited, which includes second records of an id (they left the books)."""
    lies = Lies()
    for line in lines:
        if line["stage"] != "prepare":
            continue
        source, counts = line["source"], line["counts"]
        mine = [row for row in rows if row["source"] == source]
        again = entries.get(source, {}).get("quarantined", {}).get("extract.same_id", 0)
        listed = {f"{RULE}:{row['line_hash']}": row["occurrences"] for row in mine}
        counted = {name: n for name, n in counts.items() if name.startswith(f"{RULE}:")}
        pairs = {"all lines": (sum(listed.values()), counts.get(RULE, 0))}
        pairs |= {name: (listed.get(name, 0), counted.get(name, 0)) for name in sorted({*listed, *counted})}
        for name, (stated, edits) in pairs.items():
            if stated > edits or (stated < edits and not again):
                lies.compare(f"{source}: {name} removed", stated, edits)
    return lies.check("boilerplate.edits", "as many lines removed as pass 1 counted edits, line by line")


def _removed(build: Store, rows: Sequence[Mapping[str, Any]]) -> Check:
    lies = Lies()
    found = removals(build)
    for row in rows:
        name = f"{row['source']} {row['line_hash']}"
        gone = found.lines.pop((row["source"], row["line_hash"]), RemovedLine())
        lies.compare(f"{name}: documents", row["removed_in"], gone.documents)
        lies.compare(f"{name}: occurrences", row["occurrences"], gone.occurrences)
        lies.compare(f"{name}: characters removed", row["characters_removed"], gone.characters)
    lies.found += [f"{source} {hashed} was removed and is not listed" for source, hashed in sorted(found.lines)]
    for source, n in sorted(found.unexplained.items()):
        lies.found.append(f"{source}: {n:,} documents are said to be edited by {RULE} and lost no line, or the reverse")
    return lies.check("boilerplate.removed", "as documents.parquet and measures.parquet say, document by document")
