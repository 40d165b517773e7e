"""PubMed, PMC, MIMIC and replay from their hosts to documents, through everything that goes wrong there."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.document import Document, Quarantined
from manifests.errors import RecipeError, SourceError
from manifests.store import Store
from scrapers import pmc, revisions
from scrapers.formats.jats import JatsArticle
from scrapers.sample import host_physionet, host_pmc, host_pubmed, host_together
from scrapers.sample.archives import gzip_stored
from scrapers.sample.literature import abstract
from scrapers.sample.medline_xml import medline_file
from scrapers.sample.server import serve
from scrapers.sample.tree import Tree, apache_listing
from scrapers.sample.world import TRUTH_FILE, write_world
from scrapers.snapshot import SNAPSHOT_FILE, read_items, read_snapshot
from scrapers.source import AcquireContext, SourceConfig, load

KINDS = {"pubmed": "abstract", "pmc": "article", "mimic": "note", "replay": "replay"}
Found = list[Document | Quarantined]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long it waits between tries is measured in test_http."""
    monkeypatch.setattr("scrapers.http.backoff_seconds", lambda tries, *, delay_seconds: 0.01)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    return folder


@pytest.fixture(scope="module")
def truth(world: Path) -> dict[str, Any]:
    planted: dict[str, Any] = json.loads((world / TRUTH_FILE).read_text())
    return planted


def config(loader: str, source: str = "", **options: Any) -> SourceConfig:
    names = {"mimic": "mimic-iv-note", "replay": "redpajama"}
    restricted = loader == "mimic"
    licence = "LicenseRef-test" if loader != "pmc" else "per-document"
    name = source or names.get(loader, loader)
    return SourceConfig(name, loader, KINDS[loader], licence, restricted=restricted, options=options)


def acquire(made: SourceConfig, world: Path, raw: Store) -> list[str]:
    """Acquire; the paths that were asked for."""
    with serve(world) as server:
        http = {"contact": "curator@example.org", "routes": server.routes, "delay_seconds": 0.0, "max_tries": 2}
        load(made).acquire(AcquireContext(raw, http, lambda *, done, total, note="": None))
        return [request.path for request in server.requests]


def read_all(made: SourceConfig, raw: Store) -> Found:
    source: Any = load(made)
    items = read_items(raw)
    resolved = source.resolve([source.profile(item, raw) for item in items]) if hasattr(source, "profile") else None
    return [found for item in items for found in source.read(item, raw, resolved)]


def documents(found: Found) -> dict[str, Document]:
    kept = [one for one in found if isinstance(one, Document)]
    by_id = {document.doc_id: document for document in kept}
    assert len(by_id) == len(kept)
    return by_id


def aside(found: Found) -> list[tuple[str, str, str]]:
    return [(one.item, one.reason, one.detail) for one in found if isinstance(one, Quarantined)]


# --------------------------------------------------------------------------------------------------------- PubMed


@pytest.fixture(scope="module")
def pubmed(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Found, list[str]]:
    raw = Store(tmp_path_factory.mktemp("pubmed"))
    asked = acquire(config("pubmed"), world, raw)
    return raw, read_all(config("pubmed"), raw), asked


def test_pubmed_takes_damaged_files_again_until_they_are_whole(
    pubmed: tuple[Store, Found, list[str]], world: Path
) -> None:
    raw, _found, asked = pubmed
    for folder, name in (("baseline", host_pubmed.BASELINE), ("updatefiles", host_pubmed.UPDATE)):
        assert asked.count(f"/pubmed/{folder}/{name}") == 2
        stored = raw.read_bytes(name)
        md5 = (world / host_pubmed.HOST / f"%2Fpubmed%2F{folder}%2F{name}.md5").read_text()
        assert md5 == f"MD5({name})= {hashlib.md5(stored, usedforsecurity=False).hexdigest()}\n"
    assert [item.item for item in read_items(raw)] == [host_pubmed.BASELINE, host_pubmed.UPDATE]


def test_pubmed_reads_the_newest_revision_of_each_record_once(
    pubmed: tuple[Store, Found, list[str]], truth: dict[str, Any]
) -> None:
    found = documents(pubmed[1])
    assert len(found) > 400
    for pmid in truth["deleted_pmids"]:
        assert f"pubmed:{pmid}" not in found
    revised, versioned = truth["superseded_pmids"]
    assert "This record was corrected" in found[f"pubmed:{revised}"].text
    assert "(version 2)" in found[f"pubmed:{versioned}"].title
    for doc_id in truth["retracted"]:
        if doc_id.startswith("pubmed:"):
            assert found[doc_id].document_status == "retracted"
    for doc_id in truth["title_only"]:
        assert doc_id not in found
    details = " ".join(detail for _item, _reason, detail in aside(pubmed[1]))
    assert "a title and no abstract: 1." in details
    assert "replaced or withdrawn by a later file: 16." in details  # 12 repeats, 3 revised, 1 deleted


def test_pubmed_other_abstracts_are_documents_of_their_own(
    pubmed: tuple[Store, Found, list[str]], truth: dict[str, Any]
) -> None:
    found = documents(pubmed[1])
    french = next(doc_id for doc_id in truth["french"] if doc_id.startswith("pubmed:"))
    whole = french.partition("#")[0]
    assert found[french].lang == "fr"
    assert found[f"{whole}#plain-language-summary"].lang == "en"
    assert found[french].text not in found[whole].text
    assert (found[whole].pmid, found[french].pmid) == (whole.removeprefix("pubmed:"), "")
    assert all(document.raw_ref and document.url.startswith("https://pubmed.") for document in found.values())


def test_a_complete_snapshot_is_frozen(pubmed: tuple[Store, Found, list[str]], world: Path) -> None:
    assert acquire(config("pubmed"), world, pubmed[0]) == []


def write_pubmed_tree(world: Path, baseline: dict[str, bytes], updates: dict[str, bytes], readme: str = "") -> None:
    tree = Tree(world, host_pubmed.HOST)
    for folder, files in (("baseline", baseline), ("updatefiles", updates)):
        listed: dict[str, int] = {}
        for name, data in files.items():
            md5 = f"MD5({name})= {hashlib.md5(data, usedforsecurity=False).hexdigest()}\n"
            tree.put(f"/pubmed/{folder}/{name}", data)
            tree.put(f"/pubmed/{folder}/{name}.md5", md5)
            listed |= {name: len(data), f"{name}.md5": len(md5)}
        tree.put(f"/pubmed/{folder}/", apache_listing(f"/pubmed/{folder}", listed))
    if readme:
        tree.put("/pubmed/baseline/README.txt", readme)
    tree.close()


def file_of(*numbers: int, deleted: tuple[str, ...] = ()) -> bytes:
    return gzip_stored(medline_file([abstract(1, number) for number in numbers], deleted))


def test_an_incomplete_new_year_is_not_mixed_with_the_old(tmp_path: Path) -> None:
    baseline = {f"pubmed26n{n:04d}.xml.gz": file_of(n) for n in (1, 2)}
    early = {"pubmed27n0001.xml.gz": file_of(9)}
    said = "The complete baseline consists of files pubmed27n0001.xml through pubmed27n0003.xml.\n"
    updates = {"pubmed26n0003.xml.gz": file_of(4), "pubmed26n0005.xml.gz": file_of(5)}
    write_pubmed_tree(tmp_path / "world", {**baseline, **early}, {**updates, "pubmed27n0004.xml.gz": file_of(6)}, said)
    raw = Store(tmp_path / "raw")
    acquire(config("pubmed"), tmp_path / "world", raw)
    assert {item.item[:8] for item in read_items(raw)} == {"pubmed26"}
    # The gap in the numbers of the updates is in the books.
    assert [entry["item"] for entry in read_snapshot(raw)["quarantined"]] == ["pubmed26n0004.xml.gz"]


def test_no_complete_baseline_is_an_error_that_says_what_is_listed(tmp_path: Path) -> None:
    write_pubmed_tree(tmp_path / "world", {"pubmed27n0002.xml.gz": file_of(1)}, {})
    with pytest.raises(SourceError, match="2027: 1 files"):
        acquire(config("pubmed"), tmp_path / "world", Store(tmp_path / "raw"))
    assert not (tmp_path / "raw" / SNAPSHOT_FILE).exists()


def test_a_file_that_never_has_its_checksum_is_put_aside(tmp_path: Path) -> None:
    good, bad = "pubmed26n0001.xml.gz", "pubmed26n0002.xml.gz"
    write_pubmed_tree(tmp_path / "world", {good: file_of(1), bad: file_of(2)}, {})
    (tmp_path / "world" / host_pubmed.HOST / f"%2Fpubmed%2Fbaseline%2F{bad}").write_bytes(file_of(3))
    raw = Store(tmp_path / "raw")
    acquire(config("pubmed"), tmp_path / "world", raw)
    assert [(entry["item"], entry["reason"]) for entry in read_snapshot(raw)["quarantined"]] == [
        (bad, "extract.checksum")
    ]
    assert list(documents(read_all(config("pubmed"), raw))) == [f"pubmed:{abstract(1, 1).pmid}"]


def test_a_pilot_takes_the_newest_baseline_files(tmp_path: Path) -> None:
    write_pubmed_tree(
        tmp_path / "world",
        {f"pubmed26n{n:04d}.xml.gz": file_of(n) for n in (1, 2, 3)},
        {"pubmed26n0004.xml.gz": file_of(4)},
    )
    raw = Store(tmp_path / "raw")
    acquire(config("pubmed", max_baseline_files=1, updates=False), tmp_path / "world", raw)
    assert [item.item for item in read_items(raw)] == ["pubmed26n0003.xml.gz"]


Row = tuple[int, int, bool]
rows = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.booleans()), max_size=6)


@given(st.lists(rows, max_size=5))
def test_the_winner_of_each_pmid_is_the_one_a_patient_reader_would_name(files: list[list[Row]]) -> None:
    tables = []
    current: dict[tuple[int, int], tuple[int, int]] = {}
    for number, content in enumerate(files):
        ordered = sorted(content, key=lambda row: row[2])  # deletions stand after all records
        for position, (pmid, version, deleted) in enumerate(ordered):
            if deleted:
                current.pop((pmid, version), None)
            else:
                current[pmid, version] = (number, position)
        columns = {
            "pmid": [row[0] for row in ordered],
            "version": [row[1] for row in ordered],
            "file": [number] * len(ordered),
            "position": list(range(len(ordered))),
            "deleted": [row[2] for row in ordered],
        }
        tables.append(revisions.pa.table(columns, schema=revisions.PROFILE))
    newest: dict[int, tuple[int, int]] = {}
    for (pmid, _version), place in sorted(current.items()):
        newest[pmid] = place
    resolved = revisions.not_read(tables)
    lost = set(zip(resolved["file"].to_pylist(), resolved["position"].to_pylist(), strict=True))
    every = {(n, p) for n, content in enumerate(files) for p in range(sum(not row[2] for row in content))}
    assert every - lost == set(newest.values())
    assert int(resolved.schema.metadata[b"merged_away"]) == len(lost) == resolved.num_rows


# ------------------------------------------------------------------------------------------------------------ PMC


@pytest.fixture(scope="module")
def articles(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Found, list[str]]:
    raw = Store(tmp_path_factory.mktemp("pmc"))
    asked = acquire(config("pmc"), world, raw)
    return raw, read_all(config("pmc"), raw), asked


def test_pmc_fetches_no_text_before_its_licence_is_accepted(
    articles: tuple[Store, Found, list[str]], truth: dict[str, Any]
) -> None:
    raw, found, asked = articles
    for pmcid, code in truth["refused_licences"].items():
        assert not [path for path in asked if f"/{pmcid}." in path and path.endswith(".xml")]
        assert f"pmc:{pmcid}" not in documents(found)
        assert f"{pmcid}\t1\tlicence {code or 'not stated'}\n" in raw.read_bytes("refused.tsv").decode()
        assert read_snapshot(raw)["counts"][f"refused: licence {code or 'not stated'}"] == 1


def test_pmc_takes_the_published_version_and_knows_the_retracted(
    articles: tuple[Store, Found, list[str]], truth: dict[str, Any]
) -> None:
    raw, found, _asked = articles
    by_id = documents(found)
    manuscript = host_pmc.article(7, host_pmc._MANUSCRIPT)
    assert "submitted version" not in by_id[f"pmc:{manuscript.pmcid}"].title
    for doc_id in truth["retracted"]:
        if doc_id.startswith("pmc:"):
            assert by_id[doc_id].document_status == "retracted"
    later = next(item for item in read_items(raw) if item.item == truth["retracted"][-1].removeprefix("pmc:"))
    assert json.loads(later.meta)["version"] == 2


def test_pmc_documents_bear_the_stricter_licence(
    articles: tuple[Store, Found, list[str]], truth: dict[str, Any]
) -> None:
    by_id = documents(articles[1])
    strict = set(truth["stricter_permissions"])
    for doc_id, document in by_id.items():
        expected = "CC-BY-NC-4.0" if doc_id in strict else "CC"
        assert document.licence.startswith(expected), doc_id
        assert ("conflict" in document.licence_evidence) == (doc_id in strict)
        assert document.pmcid
        assert "| Outcome |" in document.text or "| Drug |" in document.text


def test_pmc_falls_back_to_the_last_complete_inventory(articles: tuple[Store, Found, list[str]]) -> None:
    asked = articles[2]
    newest, older = host_pmc.DAYS[1], host_pmc.DAYS[0]
    manifests = [path for path in asked if path.endswith("manifest.json")]
    assert [newest in manifests[0], older in manifests[1]] == [True, True]


def test_pmc_ids_and_limits_narrow_what_is_asked(world: Path, tmp_path: Path, truth: dict[str, Any]) -> None:
    pmcid = truth["abstract_full_text"][0][1].removeprefix("pmc:")
    (tmp_path / "ids.txt").write_text(f"{pmcid}\n12345\n")
    raw = Store(tmp_path / "raw")
    acquire(config("pmc", ids=str(tmp_path / "ids.txt")), world, raw)
    assert [item.item for item in read_items(raw)] == [pmcid]
    assert [entry["item"] for entry in read_snapshot(raw)["quarantined"]] == ["PMC12345"]
    limited = Store(tmp_path / "limited")
    acquire(config("pmc", max_articles=3, licences=["CC-BY-4.0"]), world, limited)
    assert len(read_items(limited)) == 3


def metadata(version: int, *, manuscript: Any = False, retracted: Any = False) -> dict[str, Any]:
    return {"version": version, "is_manuscript": manuscript, "is_retracted": retracted}


@pytest.mark.parametrize(
    ("found", "version"),
    [
        ([metadata(1), metadata(3), metadata(2)], 3),
        ([metadata(1, manuscript="yes"), metadata(2)], 2),
        ([metadata(1), metadata(2, manuscript=True)], 1),
        ([metadata(1), metadata(2, retracted="yes")], 2),
        ([metadata(1, retracted=True), metadata(2)], 2),
        ([metadata(1, manuscript=1)], 1),
    ],
)
def test_the_version_that_stands_for_an_article(found: list[dict[str, Any]], version: int) -> None:
    assert pmc.chosen_version(found)["version"] == version


def stated(licence: str) -> JatsArticle:
    values = dict.fromkeys(("article_type", "text", "title", "abstract", "pmid", "pmcid", "doi", "lang"), "")
    return JatsArticle(
        **values, year=None, published="", licence=licence, licence_evidence="e", part="", notice=False, retracted=False
    )


@pytest.mark.parametrize(
    ("own", "code", "licence", "conflict"),
    [
        ("CC-BY-4.0", "CC BY", "CC-BY-4.0", False),
        ("LicenseRef-CC-BY", "CC BY", "LicenseRef-CC-BY", False),
        ("unknown", "CC BY", "LicenseRef-CC-BY", False),
        ("CC-BY-NC-4.0", "CC BY", "CC-BY-NC-4.0", True),
        ("CC-BY-4.0", "CC BY-NC", "LicenseRef-CC-BY-NC", True),
        ("LicenseRef-TDM", "CC BY", "LicenseRef-TDM", True),
        ("CC-BY-4.0", None, "CC-BY-4.0", False),
        ("CC0-1.0", "CC0", "CC0-1.0", False),
    ],
)
def test_of_two_statements_the_stricter_counts(own: str, code: str | None, licence: str, *, conflict: bool) -> None:
    found, evidence = pmc.joint_licence(stated(own), code)
    assert found == licence
    assert ("conflict" in evidence) == conflict


# ---------------------------------------------------------------------------------------------------------- MIMIC


def mimic_folder(world: Path, folder: Path) -> Path:
    """What a user's wget leaves."""
    for name in ("SHA256SUMS.txt", "note/discharge.csv.gz", "note/radiology.csv.gz"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        encoded = f"{host_physionet.ROOT}/{name}".replace("/", "%2F")
        path.write_bytes((world / host_physionet.HOST / encoded).read_bytes())
    return folder


def test_mimic_from_a_mirror_and_from_a_folder_are_the_same(world: Path, tmp_path: Path, truth: dict[str, Any]) -> None:
    mirror, own = Store(tmp_path / "mirror", mode=0o600), Store(tmp_path / "own", mode=0o600)
    acquire(config("mimic"), world, mirror)
    local = config("mimic", path=str(mimic_folder(world, tmp_path / "files")))
    acquire(local, world, own)
    first, second = documents(read_all(config("mimic"), mirror)), documents(read_all(local, own))
    assert {doc_id: document.text for doc_id, document in first.items()} == {
        doc_id: document.text for doc_id, document in second.items()
    }
    assert all(document.restricted and document.subject for document in first.values())
    assert not list((tmp_path / "own").glob("*.gz"))  # nothing is copied
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "mirror").glob("note-*")} == {0}
    (doc_id, strings), *_ = truth["identifiers"].items()
    assert all(string in first[doc_id].text for string in strings)


def test_mimic_says_which_file_is_missing_how_big_it_is_and_how_to_get_it(world: Path, tmp_path: Path) -> None:
    folder = mimic_folder(world, tmp_path / "files")
    (folder / "note" / "radiology.csv.gz").unlink()
    with pytest.raises(SourceError, match=r"radiology\.csv\.gz is not there \(expected about 0\.75 GB\)") as told:
        acquire(config("mimic", path=str(folder)), world, Store(tmp_path / "raw"))
    assert "wget" in str(told.value)
    with pytest.raises(SourceError, match=r"SHA256SUMS\.txt is not there"):
        acquire(config("mimic", path=str(tmp_path / "nowhere")), world, Store(tmp_path / "raw"))


def test_mimic_puts_a_broken_download_aside(world: Path, tmp_path: Path) -> None:
    folder = mimic_folder(world, tmp_path / "files")
    damaged = folder / "note" / "discharge.csv.gz"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    raw = Store(tmp_path / "raw")
    acquire(config("mimic", path=str(folder)), world, raw)
    assert [item.item for item in read_items(raw)] == ["note/radiology.csv.gz"]
    assert [entry["reason"] for entry in read_snapshot(raw)["quarantined"]] == ["extract.checksum"]


def test_a_mirror_with_a_wrong_copy_leaves_no_snapshot(world: Path, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "world", host_physionet.HOST)
    for name in ("note/discharge.csv.gz", "note/radiology.csv.gz"):
        tree.put(f"{host_physionet.ROOT}/{name}", gzip_stored(b"note_id,subject_id,text\n"))
    sums = "".join(f"{'0' * 64} note/{table}.csv.gz\n" for table in ("discharge", "radiology"))
    tree.put(f"{host_physionet.ROOT}/SHA256SUMS.txt", sums)
    tree.close()
    raw = Store(tmp_path / "raw")
    with pytest.raises(SourceError, match="not the one in SHA256SUMS"):
        acquire(config("mimic"), tmp_path / "world", raw)
    assert not raw.exists(SNAPSHOT_FILE)


@pytest.mark.parametrize("status", [401, 403])
def test_physionets_refusal_is_explained(world: Path, tmp_path: Path, status: int) -> None:
    tree = Tree(tmp_path / "world", host_physionet.HOST)
    tree.fault(f"{host_physionet.ROOT}/SHA256SUMS.txt", {"status": status})
    tree.close()
    with pytest.raises(SourceError, match=f"HTTP {status}") as told:
        acquire(config("mimic"), tmp_path / "world", Store(tmp_path / "raw"))
    assert "wget -r -N -c -np" in str(told.value)
    assert "credentialed" in str(told.value)


def test_mimic_must_be_restricted() -> None:
    with pytest.raises(RecipeError, match="restricted"):
        load(SourceConfig("mimic-iv-note", "mimic", "note", "LicenseRef-test"))


def test_no_quarantine_sentence_of_a_note_file_holds_its_text(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "note").mkdir(parents=True)
    table = 'note_id,subject_id,text\n1-DS-1,1,"Secret Patientname"\n2-DS-1,2\n3-DS-1,3,"never closed Patientname'
    data = gzip.compress(table.encode(), mtime=0)
    (folder / "note" / "discharge.csv.gz").write_bytes(data)
    (folder / "SHA256SUMS.txt").write_text(f"{hashlib.sha256(data).hexdigest()} note/discharge.csv.gz\n")
    raw = Store(tmp_path / "raw")
    made = config("mimic", path=str(folder), tables=["discharge"])
    acquire(made, tmp_path, raw)
    found = read_all(made, raw)
    assert list(documents(found)) == ["mimic-iv-note:1-DS-1"]
    assert [reason for _item, reason, _detail in aside(found)] == ["extract.bad_record", "extract.corrupt"]
    assert "Patientname" not in repr(aside(found))


# --------------------------------------------------------------------------------------------------------- replay


@pytest.fixture(scope="module")
def replay(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Found]:
    raw = Store(tmp_path_factory.mktemp("replay"))
    acquire(config("replay"), world, raw)
    return raw, read_all(config("replay"), raw)


def test_replay_counts_what_is_gone_broken_or_cut(replay: tuple[Store, Found], truth: dict[str, Any]) -> None:
    raw, found = replay
    told = [entry["item"] for entry in read_snapshot(raw)["quarantined"]] + [item for item, _, _ in aside(found)]
    assert sorted(told) == sorted(truth["broken_items"]["redpajama"])
    whole = documents(found)
    # The rows before the break are documents.
    assert sum(document.text.startswith("Q: ") for document in whole.values()) > 10
    for pair in truth["exact_duplicates"]:
        if pair[0].startswith("redpajama:"):
            assert whole[pair[0]].text == whole[pair[1]].text
    (leaking,) = truth["benchmark"]
    assert any(question in whole[leaking].text for question in host_together._questions())


def test_replay_reads_meta_as_table_and_as_string(replay: tuple[Store, Found]) -> None:
    from_c4 = [one for one in documents(replay[1]).values() if one.url.startswith("https://www.example.org/")]
    assert len(from_c4) > 100
    assert {document.lang for document in from_c4} == {"en"}


def test_replay_leaves_out_other_languages_and_says_so(replay: tuple[Store, Found]) -> None:
    raw = replay[0]
    found = read_all(config("replay", languages=["en"]), raw)
    assert any(item.endswith(" fr") and "1 rows declare the language fr" in detail for item, _, detail in aside(found))
    assert not [document for document in documents(found).values() if document.lang == "fr"]
    assert [document for document in documents(replay[1]).values() if document.lang == "fr"]


def test_replay_samples_files_by_hash_and_by_pattern(world: Path, tmp_path: Path) -> None:
    raw = Store(tmp_path / "raw")
    made = config("replay", include=["/c4/", "/wikipedia/"], max_files_per_subset=1)
    acquire(made, world, raw)
    assert [item.item.partition("/")[0] for item in read_items(raw)] == ["c4", "wikipedia"]


def test_replay_fields_are_configuration(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "world", "data.example.org")
    rows = [
        {"raw_content": "Bread rises slowly.", "docid": "a/1", "metadata": {"lang": "EN"}},
        {"raw_content": " ", "docid": "a/2"},
        {"other": 1},
    ]
    tree.put("/files/x.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    tree.put("/urls.txt", "https://data.example.org/files/x.jsonl\n")
    tree.close()
    fields = {"text": "raw_content", "id": "docid", "language": "metadata.lang"}
    made = config(
        "replay",
        "mirror",
        urls="https://data.example.org/urls.txt",
        base="https://data.example.org/files/",
        fields=fields,
    )
    raw = Store(tmp_path / "raw")
    acquire(made, tmp_path / "world", raw)
    found = read_all(made, raw)
    assert {key: (one.text, one.lang) for key, one in documents(found).items()} == {
        "mirror:a/1": ("Bread rises slowly.", "en")
    }
    assert [(item, reason) for item, reason, _ in aside(found)] == [
        ("x.jsonl line 2", "extract.bad_record"),
        ("x.jsonl line 3", "extract.bad_record"),
    ]


# -------------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("loader", "options", "words"),
    [
        ("pubmed", {"update": True}, "Did you mean 'updates'"),
        ("pubmed", {"updates": "yes"}, "updates is 'yes'"),
        ("pmc", {"licenses": []}, "Did you mean 'licences'"),
        ("mimic", {"tables": ["discarge"]}, "Tables are discharge, radiology"),
        ("replay", {"fields": {"txt": "a"}}, "Fields are text"),
        ("replay", {"include": ["("]}, "no regular expression"),
    ],
)
def test_a_wrong_option_is_named_with_the_way_out(loader: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words.replace("(", r"\(")):
        load(config(loader, **options))


def test_reading_again_gives_the_same_documents(pubmed: tuple[Store, Found, list[str]]) -> None:
    def plain(found: Found) -> Iterator[str]:
        return (repr(one) for one in found)

    assert list(plain(read_all(config("pubmed"), pubmed[0]))) == list(plain(pubmed[1]))
