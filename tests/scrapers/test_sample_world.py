"""The sample world: the same bytes everywhere, documents that are told apart, prose that reads as prose."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import igzip

from scrapers.archive_members import zstd
from scrapers.sample import tokenizer
from scrapers.sample.archives import gzip_stored, zstd_stored
from scrapers.sample.clinical import notes
from scrapers.sample.content import guidelines
from scrapers.sample.draw import Draw, Writer, words
from scrapers.sample.world import TRUTH_FILE, write_world


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    return folder


def test_one_seed_writes_one_world_quickly(world: Path, tmp_path: Path) -> None:
    before = time.process_time()
    write_world(tmp_path / "again")
    assert time.process_time() - before < 6
    assert _digest(tmp_path / "again") == _digest(world)


def test_another_seed_writes_other_text(world: Path, tmp_path: Path) -> None:
    write_world(tmp_path / "other", seed=8)
    assert _digest(tmp_path / "other") != _digest(world)


def test_truth_names_every_kind_of_plant(world: Path) -> None:
    truth: dict[str, Any] = json.loads((world / TRUTH_FILE).read_text())
    for name in (
        "exact_duplicates",
        "near_duplicates",
        "dose_variants",
        "versions",
        "abstract_full_text",
        "french",
        "stubs",
        "identifiers",
        "benchmark",
        "retracted",
        "broken_items",
        "superseded_pmids",
        "deleted_pmids",
    ):
        assert truth[name], name
    sources = {doc_id.partition(":")[0] for pair in truth["near_duplicates"] for doc_id in pair}
    assert {"cps", "magic", "pubmed", "redpajama"} <= sources


def _shingles(text: str) -> set[int]:
    # Interned words make tuples cheap to hash; the ids mean nothing outside this run.
    found = re.findall(r"\w+", text.lower())
    return {hash(tuple(found[start : start + 5])) for start in range(len(found) - 4)}


def test_no_unplanted_pair_is_a_near_duplicate() -> None:
    texts = list(tokenizer.texts(7))
    shingles = [_shingles(text) for text in texts]
    # Pairs that share nothing need no look: count shared shingles through the documents that hold each.
    holders: dict[int, list[int]] = {}
    for number, found in enumerate(shingles):
        for shingle in found:
            holders.setdefault(shingle, []).append(number)
    shared: dict[tuple[int, int], int] = {}
    for numbers in holders.values():
        if 1 < len(numbers) <= 40:
            for pair in itertools.combinations(numbers, 2):
                shared[pair] = shared.get(pair, 0) + 1
    worst = max(n / (len(shingles[a]) + len(shingles[b]) - n) for (a, b), n in shared.items())
    assert worst < 0.4


def test_prose_is_filled_and_repeats_no_sentence() -> None:
    for text in tokenizer.texts(7):
        assert "{" not in text.replace("{-", "")
        assert "}" not in text
        assert not re.search(r"\w  \w|\ba [aeio][a-z]|\b(\w+) \1\b", text), text[:80]
        sentences = [sentence for sentence in re.split(r"(?<=[.?]) ", text) if len(sentence) > 60]
        assert len(set(sentences)) >= 0.9 * len(sentences)
        lowered = f" {text.lower()} "
        assert sum(f" {word} " in lowered for word in ("the", "of", "and", "with", "in", "to", "was", "a")) >= 3


def test_sizes_allow_15_to_1_to_4() -> None:
    sizes = {"notes": sum(len(note.text) for note in notes(7))}
    sizes["guidelines"] = sum(len(guidelines(publisher, 7)) for publisher in ("cps", "magic", "cdc"))
    assert 120_000 < sizes["notes"] < 220_000
    assert 55 <= sizes["guidelines"] <= 70


def test_patients_have_several_notes_and_nothing_but_placeholders() -> None:
    by_patient: dict[str, int] = {}
    for note in notes(7):
        by_patient[note.subject_id] = by_patient.get(note.subject_id, 0) + 1
        assert "___" in note.text
        assert note.note_id == f"{note.subject_id}-{note.note_type}-{note.note_seq}"
    assert min(by_patient.values()) >= 3


def test_the_tokenizer_is_the_one_its_command_makes() -> None:
    made = tokenizer.trained()
    assert made.to_str() == tokenizer.FILE.read_text(encoding="utf-8")
    assert made.get_vocab_size() == tokenizer.VOCABULARY
    assert tokenizer.FILE.stat().st_size < 1_000_000


@given(st.text())
def test_the_tokenizer_loses_no_character(text: str) -> None:
    from tokenizers import Tokenizer

    loaded = _loaded.setdefault("tokenizer", Tokenizer.from_file(str(tokenizer.FILE)))
    for special in tokenizer.SPECIAL_TOKENS:
        text = text.replace(special, "")
    assert loaded.decode(loaded.encode(text, add_special_tokens=False).ids, skip_special_tokens=False) == text


_loaded: dict[str, Any] = {}


@given(st.binary(max_size=300), st.integers(0, 3))
def test_stored_archives_are_what_every_reader_expects(data: bytes, factor: int) -> None:
    data = data * 1000**factor if factor < 2 else data * 500
    assert gzip.decompress(gzip_stored(data)) == data
    assert igzip.decompress(gzip_stored(data)) == data
    assert zstd.decompress(zstd_stored(data)) == data


@given(st.integers(1, 1000), st.text(max_size=20))
def test_draws_stay_in_their_bounds_and_repeat(bound: int, label: str) -> None:
    first, second = Draw(label, bound), Draw(label, bound)
    values = [first.below(bound) for _ in range(20)]
    assert values == [second.below(bound) for _ in range(20)]
    assert all(0 <= value < bound for value in values)
    assert sorted(first.sample(range(bound), bound)) == list(range(bound))


def test_a_writer_deals_every_word_before_it_repeats_one() -> None:
    writer = Writer(Draw("deal"), {"word": ["a", "b", "c", "d"]})
    dealt = [writer.deal("word") for _ in range(12)]
    assert all(sorted(dealt[start : start + 4]) == ["a", "b", "c", "d"] for start in (0, 4, 8))


def test_patterns_fill_numbers_articles_and_inner_choices() -> None:
    writer = Writer(Draw("fill"), {"x": ["eGFR"], "role": ["{x} is low. a {x} {n:3-3} of {f:1.5-1.5} {p|p}"]})
    assert writer.sentence("role") == "EGFR is low. An eGFR 3 of 1.5 p"


def test_every_list_of_words_can_be_filled() -> None:
    for topic in words("topics")["topic"]:
        assert all(line.count("|") == 3 for line in topic["drugs"]), topic["condition"]
        assert {"target", "danger", "tests", "symptoms", "complications", "nondrug"} <= set(topic)
