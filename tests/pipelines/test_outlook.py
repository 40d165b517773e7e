"""What a plan expects: the cards' figures and no others, Me-LLaMA's lesson, and caps refused before a download."""

from __future__ import annotations

import io
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from manifests.cards import find_card
from manifests.errors import RecipeError
from manifests.store import Store
from pipelines.acquisition import http_arguments
from pipelines.cli import app
from pipelines.expected import expectation
from pipelines.needs import needs
from pipelines.outlook import check_outlook, outlook
from pipelines.plan import Plan
from pipelines.plan_table import plan_facts, render_plan
from pipelines.recipe import parse_recipe, recipe_path, shipped

Table = dict[str, Any]


def table_of(name: str) -> Table:
    return tomllib.loads(recipe_path(name).read_text())


def plan_of(table: Table, folder: Path) -> Plan:
    return Plan(parse_recipe(table, where="test"), Store(folder / "out"), base=recipe_path("sample").parent)


def group(found: Any, name: str) -> Any:
    return next(one for one in found.groups if one.group == name)


def row(found: Any, name: str) -> Any:
    return next(one for one in found.sources if one.source == name)


def small_recipe(source: str, options: Table, **use: Any) -> Table:
    """A recipe of one source."""
    table = table_of("pilot")
    table["sources"] = {source: {"options": options, **use}}
    table["mixture"] |= {"total_tokens": "natural", "groups": {}}
    table["dedup"]["priority"] = []
    return table


@pytest.mark.parametrize("name", [name for name in shipped() if name != "local-files"])
def test_every_shipped_recipe_is_planned_without_network_or_credentials(name: str, tmp_path: Path) -> None:
    plan = plan_of(table_of(name), tmp_path)
    found = outlook(plan)
    check_outlook(found)
    console = Console(width=200, record=True, file=io.StringIO())
    render_plan(console, plan)
    said = console.export_text()
    for source in plan.recipe.sources:
        assert source in said
    assert json.loads(json.dumps(plan_facts(plan)))["expected"]["row_tokens"] == found.row_tokens
    for need in needs(plan):
        assert need in " ".join(said.split()) or need.split(":")[0] in said
    assert not plan.out.exists("raw")


def test_me_llamas_129b_repeats_what_there_is(tmp_path: Path) -> None:
    """The lesson in numbers: 96.75B biomedical and 6.45B clinical tokens wanted of 61.5B and 2.6B."""
    found = outlook(plan_of(table_of("me-llama-129b"), tmp_path))
    assert found.total_tokens == 129_000_000_000
    biomedical, clinical, general = (group(found, name) for name in ("biomedical", "clinical", "general"))
    assert (biomedical.target_share, clinical.target_share, general.target_share) == (0.75, 0.05, 0.2)
    assert biomedical.effective_tokens == 96_750_000_000
    assert clinical.effective_tokens == 6_450_000_000
    assert biomedical.unique_tokens == 61_514_424_000
    assert clinical.unique_tokens == 2_617_979_400
    assert round(biomedical.epochs, 2) == 1.57
    assert round(clinical.epochs, 2) == 2.46
    assert general.epochs < 1
    assert found.unknown == []
    assert all(abs(one.error_tokens) <= 1 for one in found.sources)


def test_the_bounds_of_what_is_open_give_one_point_three_to_one_point_eight_epochs(tmp_path: Path) -> None:
    table = table_of("me-llama-129b")
    table["sources"]["pmc"]["options"] = {"use": "non-commercial"}
    assert round(group(outlook(plan_of(table, tmp_path)), "biomedical").epochs, 2) == 1.31
    # Without the abstracts of full texts, which deduplication takes out, at the least that is stated.
    pubmed, pmc = find_card("pubmed"), find_card("pmc")
    assert pubmed.expected_tokens
    assert pmc.expected_tokens
    assert pubmed.expected_documents
    assert pmc.expected_documents
    mean = pubmed.expected_tokens / pubmed.expected_documents
    least = pmc.expected_tokens + mean * (pubmed.expected_documents - pmc.expected_documents)
    assert 1.6 < 96.75e9 / least < 1.8


def test_asking_for_more_than_caps_allow_names_the_shortfall_as_an_expectation(tmp_path: Path) -> None:
    table = table_of("me-llama-129b")
    for source in ("mimic-iii", "mimic-iv-note", "mimic-cxr"):
        table["sources"][source]["max_epochs"] = 2
    found = outlook(plan_of(table, tmp_path))
    assert round(group(found, "clinical").epochs, 2) == 2.46  # told all the same
    with pytest.raises(RecipeError, match="by expectation") as caught:
        check_outlook(found)
    said = str(caught.value)
    assert "would be repeated 2.464 times, and its max_epochs is 2" in said
    assert "33,633,287 tokens short: 72,527,400 unique tokens for 178,688,087 wanted" in said
    assert "Set total_tokens = 1047191" in said


def test_the_command_ends_with_two_when_the_mixture_cannot_be(tmp_path: Path) -> None:
    text = recipe_path("me-llama-129b").read_text()
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace("max_epochs = 3", "max_epochs = 2"))
    result = CliRunner().invoke(app, ["plan", str(mine), "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, RecipeError)
    assert result.exception.exit_code == 2
    assert "clinical" in result.stdout


def test_gap_replay_is_the_papers_tokens(tmp_path: Path) -> None:
    found = outlook(plan_of(table_of("gap-replay"), tmp_path))
    wanted = {"guidelines": 107, "abstracts": 5_480, "papers": 40_700, "replay": 420}
    assert {one.group: round(one.effective_tokens / 1e6) for one in found.groups} == wanted
    assert found.total_tokens == 46_707_000_000
    assert row(found, "pmc").at_most
    assert not row(found, "pubmed").at_most
    assert 1.0 <= row(found, "pmc").epochs < 1.01
    held = {one.group: one.held_out for one in found.sources}
    assert held == {"guidelines": 0.05, "abstracts": 0.03, "papers": 0.03, "replay": 0.0}
    assert {one.held_out for one in found.sources if one.group == "guidelines"} == {0.05}
    assert not row(found, "wikidoc").at_most, "the card counts what was there in August 2023"


def test_a_permission_brings_an_optional_source_in_and_nothing_else_does(tmp_path: Path) -> None:
    table = table_of("gap-replay")
    before = plan_of(table, tmp_path)
    assert "nice" in before.left_out
    assert "nice" not in before.recipe.sources
    assert all("nice" not in section.sources for section in before.recipe.mixture.groups.values())
    assert all("nice" not in rule.sources for rule in before.recipe.rules)
    table["sources"]["nice"]["permission"] = "letter of 2026-10-01"
    after = plan_of(table, tmp_path)
    assert "nice" in after.recipe.sources
    assert set(before.left_out) - set(after.left_out) == {"nice"}
    # Not optional: the same lack is a need, which stops a build.
    table["sources"]["aafp"]["optional"] = False
    strict = plan_of(table, tmp_path)
    assert any("[sources.aafp] permission" in need for need in needs(strict))
    with pytest.raises(RecipeError, match=r"\[sources\.aafp\] permission"):
        strict.check_ready()


def test_a_group_that_would_be_emptied_is_an_error(tmp_path: Path) -> None:
    table = table_of("gap-replay")
    table["mixture"]["groups"]["guidelines"]["sources"] = ["nice"]
    table["mixture"]["groups"]["papers"]["sources"] += [
        name for name in table["sources"] if name not in ("nice", "pubmed", "pmc", "redpajama")
    ]
    with pytest.raises(RecipeError, match="nothing is left of the group 'guidelines'"):
        plan_of(table, tmp_path)


CASES = [
    # source, options, use, (documents, tokens, basis, at most)
    ("pmc", {}, {}, (5_413_142, 51_360_000_000, "estimated", False)),
    ("pmc", {"use": "commercial", "citations": "drop"}, {}, (5_413_142, 51_360_000_000, "estimated", False)),
    ("pmc", {"use": "non-commercial"}, {}, (6_710_762, 63_670_000_000, "estimated", False)),
    ("pmc", {"max_articles": 1000}, {}, (1000, 9_488_021, "estimated", True)),
    ("pmc", {"licences": ["CC-BY-ND"]}, {}, (None, None, "", False)),
    ("pubmed", {"max_baseline_files": 2, "updates": False}, {}, (60_000, 20_914_576, "estimated", True)),
    ("pubmed", {"query": "asthma"}, {"loader": "pubmed_query"}, (None, None, "", False)),
    ("pubmed", {"query": "x", "max_records": 500}, {"loader": "pubmed_query"}, (500, 174_288, "estimated", True)),
    ("redpajama", {"keep_fraction": 0.5}, {}, (None, 592_000_000_000, "published", False)),
    ("redpajama", {"token_budget": 10**9}, {}, (None, 10**9, "estimated", False)),
    ("redpajama", {"token_budget": 10**9, "include": ["c4"]}, {}, (None, 10**9, "estimated", True)),
    ("redpajama", {"include": ["c4"]}, {}, (None, None, "", False)),
    ("common-pile", {}, {}, (None, None, "", False)),
    ("mimic-iv-note", {"path": "/nowhere", "tables": ["discharge"]}, {}, (None, None, "", False)),
]


@pytest.mark.parametrize(("source", "options", "use", "figures"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_a_part_has_a_figure_only_where_one_is_stated(
    source: str, options: Table, use: Table, figures: tuple[Any, ...], tmp_path: Path
) -> None:
    plan = plan_of(small_recipe(source, options, **use), tmp_path)
    found = expectation(plan, source)
    documents, tokens, basis, at_most = figures
    assert found.documents == documents
    assert found.tokens == (pytest.approx(tokens, rel=1e-4) if tokens else None)
    assert (found.basis, found.at_most) == (basis, at_most)
    assert found.source


def test_an_unknown_source_leaves_unknown_what_depends_on_it_and_nothing_more(tmp_path: Path) -> None:
    table = table_of("open-commercial")
    table["sources"]["common-pile"]["options"] = {}
    found = outlook(plan_of(table, tmp_path))
    pile, pmc = row(found, "common-pile"), row(found, "pmc")
    assert (pile.unique_tokens, pile.target_share, pile.epochs) == (None, None, None)
    assert "states no figure" in pile.expected_from
    assert group(found, "general").target_share == pytest.approx(0.2)
    assert group(found, "general").epochs is None
    assert pmc.target_share == pytest.approx(0.798)
    assert found.total_at_most
    # Natural sizes: every share depends on every size.
    table["mixture"] |= {"total_tokens": "natural", "groups": {}}
    found = outlook(plan_of(table, tmp_path))
    assert found.total_tokens is None
    assert {one.target_share for one in found.sources} == {None}


def test_a_refusal_tells_no_size_of_a_source_that_nobody_has_counted(tmp_path: Path) -> None:
    table = table_of("open-commercial")
    table["sources"]["common-pile"]["options"] = {}
    table["mixture"] |= {"total_tokens": "largest"}
    for one in table["mixture"]["groups"].values():
        del one["share"]
        one["epochs"] = 1.5 if one["sources"] == ["common-pile"] else 0.5
    told = outlook(plan_of(table, tmp_path)).shortfall
    assert "'common-pile' would be repeated 1.5 times, and its max_epochs is 1" in told
    assert "Nobody has counted its tokens." in told
    assert "000,000,000" not in told


def test_a_cutoff_makes_a_figure_of_today_an_upper_bound(tmp_path: Path) -> None:
    table = small_recipe("pubmed-guidelines", {})
    table["rules"].insert(0, {"rule": "source.published_until", "parameters": {"until": "2020", "unknown": "drop"}})
    found = expectation(plan_of(table, tmp_path), "pubmed-guidelines")
    assert found.at_most
    assert "nobody says how much" in found.source


def test_the_sample_world_is_what_no_card_speaks_of(tmp_path: Path) -> None:
    found = outlook(plan_of(table_of("sample"), tmp_path))
    assert all(one.unique_tokens is None for one in found.sources)


def test_the_contact_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(table_of("guidelines"), tmp_path)
    monkeypatch.delenv("MEDTROVE_CONTACT", raising=False)
    assert any("[network] contact" in need for need in needs(plan))
    with pytest.raises(RecipeError, match="not ready to run"):
        plan.check_ready()
    monkeypatch.setenv("MEDTROVE_CONTACT", "curator@example.org")
    assert needs(plan) == []
    assert http_arguments(plan, "cdc", {})["contact"] == "curator@example.org"


def test_how_scores_spread_a_source_is_stated_by_nobody(tmp_path: Path) -> None:
    table = table_of("gap-replay")
    table["sources"]["pubmed"]["buckets"] = {"edges": [1.0], "weights": [1, 3], "unscored": 1.0}
    table["rules"].append({"rule": "score.upsampling", "sources": ["pubmed"]})
    found = outlook(plan_of(table, tmp_path))
    assert row(found, "pubmed").unique_tokens is not None
    assert (row(found, "pubmed").epochs, row(found, "pubmed").target_share) == (None, None)
    assert row(found, "pmc").epochs is not None
