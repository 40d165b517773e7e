"""What a model card says of the data and the run: from the build's manifest and the run's books alone."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from train.ledger import CONSUMED
from train.metrics import METRICS, read_metrics
from train.trained import Trained


@dataclass(slots=True)
class DataFacts:
    """Of the build a run was trained on; counts are of training tokens, repeats included."""

    build: str = ""
    manifest_sha256: str = ""
    tokens: dict[str, int] = field(default_factory=dict)
    """By source."""
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Title, publisher and whether restricted, of the sources' cards."""
    licences: dict[str, int] = field(default_factory=dict)
    """Tokens by the documents' licences."""
    languages: list[str] = field(default_factory=list)
    newest_year: int | None = None
    undated: int = 0
    """Tokens of documents without a year."""
    decontaminated: list[str] = field(default_factory=list)
    """Benchmarks whose items were looked for: names of their index files."""
    removed: dict[str, int] = field(default_factory=dict)
    """Documents removed because they hold items of a benchmark, by benchmark."""


def data_facts(trained: Trained) -> DataFacts:
    """Facts of the run's data; without their manifest, what the shards or the run's books count."""
    if trained.shards is None:
        return DataFacts(tokens=_planned(trained.run))
    found = DataFacts(tokens={n: t for n, t in trained.shards.index["totals"]["tokens_by_source"].items() if t})
    build = trained.shards.folder.parent
    corpus, manifest = build / "corpus.json", build / "manifest"
    if not corpus.is_file():
        return found
    known = json.loads(corpus.read_bytes())
    found.build, found.manifest_sha256 = f"{known['name']}@{known['fingerprint']}", known["manifest_sha256"]
    dropped = known["totals"].get("dropped", {})
    found.removed = {key.partition(".")[2]: n for key, n in dropped.items() if key.startswith("decontaminate.")}
    found.decontaminated = _benchmarks(manifest / "recipe.toml")
    if (manifest / "sources.json").is_file():
        for source, facts in json.loads((manifest / "sources.json").read_bytes()).items():
            card = facts["card"]
            found.sources[source] = {key: card[key] for key in ("title", "publisher", "homepage", "restricted")}
    if (manifest / "documents.parquet").is_file():
        _read_documents(manifest / "documents.parquet", found)
    return found


def training_facts(trained: Trained) -> dict[str, Any]:
    """The run's header, last step and validations, from `metrics.jsonl`; whether its books closed."""
    lines = read_metrics(trained.run) if (trained.run / METRICS).is_file() else []
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_kind.setdefault(line["kind"], []).append(line)
    step = trained.state.step
    steps = [line for line in by_kind.get("step", []) if line["step"] <= step]
    consumed = trained.run / CONSUMED
    evaluation = trained.run / "evaluation.json"
    return {
        "header": by_kind.get("header", [{}])[-1],
        "last": steps[-1] if steps else {},
        "seconds": sum(line["seconds"] for line in steps),
        "validation": [line for line in by_kind.get("validation", []) if line["step"] <= step],
        "closed": bool(json.loads(consumed.read_bytes())["closed"]) if consumed.is_file() else False,
        "evaluation": json.loads(evaluation.read_bytes()) if evaluation.is_file() else {},
    }


def _read_documents(path: Path, found: DataFacts) -> None:
    """Licences, years and languages of the documents that were trained on, by tokens, a batch at a time."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    licences: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    columns = ["licence", "lang", "year", "n_tokens", "epochs", "fate", "split"]
    for batch in pq.ParquetFile(path).iter_batches(columns=columns):
        kept = batch.filter(pc.and_(pc.equal(batch["fate"], "kept"), pc.equal(batch["split"], "train")))
        rows = kept.to_pydict()
        for licence, language, year, n, epochs in zip(*(rows[name] for name in columns[:5]), strict=True):
            tokens = (n or 0) * epochs
            licences[licence] += tokens
            languages[language] += tokens
            if year is None:
                found.undated += tokens
            elif tokens:
                found.newest_year = max(found.newest_year or year, year)
    found.licences = {key: n for key, n in licences.most_common() if n}
    found.languages = [key for key, n in languages.most_common() if n and key]


def _benchmarks(recipe: Path) -> list[str]:
    if not recipe.is_file():
        return []
    rules = tomllib.loads(recipe.read_text(encoding="utf-8")).get("rules", [])
    named = [rule["parameters"].get("index", "") for rule in rules if rule["rule"].startswith("decontaminate.")]
    return [Path(str(name)).name for name in named]


def _planned(run: Path) -> dict[str, int]:
    consumed = run / CONSUMED
    if not consumed.is_file():
        return {}
    epochs = json.loads(consumed.read_bytes())["epochs"]
    return dict(epochs[-1]["planned_by_source"]) if epochs else {}
