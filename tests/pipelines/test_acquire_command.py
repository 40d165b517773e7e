"""`medtrove acquire` and `medtrove sources`: trials, refreshes, permissions, and the canary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from manifests.errors import CorpusError
from manifests.store import Store
from pipelines import snapshots
from pipelines.build import latest_build
from pipelines.cli import app

RUNNER = CliRunner()


def medtrove(*arguments: str, code: int = 0) -> str:
    done = RUNNER.invoke(app, arguments)
    if isinstance(done.exception, CorpusError):
        assert code == done.exception.exit_code, done.exception
        return str(done.exception)
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def acquire(toy: Any, *arguments: str, **changes: Any) -> dict[str, Any]:
    facts: list[dict[str, Any]] = json.loads(medtrove("acquire", toy.recipe(**changes), "--json", *arguments))
    return facts[0]


def test_a_complete_snapshot_is_not_asked_for_again(toy: Any) -> None:
    first = acquire(toy)
    assert (first["items"], first["had_it"], first["changed"]) == (29, False, True)
    asked = len(toy.requests)
    again = acquire(toy)
    assert (again["digest"], again["had_it"]) == (first["digest"], True)
    assert len(toy.requests) == asked


def test_a_trial_is_kept_apart_and_no_build_reads_it(toy: Any, here: Path) -> None:
    trial = acquire(toy, "--limit", "3")
    assert trial["items"] == 3
    assert sorted(Store(here / "build").folders("raw/toy")) == ["one-trial-3"]
    whole = acquire(toy)
    assert whole["items"] == 29


def test_a_refresh_is_a_new_revision_and_the_next_build_reads_it(toy: Any, here: Path) -> None:
    medtrove("build", toy.recipe())
    out = Store(here / "build")
    before = latest_build(out).url
    facts = acquire(toy, "--refresh")
    assert not facts["changed"]
    assert sorted(out.folders("raw/toy")) == ["one", "one.2"]
    medtrove("build", toy.recipe())
    assert latest_build(out).url == before, "the same payloads are the same build"

    toy.pages["/g/g4"] = toy.pages["/g/g9"].replace("morning", "evening")
    facts = acquire(toy, "--refresh")
    assert facts["changed"]
    assert facts["folder"].endswith("/one.3")
    medtrove("build", toy.recipe())
    assert latest_build(out).url != before
    pinned = ('snapshot = "one"', 'snapshot = "one.1"')
    medtrove("build", toy.recipe(replace=pinned))
    assert latest_build(out).url == before


def test_a_refresh_that_broke_off_leaves_builds_on_the_last_complete_revision(toy: Any, here: Path) -> None:
    acquire(toy)
    listing = toy.pages.pop("/guidelines")
    assert "HTTP 404" in medtrove("acquire", toy.recipe(), "--refresh", code=1)
    out = Store(here / "build")
    assert snapshots.current(out, "toy", "one") == "one"
    toy.pages["/guidelines"] = listing
    assert acquire(toy, "--refresh")["folder"].endswith("/one.2")


def test_a_listing_that_could_not_be_read_is_asked_for_again(toy: Any) -> None:
    right = toy.pages["/guidelines"]
    toy.pages["/guidelines"] = "<html><title>Maintenance</title><p>Back at noon.</p></html>"
    assert "is empty" in medtrove("acquire", toy.recipe(), code=2)
    toy.pages["/guidelines"] = right
    assert acquire(toy)["items"] == 29


def test_a_first_refresh_is_an_acquisition(toy: Any) -> None:
    assert acquire(toy, "--refresh")["folder"].endswith("/one")


def test_only_the_source_that_was_named(toy: Any) -> None:
    assert "has no source called 'toi'" in medtrove("acquire", toy.recipe(), "--source", "toi", code=2)
    assert acquire(toy, "--source", "toy")["items"] == 29


def test_no_permission_no_request(toy: Any) -> None:
    card = toy.folder / "toy.toml"
    text = card.read_text().replace('access = "open"', 'access = "forbidden-without-permission"')
    card.write_text(text.replace("default_on = true", "default_on = false"))
    said = medtrove("acquire", toy.recipe(), code=2)
    for word in ("needs the permission of The Toy Society", "editor@toy.example", "`permission`"):
        assert word in said
    assert toy.requests == []
    assert "covers this use" in medtrove("build", toy.recipe(), code=2)
    granted = ('snapshot = "one"', 'snapshot = "one"\npermission = "letter of 2026-11-02"')
    assert acquire(toy, replace=granted)["items"] == 29
    medtrove("build", toy.recipe(replace=granted))
    facts = latest_build(Store("build")).read_json("manifest/sources.json")
    assert facts["toy"]["permission"] == "letter of 2026-11-02"


def canary(toy: Any, *, code: int = 0, **changes: Any) -> dict[str, Any]:
    verdicts: list[dict[str, Any]] = json.loads(
        medtrove("sources", "check", toy.recipe(**changes), "--json", code=code)
    )
    return verdicts[0]


def test_the_canary_asks_for_one_listing_and_one_document(toy: Any, here: Path) -> None:
    verdict = canary(toy)
    assert (verdict["verdict"], verdict["document"], verdict["requests"]) == ("ok", "toy:g0", 2)
    assert [path for path in toy.requests if path != "/robots.txt"] == ["/guidelines", "/g/g0"]
    assert not list(here.glob("build/raw/*"))


def test_the_canary_sees_a_changed_listing_and_a_changed_page(toy: Any) -> None:
    right = dict(toy.pages)
    toy.pages["/guidelines"] = right["/guidelines"].replace('class="guideline"', 'class="card"')
    verdict = canary(toy, code=1)
    assert (verdict["verdict"], verdict["sentence"]) == ("drift", "The listing led to no item.")
    toy.pages.update(right)
    for path in (path for path in right if path.startswith("/g/")):
        toy.pages[path] = "<html><article><h1>A guideline</h1><p>Sign in to read.</p></article></html>"
    assert "container has probably changed" in canary(toy, code=1)["sentence"]


def test_a_canary_without_a_contact_is_bad_usage(toy: Any) -> None:
    nobody = ('contact = "tests@toy.example"', 'contact = ""')
    assert "the contact is ''" in medtrove("sources", "check", toy.recipe(replace=nobody), code=2)


def test_a_canarys_contact_may_come_from_the_environment(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTROVE_CONTACT", "curator@toy.example")
    assert canary(toy, replace=('contact = "tests@toy.example"', 'contact = ""'))["verdict"] == "ok"


def test_the_canary_tells_a_host_that_is_down_from_a_site_that_changed(toy: Any) -> None:
    down = (f"127.0.0.1:{toy.port}", "127.0.0.1:9")
    verdict = canary(toy, replace=down)
    assert verdict["verdict"] == "unreachable"


def test_the_table_of_sources_counts_by_ground_of_use(toy: Any) -> None:
    facts = json.loads(medtrove("sources", "--json"))
    rows = {row["source"]: row for row in facts["sources"]}
    counted = [row for row in rows.values() if row["kind"] in ("guideline", "encyclopedia") and "own" not in row["use"]]
    assert sum(facts["guidelines"].values()) == len(counted)
    assert facts["guidelines"]["on by default"] == sum(row["use"] == "on by default" for row in counted)
    assert rows["mimic-iv-note"]["use"] == "restricted"
    assert rows["local-jats"]["use"] == "your own files"
    shown = medtrove("sources")
    assert "guideline sources  on by default" in shown


def test_a_card_is_shown_with_its_terms_and_the_nearest_is_named() -> None:
    shown = " ".join(medtrove("sources", "show", "nice").split())
    card = json.loads(medtrove("sources", "show", "nice", "--json"))
    assert card["terms_quote"] in shown
    assert "the recipe must record a `permission`" in shown
    assert "Did you mean 'nice'?" in medtrove("sources", "show", "nicee", code=2)


def test_a_source_fetched_before_is_shown_with_its_count_and_day(here: Path) -> None:
    medtrove("acquire", "sample", "--source", "cps", "--source", "pubmed")
    rows = {row["source"]: row for row in json.loads(medtrove("sources", "--json"))["sources"]}
    assert rows["cps"]["fetched_items"] > 10
    assert rows["cps"]["last_success"].startswith("20")
    assert rows["magic"]["fetched_items"] is None
