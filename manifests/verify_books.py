"""The checks of what a build's JSON files state against documents.parquet and quarantine.parquet counted again."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from manifests.assemble import DOCUMENTS_FILE, MEASURES_FILE, PLACEMENTS_FILE, QUARANTINE_FILE
from manifests.boilerplate import BOILERPLATE_FILE
from manifests.books import Books
from manifests.build import ACTIVE_STAGES, RECIPE, corpus
from manifests.reasons import KEPT, reason
from manifests.schema import SCHEMA_VERSION
from manifests.store import Store
from manifests.write import DIGESTS

TOLERANCE = 1e-9
"""Of shares and epochs: they are quotients of whole numbers, written as shortest decimals."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise of a build, and what was found."""

    name: str
    ok: bool
    observed: str
    expected: str
    detail: str = ""
    """What lies, by name; empty if the promise holds."""
    warning: str = ""
    """What a person should look at although the promise holds."""


class Lies:
    """Statements compared with counts, gathered into one check."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def compare(self, what: str, stated: Any, counted: Any) -> None:
        """Note a lie if the two differ; floats may differ by rounding."""
        if isinstance(stated, float) or isinstance(counted, float):
            same = isinstance(stated, float | int) and math.isclose(
                stated, counted, rel_tol=TOLERANCE, abs_tol=TOLERANCE
            )
        else:
            same = stated == counted
        if not same:
            self.found.append(f"{what}: {_shown(stated)} stated, {_shown(counted)} counted")

    def check(self, name: str, expected: str) -> Check:
        observed = f"{len(self.found)} lies" if self.found else "holds"
        return Check(name, ok=not self.found, observed=observed, expected=expected, detail="; ".join(self.found[:3]))


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def source_checks(books: Books, entries: Mapping[str, Mapping[str, Any]]) -> Iterator[Check]:
    """sources.json: every source of a document is there, and no item vanished."""
    strangers = sorted(set(books.sources) - set(entries))
    yield Check("sources.known", ok=not strangers, observed=", ".join(strangers) or "all known",
                expected="sources.json names every source of a document", detail=", ".join(strangers))  # fmt: skip
    lies = Lies()
    for name, entry in entries.items():
        entered = books.sources[name].entered
        if entered:
            lies.compare(f"{name} restricted", entry["card"]["restricted"], books.sources[name].restricted)
        gave, aside = entry["items_gave_documents"], sum(entry["quarantined"].values())
        if bool(gave) != bool(entered):
            lies.found.append(f"{name}: {gave:,} items gave documents, and it has {entered:,}")
        # An item that gave nothing must say why; one bulk file may say it many times.
        if not 0 <= entry["items"] - gave <= entry.get("merged_away", 0) + aside:
            lies.found.append(
                f"{name}: {entry['items']:,} items, {gave:,} gave documents, "
                f"{entry.get('merged_away', 0):,} merged away, {aside:,} put aside"
            )
    yield lies.check("sources.items", "each item gave documents, was merged away, or was put aside")


def quarantine_checks(build: Store, entries: Mapping[str, Mapping[str, Any]]) -> Iterator[Check]:
    """quarantine.parquet: reasons of the vocabulary, counts as sources.json says."""
    counts: Counter[tuple[str, str]] = Counter()
    with build.reading(QUARANTINE_FILE) as stream:
        for batch in pq.ParquetFile(stream).iter_batches(columns=["source", "reason"]):
            counts.update(zip(*(batch.column(name).to_pylist() for name in ("source", "reason")), strict=True))
    unknown = sorted({name for _, name in counts if not _is_reason(name, "extract")})
    yield Check("quarantine.reasons", ok=not unknown, observed=", ".join(unknown) or "all known",
                expected="every reason is an extract.* of the vocabulary")  # fmt: skip
    stated = Counter({(name, why): n for name, entry in entries.items() for why, n in entry["quarantined"].items()})
    lies = Lies()
    for name, why in sorted(set(stated) | set(counts)):
        lies.compare(f"{name} {why}", stated[name, why], counts[name, why])
    yield lies.check("quarantine.counts", "as many rows as sources.json says, reason by reason")


def _is_reason(name: str, stage: str = "") -> bool:
    try:
        found = reason(name)
    except KeyError:
        return False
    return not stage or found.stage == stage


def stage_checks(books: Books, lines: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    """stages.jsonl: counts close line by line, from stage to stage, and with documents.parquet."""
    closes, chain, reasons, totals, tokens = Lies(), Lies(), Lies(), Lies(), Lies()
    by_source: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        where = f"{line['stage']} {line['source']}"
        closes.compare(f"{where}: in", line["in"], line["kept"] + sum(line["dropped"].values()))
        reasons.found += [f"{where}: {name!r}" for name in line["dropped"] if not _is_reason(name)]
        by_source[line["source"]].append(line)
    for source in sorted(set(books.sources) | set(by_source)):
        of, own = books.sources[source], by_source[source]
        if not own:
            totals.compare(f"{source}: lines in stages.jsonl", 0, "documents")
            continue
        order = [line["stage"] for line in own]
        chain.compare(f"{source}: order of stages", order, [name for name in ACTIVE_STAGES if name in order])
        for before, after in itertools.pairwise(own):
            chain.compare(f"{source}: into {after['stage']}", after["in"], before["kept"])
        totals.compare(f"{source}: in", own[0]["in"], of.entered)
        totals.compare(f"{source}: kept", own[-1]["kept"], of.kept)
        stated: Counter[str] = Counter()
        for line in own:
            stated.update(line["dropped"])
        for name in sorted((set(stated) | set(of.fates)) - {KEPT}):
            totals.compare(f"{source}: {name}", stated[name], of.fates[name])
        counted = {"tokenize": of.kept_tokens, "mix": of.effective_tokens}
        for line in own:
            if line["stage"] in counted and line["tokens"] is not None:
                tokens.compare(f"{source}: tokens of {line['stage']}", line["tokens"], counted[line["stage"]])
    yield closes.check("stages.close", "in = kept + dropped, per stage and source")
    yield chain.check("stages.chain", "what a stage kept is what the next one got")
    yield reasons.check("stages.reasons", "every drop reason is in the vocabulary")
    yield totals.check("stages.documents", "the same counts as documents.parquet, reason by reason")
    yield tokens.check("stages.tokens", "tokens as documents.parquet counts them")


def corpus_checks(
    build: Store, books: Books, index: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]]
) -> Iterator[Check]:
    """corpus.json, the index of all: totals and digests."""
    stated = corpus(build)
    totals = stated["totals"]
    lies = Lies()
    dropped: Counter[str] = Counter()
    for of in books.sources.values():
        dropped.update({name: n for name, n in of.fates.items() if name != KEPT})
    lies.compare("documents_in", totals["documents_in"], books.rows)
    lies.compare("documents_kept", totals["documents_kept"], sum(of.kept for of in books.sources.values()))
    lies.compare("dropped", dict(sorted(totals["dropped"].items())), dict(sorted(dropped.items())))
    lies.compare("tokens_unique", totals["tokens_unique"], sum(of.unique_tokens for of in books.sources.values()))
    effective = sum(of.effective_tokens for of in books.sources.values())
    lies.compare("tokens_effective", totals["tokens_effective"], effective)
    lies.compare("rows", totals["rows"], index["totals"]["rows"])
    with build.reading(QUARANTINE_FILE) as stream:
        lies.compare("quarantined", totals["quarantined"], pq.ParquetFile(stream).metadata.num_rows)
    yield lies.check("corpus.totals", "corpus.json has the totals of the tables")
    facts = Lies()
    facts.compare("schema", stated["schema"], SCHEMA_VERSION)
    facts.compare("recipe_sha256", stated["recipe_sha256"], build.sha256(RECIPE))
    # A restricted source taints the build also where none of its documents could be read: quarantine speaks of it.
    restricted = any(of.restricted for of in books.sources.values())
    restricted = restricted or any(entry["card"]["restricted"] for entry in entries.values())
    facts.compare("restricted", stated["restricted"], restricted)
    facts.compare("restricted of the shards", index["restricted"], restricted)
    facts.compare("manifest_sha256", stated["manifest_sha256"], build.sha256(DIGESTS))
    for path in (DOCUMENTS_FILE, MEASURES_FILE, PLACEMENTS_FILE, QUARANTINE_FILE, BOILERPLATE_FILE):
        name = path.removeprefix("manifest/")
        facts.compare(f"sha256 of {name}", stated["digests"].get(name), build.sha256(path))
    yield facts.check("corpus.facts", "recipe, access and digests of the tables")
    sizes = Lies()
    for path, size in sorted(stated["files"].items()):
        sizes.compare(path, size, build.size(path) if build.exists(path) else "missing")
    yield sizes.check("corpus.files", "every file of the build has the size it was closed with")
