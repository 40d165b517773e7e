"""How many bytes of text each token spells, from the tokenizer's own table: what bits per byte are counted with.

Not from decoded text: a token may be part of a character, which decodes to a replacement sign of another length.
Control tokens spell nothing. Byte-level BPE (Llama 3, Qwen, GPT) writes each byte as one character of the token;
SentencePiece's BPE (Llama 2, Mistral, Gemma) writes a space as U+2581 and single bytes as `<0x0A>`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from manifests.errors import RecipeError

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def token_bytes(file: Path) -> npt.NDArray[np.int64]:
    """[vocabulary] bytes by id; RecipeError for a tokenizer whose tokens are not pieces of the text."""
    from tokenizers import Tokenizer

    table = json.loads(file.read_bytes())
    vocabulary = Tokenizer.from_file(str(file)).get_vocab(with_added_tokens=True)
    parts = json.dumps([table.get("decoder"), table.get("pre_tokenizer")])
    byte_level = '"ByteLevel"' in parts
    if not byte_level and "\\u2581" not in parts and "\\u2581" not in json.dumps(table.get("normalizer")):
        raise RecipeError(
            "its tokens do not spell the text byte by byte.",
            where=str(file),
            why="It is neither byte-level BPE nor SentencePiece's; spaces between its tokens are in no token.",
            fix="Leave bits per byte out.",
        )
    counts = np.zeros(max(vocabulary.values()) + 1, dtype=np.int64)
    added: dict[int, Any] = {entry["id"]: entry for entry in table.get("added_tokens") or []}
    for token, number in vocabulary.items():
        if number in added:
            counts[number] = 0 if added[number]["special"] else len(token.encode())
        elif byte_level:
            counts[number] = len(token)
        else:
            counts[number] = 1 if _BYTE.fullmatch(token) else len(token.replace("▁", " ").encode())
    return counts
