"""What was asked for and what is stored, side by side, each with the bound it must keep.

A source's realised tokens may miss its target by the larger of one row and the longest document of its partial
pass: documents are never cut to fit a quota. Score buckets are sources of their own here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from manifests.padding import padding_bound
from manifests.windows import Expectation
from mixing.order import WINDOW_TOKENS, window_rows
from mixing.shards import ShardRecord
from pipelines.mixture_recipe import VALIDATION, group_of, stage_tables, subsources
from pipelines.plan import Plan

BOUND_TEXT = (
    "Bound: a source's realised tokens miss the target by at most one row or the longest document of its partial "
    "pass, whichever is larger; a group by the sum of its sources'."
)
_SUMMED = ("documents", "tokens", "rows", "least_rows", "padding", "short")
_PARTIAL = ("rows", "tokens", "least_rows")


def mixture_facts(plan: Plan, records: Sequence[ShardRecord], validation: Sequence[ShardRecord]) -> dict[str, Any]:
    """mixture.json: for each sub-source and group the weights asked for and the tokens stored."""
    planned = plan.folder(plan.weigh()).read_json("mixture.json")
    row_tokens = plan.recipe.mixture.sequence_length + 1
    partial = _partial_passes(plan)
    entries = {entry["source"]: entry for entry in planned["sources"]}
    total = sum(sum(record.tokens.values()) for record in records)
    blocks = {source: _blocks(plan, source) for source in plan.recipe.sources}
    windows = _windows(plan)
    sources: list[dict[str, Any]] = []
    dropped = 0
    for sub in subsources(plan.recipe):
        entry, last = entries[sub.name], partial[sub.name]
        mine = [block[sub.part] for block in blocks[sub.source]]
        whole = {key: sum(block[key] for block in mine) for key in _SUMMED}
        realised = sum(record.tokens.get(sub.name, 0) for record in records)
        rows = whole["rows"] * entry["whole_passes"] + last["rows"]
        least = whole["least_rows"] * entry["whole_passes"] + last["least_rows"]
        row: dict[str, Any] = {
            "source": sub.name,
            "group": entry["part"],
            "weight": sub.weight,
            "documents": whole["documents"],
            "validation_documents": sum(block["validation_documents"] for block in mine),
            "validation_tokens": sum(block["validation_tokens"] for block in mine),
            "unique_tokens": whole["tokens"],
            "epochs": realised / whole["tokens"] if realised else 0.0,
            "max_epochs": entry["max_epochs"],
            "min_copies": last["min_epochs"] if whole["documents"] else 0,
            "max_copies": last["max_epochs"],
            "whole_passes": entry["whole_passes"],
            "effective_tokens": realised,
            "target_tokens": entry["effective_tokens"],
            "target_share": entry["effective_tokens"] / planned["total_tokens"],
            "realised_share": realised / total,
            "error_tokens": realised - entry["effective_tokens"],
            "bound_tokens": max(row_tokens, last["longest"]),
            "rows": rows,
            "least_rows": least,
            "blocks": len(mine) * entry["whole_passes"] + last["blocks"],
            "blocks_per_pass": len(mine),
            "short": 2 * whole["short"] >= whole["documents"],
            "padding": rows * row_tokens - realised,
        }
        keys = ("rows", "least_rows", "blocks", "short")
        row["padding_bound"] = padding_bound(
            **{key: row[key] for key in keys}, unique=whole["tokens"], stored=realised, row_tokens=row_tokens
        )
        dropped += whole["tokens"] * entry["whole_passes"] + last["tokens"] - realised
        sources.append(row)
    layout_rows = [row["rows"] for row in sources]
    window = window_rows(row_tokens)
    bounds = Expectation(layout_rows, group_of(plan.recipe), stage_tables(plan.recipe)).bounds(window)
    for row, bound in zip(sources, bounds.tolist(), strict=True):
        row["window_rows_off"], row["window_bound"] = windows.get(row["source"], 0.0), bound
    return {
        "total_tokens": planned["total_tokens"],
        "realised_tokens": total,
        "dropped_tokens": dropped,
        "row_tokens": row_tokens,
        "sequence_length": row_tokens - 1,
        "window_tokens": WINDOW_TOKENS,
        "window_rows": window,
        "seed": plan.recipe.mixture.seed,
        "bound_text": BOUND_TEXT,
        "sources": sources,
        "groups": _groups(sources, total, planned["total_tokens"]),
    }


def _blocks(plan: Plan, source: str) -> list[dict[str, Any]]:
    facts = plan.folder(plan.tokenize(source)).read_json("stage.json")["facts"]
    return [{part: fact for part, fact in block["parts"].items() if part != VALIDATION} for block in facts]


def _windows(plan: Plan) -> dict[str, float]:
    """The largest deviation of each sub-source's rows in any window, as the tasks of the shards measured it."""
    found: defaultdict[str, float] = defaultdict(float)
    for fact in plan.folder(plan.mix()).read_json("stage.json")["facts"]:
        for name, rows in fact.get("windows", {}).items():
            found[name] = max(found[name], rows)
    return found


def _partial_passes(plan: Plan) -> defaultdict[str, dict[str, int]]:
    none = dict.fromkeys((*_PARTIAL, "longest", "blocks", "max_epochs"), 0) | {"min_epochs": 2**31 - 1}
    found: defaultdict[str, dict[str, int]] = defaultdict(none.copy)
    for fact in plan.folder(plan.fraction()).read_json("stage.json")["facts"]:
        here = found[fact["source"]]
        for key in _PARTIAL:
            here[key] += fact.get(key, 0)
        here["blocks"] += "rows" in fact
        here["longest"] = max(here["longest"], fact["longest"])
        here["min_epochs"] = min(here["min_epochs"], fact["min_epochs"])
        here["max_epochs"] = max(here["max_epochs"], fact["max_epochs"])
    return found


def _groups(sources: Sequence[dict[str, Any]], total: int, target_total: int) -> list[dict[str, Any]]:
    names = list(dict.fromkeys(row["group"] for row in sources))
    if [row["group"] for row in sources] == [row["source"] for row in sources]:
        return []
    groups = []
    for name in names:
        mine = [row for row in sources if row["group"] == name]
        target = sum(row["target_tokens"] for row in mine)
        realised = sum(row["effective_tokens"] for row in mine)
        groups.append(
            {
                "group": name,
                "sources": [row["source"] for row in mine],
                "unique_tokens": sum(row["unique_tokens"] for row in mine),
                "effective_tokens": realised,
                "target_share": target / target_total,
                "realised_share": realised / total,
                "error_tokens": realised - target,
                "bound_tokens": sum(row["bound_tokens"] for row in mine),
            }
        )
    return groups
