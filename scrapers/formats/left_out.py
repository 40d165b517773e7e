"""How much visible text extraction leaves out with a block: characters without white space, and digits, by name."""

from __future__ import annotations

from collections.abc import MutableMapping

_DIGITS = b"0123456789"
_SPACES = b" \n\t\r"


def visible(text: str) -> tuple[int, int]:
    """Characters of `text` that are no white space, and its digits 0 to 9.

    >>> visible("take 10 mg")
    (8, 2)
    """
    stored = text.encode("utf-8", "surrogatepass")
    dense = stored.translate(None, _SPACES)
    n_digits = len(dense) - len(dense.translate(None, _DIGITS))
    n_wide = 0 if len(stored) == len(text) else text.count("\u00a0")
    return len(text) - (len(stored) - len(dense)) - n_wide, n_digits


def left_out(counts: MutableMapping[str, int], name: str, text: str) -> None:
    """Add what leaves with `text` to `counts`, as `<name>_characters` and `<name>_digits`."""
    for what, n in zip(("characters", "digits"), visible(text), strict=True):
        if n:
            key = f"{name}_{what}"
            counts[key] = counts.get(key, 0) + n
