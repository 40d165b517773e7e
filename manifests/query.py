"""Questions to the tables of a build, lazily: a look-up by id reads one row group, a count reads its columns."""

from __future__ import annotations

import difflib
import io
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from manifests.assemble import DOCUMENTS_FILE, PLACEMENTS_FILE
from manifests.build import INDEX, read_json, sources
from manifests.errors import BuildError, RecipeError
from manifests.reasons import KEPT, REASONS, STAGES
from manifests.store import Store
from manifests.tables import Column, Table, rich_table

if TYPE_CHECKING:
    import polars as pl
    from rich.console import RenderableType

NEIGHBOURS = 200
"""Ids on either side of an unknown one among which the nearest is looked for."""

LIST_COLUMNS = ("doc_id", "source", "fate", "split", "n_tokens", "epochs", "licence", "lang", "year", "title")


def scan(build: Store, path: str) -> pl.LazyFrame:
    """The Parquet file `path` of the build as a lazy frame."""
    import polars as pl

    if not build.exists(path):
        raise BuildError(
            f"{path} is missing.",
            where=build.url,
            why="Questions are answered from it.",
            fix="Run `medtrove build` to its end again: finished stages are not repeated.",
        )
    # Away from the local disk the file is read whole: it is the manifest's, not the shards'.
    return pl.scan_parquet(str(build.local(path)) if build.is_local else io.BytesIO(build.read_bytes(path)))


def document(build: Store, doc_id: str) -> dict[str, Any]:
    """The row of documents.parquet; RecipeError names the nearest ids if there is none."""
    import polars as pl

    rows = scan(build, DOCUMENTS_FILE).filter(pl.col("doc_id") == doc_id).collect().to_dicts()
    if rows:
        found: dict[str, Any] = rows[0]
        return found
    near = nearest_ids(build, doc_id)
    raise RecipeError(
        f"no document called {doc_id!r} entered this build.",
        where=build.url,
        why="A doc_id is <source>:<native id>, as in `medtrove list`.",
        fix=f"Nearest: {', '.join(near)}." if near else "The build has no documents.",
    )


def nearest_ids(build: Store, doc_id: str, n: int = 3) -> list[str]:
    """The ids most like `doc_id`: the same native id under another source, then its neighbours in the table."""
    with build.reading(DOCUMENTS_FILE) as stream:
        file = pq.ParquetFile(stream)
        if not file.metadata.num_rows:
            return []
        source, _, native = doc_id.rpartition(":")
        names = sorted(sources(build))
        tried = [f"{name}:{native}" for name in names]
        found = [wanted for wanted in tried if wanted in _around(file, wanted, 0)]
        likely = difflib.get_close_matches(source, names, n=1)
        around = _around(file, f"{likely[0]}:{native}" if likely else doc_id, NEIGHBOURS)
    close = difflib.get_close_matches(doc_id, around, n=n, cutoff=0.0)
    return list(dict.fromkeys([*found, *close]))[:n]


def _around(file: Any, doc_id: str, n: int) -> list[str]:
    """Ids of the table from `n` before to `n` after the place where `doc_id` would stand."""
    group = 0
    for number in range(file.metadata.num_row_groups):
        statistics = file.metadata.row_group(number).column(0).statistics
        if number and (statistics is None or statistics.min > doc_id):
            break
        group = number
    ids: list[str] = file.read_row_group(group, columns=["doc_id"]).column("doc_id").to_pylist()
    at = sum(1 for one in ids if one < doc_id)
    return ids[max(0, at - n) : at + n + 1]


def list_documents(
    build: Store,
    *,
    source: str | None = None,
    fate: str | None = None,
    shard: int | None = None,
    split: str | None = None,
    lang: str | None = None,
    limit: int = 50,
) -> dict[str, Any]:
    """The first `limit` documents by id that fit, and how many do; `fate`: `kept`, `dropped`, a reason or a stage."""
    import polars as pl

    frame = scan(build, DOCUMENTS_FILE)
    if source is not None:
        _known(source, "source", sorted(sources(build)))
        frame = frame.filter(pl.col("source") == source)
    if fate is not None:
        frame = frame.filter(_fate_filter(fate))
    if split is not None:
        _known(split, "split", ["train", "validation"])
        frame = frame.filter(pl.col("split") == split)
    if lang is not None:
        frame = frame.filter(pl.col("lang") == lang)
    if shard is not None:
        n_shards = len(read_json(build, INDEX)["shards"])
        _known(str(shard), "shard", [str(number) for number in range(n_shards)])
        keys = scan(build, PLACEMENTS_FILE).filter(pl.col("shard") == shard).select(pl.col("doc_key").unique())
        frame = frame.join(keys, on="doc_key", how="semi", maintain_order="left")
    chosen = frame.select(LIST_COLUMNS)
    rows, matching = pl.collect_all([chosen.head(limit), frame.select(pl.len())])
    return {"matching": int(matching.item()), "documents": rows.sort("doc_id").to_dicts()}


def _fate_filter(fate: str) -> Any:
    import polars as pl

    column = pl.col("fate")
    if fate == "dropped":
        return column != KEPT
    if fate in STAGES or fate == "custom":
        return column.str.starts_with(f"{fate}.")
    if fate != KEPT and not fate.startswith(("decontaminate.", "custom.")):
        _known(fate, "fate", [KEPT, "dropped", *STAGES, *REASONS])
    return column == fate


def _known(value: str, what: str, known: list[str]) -> None:
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1)
        few = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
        raise RecipeError(
            f"no {what} called {value!r} here.",
            why=f"There are {few}.",
            fix=f"Did you mean {near[0]!r}?" if near else "Choose one of these.",
        )


def render_documents(found: dict[str, Any]) -> RenderableType:
    """The result of `list_documents` for the terminal."""
    from rich.console import Group
    from rich.text import Text

    rows, matching = found["documents"], found["matching"]
    columns = (
        Column("doc_id", "document"),
        Column("fate", "fate"),
        Column("split", "split"),
        Column("n_tokens", "tokens", "count"),
        Column("epochs", "epochs", "count"),
        Column("licence", "licence"),
        Column("lang", "lang"),
        Column("year", "year"),
        Column("title", "title"),
    )
    shown = f"{len(rows):,} of {matching:,} documents" if len(rows) < matching else f"{matching:,} documents"
    return Group(rich_table(Table("", columns, rows)), Text(shown, style="dim"))
