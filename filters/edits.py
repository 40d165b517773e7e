"""What an edit took out of a text and put in, in characters and digits; by subtraction, so that books close exactly.

    len(before) - removed_characters + added_characters == len(after)

A character counts as removed if the old text holds more of it than the new one: what only moved was not removed. A
digit counts as removed with the number it belongs to, as `filters.numbers` spells it: `10⁻³` written as `10^-3` lost
nothing, and `10` that became `01` lost both digits.
"""

from __future__ import annotations

from collections import Counter

from filters.numbers import numbers

_DIGITS = b"0123456789"


def digits(text: str) -> int:
    """Digits of `text`, 0 to 9."""
    stored = text.encode("utf-8", "surrogatepass")
    return len(stored) - len(stored.translate(None, _DIGITS))


def edit_measures(before: str, after: str) -> dict[str, int]:
    """`manifests.schema.EDIT_MEASURES` of one edit, without those that are 0; `spaces` are white space."""
    old, new = before.split("\n"), after.split("\n")
    # A number never reaches over a line and lines that stay cancel out: only what changed is looked at.
    gone, come = _unlike(old, new)
    was, now = Counter("".join(gone)), Counter("".join(come))
    was["\n"], now["\n"] = len(old) - 1, len(new) - 1
    lost, gained = was - now, now - was
    old_numbers, new_numbers = Counter(numbers("\n".join(gone))), Counter(numbers("\n".join(come)))
    found = {
        "removed_characters": lost.total(),
        "added_characters": gained.total(),
        "removed_spaces": _spaces(lost),
        "added_spaces": _spaces(gained),
        "removed_digits": _digits_of(old_numbers - new_numbers),
        "added_digits": _digits_of(new_numbers - old_numbers),
    }
    return {name: n for name, n in found.items() if n}


def _unlike(old: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    """The lines of each that the other does not have, as often as it does not."""
    were, are = Counter(old), Counter(new)
    return list((were - are).elements()), list((are - were).elements())


def _spaces(found: Counter[str]) -> int:
    return sum(n for character, n in found.items() if character.isspace())


def _digits_of(found: Counter[str]) -> int:
    return sum(n * sum(character.isdigit() for character in number) for number, n in found.items())
