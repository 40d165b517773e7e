"""Llama-2-style tokenizer files, made quick for the fast encoder: words apart, with the same ids.

Such a file has no pre-tokenizer, so byte-pair merging runs over the whole text at once. But where no token of the
vocabulary goes on past the end of a word, no merge ever does, and words can be encoded (and remembered) one by one.
"""

from __future__ import annotations

import copy
import re
from typing import Any

_PAST_A_WORD = re.compile("[^▁]▁")
_WORD = "▁*[^▁]+|▁+"
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def split_at_words(table: dict[str, Any]) -> dict[str, Any]:
    """The parsed `tokenizer.json` with words split, or as it is where that could change an id."""
    model = table["model"]
    vocabulary = model.get("vocab")
    if (
        table.get("pre_tokenizer") is not None
        or model.get("type") != "BPE"
        or model.get("ignore_merges")
        or model.get("dropout")
        # An unknown character joined to its neighbour would reach past the word; with bytes there are none.
        or not model.get("byte_fallback")
        or not all(byte in vocabulary for byte in _BYTES)
        or any(_PAST_A_WORD.search(token) for token in vocabulary)
        or not _replaces_spaces(table.get("normalizer"))
    ):
        return table
    changed = copy.copy(table)
    changed["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": _WORD}, "behavior": "Isolated", "invert": False}
    return changed


def _replaces_spaces(normalizer: dict[str, Any] | None) -> bool:
    if normalizer is None:
        return False
    if normalizer["type"] == "Sequence":
        return any(map(_replaces_spaces, normalizer["normalizers"]))
    return bool(normalizer["type"] == "Replace" and normalizer["content"] == "▁")
