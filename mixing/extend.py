"""New control tokens for a tokenizer file: ids at the end, and nothing that was there changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manifests.errors import RecipeError
from manifests.markers import OURS
from manifests.store import Store
from mixing.engine import PROBE, load_library
from mixing.template import Template
from mixing.tokenizer_file import CARD, CONFIG, added_token, parse_table, read_config, read_file

SPECIAL_MAP = "special_tokens_map.json"


def extend(
    path: str, names: Sequence[str], output: str | Path, *, form: Template | None = None, mode: int | None = None
) -> dict[str, Any]:
    """Write `tokenizer.json` and its config with these special tokens to the folder `output`; what was added.

    `mode` is that of the files; those of restricted text are 0600 whatever it says. `form` adds the
    tokens of a chat template and writes it as `chat_template`. Text that spells no new token has the ids it had.
    RecipeError for a name that is a token of the vocabulary already, which text can make.
    """
    content = read_file(path)
    table = parse_table(content, path)
    library = load_library(table, path)
    vocabulary: dict[str, int] = library.get_vocab(with_added_tokens=True)
    wanted = list(dict.fromkeys([*names, *(form.special if form else ())]))
    added = {entry["content"]: int(entry["id"]) for entry in table.get("added_tokens") or []}
    _check(path, wanted, set(vocabulary) - set(added))
    following = max(vocabulary.values()) + 1
    new = {name: following + number for number, name in enumerate(one for one in wanted if one not in added)}
    changed = {**table, "added_tokens": [*(table.get("added_tokens") or [])]}
    changed["added_tokens"] += [added_token(name, number) for name, number in new.items()]
    _check_unchanged(path, library, load_library(changed, path))
    about = _card(path)
    store = Store(output, mode=0o600 if about.get("restricted") else mode)
    # Pretty or in one line, as it was: a person compares the two files.
    written = json.dumps(changed, ensure_ascii=False, indent=2) if b"\n" in content.strip() else _compact(changed)
    with store.writing("tokenizer.json") as stream:
        stream.write(written.encode())
    _write_json(store, CONFIG, _config(read_config(Path(path)), new, form))
    special_map = Path(path).with_name(SPECIAL_MAP)
    if special_map.exists():
        table = json.loads(special_map.read_bytes())
        _write_json(store, SPECIAL_MAP, table | {"additional_special_tokens": _more(table, new)})
    if about:
        _write_json(store, CARD, about | {"extended_with": {**about.get("extended_with", {}), **new}})
    kept = {name: added[name] for name in wanted if name in added}
    return {"tokenizer": str(output), "added": new, "kept": kept, "vocab_size": following + len(new)}


def _check(path: str, names: Sequence[str], ordinary: set[str]) -> None:
    for name in names:
        if not name.strip() or name != name.strip() or OURS in name:
            raise RecipeError(
                f"{name!r} is no name of a special token.", fix="Give letters without white space around them."
            )
        if name in ordinary:
            raise RecipeError(
                f"{name!r} is an ordinary token of the vocabulary.",
                where=path,
                why="Any text that spells it makes it, so it cannot be told from a control token.",
                fix="Choose another name.",
            )


def _check_unchanged(path: str, before: Any, after: Any) -> None:
    same = [one.encode(PROBE, add_special_tokens=False).ids for one in (before, after)]
    if same[0] != same[1]:
        raise RecipeError(
            "with the new tokens old text would have other ids.",
            where=path,
            why="A model trained with the file would read noise.",
            fix="Choose names that ordinary text does not hold.",
        )


def _config(config: dict[str, Any], new: dict[str, int], form: Template | None) -> dict[str, Any]:
    found = {**config}
    decoder = {**found.get("added_tokens_decoder", {})}
    for name, number in new.items():
        entry = added_token(name, number)
        del entry["id"]
        decoder[str(number)] = entry
    found["added_tokens_decoder"] = decoder
    found["additional_special_tokens"] = _more(found, new)
    if form is not None:
        found["chat_template"] = form.jinja
    return found


def _more(table: dict[str, Any], new: dict[str, int]) -> list[Any]:
    before = table.get("additional_special_tokens") or []
    return [*before, *(name for name in new if name not in before)]


def _card(path: str) -> dict[str, Any]:
    card = Path(path).with_name(CARD)
    found: dict[str, Any] = json.loads(card.read_bytes()) if card.exists() else {}
    return found


def _compact(table: dict[str, Any]) -> str:
    return json.dumps(table, ensure_ascii=False, separators=(",", ":"))


def _write_json(store: Store, name: str, value: Any) -> None:
    with store.writing(name) as stream:
        stream.write((json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode())
