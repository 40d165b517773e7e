"""What a recipe asks of its tokenizer's file, checked before hours are spent on the rest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from manifests.errors import RecipeError
from mixing.tokenize import Encoder
from mixing.tokenizer_file import CARD


def check_tokenizer(
    path: str, special: Sequence[str], *, restricted: bool, bos: bool = False, eos: bool = False
) -> None:
    """RecipeError where the file is no tokenizer, lacks a token asked for, or comes of restricted text and the build
    does not."""
    Encoder(path, bos=bos, eos=eos, special=special)
    card = Path(path).with_name(CARD)
    if not restricted and card.exists() and json.loads(card.read_bytes()).get("restricted"):
        raise RecipeError(
            "the tokenizer was trained on restricted text, and no source of the recipe is restricted.",
            where=path,
            why="Its vocabulary holds words of that text, names among them, and an open build would carry them out.",
            fix="Train one on open sources: medtrove train-tokenizer without --include-restricted.",
        )
