"""Does a build tell the truth? Everything it states is counted again from what it holds.

`verify` returns one `Check` per promise, in a fixed order, and never stops at the first lie; a file that cannot be
read fails the checks that need it. Nothing of a document's text is ever in a check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from manifests.books import Books, Entries, Problems, read_books
from manifests.build import INDEX, SHARDS, VALIDATION_INDEX, mixture, read_json, recipe, sources, stages
from manifests.errors import CorpusError
from manifests.least_rows import PackedLengths
from manifests.recount import Pieces, ShardCounts, compare_documents, recount
from manifests.removed_tables import removed_checks
from manifests.store import Store
from manifests.subsources import bucket_edges
from manifests.verify_boilerplate import boilerplate_checks
from manifests.verify_books import Check, corpus_checks, quarantine_checks, source_checks, stage_checks
from manifests.verify_mixture import mixture_checks, row_checks, windows_of
from manifests.write import DIGESTS, OUTSIDE_DIGESTS, read_digests

__all__ = ["Check", "verify"]

DOCUMENT_CHECKS = {
    "documents.sorted": "doc_ids rise, none twice",
    "documents.keys": "doc_key is the hash of doc_id",
    "documents.collisions": "no two documents have one key",
    "documents.fates": "every fate is in the vocabulary",
    "documents.dropped": "dropped documents have no split and no epochs",
    "documents.kept": "kept documents have tokens and a split, validation ones no epochs",
    "documents.privacy": "no title of a restricted, no subject of an open document",
    "documents.units": "no patient, family or candidate cluster is in training and in validation",
    "documents.clusters": "every cluster has as many members as it says",
}
SHARD_CHECKS = {
    "shards.readable": "every shard can be read to its end",
    "shards.rows": "rows have the stated width and rising ends",
    "shards.padding": "what is no document is padding",
    "placements.match": "placements say what the rows say",
    "placements.epochs": "placements of a document have its epochs",
    "tokens.known": "every stored document is in documents.parquet",
    "tokens.source": "stored under the document's own source",
    "tokens.split": "no validation document among training rows, and the reverse",
    "tokens.stored": "stored tokens = n_tokens x epochs, document by document",
    "tokens.continues": "each pass over a document begins once",
}


@dataclass
class _State:
    """What one reading of the build found; None where it could not be read."""

    books: Books | None = None
    index: dict[str, Any] | None = None
    validation: dict[str, Any] | None = None
    counts: ShardCounts | None = None


def verify(build: Store, *, fast: bool = False, finished: bool = True) -> list[Check]:
    """Recount the build; `fast` reads no shard and no digest, `finished = False` asks nothing of corpus.json."""
    state = _State()
    checks: list[Check] = []

    def add(name: str, make: Callable[[], Iterable[Check]]) -> None:
        checks.extend(_guarded(name, make))

    digests: dict[str, str] = {}
    if not fast:
        add("files.digests", lambda: _digest_checks(build, digests))
    add("documents", lambda: _read_documents(build, state, bucket_edges(recipe(build)), fast=fast))
    add("sources", lambda: source_checks(_need(state.books), sources(build)))
    add("quarantine", lambda: quarantine_checks(build, sources(build)))
    add("stages", lambda: stage_checks(_need(state.books), stages(build)))
    add("removed", lambda: removed_checks(build, fast=fast))
    add("boilerplate", lambda: boilerplate_checks(build, sources(build), stages(build), fast=fast))
    add("shards", lambda: _index_checks(build, state))
    if not fast:
        add("shards.content", lambda: _shard_checks(build, state, digests))
    add("mixture", lambda: mixture_checks(_need(state.books), _need(state.index), mixture(build), recipe(build)))
    if not fast:
        add("mixture.rows", lambda: _row_checks(build, state))
    add("recipe", lambda: _recipe_checks(build, _need(state.books)))
    if finished:
        add("corpus", lambda: corpus_checks(build, _need(state.books), _need(state.index), sources(build)))
    add("access", lambda: _access_checks(build, _need(state.books)))
    return checks


def _need(value: Any) -> Any:
    if value is None:
        raise LookupError
    return value


def _guarded(name: str, make: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    try:
        yield from make()
    except LookupError as error:
        detail = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else "See the checks above."
        yield Check(f"{name}.readable", ok=False, observed="a part is missing", expected="complete", detail=detail)
    except CorpusError as error:
        yield Check(f"{name}.readable", ok=False, observed="unusable", expected="readable", detail=str(error))
    except (OSError, ValueError, TypeError, AttributeError, pa.ArrowException) as error:
        # Messages of decoding errors may quote what they could not read.
        detail = f"{type(error).__name__}: it is missing, damaged, or not in the stated form."
        yield Check(f"{name}.readable", ok=False, observed="unusable", expected="readable", detail=detail)


def _found(problems: Problems, expectations: Mapping[str, str]) -> Iterator[Check]:
    for name, expected in expectations.items():
        n = problems.counts[name]
        observed = f"{n:,} breaches" if n else "holds"
        yield Check(name, ok=not n, observed=observed, expected=expected, detail="; ".join(problems.named[name]))


def _digest_checks(build: Store, digests: dict[str, str]) -> Iterator[Check]:
    stated = read_digests(build)
    there = {name for name in build.files() if name not in OUTSIDE_DIGESTS}
    for name, files, expected in (
        ("files.missing", sorted(set(stated) - there), "every listed file is there"),
        ("files.unlisted", sorted(there - set(stated)), f"no file that {DIGESTS} does not list"),
    ):
        detail = ", ".join(files[:3])
        yield Check(name, ok=not files, observed=f"{len(files)} files", expected=expected, detail=detail)
    digests.update({name: build.sha256(name) for name in sorted(there & set(stated))})
    changed = [name for name, digest in digests.items() if digest != stated[name]]
    observed = f"{len(changed)} of {len(stated)} files differ" if changed else f"{len(stated)} files agree"
    yield Check("files.digests", ok=not changed, observed=observed, expected="sha256 as listed",
                detail=", ".join(changed[:3]))  # fmt: skip


def _read_documents(
    build: Store, state: _State, edges: Mapping[str, Sequence[float]], *, fast: bool
) -> Iterator[Check]:
    state.books = read_books(build, [], None, check_keys=not fast, edges=edges)
    yield from _found(state.books.problems, DOCUMENT_CHECKS)


def _row_checks(build: Store, state: _State) -> Iterator[Check]:
    table, stated = recipe(build), mixture(build)
    lengths = PackedLengths(build, stated, bucket_edges(table))
    yield from row_checks(_need(state.index), _need(state.counts), stated, lengths, table)


def _index_checks(build: Store, state: _State) -> Iterator[Check]:
    state.index = read_json(build, INDEX)
    state.validation = read_json(build, VALIDATION_INDEX) if build.exists(VALIDATION_INDEX) else None
    copied = read_json(build, SHARDS) == state.index["shards"]
    yield Check("shards.listed", ok=copied, observed="the same" if copied else "differ",
                expected="manifest/shards.json lists what shards/index.json lists")  # fmt: skip
    for folder, index in (("shards", state.index), ("validation", state.validation)):
        if index is None:
            continue
        sizes = [(record, _size(build, f"{folder}/{record['file']}")) for record in index["shards"]]
        wrong = [
            f"{record['file']} has {size:,} bytes instead of {record['bytes']:,}"
            if size >= 0
            else f"no {record['file']}"
            for record, size in sizes
            if size != record["bytes"]
        ]
        listed = {f"{folder}/{record['file']}" for record in index["shards"]}
        stray = [name for name in build.files(folder) if name.endswith(".arrow") and name not in listed]
        wrong += [f"{name} is not in the index" for name in stray]
        yield Check(f"{folder}.sizes", ok=not wrong, observed=f"{len(wrong)} files differ", detail="; ".join(wrong[:3]),
                    expected="every listed file has its size, no other is there")  # fmt: skip
        yield from _total_checks(folder, index)


def _size(build: Store, path: str) -> int:
    return build.size(path) if build.exists(path) else -1


def _total_checks(folder: str, index: Mapping[str, Any]) -> Iterator[Check]:
    totals, shards = index["totals"], index["shards"]
    tokens = {name: sum(shard["tokens"].get(name, 0) for shard in shards) for name in index["sources"]}
    rows = sum(shard["rows"] for shard in shards)
    made = {
        "rows": rows,
        "bytes": sum(shard["bytes"] for shard in shards),
        "tokens": sum(tokens.values()),
        "padding": rows * index["row_tokens"] - sum(tokens.values()),
        "tokens_by_source": tokens,
    }
    wrong = [f"{name}: {totals.get(name)} instead of {made[name]}" for name in made if totals.get(name) != made[name]]
    observed = f"{len(wrong)} differ" if wrong else "they are"
    yield Check(f"{folder}.totals", ok=not wrong, observed=observed, detail="; ".join(wrong[:3]),
                expected="totals are the sums of the index's own shards")  # fmt: skip


def _shard_checks(build: Store, state: _State, digests: Mapping[str, str]) -> Iterator[Check]:
    index = _need(state.index)
    problems = Problems()
    names: list[str] = []
    with Entries() as entries, Pieces() as pieces:
        table = recipe(build)
        read_books(build, names, entries, check_keys=False, edges=bucket_edges(table))
        folders = [("shards", index), *([("validation", state.validation)] if state.validation else [])]
        for folder, one in folders:
            names.extend(name for name in one["sources"] if name not in names)
            codes = {name: number for number, name in enumerate(names)}
            windows = windows_of(one, table) if folder == "shards" else None
            counts = recount(build, folder, one, pieces, codes, problems, windows)
            if folder == "shards":
                state.counts = counts
            yield from _content_checks(build, folder, one, counts, digests)
        compare_documents(build, entries, pieces, names, problems)
    yield from _found(problems, SHARD_CHECKS)


def _content_checks(
    build: Store, folder: str, index: Mapping[str, Any], counts: ShardCounts, digests: Mapping[str, str]
) -> Iterator[Check]:
    shards = index["shards"]
    wrong = []
    for record in shards:
        path = f"{folder}/{record['file']}"
        if build.exists(path) and (digests.get(path) or build.sha256(path)) != record["sha256"]:
            wrong.append(record["file"])
    yield Check(f"{folder}.digests", ok=not wrong, observed=f"{len(wrong)} files differ", detail=", ".join(wrong[:3]),
                expected="sha256 as the index says")  # fmt: skip
    for name, unit, stated, counted in (
        ("rows", "rows", [shard["rows"] for shard in shards], counts.rows),
        ("tokens", "tokens by source", [shard["tokens"] for shard in shards], [dict(one) for one in counts.tokens]),
    ):
        pairs = zip(shards, stated, counted, strict=True)
        lies = [f"{shard['file']} says {says}, holds {holds}" for shard, says, holds in pairs if says != holds]
        yield Check(f"{folder}.{name}.counted", ok=not lies, observed=f"{len(lies)} shards differ",
                    expected=f"{unit} as the index says", detail="; ".join(lies[:2]))  # fmt: skip
    stated_padding = index["totals"]["padding"]
    yield Check(f"{folder}.padding.counted", ok=counts.padding == stated_padding, observed=f"{counts.padding:,}",
                expected=f"{stated_padding:,}", detail="Padding tokens.")  # fmt: skip


def _recipe_checks(build: Store, books: Books) -> Iterator[Check]:
    named = set(recipe(build)["sources"])
    strangers = sorted(set(books.sources) - named)
    yield Check("recipe.sources", ok=not strangers, observed=", ".join(strangers) or "none",
                expected="no document of a source the recipe does not name")  # fmt: skip


def _access_checks(build: Store, books: Books) -> Iterator[Check]:
    if not any(one.restricted for one in books.sources.values()) or not build.is_local:
        return
    loose = [name for name in build.files() if build.local(name).stat().st_mode & 0o077]
    yield Check("access.mode", ok=not loose, observed=f"{len(loose)} files that others may read",
                expected="mode 0600 for every file of a restricted build", detail=", ".join(loose[:3]))  # fmt: skip
