"""Recipes: every shipped one loads, every mistake is one sentence that names the fix."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import RecipeError
from pipelines.recipe import load_recipe, parse_recipe, recipe_path, resolve_path, shipped

Table = dict[str, Any]


@pytest.fixture(scope="module")
def sample() -> Table:
    return tomllib.loads(recipe_path("sample").read_text())


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_loads_and_has_its_files_name(name: str) -> None:
    assert load_recipe(name).name == name


def test_the_sample_is_complete_as_a_file(sample: Table) -> None:
    recipe = load_recipe("sample")
    for section in ("dedup", "tokenizer", "executor", "mixture"):
        declared = set(type(getattr(recipe, section)).model_fields)
        told_by_absence = {"groups", "stages", "alpha"}
        assert declared <= set(sample[section]) | told_by_absence, f"[{section}] leaves a value to a hidden default"


def mistakes() -> list[tuple[Callable[[Table], object], str]]:
    return [
        (lambda t: t["mixture"].update(sequence_lenght=3), "unknown key 'mixture.sequence_lenght'; did you mean"),
        (lambda t: t.update(dedupe={}), "unknown key 'dedupe'; did you mean 'dedup'?"),
        (lambda t: t["sources"]["cps"].update(max_epoch=3), "'sources.cps.max_epoch'; did you mean 'max_epochs'?"),
        (lambda t: t["mixture"]["groups"]["general"].update(shar=3), "did you mean 'share'?"),
        (lambda t: t["rules"][0].update(parameter={}), "did you mean 'parameters'?"),
        (lambda t: t["mixture"].update(sequence_length="x"), r"mixture.sequence_length: .* \(got 'x'\)"),
        (lambda t: t["dedup"].update(priority=["cp"]), "Did you mean 'cps'?"),
        (lambda t: t["mixture"]["groups"]["general"].update(sources=["cps"]), "'cps' is in two groups"),
        (lambda t: t["mixture"]["groups"].pop("general"), "'redpajama' is in no group"),
        (lambda t: t["mixture"].update(total_tokens="natural"), "gives no weights"),
        (lambda t: t["mixture"]["groups"]["general"].update(share=0), "greater than 0"),
        (lambda t: t["mixture"]["groups"]["general"].update(share=float("inf")), "finite number"),
        (lambda t: t["sources"]["cps"].update(max_epochs=float("inf")), "finite number"),
        (lambda t: t["mixture"].update(total_tokens=0), "mixture.total_tokens: .* greater than 0 .* 'natural'"),
        (lambda t: t["mixture"].update(total_tokens="largst"), "'largest' or 'natural' .got 'largst'"),
        (lambda t: t["mixture"].update(sequence_length=0, rows_per_shard=0), "^my.toml: mixture.sequence_length: "),
        (lambda t: t["mixture"].update(sequence_length=3_000_000_000), "mixture.sequence_length: .*less than"),
        (lambda t: t.pop("tokenizer"), "tokenizer: Field required"),
    ]


@pytest.mark.parametrize(("mistake", "sentence"), mistakes(), ids=[sentence for _, sentence in mistakes()])
def test_a_mistake_is_one_sentence(sample: Table, mistake: Callable[[Table], object], sentence: str) -> None:
    table = copy.deepcopy(sample)
    mistake(table)
    with pytest.raises(RecipeError, match=sentence) as caught:
        parse_recipe(table, where="my.toml")
    assert str(caught.value).startswith("my.toml: ")
    assert "\n" not in str(caught.value)


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'sample'"):
        load_recipe("sampel")


def test_broken_toml_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("name = \n")
    with pytest.raises(RecipeError, match=r"mine\.toml: not valid TOML: .*line 1"):
        load_recipe(str(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"llama/tokenizer\.json' is not there"):
        resolve_path("llama/tokenizer.json", base=tmp_path)
