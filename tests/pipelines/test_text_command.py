"""medtrove text: a document at every stage from its captured payload, checked against the build, kept from leaking."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from manifests.store import Store
from pipelines.build import latest_build
from pipelines.reread import Rereading
from pipelines.text_command import one_screen
from pipelines.text_diff import Hunk, hunks, shown, written

PLANTED = "Zebediah Quillfeather"
PROSE = (
    "Adults whose pressure stayed above 140 mmHg took 5 mg of ramipril daily for 12 weeks. Cough was reported by 9% of "
    "them, most often in the first month, and three stopped for that reason alone. The kidney was watched with "
    "creatinine at every visit; nobody crossed the limit that had been set before the study began. A second group was "
    "given amlodipine instead, and swelling of the ankles led to most of its complaints. Neither drug changed the "
    "pulse at rest. The difference between both arms fell short of what the authors had hoped to find, so they let "
    "the patient choose. Whether older people benefit to the same degree could not be said, because few were enrolled."
)


def citation(pmid: int, text: str) -> str:
    return (
        f'<PubmedArticle><MedlineCitation><PMID Version="1">{pmid}</PMID><Article><Journal><JournalIssue>'
        f"<PubDate><Year>2020</Year></PubDate></JournalIssue></Journal><ArticleTitle>On record {pmid}</ArticleTitle>"
        f"<Abstract><AbstractText>{text}</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>"
    )


def medline(path: Path, *citations: str) -> None:
    whole = f"<?xml version='1.0'?><PubmedArticleSet>{''.join(citations)}</PubmedArticleSet>"
    path.write_bytes(gzip.compress(whole.encode(), mtime=0))


def medtrove(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, timeout=600, check=False)
    assert done.returncode == code, (done.stdout + done.stderr).decode()
    return done


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of the user's own files: notes, a name in one; PubMed revisions; an article with a response."""
    folder = tmp_path_factory.mktemp("text")
    own = folder / "own"
    own.mkdir()
    medline(own / "pubmed26n0001.xml.gz", citation(101, f"OLD. {PROSE}"), citation(102, f"Stays ﬁrst. {PROSE}"))
    medline(own / "pubmed26n0002.xml.gz", citation(101, f"NEW. {PROSE} It was 7 mg."))
    meta = "<article-meta><article-id pub-id-type='pmc'>PMC77</article-id><title-group><article-title>Whole"
    stub = "<front-stub><title-group><article-title>A response</article-title></title-group></front-stub>"
    (own / "article.xml").write_text(
        f"<?xml version='1.0'?><article article-type='research-article'><front>{meta}</article-title></title-group>"
        f"</article-meta></front><body><p>{PROSE} And more.</p></body><back><ref-list><ref><mixed-citation>Ref 2020"
        f"</mixed-citation></ref></ref-list></back><response>{stub}<body><p>We disagree. {PROSE}</p></body></response>"
        "</article>"
    )
    notes = [
        f'1,7,"Name:   ___  Unit No:  ___\n\nAdmitted. {PROSE}"',
        f'2,7,"Seen by {PLANTED} (555) 867-5309. {PROSE}"',
    ]
    (own / "notes.csv").write_text("note_id,subject_id,text\n" + "\n".join(notes) + "\n")
    rows = [
        {"id": "short", "text": "Nothing."},
        {"id": "mail", "text": f"Write to {PLANTED.split()[0].lower()}@quillfeather.example or call. {PROSE}"},
    ]
    (own / "plain.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    (own / "broken.xml").write_text("<?xml version='1.0'?><article><front><article-meta/></front><body><p>cut 5 mg")
    medtrove("build", "local-files", "own", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def rows(where: Path) -> dict[str, dict[str, Any]]:
    build = latest_build(Store(where / "build"))
    table = pq.read_table(build.local("manifest/documents.parquet")).to_pylist()
    return {row["doc_id"]: row for row in table}


def test_every_document_is_read_again_to_what_the_build_has(where: Path, rows: dict[str, dict[str, Any]]) -> None:
    again = Rereading(latest_build(Store(where / "build")))
    found = {doc_id: again.replay(row) for doc_id, row in rows.items()}
    assert {doc_id: made.differences for doc_id, made in found.items() if made.differences} == {}
    assert len(found) >= 7
    for doc_id, row in rows.items():
        stored = again.prepared(row)
        assert (stored is None) == (row["fate"] != "kept" and not row["fate"].startswith("dedup.")), doc_id
        assert stored in (None, found[doc_id].final)


def test_a_revision_and_a_part_of_an_article_are_told_apart(where: Path, rows: dict[str, dict[str, Any]]) -> None:
    newest = medtrove("text", "local-medline:101", "--stage", "extracted", cwd=where)
    assert b"NEW." in newest.stdout
    assert b"OLD." not in newest.stdout
    assert b"equal to the build" in newest.stderr
    part = next(doc_id for doc_id in rows if doc_id.startswith("local-jats:") and "#" in doc_id)
    assert b"We disagree." in medtrove("text", part, cwd=where).stdout
    whole = medtrove("text", part.partition("#")[0], "--stage", "extracted", cwd=where).stdout
    assert b"And more." in whole
    assert b"We disagree." not in whole


def test_the_payload_comes_back_byte_for_byte(where: Path, rows: dict[str, dict[str, Any]]) -> None:
    payload = (where / "own" / "pubmed26n0002.xml.gz").read_bytes()
    done = medtrove("text", "local-medline:101", "--raw", cwd=where)
    assert done.stdout == payload
    facts = json.loads(medtrove("text", "local-medline:101", "--raw", "--json", cwd=where).stdout)
    assert facts["payload"]["sha256"] == rows["local-medline:101"]["raw_ref"] == hashlib.sha256(payload).hexdigest()
    medtrove("text", "local-medline:101", "--raw", "--output", "copy.gz", cwd=where)
    assert (where / "copy.gz").read_bytes() == payload


def test_a_diff_names_the_rule_of_every_edit(where: Path) -> None:
    told = medtrove("text", "local-medline:102", "--diff", cwd=where).stdout.decode()
    assert "clean.text: 1 characters removed, 2 added, 0 digits removed; clean.ligatures 1" in told
    assert "[-ﬁrst-]{+first+}" in told
    found = json.loads(medtrove("text", "local-medline:102", "--diff", "--json", cwd=where).stdout)
    edited = [rule for rule in found["rules"] if rule["outcome"] == "edited"]
    assert [rule["rule"] for rule in edited] == ["clean.text"]
    assert edited[0]["measures"] == {"removed_characters": 1, "added_characters": 2}
    assert found["equal"] is True


def test_a_dropped_document_is_shown_from_raw_with_its_reason(where: Path, rows: dict[str, dict[str, Any]]) -> None:
    assert rows["local-text:short"]["fate"] == "quality.too_few_words"
    done = medtrove("text", "local-text:short", cwd=where)
    assert done.stdout == b"Nothing.\n"
    assert b"quality.too_few_words" in done.stderr


def test_what_was_put_aside_has_its_bytes_and_no_text(where: Path) -> None:
    build = latest_build(Store(where / "build"))
    aside = pq.read_table(build.local("manifest/quarantine.parquet")).to_pylist()
    (name,) = (f"{row['source']}:{row['item']}" for row in aside if "broken.xml" in row["item"] and row["raw_ref"])
    done = medtrove("text", name, "--raw", cwd=where)
    assert done.stdout == (where / "own" / "broken.xml").read_bytes()
    assert b"extract." in done.stderr
    assert b"gave no document" in medtrove("text", name, cwd=where, code=2).stderr


REFUSED = [
    ("text", "{note}"),
    ("text", "{note}", "--stage", "extracted"),
    ("text", "{note}", "--diff"),
    ("text", "{note}", "--raw"),
    ("text", "{note}", "--raw", "--output", "loose.csv"),
    ("text", "{note}", "--include-restricted"),
    ("text", "{note}", "--diff", "--json", "--include-restricted"),
    ("text", "{note}", "--include-restricted", "--output", "/dev/stdout"),
    ("text", "{note}", "--include-restricted", "--output", "no/such/folder/note.txt"),
]


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_restricted_text_never_reaches_a_screen_a_pipe_or_an_error(
    arguments: tuple[str, ...], where: Path, rows: dict[str, dict[str, Any]]
) -> None:
    note = next(doc_id for doc_id, row in rows.items() if row["restricted"] and row["phi_action"] == "drop")
    done = medtrove(*(one.format(note=note) for one in arguments), cwd=where, code=2)
    assert b"Quillfeather" not in done.stdout + done.stderr
    assert b"ramipril" not in done.stdout + done.stderr
    assert not (where / "loose.csv").exists()


def test_restricted_text_goes_to_a_file_of_its_owner_alone_with_a_banner(
    where: Path, rows: dict[str, dict[str, Any]]
) -> None:
    note = next(doc_id for doc_id, row in rows.items() if row["restricted"] and row["fate"] == "phi.direct_identifier")
    (where / "loose.txt").write_text("as others may read")
    (where / "loose.txt").chmod(0o644)
    for number, asked in enumerate(([], ["--stage", "extracted"], ["--diff"], ["--diff", "--json"], ["--raw"])):
        # A file that was there before does not lend its permissions.
        path = where / ("loose.txt" if not number else f"note{number}.txt")
        done = medtrove("text", note, *asked, "--include-restricted", "--output", str(path), cwd=where)
        assert path.stat().st_mode & 0o777 == 0o600
        assert (b"Quillfeather" in path.read_bytes()) == ("--diff" not in asked)
        assert path.read_bytes().startswith(b"RESTRICTED") == (asked != ["--raw"])
        assert b"Quillfeather" not in done.stdout + done.stderr
        assert b"ramipril" not in done.stdout + done.stderr
    # Nothing that was built or logged holds the name either: only the user's own file and these.
    named = [path for path in where.rglob("*") if path.is_file() and b"Quillfeather" in path.read_bytes()]
    assert {path.name for path in named} <= {"notes.csv", "loose.txt", "note1.txt", "note4.txt"}


def test_identifiers_in_open_text_are_guarded_as_restricted_text_is(
    where: Path, rows: dict[str, dict[str, Any]]
) -> None:
    assert rows["local-text:mail"]["phi_action"] == "redact"
    for asked in (["--diff"], ["--raw"], ["--stage", "extracted"]):
        done = medtrove("text", "local-text:mail", *asked, cwd=where, code=2)
        assert b"quillfeather" not in done.stdout + done.stderr
    done = medtrove("text", "local-text:mail", cwd=where)
    assert b"Write to [EMAIL]" in done.stdout
    assert b"quillfeather" not in done.stdout + done.stderr


def test_code_that_reads_otherwise_than_the_build_is_told(
    where: Path, rows: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from filters import clean

    monkeypatch.setitem(clean._LIGATURES, "ﬁ", "fi ")
    again = Rereading(latest_build(Store(where / "build")))
    assert again.replay(rows["local-medline:102"]).differences == ("the text after the rules is another one",)
    assert again.replay(rows["local-medline:101"]).differences == ()


def test_a_payload_that_changed_or_went_is_an_error_that_says_so(where: Path) -> None:
    path = where / "own" / "article.xml"
    before = path.read_bytes()
    try:
        path.write_bytes(before.replace(b"And more", b"And less"))
        for asked in ("--raw", "--diff"):
            done = medtrove("text", "local-jats:PMC77", asked, cwd=where, code=2)
            assert b"purged or changed" in done.stderr
            assert b"Traceback" not in done.stderr
        # What went to training is still there.
        assert b"And more" in medtrove("text", "local-jats:PMC77", cwd=where).stdout
        path.unlink()
        assert b"purged or changed" in medtrove("text", "local-jats:PMC77", "--raw", cwd=where, code=2).stderr
    finally:
        path.write_bytes(before)


def test_questions_that_cannot_be_meant_exit_2(where: Path) -> None:
    for asked in (["local-jats:PMC7"], ["local-jats:PMC77", "--raw", "--diff"], ["local-jats:PMC77", "--stage", "no"]):
        assert b"Traceback" not in medtrove("text", *asked, cwd=where, code=2).stderr


def test_a_captured_page_has_its_address_time_and_type(toy: Any, tmp_path: Path) -> None:
    toy.pages["/g/g1"] = toy.pages["/g/g1"].replace("<article>", "<article><p>See ﬁgure 1  and 2.</p>")
    medtrove("build", toy.recipe(replace=("[dedup]", "[alarms]\nremoved_characters = 0.0\n[dedup]")), cwd=tmp_path)
    told = json.loads(medtrove("text", "toy:g1", "--raw", "--json", cwd=tmp_path).stdout)["payload"]
    assert told["url"] == "https://toy.example/g/g1"
    assert told["media_type"] == "text/html; charset=utf-8"
    assert told["retrieved"].startswith("20")
    done = medtrove("text", "toy:g1", "--raw", cwd=tmp_path)
    assert done.stdout == toy.pages["/g/g1"].encode()
    assert b"https://toy.example/g/g1" in done.stderr
    assert b"[-\xef\xac\x81gure-]{+figure+}" in medtrove("text", "toy:g1", "--diff", cwd=tmp_path).stdout
    # Other thresholds make another manifest and no other shard.
    build = latest_build(Store(tmp_path / "build"))
    shards = {name: build.sha256(name) for name in build.files("shards") if name.endswith(".arrow")}
    medtrove("build", toy.recipe(), "--offline", cwd=tmp_path)
    assert {name: build.sha256(name) for name in shards} == shards
    assert "removed_characters = 0.02" in build.read_bytes("manifest/recipe.toml").decode()
    for payload in (tmp_path / "build" / "raw" / "toy").rglob("captures-*"):
        payload.unlink()
    done = medtrove("text", "toy:g1", "--raw", cwd=tmp_path, code=2)
    assert b"is not there" in done.stderr


def test_words_that_differ_are_marked_and_what_cannot_be_seen_is_named() -> None:
    (hunk,) = hunks("a\ntake  5 mg\u00ad now\nc", "a\ntake 5 mg now\nc")
    assert hunk == Hunk(2, ("take  5 mg\u00ad now",), ("take 5 mg now",))
    assert list(written(hunk)) == ["@@ line 2", "  take[-··-]{+·+}5 mg[-<U+00AD>-] now"]
    (cut,) = hunks("keep\ncookies 7\nkeep 2", "keep\nkeep 2")
    assert list(written(cut)) == ["@@ line 2", "- cookies 7"]
    assert hunks("same", "same") == []


def test_a_screen_holds_as_much_as_it_can_and_says_how_much_more() -> None:
    assert one_screen("short", 80, 24) == "short"
    told = one_screen("\n".join(f"line {n}" for n in range(100)), 80, 24)
    assert len(told.splitlines()) <= 24
    assert "more characters" in told
    assert len(one_screen("x" * 10_000, 80, 24)) < 80 * 24
    assert shown("a\x1b[2Jb\tc\n") == "a<U+001B>[2Jb\tc\n"
