"""The pass that learns boilerplate: what it leaves in text, manifest and report, however it is cut, run and killed."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from filters.furniture import line_hash
from manifests.errors import RecipeError
from manifests.explain import explain, render_explain
from manifests.query import document
from manifests.show import show
from manifests.store import Store
from manifests.verify import verify
from pipelines.build import latest_build
from pipelines.inputs import with_inputs
from pipelines.plan import STEP_VERSIONS, Plan
from pipelines.recipe import load_recipe, parse_recipe, recipe_path
from pipelines.reread import Rereading

NOTICE = "All rights reserved by the society."
CREDIT = "The committee of the college and its members met online."
NAMED = "The page of Dr Quillfeather is kept by the society."
CLINICAL = ["No known allergies.", "Give 5 mg daily.", "Keep the systolic pressure <140 mmHg."]
LINES = (NOTICE, CREDIT, NAMED)

LOADER = f'''
"""Sixty documents in twelve items, read where they are made."""
from manifests.document import Document
from manifests.identity import sha256_hex
from scrapers.snapshot import write_snapshot
from scrapers.source import Item

LINES = {list(LINES)!r}
CLINICAL = {CLINICAL!r}


class Loader:
    length = 60_000_000  # three of them are a task

    def __init__(self, config):
        self.config = config

    def acquire(self, context):
        items = []
        for n in range(12):
            context.raw.write_bytes(f"{{n:02d}}.txt", str(n).encode())
            digest = sha256_hex(str(n).encode())
            items.append(Item(f"item-{{n:02d}}", f"{{n:02d}}.txt", length=self.length, sha256=digest))
        write_snapshot(context.raw, source=self.config.source, snapshot=self.config.snapshot, items=items)

    def read(self, item, raw, resolved):
        for n in range(int(item.item[-2:]) * 5, int(item.item[-2:]) * 5 + 5):
            yield Document(
                doc_id=f"{{self.config.source}}:{{n:03d}}", source=self.config.source, kind=self.config.kind,
                text=self.text(n), licence=self.config.licence, licence_evidence="card", raw_ref=item.sha256,
                restricted=self.config.restricted, subject=f"p{{n}}" if self.config.restricted else "",
            )

    def text(self, n):
        if n == 59:
            return LINES[0]
        own = f"Subject number {{n}} has " + " ".join(f"sign{{n * k % 61}}" for k in range(1, 30))
        blocks = [LINES[0], *CLINICAL, own, *[LINES[1]] * (n % 2), LINES[2], *[f"- {{LINES[0]}}"] * (n % 3 == 0)]
        return "\\n\\n".join(blocks)


class Whole(Loader):
    length = 1  # one task
'''

CARD = """
id = "lined"
title = "Lined pages"
publisher = "The Lined Society"
kind = "KIND"
loader = "lined_pages:LOADER"
homepage = "https://lined.example/"
licence = "LICENCE"
redistribution = OPEN
terms_quote = "You may read the pages."
terms_url = "https://lined.example/terms"
terms_read = 2026-11-01
access = "ACCESS"
restricted = RESTRICTED
default_on = true
robots = "obeyed"
contact = "editor@lined.example"
phi_policy = "POLICY"
hosts = []
verified_live = false

[licence_class]
use = "USE"
attribution = true
share_alike = false
"""

RECIPE = """
name = "lined"
description = "A source that repeats itself."
[network]
contact = "tests@lined.example"
[sources.lined]
card = "lined.toml"
[[rules]]
rule = "clean.text"
[[rules]]
rule = "clean.boilerplate"
parameters = { lines = "learn" }
[dedup]
[tokenizer]
file = "package://scrapers/sample/tokenizer.json"
[mixture]
sequence_length = 64
total_tokens = "natural"
rows_per_shard = 64
"""


class World:
    """A folder with the loader, its card and the recipe, and a place for builds."""

    def __init__(self, folder: Path, *, restricted: bool = False, loader: str = "Loader") -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "lined_pages.py").write_text(LOADER)
        facts = {
            "KIND": "note" if restricted else "guideline",
            "LOADER": loader,
            "LICENCE": "LicenseRef-Lined" if restricted else "CC-BY-4.0",
            "OPEN": "false" if restricted else "true",
            "ACCESS": "credentialed" if restricted else "open",
            "RESTRICTED": "true" if restricted else "false",
            "POLICY": "note" if restricted else "guideline",
            "USE": "restricted" if restricted else "commercial",
        }
        card = CARD
        for name, value in facts.items():
            card = (
                card.replace(f'"{name}"', f'"{value}"')
                .replace(f":{name}", f":{value}")
                .replace(f"= {name}", f"= {value}")
            )
        (folder / "lined.toml").write_text(card)
        self.recipe = folder / "recipe.toml"
        self.recipe.write_text(RECIPE)

    def start(self, *arguments: str, out: str = "build") -> subprocess.Popen[str]:
        path = os.pathsep.join(filter(None, [str(self.folder), os.environ.get("PYTHONPATH", "")]))
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", *arguments, "--out", out],
            cwd=self.folder, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments: str, out: str = "build") -> str:
        running = self.start(*arguments, out=out)
        output = running.communicate(timeout=600)[0]
        assert running.returncode == 0, output
        return output

    def build(self, *arguments: str, out: str = "build") -> Store:
        self.run("build", str(self.recipe), *arguments, out=out)
        return latest_build(Store(self.folder / out))


def rows_of(build: Store, name: str = "boilerplate") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(build.local(f"manifest/{name}.parquet")).to_pylist()
    return rows


def digests(build: Store) -> dict[str, str]:
    return {name: build.sha256(name) for name in build.files() if name != "manifest/run.jsonl"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("open") / "site")


@pytest.fixture(scope="module")
def build(world: World) -> Store:
    """An open build; read it, do not touch it."""
    before = json.loads(world.run("plan", str(world.recipe), "--json"))["stages"]
    (line,) = [line for line in before if line["stage"] == "lines"]
    assert "one more reading: clean.boilerplate learns" in line["why"]
    return world.build("--workers", "2")


def test_the_manifest_lists_each_line_and_what_it_was_removed_from(build: Store) -> None:
    found = {row["line_hash"]: row for row in rows_of(build)}
    assert set(found) == {f"{line_hash(line):016x}" for line in LINES}
    notice, credit, named = (found[f"{line_hash(line):016x}"] for line in LINES)
    assert (notice["line"], notice["kind"], notice["withheld"]) == (NOTICE, "notice", "")
    # Sixty hold the notice, every third twice; of the last nothing is left, and it leaves.
    assert (notice["documents"], notice["share"], notice["documents_read"]) == (60, 1.0, 60)
    assert (notice["removed_in"], notice["occurrences"]) == (60, 80)
    assert notice["characters_removed"] == 80 * len(NOTICE) + 20 * len("- ")
    assert (credit["line"], credit["kind"], credit["documents"], credit["removed_in"]) == (
        CREDIT,
        "publication",
        29,
        29,
    )
    assert (named["line"], named["withheld"], named["removed_in"]) == ("", "person", 59)
    assert [check for check in verify(build) if not check.ok] == []
    assert "boilerplate.parquet" in build.read_json("corpus.json")["digests"]
    fates = {row["doc_id"]: row["fate"] for row in rows_of(build, "documents")}
    assert fates["lined:059"] == "clean.empty"


def test_lines_leave_the_text_and_clinical_ones_stay(world: World, build: Store) -> None:
    texts: list[str] = []
    for path in sorted((world.folder / "build/stages/prepare").rglob("text/*.parquet")):
        texts += pq.read_table(path)["text"].to_pylist()
    assert len(texts) == 59
    for text in texts:
        assert not any(line in text for line in LINES)
        assert all(line in text for line in CLINICAL)
    (lines,) = (world.folder / "build/stages/lines").glob("*/stage.json")
    assert len(json.loads(lines.read_text())["facts"]) == 4, "the source was read in several tasks"


def test_plan_skips_what_was_learnt(world: World, build: Store) -> None:
    after = json.loads(world.run("plan", str(world.recipe), "--json"))["stages"]
    assert {line["action"] for line in after} == {"skip"}


def test_the_curators_door(build: Store) -> None:
    by_source, top = show(build, "boilerplate", source="lined")["tables"]
    (row,) = by_source["rows"]
    assert (row["lines"], row["documents"], row["entered"], row["occurrences"]) == (3, 59, 60, 168)
    assert sum(one["characters_removed"] for one in top["rows"]) == row["characters"]
    assert [one["line"] for one in top["rows"]] == ["(may name a person: not told)", NOTICE, CREDIT]
    with pytest.raises(RecipeError, match="Did you mean 'lined'"):
        show(build, "boilerplate", source="line")
    told = explain(build, "lined:003")["boilerplate"]
    assert told["lines"] == 4
    assert sorted(one["line"] for one in told["which"]) == ["", NOTICE, CREDIT][:1] + sorted([NOTICE, CREDIT])
    assert explain(build, "lined:059")["boilerplate"]["lines"] == 1
    rules = {rule["rule"]: rule for rule in explain(build, "lined:003")["rules"]}
    measures = rules["clean.boilerplate"]["measures"]
    assert "boilerplate_share" in measures
    assert not [name for name in measures if ":" in name], "single lines are told apart"
    from rich.console import Console

    console = Console(width=150, record=True, file=io.StringIO())
    console.print(render_explain(explain(build, "lined:003")))
    assert f"2 x {NOTICE}" in console.export_text()
    page = build.read_bytes("report.html").decode()
    assert '<section id="boilerplate">' in page
    assert NOTICE in page
    assert "Quillfeather" not in page


def test_a_document_is_read_again_without_its_lines(
    build: Store, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(world.folder))
    replay = Rereading(build).replay(document(build, "lined:003"))
    assert replay.differences == ()
    assert NOTICE in replay.extracted
    assert NOTICE not in replay.final


def test_one_task_or_four_one_worker_or_two(build: Store, world: World, tmp_path: Path) -> None:
    again = world.build("--workers", "1", out=str(tmp_path / "again"))
    assert digests(again) == digests(build)
    whole = World(tmp_path / "whole", loader="Whole").build()
    assert whole.sha256("manifest/boilerplate.parquet") == build.sha256("manifest/boilerplate.parquet")


def test_killed_at_the_pass_and_run_again(build: Store, world: World) -> None:
    stages = world.folder / "storm" / "stages"
    for moment in ("lines/*/tasks.json", "lines/*/done/00001.json", "lines/*/lines.json"):
        running = world.start("build", str(world.recipe), "--workers", "1", out="storm")
        while running.poll() is None and not list(stages.glob(moment)):
            time.sleep(0.005)
        os.kill(running.pid, signal.SIGKILL)
        running.communicate()
        assert not list(stages.parent.glob("builds/*/corpus.json")), "killed before its end"
    assert digests(world.build(out="storm")) == digests(build)
    # Lost with its stage, what was learnt is learnt again for the manifest, and the text is not prepared again.
    prepared = next(stages.glob("prepare/*/stage.json")).stat().st_mtime_ns
    shutil.rmtree(stages / "lines")
    latest_build(Store(stages.parent)).remove("corpus.json")
    assert digests(world.build(out="storm")) == digests(build)
    assert next(stages.glob("prepare/*/stage.json")).stat().st_mtime_ns == prepared


def test_no_word_of_a_restricted_source_is_told(tmp_path: Path) -> None:
    world = World(tmp_path / "ward", restricted=True)
    build = world.build()
    assert [check for check in verify(build) if not check.ok] == []
    rows = rows_of(build)
    assert {row["line_hash"] for row in rows} == {f"{line_hash(line):016x}" for line in LINES}
    assert {(row["line"], row["withheld"]) for row in rows} == {("", "restricted")}
    assert [row["characters"] for row in rows] == [
        len(line) for line in sorted(LINES, key=lambda one: f"{line_hash(one):016x}")
    ]
    told = str(show(build, "boilerplate"))
    told += str([explain(build, "lined:003"), rows, *(rows_of(build, name) for name in ("documents", "measures"))])
    for path in sorted((tmp_path / "ward/build").rglob("*")):
        inside = path.relative_to(tmp_path / "ward/build").as_posix()
        listed = inside.startswith("builds/") or "/counts/" in inside or path.name == "lines.json"
        if not path.is_file() or not (listed or "/logs/" in inside) or path.suffix == ".arrow":
            continue
        assert not listed or path.stat().st_mode & 0o077 == 0
        is_table = path.suffix == ".parquet"
        told += str(pq.read_table(path).to_pylist()) if is_table else path.read_text(encoding="utf-8")
    for word in ("Quillfeather", "rights reserved by", "committee of the college"):
        assert word not in told


@pytest.mark.parametrize(
    ("check", "change"),
    [
        ("boilerplate.removed", lambda rows: rows[0].update(removed_in=rows[0]["removed_in"] + 1)),
        ("boilerplate.removed", lambda rows: rows[0].update(characters_removed=1)),
        ("boilerplate.edits", lambda rows: rows[0].update(occurrences=rows[0]["occurrences"] - 1)),
        ("boilerplate.edits", lambda rows: rows.pop()),
        ("boilerplate.lines", lambda rows: rows.reverse()),
        ("boilerplate.lines", lambda rows: [row.update(line=row["line"].upper()) for row in rows]),
        ("boilerplate.lines", lambda rows: rows[0].update(share=0.123)),
        ("boilerplate.privacy", lambda rows: [row.update(line="told") for row in rows if row["withheld"]]),
    ],
)
def test_verify_finds_the_lie(build: Store, tmp_path: Path, check: str, change: Callable[[Any], Any]) -> None:
    import pyarrow as pa

    lying = Store(tmp_path / "lying")
    shutil.copytree(build.local(), lying.local())
    table = pq.read_table(lying.local("manifest/boilerplate.parquet"))
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), lying.local("manifest/boilerplate.parquet"))
    assert check in {one.name for one in verify(lying) if not one.ok}


def planned(change: Callable[[dict[str, Any]], Any], folder: Path) -> Plan:
    table = tomllib.loads(recipe_path("sample").read_text())
    rules = [rule for rule in table["rules"] if rule["rule"] != "clean.boilerplate"]
    rules.insert(3, {"rule": "clean.boilerplate", "parameters": {"lines": "learn"}, "sources": ["cps", "cdc"]})
    table["rules"] = rules
    change(table)
    plan = Plan(parse_recipe(table, where="test"), Store(folder), base=folder)
    for source in plan.recipe.sources:
        plan.raw(source).write_json("snapshot.json", {"digest": f"digest of {source}", "items": 1})
    return plan


def test_the_pass_is_planned_where_the_rule_learns_and_is_in_the_name_of_prepare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def names(change: Callable[[dict[str, Any]], Any]) -> dict[str, str]:
        plan = planned(change, tmp_path / "out")
        return {f"{stage.name} {stage.source}": stage.fingerprint for stage in plan.stages()}

    before = names(lambda table: None)
    assert [name for name in before if name.startswith("lines")] == ["lines cps", "lines cdc"]
    for change, renamed in (
        (lambda table: table["rules"][3]["parameters"].update(min_share=0.5), True),
        (lambda table: table["rules"][2].update(parameters={"quotes": "straight"}), True),
        # A rule that comes later changes what is prepared, and not what is learnt.
        (lambda table: table["rules"][5]["parameters"].update(min_words=99), False),
    ):
        after = names(change)
        assert (after["lines cps"] != before["lines cps"]) is renamed
        assert after["prepare cps"] != before["prepare cps"]
    # Readers that changed give other lines.
    monkeypatch.setitem(STEP_VERSIONS, "prepare", STEP_VERSIONS["prepare"] + 1)
    assert names(lambda table: None)["lines cps"] != before["lines cps"]
    monkeypatch.undo()
    own = names(lambda table: table["sources"]["cps"].update(rules={"clean.boilerplate": {"min_documents": 50}}))
    assert own["lines cps"] != before["lines cps"]
    assert own["lines cdc"] == before["lines cdc"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table["rules"][3]["parameters"].update(min_shares=0.5), "takes no parameter 'min_shares'"),
        (lambda table: table["rules"][3]["parameters"].update(min_share=2), "cannot learn with min_share = 2"),
        (lambda table: table["rules"][3].update(parameters={}), "needs the parameter 'lines'"),
        (lambda table: table["rules"][3]["parameters"].update(lines="absent.json"), "'absent.json' is not there"),
        (lambda table: table["rules"].append(table["rules"][3]), "2 times"),
    ],
)
def test_a_recipe_that_cannot_learn_is_told_before_anything_runs(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        planned(change, tmp_path / "out").check_ready()


def test_rules_for_sources_that_were_not_found_do_not_meet_the_others(tmp_path: Path) -> None:
    (tmp_path / "pages.jsonl").write_text(json.dumps({"id": "1", "text": "Offer rest. " * 40}) + "\n")
    recipe = load_recipe("local-files")
    with_text = with_inputs(recipe, [str(tmp_path / "pages.jsonl")])
    assert [rule.sources for rule in with_text.rules if rule.rule == "clean.boilerplate"] == [["local-text"]]
    parse_recipe(with_text.model_dump(mode="json", exclude_none=True), where="a build's own recipe")
    rules = [rule.model_copy(update={"sources": ["local-jats"]}) for rule in recipe.rules]
    recipe = recipe.model_copy(update={"rules": rules})
    assert with_inputs(recipe, [str(tmp_path / "pages.jsonl")]).rules == []
