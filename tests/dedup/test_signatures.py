"""Signatures: datasketch's values, theory's recall, and a size that does not depend on the document."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.shingles import combined, grouped, numbers_sum, pieces, word_hash
from dedup.signatures import MinHashConfig, Signer, hashes32, shingle_hashes
from dedup.vocabulary import Vocabulary
from filters.numbers import numbers
from filters.words import Words

WORDS = Words()
TEXTS = st.text(st.one_of(st.sampled_from("ab5. \n\t\u00a0\u2003-/%,½²·\u0301ßİ\ud800"), st.characters()), max_size=200)


def signer(**config: int) -> Signer:
    return Signer(MinHashConfig(**config), WORDS.simple, numbers)


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60), st.integers(1, 6), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_minima_are_those_of_datasketch(words: list[str], ngram: int, seed: int) -> None:
    from datasketch import MinHash

    made = signer(bands=3, rows=4, ngram=ngram, seed=seed)
    shingles = shingle_hashes(words, ngram)
    theirs = MinHash(num_perm=12, seed=seed, scheme="affine32", hashfunc=int)
    theirs.update_batch(hashes32(shingles).tolist())
    assert made.minima(shingles).tolist() == theirs.hashvalues.tolist()


def test_blocks_do_not_change_the_minima() -> None:
    from datasketch import MinHash

    values = np.random.default_rng(5).integers(0, 2**64, 10_000, dtype=np.uint64)
    theirs = MinHash(num_perm=112, seed=1, scheme="affine32", hashfunc=int)
    theirs.update_batch(hashes32(values).tolist())
    assert signer().minima(values).tolist() == theirs.hashvalues.tolist()


def test_shingles_are_a_function_of_their_words() -> None:
    """Written out once more, with Python's integers."""
    words = ["give", "5", "mg", "of", "it", "daily"]
    mask, state, constants = 2**64 - 1, 0, []
    for _ in range(5):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        constants.append((z ^ (z >> 31)) | 1)
    expected = []
    for start in range(2):
        h = sum(word_hash(words[start + place]) * constants[place] for place in range(5)) & mask
        h = ((h ^ (h >> 33)) * 0xFF51AFD7ED558CCD) & mask
        h = ((h ^ (h >> 33)) * 0xC4CEB9FE1A85EC53) & mask
        expected.append(h ^ (h >> 33))
    assert shingle_hashes(words, 5).tolist() == expected


def test_signatures_stay_what_they_are() -> None:
    """A change here makes every stored signature worthless: raise the version of the prepare step with it."""
    made = signer().sign("Give 5 mg of it daily for 3 weeks, then stop.")
    assert made.n_shingles == 7
    assert [f"{value:016x}" for value in made.bands[:2].tolist()] == ["d8c7d6b9b82c14c0", "1e0edbc4ab4ebd4a"]
    assert f"{made.numbers:016x}" == "5200741f7f5cf362"


SEVERAL = st.lists(TEXTS, max_size=6)


@given(SEVERAL)
@settings(max_examples=300, deadline=None)
def test_reading_by_chunks_is_reading_the_texts(texts: list[str]) -> None:
    reading = Vocabulary(WORDS.simple, numbers).read(texts)
    assert reading.words.tolist() == [word_hash(word) for text in texts for word in WORDS.simple(text)]
    assert np.diff(reading.ends, prepend=0).tolist() == [len(WORDS.simple(text)) for text in texts]
    assert reading.numbers.tolist() == [numbers_sum(numbers(text)) for text in texts]


def halves(text: str) -> list[str]:
    """Chunks of several words, of one and of none, as spaCy's tokens are."""
    return [half for chunk in text.split() for half in chunk.split("-") if half]


@given(SEVERAL)
@settings(max_examples=100, deadline=None)
def test_chunks_may_hold_several_words(texts: list[str]) -> None:
    reading = Vocabulary(halves, numbers).read(texts)
    assert reading.words.tolist() == [word_hash(half) for text in texts for half in halves(text)]


def test_chunks_of_any_length_are_told_apart_and_remembered() -> None:
    """Same beginnings, same ends, lengths around every border of the hash; a table that grows many times."""
    chunks = [f"{letter}{'x' * length}{end}" for length in range(540) for letter in "ab" for end in "cd"]
    asked: list[str] = []

    def words(chunk: str) -> list[str]:
        asked.append(chunk)
        return [chunk]

    vocabulary = Vocabulary(words, lambda chunk: [])
    for start in (0, 700, 0):
        reading = vocabulary.read([" ".join(chunks[start:])])
        assert reading.words.tolist() == [word_hash(chunk) for chunk in chunks[start:]]
    many = [f"w{at}" for at in range(60_000)]
    assert vocabulary.read([" ".join(many)]).words.tolist() == [word_hash(chunk) for chunk in many]
    assert vocabulary.read([" ".join(many[::-1])]).words.tolist() == [word_hash(chunk) for chunk in many[::-1]]
    assert sorted(asked) == sorted(chunks + many)


@given(st.lists(st.lists(st.sampled_from(["abcd", "5", "7-9", "..."]), max_size=25), max_size=6), st.integers(1, 300))
@settings(max_examples=100, deadline=None)
def test_signing_many_is_signing_each(texts_in_words: list[list[str]], size: int) -> None:
    texts = ["\n".join(words) for words in texts_in_words]
    one_by_one = [signer().sign(text) for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dedup.signatures.PIECE_CHARACTERS", size)
        patch.setattr("dedup.signatures.pieces", lambda text: pieces(text, size))
        patch.setattr("dedup.signatures.grouped", lambda texts: grouped(texts, size))
        together = signer().sign_many(texts)
    for one, other in zip(one_by_one, together, strict=True):
        assert one.bands.tolist() == other.bands.tolist()
        assert (one.numbers, one.n_shingles) == (other.numbers, other.n_shingles)


def test_bands_are_digests_of_the_minima_of_the_texts_own_shingles(invent) -> None:  # type: ignore[no-untyped-def]
    import xxhash

    chance = random.Random(6)
    texts = [invent(chance, n_words) for n_words in (3, 4, 5, 6, 40, 400)]
    made = signer()
    for text, signed in zip(texts, made.sign_many(texts), strict=True):
        shingles = shingle_hashes(WORDS.simple(text), 5)
        rows = made.minima(shingles).reshape(14, 8)
        assert signed.n_shingles == len(shingles)
        assert signed.bands.tolist() == [xxhash.xxh3_64_intdigest(row.tobytes()) for row in rows]


@given(TEXTS, st.integers(1, 20))
@settings(max_examples=200, deadline=None)
def test_pieces_lose_nothing_and_cut_no_word(text: str, size: int) -> None:
    found = list(pieces(text, size))
    assert "".join(found) == text
    assert [word for piece in found for word in piece.split()] == text.split()


def test_a_full_vocabulary_starts_afresh_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(3)
    texts = [" ".join(str(chance.randint(0, 500)) for _ in range(80)) + " " + "x" * 100 for _ in range(20)]
    before = [signer().sign(text).bands.tolist() for text in texts]
    monkeypatch.setattr("dedup.vocabulary.CHUNKS", 50)
    small = signer()
    assert [small.sign(text).bands.tolist() for text in texts] == before


def test_short_texts_are_one_shingle_and_empty_ones_none() -> None:
    assert signer().sign("").bands.size == 0
    assert signer().sign(" \n ... ").n_shingles == 0
    three = signer().sign("acute renal failure")
    assert three.n_shingles == 1
    assert three.bands.size == 14
    assert signer(min_shingles=2).sign("acute renal failure").bands.size == 0
    assert combined(np.array([1, 2], dtype=np.uint64), 5).size == 1


def test_numbers_are_a_multiset() -> None:
    made = signer()
    assert made.sign("5 mg then 10 mg").numbers == made.sign("10 pills, 5 days").numbers
    assert made.sign("5 mg 5 mg").numbers != made.sign("5 mg").numbers
    assert made.sign("5 mg").numbers != made.sign("50 mg").numbers
    assert made.sign("0.5 mg").numbers == made.sign("the dose is .5").numbers
    assert made.sign("none").numbers == 0


def test_a_long_document_needs_the_memory_of_a_short_one(invent) -> None:  # type: ignore[no-untyped-def]
    text = "\n".join([invent(random.Random(9), 20_000)] * 40)
    assert len(text) > 5_000_000
    made = signer()
    made.sign(text[:600_000])
    tracemalloc.start()
    made.sign(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12_000_000


def test_recall_is_what_theory_says() -> None:
    """Pairs of sets at a known similarity share a band as often as 1 - (1 - J**8)**14."""
    chance = np.random.default_rng(17)
    made = signer()
    for similarity in (0.6, 0.7, 0.8, 0.9):
        n_pairs, size = 400, 300
        shared = round(2 * size * similarity / (1 + similarity))
        exact = shared / (2 * size - shared)
        met = 0
        for _ in range(n_pairs):
            values = chance.integers(0, 2**64, 2 * size - shared, dtype=np.uint64)
            one, other = made.minima(values[:size]), made.minima(values[size - shared :])
            met += bool((one == other).reshape(14, 8).all(axis=1).any())
        theory = 1 - (1 - exact**8) ** 14
        spread = (theory * (1 - theory) / n_pairs) ** 0.5
        assert abs(met / n_pairs - theory) < 4 * spread + 1e-9, (similarity, met / n_pairs, theory)
