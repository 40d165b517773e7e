"""Words, split once: both readings of a text into words remember every white-space-delimited chunk they have met.

spaCy's tokenizer is fast on words it knows and forgets them all between documents as commonly used; its rules never
reach across white space, so remembering the answer for each chunk is exact, and some sixty times faster
(`tests/filters/test_words.py` compares with the stock tokenizer). The memory is capped, so a worker's size is constant.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, TypeVar

MEMO_ENTRIES = 1_000_000
"""Chunks one memo holds, about 0.3 GB; later ones are worked out every time."""

MEMO_CHARACTERS = 64
"""Longer chunks (sequences, addresses) do not come twice and are not remembered."""

_Value = TypeVar("_Value")

_TYPOGRAPHY = str.maketrans({**dict.fromkeys("‘’‛", "'"), **dict.fromkeys("‐‑‒–—―−", "-")})
_OUTER = "\"'`“”„«»‹›.,;:!?¿¡…()[]{}|*_#•·†‡§¶\\"
# A comparator, sign or per cent belongs to a number and is punctuation around a word.
_AROUND_WORDS = _OUTER + "-+<>=≤≥±~≈%/^&@$°"


class _Memo(dict[str, _Value]):
    """Chunk -> value, worked out at first sight."""

    def __init__(self, work_out: Callable[[str], _Value], capacity: int) -> None:
        super().__init__()
        self._work_out, self._capacity = work_out, capacity

    def __missing__(self, chunk: str) -> _Value:
        value = self._work_out(chunk)
        if len(self) < self._capacity and len(chunk) <= MEMO_CHARACTERS:
            self[chunk] = value
        return value


def _simple(chunk: str) -> str:
    word = chunk.lower() if chunk.isascii() else chunk.translate(_TYPOGRAPHY).lower()
    stripped = word.strip(_OUTER)
    if not any(map(str.isdecimal, stripped)):
        stripped = stripped.strip(_AROUND_WORDS)
    elif stripped[0].isdecimal():
        # `.5` and `(.5)` are not 5.
        before = word[: word.index(stripped)]
        if before.endswith(".") and not before.endswith(".."):
            stripped = "." + stripped
    return stripped if any(map(str.isalnum, stripped)) else ""


class Words:
    """Both readings of a text into words; one instance serves a whole worker."""

    def __init__(self, *, capacity: int = MEMO_ENTRIES) -> None:
        self._capacity = capacity
        self._simple_memo: _Memo[str] = _Memo(_simple, capacity)
        self._split_memo: _Memo[tuple[str, ...]] = _Memo(self._tokens, capacity)
        self._nlp: Any = None

    def simple(self, text: str) -> list[str]:
        """White-space words in lower case without the punctuation around them; numbers stay whole.

        What counts as a word to the quality rules and to shingles: "(5.5 mg/dL)," is `5.5` and `mg/dl`.
        """
        return list(filter(None, map(self._simple_memo.__getitem__, text.split())))

    def split(self, text: str) -> list[str]:
        """The tokens of `spacy.blank("en")`, without its tokens of white space."""
        return list(chain.from_iterable(map(self._split_memo.__getitem__, text.split())))

    def _tokens(self, chunk: str) -> tuple[str, ...]:
        if self._nlp is None:
            import spacy

            self._nlp = spacy.blank("en")
        if len(self._split_memo) < self._capacity:
            return tuple(token.text for token in self._nlp.tokenizer(chunk))
        # spaCy keeps every string it has seen; what we do not remember, it must not either.
        with self._nlp.memory_zone():
            return tuple(token.text for token in self._nlp.tokenizer(chunk))
