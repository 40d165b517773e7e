"""How much visible text extraction leaves out with a block: characters without white space, and digits, by name."""

from __future__ import annotations

from collections.abc import MutableMapping

_DIGITS = b"0123456789"
_SPACES = (" ", "\n", "\t", "\r", "\u00a0")


def visible(text: str) -> tuple[int, int]:
    """Characters of `text` that are no white space, and its digits 0 to 9.

    >>> visible("take 10 mg")
    (8, 2)
    """
    stored = text.encode("utf-8", "surrogatepass")
    n_digits = len(stored) - len(stored.translate(None, _DIGITS))
    return len(text) - sum(map(text.count, _SPACES)), n_digits


def left_out(counts: MutableMapping[str, int], name: str, text: str) -> None:
    """Add what leaves with `text` to `counts`, as `<name>_characters` and `<name>_digits`."""
    for what, n in zip(("characters", "digits"), visible(text), strict=True):
        if n:
            key = f"{name}_{what}"
            counts[key] = counts.get(key, 0) + n
