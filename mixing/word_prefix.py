"""The space that SentencePiece-style files put before a text, so that its first word is a word like any other.

The library puts it before every stretch of text between two special tokens, or before the first alone, by the file.
A piece that goes on where another ended must not get one: it would be a space that nobody wrote.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

Prefix = Literal["none", "first", "every"]
"""Which stretches of text get a prefix: `first`, the one at the very start of what is encoded."""

_STEPS = ("normalizers", "pretokenizers")


def prefix_of(table: dict[str, Any]) -> Prefix:
    """Where the library puts a prefix, for this parsed `tokenizer.json`."""
    found = {_prefix(step) for key in ("normalizer", "pre_tokenizer") for step in _steps(table.get(key))}
    return "every" if "every" in found else "first" if "first" in found else "none"


def without_prefix(table: dict[str, Any]) -> dict[str, Any]:
    """The same table for text that goes on: no prefix anywhere."""
    changed = {**table}
    for key in ("normalizer", "pre_tokenizer"):
        changed[key] = _without(copy.deepcopy(table.get(key)))
    return changed


def _steps(step: dict[str, Any] | None) -> list[dict[str, Any]]:
    if step is None:
        return []
    if step["type"] == "Sequence":
        return [inner for key in _STEPS for one in step.get(key, []) for inner in _steps(one)]
    return [step]


def _prefix(step: dict[str, Any]) -> Prefix:
    if step["type"] == "Prepend":
        return "every"
    if step["type"] == "ByteLevel":
        return "every" if step.get("add_prefix_space", True) else "none"
    if step["type"] == "Metaspace":
        # Files from before tokenizers 0.15 say `add_prefix_space` alone.
        scheme = step.get("prepend_scheme") or ("always" if step.get("add_prefix_space", True) else "never")
        return {"always": "every", "first": "first"}.get(scheme, "none")  # type: ignore[return-value]
    return "none"


def _without(step: dict[str, Any] | None) -> dict[str, Any] | None:
    if step is None or step["type"] == "Prepend":
        return None
    if step["type"] == "Sequence":
        key = next(key for key in _STEPS if key in step)
        step[key] = [kept for one in step[key] if (kept := _without(one)) is not None]
    elif step["type"] == "ByteLevel":
        step["add_prefix_space"] = False
    elif step["type"] == "Metaspace":
        step.pop("add_prefix_space", None)
        step["prepend_scheme"] = "never"
    return step
