"""Invented clinical prose, planted variants of it, and the table that pass 2 sees."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from dedup.resolve import DedupConfig, Resolution, resolve
from dedup.signatures import MinHashConfig, Signer
from filters.numbers import numbers
from filters.words import Words
from manifests.identity import doc_key, text_hash

_SYLLABLES = ("ba", "cor", "den", "fi", "gal", "hep", "lo", "mit", "nor", "pul", "ren", "sta", "tox", "vas", "zy")
_UNITS = ("mg", "ml", "mmHg", "%", "days", "mg/dL", "years", "weeks")

SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in ("doc_id", "source", "kind", "subject", "pmid", "pmcid", "doi", "text_hash", "family")
    ]
    + [("doc_key", pa.uint64()), ("n_chars", pa.int64())]
    + [("bands", pa.list_(pa.uint64())), ("numbers", pa.uint64()), ("n_shingles", pa.int32())]
)

Invent = Callable[[random.Random, int], str]


def _vocabulary() -> list[str]:
    chance = random.Random(41)
    return ["".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4))) for _ in range(4000)]


VOCABULARY = _vocabulary()
# A few words are common and most are rare, as in any text.
WEIGHTS = [1 / (rank + 2) for rank in range(len(VOCABULARY))]


def invented(chance: random.Random, n_words: int) -> str:
    """Sentences of invented words with some numbers and units, in paragraphs."""
    parts: list[str] = []
    left = n_words
    while left > 0:
        length = min(chance.randint(8, 24), left)
        words = chance.choices(VOCABULARY, WEIGHTS, k=length)
        if length > 7:
            words[chance.randrange(length - 2)] = f"{chance.randint(1, 900)} {chance.choice(_UNITS)}"
        parts.append(" ".join(words).capitalize() + "." + ("\n\n" if chance.random() < 0.2 else " "))
        left -= length
    return "".join(parts).strip()


def reworded(text: str, chance: random.Random, share: float) -> str:
    """`text` with this share of its words, numbers aside, replaced by others."""
    pieces = re.split(r"(\s+)", text)
    plain = [at for at, piece in enumerate(pieces) if piece.strip() and not re.search(r"\d", piece)]
    for at in chance.sample(plain, round(share * len(plain))):
        pieces[at] = chance.choice(VOCABULARY)
    return "".join(pieces)


def redosed(text: str, chance: random.Random) -> str:
    """`text` with one of its numbers changed."""
    found = list(re.finditer(r"\d+", text))
    one = chance.choice(found)
    return text[: one.start()] + str(int(one[0]) + chance.choice((1, 5, 10))) + text[one.end() :]


def reformatted(text: str, chance: random.Random) -> str:
    """The same words and numbers in another case, with other line breaks, spaces, quotes and dashes."""
    words = [word.upper() if chance.random() < 0.2 else word for word in text.split()]
    words = [f"\u201c{word}\u201d" if chance.random() < 0.02 else word for word in words]
    return "".join(word + chance.choice((" ", " ", "  ", "\n", "\u00a0", "\t")) for word in words)


WORDS = Words()


def table_of(documents: Sequence[Mapping[str, Any]], config: MinHashConfig) -> tuple[pa.Table, list[str]]:
    """(rows sorted by doc_id, their texts): what pass 1 hands to pass 2."""
    signer = Signer(config, WORDS.simple, numbers)
    in_order = sorted(documents, key=lambda document: str(document["doc_id"]).encode())
    rows = []
    for document in in_order:
        doc_id, text = document["doc_id"], document["text"]
        signed = signer.sign(text)
        row = dict.fromkeys(("kind", "subject", "pmid", "pmcid", "doi", "family"), "") | {"kind": "article"}
        row |= {name: value for name, value in document.items() if name != "text"}
        row |= {"source": doc_id.split(":")[0], "doc_key": doc_key(doc_id), "text_hash": text_hash(text)}
        row |= {"n_chars": len(text), "bands": signed.bands, "numbers": signed.numbers}
        rows.append(row | {"n_shingles": signed.n_shingles})
    return pa.Table.from_pylist(rows, schema=SCHEMA), [document["text"] for document in in_order]


Deduplicate = Callable[..., Resolution]


@pytest.fixture(scope="session")
def deduplicate() -> Deduplicate:
    """`deduplicate(documents, **config)`: the resolution of a list of {doc_id, text, ...}."""

    def run(documents: Sequence[Mapping[str, Any]], **settings: Any) -> Resolution:
        config = DedupConfig(**settings)
        rows, texts = table_of(documents, config.minhash)
        return resolve(rows, config, texts.__getitem__, WORDS.simple, numbers)

    return run


@pytest.fixture(scope="session")
def invent() -> Invent:
    return invented


@pytest.fixture(scope="session")
def variants() -> Mapping[str, Callable[..., str]]:
    return {"reworded": reworded, "redosed": redosed, "reformatted": reformatted}


def fates(resolution: Resolution) -> dict[str, str]:
    return dict(
        zip(resolution.table["doc_id"].to_pylist(), resolution.table["fate"].to_pylist(), strict=True),
    )


@pytest.fixture(scope="session")
def fates_of() -> Callable[[Resolution], dict[str, str]]:
    return fates


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., tuple[pa.Table, list[str]]]:
    return table_of
