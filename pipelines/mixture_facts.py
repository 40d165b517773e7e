"""Target and realised shares side by side, each with the bound it must keep.

A source's realised tokens may miss its target by the larger of one row and the longest document of its partial
pass: documents are never cut to fit a quota.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from mixing.shards import ShardRecord
from pipelines.plan import Plan

BOUND_TEXT = (
    "Bound: a source's realised tokens miss the target by at most one row or the longest document of its partial "
    "pass, whichever is larger; a group by the sum of its sources'."
)


def mixture_facts(plan: Plan, records: Sequence[ShardRecord], validation: Sequence[ShardRecord]) -> dict[str, Any]:
    """mixture.json: for each source and group the weights asked for and the tokens stored."""
    planned = plan.folder(plan.weigh()).read_json("mixture.json")
    row_tokens = plan.recipe.mixture.sequence_length + 1
    partial = _partial_passes(plan)
    total = sum(sum(record.tokens.values()) for record in records)
    sources = []
    for entry in planned["sources"]:
        source = entry["source"]
        realised = sum(record.tokens.get(source, 0) for record in records)
        blocks = plan.folder(plan.tokenize(source)).read_json("stage.json")["facts"]
        rows = sum(block["train"]["rows"] for block in blocks) * entry["whole_passes"] + partial[source]["rows"]
        least = sum(block["train"]["least_rows"] for block in blocks) * entry["whole_passes"]
        least += partial[source]["least_rows"]
        sources.append(
            {
                "source": source,
                "group": entry["part"],
                "documents": entry["unique_documents"],
                "validation_documents": sum(block["validation"]["documents"] for block in blocks),
                "validation_tokens": sum(record.tokens.get(source, 0) for record in validation),
                "unique_tokens": entry["unique_tokens"],
                "epochs": realised / entry["unique_tokens"] if realised else 0.0,
                "max_epochs": entry["max_epochs"],
                "whole_passes": entry["whole_passes"],
                "effective_tokens": realised,
                "target_tokens": entry["effective_tokens"],
                "target_share": entry["effective_tokens"] / planned["total_tokens"],
                "realised_share": realised / total,
                "error_tokens": realised - entry["effective_tokens"],
                "bound_tokens": max(row_tokens, partial[source]["longest"]),
                "rows": rows,
                "least_rows": least,
                "padding": rows * row_tokens - realised,
            }
        )
    return {
        "total_tokens": planned["total_tokens"],
        "realised_tokens": total,
        "row_tokens": row_tokens,
        "sequence_length": row_tokens - 1,
        "seed": plan.recipe.mixture.seed,
        "bound_text": BOUND_TEXT,
        "sources": sources,
        "groups": _groups(sources, total, planned["total_tokens"]),
    }


def _partial_passes(plan: Plan) -> defaultdict[str, dict[str, int]]:
    found: defaultdict[str, dict[str, int]] = defaultdict(lambda: {"rows": 0, "least_rows": 0, "longest": 0})
    for fact in plan.folder(plan.fraction()).read_json("stage.json")["facts"]:
        here = found[fact["source"]]
        here["rows"] += fact.get("rows", 0)
        here["least_rows"] += fact.get("least_rows", 0)
        here["longest"] = max(here["longest"], fact["longest"])
    return found


def _groups(sources: Sequence[dict[str, Any]], total: int, target_total: int) -> list[dict[str, Any]]:
    names = list(dict.fromkeys(row["group"] for row in sources))
    if all(name == row["source"] for name, row in zip(names, sources, strict=False)):
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
