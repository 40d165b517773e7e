"""The checks of mixture.json: every figure against documents, shards and recipe, and every figure within its bound.

Documents are put into their score buckets again, by the score that documents.parquet states and the recipe's edges.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from manifests.books import Books
from manifests.least_rows import PackedLengths
from manifests.padding import padding_bound
from manifests.recount import ShardCounts
from manifests.subsources import parent
from manifests.verify_books import Check, Lies
from manifests.windows import Expectation, WindowDeviations


def mixture_checks(
    books: Books, index: Mapping[str, Any], stated: Mapping[str, Any], table: Mapping[str, Any]
) -> Iterator[Check]:
    """mixture.json: counts, shares and errors as the books, the shards and the recipe (`table`) give them."""
    counts, shares, bound, copies = Lies(), Lies(), Lies(), Lies()
    stored: Mapping[str, int] = index["totals"]["tokens_by_source"]
    total = sum(stored.values())
    rows = {row["source"]: row for row in stated["sources"]}
    counts.compare("sources in order", list(rows), list(index["sources"]))
    for name in sorted(set(books.parts) | set(rows)):
        of, row = books.parts[name], rows.get(name)
        if row is None:
            if of.kept:
                counts.compare(f"{name}: in mixture.json", "nothing", f"{of.kept} documents")
            continue
        for field, counted in (
            ("unique_tokens", of.unique_tokens),
            ("effective_tokens", of.effective_tokens),
            ("documents", of.train_documents),
            ("validation_documents", of.validation_documents),
            ("validation_tokens", of.kept_tokens - of.unique_tokens),
        ):
            counts.compare(f"{name}: {field}", row[field], counted)
        epochs = of.effective_tokens / of.unique_tokens if of.unique_tokens else 0.0
        counts.compare(f"{name}: epochs", float(row["epochs"]), epochs)
        realised = stored.get(name, 0)
        counts.compare(f"{name}: tokens in the shards", realised, of.effective_tokens)
        shares.compare(f"{name}: realised share", float(row["realised_share"]), realised / total if total else 0.0)
        target = float(row["target_share"])
        shares.compare(f"{name}: target share", target, row["target_tokens"] / stated["total_tokens"])
        error = realised - row["target_tokens"]
        bound.compare(f"{name}: error in tokens", row["error_tokens"], error)
        if abs(error) > row["bound_tokens"]:
            bound.found.append(f"{name}: {error:+,} tokens from its target, bound {row['bound_tokens']:,}")
        # The documents of the partial pass are those of one epoch more than whole passes.
        bound.compare(
            f"{name}: bound in tokens",
            row["bound_tokens"],
            max(index["row_tokens"], of.longest.get(row["whole_passes"] + 1, 0)),
        )
        if epochs > row["max_epochs"] + row["bound_tokens"] / max(1, of.unique_tokens):
            bound.found.append(f"{name}: {epochs:.3f} epochs, and max_epochs is {row['max_epochs']}")
        least, most = min(of.longest, default=0), max(of.longest, default=0)
        copies.compare(f"{name}: fewest copies of a document", row["min_copies"], least)
        copies.compare(f"{name}: most copies of a document", row["max_copies"], most)
        if most - least > 1:
            copies.found.append(f"{name}: one document {least} times, another {most} times")
        if of.longest and not row["whole_passes"] <= least <= most <= row["whole_passes"] + 1:
            copies.found.append(f"{name}: {row['whole_passes']} whole passes, and {least} to {most} copies")
    counts.compare("total_tokens", stated["total_tokens"], sum(row["target_tokens"] for row in rows.values()))
    counts.compare("realised_tokens", stated["realised_tokens"], total)
    effective = sum(of.effective_tokens for of in books.parts.values())
    counts.compare("dropped_tokens", stated["dropped_tokens"], effective - total)
    if stated["dropped_tokens"]:
        bound.found.append(f"{stated['dropped_tokens']:,} tokens of kept documents are in no row")
    _compare_groups(shares, rows, stated, table)
    _compare_buckets(shares, books, rows, table)
    yield counts.check("mixture.counts", "unique, effective, epochs and documents as counted")
    yield shares.check("mixture.shares", "target shares as in the recipe, realised shares as in the shards")
    yield bound.check("mixture.bound", "every source within one row or one document of its target")
    yield copies.check("mixture.copies", "copies of two documents of a source differ by at most one")


def row_checks(
    index: Mapping[str, Any],
    counts: ShardCounts,
    stated: Mapping[str, Any],
    lengths: PackedLengths,
    table: Mapping[str, Any],
) -> Iterator[Check]:
    """Rows, padding and windows of mixture.json against the rows of the shards and the lengths of the documents."""
    rows, padding, windows = Lies(), Lies(), Lies()
    tokens = counts.by_source
    schedule = index["schedule"]["rows"]
    largest = counts.windows.largest.tolist() if counts.windows is not None else []
    seen = dict(zip(index["sources"], largest, strict=True))
    for row in stated["sources"]:
        name = row["source"]
        n = counts.rows_by_source[name]
        rows.compare(f"{name}: rows", row["rows"], n)
        rows.compare(f"{name}: rows of the schedule", schedule.get(name), n)
        padding.compare(f"{name}: padding", row["padding"], n * index["row_tokens"] - tokens[name])
        if not -(-tokens[name] // index["row_tokens"]) <= row["least_rows"] <= n:
            padding.found.append(f"{name}: least rows {row['least_rows']:,} of {n:,}")
        timeline = table["sources"][parent(name)].get("pack") == "timeline"
        padding.found += lengths.lies(name, index["row_tokens"], timeline=timeline)
        limit = padding_bound(
            rows=n,
            least_rows=row["least_rows"],
            blocks=row["blocks"],
            unique=row["unique_tokens"],
            stored=tokens[name],
            row_tokens=index["row_tokens"],
            short=row["short"],
        )
        padding.compare(f"{name}: bound of padding", row["padding_bound"], limit)
        if row["padding"] > limit:
            padding.found.append(f"{name}: {row['padding']:,} tokens of padding, bound {limit:,}")
        # To a thousandth of a row: sums of fractions in another order.
        off, bound = row["window_rows_off"], row["window_bound"]
        if abs(off - seen[name]) > 1e-3:
            windows.found.append(f"{name}: {off:.3f} rows off in a window stated, {seen[name]:.3f} counted")
        if seen[name] > bound:
            windows.found.append(f"{name}: {seen[name]:.3f} rows off in a window, bound {bound:.3f}")
    if counts.windows is not None:
        limits = counts.windows.expected.bounds(stated["window_rows"]).tolist()
        for row, limit in zip(stated["sources"], limits, strict=True):
            if abs(row["window_bound"] - limit) > 1e-3:
                windows.found.append(f"{row['source']}: bound {row['window_bound']:.3f} stated, {limit:.3f} allowed")
    windows.compare("window_rows", stated["window_rows"], index["window_rows"])
    yield rows.check("mixture.rows", "rows by source as the shards hold them")
    yield padding.check("mixture.padding", "padding as counted, within its bound")
    yield windows.check("mixture.windows", "every window within its bound of the recipe's shares")


def windows_of(index: Mapping[str, Any], table: Mapping[str, Any]) -> WindowDeviations:
    """What the rows are to be held against: the recipe's shares, for as many rows as the schedule names."""
    names = index["sources"]
    groups = table["mixture"].get("groups", {})
    of = {source: name for name, group in groups.items() for source in group["sources"]}
    part_of = [of.get(parent(name), parent(name)) for name in names]
    rows = [index["schedule"]["rows"][name] for name in names]
    expected = Expectation(rows, part_of, table["mixture"].get("stages", []))
    return WindowDeviations(expected, index["window_rows"])


def _compare_groups(
    lies: Lies, rows: Mapping[str, Mapping[str, Any]], stated: Mapping[str, Any], table: Mapping[str, Any]
) -> None:
    """The groups' target tokens against the recipe's weights, to the rounding of whole tokens."""
    section = table["mixture"]
    for name, group in section.get("groups", {}).items():
        mine = [row for row in rows.values() if parent(row["source"]) in group["sources"]]
        target = sum(row["target_tokens"] for row in mine)
        wanted = _wanted(section, name, mine, stated["total_tokens"])
        if abs(target - wanted) > len(rows):
            lies.found.append(f"{name}: {target:,} target tokens, and the recipe asks for {wanted:,.0f}")


def _wanted(section: Mapping[str, Any], name: str, mine: list[Mapping[str, Any]], total: int) -> float:
    group = section["groups"][name]
    if stages := section.get("stages"):
        return _integral(stages, name) * total
    if "tokens" in group:
        return float(group["tokens"])
    if "epochs" in group:
        return math.fsum(group["epochs"] * row["weight"] * row["unique_tokens"] for row in mine)
    return float(group["share"] / math.fsum(one["share"] for one in section["groups"].values()) * total)


def _integral(stages: list[Mapping[str, Any]], name: str) -> float:
    """A group's share of the whole: the mean of its share at both ends of each stage, times the stage's length."""
    found, begin, before = 0.0, 0.0, 0.0
    for stage in stages:
        share = stage["shares"][name] / math.fsum(stage["shares"].values())
        found += (((before if stage["anneal"] else share) + share) / 2) * (stage["until"] - begin)
        begin, before = stage["until"], share
    return found


def _compare_buckets(lies: Lies, books: Books, rows: Mapping[str, Mapping[str, Any]], table: Mapping[str, Any]) -> None:
    """Target tokens of the buckets of a source against each other: unique tokens times the recipe's weight."""
    for source, section in table["sources"].items():
        buckets = section.get("buckets")
        if not buckets:
            continue
        names = [name for name in rows if parent(name) == source]
        weights = [*buckets["weights"], *([buckets["unscored"]] if "unscored" in buckets else [])]
        sizes = Counter(
            {name: books.parts[name].unique_tokens * weight for name, weight in zip(names, weights, strict=True)}
        )
        target = sum(rows[name]["target_tokens"] for name in names)
        for name, weight in zip(names, weights, strict=True):
            lies.compare(f"{name}: weight", rows[name]["weight"], float(weight))
            wanted = target * sizes[name] / sizes.total()
            if abs(rows[name]["target_tokens"] - wanted) > 1 + len(names):
                lies.found.append(f"{name}: {rows[name]['target_tokens']:,} target tokens, its weight {wanted:,.0f}")
