"""What an edit took out of a text and put in, in characters and digits; by subtraction, so that books close exactly.

    len(before) - removed_characters + added_characters == len(after)

A character counts as removed if the old text holds more of it than the new one: what only moved was not removed. A
digit counts as removed with the number it belongs to, as `filters.numbers` spells it: `10⁻³` written as `10^-3` lost
nothing, and `10` that became `01` lost both digits.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np

from filters.numbers import numbers

_DIGITS = b"0123456789"
_SPACES = [code for code in range(128) if chr(code).isspace()]
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def digits(text: str) -> int:
    """Digits of `text`, 0 to 9."""
    stored = text.encode("utf-8", "surrogatepass")
    return len(stored) - len(stored.translate(None, _DIGITS))


def edit_measures(before: str, after: str) -> dict[str, int]:
    """`manifests.schema.EDIT_MEASURES` of one edit, without those that are 0; `spaces` are white space."""
    old, new = before.split("\n"), after.split("\n")
    # Lines that stay cancel out, and so do words: only what changed is counted. No number reaches over a space.
    gone, come = _unlike(old, new)
    was, now = "\n".join(gone), "\n".join(come)
    taken, other_taken = _characters(was, now)
    # As many line breaks as lines went, whatever the joins above hold.
    taken[10] += len(old) - len(new) - was.count("\n") + now.count("\n")
    old_numbers, new_numbers = _numbers(was.split(), now.split())
    found = {
        "removed_digits": _digits_of(old_numbers - new_numbers),
        "added_digits": _digits_of(new_numbers - old_numbers),
    }
    for name, sign in (("removed", 1), ("added", -1)):
        ascii_part = np.maximum(sign * taken, 0)
        other = {character: n * sign for character, n in other_taken.items() if n * sign > 0}
        found[f"{name}_characters"] = int(ascii_part.sum()) + sum(other.values())
        spaces = sum(n for character, n in other.items() if character.isspace())
        found[f"{name}_spaces"] = int(ascii_part[_SPACES].sum()) + spaces
    return {name: n for name, n in found.items() if n}


def _unlike(old: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    """The lines of each that the other does not have, as often as it does not."""
    if len(old) == len(new) == 1:
        return (old, new) if old != new else ([], [])
    were, are = Counter(old), Counter(new)
    return list((were - are).elements()), list((are - were).elements())


def _characters(was: str, now: str) -> tuple[Any, Counter[str]]:
    """How many more `was` holds than `now` of each ASCII character, as an array, and of each other one."""
    # Nearly all are ASCII, and those are counted as bytes, ten times as fast.
    stored = [text.encode("ascii", "ignore") for text in (was, now)]
    before, after = (np.bincount(np.frombuffer(one, dtype=np.uint8), minlength=128) for one in stored)
    other: Counter[str] = Counter()
    if len(stored[0]) < len(was) or len(stored[1]) < len(now):
        other.update(_NOT_ASCII.findall(was))
        other.subtract(_NOT_ASCII.findall(now))
    return before - after, other


def _numbers(was: list[str], now: list[str]) -> tuple[Counter[str], Counter[str]]:
    if was == now:
        return Counter(), Counter()
    old, new = (Counter(word for word in words if not word.isalpha()) for words in (was, now))
    gone, come = (" ".join(some.elements()) for some in (old - new, new - old))
    return Counter(numbers(gone)), Counter(numbers(come))


def _digits_of(found: Counter[str]) -> int:
    return sum(n * sum(character.isdigit() for character in number) for number, n in found.items())
