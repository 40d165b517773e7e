"""What a run starts from, checked before torch is imported: a folder of weights, or the shape of a new model."""

from __future__ import annotations

import json
import struct
from importlib import resources
from pathlib import Path
from typing import Any

from manifests.errors import RecipeError
from train.config import ModelSection

PATTERNS = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
"""Files of a hub's repository that are fetched: no pickles, no code."""


def base_folder(model: ModelSection) -> Path:
    """The folder of `model.base`: itself, or what its name on a hub resolves to (fetched if it is not in the cache)."""
    path = Path(model.base).expanduser()
    if path.is_dir():
        return path
    if path.is_absolute() or model.base.count("/") != 1 or path.exists():
        raise RecipeError(
            f"no such folder: {model.base!r}.",
            where="[model] base",
            fix="Give the folder of a Hugging Face checkpoint, or a name like owner/model.",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model.base, revision=model.revision or None, allow_patterns=PATTERNS))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise RecipeError(
            f"{model.base!r} cannot be fetched: {type(error).__name__}.",
            where="[model] base",
            why="It is in no folder, not in the hub's cache, and the hub did not give it.",
            fix="Accept its licence there and log in, or copy it and give the folder.",
        ) from error


def read_shape(model: ModelSection) -> dict[str, Any]:
    """The parsed `config.json` of the base or the architecture."""
    if model.base:
        path = base_folder(model) / "config.json"
        where = "[model] base"
    else:
        path, where = _architecture(model.architecture), "[model] architecture"
    try:
        shape = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"no file {path}.", where=where, fix="Give a Hugging Face config.json.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not JSON: {error}.", where=where, fix="Fetch or write it again.") from None
    if not isinstance(shape, dict) or "model_type" not in shape:
        raise RecipeError(
            f"{path} names no model_type.", where=where, why="It is no Hugging Face configuration.", fix="Give one."
        )
    return shape


def check_weights(folder: Path) -> None:
    """RecipeError unless the folder has whole safetensors files, every one its index names."""
    where = "[model] base"
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (json.JSONDecodeError, KeyError, UnicodeDecodeError):
            raise RecipeError(f"{index} cannot be read.", where=where, fix="Fetch the base again.") from None
        files = [folder / name for name in names]
    else:
        files = [folder / "model.safetensors"]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        pickles = sorted(path.name for path in folder.glob("*.bin"))
        raise RecipeError(
            f"{folder} lacks {', '.join(missing[:3])}" + (f" and {len(missing) - 3} more." if missing[3:] else "."),
            where=where,
            why=f"It has {pickles[0]}, a pickle that could run code when loaded."
            if pickles
            else "Weights are missing.",
            fix="Convert it with save_pretrained (safetensors)." if pickles else "Fetch the base again.",
        )
    for file in files:
        _check_file(file)


def _check_file(file: Path) -> None:
    """The header of a safetensors file says where each tensor ends: the last end is the file's."""
    size = file.stat().st_size
    with open(file, "rb") as stream:
        head = stream.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
        table = stream.read(length) if length + 8 <= size else b""
    try:
        tensors = json.loads(table)
        ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
        whole = 8 + length + max(ends, default=0) == size
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, IndexError):
        whole = False
    if not whole:
        raise RecipeError(
            f"{file} is not a whole safetensors file ({size:,} bytes).",
            where="[model] base",
            why="The copy or the fetch was cut short, or it is another format.",
            fix="Fetch the base again.",
        )


def _architecture(name: str) -> Path:
    if not name.startswith("package://"):
        return Path(name).expanduser()
    package, _, rest = name.removeprefix("package://").partition("/")
    return Path(str(resources.files(package))) / rest
