"""The whole life of one document on one screen: where it came from, what each rule saw, where it is now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from manifests.assemble import DOCUMENTS_FILE, MEASURES_FILE, PLACEMENTS_FILE
from manifests.boilerplate_side import removed_lines
from manifests.build import recipe, rules_of, sources
from manifests.query import document, scan
from manifests.reasons import KEPT, reason
from manifests.store import Store
from manifests.tables import counted

if TYPE_CHECKING:
    from rich.console import RenderableType

PLACES_SHOWN = 5
MEMBERS_SHOWN = 8
LINES_SHOWN = 8


def explain(build: Store, doc_id: str) -> dict[str, Any]:
    """Everything the manifest knows of `doc_id`, as plain values; RecipeError names the nearest if it is unknown."""
    row = document(build, doc_id)
    entry = sources(build)[row["source"]]
    cluster = _cluster(build, row)
    measures = _measures(build, doc_id)
    boilerplate = removed_lines(build, row["source"], measures)
    return {
        "doc_id": doc_id,
        "source": {
            "id": row["source"],
            **{key: entry["card"][key] for key in ("title", "publisher", "terms_url")},
            "snapshot": entry["snapshot"],
        },
        "document": {
            key: row[key]
            for key in (
                "kind", "title", "url", "licence", "licence_evidence", "lang", "year", "pmid", "pmcid", "doi",
                "document_status", "restricted", "raw_ref", "text_hash", "n_chars_raw", "n_chars", "score",
            )
        },
        **{key: row[key] for key in ("fate", "fate_value", "fate_threshold")},
        "sentence": _sentence(row, cluster),
        "rules": _rules(build, row, measures),
        "boilerplate": boilerplate,
        "cluster": cluster,
        "phi": {"action": row["phi_action"], "identifiers": row["phi_count"]},
        "training": _training(build, row),
    }  # fmt: skip


def _sentence(row: Mapping[str, Any], cluster: Mapping[str, Any] | None) -> str:
    if row["fate"] == KEPT:
        if row["split"] == "validation":
            return "Kept, and held out for validation."
        times = "in no pass of this mixture" if not row["epochs"] else f"{row['epochs']} times"
        return f"Kept, and in the training shards {'once' if row['epochs'] == 1 else times}."
    known = reason(row["fate"])
    meaning = known.meaning.rstrip(".")
    if row["fate_value"] is not None:
        limit = "" if row["fate_threshold"] is None else f", threshold {row['fate_threshold']:g}"
        meaning += f" ({row['fate_value']:.4g}{limit})"
    words = [f"Dropped at {known.stage}: {meaning}."]
    if known.stage == "dedup" and cluster:
        kept = cluster["representative"]
        words.append(f"{kept} stands for the cluster of {cluster['size']}." if kept else "None of its cluster stayed.")
    return " ".join(words)


def _measures(build: Store, doc_id: str) -> dict[str, dict[str, float]]:
    """Rule -> measure -> value."""
    import polars as pl

    found = scan(build, MEASURES_FILE).filter(pl.col("doc_id") == doc_id).sort("rule", "measure").collect()
    measures: dict[str, dict[str, float]] = {}
    for one in found.to_dicts():
        measures.setdefault(one["rule"], {})[one["measure"]] = one["value"]
    return measures


def _rules(build: Store, row: Mapping[str, Any], measures: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Each rule of the recipe, in order, as this document met it."""
    edited = set(filter(None, row["edits"].split(",")))
    rules = rules_of(recipe(build), row["source"])
    dropped_by = _dropping_rule([name for name, _ in rules], row["fate"], measures)
    met: list[dict[str, Any]] = []
    over = row["fate"].startswith("extract.")
    for name, parameters in rules:
        outcome = "not reached" if over else "edited" if name in edited else "passed"
        if name == dropped_by:
            outcome, over = "dropped", True
        met.append({"rule": name, "outcome": outcome, "measures": measures.pop(name, {}), "parameters": parameters})
    # What was measured under a name the recipe does not have is still told.
    met += [{"rule": name, "outcome": "", "measures": one, "parameters": {}} for name, one in measures.items()]
    return met


def _dropping_rule(names: Sequence[str], fate: str, measures: Mapping[str, Any]) -> str:
    """The rule that gave `fate`: of its stage, the last that measured the document, else the first."""
    stage = fate.split(".", 1)[0]
    own = [name for name in names if name.split(".", 1)[0] == stage or (stage == "custom" and ":" in name)]
    measured = [name for name in own if name in measures]
    return measured[-1] if measured else own[0] if own else ""


def _cluster(build: Store, row: Mapping[str, Any]) -> dict[str, Any] | None:
    import polars as pl

    if not row["cluster_key"]:
        return None
    members = (
        scan(build, DOCUMENTS_FILE)
        .filter(pl.col("cluster_key") == row["cluster_key"])
        .select("doc_id", "source", "fate", "n_chars")
        .sort("doc_id")
        .collect()
        .to_dicts()
    )
    kept = [member["doc_id"] for member in members if member["fate"] == KEPT]
    return {
        "key": row["cluster_key"],
        "size": row["cluster_size"],
        "representative": kept[0] if kept else "",
        "members": members,
    }


def _training(build: Store, row: Mapping[str, Any]) -> dict[str, Any]:
    import polars as pl

    places: list[dict[str, Any]] = []
    if row["epochs"]:
        key = pl.lit(row["doc_key"], dtype=pl.UInt64)
        frame = scan(build, PLACEMENTS_FILE).filter(pl.col("doc_key") == key).drop("doc_key")
        places = frame.sort("epoch", "shard", "row", "start").collect().to_dicts()
    return {
        "split": row["split"],
        "n_tokens": row["n_tokens"],
        "epochs": row["epochs"],
        "stored_tokens": (row["n_tokens"] or 0) * row["epochs"],
        "n_placements": len(places),
        "placements": places[:PLACES_SHOWN],
    }


def render_explain(found: Mapping[str, Any]) -> RenderableType:
    """The result of `explain` for the terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    for label, lines in _lines(found):
        if lines:
            grid.add_row(label, Text("\n".join(lines)))
    return Group(Text(found["doc_id"], style="bold"), grid)


def _lines(found: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    document, source = found["document"], found["source"]
    ids = [
        f"{name} {document[key]}" for name, key in (("PMID", "pmid"), ("", "pmcid"), ("doi", "doi")) if document[key]
    ]
    facts = [document["kind"], document["lang"], str(document["year"] or ""), *(one.strip() for one in ids)]
    if document["document_status"] != "current":
        facts.append(document["document_status"])
    length = f"{document['n_chars_raw']:,} characters as extracted, {document['n_chars']:,} in the end"
    return [
        ("fate", [found["sentence"]]),
        ("title", [document["title"]] if document["title"] else []),
        ("document", [", ".join(filter(None, facts)), length]),
        ("source", [f"{source['title']} ({source['publisher']}), snapshot {source['snapshot']}"]),
        ("licence", [f"{document['licence']}, read from {document['licence_evidence'] or 'nothing'}"]),
        ("address", [document["url"]] if document["url"] else []),
        ("payload", [f"sha256 {document['raw_ref']}"] if document["raw_ref"] else []),
        ("rules", [_rule_line(rule) for rule in found["rules"]]),
        ("boilerplate", _boilerplate_lines(found["boilerplate"])),
        ("identifiers", [_phi_line(found["phi"])] if found["phi"]["action"] else []),
        ("duplicates", _cluster_lines(found)),
        ("training", _training_lines(found["training"])),
        ("access", ["restricted: its text is under an agreement"] if document["restricted"] else []),
    ]


def _rule_line(rule: Mapping[str, Any]) -> str:
    measures = ", ".join(f"{name} {value:.4g}" for name, value in rule["measures"].items())
    limits = ", ".join(f"{name} = {value}" for name, value in rule["parameters"].items() if not isinstance(value, dict))
    told = "; ".join(filter(None, (measures, f"recipe: {limits}" if limits else "")))
    return f"{rule['rule']:<22} {rule['outcome']:<11} {told}".rstrip()


def _boilerplate_lines(removed: Mapping[str, Any] | None) -> list[str]:
    if removed is None:
        return []
    told = [f"  {one['times']} x {one['line'] or one['hash'] + ' (words not told)'}" for one in removed["which"]]
    left = len(told) - LINES_SHOWN
    more = [f"  and {counted(left, 'more line')}"] if left > 0 else []
    size = counted(removed["characters"], "character")
    return [f"{counted(removed['lines'], 'line')} removed, {size}", *told[:LINES_SHOWN], *more]


def _phi_line(phi: Mapping[str, Any]) -> str:
    return f"{phi['action']}: {counted(phi['identifiers'], 'identifier')} found"


def _cluster_lines(found: Mapping[str, Any]) -> list[str]:
    cluster = found["cluster"]
    if cluster is None:
        return ["none: no other document says the same"] if found["fate"] == KEPT else []
    lines = [f"cluster of {cluster['size']}, represented by {cluster['representative'] or 'none'}"]
    for member in cluster["members"][:MEMBERS_SHOWN]:
        own = " (this document)" if member["doc_id"] == found["doc_id"] else ""
        lines.append(f"  {member['doc_id']}  {member['fate']}  {member['n_chars']:,} characters{own}")
    left = len(cluster["members"]) - MEMBERS_SHOWN
    return [*lines, f"  and {left:,} more"] if left > 0 else lines


def _training_lines(training: Mapping[str, Any]) -> list[str]:
    if not training["split"]:
        return []
    tokens = training["n_tokens"] or 0
    if training["split"] == "validation":
        return [f"validation: {tokens:,} tokens, in no training shard"]
    lines = [f"{tokens:,} tokens x {counted(training['epochs'], 'epoch')} = {training['stored_tokens']:,} stored"]
    for place in training["placements"]:
        lines.append(
            f"  epoch {place['epoch']}: shard {place['shard']}, row {place['row']}, "
            f"tokens {place['start']} to {place['start'] + place['length'] - 1}"
        )
    left = training["n_placements"] - len(training["placements"])
    return [*lines, f"  and {counted(left, 'more place')}"] if left > 0 else lines
