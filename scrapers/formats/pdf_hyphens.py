"""Words that a line end split are joined again; a hyphen beside a digit, or one the word has elsewhere, stays."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from scrapers.formats.pdf_page import LINE_HYPHEN

_SPLIT = re.compile(r"(\S*)\ufffe(?:[^\S\n]*\n\s*)?(\S*)")
"""A space alone after the hyphen is another column's text on the same line, which the word does not go on with."""
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LETTERS_AT_END = re.compile(r"[^\W\d_]+$")
_LETTERS_AT_START = re.compile(r"^[^\W\d_]+")
_AT_END = re.compile(r"(?<=\w)[-\u2010\u00ad]$")
_DASH = re.compile(r"(?<=\d)([\u2013\u2212/])\n(?=\d)|(?<=\w)([\u2013\u2014/])\n(?=\w)")
"""At the end of a line and not after a space: no space follows it."""
_SUSPENDED = frozenset({"and", "or", "to", "et", "ou", "und", "oder", "y", "o"})
# First parts that keep their hyphen before nearly every word.
_PARTS = frozenset(
    {"non", "self", "well", "low", "high", "long", "short", "first", "second", "third", "line", "half", "cross", "full"}
    | {"alpha", "beta", "gamma", "delta", "evidence", "risk", "dose", "age", "sex", "drug", "health", "patient"}
    | {"follow", "x", "t", "b", "d", "e"}
)
# First parts of words written in one that are words themselves.
_CLOSED = frozenset(
    {"with", "there", "where", "here", "some", "any", "every", "out", "over", "under", "fore", "further", "more", "how"}
    | {"what", "when", "who", "him", "her", "them", "your", "our", "through", "can", "may", "back", "note", "after"}
    | {"life", "hand", "head", "work", "never", "other", "down", "for", "not", "any", "one", "mis", "dis", "pre", "sub"}
    | {"inter", "intra", "extra", "super", "hyper", "hypo", "micro", "macro", "anti", "auto", "sero", "photo", "neuro"}
    | {"multi", "semi", "trans", "counter", "para", "peri", "poly", "mono", "bio", "cardio", "electro", "radio", "tri"}
)
# Second parts that no word written in one ends with, but after the first parts above.
_TAILS = frozenset(
    {"based", "related", "specific", "effective", "blind", "blinded", "adjusted", "associated", "induced", "mediated"}
    | {"derived", "term", "level", "scale", "fold", "stage", "center", "centre", "quality", "threatening", "growing"}
    | {"containing", "reported", "choice", "organ", "borne", "linked", "coupled", "labelled", "labeled", "tagged"}
    | {"making", "maker", "makers", "free", "type", "dose", "line", "risk", "year", "month", "week", "hour", "old"}
)
_LINKS = frozenset({"a", "and", "at", "by", "in", "of", "on", "or", "than", "the", "to", "up"})
_SHORTEST = 3


def marked(line: str) -> str:
    """`line` with the hyphen at its end marked as one that may fall."""
    return _AT_END.sub(LINE_HYPHEN, line)


class Hyphens:
    """Joins lines by the words that the whole document uses."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._words: Counter[str] = Counter()
        self._tails: Counter[str] = Counter()
        split = False
        for line in lines:
            found = _WORD.findall(line.lower())
            # The two parts of a split word are no words.
            ends = marked(line).endswith(LINE_HYPHEN)
            self._words.update(found[split : len(found) - ends])
            split = ends
        for word, times in self._words.items():
            if "-" in word:
                self._tails[word.rpartition("-")[2]] += times

    def joined(self, lines: Iterable[str]) -> str:
        """Lines of one paragraph as one line."""
        text = _DASH.sub(lambda found: found[1] or found[2], "\n".join(lines))
        while LINE_HYPHEN in text:
            after = _SPLIT.sub(self._one, text)
            if after == text:
                break
            text = after
        return " ".join(text.replace(LINE_HYPHEN, "-").split())

    def _one(self, match: re.Match[str]) -> str:
        left, right = match[1], match[2]
        hyphenated = f"{left}-{right}"
        if left[-1:].isdigit() or right[:1].isdigit() or not left or not right:
            return hyphenated
        if right in _SUSPENDED:
            return f"{left}- {right}"
        stem = "".join(_LETTERS_AT_END.findall(left)[:1]).lower()
        tail = "".join(_LETTERS_AT_START.findall(right)[:1]).lower()
        plain, dashed = self._words[stem + tail], self._words[f"{stem}-{tail}"]
        keep = dashed > plain or not stem or (not plain and tail in _LINKS and right[len(tail) :][:1] == "-")
        if not plain:
            keep = keep or stem in _PARTS or not right[:1].islower() or left[-1:].isupper()
            keep = keep or self._compound(stem, tail)
        return hyphenated if keep else left + right

    def _compound(self, stem: str, tail: str) -> bool:
        """Whether two parts that the document never has in one word are words of their own."""
        if stem in _CLOSED or min(len(stem), len(tail)) < _SHORTEST:
            return False
        both = self._words[stem] and self._words[tail]
        return bool(both) or tail in _TAILS or (len(tail) > _SHORTEST and self._tails[tail] > 0)
