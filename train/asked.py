"""A model named on the command line, with the tokenizer it reads: a run, a checkpoint, or a Hugging Face folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.errors import BuildError, RecipeError
from manifests.identity import sha256_hex
from mixing.reader import Shards, open_shards
from train.checkpoint import STATE
from train.exported_tokenizer import find_tokenizer
from train.loaded import load_folder, load_trained
from train.run_folder import RUN, find_shards, validation_of
from train.sft_tokenizer import FILE
from train.taint import MARK, is_restricted
from train.tokenizer import tokenizer_file
from train.trained import Trained, find_trained


@dataclass(frozen=True, slots=True)
class Asked:
    """What can be asked."""

    path: Path
    trained: Trained | None
    """None for a folder."""
    tokenizer: Path | None
    template: str
    restricted: bool

    def model(self, *, dtype: str, length: int = 1) -> Any:
        """The model in eval mode, on the GPU if there is one."""
        from train.distributed import device

        if self.trained is not None:
            return load_trained(self.trained, dtype).to(device())
        return load_folder(self.path, self._ids(), length=length, dtype=dtype).to(device())

    def _ids(self) -> dict[str, Any]:
        shape = json.loads((self.path / "config.json").read_bytes())
        end = shape.get("eos_token_id")
        end = end[0] if isinstance(end, list) else end
        pad = shape.get("pad_token_id")
        return {
            "vocab_size": shape["vocab_size"],
            "bos_id": shape.get("bos_token_id"),
            "eos_id": end,
            "pad_id": end if pad is None else pad,
        }


def asked(path: Path, *, tokenizer: str = "") -> Asked:
    """The model at `path`; RecipeError where there is none. A tokenizer is not demanded here."""
    if (path / RUN).is_file() or (path / STATE).is_file():
        trained = find_trained(path)
        try:
            file = find_tokenizer(trained, tokenizer)
        except RecipeError:
            if tokenizer:
                raise
            return Asked(path, trained, None, trained.config.sft.template, trained.restricted)
        return Asked(path, trained, file, trained.config.sft.template, trained.restricted)
    if not path.is_dir():
        raise RecipeError("no such folder.", where=str(path), fix="Give a run, a checkpoint or an exported folder.")
    given = Path(tokenizer) if tokenizer else path
    found = next((file for file in (given, given / FILE) if file.is_file()), None)
    mark = json.loads((path / MARK).read_bytes()) if (path / MARK).is_file() else {}
    return Asked(path, None, found, str(mark.get("template", "")), is_restricted(path))


def rows_for(one: Asked, shards: str) -> Shards:
    """The held-out rows: of `shards` (a build), or of the run's own; BuildError where there are none."""
    if shards:
        of = open_shards(find_shards(shards))
    elif one.trained is not None and one.trained.shards is not None:
        of = one.trained.shards
    else:
        raise RecipeError(
            "which rows it is evaluated on is not said.",
            where=str(one.path),
            fix="Name a build's folder: --shards DIR.",
        )
    held_out = validation_of(of)
    if held_out is None:
        raise BuildError(
            "the build held no rows out.", where=str(of.folder), fix="Set [mixture] validation_fraction, build again."
        )
    check_same_tokenizer(one, held_out)
    return held_out


def check_same_tokenizer(one: Asked, rows: Shards) -> None:
    """RecipeError unless the model reads the ids of these rows as they were written."""
    wanted = rows.index["tokenizer"]["sha256"]
    if one.trained is not None:
        same = one.trained.tokenizer["sha256"] == wanted
    elif one.tokenizer is None:
        same = False
    else:
        theirs = tokenizer_file(rows)
        same = sha256_hex(one.tokenizer.read_bytes()) == wanted or (
            theirs is not None and _vocabulary(theirs) == _vocabulary(one.tokenizer)
        )
    if not same:
        raise RecipeError(
            "the rows were made with another tokenizer than the model's.",
            where=str(rows.folder),
            why="Their ids would be other words to it, and its loss would say nothing.",
            fix="Evaluate on a build of its tokenizer, or give the model's file with --tokenizer.",
        )


def _vocabulary(file: Path) -> dict[str, int]:
    from tokenizers import Tokenizer

    found: dict[str, int] = Tokenizer.from_file(str(file)).get_vocab(with_added_tokens=True)
    return found
