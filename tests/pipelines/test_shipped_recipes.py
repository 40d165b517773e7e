"""Every shipped recipe, end to end at small scale: all hosts are the sample world, all publishers gave permission.

Only what depends on scale is replaced: options that limit, budgets, the tokenizer, the length of rows. Sources, rules,
groups, shares and caps are the recipe's own. Snapshots lie in one folder, so each source is fetched once.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from filters.rule import build as build_rule
from manifests.document import Document
from manifests.identity import fingerprint
from manifests.licences import classify
from manifests.markers import MEDITRON
from manifests.store import Store
from mixing.extend import extend
from mixing.shards import open_shards
from pipelines.build import run_build
from pipelines.display import PlainDisplay
from pipelines.outlook import check_outlook, outlook
from pipelines.plan import Plan
from pipelines.recipe import load_recipe, parse_recipe, recipe_path
from scrapers.sample import tokenizer, world
from scrapers.sample.host_eutils import EutilsHost
from scrapers.sample.literature import abstract
from scrapers.sample.medline_xml import medline_file

TOKENIZER = Path(tokenizer.__file__).with_name("tokenizer.json")
QUIET = PlainDisplay(Console(quiet=True))
Table = dict[str, Any]
BUILT = ("guidelines", "gap-replay", "open-commercial", "pilot", "me-llama-129b")
SCALED = ("limit", "max_articles", "max_records", "token_budget", "tokens_per_file", "max_baseline_files", "updates")
PLACES = ("path", "dataset", "include")
TOPIC = tomllib.loads(recipe_path("pilot").read_text())["sources"]["pubmed-topic"]["options"]["query"]
OF_SAMPLE = {"pubmed-topic": {"delay_seconds": 0.0, "query": TOPIC}}


def small(name: str, out: Path) -> Table:
    """The shipped recipe `name` against the sample world; a tokenizer with its marks goes to `out`."""
    table = tomllib.loads(recipe_path(name).read_text())
    sample = tomllib.loads(recipe_path("sample-sources").read_text())["sources"]
    for source, use in table["sources"].items():
        options = {key: value for key, value in use.get("options", {}).items() if key not in (*SCALED, *PLACES)}
        known = sample[source]["options"] if source in sample else OF_SAMPLE[source]
        use["options"] = {**options, **known}
        # One snapshot for all recipes that ask for the same.
        use["snapshot"] = f"sample-{fingerprint(options)}"
        if use.get("permission") == "":
            use["permission"] = "none needed: the text of the sample world is ours"
    table["routes"] = {"*": "sample"}
    table["network"]["contact"] = "sample@localhost"
    table["tokenizer"]["file"] = str(TOKENIZER)
    if special := table["tokenizer"].get("special"):
        extend(str(TOKENIZER), special, out / "marked")
        table["tokenizer"]["file"] = str(out / "marked" / "tokenizer.json")
    table["mixture"] |= {"sequence_length": 128, "rows_per_shard": 4096}
    if isinstance(table["mixture"]["total_tokens"], int):
        table["mixture"]["total_tokens"] = "largest"
    return table


@pytest.fixture(autouse=True)
def topic(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample world with the pilot's topic: forty records that no other part of it holds."""
    write = world.write_world

    def with_topic(folder: Path, *, seed: int = 7) -> None:
        write(folder, seed=seed)
        records = [abstract(seed, 5000 + n) for n in range(40)]
        pmids = [record.pmid for record in records]
        hosts = EutilsHost(folder)
        hosts.search("pubmed", TOPIC, pmids)
        hosts.search("pubmed", TOPIC, [], count=len(pmids), retmax=0)
        hosts.fetch("pubmed", pmids, medline_file(records))
        hosts.close()

    monkeypatch.setattr(world, "write_world", with_topic)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shipped")


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILT)
def test_a_shipped_recipe_builds_and_proves_its_shares(name: str, out: Path) -> None:
    table = small(name, out)
    plan = Plan(parse_recipe(table, where=name), Store(out), base=out)
    assert plan.left_out == {}
    result = run_build(plan, workers=2, display=QUIET)
    assert result.failed_checks == []
    mixture = result.build.read_json("manifest/mixture.json")
    asked = {group: section["share"] for group, section in table["mixture"].get("groups", {}).items()}
    for group in mixture["groups"]:
        # To whole tokens what the recipe asks for, and stored within the bound that the manifest prints.
        assert group["target_share"] == pytest.approx(asked[group["group"]] / sum(asked.values()), abs=1e-4)
        assert abs(group["error_tokens"]) <= group["bound_tokens"]
    assert {row["group"] for row in mixture["groups"]} == set(asked)
    for row in mixture["sources"]:
        assert abs(row["error_tokens"]) <= row["bound_tokens"]
        assert row["epochs"] <= row["max_epochs"] + row["bound_tokens"] / row["unique_tokens"]
    assert {row["source"] for row in mixture["sources"]} == set(table["sources"])
    # What was counted is now what the plan expects, and it is the same mixture.
    found = outlook(plan)
    check_outlook(found)
    assert {row.basis for row in found.sources} == {"counted"}
    for row, stored in zip(found.sources, mixture["sources"], strict=True):
        assert (row.unique_tokens, row.effective_tokens) == (stored["unique_tokens"], stored["target_tokens"])


@pytest.mark.slow
def test_gap_replay_holds_nothing_published_after_its_cutoff(out: Path) -> None:
    """After the builds above, of the same folder: nothing is fetched again."""
    table = small("gap-replay", out)
    plan = Plan(parse_recipe(table, where="gap-replay"), Store(out), base=out)
    run_build(plan, workers=2, display=QUIET)
    documents = pq.read_table(plan.build.reading("manifest/documents.parquet"))
    held = {row["source"]: row for row in plan.build.read_json("manifest/mixture.json")["sources"]}
    assert held["redpajama"]["validation_documents"] == 0
    assert all(row["validation_documents"] > 0 for source, row in held.items() if source != "redpajama")
    kept = documents.filter(pc.equal(documents["fate"], "kept"))
    literature = kept.filter(pc.is_in(kept["source"], pa.array(["pubmed", "pmc"])))
    assert len(literature)
    assert pc.max(literature["year"]).as_py() <= 2023
    late = documents.filter(pc.equal(documents["fate"], "source.published_late"))
    assert len(late)
    assert pc.min(late["fate_value"]).as_py() > 20230831 == pc.max(late["fate_threshold"]).as_py()


@pytest.mark.slow
def test_gap_replay_writes_citations_as_meditron_did(out: Path) -> None:
    """Each mark is one id, in papers alone, and every one that opens is closed."""
    table = small("gap-replay", out)
    plan = Plan(parse_recipe(table, where="gap-replay"), Store(out), base=out)
    run_build(plan, workers=2, display=QUIET)
    added = json.loads(Path(table["tokenizer"]["file"]).read_text())["added_tokens"]
    ids = {one["content"]: one["id"] for one in added}
    shards = open_shards(plan.build.local("shards"))
    found: Counter[tuple[str, str]] = Counter()
    for row in (shards[i] for i in range(len(shards))):
        for mark in MEDITRON:
            found[shards.sources[row.source], mark] += int((row.input_ids == ids[mark]).sum())
    assert {key for key, n in found.items() if n} == {("pmc", "[bib_ref]"), ("pmc", "[/bib_ref]")}
    assert found["pmc", "[bib_ref]"] == found["pmc", "[/bib_ref]"] > 50


def test_gap_replay_has_meditrons_marks_in_its_order() -> None:
    recipe = load_recipe("gap-replay")
    assert tuple(recipe.tokenizer.special) == MEDITRON
    assert recipe.sources["pmc"].options["citations"] == "bib_ref"
    # One epoch of each paper, whatever its score: the ablation with copies by score is not GAP-Replay.
    assert all(use.buckets is None for use in recipe.sources.values())


@pytest.mark.slow
def test_open_commercial_keeps_open_licences_alone(out: Path) -> None:
    table = small("open-commercial", out)
    plan = Plan(parse_recipe(table, where="open-commercial"), Store(out), base=out)
    run_build(plan, workers=2, display=QUIET)
    documents = pq.read_table(plan.build.reading("manifest/documents.parquet"), columns=["fate", "licence"])
    kept = documents.filter(pc.equal(documents["fate"], "kept"))["licence"].unique().to_pylist()
    assert kept
    for licence in kept:
        terms = classify(licence)
        assert (terms.use, terms.share_alike) == ("commercial", False), licence
    assert pc.sum(pc.equal(documents["fate"], "licence.not_allowed")).as_py() > 0


LICENCES = (
    *(f"CC-BY{terms}-{version}" for terms in ("", "-SA", "-NC", "-ND", "-NC-SA", "-NC-ND")
      for version in ("1.0", "2.0", "2.5", "3.0", "4.0", "3.0-IGO")),
    *(f"LicenseRef-CC-BY{terms}" for terms in ("", "-SA", "-NC", "-ND", "-NC-SA", "-NC-ND")),
    *("CC0-1.0", "CC-PDDC", "PDDL-1.0", "Unlicense", "MIT", "Apache-2.0", "BSD-3-Clause", "ODC-By-1.0", "OGL-UK-3.0"),
    *("GPL-3.0-only", "GFDL-1.3-only", "ODbL-1.0", "LicenseRef-GFDL", "LicenseRef-TDM", "LicenseRef-noncommercial"),
    *("LicenseRef-NLM-PubMed", "LicenseRef-NICE-UK-Open-Content", "LicenseRef-PhysioNet-Credentialed-1.5.0"),
    *("LicenseRef-Crown-Copyright-Canada", "LicenseRef-ACS-AuthorChoice", "unknown", ""),
)  # fmt: skip


def test_no_source_or_licence_outside_the_list_can_enter_open_commercial(tmp_path: Path) -> None:
    plan = Plan(load_recipe("open-commercial"), Store(tmp_path), base=tmp_path)
    for source, card in plan.cards.items():
        assert not card.restricted
        assert not card.needs_permission
        assert card.access == "open"
        assert card.licence == "per-document" or classify(card.licence).use == "commercial"
        rules = [use for use in plan.rules(source) if use.rule == "licence.allowed"]
        assert len(rules) == 1, f"{source} meets no rule on licences"
        allowed = build_rule("licence.allowed", rules[0].parameters)
        for licence in LICENCES:
            verdict = allowed(Document(f"{source}:1", source, card.kind, "text", licence=licence))
            terms = classify(licence)
            if type(verdict).__name__ == "Keep":
                assert (terms.use, terms.share_alike) == ("commercial", False), licence
        for licence in ("CC0-1.0", "CC-BY-4.0", "LicenseRef-CC-BY", "LicenseRef-US-Government-Work"):
            verdict = allowed(Document(f"{source}:1", source, card.kind, "text", licence=licence))
            assert type(verdict).__name__ == "Keep", licence
