"""Verify: a true build passes; every lie is caught by the check that names it, also when all digests agree."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manifests.identity import doc_key
from manifests.store import Store
from manifests.verify import verify


@pytest.fixture
def build(true_build: Store, tmp_path: Path) -> Store:
    """A copy that a test may damage."""
    folder = tmp_path / "lying"
    shutil.copytree(true_build.local(), folder)
    return Store(folder, mode=0o600)


def failed(build: Store, **options: bool) -> dict[str, str]:
    return {check.name: check.detail for check in verify(build, **options) if not check.ok}


def test_a_true_build_passes(true_build: Store) -> None:
    checks = verify(true_build)
    assert [check.name for check in checks if not check.ok] == []
    assert len({check.name for check in checks}) == len(checks) > 45
    fast = [check.name for check in verify(true_build, fast=True)]
    assert set(fast) < {check.name for check in checks}
    assert not any("counted" in name or "digests" in name for name in fast)


def test_an_open_build_passes_and_needs_no_mode(tmp_path: Path, tools: Any) -> None:
    build = tools.make_build(tmp_path / "open", tools.SMALL[:2])
    names = [check.name for check in verify(build) if check.ok]
    assert failed(build) == {}
    assert "access.mode" not in names


def test_before_corpus_json_only_the_rest_is_asked(build: Store) -> None:
    build.remove("corpus.json")
    assert failed(build, finished=False) == {}
    assert set(failed(build)) == {"corpus.readable"}


Rows = list[dict[str, Any]]


def table(path: str, change: Callable[[Rows], Any]) -> Callable[[Store, Any], None]:
    return lambda build, tools: tools.rewrite_table(build, f"manifest/{path}.parquet", change)


def shard(change: Callable[[Rows], Any], path: str = "shards/shard-00001.arrow") -> Callable[[Store, Any], None]:
    return lambda build, tools: tools.rewrite_shard(build, path, change)


def json_file(path: str, change: Callable[[Any], Any]) -> Callable[[Store, Any], None]:
    def lie(build: Store, tools: Any) -> None:
        value = build.read_json(path)
        change(value)
        build.write_json(path, value)

    return lie


def stage_line(number: int, key: str, change: Callable[[Any], Any]) -> Callable[[Store, Any], None]:
    def lie(build: Store, tools: Any) -> None:
        from manifests.build import stages
        from manifests.write import write_lines

        lines = stages(build)
        lines[number][key] = change(lines[number][key])
        write_lines(build, "manifest/stages.jsonl", lines)

    return lie


def first(rows: Rows, **conditions: Any) -> dict[str, Any]:
    return next(row for row in rows if all(row[name] == value for name, value in conditions.items()))


def twice(rows: Rows) -> None:
    at = next(i for i, row in enumerate(rows) if row["fate"] == "quality.too_few_words")
    rows.insert(at, dict(rows[at]))


def swap(rows: list[Any], a: int, b: int) -> None:
    rows[a], rows[b] = rows[b], rows[a]


def move(row: dict[str, Any], **changes: Any) -> None:
    row.update(changes)


def hide(rows: Rows) -> None:
    next(row for row in rows if row["input_ids"][-1] == 0)["input_ids"][-1] = 7


def strip_row(rows: Rows) -> None:
    long = next(row for row in rows if len(row["doc_ends"]) > 1)
    long["doc_ends"].pop()
    long["doc_key"].pop()
    used = long["doc_ends"][-1]
    long["input_ids"][used:] = [0] * (len(long["input_ids"]) - used)


def torn(rows: Rows) -> None:
    wards = [row for row in rows if row["source"] == "wards" and row["fate"] == "kept" and row["split"] == "train"]
    twins = next([a, b] for a in wards for b in wards if a is not b and a["subject"] == b["subject"])
    twins[0]["unit"] ^= 1


def misnamed(rows: Rows) -> None:
    one, *_, other = [row for row in rows if row["source"] == "guides" and row["fate"] == "kept"]
    assert one["unit"] != other["unit"]
    one["family"], other["family"] = other["doc_id"], "guides:newest"


def gathered(build: Store, tools: Any) -> None:
    path = "shards/shard-00001.arrow"
    tools.rewrite_shard(build, path, lambda rows: rows.sort(key=lambda row: row["source"]))


LIES: dict[str, tuple[Callable[[Store, Any], None], set[str]]] = {
    "a dropped document is left out": (
        table("documents", lambda rows: rows.remove(first(rows, fate="quality.too_few_words"))),
        {"stages.documents", "corpus.totals", "removed.close"},
    ),
    "a kept document is left out": (
        table("documents", lambda rows: rows.remove(first(rows, fate="kept", split="train", cluster_key=""))),
        {
            "mixture.padding",
            "stages.documents",
            "corpus.totals",
            "tokens.known",
            "mixture.counts",
            "stages.tokens",
            "removed.close",
            "removed.counted",
        },
    ),
    "a fate is changed": (
        table("documents", lambda rows: move(first(rows, fate="quality.too_few_words"), fate="clean.empty")),
        {"stages.documents", "corpus.totals"},
    ),
    "a fate is invented": (
        table("documents", lambda rows: move(first(rows, fate="quality.too_few_words"), fate="quality.ugly")),
        {"documents.fates", "stages.documents", "corpus.totals"},
    ),
    "a dropped document is called kept": (
        table("documents", lambda rows: move(first(rows, fate="quality.too_few_words"), fate="kept")),
        {"documents.kept", "stages.documents", "corpus.totals", "mixture.counts", "removed.counted", "documents.units"},
    ),
    "epochs are understated": (
        table("documents", lambda rows: move(first(rows, source="guides", epochs=2, split="train"), epochs=1)),
        {"tokens.stored", "placements.epochs", "mixture.counts", "corpus.totals", "stages.tokens", "mixture.copies"},
    ),
    "tokens are overstated": (
        table("documents", lambda rows: move(row := first(rows, split="train"), n_tokens=row["n_tokens"] + 1)),
        {"tokens.stored", "mixture.counts", "corpus.totals", "stages.tokens"},
    ),
    "a training document is called validation": (
        table("documents", lambda rows: move(first(rows, split="train"), split="validation", epochs=0)),
        {"mixture.padding", "tokens.split", "tokens.stored", "mixture.counts", "corpus.totals", "stages.tokens"},
    ),
    "rows are out of order": (table("documents", lambda rows: swap(rows, 3, 9)), {"documents.sorted"}),
    "a row is there twice": (
        table("documents", twice),
        {"documents.sorted", "documents.collisions", "stages.documents", "corpus.totals", "removed.close"},
    ),
    "a key is another": (
        table("documents", lambda rows: move(first(rows, fate="quality.too_few_words"), doc_key=9)),
        {"documents.keys"},
    ),
    "a restricted title is told": (
        table("documents", lambda rows: move(first(rows, source="wards"), title="A name")),
        {"documents.privacy"},
    ),
    "an open document has a patient": (
        table("documents", lambda rows: move(first(rows, source="papers"), subject="p1")),
        {"documents.privacy"},
    ),
    "a cluster is larger than it was": (
        table("documents", lambda rows: move(next(row for row in rows if row["cluster_key"]), cluster_size=9)),
        {"documents.clusters"},
    ),
    "a stage dropped fewer": (
        stage_line(0, "dropped", lambda dropped: {**dropped, "quality.too_few_words": 0}),
        {"stages.close", "stages.documents"},
    ),
    "a stage got more than came": (stage_line(1, "in", lambda n: n + 1), {"stages.close", "stages.chain"}),
    "a stage names its own reason": (
        stage_line(1, "dropped", lambda dropped: {f"{name}_ish": n for name, n in dropped.items()}),
        {"stages.reasons", "stages.documents"},
    ),
    "a stage counts other tokens": (stage_line(2, "tokens", lambda n: n + 5), {"stages.tokens"}),
    "placements name other rows": (
        table("placements", lambda rows: [row.update(row=row["row"] + 1) for row in rows if row["shard"] == 1]),
        {"placements.match"},
    ),
    "placements name another shard": (
        table("placements", lambda rows: [move(row, shard=row["shard"] + 1) for row in rows]),
        {"placements.match"},
    ),
    "placements name another epoch": (
        table("placements", lambda rows: [move(row, epoch=0) for row in rows]),
        {"placements.epochs"},
    ),
    "a placement is left out": (table("placements", lambda rows: rows.pop(5)), {"placements.match"}),
    "a shard holds another document": (
        shard(lambda rows: move(rows[3], doc_key=[doc_key("guides:none"), *rows[3]["doc_key"][1:]])),
        {"placements.match", "tokens.known", "tokens.stored"},
    ),
    "a shard lost the end of a row": (
        shard(strip_row),
        {"placements.match", "tokens.stored", "shards.tokens.counted", "shards.padding.counted", "mixture.padding"},
    ),
    "a shard lost a row": (
        shard(lambda rows: rows.pop()),
        {
            "placements.match",
            "tokens.stored",
            "shards.tokens.counted",
            "shards.rows.counted",
            "mixture.padding",
            "mixture.rows",
            "mixture.windows",
        },
    ),
    "a row is put under another source": (
        shard(lambda rows: move(rows[0], source=(rows[0]["source"] + 1) % 3)),
        {"tokens.source", "shards.tokens.counted", "mixture.padding", "mixture.rows", "mixture.windows"},
    ),
    "what a takedown removed is still there": (
        shard(lambda rows: rows[3]["doc_key"].__setitem__(0, 0)),
        {
            "shards.padding",
            "placements.match",
            "tokens.stored",
            "shards.tokens.counted",
            "shards.padding.counted",
            "mixture.padding",
        },
    ),
    "padding hides text": (
        shard(lambda rows: hide(rows), "validation/papers.arrow"),
        {"shards.padding"},
    ),
    "a document begins where it does not": (
        shard(lambda rows: move(row := next(row for row in rows if row["continues"]), continues=not row["continues"])),
        {"tokens.continues"},
    ),
    "the index says other tokens": (
        json_file("shards/index.json", lambda index: index["shards"][0]["tokens"].update(papers=1)),
        {"shards.totals", "shards.tokens.counted"},
    ),
    "the index says less padding": (
        json_file("shards/index.json", lambda index: index["totals"].update(padding=0)),
        {"shards.totals", "shards.padding.counted"},
    ),
    "a source's realised share is polished": (
        json_file("manifest/mixture.json", lambda mix: mix["sources"][0].update(realised_share=0.25)),
        {"mixture.shares"},
    ),
    "a source's target is bent to what came out": (
        json_file(
            "manifest/mixture.json",
            lambda mix: mix["sources"][0].update(target_tokens=mix["sources"][0]["target_tokens"] + 500),
        ),
        {"mixture.bound", "mixture.counts", "mixture.shares"},
    ),
    "a bound is widened": (
        json_file("manifest/mixture.json", lambda mix: mix["sources"][1].update(bound_tokens=10**6)),
        {"mixture.bound"},
    ),
    "a bound is narrowed": (
        json_file("manifest/mixture.json", lambda mix: mix["sources"][0].update(bound_tokens=1)),
        {"mixture.bound"},
    ),
    "copies are said to be more even": (
        json_file("manifest/mixture.json", lambda mix: mix["sources"][0].update(max_copies=2)),
        {"mixture.copies"},
    ),
    "a document is copied once more than its neighbours": (
        table("documents", lambda rows: move(first(rows, source="papers", epochs=1), epochs=3)),
        {
            "mixture.padding",
            "mixture.copies",
            "mixture.counts",
            "tokens.stored",
            "placements.epochs",
            "corpus.totals",
            "stages.tokens",
        },
    ),
    "a whole pass is left unsaid": (
        json_file("manifest/mixture.json", lambda mix: mix["sources"][0].update(whole_passes=1)),
        {"mixture.padding", "mixture.copies", "mixture.bound"},
    ),
    "dropped tokens are denied": (
        json_file("manifest/mixture.json", lambda mix: mix.update(dropped_tokens=7)),
        {"mixture.counts", "mixture.bound"},
    ),
    "padding is denied": (
        json_file("manifest/mixture.json", lambda mix: mix["sources"][0].update(padding=0)),
        {"mixture.padding"},
    ),
    "a bound of padding is widened": (
        json_file("manifest/mixture.json", lambda mix: mix["sources"][0].update(padding_bound=10**6)),
        {"mixture.padding"},
    ),
    "documents are called short": (
        json_file("manifest/mixture.json", lambda mix: mix["sources"][0].update(short=True)),
        {"mixture.padding"},
    ),
    "the least rows are overstated": (
        json_file("manifest/mixture.json", lambda mix: mix["sources"][0].update(least_rows=10**6)),
        {"mixture.padding"},
    ),
    "rows of a source are overstated": (
        json_file("manifest/mixture.json", lambda mix: mix["sources"][0].update(rows=10**6)),
        {"mixture.rows"},
    ),
    "a window is said to be truer": (
        json_file("manifest/mixture.json", lambda mix: mix["sources"][1].update(window_rows_off=0.1)),
        {"mixture.windows"},
    ),
    "a bound of windows is widened": (
        json_file("manifest/mixture.json", lambda mix: mix["sources"][1].update(window_bound=99.0)),
        {"mixture.windows"},
    ),
    "held-out tokens are understated": (
        json_file("manifest/mixture.json", lambda mix: mix["sources"][1].update(validation_tokens=3)),
        {"mixture.counts"},
    ),
    "a patient is torn apart": (
        table("documents", torn),
        {"documents.units"},
    ),
    "a version that another one names is elsewhere": (
        table("documents", misnamed),
        {"documents.units"},
    ),
    "a unit is on both sides": (
        table("documents", lambda rows: move(first(rows, split="train"), unit=first(rows, split="validation")["unit"])),
        {"documents.units"},
    ),
    "the rows are sorted by source": (
        gathered,
        {"mixture.windows", "placements.match"},
    ),
    "repeats are counted as unique": (
        json_file("manifest/mixture.json", lambda mix: mix["sources"][0].update(unique_tokens=10**6)),
        {"mixture.counts"},
    ),
    "an item vanished": (
        json_file("manifest/sources.json", lambda sources: sources["papers"].update(items=99)),
        {"sources.items"},
    ),
    "a restricted source is called open": (
        json_file("manifest/sources.json", lambda sources: sources["wards"]["card"].update(restricted=False)),
        {"sources.items"},
    ),
    "a source is left out of sources.json": (
        json_file("manifest/sources.json", lambda sources: sources.pop("guides")),
        {"sources.known", "quarantine.counts"},
    ),
    "what was put aside is forgotten": (
        table("quarantine", lambda rows: rows.clear()),
        {"quarantine.counts", "corpus.totals"},
    ),
    "the corpus claims more": (
        json_file("corpus.json", lambda corpus: corpus["totals"].update(tokens_unique=10**9)),
        {"corpus.totals"},
    ),
    "the corpus is called open": (
        json_file("corpus.json", lambda corpus: corpus.update(restricted=False)),
        {"corpus.facts"},
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_caught_by_its_check_alone(build: Store, tools: Any, name: str) -> None:
    lie, caught_by = LIES[name]
    lie(build, tools)
    tools.reseal(build)
    found = failed(build)
    assert set(found) == caught_by, found
    assert all(found.values())


def test_without_new_digests_any_changed_byte_is_caught(build: Store) -> None:
    path = build.local("shards/shard-00000.arrow")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    assert {"files.digests", "shards.digests"} <= set(failed(build))
    assert failed(build)["shards.digests"] == "shard-00000.arrow"


@pytest.mark.parametrize("fast", [False, True])
def test_a_missing_shard_is_caught(build: Store, fast: bool) -> None:
    build.remove("shards/shard-00001.arrow")
    found = failed(build, fast=fast)
    assert found["shards.sizes"] == "no shard-00001.arrow"
    assert "shard-00001.arrow: " in found["corpus.files"]


@pytest.mark.parametrize("fast", [False, True])
def test_a_cut_shard_is_caught(build: Store, fast: bool) -> None:
    path = build.local("shards/shard-00000.arrow")
    path.write_bytes(path.read_bytes()[:-2000])
    found = failed(build, fast=fast)
    assert "shards.sizes" in found
    assert ("shards.readable" in found or "shards.rows.counted" in found) is not fast


def test_a_stray_shard_and_an_unlisted_file_are_caught(build: Store) -> None:
    build.write_bytes("shards/shard-00099.arrow", b"more")
    assert {"files.unlisted", "shards.sizes"} == set(failed(build))


def test_a_restricted_build_that_others_can_read_is_caught(build: Store) -> None:
    build.local("shards/shard-00000.arrow").chmod(0o644)
    assert failed(build) == {"access.mode": "shards/shard-00000.arrow"}


@pytest.mark.parametrize(
    "path",
    [
        "manifest/documents.parquet",
        "manifest/stages.jsonl",
        "manifest/sources.json",
        "manifest/mixture.json",
        "manifest/placements.parquet",
        "manifest/quarantine.parquet",
        "manifest/recipe.toml",
        "manifest/shards.json",
        "shards/index.json",
        "manifest/manifest-sha256.txt",
        "corpus.json",
    ],
)
@pytest.mark.parametrize("damage", [None, b"", b"\xff{]not it"])
def test_a_missing_or_damaged_file_fails_its_checks_and_stops_nothing(
    build: Store, path: str, damage: bytes | None
) -> None:
    if damage is None:
        build.remove(path)
    else:
        build.write_bytes(path, damage)
    checks = verify(build)
    assert any(not check.ok for check in checks)
    assert damage == b"" or any(check.name.endswith(".readable") and not check.ok for check in checks)
    assert any(check.ok for check in checks)
    assert all("not it" not in check.detail for check in checks)
