"""The tokenizer that goes with an exported model: the very file of the shards, named begin, end and padding tokens.

A run on conversations has a folder of its own (`train.sft_tokenizer`) and it goes along, with the template's jinja and
the token that stops an answer. Otherwise the file is the build's, the base's or the one given, if its sha256 is that of
the shards. What transformers reads from the folder must give the same ids: it is asked.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from manifests.errors import CheckFailed, RecipeError
from manifests.identity import sha256_hex
from mixing.tokenizer_file import CARD, CONFIG, read_config
from train.sft_tokenizer import FILE, GENERATION, JINJA
from train.tokenizer import tokenizer_file
from train.trained import Trained

PROBES = (
    "The patient received 40 mg of furosemide.",
    "  two spaces, a tab\tand\n\nlines; naïve café, β-blocker, 37.5 °C, 肺炎 🫀",
    "<s> </s> [INST] <|im_start|> <|eot_id|> ### Instruction:",
    "1234567890 0.05 p<0.001",
)
"""Texts whose ids must be the same: spaces, digits, letters of other scripts, names of control tokens as text."""


def find_tokenizer(trained: Trained, given: str = "") -> Path:
    """The `tokenizer.json` of a run; RecipeError if none at hand is the one its rows were made with."""
    own = trained.config.sft.tokenizer
    places = [Path(given)] if given else [Path(own)] if own else []
    if not places:
        if trained.shards is not None and (found := tokenizer_file(trained.shards)):
            return found
        places = [Path(trained.config.model.base)] if trained.config.model.base else []
    for place in places:
        for file in (place, place / FILE):
            if file.is_file() and sha256_hex(file.read_bytes()) == trained.tokenizer["sha256"]:
                return file
    raise RecipeError(
        "the tokenizer of the run is not at hand" + (": this is another." if given else "."),
        where=given or str(trained.run),
        why=f"A model is of use only with the very file of its shards, whose sha256 begins with "
        f"{trained.tokenizer['sha256'][:16]}.",
        fix="Give that file with --tokenizer, or export without one: --no-tokenizer.",
    )


def is_restricted_tokenizer(file: Path) -> bool:
    """Whether it was trained on restricted text, by its card."""
    card = file.with_name(CARD)
    return card.is_file() and bool(json.loads(card.read_bytes()).get("restricted"))


def write_tokenizer(folder: Path, file: Path, tokenizer: dict[str, Any], jinja: str = "") -> None:
    """Put the tokenizer into an exported folder, and check that transformers reads the same ids from it."""
    shutil.copyfile(file, folder / FILE)
    names = _names(file)
    table = read_config(file)
    for key in ("bos", "eos", "pad"):
        number = tokenizer[f"{key}_id"]
        if number is not None:
            table.setdefault(f"{key}_token", names[number])
    # One that reads the file as it stands: a class of a model's family makes parts of it anew.
    table["tokenizer_class"] = "PreTrainedTokenizerFast"
    beside = file.with_name(JINJA)
    if beside.is_file():
        jinja = beside.read_text(encoding="utf-8")
    if jinja:
        table["chat_template"] = jinja  # where older readers look
        (folder / JINJA).write_text(jinja, encoding="utf-8")
    (folder / CONFIG).write_text(json.dumps(table, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
    stops = file.with_name(GENERATION)
    generation = {f"{key}_token_id": tokenizer[f"{key}_id"] for key in ("bos", "eos", "pad")}
    if stops.is_file():
        generation |= json.loads(stops.read_bytes())
    write_generation(folder, generation)
    _check_ids(folder, file)


def write_generation(folder: Path, generation: dict[str, Any]) -> None:
    """`generation_config.json`: where generation stops."""
    known = {key: value for key, value in generation.items() if value is not None}
    (folder / GENERATION).write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _names(file: Path) -> dict[int, str]:
    from tokenizers import Tokenizer

    return {number: name for name, number in Tokenizer.from_file(str(file)).get_vocab(with_added_tokens=True).items()}


def _check_ids(folder: Path, file: Path) -> None:
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    ours, theirs = Tokenizer.from_file(str(file)), AutoTokenizer.from_pretrained(folder)
    ours.no_truncation()
    ours.no_padding()
    for text in PROBES:
        if theirs(text, add_special_tokens=False)["input_ids"] != ours.encode(text, add_special_tokens=False).ids:
            raise CheckFailed(
                "transformers makes other ids of a text than the file does.",
                where=str(folder),
                why="The model would be asked in a language it was not taught.",
                fix="Report it, with the tokenizer's name and the version of transformers.",
            )
