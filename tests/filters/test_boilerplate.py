"""The rule that takes out repeated lines: what leaves, what is counted, and which lists it takes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.boilerplate import boilerplate_rule, learning, without
from filters.furniture import line_hash
from filters.line_counts import Thresholds, learn
from filters.numbers import numeric_tokens
from filters.rule import Drop, Edit, Keep
from manifests.document import Document
from manifests.errors import RecipeError

FURNITURE = "This website uses cookies."
NOTICE = "All rights reserved by the society."
CREDIT = "The committee of the college and its members met online."
STAYING = [
    "Give 5 mg by mouth.",
    "Target BP <120 is set out in this document.",
    "Do not give this drug with alcohol, says the document.",
    "# Recommendations",
    "Allergies:",
    "None known",
    "| All rights reserved | yes |",
    "Disclaimer: do not stop your medicine without asking.",
    "",
    "  ",
    "12 weeks",
    "  indented, of 5 mg",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*STAYING, FURNITURE, NOTICE, CREDIT]), max_size=30))
def test_no_number_comparator_or_unit_leaves_and_twice_is_once(lines: list[str]) -> None:
    text = "\n".join(lines)
    # A list that names every line: the rule still chooses among removable ones alone.
    hashes = frozenset(map(line_hash, filter(None, lines)))
    left, removed, characters = without(text, hashes)
    assert numeric_tokens(left) == numeric_tokens(text)
    assert without(left, hashes) == (left, {}, {})
    gone = [line for line in lines if line in (FURNITURE, NOTICE, CREDIT)]
    assert sum(removed.values()) == len(gone)
    assert sum(characters.values()) == sum(map(len, gone))
    kept = [line for line in lines if line.strip() and line not in gone]
    assert [line for line in left.split("\n") if line.strip()] == kept


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(st.text(max_size=40), st.sampled_from([FURNITURE, NOTICE, f"- {NOTICE}", f"  {FURNITURE} "])),
        max_size=12,
    )
)
def test_removing_touches_no_other_byte(parts: list[str]) -> None:
    text = "\n".join(parts)
    hashes = frozenset((line_hash(FURNITURE), line_hash(NOTICE)))
    left, removed, _ = without(text, hashes)
    if not removed:
        assert left == text
    kept = [line for line in text.split("\n") if not line or line_hash(line) not in hashes]
    # Nothing but empty lines may differ, where a line that left stood between two of them or at an end.
    assert [line for line in left.split("\n") if line] == [line for line in kept if line]
    assert without(left, hashes) == (left, {}, {})


def _written(folder: Path, content: Any) -> str:
    path = folder / "lines.json"
    path.write_bytes(orjson.dumps(content))
    return str(path)


def test_the_rule_counts_each_line_under_the_hash_its_file_lists(tmp_path: Path) -> None:
    texts = [f"# {number}\n\n{CREDIT}\n\n" + FURNITURE * (number % 2) for number in range(40)]
    content = learn(texts, Thresholds())
    assert [entry["line"] for entry in content["lines"]] == [CREDIT, FURNITURE]
    rule = boilerplate_rule(lines=_written(tmp_path, content))
    edited = rule(Document("toy:1", "toy", "guideline", f"{CREDIT}\n\nGive 5 mg.\n\n- {FURNITURE}\n\n{CREDIT}"))
    assert isinstance(edited, Edit)
    assert edited.text == "Give 5 mg."
    credit, furniture = (entry["hash"] for entry in content["lines"])
    assert edited.counts == {
        "clean.boilerplate": 3,
        f"clean.boilerplate:{credit}": 2,
        f"clean.boilerplate:{furniture}": 1,
    }
    assert 0 < edited.measures["boilerplate_share"] < 1
    assert edited.measures[f"line:{credit}"] == 2
    assert edited.measures[f"characters:{credit}"] == 2 * len(CREDIT)
    assert edited.measures[f"characters:{furniture}"] == len(FURNITURE) + 2, "as it stood, with its bullet"
    assert isinstance(rule(Document("toy:2", "toy", "guideline", "Give 5 mg.\n\n\n\nNow.")), Keep)
    empty = rule(Document("toy:3", "toy", "guideline", CREDIT))
    assert isinstance(empty, Drop)
    assert empty.reason == "clean.empty"


def test_a_file_that_says_two_things_is_refused(tmp_path: Path) -> None:
    reworded = {"lines": [{"hash": f"{line_hash(NOTICE):016x}", "line": FURNITURE}]}
    with pytest.raises(RecipeError, match="whose hash is not"):
        boilerplate_rule(lines=_written(tmp_path, reworded))
    for wrong in ({"lines": [{"hash": "not hex"}]}, {"lines": [5]}, {}, []):
        with pytest.raises(RecipeError, match="no file of boilerplate lines"):
            boilerplate_rule(lines=_written(tmp_path, wrong))
    with pytest.raises(RecipeError, match="cannot be read"):
        boilerplate_rule(lines=str(tmp_path / "absent.json"))
    (tmp_path / "lines.json").write_bytes(b"{")
    with pytest.raises(RecipeError, match="cannot be read"):
        boilerplate_rule(lines=str(tmp_path / "lines.json"))


def test_what_a_recipe_may_say_of_lines() -> None:
    assert learning({"lines": "learn"}) == Thresholds()
    assert learning({"lines": "learn", "min_share": 0.5}) == Thresholds(min_share=0.5)
    assert learning({"lines": "some/file.json"}) is None
    with pytest.raises(RecipeError, match=r"lines = None"):
        learning({})
    with pytest.raises(RecipeError, match="min_share beside the file"):
        learning({"lines": "some/file.json", "min_share": 0.5})
    for wrong in ({"min_share": 0}, {"min_share": 1.5}, {"min_documents": 1}, {"min_share": "a fifth"}):
        with pytest.raises(RecipeError, match="cannot learn with"):
            learning({"lines": "learn", **wrong})
    with pytest.raises(RecipeError, match="nothing was learnt"):
        boilerplate_rule(lines="learn")


def test_the_files_content_is_in_the_fingerprint_and_its_path_is_not(tmp_path: Path) -> None:
    from manifests.store import Store
    from pipelines.plan import Plan
    from pipelines.recipe import parse_recipe, recipe_path

    def digest(path: str) -> str:
        table = tomllib.loads(recipe_path("sample").read_text())
        table["rules"] = [rule for rule in table["rules"] if rule["rule"] != "clean.boilerplate"]
        table["rules"].insert(3, {"rule": "clean.boilerplate", "parameters": {"lines": path}, "sources": ["cps"]})
        plan = Plan(parse_recipe(table, where="test"), Store(tmp_path / "out"), base=tmp_path)
        (use,) = (use for use in plan.rules("cps") if use.rule == "clean.boilerplate")
        return use.digest

    first, moved = _written(tmp_path, {"lines": []}), tmp_path / "moved.json"
    moved.write_bytes(Path(first).read_bytes())
    assert digest(first) == digest(str(moved)) == digest("moved.json")
    moved.write_bytes(orjson.dumps({"lines": [{"hash": f"{line_hash(NOTICE):016x}"}]}))
    assert digest(first) != digest(str(moved))
