"""Seeded choice, the same bytes on every machine and Python, and sentence patterns filled by it.

Python's `random` promises its float stream between versions, not `choice` or `shuffle`; this small generator
(splitmix64, seeded by sha256 of its label) promises all of it.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping, MutableSequence, Sequence
from functools import cache
from importlib import resources
from typing import Any, TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1
_SLOT = re.compile(r"\{([^{}]*)\}")
_NUMBER = re.compile(r"([nfx]):([0-9.]+)-([0-9.]+)")
_ARTICLE = re.compile(r"(^A|\ba) (?=[aeiou8AEIO])(?!\s?(?:uni|use|usu|uro|euro|one\b))")
_ONE_OF = re.compile(r"\bevery 1 (day|week|month|year)s\b")
_SINGULAR = re.compile(r"\b1 (day|week|month|year|visit|trial)s\b")
_SPACES = re.compile(r" {2,}")
_NEW_SENTENCE = re.compile(r"(?<=[a-z0-9%)/][a-zA-Z0-9%)][.?] )[a-z]")
_SPACE_BEFORE = re.compile(r" +(?=[.,;:)])")
_DECIMALS = {"n": 0, "f": 1, "x": 2}


class Draw:
    """A stream of choices; streams with different labels are independent."""

    def __init__(self, *label: object) -> None:
        text = "\x1f".join(map(str, label))
        self._state = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def below(self, bound: int) -> int:
        """A whole number from 0 to `bound` - 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((mixed ^ (mixed >> 31)) * bound) >> 64

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def choice(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def chance(self, percent: int) -> bool:
        """True in `percent` of 100 draws."""
        return self.below(100) < percent

    def shuffle(self, items: MutableSequence[T]) -> None:
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]

    def sample(self, items: Sequence[T], n: int) -> list[T]:
        """`n` different places of `items`, in drawn order."""
        copy = list(items)
        self.shuffle(copy)
        return copy[:n]


class Writer:
    """Fills sentence patterns for one document: a slot's words and a role's patterns are dealt like cards.

    No pattern and no word comes again before all others of its list did, so a document does not repeat itself.
    """

    def __init__(self, draw: Draw, words: Mapping[str, Sequence[str] | str | Callable[[Draw], str]]) -> None:
        self.draw = draw
        self._words = words
        self._decks: dict[str, list[str]] = {}

    def deal(self, name: str) -> str:
        """The next entry of the list `name`, as it stands there."""
        entry = self._words[name]
        if isinstance(entry, str):
            return entry
        if callable(entry):
            return entry(self.draw)
        deck = self._decks.get(name)
        if not deck:
            deck = list(entry)
            self.draw.shuffle(deck)
            self._decks[name] = deck
        return deck.pop()

    def fill(self, pattern: str) -> str:
        """`pattern` with every `{...}` filled, inner ones first."""
        while True:
            filled = _SLOT.sub(self._slot, pattern)
            if filled == pattern:
                break
            pattern = filled
        filled = _SINGULAR.sub(r"1 \1", _ONE_OF.sub(r"every \1", filled))
        filled = _ARTICLE.sub(r"\1n ", filled)
        filled = _NEW_SENTENCE.sub(lambda found: found[0].upper(), filled)
        return _SPACE_BEFORE.sub("", _SPACES.sub(" ", filled)).strip()

    def sentence(self, role: str) -> str:
        """One sentence of the patterns `role`, with a capital letter."""
        text = self.fill(self.deal(role))
        return text[:1].upper() + text[1:]

    def paragraph(self, role: str, n: int) -> str:
        """`n` sentences of the patterns `role`."""
        return " ".join(self.sentence(role) for _ in range(n))

    def _slot(self, match: re.Match[str]) -> str:
        inside: str = match[1]
        number = _NUMBER.fullmatch(inside)
        if number is not None:
            decimals = _DECIMALS[number[1]]
            scale = 10**decimals
            value = self.draw.integer(round(float(number[2]) * scale), round(float(number[3]) * scale))
            return f"{value / scale:.{decimals}f}"
        if "|" in inside:
            return self.draw.choice(inside.split("|"))
        return self.deal(inside)


@cache
def words(name: str) -> dict[str, Any]:
    """The word lists and sentence patterns of `words/<name>.toml`."""
    file = resources.files("scrapers.sample") / "words" / f"{name}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))
