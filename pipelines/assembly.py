"""The last step: the books of all stages become one manifest, `corpus.json` last."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.boilerplate import read_lines_file
from manifests.assemble import assemble_documents, assemble_measures, assemble_placements, assemble_quarantine
from manifests.boilerplate import assemble_boilerplate
from manifests.identity import canonical_json, fingerprint
from manifests.merge import PartFile
from manifests.reasons import KEPT
from manifests.removed import SourceRemoved, count_removed
from manifests.schema import SCHEMA_VERSION
from manifests.store import Store
from manifests.subsources import parent
from manifests.write import CORPUS, write_digests, write_lines
from mixing.shards import ShardRecord, write_folder_files
from pipelines.mixture_facts import mixture_facts
from pipelines.mixture_recipe import VALIDATION
from pipelines.passes import encoder, layout_of, lines_files, merged_away
from pipelines.plan import Plan
from pipelines.resolved import RECIPE, resolved_recipe


def assembled(plan: Plan) -> bool:
    """True when the build stands: its files as corpus.json has them, its manifest of this very recipe."""
    build = plan.build
    if not build.exists(CORPUS) or not plan.manifest_holds():
        return False
    sizes: Mapping[str, int] = build.read_json(CORPUS)["files"]
    return all(build.exists(name) and build.size(name) == size for name, size in sizes.items())


def assemble(plan: Plan, *, run_facts: Callable[[], dict[str, Any]]) -> bool:
    """Write the manifest of a build whose stages are finished; False, and nothing done, if it stands."""
    if assembled(plan):
        plan.out.write_bytes("latest", (plan.build_path + "\n").encode())
        return False
    build = plan.build
    build.remove(CORPUS)
    records, validation = write_indexes(plan)
    assemble_documents(
        document_parts(plan, "documents"),
        [PartFile(plan.folder(plan.dedup()), "resolution.parquet")],
        _counted_parts(plan),
        build,
    )
    assemble_measures(document_parts(plan, "measures"), build)
    assemble_boilerplate(_listed_lines(plan), build)
    mixed = plan.folder(plan.mix())
    assemble_placements([PartFile(mixed, path) for path in mixed.files("placements")], build)
    assemble_quarantine(_quarantine_parts(plan), build)
    lines = stage_lines(plan, records, count_removed(build))
    write_lines(build, "manifest/stages.jsonl", lines)
    build.write_json("manifest/sources.json", source_facts(plan))
    mixture = mixture_facts(plan, records, validation)
    build.write_json("manifest/mixture.json", mixture)
    build.write_bytes(RECIPE, resolved_recipe(plan.recipe).encode())
    build.write_json("manifest/shards.json", build.read_json("shards/index.json")["shards"])
    write_lines(build, "manifest/run.jsonl", [*_earlier_runs(build), run_facts()])
    known = {f"shards/{record.file}": record.sha256 for record in records}
    known |= {f"validation/{record.file}": record.sha256 for record in validation}
    write_digests(build, known)
    build.write_json(CORPUS, corpus_facts(plan, lines, mixture))
    plan.out.write_bytes("latest", (plan.build_path + "\n").encode())
    return True


def write_indexes(plan: Plan) -> tuple[list[ShardRecord], list[ShardRecord]]:
    """The index files of shards and validation rows, from what the tasks recorded."""
    facts = plan.folder(plan.mix()).read_json("stage.json")["facts"]
    records = [ShardRecord(**fact["record"]) for fact in facts]
    layout, tokenizer = layout_of(plan), encoder(plan).describe()
    shards, validation = records[: layout.n_shards], records[layout.n_shards :]
    for name, split, found in (("shards", "train", shards), ("validation", "validation", validation)):
        write_folder_files(
            plan.build.sub(name),
            found,
            sources=layout.names if split == "train" else list(plan.recipe.sources),
            sequence_length=plan.recipe.mixture.sequence_length,
            dtype=layout.dtype,
            tokenizer=tokenizer,
            schedule=layout.describe() if split == "train" else {"kind": "by source"},
            restricted=plan.restricted,
            split=split,
        )
    return shards, validation


def document_parts(plan: Plan, kind: str) -> list[PartFile]:
    """Part files of `documents` or `measures` of all sources, without second records of an id."""
    parts = []
    again = pq.read_table(plan.folder(plan.dedup()).reading("same_id.parquet"))
    for source in plan.recipe.sources:
        prepared = plan.folder(plan.prepare(source))
        mine = again.filter(pc.equal(again["source"], source))
        for path in prepared.files(kind):
            here = mine.filter(pc.equal(mine["part"], path.removeprefix(f"{kind}/")))
            parts.append(PartFile(prepared, path, frozenset(here["doc_id"].to_pylist())))
    return parts


def _listed_lines(plan: Plan) -> dict[str, list[Any]]:
    """The files of boilerplate lines of each source that meets some."""
    found = {source: [read_lines_file(path) for path in lines_files(plan, source)] for source in plan.recipe.sources}
    return {source: files for source, files in found.items() if files}


def _counted_parts(plan: Plan) -> list[PartFile]:
    folder = plan.folder(plan.fraction())
    return [PartFile(folder, path) for path in folder.files("counted")]


def _quarantine_parts(plan: Plan) -> list[PartFile]:
    parts = [PartFile(plan.folder(plan.dedup()), "quarantine.parquet")]
    for source in plan.recipe.sources:
        prepared = plan.folder(plan.prepare(source))
        parts.extend(PartFile(prepared, path) for path in prepared.files("quarantine"))
    return parts


def prepare_facts(plan: Plan, source: str) -> list[dict[str, Any]]:
    """What the tasks of pass 1 counted."""
    facts: list[dict[str, Any]] = plan.folder(plan.prepare(source)).read_json("stage.json")["facts"]
    return facts


def summed(facts: list[dict[str, Any]], key: str) -> dict[str, int]:
    """A counter of all tasks together."""
    total: Counter[str] = Counter()
    for fact in facts:
        total.update(fact[key])
    return dict(sorted(total.items()))


def stage_lines(
    plan: Plan, records: list[ShardRecord], removed: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """One line for each stage and source: in = kept + dropped by reason; in the first, what cleaning `removed`."""
    dedup = plan.folder(plan.dedup())
    resolution = pq.read_table(dedup.reading("resolution.parquet"), columns=["source", "fate"])
    again = pq.read_table(dedup.reading("same_id.parquet"))
    lines = []
    for source in plan.recipe.sources:
        facts = prepare_facts(plan, source)
        fates = Counter(summed(facts, "fates"))
        # Second records of an id in another task: they left before the books were closed.
        fates.subtract(again.filter(pc.equal(again["source"], source))["fate"].to_pylist())
        first = _line(plan, "prepare", source, fates, edited=summed(facts, "edits"), counts=summed(facts, "counts"))
        lines.append({**first, "removed": removed.get(source, SourceRemoved().as_dict())})
        mine = Counter(resolution.filter(pc.equal(resolution["source"], source))["fate"].to_pylist())
        lines.append(_line(plan, "dedup", source, mine))
        blocks = plan.folder(plan.tokenize(source)).read_json("stage.json")["facts"]
        parts = [part for block in blocks for part in block["parts"].values()]
        documents, tokens = (sum(part[key] for part in parts) for key in ("documents", "tokens"))
        lines.append(_line(plan, "tokenize", source, Counter({KEPT: documents}), tokens=tokens))
        out = sum(block["parts"][VALIDATION]["documents"] for block in blocks)
        mixed = sum(n for record in records for name, n in record.tokens.items() if parent(name) == source)
        lines.append(
            _line(plan, "mix", source, Counter({KEPT: documents}), tokens=mixed, counts={"validation_documents": out})
        )
    return lines


def _line(
    plan: Plan,
    stage: str,
    source: str,
    fates: Counter[str],
    *,
    tokens: int | None = None,
    edited: Mapping[str, int] | None = None,
    counts: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    made = {"prepare": plan.prepare, "tokenize": plan.tokenize}
    planned = made[stage](source) if stage in made else {"dedup": plan.dedup, "mix": plan.mix}[stage]()
    return {
        "stage": stage,
        "source": source,
        "fingerprint": planned.fingerprint,
        "in": sum(fates.values()),
        "kept": fates[KEPT],
        "dropped": {reason: n for reason, n in sorted(fates.items()) if reason != KEPT and n},
        "edited": dict(edited or {}),
        "counts": dict(counts or {}),
        "tokens": tokens,
    }


def source_facts(plan: Plan) -> dict[str, Any]:
    """Cards as used, snapshots, and what became of every item."""
    found = {}
    again = pq.read_table(plan.folder(plan.dedup()).reading("same_id.parquet"))
    for source, card in plan.cards.items():
        snapshot = plan.raw(source).read_json("snapshot.json")
        facts = prepare_facts(plan, source)
        quarantined = Counter(summed(facts, "quarantined"))
        quarantined["extract.same_id"] += len(again.filter(pc.equal(again["source"], source)))
        found[source] = {
            "card": card.as_dict(),
            "permission": plan.recipe.sources[source].permission,
            "snapshot": snapshot["snapshot"],
            "digest": snapshot["digest"],
            "items": snapshot["items"],
            "items_gave_documents": sum(fact["items_with_documents"] for fact in facts),
            "merged_away": merged_away(plan, source),
            "quarantined": {reason: n for reason, n in sorted(quarantined.items()) if n},
            "counts": snapshot.get("counts", {}),
        }
    return found


def corpus_facts(plan: Plan, lines: list[dict[str, Any]], mixture: dict[str, Any]) -> dict[str, Any]:
    """corpus.json: the build on one page, written last."""
    build = plan.build
    first = [line for line in lines if line["stage"] == "prepare"]
    last = [line for line in lines if line["stage"] == "mix"]
    dropped: Counter[str] = Counter()
    for line in lines:
        dropped.update(line["dropped"])
    index = build.read_json("shards/index.json")
    quarantined = pq.read_metadata(build.reading("manifest/quarantine.parquet")).num_rows
    return {
        "name": plan.recipe.name,
        "schema": SCHEMA_VERSION,
        "fingerprint": plan.build_fingerprint,
        "recipe_sha256": build.sha256("manifest/recipe.toml"),
        "restricted": plan.restricted,
        "tokenizer": index["tokenizer"],
        "totals": {
            "documents_in": sum(line["in"] for line in first),
            "documents_kept": sum(line["kept"] for line in last),
            "dropped": dict(sorted(dropped.items())),
            "quarantined": quarantined,
            "tokens_unique": sum(row["unique_tokens"] for row in mixture["sources"]),
            "tokens_effective": index["totals"]["tokens"],
            "rows": index["totals"]["rows"],
        },
        "shares": [
            {key: row[key] for key in ("source", "target_share", "realised_share")} for row in mixture["sources"]
        ],
        "digests": {
            name: build.sha256(f"manifest/{name}")
            for name in (
                "documents.parquet",
                "measures.parquet",
                "placements.parquet",
                "quarantine.parquet",
                "boilerplate.parquet",
            )
        },
        "manifest_sha256": build.sha256("manifest/manifest-sha256.txt"),
        "files": {
            name: build.size(name)
            for name in build.files()
            if name not in (CORPUS, "report.html", "manifest/run.jsonl")
        },
    }


def _earlier_runs(build: Store) -> list[dict[str, Any]]:
    if not build.exists("manifest/run.jsonl"):
        return []
    return [json.loads(line) for line in build.read_bytes("manifest/run.jsonl").decode().splitlines()]


def run_record(plan: Plan, *, started: str, seconds: float, peak_bytes: int, workers: int) -> dict[str, Any]:
    """One line of run.jsonl: what is true of this run and of no other."""
    return {
        "started": started,
        "seconds": round(seconds, 1),
        "peak_bytes": peak_bytes,
        "workers": workers,
        "host": platform.node(),
        "python": platform.python_version(),
        "medtrove": metadata.version("medtrove"),
        "cores": os.cpu_count(),
        "recipe_folder": str(plan.base),
        "recipe_digest": fingerprint(canonical_json(plan.recipe.model_dump(mode="json"))),
    }
