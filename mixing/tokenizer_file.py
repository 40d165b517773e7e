"""Tokenizer files as Hugging Face models ship them: `tokenizer.json`, and `tokenizer_config.json` beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from manifests.errors import RecipeError
from mixing.engine import unusable

CONFIG = "tokenizer_config.json"
CARD = "tokenizer.card.json"
"""Beside a tokenizer trained here: what from, and whether it is restricted."""


def read_file(path: str) -> bytes:
    """The bytes of the file; RecipeError if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise unusable(path, f"cannot be read: {error.strerror}") from None


def text_of(content: bytes, path: str) -> str:
    """The bytes of a JSON file as text, whichever Unicode encoding it has; RecipeError if it has none."""
    try:
        return content.decode(json.detect_encoding(content))
    except UnicodeDecodeError:
        raise unusable(path, "not JSON") from None


def parse_table(content: bytes | str, path: str) -> dict[str, Any]:
    """The parsed `tokenizer.json`; RecipeError if it is none."""
    try:
        table = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise unusable(path, "not JSON") from None
    if not isinstance(table, dict) or "model" not in table:
        raise unusable(path, "not a tokenizer.json: it has no `model`")
    return table


def configured_names(path: Path) -> dict[str, str]:
    """Token names by role, from the `tokenizer_config.json` beside the file, if there is one."""
    table = read_config(path)
    names: dict[str, str] = {}
    for key in ("bos_token", "eos_token", "pad_token"):
        value = table.get(key)
        content = value.get("content") if isinstance(value, dict) else value
        if isinstance(content, str):
            names[key] = content
    return names


def read_config(path: Path) -> dict[str, Any]:
    """The `tokenizer_config.json` beside the file, empty if there is none."""
    config = path.with_name(CONFIG)
    try:
        table = json.loads(config.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, json.JSONDecodeError, UnicodeDecodeError):
        raise unusable(str(config), "cannot be read as JSON") from None
    if not isinstance(table, dict):
        raise unusable(str(config), "holds no table")
    return table


def added_token(name: str, number: int) -> dict[str, Any]:
    """The entry of a control token in `added_tokens`: matched as it stands, and no space beside it is taken."""
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": name, **plain, "special": True}


def special_ids(table: dict[str, Any], names: list[str], path: str) -> dict[str, int]:
    """Ids of these added tokens, which are marked special in `table`; RecipeError for one that the file lacks."""
    added = {entry["content"]: entry for entry in table.get("added_tokens") or []}
    missing = [name for name in names if name not in added]
    if missing:
        wanted = " ".join(f"--special '{name}'" for name in missing)
        raise RecipeError(
            f"the tokenizer has no special token {', '.join(map(repr, missing))}.",
            where=path,
            why="[tokenizer] special and chat templates need each of their tokens as one id of the file.",
            fix=f"medtrove tokenizer extend {path} {wanted} --output DIR writes a file that has them; name that one.",
        )
    for name in names:
        added[name]["special"] = True
    return {name: int(added[name]["id"]) for name in names}
