"""Fertility: how many tokens a tokenizer makes of a word, a character and a number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixing.engine import load_library
from mixing.tokenizer_file import parse_table, read_file

NUMBER = re.compile(r"\d+(?:[.,·]\d+)*")
"""Digits with their separators inside; signs, comparators and units stand beside it."""


@dataclass(frozen=True, slots=True)
class Fertility:
    """Sums over some texts."""

    documents: int
    characters: int
    words: int
    """Stretches between white space."""
    numbers: int
    tokens: int
    number_tokens: int
    """Tokens that hold any character of a number."""

    @property
    def ratios(self) -> dict[str, float]:
        """Tokens per word, per character and per number; 0 where there are none."""
        return {
            "tokens_per_word": self.tokens / max(1, self.words),
            "tokens_per_character": self.tokens / max(1, self.characters),
            "tokens_per_number": self.number_tokens / max(1, self.numbers),
        }


def library_of(path: str) -> Any:
    """The reference tokenizer of a `tokenizer.json`; RecipeError if it is none."""
    return load_library(parse_table(read_file(path), path), path)


def fertility(library: Any, texts: Iterable[str]) -> Fertility:
    """What `library` makes of `texts`, begin and end tokens not counted."""
    sums = [0] * 6
    for text in texts:
        encoding = library.encode(text, add_special_tokens=False)
        spans = [found.span() for found in NUMBER.finditer(text)]
        found = (1, len(text), len(text.split()), len(spans), len(encoding.ids), _inside(encoding.offsets, spans))
        sums = [total + more for total, more in zip(sums, found, strict=True)]
    return Fertility(*sums)


def _inside(offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> int:
    """How many tokens share a character with each span, all spans together."""
    if not offsets or not spans:
        return 0
    places = np.asarray(offsets, dtype=np.int64)
    places = places[places[:, 1] > places[:, 0]]
    begins, ends = np.asarray(spans, dtype=np.int64).T
    return int((np.searchsorted(places[:, 0], ends) - np.searchsorted(places[:, 1], begins, side="right")).sum())
