"""The sides of a build as tables: sources, mixture, licences, drops, identifiers, duplicates, stages.

Each is computed from the manifest alone and never holds a title, a subject or text. Repeats are never counted as data:
unique and effective tokens stand side by side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from manifests.assemble import DOCUMENTS_FILE
from manifests.boilerplate_side import boilerplate_tables
from manifests.build import ACTIVE_STAGES, mixture, sources_in_order, stages
from manifests.licences import LicenceClass, classify
from manifests.query import scan
from manifests.reasons import KEPT, STAGES, reason
from manifests.removed_tables import removed_tables
from manifests.store import Store
from manifests.tables import SMALL_CELL, Column, Table, small_cell, written

if TYPE_CHECKING:
    import polars as pl

LARGEST_CLUSTERS = 10


def documents_with_tokens(build: Store) -> pl.LazyFrame:
    """documents.parquet with `unique` and `effective` tokens of each document."""
    import polars as pl

    tokens = pl.col("n_tokens").fill_null(0)
    trained = pl.col("split") == "train"
    return scan(build, DOCUMENTS_FILE).with_columns(
        unique=pl.when(trained).then(tokens).otherwise(0), effective=tokens * pl.col("epochs")
    )


def sources_tables(build: Store) -> list[Table]:
    """What each source is, and what it gave."""
    import polars as pl

    counted = documents_with_tokens(build).group_by("source").agg(
        pl.len().alias("entered"), (pl.col("fate") == KEPT).sum().alias("kept"), pl.col("unique").sum()
    )  # fmt: skip
    found = {row["source"]: row for row in counted.collect().to_dicts()}
    none = {"entered": 0, "kept": 0, "unique": 0}
    rows = [
        {
            "source": name,
            "publisher": entry["card"]["publisher"],
            "kind": entry["card"]["kind"],
            "licence": entry["card"]["licence"],
            "access": "restricted" if entry["card"]["restricted"] else entry["card"]["access"],
            "items": entry["items"],
            "aside": sum(entry["quarantined"].values()),
            **{key: found.get(name, none)[key] for key in none},
        }
        for name, entry in sources_in_order(build).items()
    ]
    columns = (
        Column("source", "source"), Column("publisher", "publisher"), Column("kind", "kind"),
        Column("licence", "licence"), Column("access", "access"), Column("items", "items", "count"),
        Column("aside", "put aside", "count"), Column("entered", "documents", "count"), Column("kept", "kept", "count"),
        Column("unique", "unique tokens", "count"),
    )  # fmt: skip
    return [Table("Sources", columns, rows)]


def mix_tables(build: Store) -> list[Table]:
    """Target against realised shares, unique tokens against effective ones."""
    mixed = mixture(build)
    numbers = (
        Column("unique_tokens", "unique tokens", "count"),
        Column("epochs", "epochs", "decimal"),
        Column("effective_tokens", "effective tokens", "count"),
        Column("target_share", "target", "share"),
        Column("realised_share", "realised", "share"),
        Column("points", "points", "points"),
        Column("error_tokens", "error", "signed"),
        Column("bound_tokens", "bound", "count"),
    )
    rows = [
        {**row, "points": row["realised_share"] - row["target_share"]}
        for row in sorted(mixed["sources"], key=lambda row: -row["effective_tokens"])
    ]
    held = (Column("documents", "documents", "count"), Column("validation_documents", "held out", "count"))
    tables = [Table("Mixture", (Column("source", "source"), *held, *numbers), rows, mixed.get("bound_text", ""))]
    tables.append(_proofs(mixed, rows))
    if mixed["groups"]:
        groups = [
            {
                **row,
                "sources": ", ".join(row["sources"]),
                "epochs": row["effective_tokens"] / row["unique_tokens"] if row["unique_tokens"] else 0.0,
                "points": row["realised_share"] - row["target_share"],
            }
            for row in mixed["groups"]
        ]
        tables.append(Table("Groups", (Column("group", "group"), *numbers, Column("sources", "sources")), groups))
    return tables


def _proofs(mixed: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Table:
    """Copies, padding and windows, each beside what it may be."""
    columns = (
        Column("source", "source"), Column("min_copies", "copies from", "count"), Column("max_copies", "to", "count"),
        Column("rows", "rows", "count"), Column("padding", "padding", "count"),
        Column("padding_bound", "bound", "count"), Column("window_rows_off", "window off, rows", "decimal"),
        Column("window_bound", "bound", "decimal"),
    )  # fmt: skip
    note = (
        f"Dropped tokens: {mixed['dropped_tokens']:,}. Copies of two documents of a source differ by at most one. "
        f"Padding in tokens, of {mixed['row_tokens']:,} in a row. Window off: the largest difference, in rows, between "
        f"what any rows on end, up to {mixed['window_rows']:,} ({mixed['window_tokens']:,} tokens), hold of a source "
        "and what the recipe's shares give it there."
    )
    return Table("Copies, padding, windows", columns, [dict(row) for row in rows], note)


def licences_tables(build: Store) -> list[Table]:
    """Documents and tokens by licence; the share is of effective tokens, which is what a model sees."""
    import polars as pl

    kept = documents_with_tokens(build).filter(pl.col("fate") == KEPT)
    found = kept.group_by("licence").agg(
        pl.len().alias("documents"), pl.col("unique").sum(), pl.col("effective").sum(), pl.col("restricted").any()
    ).collect().to_dicts()  # fmt: skip
    total = sum(row["effective"] for row in found)
    cards = [entry["card"] for entry in sources_in_order(build).values()]
    # What a card states was read by a person; a document's own licence is judged by its id.
    stated = {card["licence"]: LicenceClass(**card["licence_class"]) for card in cards}
    rows = []
    for row in sorted(found, key=lambda row: (-row["effective"], row["licence"])):
        terms = stated.get(row["licence"]) or classify(row["licence"])
        rows.append(
            {
                **{key: row[key] for key in ("licence", "documents", "unique", "effective")},
                "use": "restricted" if row["restricted"] else terms.use,
                "attribution": "yes" if terms.attribution else "no",
                "share_alike": "yes" if terms.share_alike else "no",
                "share": row["effective"] / total if total else 0.0,
            }
        )
    columns = (
        Column("licence", "licence"), Column("use", "use"), Column("attribution", "attribution"),
        Column("share_alike", "share-alike"), Column("documents", "documents", "count"),
        Column("unique", "unique tokens", "count"), Column("effective", "effective tokens", "count"),
        Column("share", "share", "share"),
    )  # fmt: skip
    return [Table("Licences", columns, rows, "Share: of effective tokens, as a model meets them.")]


def drops_tables(build: Store) -> list[Table]:
    """Dropped documents by reason and source, in the order in which a document meets the stages."""
    import polars as pl

    frame = scan(build, DOCUMENTS_FILE).filter(pl.col("fate") != KEPT)
    found = frame.group_by("fate", "source").agg(pl.len().alias("n")).collect().to_dicts()
    counts = {(row["fate"], row["source"]): row["n"] for row in found}
    restricted = {name: entry["card"]["restricted"] for name, entry in sources_in_order(build).items()}
    names = list(restricted)
    rows = []
    for fate in sorted({fate for fate, _ in counts}, key=_stage_order):
        cells = {
            name: drop_cell(fate, counts[fate, name], restricted=restricted[name])
            for name in names
            if (fate, name) in counts
        }
        told = sum(n for n in cells.values() if isinstance(n, int))
        hidden = len(cells) - sum(isinstance(n, int) for n in cells.values())
        total: int | str = told if not hidden else f">{told:,}" if told else f"<{SMALL_CELL * hidden}"
        rows.append({"reason": fate, **cells, "all": total, "meaning": reason(fate).meaning})
    columns = (
        Column("reason", "reason"), Column("all", "all", "count"), *(Column(name, name, "count") for name in names),
        Column("meaning", "meaning"),
    )  # fmt: skip
    return [Table("Dropped documents", columns, rows)]


def drop_cell(fate: str, n: int, *, restricted: bool) -> int | str:
    """How often `fate` befell a source: told, unless it would say how few of its people an identifier was found."""
    return small_cell(n, restricted=restricted and fate.startswith("phi."))


def _stage_order(fate: str) -> tuple[int, str]:
    stage = fate.split(".", 1)[0]
    order = (*STAGES[:-1], "custom", STAGES[-1])
    return (order.index(stage) if stage in order else len(order), fate)


def phi_tables(build: Store) -> list[Table]:
    """What the identifier check did, by source; counts below 11 of a restricted source are not told."""
    import polars as pl

    frame = scan(build, DOCUMENTS_FILE).filter(pl.col("phi_action") != "")
    found = frame.group_by("source", "phi_action").agg(
        pl.len().alias("n"), (pl.col("phi_count") > 0).sum().alias("hit"), pl.col("phi_count").sum().alias("findings")
    ).collect().to_dicts()  # fmt: skip
    rows = []
    for name, entry in sources_in_order(build).items():
        mine = [row for row in found if row["source"] == name]
        restricted = entry["card"]["restricted"]
        by_action = {row["phi_action"]: row["n"] for row in mine}
        counts = {action: by_action.get(action, 0) for action in ("keep", "flag", "redact", "drop")}
        counts |= {key: sum(row[key] for row in mine) for key in ("hit", "findings")}
        cells = {key: small_cell(int(n), restricted=restricted) for key, n in counts.items()}
        if any(isinstance(cells[action], str) for action in ("flag", "redact", "drop")):
            cells["keep"] = "the rest"  # or the small count could be told by subtraction
        rows.append(
            {"source": name, "policy": entry["card"]["phi_policy"], "checked": sum(row["n"] for row in mine), **cells}
        )
    columns = (
        Column("source", "source"), Column("policy", "policy"), Column("checked", "checked", "count"),
        Column("hit", "with identifiers", "count"), Column("findings", "identifiers", "count"),
        Column("keep", "kept", "count"), Column("flag", "flagged", "count"), Column("redact", "redacted", "count"),
        Column("drop", "dropped", "count"),
    )  # fmt: skip
    note = (
        f"Documents that reached the check. Counts below {SMALL_CELL} of a restricted source are written "
        f"<{SMALL_CELL}; totals of stages are told in full, so that the books close."
    )
    return [Table("Identifiers", columns, rows, note)]


def dedup_tables(build: Store) -> list[Table]:
    """What deduplication took from each source, how large clusters are, and the largest of them."""
    import polars as pl

    lines = [line for line in stages(build) if line["stage"] == "dedup"]
    reasons = sorted({name for line in lines for name in line["dropped"]})
    rows = [
        {"source": line["source"], "in": line["in"], "kept": line["kept"], **line["dropped"]}
        | {"share": 1 - line["kept"] / line["in"] if line["in"] else 0.0}
        for line in lines
    ]
    columns = (
        Column("source", "source"), Column("in", "in", "count"), Column("kept", "kept", "count"),
        *(Column(name, name.removeprefix("dedup."), "count") for name in reasons), Column("share", "taken", "share"),
    )  # fmt: skip
    clustered = scan(build, DOCUMENTS_FILE).filter(pl.col("cluster_key") != "")
    sizes = clustered.group_by("cluster_key").agg(
        pl.col("restricted").any(),
        pl.col("cluster_size").max().alias("size"),
        pl.col("source").unique().sort().str.join(", ").alias("sources"),
        pl.col("doc_id").filter(pl.col("fate") == KEPT).min().alias("kept"),
    )
    histogram = sizes.group_by("size").agg(pl.len().alias("clusters")).sort("size")
    # Ids of restricted documents hold patient keys; the sizes of their clusters are counted above.
    largest = (
        sizes.filter(~pl.col("restricted"))
        .drop("restricted")
        .sort("size", "cluster_key", descending=[True, False])
        .head(LARGEST_CLUSTERS)
    )
    by_size, top = pl.collect_all([histogram, largest])
    size_rows = [{**row, "documents": row["size"] * row["clusters"]} for row in by_size.to_dicts()]
    size_columns = (
        Column("size", "cluster size", "count"),
        Column("clusters", "clusters", "count"),
        Column("documents", "documents", "count"),
    )
    top_columns = (
        Column("cluster_key", "cluster"), Column("size", "documents", "count"), Column("kept", "represented by"),
        Column("sources", "sources"),
    )  # fmt: skip
    return [
        Table("Deduplication", columns, rows),
        Table("Cluster sizes", size_columns, size_rows),
        Table("Largest clusters of open sources", top_columns, top.to_dicts()),
    ]


def stages_tables(build: Store) -> list[Table]:
    """In, kept and dropped of every stage and source."""
    order = {name: number for number, name in enumerate(ACTIVE_STAGES)}
    restricted = {name: entry["card"]["restricted"] for name, entry in sources_in_order(build).items()}

    def most(line: Mapping[str, Any]) -> str:
        cells = [
            (name, drop_cell(name, n, restricted=restricted[line["source"]]))
            for name, n in Counter(line["dropped"]).most_common(3)
        ]
        return ", ".join(f"{name} {written(n, 'count')}" for name, n in cells)

    lines = sorted(stages(build), key=lambda line: order.get(line["stage"], len(order)))
    rows = [
        {
            **{key: line[key] for key in ("stage", "source", "fingerprint", "in", "kept", "tokens")},
            "dropped": sum(line["dropped"].values()),
            "why": most(line),
        }
        for line in lines
    ]
    columns = (
        Column("stage", "stage"), Column("source", "source"), Column("fingerprint", "fingerprint"),
        Column("in", "in", "count"), Column("kept", "kept", "count"), Column("dropped", "dropped", "count"),
        Column("tokens", "tokens", "count"), Column("why", "mostly"),
    )  # fmt: skip
    return [Table("Stages", columns, rows)]


SIDES: dict[str, Any] = {
    "sources": sources_tables,
    "mix": mix_tables,
    "licences": licences_tables,
    "drops": drops_tables,
    "phi": phi_tables,
    "dedup": dedup_tables,
    "removed": removed_tables,
    "stages": stages_tables,
    "boilerplate": boilerplate_tables,
}
"""Name of a side -> function of the build."""
