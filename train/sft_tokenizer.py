"""The tokenizer of a run that learns conversations: the base's file, the template's tokens, its jinja and its stop.

One folder, written once, serves the rows, the run and the export: `tokenizer.json`, `tokenizer_config.json`,
`chat_template.jinja` and `generation_config.json`. What `transformers` reads from it gives the ids that were trained.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.errors import RecipeError
from manifests.store import Store
from mixing.extend import extend
from mixing.template import Template
from mixing.tokenize import Encoder
from mixing.tokenizer_file import CARD, CONFIG

FILE = "tokenizer.json"
GENERATION = "generation_config.json"
JINJA = "chat_template.jinja"


@dataclass(frozen=True, slots=True)
class ChatTokenizer:
    """The tokenizer of a run."""

    encoder: Encoder
    """Knows the template's tokens."""
    added: tuple[int, ...]
    """Ids that `file` did not have; in order, the last ones of the vocabulary."""
    restricted: bool
    """Trained on restricted text, by its card."""


def base_tokenizer(base: str, given: str = "") -> str:
    """The `tokenizer.json` of a base: `given` (a file or folder) if it is, else of the base's folder, run or hub page.

    RecipeError where there is none.
    """
    for place in filter(None, (given, base)):
        path = Path(place)
        for file in (path, path / FILE, path / "export" / FILE, path / "tokenizer" / FILE):
            if file.is_file():
                return str(file)
        if given or path.exists():
            raise _missing(place, f"no {FILE} here.")
    if not base:
        raise _missing("[model]", "a model from random weights has no tokenizer of its own.")
    try:
        from transformers.utils import cached_file

        return str(cached_file(base, FILE))
    except ImportError:
        raise _missing(base, "no such folder, and a hub is asked by transformers, which is not installed.") from None
    except (OSError, ValueError):
        raise _missing(base, f"neither a folder nor a model of the hub with a {FILE}.") from None


def chat_tokenizer(file: str, form: Template, store: Store) -> ChatTokenizer:
    """Write the folder of `file` with the template's tokens, and open it; the same bytes whenever it is repeated."""
    card = Path(file).with_name(CARD)
    restricted = card.exists() and bool(json.loads(card.read_bytes()).get("restricted"))
    facts = extend(file, [], store.local(), form=form, mode=store.mode)
    encoder = Encoder(str(store.local(FILE)), bos=False, eos=False, special=form.special)
    # Ids by their names: bases ship files that name no begin or end token, and other readers would find none.
    names = {number: name for name, number in _vocabulary(store).items()}
    config = json.loads(store.read_bytes(CONFIG))
    for key, number in (("bos", encoder.bos_id), ("eos", encoder.eos_id), ("pad", encoder.pad_id)):
        if number is not None:
            config.setdefault(f"{key}_token", names[number])
    if form.stop:
        config["eos_token"] = form.stop
    config.setdefault("tokenizer_class", "PreTrainedTokenizerFast")
    store.write_json(CONFIG, config)
    with store.writing(JINJA) as stream:
        stream.write(form.jinja.encode())
    store.write_json(GENERATION, generation_config(form, encoder))
    encoder = Encoder(str(store.local(FILE)), bos=False, eos=False, special=form.special)
    return ChatTokenizer(encoder, tuple(sorted(facts["added"].values())), restricted)


def generation_config(form: Template, encoder: Encoder) -> dict[str, Any]:
    """What stops generation: the template's stop first, then the end of a text as the base knows it."""
    stop = encoder.special[form.stop] if form.stop else encoder.eos_id
    ends = [number for number in dict.fromkeys((stop, encoder.eos_id)) if number is not None]
    found = {"bos_token_id": encoder.bos_id, "eos_token_id": ends, "pad_token_id": encoder.pad_id}
    return {key: value for key, value in found.items() if value is not None}


def _vocabulary(store: Store) -> dict[str, int]:
    from tokenizers import Tokenizer

    found: dict[str, int] = Tokenizer.from_file(str(store.local(FILE))).get_vocab(with_added_tokens=True)
    return found


def _missing(where: str, what: str) -> RecipeError:
    return RecipeError(
        what,
        where=where,
        why="Questions and answers are encoded before anything is trained, with the ids of the base.",
        fix="Give the file with --tokenizer, or a base folder that has one.",
    )
