"""Which lines a source repeats: counted in one reading, exactly, in bounded memory, the same however it is cut.

Each removable line counts once a document. A task counts by hash, on disk where there are many, and leaves the counts
sorted; tasks add up in any order. Wording is kept only of lines that stand in the share of the task's own documents: a
line that reaches the share of the whole source reaches it in one task at least. What was learnt is a file that a person
can read, and that `clean.boilerplate` takes as `lines`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple, Self

import numpy as np

from filters.furniture import MAX_CHARACTERS, furniture_kind, may_name_a_person, normal_form
from manifests.buckets import Buckets
from manifests.errors import RecipeError
from manifests.identity import line_key

MIN_SHARE = 0.2
"""Share of a source's documents that a line must stand in."""

MIN_DOCUMENTS = 20
"""Documents that a line must stand in, whatever the share: two of five says nothing about a source."""

SLOTS = 1 << 20
"""Counters by which a task guesses how often it met a line, 4 MB: two lines in one slot add up, so never too low."""

HELD_LINES = 50_000
"""Wordings kept at once."""
_HELD_HASHES = 1 << 16


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on a line is learnt."""

    min_share: float = MIN_SHARE
    min_documents: int = MIN_DOCUMENTS

    def __post_init__(self) -> None:
        numbers = isinstance(self.min_share, float | int) and isinstance(self.min_documents, int)
        if not numbers or not 0 < self.min_share <= 1 or self.min_documents < 2:
            raise RecipeError(
                f"clean.boilerplate cannot learn with min_share = {self.min_share!r} and min_documents = "
                f"{self.min_documents!r}.",
                why="A line is learnt for being repeated by a share of the documents, and by several.",
                fix="Write min_share above 0 and at most 1, and min_documents = 2 or more.",
            )

    def share_reached(self, held_by: int, documents: int) -> bool:
        """Whether `held_by` of `documents` is the share; exact, so that no rounding tells tasks from their sum."""
        share = Fraction(str(self.min_share))
        return held_by * share.denominator >= share.numerator * documents

    def reached(self, held_by: int, documents: int) -> bool:
        """Whether a line of so many documents is learnt."""
        return held_by >= self.min_documents and self.share_reached(held_by, documents)


class CountedLine(NamedTuple):
    """A line of one task, or of all: how many documents hold it, and what it is where it reached the share."""

    hash: int
    documents: int
    kind: str = ""
    """`filters.furniture.furniture_kind`; empty where the line did not reach the share."""
    characters: int = 0
    withheld: str = ""
    """Why its words are listed nowhere: `restricted` (the source is), `person` (it may name one); empty: they are."""
    line: str = ""


class LineCounter:
    """Counts the removable lines of a task's documents."""

    def __init__(
        self, thresholds: Thresholds, *, restricted: bool, slots: int = SLOTS, held_lines: int = HELD_LINES
    ) -> None:
        self.thresholds = thresholds
        self.restricted = restricted
        """True: no word of a line leaves the counter."""
        self.documents = 0
        self._buckets = Buckets([])
        self._hashes: list[int] = []
        self._slots = np.zeros(slots, dtype=np.uint32)
        self._held_lines = held_lines
        self._wording: dict[int, tuple[str, str]] = {}

    def add(self, text: str) -> None:
        """Count one document."""
        self.documents += 1
        found = removable_lines(text)
        if not found:
            return
        self._hashes.extend(found)
        for hashed, wording in found.items():
            slot = hashed % len(self._slots)
            self._slots[slot] += 1
            # Asked at each meeting: at the last one the count is whole, and the documents so far are no more than all.
            if self._frequent(slot):
                self._wording[hashed] = wording
        if len(self._hashes) >= _HELD_HASHES:
            self._spill()
        if len(self._wording) > self._held_lines:
            self._wording = {key: one for key, one in self._wording.items() if self._frequent(key % len(self._slots))}
            # At most lines-per-document / min_share of them can be frequent at once; colliding ones only add to that.
            self._held_lines = max(self._held_lines, 2 * len(self._wording))

    def _frequent(self, slot: int) -> bool:
        return self.thresholds.share_reached(int(self._slots[slot]), self.documents)

    def _spill(self) -> None:
        self._buckets.add(np.array(self._hashes, dtype=np.uint64))
        self._hashes = []

    def counted(self) -> Iterator[list[CountedLine]]:
        """Every line of the task by rising hash, in pieces; wording only of those that reached the share."""
        self._spill()
        for records in self._buckets:
            keys, counts = np.unique(records["key"], return_counts=True)
            piece = []
            for key, n in zip(keys.tolist(), counts.tolist(), strict=True):
                known = self.thresholds.share_reached(n, self.documents)
                piece.append(self._told(CountedLine(key, n), *self._wording[key]) if known else CountedLine(key, n))
            if piece:
                yield piece

    def _told(self, one: CountedLine, kind: str, wording: str) -> CountedLine:
        why = "restricted" if self.restricted else "person" if may_name_a_person(wording) else ""
        line = "" if why else wording
        return one._replace(kind=kind, characters=len(wording), withheld=why, line=line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._buckets.close()


def removable_lines(text: str) -> dict[int, tuple[str, str]]:
    """The lines of one document that may be learnt, each once: hash -> kind and normal form."""
    found = {}
    for line in set(text.split("\n")):
        if line and len(line) <= MAX_CHARACTERS and (kind := furniture_kind(line)):
            wording = normal_form(line)
            found[line_key(wording)] = (kind, wording)
    return found


def learnt_file(
    source: str, documents: int, lines: Iterable[CountedLine], thresholds: Thresholds, *, restricted: bool
) -> dict[str, Any]:
    """What is written of the lines of a whole source: those of `lines` that reach the thresholds, most frequent first.

    Of each its hash, kind, length, and the documents and share of documents that hold it; its words where they may be
    listed, else `withheld` says why not.
    """
    found = [one for one in lines if thresholds.reached(one.documents, documents)]
    return {
        "source": source,
        "documents": documents,
        "restricted": restricted,
        "min_share": thresholds.min_share,
        "min_documents": thresholds.min_documents,
        "lines": [
            {
                "hash": f"{one.hash:016x}",
                "documents": one.documents,
                "share": round(one.documents / documents, 6),
                "kind": one.kind,
                "characters": one.characters,
                **({"withheld": one.withheld} if one.withheld else {"line": one.line}),
            }
            for one in sorted(found, key=lambda one: (-one.documents, one.hash))
        ],
    }


def learn(texts: Iterable[str], thresholds: Thresholds, *, restricted: bool = False) -> dict[str, Any]:
    """What is learnt from `texts`, in one process, as `learnt_file` says it."""
    with LineCounter(thresholds, restricted=restricted) as counter:
        for text in texts:
            counter.add(text)
        lines = [one for piece in counter.counted() for one in piece]
    return learnt_file("", counter.documents, lines, thresholds, restricted=restricted)


def hashes_of(content: Mapping[str, Any], path: str) -> frozenset[int]:
    """The hashes in a file of lines; RecipeError if a line does not have the hash beside it."""
    try:
        listed = [(int(entry["hash"], 16), entry.get("line")) for entry in content["lines"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecipeError(
            f"{path} is no file of boilerplate lines: {error!r}.",
            why='It needs "lines", a list of objects with "hash" (16 hex digits).',
            fix='Let a build write it: lines = "learn" leaves lines.json in its stage `lines`.',
        ) from None
    for hashed, line in listed:
        if line is not None and line_key(normal_form(line)) != hashed:
            raise RecipeError(
                f"{path} lists a line whose hash is not {hashed:016x}.",
                why="Lines are found by hash: an edited line would not be the one that leaves.",
                fix="Take lines out or leave them as they are; do not reword them.",
            )
    return frozenset(hashed for hashed, _ in listed)
