"""Two texts side by side: the lines that differ, and inside them the words, with what cannot be seen made visible."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

AROUND = 40
"""Unchanged characters shown on either side of a change."""
MOST_PAIRS = 4_000_000
"""Pairs of words compared inside one changed piece; a longer one is shown whole."""
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines that left and lines that came in their place."""

    line: int
    """Of the first in the old text, from 1."""
    removed: tuple[str, ...]
    added: tuple[str, ...]


def hunks(before: str, after: str) -> list[Hunk]:
    """Where the lines of the two texts differ."""
    old, new = before.split("\n"), after.split("\n")
    matcher = difflib.SequenceMatcher(None, old, new)
    return [
        Hunk(start + 1, tuple(old[start:stop]), tuple(new[first:last]))
        for kind, start, stop, first, last in matcher.get_opcodes()
        if kind != "equal"
    ]


def written(hunk: Hunk) -> Iterator[str]:
    """A hunk for a person: `[-left-]` and `{+came+}` among the words around them."""
    yield f"@@ line {hunk.line}"
    if len(hunk.removed) == len(hunk.added):
        for old, new in zip(hunk.removed, hunk.added, strict=True):
            yield "  " + _words(old, new)
    else:
        yield from (f"- {_visible(line)}" for line in hunk.removed)
        yield from (f"+ {_visible(line)}" for line in hunk.added)


def _words(old: str, new: str) -> str:
    was, now = _WORDS.findall(old), _WORDS.findall(new)
    if len(was) * len(now) > MOST_PAIRS:
        return f"[-{_visible(old)}-]{{+{_visible(new)}+}}"
    opcodes = difflib.SequenceMatcher(None, was, now, autojunk=False).get_opcodes()
    parts = []
    for number, (kind, start, stop, first, last) in enumerate(opcodes):
        left, came = "".join(was[start:stop]), "".join(now[first:last])
        if kind == "equal":
            parts.append(_shortened(left, is_first=number == 0, is_last=number == len(opcodes) - 1))
            continue
        parts.append(f"[-{_visible(left)}-]" * bool(left) + f"{{+{_visible(came)}+}}" * bool(came))
    return "".join(parts)


def _shortened(same: str, *, is_first: bool, is_last: bool) -> str:
    if is_first:
        return same if len(same) <= AROUND else "… " + same[-AROUND:]
    if is_last:
        return same if len(same) <= AROUND else same[:AROUND] + " …"
    return same if len(same) <= 2 * AROUND else f"{same[:AROUND]} … {same[-AROUND:]}"


def _visible(piece: str) -> str:
    """`piece`; if nothing of it can be seen, or some of it never can, with the numbers of those characters."""
    if piece and not piece.strip():
        return "".join("·" if character == " " else _code(character) for character in piece)
    return "".join(_code(character) if _hidden(character) else character for character in piece)


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp") or (
        character.isspace() and character not in " \t"
    )


def _code(character: str) -> str:
    return f"<U+{ord(character):04X}>"


def shown(text: str) -> str:
    """`text` for a terminal: control characters, which could do more than show, replaced by their numbers."""
    return "".join(
        _code(character) if unicodedata.category(character) == "Cc" and character not in "\n\t" else character
        for character in text
    )
