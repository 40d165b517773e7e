"""epfl-llm/guidelines: a pinned file of the hub or one's own, read row by row, each text under its origin's terms."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.cards import find_card
from manifests.document import Document, Quarantined
from manifests.errors import RecipeError, SourceError
from manifests.store import Store
from scrapers.guidelines.epfl import MAX_BAD_ROWS, REVISION, licence_of
from scrapers.sample import site_epfl_guidelines as sample
from scrapers.sample.server import SampleServer, serve
from scrapers.snapshot import read_items, read_snapshot
from scrapers.source import AcquireContext, SourceConfig, load

SOURCE = "epfl-guidelines"
NICE = {"id": "a1", "source": "nice", "title": "Pressure", "raw_text": "Keep it <120.", "clean_text": "Keep it 120."}


def config(**options: Any) -> SourceConfig:
    card = find_card(SOURCE)
    given = {"delay_seconds": 0.0, **({} if "path" in options else sample.OPTIONS[SOURCE]), **options}
    return SourceConfig(SOURCE, card.loader, card.kind, card.licence, options=given)


def acquire(raw: Store, server: SampleServer | None = None, **options: Any) -> dict[str, Any]:
    http = {"contact": "curator@example.org", "routes": server.routes if server else {}, "max_tries": 4}
    load(config(**options)).acquire(AcquireContext(raw, http, lambda *, done, total, note="": None))
    return read_snapshot(raw)


def read(raw: Store, **options: Any) -> tuple[dict[str, Document], dict[str, Quarantined]]:
    found = [one for item in read_items(raw) for one in load(config(**options)).read(item, raw, None)]
    kept = [one for one in found if isinstance(one, Document)]
    assert len({one.doc_id for one in kept}) == len(kept)
    return {one.doc_id: one for one in kept}, {one.item: one for one in found if isinstance(one, Quarantined)}


def own(tmp_path: Path, *rows: Any, name: str = "rows.jsonl", **options: Any) -> Any:
    path = tmp_path / "own" / name
    path.parent.mkdir(exist_ok=True)
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    else:
        body = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows).encode()
        path.write_bytes(gzip.compress(body) if name.endswith(".gz") else body)
    raw = Store(tmp_path / f"raw-{name}")
    acquire(raw, path=str(path))
    return read(raw, path=str(path), **options)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    world = tmp_path_factory.mktemp("world")
    return world, sample.write(world, 7)["sources"][SOURCE]


@pytest.fixture(scope="module")
def captured(
    site: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Store, dict[str, Any], list[Any]]:
    raw = Store(tmp_path_factory.mktemp("raw"))
    with serve(site[0]) as server:
        return raw, acquire(raw, server), server.requests


def test_what_was_planted_is_what_comes(site: Any, captured: Any) -> None:
    kept, aside = read(captured[0])
    assert {item.item: item.sha256 for item in read_items(captured[0])} == site[1]["items"]
    assert sorted(kept) == site[1]["documents"]
    assert {name: one.reason for name, one in aside.items()} == site[1]["aside"]
    for one in kept.values():
        assert "huggingface.co" in one.url or one.url.startswith("https://www.example.org/nice/")
        assert "Signature" not in one.url
        assert (one.kind, one.lang) == ("guideline", "en")


def test_a_branch_is_fetched_and_recorded_by_its_commit(captured: Any) -> None:
    (item,) = read_items(captured[0])
    assert json.loads(item.meta)["commit"] == sample.COMMIT
    assert not [one.path for one in captured[2] if "/resolve/main/" in one.path]


def test_the_default_is_a_commit_and_no_branch() -> None:
    assert len(REVISION) == 40
    assert int(REVISION, 16)


def test_a_file_cut_short_goes_on_where_it_stopped(captured: Any) -> None:
    asked = [one for one in captured[2] if one.host == sample.FILES_HOST and one.path != "/robots.txt"]
    assert [(one.status, one.whole) for one in asked] == [(200, False), (503, True), (206, True)]
    assert asked[-1].headers["range"].startswith("bytes=")


def test_another_file_than_the_hub_lists_is_an_error_and_is_not_kept(tmp_path: Path) -> None:
    world = tmp_path / "w"
    sample.write(world, 7)
    (signed,) = (one for one in (world / sample.FILES_HOST).iterdir() if "repos" in one.name)
    signed.write_bytes(signed.read_bytes().replace(b"Otitis", b"OTITIS").replace(b"the", b"THE", 1))
    raw = Store(tmp_path / "raw")
    with serve(world) as server, pytest.raises(SourceError, match="not the one in the hub's list"):
        acquire(raw, server)
    assert not raw.exists("snapshot.json")


def test_a_data_set_without_the_file_is_an_error_that_names_the_pattern(site: Any, tmp_path: Path) -> None:
    with serve(site[0]) as server, pytest.raises(SourceError, match=r"guidelines-v2\.jsonl"):
        acquire(Store(tmp_path), server, files=["guidelines-v2.jsonl"])


def test_clean_text_is_damaged_and_raw_text_is_not(tmp_path: Path) -> None:
    row = {"id": "b2", "source": "cma", "raw_text": sample.RAW, "clean_text": sample.cleaned(sample.RAW)}
    raw = own(tmp_path, row)[0]["epfl-guidelines:cma-b2"].text
    for kept in ("<120 mmHg and pulse >60", "velorimab 75 mg", "[strong recommendation]", "often with food", "120/80"):
        assert kept in raw
    assert "example.org" not in raw
    clean = own(tmp_path, row, text="clean_text")[0]["epfl-guidelines:cma-b2"].text
    for lost in ("120", "velorimab", "strong", "often"):
        assert lost not in clean
    assert "Target pressure 60 per minute" in clean


@pytest.mark.parametrize(
    ("origin", "text", "licence"),
    [
        ("wikidoc", "", "CC-BY-SA-3.0"),
        ("nice", "", "LicenseRef-NICE-UK-Open-Content"),
        ("who", "© World Health Organization 2017", "CC-BY-NC-SA-3.0-IGO"),
        ("who", "© World Health Organization, 2016", "unknown"),
        ("who", "See https://creativecommons.org/licenses/by-nc-sa/3.0/igo/", "CC-BY-NC-SA-3.0-IGO"),
        ("who", "Published in 2020 for the ministry", "unknown"),
        ("cdc", "© World Health Organization 2019", "unknown"),
        ("pubmed", "", "unknown"),
    ],
)
def test_each_text_is_under_the_terms_of_its_origin(origin: str, text: str, licence: str) -> None:
    assert licence_of(origin, text) == (licence, licence_of(origin, text)[1])
    assert licence_of(origin, text)[1].startswith(f"origin:{origin}")


def test_licences_and_counts_of_the_sample(captured: Any) -> None:
    kept, aside = read(captured[0])
    by_origin: dict[str, list[str]] = {}
    for one in kept.values():
        (origin,) = (name.removeprefix("extract.origin_") for name in one.counts if name.startswith("extract.origin_"))
        by_origin.setdefault(origin, []).append(one.licence)
    assert by_origin.pop("who") == ["CC-BY-NC-SA-3.0-IGO", "unknown", "CC-BY-NC-SA-3.0-IGO"]
    assert by_origin.pop("nice") == ["LicenseRef-NICE-UK-Open-Content"]
    assert by_origin == {name: ["unknown"] for name in ("cma", "cco", "icrc", "pubmed", "spor")}
    assert "3 rows of the origin wikidoc" in aside["open_guidelines.jsonl wikidoc"].detail


def test_wikidoc_is_an_encyclopedia_and_left_out_unless_included(captured: Any) -> None:
    kept, aside = read(captured[0], include=["wikidoc"])
    assert {one.kind for one in kept.values()} == {"encyclopedia"}
    assert (len(kept), {one.licence for one in kept.values()}) == (3, {"CC-BY-SA-3.0"})
    assert {one.reason for name, one in aside.items() if " line " not in name} == {"extract.not_chosen"}
    every, _ = read(captured[0], exclude=[])
    assert len(every) == 9 + 3


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.parquet"])
def test_a_file_of_ones_own_is_read_where_it_lies(name: str, tmp_path: Path) -> None:
    other = {"id": "b", "source": "WHO", "title": "T", "raw_text": "Text.", "clean_text": "Text.", "more": 5}
    kept, aside = own(tmp_path, NICE, other, name=name)
    assert (sorted(kept), aside) == (["epfl-guidelines:nice-a1", "epfl-guidelines:who-b"], {})
    assert kept["epfl-guidelines:nice-a1"].text == "# Pressure\n\nKeep it <120."
    assert not [one for one in tmp_path.rglob("raw-*/files/*")]


def test_a_title_and_an_overview_stand_once_at_the_top(tmp_path: Path) -> None:
    row = {**NICE, "raw_text": "PRESSURE\r\nKeep it <120.\r\n\r\n\r\n\r\nSee later.", "overview": "For adults."}
    text = own(tmp_path, row)[0]["epfl-guidelines:nice-a1"].text
    assert text == "# Pressure\n\nFor adults.\n\nKeep it <120.\n\nSee later."


def test_a_file_of_another_make_is_told_in_one_line(tmp_path: Path) -> None:
    kept, aside = own(tmp_path, *[{"text": "Hello", "id": n} for n in range(500)])
    assert (kept, len(aside)) == ({}, MAX_BAD_ROWS)
    assert aside["rows.jsonl"].reason == "extract.unknown_format"
    assert "source and raw_text" in aside["rows.jsonl"].detail


def test_a_pointer_in_place_of_the_file_gives_no_document(tmp_path: Path) -> None:
    kept, aside = own(tmp_path, "version https://git-lfs.github.com/spec/v1", "oid sha256:" + "a" * 64)
    assert kept == {}
    assert {one.reason for one in aside.values()} == {"extract.corrupt"}


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    body = "Give 5 mg daily. " * 1000
    path = tmp_path / "big.jsonl"
    with path.open("w") as stream:
        for n in range(1000):
            stream.write(json.dumps({"id": f"r{n}", "source": "cma", "raw_text": f"{n} {body}"}) + "\n")
    raw = Store(tmp_path / "raw")
    acquire(raw, path=str(path))
    (item,) = read_items(raw)
    loader = load(config(path=str(path)))
    tracemalloc.start()
    assert sum(isinstance(one, Document) for one in loader.read(item, raw, None)) == 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert item.length > 16_000_000
    assert peak < 4_000_000


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="text is 'cleaned'"):
        load(config(text="cleaned"))
    with pytest.raises(RecipeError, match="revisions"):
        load(config(revisions="main"))
    with pytest.raises(SourceError, match=r"no file that ends in \.jsonl"):
        acquire(Store(tmp_path / "raw"), path=str(tmp_path))


def test_a_copy_of_nices_guideline_is_in_its_family(tmp_path: Path) -> None:
    url = "https://www.nice.org.uk/guidance/CG127/chapter/Guidance"
    rows = [{**NICE, "url": url}, {**NICE, "id": "a2"}, {**NICE, "id": "a3", "source": "wikidoc", "url": url}]
    kept, _ = own(tmp_path, *rows, exclude=[])
    assert [kept[f"epfl-guidelines:{name}"].family for name in ("nice-a1", "nice-a2", "wikidoc-a3")] == [
        "nice:cg127",
        "",
        "",
    ]
