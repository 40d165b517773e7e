"""What cleaning removed: counted again, closed document by document, and an alarm that never fails a build."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from manifests.build import stages
from manifests.errors import RecipeError
from manifests.removed import MAX_REMOVED_DIGITS, alarms, count_removed, lost, stated_removed, thresholds
from manifests.report import write_report
from manifests.show import render_show, show
from manifests.store import Store
from manifests.verify import verify
from manifests.write import write_lines

Rows = list[dict[str, Any]]


@pytest.fixture
def build(true_build: Store, tmp_path: Path) -> Store:
    folder = tmp_path / "copy"
    shutil.copytree(true_build.local(), folder)
    return Store(folder, mode=0o600)


def checks(build: Store) -> dict[str, Any]:
    return {check.name: check for check in verify(build) if check.name.startswith("removed.")}


def table_rows(build: Store, number: int, source: str = "") -> Rows:
    rows: Rows = show(build, "removed", source)["tables"][number]["rows"]
    return rows


def test_what_was_removed_is_the_difference_of_the_columns(true_build: Store) -> None:
    import pyarrow.parquet as pq

    rows = pq.read_table(true_build.local("manifest/documents.parquet")).to_pylist()
    for source, of in count_removed(true_build).items():
        kept = [row for row in rows if row["source"] == source and row["fate"] == "kept"]
        assert of["documents"] == len(kept)
        assert of["characters"] == sum(row["n_chars_raw"] for row in kept)
        assert of["characters"] - of["final_characters"] == of["rules"]["clean.text"]["removed_characters"]
        assert of["rules"]["clean.text"]["documents"] == sum(row["edits"] == "clean.text" for row in kept)


def change(path: str, edit: Callable[[Rows], Any]) -> Callable[[Store, Any], None]:
    return lambda build, tools: tools.rewrite_table(build, f"manifest/{path}.parquet", edit)


def first_removed(rows: Rows) -> dict[str, Any]:
    return next(row for row in rows if row["measure"] == "removed_characters")


LIES = [
    change("measures", lambda rows: first_removed(rows).update(value=first_removed(rows)["value"] + 1)),
    change("measures", lambda rows: rows.remove(first_removed(rows))),
    change("documents", lambda rows: rows[3].update(n_chars=rows[3]["n_chars"] - 1)),
    change("documents", lambda rows: rows[-1].update(n_chars_raw=rows[-1]["n_chars_raw"] + 1)),
    change("measures", lambda rows: rows[-1].update(doc_id="zz:nobody", rule="extract.text")),
]


@pytest.mark.parametrize("lie", LIES)
def test_a_document_whose_counts_do_not_close_fails(lie: Any, build: Store, tools: Any) -> None:
    lie(build, tools)
    found = checks(build)["removed.close"]
    assert not found.ok
    assert found.detail


def test_a_summary_that_says_otherwise_fails(build: Store) -> None:
    lines = stages(build)
    line = next(line for line in lines if line["stage"] == "prepare")
    line["removed"]["rules"]["clean.text"]["removed_characters"] -= 1
    write_lines(build, "manifest/stages.jsonl", lines)
    found = checks(build)
    assert found["removed.close"].ok
    assert not found["removed.counted"].ok
    assert line["source"] in found["removed.counted"].detail


def removed(**sums: int) -> dict[str, Any]:
    return {"documents": 9, "characters": 10_000, "final_characters": 0, "digits": 1_000, "extraction": {},
            "rules": {"clean.text": {"documents": 9, **sums}}}  # fmt: skip


@pytest.mark.parametrize(
    ("sums", "raised"),
    [
        ({"removed_characters": 200}, []),
        ({"removed_characters": 201}, ["characters"]),
        ({"removed_characters": 900, "removed_spaces": 800}, []),  # white space is no text
        ({"removed_characters": 900, "added_characters": 800}, []),  # other quotes are no loss
        ({"removed_characters": 900, "added_characters": 800, "added_spaces": 700}, ["characters"]),
        ({"removed_digits": 1}, []),
        ({"removed_digits": 2}, ["digits"]),
        ({"removed_characters": 500, "removed_digits": 5}, ["characters", "digits"]),
    ],
)
def test_alarms_by_default(sums: dict[str, int], raised: list[str]) -> None:
    assert [alarm.what for alarm in alarms({"cps": removed(**sums)}, {})] == raised


def test_identifiers_are_no_cause_for_alarm_and_boilerplate_is() -> None:
    of = removed()
    of["rules"]["phi.check"] = {"removed_characters": 9_000, "removed_digits": 900}
    assert alarms({"cps": of}, {}) == []
    of["rules"]["clean.boilerplate"] = {"removed_characters": 900, "removed_digits": 0}
    assert [(alarm.what, alarm.rule) for alarm in alarms({"cps": of}, {})] == [("characters", "clean.boilerplate")]


def test_a_source_has_the_recipes_thresholds_or_its_own() -> None:
    recipe = {"alarms": {"removed_characters": 0.5, "sources": {"cps": {"removed_characters": 0.1}}}}
    assert thresholds(recipe, "cps") == {"characters": 0.1, "digits": MAX_REMOVED_DIGITS}
    assert thresholds(recipe, "magic")["characters"] == 0.5
    assert lost({"removed_characters": 3, "added_characters": 5}, "characters") == 0


def test_an_alarm_is_shown_everywhere_and_fails_nothing(build: Store) -> None:
    # Every third document of the toy build lost a seventh of its characters.
    assert all(check.ok for check in verify(build, fast=True))
    found = checks(build)["removed.alarms"]
    assert found.ok
    assert len(found.warning.splitlines()) == 3
    assert "guides: cleaning removed" in found.warning
    rows = table_rows(build, 0)
    assert all("ALARM characters" in row["alarm"] and "clean.text" in row["alarm"] for row in rows)
    write_report(build)
    page = build.read_bytes("report.html").decode()
    assert page.count("ALARM guides: cleaning removed") == 1
    assert 'id="removed"' in page


def test_a_recipe_that_expects_it_raises_none(build: Store) -> None:
    recipe = build.read_bytes("manifest/recipe.toml").decode()
    build.write_bytes("manifest/recipe.toml", (recipe + "\n[alarms]\nremoved_characters = 0.3\n").encode())
    assert checks(build)["removed.alarms"].warning == ""
    assert all(row["alarm"] == "" for row in table_rows(build, 0))
    write_report(build)
    assert "ALARM" not in build.read_bytes("report.html").decode()


def test_show_removed_fits_a_screen_and_tells_one_source_in_full(build: Store) -> None:
    told = Console(file=StringIO(), width=200)
    told.print(render_show("removed", show(build, "removed")))
    assert len(told.file.getvalue().splitlines()) < 24  # type: ignore[attr-defined]
    stated = stated_removed(stages(build))["papers"]
    (row,) = table_rows(build, 1, "papers")
    assert row["removed_characters"] == stated["rules"]["clean.text"]["removed_characters"]
    with pytest.raises(RecipeError, match="papers"):
        show(build, "removed", "paper")
    with pytest.raises(RecipeError, match="takes no --source"):
        show(build, "mix", "papers")


def test_few_identifiers_of_a_restricted_source_are_not_told(build: Store) -> None:
    lines = stages(build)
    for line in lines:
        if line["stage"] == "prepare":
            line["removed"]["rules"]["phi.check"] = {"documents": 3, "removed_characters": 41}
    write_lines(build, "manifest/stages.jsonl", lines)
    shares = {row["source"]: row["phi_share"] for row in table_rows(build, 0)}
    assert shares["wards"] == "<11 documents"
    assert isinstance(shares["papers"], float)
    (row,) = (row for row in table_rows(build, 1, "wards") if row["rule"] == "phi.check")
    assert row == {"source": "wards", "rule": "phi.check", "documents": "<11"}
