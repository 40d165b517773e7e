"""The user's own files: each told by its content, hostile ones refused, every one of them in the books."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import tarfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from manifests.cards import find_card
from manifests.document import Document, Quarantined
from manifests.errors import RecipeError
from manifests.store import Store
from scrapers import archive_members, local_sniff
from scrapers.archive_members import zstd
from scrapers.local import discover
from scrapers.local_sniff import sniff
from scrapers.sample.jats_xml import jats_file
from scrapers.sample.literature import abstract, article
from scrapers.sample.medline_xml import medline_file
from scrapers.snapshot import read_items, read_snapshot
from scrapers.source import AcquireContext, SourceConfig, load

REALDATA = os.environ.get("MEDTROVE_REALDATA")
needs_realdata = pytest.mark.skipif(not REALDATA, reason="MEDTROVE_REALDATA is not set: the real-data pack is not here")

NGC = (
    '<Version><Section Name="General"><Field Name="Guideline Title"><FieldValue Value="Care of the back"/></Field>'
    '</Section><Section Name="Recommendations"><Field Name="Major Recommendations"><FieldValue Value="&lt;p&gt;Stay '
    'active for 30 minutes a day.&lt;/p&gt;"/></Field></Section></Version>'
)
MEDQUAD = (
    '<Document id="0000001" source="X" url="https://example.org/q"><Focus>Gout</Focus><QAPairs><QAPair pid="1">'
    '<Question qid="1" qtype="information">What is gout ?</Question><Answer>A painful joint. Urate is above 360 '
    "micromol/L.</Answer></QAPair></QAPairs></Document>"
)
PUBMEDQA = {
    "123": {"QUESTION": "Does it help?", "CONTEXTS": ["We asked."], "LABELS": ["METHODS"], "LONG_ANSWER": "Yes."}
}
LONG = "A text that is long enough to be taken for the text of a document, and not for a remark."
ENTITY_BOMB = (
    '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;">]><article><body><p>&y;</p></body></article>'
)


def run(paths: list[Path], out: Path) -> tuple[dict[str, list[Document]], list[Quarantined]]:
    """Discover, acquire and read, as the pipeline does."""
    documents: dict[str, list[Document]] = {}
    aside: list[Quarantined] = []
    for source, files in discover([str(path) for path in paths]).items():
        card = find_card(source)
        config = SourceConfig(
            source, card.loader, card.kind, card.licence, restricted=card.restricted, options={"paths": files}
        )
        made: Any = load(config)
        raw = Store(out / source)
        made.acquire(AcquireContext(raw, {}, lambda *, done, total, note="": None))
        items = read_items(raw)
        resolved = made.resolve([made.profile(item, raw) for item in items]) if hasattr(made, "profile") else None
        found = [one for item in items for one in made.read(item, raw, resolved)]
        documents[source] = [one for one in found if isinstance(one, Document)]
        aside += [one for one in found if isinstance(one, Quarantined)]
        aside += [
            Quarantined(entry["item"], source, entry["reason"], entry["detail"])
            for entry in read_snapshot(raw)["quarantined"]
        ]
    return documents, aside


def tar_of(members: dict[str, bytes], compression: str = "xz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{compression}") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zip_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "source"),
    [
        ("a.bin", jats_file(article(7, 1)), "local-jats"),
        ("a.xml.gz", gzip.compress(jats_file(article(7, 1))), "local-jats"),
        ("a.tgz", tar_of({"x/a.xml": jats_file(article(7, 1))}, "gz"), "local-jats"),
        ("a.tar.zst", zstd.compress(tar_of({"x/a.nxml": jats_file(article(7, 1))}, "")), "local-jats"),
        ("a.zip", zip_of({"a.xml": jats_file(article(7, 1))}), "local-jats"),
        ("m.xml.gz", gzip.compress(medline_file([abstract(7, 1)])), "local-medline"),
        ("m.xml.xz", lzma.compress(medline_file([abstract(7, 1)])), "local-medline"),
        ("ngc-1234.xml", NGC.encode(), "local-guidelines"),
        ("q.xml", MEDQUAD.encode(), "local-qa"),
        ("q.json", json.dumps(PUBMEDQA, indent=1).encode(), "local-qa"),
        ("q.json.gz", gzip.compress(json.dumps(PUBMEDQA).encode()), "local-qa"),
        ("n.csv", f'id,note\n1,"{LONG}"\n'.encode(), "local-notes"),
        ("n.csv.gz", gzip.compress(f'ID,section_header,section_text\n1,A,"{LONG}"\n'.encode()), "local-notes"),
        ("NOTEEVENTS.csv", f'ROW_ID,SUBJECT_ID,CATEGORY,ISERROR,TEXT\n1,2,ECG,,"{LONG}"\n'.encode(), "local-notes"),
        ("t.jsonl", json.dumps({"id": "a", "clean_text": LONG}).encode() + b"\n", "local-text"),
        ("t.jsonl.zst", zstd.compress(json.dumps({"text": LONG}).encode() + b"\n"), "local-text"),
        ("t.json", json.dumps([{"text": LONG}, {"text": LONG * 2}], indent=2).encode(), "local-text"),
        ("\ufeffbom.json", b"\xef\xbb\xbf" + json.dumps({"text": LONG}).encode(), "local-text"),
    ],
)
def test_a_file_is_told_by_its_content_not_its_name(tmp_path: Path, name: str, data: bytes, source: str) -> None:
    (tmp_path / name).write_bytes(data)
    documents, aside = run([tmp_path / name], tmp_path / "out")
    assert list(documents) == [source]
    assert documents[source]
    assert aside == []
    for document in documents[source]:
        assert document.doc_id.startswith(f"{source}:")
        assert document.text.strip()
        assert len(document.raw_ref) == 64


@pytest.mark.parametrize(
    ("name", "data", "reason", "words"),
    [
        ("empty.jsonl", b"", "extract.not_a_document", "empty"),
        ("README.md", b"# Notes\n\nJust words about these files.\n", "extract.unknown_format", "structure"),
        ("x.pdf", b"%PDF-1.7\n", "extract.unknown_format", "PDF"),
        ("x.html", b"<!DOCTYPE html><html><body>hello</body></html>", "extract.unknown_format", "HTML"),
        ("x.xml", b"<?xml version='1.0'?><eInfoResult/>", "extract.unknown_format", "eInfoResult"),
        ("x.dat", b"\x00\x01\x02\x03" * 50, "extract.unknown_format", "Binary"),
        ("x.md5", b"MD5(x.xml.gz)= " + b"a" * 32 + b"\n", "extract.not_a_document", "checksum"),
        ("SHA256SUMS.txt", b"f" * 64 + b" note/discharge.csv.gz\n", "extract.not_a_document", "checksum"),
        ("x.tsv", b"file\tlicence\tyear\na.xml\tCC BY\t2012\n", "extract.not_a_document", "column of text"),
        ("x.jsonl", b'{"a": 1, "b": "two"}\n', "extract.not_a_document", "fields: a, b"),
        ("x.gz", gzip.compress(os.urandom(3000))[:-500], "extract.corrupt", "damaged"),
        ("x.tar", tar_of({"a.txt": b"words only"}, ""), "extract.unknown_format", "no member"),
        (
            "medqa.jsonl",
            json.dumps({"question": LONG, "options": {"A": "x"}, "answer": "x"}).encode(),
            "extract.not_a_document",
            "benchmark",
        ),
        (
            "medmcqa.json",
            json.dumps({"question": LONG, "opa": "x", "opb": "y", "cop": 1}).encode(),
            "extract.not_a_document",
            "benchmark",
        ),
        ("mmlu.csv", b"Which is it?,a,b,c,d,A\n" * 4, "extract.not_a_document", "benchmark"),
        (
            "phi.jsonl",
            json.dumps({"text": LONG, "spans": [{"start": 0, "end": 3}]}).encode(),
            "extract.not_a_document",
            "annotated",
        ),
    ],
)
def test_what_no_reader_takes_says_why(tmp_path: Path, name: str, data: bytes, reason: str, words: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(data)
    found = sniff(tmp_path / "in" / name)
    assert found.sources == ()
    assert found.reason == reason
    assert words in found.detail
    # Beside a file that can be read it is in the books; alone there is no source to enter it in.
    assert discover([str(tmp_path / "in")]) == {}
    (tmp_path / "in" / "good.jsonl").write_text(json.dumps({"text": LONG}))
    _documents, aside = run([tmp_path / "in"], tmp_path / "out")
    assert [(one.item, one.reason) for one in aside] == [(name, reason)]


@pytest.mark.parametrize("folder", ["benchmarks", "phi", "benchmarks/mmlu"])
def test_folders_of_test_data_are_never_training_data(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "notes.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"text": LONG}))
    assert "never training data" in sniff(path).detail


def test_an_archive_of_several_kinds_goes_to_the_source_of_each_member(tmp_path: Path) -> None:
    members = {
        "one.xml": jats_file(article(7, 1)),
        "two.xml": jats_file(article(7, 2)),
        "pubmed.xml": medline_file([abstract(7, 1), abstract(7, 2)]),
        "strange.xml": b"<eInfoResult/>",
        "broken.xml": jats_file(article(7, 3))[:-40],
    }
    (tmp_path / "mixed.tar.xz").write_bytes(tar_of(members))
    documents, aside = run([tmp_path / "mixed.tar.xz"], tmp_path / "out")
    assert {source: len(found) for source, found in documents.items()} == {"local-jats": 2, "local-medline": 2}
    # Each member is told once, also the one that no source reads.
    assert sorted((one.item, one.reason) for one in aside) == [
        ("mixed.tar.xz!broken.xml", "extract.corrupt"),
        ("mixed.tar.xz!strange.xml", "extract.unknown_format"),
    ]


def test_hostile_members_are_refused_by_name_and_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_members, "MAX_MEMBER_BYTES", 1 << 20)
    good = jats_file(article(7, 1))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in (("good.xml", good), ("../../evil.xml", good), ("/etc/evil.xml", good)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link.xml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        giant = tarfile.TarInfo("giant.xml")
        giant.size = 2 << 20
        archive.addfile(giant, io.BytesIO(bytes(2 << 20)))
        bomb = ENTITY_BOMB.encode()
        info = tarfile.TarInfo("bomb.xml")
        info.size = len(bomb)
        archive.addfile(info, io.BytesIO(bomb))
    (tmp_path / "hostile.tar.gz").write_bytes(buffer.getvalue())
    documents, aside = run([tmp_path / "hostile.tar.gz"], tmp_path / "out")
    assert len(documents["local-jats"]) == 1
    assert {one.item.partition("!")[2]: one.reason for one in aside} == {
        "../../evil.xml": "extract.unsafe",
        "/etc/evil.xml": "extract.unsafe",
        "link.xml": "extract.unsafe",
        "giant.xml": "extract.too_large",
        "bomb.xml": "extract.unsafe",
    }
    assert not (tmp_path.parent / "evil.xml").exists()


def test_a_zip_that_lies_about_its_sizes_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_members, "MAX_MEMBER_BYTES", 1 << 20)
    (tmp_path / "bomb.zip").write_bytes(zip_of({"a.xml": jats_file(article(7, 1)), "b.xml": bytes(64 << 20)}))
    documents, aside = run([tmp_path / "bomb.zip"], tmp_path / "out")
    assert len(documents["local-jats"]) == 1
    assert [(one.item, one.reason) for one in aside] == [("bomb.zip!b.xml", "extract.too_large")]


def test_a_truncated_archive_gives_what_came_before_the_break(tmp_path: Path) -> None:
    members = {f"{n}.xml": jats_file(article(7, n)) for n in range(8)}
    whole = tar_of(members, "")
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    documents, aside = run([tmp_path / "cut.tar"], tmp_path / "out")
    assert 2 <= len(documents["local-jats"]) < 8
    assert [(one.item, one.reason) for one in aside] == [("cut.tar", "extract.corrupt")]
    assert "after the member" in aside[0].detail


def test_newer_medline_files_replace_older_ones_by_name(tmp_path: Path) -> None:
    old, new = abstract(7, 1), abstract(7, 2)
    changed = type(new)(**{**{name: getattr(new, name) for name in new.__slots__}, "pmid": old.pmid})
    (tmp_path / "pubmed26n0001.xml").write_bytes(medline_file([old, new]))
    (tmp_path / "pubmed26n0002.xml").write_bytes(medline_file([changed], deleted=[new.pmid]))
    documents, _aside = run([tmp_path], tmp_path / "out")
    (document,) = documents["local-medline"]
    assert document.doc_id == f"local-medline:{old.pmid}"
    assert document.title == changed.title.rstrip()


def test_a_file_whose_companion_checksum_differs_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(medline_file([abstract(7, 1)]))
    (tmp_path / "a.xml.md5").write_text(f"MD5(a.xml)= {'0' * 32}\n")
    (tmp_path / "b.xml").write_bytes(medline_file([abstract(7, 2)]))
    documents, aside = run([tmp_path], tmp_path / "out")
    assert [document.pmid for document in documents["local-medline"]] == [abstract(7, 2).pmid]
    assert sorted((one.item, one.reason) for one in aside) == [
        ("a.xml", "extract.checksum"),
        ("a.xml.md5", "extract.not_a_document"),
    ]


def test_a_file_changed_after_it_was_taken_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"text": LONG}))
    card = find_card("local-text")
    made: Any = load(
        SourceConfig("local-text", card.loader, card.kind, card.licence, options={"paths": [str(tmp_path)]})
    )
    raw = Store(tmp_path / ".out")
    made.acquire(AcquireContext(raw, {}, lambda *, done, total, note="": None))
    path.write_text(json.dumps({"text": LONG.upper()}))
    (item,) = read_items(raw)
    (found,) = made.read(item, raw, None)
    assert (found.item, found.reason) == ("t.jsonl", "extract.checksum")


def test_rows_keep_their_ids_licence_and_dates(tmp_path: Path) -> None:
    rows = [
        {"id": "who/1", "title": "T", "clean_text": LONG, "url": "https://example.org/1", "license": "CC BY-NC 4.0"},
        {"text": LONG, "date": "2021-03-04", "language": "en-GB"},
        {"text": LONG, "date": "some day"},
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    documents, aside = run([tmp_path], tmp_path / "out")
    first, second, third = documents["local-text"]
    assert (first.doc_id, first.title, first.licence) == ("local-text:who/1", "T", "CC-BY-NC-4.0")
    assert (second.published, second.year, second.lang) == ("2021-03-04", 2021, "en")
    assert (third.published, third.year, third.licence) == ("", None, "unknown")
    assert len({first.doc_id, second.doc_id, third.doc_id}) == 3
    assert [(one.item, one.reason) for one in aside] == [("t.jsonl line 4", "extract.corrupt")]


def test_notes_are_restricted_and_no_sentence_quotes_them(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text(f'note_id,subject_id,text\n1,7,"{LONG}"\n2,7\n3,8,"Patientname never closed\n')
    documents, aside = run([tmp_path], tmp_path / "out")
    (note,) = documents["local-notes"]
    assert (note.doc_id, note.subject, note.restricted) == ("local-notes:1", "7", True)
    assert {one.reason for one in aside} == {"extract.bad_record", "extract.corrupt"}
    assert "Patientname" not in repr(aside)


def test_paths_without_a_file_are_an_error(tmp_path: Path) -> None:
    made = load(SourceConfig("local-text", "local", "replay", "per-document", options={"paths": [str(tmp_path)]}))
    with pytest.raises(RecipeError, match="no file in"):
        made.acquire(AcquireContext(Store(tmp_path / ".out"), {}, lambda *, done, total, note="": None))


# ------------------------------------------------------------------------------------------------------ real data


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[Document]], list[Quarantined]]:
    return run([Path(str(REALDATA))], tmp_path_factory.mktemp("real"))


@needs_realdata
def test_every_real_file_is_read_or_says_why_not(
    real: tuple[dict[str, list[Document]], list[Quarantined]],
) -> None:
    documents, aside = real
    read = {Path(path) for files in discover([str(REALDATA)]).values() for path in files if sniff(Path(path)).sources}
    every = {path.resolve() for path in Path(str(REALDATA)).rglob("*") if path.is_file()}
    told = {one.item for one in aside}
    for path in every - read:
        assert path.relative_to(Path(str(REALDATA)).resolve()).as_posix() in told, path
    assert all(one.detail for one in aside)
    assert not [doc for found in documents.values() for doc in found if not doc.text.strip()]


@needs_realdata
def test_counts_of_the_real_files(real: tuple[dict[str, list[Document]], list[Quarantined]]) -> None:
    documents, aside = real
    whole = [document for document in documents["local-jats"] if "#" not in document.doc_id]
    assert len(whole) == 1053 + 1  # one more in the archive of recorded replies
    assert not [one for one in aside if one.item.startswith("jats/jats_ccby.tar.xz")]
    assert len(documents["local-guidelines"]) == 32
    assert len(documents["local-notes"]) == 67 + 20 + 1201
    assert len(documents["local-qa"]) + sum("medquad" in one.item for one in aside) == 1871 + 500
    licences = Counter(document.licence.removeprefix("LicenseRef-")[:5] for document in whole)
    assert licences["CC-BY"] + licences["CC0-1"] >= 1050


@needs_realdata
def test_all_20000_real_citations_are_accounted_for(
    real: tuple[dict[str, list[Document]], list[Quarantined]],
) -> None:
    documents, aside = real
    citations = {one.doc_id.partition("#")[0] for one in documents["local-medline"]}
    assert len({document.doc_id for document in documents["local-medline"]}) == len(documents["local-medline"])
    without = sum(
        int(one.detail.rpartition(": ")[2].rstrip(".").replace(",", ""))
        for one in aside
        if one.source == "local-medline" and one.detail.startswith("Records of this file")
    )
    in_archive = 0
    with tarfile.open(Path(str(REALDATA)) / "eutils" / "biopython_entrez_samples.tar.xz") as archive:
        for info in archive.getmembers():
            content = archive.extractfile(info)
            in_archive += content.read().count(b"<PubmedArticle>") if content else 0
    assert len(citations) + without == 20_000 + in_archive
    assert 12_100 < len(citations) < 12_250  # 6,867 + 5,280 have an abstract


def test_every_reader_has_a_source_with_a_card() -> None:
    for source in set(local_sniff.SOURCES.values()):
        assert find_card(source).loader in ("local", "local_medline")
