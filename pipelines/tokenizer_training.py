"""`train-tokenizer`: a tokenizer from a build's prepared texts, and its fertility on texts that it has not seen.

Beside `tokenizer.json` lie its config and a card: what went in, by counts; no text, no time, no path. A tokenizer keeps
words of what it was trained on, names among them, so one from a restricted source is restricted itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from manifests.build import sources, stages
from manifests.errors import BuildError
from manifests.markers import OURS, names
from manifests.reasons import KEPT
from manifests.store import Store
from mixing.fertility import fertility, library_of
from mixing.permute import mix64
from mixing.tokenizer_file import CARD, CONFIG
from mixing.train_tokenizer import check_choices, config, train
from pipelines.prepared import prepared_range

JUDGED_CHARACTERS = 2_000_000
"""Of each source, for its fertility."""
_LAST_KEY = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Choices:
    """What to train, as the command line names it."""

    sources: Sequence[str] = ()
    """Empty: all of the build."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Times a source's natural share; 1 where it is not named."""
    characters: int = 200_000_000
    """Of the sample; all there are, if fewer."""
    vocabulary: int = 32768
    digits: int = 3
    special: Sequence[str] = ()
    seed: int = 7
    beside: Sequence[str] = ()
    include_restricted: bool = False


def train_tokenizer(build: Store, choices: Choices, out: Path) -> dict[str, Any]:
    """Train, write the folder `out`, and judge: its card, and the fertility of it and of those beside it by source."""
    check_choices(choices.vocabulary, choices.digits, choices.special)
    libraries = {name: library_of(_file(name)) for name in choices.beside}
    chosen, restricted = _sources(build, choices)
    books = {source: _Books.of(build, source) for source in chosen}
    samples = _samples(books, choices)
    content = train(
        (text for source in chosen for text in books[source].texts(samples[source])),
        vocabulary=choices.vocabulary,
        digits=choices.digits,
        special=choices.special,
    )
    store = Store(out, mode=0o600 if restricted else None)
    with store.writing("tokenizer.json") as stream:
        stream.write(content)
    store.write_json(CONFIG, config(choices.special))
    card = {
        "made_by": "medtrove train-tokenizer",
        "sha256": hashlib.sha256(content).hexdigest(),
        "restricted": restricted,
        "settings": {
            "vocabulary": choices.vocabulary,
            "digits": choices.digits,
            "special": list(choices.special),
            "seed": choices.seed,
            "characters": choices.characters,
        },
        "trained_on": {
            source: {"documents": len(samples[source]), "weight": choices.weights.get(source, 1.0)}
            | {"characters": books[source].characters(samples[source])}
            for source in chosen
        },
    }
    store.write_json(CARD, card)
    libraries = {"new": library_of(str(out / "tokenizer.json")), **libraries}
    rows = [row for source in chosen for row in _judged(source, books[source], samples[source], libraries)]
    return {"tokenizer": str(out / "tokenizer.json"), "card": card, "fertility": rows}


def _file(name: str) -> str:
    return str(Path(name) / "tokenizer.json") if Path(name).is_dir() else name


def _sources(build: Store, choices: Choices) -> tuple[list[str], bool]:
    known = sources(build)
    for name in [*choices.sources, *choices.weights]:
        if name not in known:
            raise BuildError(
                f"the build has no source {name!r}.",
                where=build.url,
                why=f"It has {', '.join(known)}.",
                fix="Correct it.",
            )
    chosen = [name for name in known if not choices.sources or name in choices.sources]
    restricted = [name for name in chosen if known[name]["card"]["restricted"]]
    if restricted and not choices.include_restricted:
        free = " ".join(f"--source {name}" for name in chosen if name not in restricted)
        raise BuildError(
            f"{', '.join(restricted)}: restricted, and a tokenizer keeps words of its texts, names among them.",
            where=build.url,
            fix=f"Train on the others ({free}), or add --include-restricted: the files are then restricted as well.",
        )
    return chosen, bool(restricted)


@dataclass(slots=True)
class _Books:
    """The kept documents of one source of a build, in key order."""

    keys: np.ndarray[Any, np.dtype[np.uint64]]
    n_chars: np.ndarray[Any, np.dtype[np.int64]]
    held_out: np.ndarray[Any, np.dtype[np.bool_]]
    """Validation documents: no training of any kind sees them."""
    folder: Store

    @classmethod
    def of(cls, build: Store, source: str) -> _Books:
        line = next(one for one in stages(build) if one["stage"] == "prepare" and one["source"] == source)
        kept = pq.read_table(
            build.reading("manifest/documents.parquet"),
            columns=["doc_key", "n_chars", "split"],
            filters=[("source", "=", source), ("fate", "=", KEPT)],
        ).sort_by("doc_key")
        root, _, _ = build.url.rpartition("/builds/")
        folder = Store(root).sub(f"stages/prepare/{source}@{line['fingerprint']}")
        held_out = np.asarray(kept["split"].to_pylist(), dtype=object) == "validation"
        return cls(kept["doc_key"].to_numpy(), kept["n_chars"].to_numpy().astype(np.int64), held_out, folder)

    def texts(self, keys: np.ndarray[Any, np.dtype[np.uint64]]) -> Iterator[str]:
        """Texts of these documents in key order, marks of ours left out."""
        wanted = dict.fromkeys(keys.tolist(), "")
        before = -1
        for key, text in prepared_range(self.folder, 0, _LAST_KEY, wanted, skip={}):
            if key != before:  # a second record of an id that another part holds
                yield _without_marks(text)
            before = key

    def characters(self, keys: np.ndarray[Any, np.dtype[np.uint64]]) -> int:
        return int(self.n_chars[np.isin(self.keys, keys)].sum())

    def first(self, among: np.ndarray[Any, np.dtype[np.bool_]], characters: float, seed: int) -> Any:
        """Keys of the documents `among`, in an order drawn from the seed, up to so many characters."""
        places = np.flatnonzero(among)
        order = places[np.argsort(mix64(self.keys[places] ^ mix64(np.uint64(seed))), kind="stable")]
        before = np.cumsum(self.n_chars[order]) - self.n_chars[order]
        return np.sort(self.keys[order[before < characters]])


def _samples(books: Mapping[str, _Books], choices: Choices) -> dict[str, Any]:
    """Keys to train on: weighted natural shares of the characters asked for, as far as a source has them."""
    there = {name: int(book.n_chars[~book.held_out].sum()) for name, book in books.items()}
    weighted = {name: there[name] * choices.weights.get(name, 1.0) for name in books}
    total = sum(weighted.values())
    if not total:
        raise BuildError("the sources have no text to train on.", fix="Choose others with --source.")
    room = min(choices.characters, sum(there.values()))
    return {
        name: book.first(~book.held_out, room * weighted[name] / total, choices.seed) for name, book in books.items()
    }


def _judged(source: str, books: _Books, sample: Any, libraries: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    unseen = books.held_out | ~np.isin(books.keys, sample)
    seen = not unseen.any()
    keys = books.first(np.ones_like(unseen) if seen else unseen, JUDGED_CHARACTERS, 0)
    texts = list(books.texts(keys))
    for name, library in libraries.items():
        found = fertility(library, texts)
        yield {
            "source": source,
            "tokenizer": name,
            "vocabulary": library.get_vocab_size(),
            "documents": found.documents,
            "words": found.words,
            "numbers": found.numbers,
            "seen_in_training": seen,
            **found.ratios,
        }


def _without_marks(text: str) -> str:
    if OURS in text:
        for name in names():
            text = text.replace(OURS + name, "")
    return text
