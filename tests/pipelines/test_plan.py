"""Fingerprints: what changes a byte changes a name, and nothing else does."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import RecipeError
from manifests.store import Store
from pipelines.agenda import agenda
from pipelines.chunks import chunk_by_bytes
from pipelines.needs import needs
from pipelines.plan import Plan
from pipelines.recipe import load_recipe, parse_recipe, recipe_path, resolve_path, shipped

Table = dict[str, Any]


@pytest.fixture
def table() -> Table:
    return copy.deepcopy(tomllib.loads(recipe_path("sample").read_text()))


def plan_of(table: Table, out: Path, *, acquired: bool = True) -> Plan:
    plan = Plan(parse_recipe(table, where="test"), Store(out), base=recipe_path("sample").parent)
    if acquired:
        for source in plan.recipe.sources:
            plan.raw(source).write_json("snapshot.json", {"digest": f"digest of {source}", "items": 1})
    return plan


def rule_of(table: Table, name: str) -> Table:
    found: Table = next(rule for rule in table["rules"] if rule["rule"] == name)
    return found


def names(plan: Plan) -> dict[str, str]:
    return {f"{stage.name} {stage.source}": stage.fingerprint for stage in plan.stages()}


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_is_planned(name: str, tmp_path: Path) -> None:
    plan = Plan(load_recipe(name), Store(tmp_path), base=recipe_path(name).parent)
    lines = agenda(plan)
    assert {line["stage"] for line in lines} >= {"acquire", "prepare", "dedup", "tokenize", "weigh", "mix", "assemble"}
    assert all(line["action"] == "run" for line in lines)
    assert all(line["why"] for line in lines)


def test_what_is_not_acquired_has_no_name_yet(table: Table, tmp_path: Path) -> None:
    assert set(names(plan_of(table, tmp_path, acquired=False)).values()) == {""}


def neutral() -> list[Callable[[Table], object]]:
    return [
        lambda t: t["executor"].update(workers=7),
        lambda t: t["executor"].update(gigabytes_per_worker=9.0),
        lambda t: t.update(output="elsewhere"),
        lambda t: t.update(routes={"www.cps.ca": "127.0.0.1:1"}),
        lambda t: t["network"].update(contact="someone@else.org"),
        lambda t: t["sources"]["cps"]["options"].update(delay_seconds=9.0),
        lambda t: t.update(description="Other words."),
    ]


@pytest.mark.parametrize("change", neutral(), ids=lambda change: str(change.__code__.co_firstlineno))
def test_where_and_how_fast_changes_no_name(table: Table, tmp_path: Path, change: Callable[[Table], object]) -> None:
    before = names(plan_of(copy.deepcopy(table), tmp_path))
    change(table)
    assert names(plan_of(table, tmp_path)) == before


def effects() -> list[tuple[str, Callable[[Table], object], str, str]]:
    """(what, change, a stage it renames, a stage it leaves alone)."""
    return [
        ("rule", lambda t: rule_of(t, "quality.words")["parameters"].update(min_words=26), "prepare cps", ""),
        (
            "own rule",
            lambda t: t["sources"]["cps"].update(rules={"quality.words": {"min_words": 9}}),
            "prepare cps",
            "prepare pmc",
        ),
        ("dedup", lambda t: t["dedup"].update(jaccard=0.9), "dedup all", "prepare cps"),
        ("bands", lambda t: t["dedup"].update(bands=20), "prepare cps", ""),
        ("row", lambda t: t["mixture"].update(sequence_length=256), "tokenize cps", "dedup all"),
        ("share", lambda t: t["mixture"]["groups"]["general"].update(share=5), "weigh all", "tokenize cps"),
        ("epochs", lambda t: t["sources"]["cps"].update(max_epochs=5), "weigh all", "tokenize cps"),
        ("shard", lambda t: t["mixture"].update(rows_per_shard=64), "mix all", "weigh all"),
        ("name", lambda t: t.update(name="other"), "mix all", "weigh all"),
    ]


@pytest.mark.parametrize(("what", "change", "renamed", "left"), effects(), ids=[row[0] for row in effects()])
def test_what_changes_a_byte_renames_its_stage_and_all_after(
    table: Table, tmp_path: Path, what: str, change: Callable[[Table], object], renamed: str, left: str
) -> None:
    before = names(plan_of(copy.deepcopy(table), tmp_path))
    change(table)
    after = names(plan_of(table, tmp_path))
    assert after[renamed] != before[renamed]
    assert after["mix all"] != before["mix all"]
    if left:
        assert after[left] == before[left]


def test_new_payloads_rename_their_source_only(table: Table, tmp_path: Path) -> None:
    plan = plan_of(table, tmp_path)
    before = names(plan)
    plan.raw("cps").write_json("snapshot.json", {"digest": "another", "items": 1})
    after = names(plan)
    assert after["prepare cps"] != before["prepare cps"]
    assert after["prepare pmc"] == before["prepare pmc"]
    assert after["dedup all"] != before["dedup all"]


def test_the_content_of_a_rules_file_counts_not_its_path(table: Table, tmp_path: Path) -> None:
    index = tmp_path / "questions.jsonl"
    rule = next(rule for rule in table["rules"] if rule["rule"] == "decontaminate.ngrams")
    index.write_text('{"benchmark": "b", "id": "1", "question": "one"}\n')
    rule["parameters"]["index"] = str(index)
    before = names(plan_of(copy.deepcopy(table), tmp_path / "out"))
    moved = tmp_path / "moved.jsonl"
    moved.write_bytes(index.read_bytes())
    rule["parameters"]["index"] = str(moved)
    assert names(plan_of(copy.deepcopy(table), tmp_path / "out")) == before
    moved.write_text('{"benchmark": "b", "id": "1", "question": "another"}\n')
    assert names(plan_of(table, tmp_path / "out")) != before


def test_an_unknown_rule_and_a_stray_parameter_are_named(table: Table, tmp_path: Path) -> None:
    table["rules"][0]["rule"] = "source.state"
    with pytest.raises(RecipeError, match=r"no rule called 'source\.state'"):
        plan_of(table, tmp_path)
    table["rules"][0]["rule"] = "source.status"
    table["sources"]["cps"]["rules"] = {"quality.length": {}}
    with pytest.raises(RecipeError, match=r"'quality\.length' is not in the recipe's"):
        plan_of(table, tmp_path)


def test_the_129b_recipe_says_what_it_needs(tmp_path: Path) -> None:
    plan = Plan(load_recipe("me-llama-129b"), Store(tmp_path), base=recipe_path("me-llama-129b").parent)
    said = " ".join(needs(plan))
    for what in ("tokenizer.json", "contact", "mimic-iv-note"):
        assert what in said
    with pytest.raises(RecipeError, match="not ready to run"):
        plan.check_ready()


def test_a_tokenizer_that_cannot_serve_is_among_what_is_missing(table: Table, tmp_path: Path) -> None:
    whole = resolve_path(table["tokenizer"]["file"]).read_text()
    file = tmp_path / "tokenizer.json"
    table["tokenizer"]["file"] = str(file)
    faults = {
        whole[: len(whole) // 2]: "not JSON",
        whole.replace("<|begin_of_text|>", "<|x|>").replace("<|end_of_text|>", "<|y|>"): "no bos token",
        whole: "",
    }
    for content, fault in faults.items():
        file.write_text(content)
        plan = plan_of(copy.deepcopy(table), tmp_path / "out")
        assert [need for need in needs(plan) if "[tokenizer]" in need and fault in need] == needs(plan)[: bool(fault)]
        if fault:
            with pytest.raises(RecipeError, match=fault):
                plan.check_ready()
    table["tokenizer"]["special"] = ["[bib_ref]"]
    assert "no special token '[bib_ref]'" in " ".join(needs(plan_of(table, tmp_path / "out")))


def test_tasks_follow_bytes() -> None:
    assert chunk_by_bytes(iter([5, 5, 11, 1]), 10) == ([[0, 2], [2, 3], [3, 4]], 22)
    assert chunk_by_bytes([], 10) == ([[0, 0]], 0)
