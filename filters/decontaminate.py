"""Decontamination: drop documents that hold a window of a benchmark's question.

A window is 13 words running (letters and digits, NFKC, lower case); a question of 8 to 12 words is one window as a
whole. The index holds hashes alone (xxh3_64), so it can be shared where the questions cannot. Windows that three
questions or more share ("which of the following is the most likely ...") are the benchmark's manner, not its content,
and are left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from filters.rule import Drop, Keep, Rule, Verdict
from manifests.document import Document
from manifests.errors import RecipeError

HEAD = 8
"""Words of the shortest question that is looked for; every window is first looked up by its first eight."""

SHARED_BY = 3
"""Questions that hold a window from which on it is boilerplate."""

INDEX_SCHEMA = 1

_NO_WORD = re.compile(r"[\W_]+")
_HASHES = pa.schema(
    [
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("length", pa.uint8(), nullable=False),  # words
        pa.field("head", pa.uint64(), nullable=False),  # of the first HEAD words
        pa.field("window", pa.uint64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True, order=True)
class _Window:
    benchmark: str
    length: int
    head: int
    window: int


def words(text: str) -> list[bytes]:
    """The words of `text` as windows are made of them, in UTF-8."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _NO_WORD.sub(" ", text.lower()).encode().split()


def _hash(chosen: Iterable[bytes]) -> int:
    return xxhash.xxh3_64_intdigest(b" ".join(chosen))


def _windows(questions: Iterable[tuple[str, str, str]], n: int) -> list[_Window]:
    if n < HEAD:
        raise RecipeError(
            f"windows of {n} words are too short to say anything.", fix=f"Give n as {HEAD} or more; 13 is usual."
        )
    holders: Counter[tuple[str, int]] = Counter()
    found: set[_Window] = set()
    for benchmark, _, text in questions:
        split = words(text)
        if len(split) < HEAD:
            continue
        length = min(n, len(split))
        inside = {
            _Window(benchmark, length, _hash(split[i : i + HEAD]), _hash(split[i : i + length]))
            for i in range(len(split) - length + 1)
        }
        holders.update((benchmark, each.window) for each in inside)
        found |= inside
    return sorted(each for each in found if holders[each.benchmark, each.window] < SHARED_BY)


def build_index(questions: Iterable[tuple[str, str, str]], out_path: Path, *, n: int = 13) -> int:
    """Write the index of `questions` (benchmark, id, text) and return the number of its windows.

    The file is Parquet with sorted rows: the same questions in any order give the same bytes.
    """
    windows = _windows(questions, n)
    columns = [[getattr(each, field.name) for each in windows] for field in _HASHES]
    table = pa.table([pa.array(column, field.type) for column, field in zip(columns, _HASHES, strict=True)], _HASHES)
    table = table.replace_schema_metadata({"medtrove.decontaminate": str(INDEX_SCHEMA), "n": str(n)})
    pq.write_table(table, out_path, compression="zstd")
    return len(windows)


def _questions(path: Path) -> Iterator[tuple[str, str, str]]:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if line.strip():
            try:
                row = orjson.loads(line)
                yield str(row["benchmark"]), str(row["id"]), str(row["question"])
            except (orjson.JSONDecodeError, KeyError, TypeError):
                raise RecipeError(
                    "a line that is not a benchmark question.",
                    where=f"{path}:{number}",
                    why='A line is {"benchmark": ..., "id": ..., "question": ...}.',
                    fix="Correct the line, or give an index made by filters.decontaminate.build_index.",
                ) from None


def _load(index: str, n: int) -> list[_Window]:
    path = Path(index)
    if not path.is_file():
        raise RecipeError(
            f"the decontamination index {index!r} is not there.",
            why="Without it, benchmark questions would stay in the corpus unnoticed.",
            fix="Correct index, or make one with filters.decontaminate.build_index.",
        )
    if path.suffix == ".jsonl":
        return _windows(_questions(path), n)
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid:
        table = None
    stored = (table.schema.metadata or {}) if table is not None else {}
    if table is None or stored.get(b"medtrove.decontaminate") != str(INDEX_SCHEMA).encode():
        raise RecipeError(
            f"{index!r} is no decontamination index of this version.",
            fix="Make it anew with filters.decontaminate.build_index, or give the questions as .jsonl.",
        )
    if stored[b"n"] != str(n).encode():
        raise RecipeError(
            f"{index!r} holds windows of {stored[b'n'].decode()} words, the recipe asks for {n}.",
            fix="Give the same n, or make the index anew.",
        )
    return [_Window(*row.values()) for row in table.to_pylist()]


class Index:
    """Windows of benchmarks, looked up in one pass over a document's words."""

    def __init__(self, windows: Iterable[_Window]) -> None:
        self._heads: dict[int, dict[int, dict[int, set[str]]]] = {}
        for each in windows:
            lengths = self._heads.setdefault(each.head, {})
            lengths.setdefault(each.length, {}).setdefault(each.window, set()).add(each.benchmark)

    def hits(self, text: str) -> dict[str, int]:
        """Benchmark -> different windows of it that `text` holds."""
        split = words(text)
        if len(split) < HEAD:
            return {}
        joined = b" ".join(split)
        ends = [end - 1 for end in accumulate(len(word) + 1 for word in split)]
        starts = [0, *(end + 1 for end in ends[:-1])]
        digest, heads = xxhash.xxh3_64_intdigest, self._heads
        found: dict[str, set[int]] = {}
        for position, (start, end) in enumerate(zip(starts, ends[HEAD - 1 :], strict=False)):
            lengths = heads.get(digest(joined[start:end]))
            if lengths is None:
                continue
            for length, known in lengths.items():
                if position + length <= len(split):
                    window = digest(joined[start : ends[position + length - 1]])
                    for benchmark in known.get(window, ()):
                        found.setdefault(benchmark, set()).add(window)
        return {benchmark: len(found[benchmark]) for benchmark in sorted(found)}


def decontaminate_rule(*, index: str, n: int = 13, max_hits: int = 0) -> Rule:
    """Drop documents that hold more than `max_hits` windows of one benchmark.

    `index`: a file of `build_index`, or questions as `.jsonl`, hashed at load.
    """
    loaded = Index(_load(index, n))

    def rule(document: Document, /) -> Verdict:
        hits = loaded.hits(document.text)
        worst = max(hits, key=lambda benchmark: hits[benchmark], default="")
        most = hits.get(worst, 0)
        measures = {"hits": float(most)}
        if most > max_hits:
            counts = {f"decontaminate.{benchmark}": number for benchmark, number in hits.items()}
            return Drop(f"decontaminate.{worst}", most, max_hits, measures, counts=counts)
        return Keep(measures)

    return rule


decontaminate_rule.version = 1  # type: ignore[attr-defined]
