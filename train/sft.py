"""What stands before a run on conversations: tokenizer, rows, checks; the run itself is that of `train.pretrain`.

`prepare` makes the run's folder: `tokenizer/` (`train.sft_tokenizer`), `rows/` where a file was given
(`train.sft_rows`), and a resolved configuration that names both. Repeated with the same wishes it finds what it made.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from manifests.errors import BuildError, RecipeError
from manifests.identity import fingerprint, sha256_hex
from manifests.store import Store
from mixing.reader import INDEX, Shards, open_shards
from mixing.template import Template, template
from mixing.tokenize import Encoder
from train.config import RunConfig, load_config, parse_config
from train.sft_conflicts import Wishes, check_adapters, check_wishes
from train.sft_door import read_examples
from train.sft_rows import SHARDS, Lesson, check_shards, facts_json, source_name, write_rows
from train.sft_tokenizer import FILE, ChatTokenizer, base_tokenizer, chat_tokenizer
from train.taint import as_tainted, restricted_base

ROWS, TOKENIZER, FACTS = "rows", "tokenizer", "rows.json"
_PACKAGE = "package://"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that can begin."""

    run: Path
    config: RunConfig
    shards: Shards
    form: Template
    encoder: Encoder
    facts: dict[str, Any]
    """Of each side, as `train.sft_rows.RowFacts`; for shards the rows and learned tokens."""


def prepare(wishes: Wishes, run: str = "") -> Prepared:
    """Everything up to the first step, in `run` or in the folder its configuration names; torch is not needed.

    CorpusError where the wishes conflict, the data cannot be used, or the folder holds a run on other rows.
    """
    check_wishes(wishes)
    config = load_config(wishes.preset_name(), wishes.keys())
    check_adapters(wishes, config.lora.r)
    given = None if config.sft.data else open_shards(shards_folder(config.data.shards))
    form = _form(config, given, asked=wishes.template)
    length = given.sequence_length if given else max(config.data.sequence_length, config.sft.max_length)
    check_positions(config, min(config.sft.max_length or length, length))
    file = base_tokenizer(config.model.base, _located(config.sft.tokenizer))
    made_of = {
        "rows": sha256_hex(_read(config.sft.data)) if given is None else fingerprint(given.index["shards"]),
        "tokenizer": sha256_hex(Path(file).read_bytes()),
        "template": form.name,
        "length": [length, config.sft.max_length],
        "validation": config.sft.validation_fraction,
        "seed": config.data.seed,
    }
    name = config.run.id or f"{config.name}-{fingerprint(made_of)[:12]}"
    folder = Path(run) if run else Path(config.run.out) / name
    restricted = wishes.restricted or (given is not None and given.restricted) or restricted_base(config.model)
    store = Store(folder, mode=0o600 if restricted else None)
    _check_same(store, made_of, restricted=restricted)
    if restricted:
        for private in (folder, folder / ROWS):
            private.mkdir(mode=0o700, parents=True, exist_ok=True)
    chat = chat_tokenizer(file, form, store.sub(TOKENIZER))
    if chat.restricted and not restricted:
        raise RecipeError(
            "the tokenizer was trained on restricted text, so the run is restricted.",
            where=file,
            why="Its vocabulary holds words of that text.",
            fix="Add --restricted, or use a tokenizer of open text.",
        )
    if given is None:
        lesson = Lesson(
            form=form,
            encoder=chat.encoder,
            sequence_length=length,
            max_length=config.sft.max_length,
            validation_fraction=config.sft.validation_fraction,
            seed=config.data.seed,
            restricted=restricted,
            allow_too_long=wishes.allow_too_long,
        )
        facts = _rows(store, config.sft.data, lesson, made_of)
        shards, where = open_shards(folder / ROWS / SHARDS), str(folder / ROWS)
    else:
        _check_tokenizer(given, chat, file)
        facts = {SHARDS: {"rows": len(given), "learned": check_shards(given, form)}}
        store.write_json(FACTS, {"made_of": made_of, "facts": facts, "restricted": restricted})
        shards, where = as_tainted(given, config), str(given.folder)
    table = config.model_dump()
    table["data"] |= {"shards": where, "sequence_length": length}
    table["run"] |= {"id": name}
    table["sft"] |= {"template": form.name, "added_tokens": _added(config, chat), "tokenizer": str(folder / TOKENIZER)}
    return Prepared(folder, parse_config(table, where=wishes.preset_name()), shards, form, chat.encoder, facts)


def shards_folder(path: str) -> Path:
    """The folder of shards that is meant by a build's folder or its own."""
    folder = Path(path)
    return folder / SHARDS if (folder / SHARDS / INDEX).is_file() else folder


def check_positions(config: RunConfig, longest: int) -> None:
    """RecipeError where conversations of so many tokens have more positions than the model."""
    for place in (Path(_located(config.model.architecture)), Path(config.model.base) / "config.json"):
        if place.is_file():
            most = json.loads(place.read_bytes()).get("max_position_embeddings")
            if isinstance(most, int) and longest > most:
                raise RecipeError(
                    f"conversations of {longest:,} tokens, and the model knows {most:,} positions.",
                    where=str(place),
                    why="Beyond them it was never trained, and learned positions do not exist.",
                    fix=f"Give --max-length {most}.",
                )


def shown_rows(prepared: Prepared, n: int = 3) -> list[list[tuple[str, bool]]]:
    """The first conversation of `n` rows spread evenly, as pieces of text and whether they are learned.

    Nothing of restricted rows.
    """
    shards, found = prepared.shards, []
    if shards.restricted or not len(shards):
        return []
    for i in dict.fromkeys(np.linspace(0, len(shards) - 1, n).astype(int).tolist()):
        row = shards[int(i)]
        assert row.loss_mask is not None, "checked by check_shards"
        end = int(row.doc_ends[0])
        mask = row.loss_mask[:end]
        borders = [0, *(np.flatnonzero(np.diff(mask)) + 1).tolist(), end]
        found.append(
            [
                (prepared.encoder.decode(row.input_ids[begin:stop]), bool(mask[begin]))
                for begin, stop in itertools.pairwise(borders)
            ]
        )
    return found


def _rows(store: Store, data: str, lesson: Lesson, made_of: dict[str, Any]) -> dict[str, Any]:
    if store.exists(FACTS):
        found: dict[str, Any] = store.read_json(FACTS)["facts"]
        return found
    examples = read_examples(_located(data))
    facts = facts_json(write_rows(store.sub(ROWS), examples, lesson, source=source_name(data)))
    # Last: its presence says that the rows are whole.
    store.write_json(FACTS, {"made_of": made_of, "facts": facts, "restricted": lesson.restricted})
    return facts


def _check_same(store: Store, made_of: dict[str, Any], *, restricted: bool) -> None:
    if not store.exists(FACTS):
        return
    before = store.read_json(FACTS)
    other = [key for key in made_of if before["made_of"].get(key) != made_of[key]]
    other += ["restricted"] if before["restricted"] != restricted else []
    if other:
        raise BuildError(
            f"this folder holds a run on other rows: {', '.join(other)} changed.",
            where=store.url,
            why="Going on would train one model on two sets, and its ledger could not close.",
            fix="Name another folder with --run.",
        )


def _check_tokenizer(shards: Shards, chat: ChatTokenizer, file: str) -> None:
    has = shards.index["tokenizer"]["sha256"]
    if has not in (chat.encoder.file_sha256, sha256_hex(Path(file).read_bytes())):
        raise RecipeError(
            "the shards were made with another tokenizer.",
            where=str(shards.folder),
            why=f"Their file has the sha256 {has[:16]}..., and ids of one file are noise to a model of another.",
            fix="Give the file they were made with: --tokenizer FILE.",
        )


def _added(config: RunConfig, chat: ChatTokenizer) -> list[int]:
    """Ids of the run that the base's own tokenizer lacks; a model from random weights has no base."""
    if not config.model.base:
        return []
    if not config.sft.tokenizer:
        return list(chat.added)
    try:
        own = base_tokenizer(config.model.base)
    except RecipeError:
        return list(chat.added)
    known = set(_ids(own))
    return sorted(number for number in _ids(chat.encoder.path) if number not in known)


def _ids(file: str) -> Sequence[int]:
    from tokenizers import Tokenizer

    return list(Tokenizer.from_file(file).get_vocab(with_added_tokens=True).values())


def _form(config: RunConfig, shards: Shards | None, *, asked: str) -> Template:
    own = str(shards.index["schedule"].get("template", "")) if shards else ""
    if own and asked and own != asked:
        raise RecipeError(
            f"the shards were made with the template {own!r}, not {asked!r}.",
            where=config.data.shards,
            why="The model would be asked in another form than it was taught.",
            fix=f"Leave --template out, or give --template {own}.",
        )
    if not (own or config.sft.template):
        raise RecipeError(
            "no chat template is named.",
            why="It says where an answer begins and which token stops it.",
            fix="Add --template alpaca, or another of `mixing.template`.",
        )
    return template(own or config.sft.template)


def _located(path: str) -> str:
    if not path.startswith(_PACKAGE):
        return path
    package, _, rest = path.removeprefix(_PACKAGE).partition("/")
    return str(Path(str(resources.files(package))) / rest)


def _read(data: str) -> bytes:
    try:
        return Path(_located(data)).read_bytes()
    except OSError as error:
        raise RecipeError(
            f"cannot be read: {error.strerror}.", where=data, fix="Give a JSON or JSONL file with --data."
        ) from None


__all__ = ["FILE", "Prepared", "Wishes", "check_positions", "prepare", "shards_folder", "shown_rows"]
