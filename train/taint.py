"""What was trained on restricted text is restricted: checkpoints, adapters, merged models, their cards.

The mark is in three places, so that it survives being copied in part: `medtrove.json` of an exported folder, a table
`medtrove` in its `config.json` (transformers keeps keys it does not know, also where a model is saved again), and the
header of every safetensors file. A run on such a base is restricted even where its shards are open.
"""

from __future__ import annotations

import ipaddress
import json
import stat
import struct
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from manifests.errors import RecipeError
from mixing.reader import Shards
from train.config import ModelSection, RunConfig

MARK = "medtrove.json"
"""Of an exported folder: what it is, and whether it is restricted."""
KEY = "medtrove"
"""Table of `config.json`, and key of a safetensors header."""
RESTRICTED = "restricted"
AGREEMENT = (
    'The agreement of the credentialed sources says: "I will not share access to PhysioNet restricted data with anyone '
    'else." A model can repeat what it was trained on, so it goes where its data may go.'
)
"""Item 3 of PhysioNet's Credentialed Health Data Use Agreement 1.5.0, as the source cards quote it."""


def refusal(what: str, *, where: str = "", fix: str) -> RecipeError:
    """The error of every door that is closed to restricted data and what was made of it."""
    return RecipeError(what, where=where, why=AGREEMENT, fix=fix)


def is_restricted(folder: Path) -> bool:
    """Whether a model, adapter, run or checkpoint in this folder bears a mark; without any, False."""
    for name in (MARK, "run.json", "state.json"):
        if _table(folder / name).get(RESTRICTED) is True:
            return True
    table = _table(folder / "config.json").get(KEY)
    if isinstance(table, dict) and table.get(RESTRICTED) is True:
        return True
    return any(_header_says(file) for file in folder.glob("*.safetensors"))


def restricted_base(model: ModelSection) -> bool:
    """Whether what a run starts from bears a mark: a folder, or what the cache has of a hub's; none is fetched."""
    if not model.base:
        return False
    folder = Path(model.base).expanduser()
    if folder.is_dir():
        return is_restricted(folder)
    if model.base.count("/") != 1:
        return False
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return False
    try:
        cached = try_to_load_from_cache(model.base, "config.json", revision=model.revision or None)
    except HFValidationError:
        return False
    return isinstance(cached, str) and is_restricted(Path(cached).parent)


def as_tainted(shards: Shards, config: RunConfig) -> Shards:
    """The shards as this run must treat them: restricted if they are, or if its base is."""
    if shards.restricted or not restricted_base(config.model):
        return shards
    return Shards(shards.folder, {**shards.index, RESTRICTED: True})


def check_output(output: str, *, restricted: bool) -> Path:
    """The local folder to write into: new, or empty; RecipeError for a URL, or a restricted model among open files."""
    if "://" in output:
        if restricted:
            raise refusal(
                "a restricted model is not written to an address.", where=output, fix="Give a local folder of your own."
            )
        raise RecipeError("models are written to a local folder.", where=output, fix="Copy it there afterwards.")
    path = Path(output)
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise RecipeError("is there already.", where=output, fix="Give a new or empty folder.")
    if restricted and path.is_dir() and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        raise refusal(
            f"others can open this folder (mode {mode:04o}), and the model is restricted.",
            where=output,
            fix=f"Run `chmod 700 {output}`, or give a new folder.",
        )
    return path


def check_hub(repository: str, *, restricted: bool) -> None:
    """RecipeError if a restricted model is to be uploaded, to a private repository as well."""
    if repository and restricted:
        raise refusal(
            "a restricted model is not uploaded, not to a private repository either.",
            where=f"--hub {repository}",
            fix="Share the recipe and the run's configuration: others with the same access can train it again.",
        )


def check_endpoint(url: str, *, restricted: bool) -> None:
    """RecipeError if rows, or answers, of a restricted kind would go to another machine; this one is no third party."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RecipeError("is no address of a server.", where=f"--endpoint {url}", fix="Give http://HOST:PORT/v1.")
    if restricted and not _is_loopback(parts.hostname):
        raise refusal(
            "restricted rows are not sent to another machine.",
            where=f"--endpoint {url}",
            fix="Serve the model on this machine and give http://127.0.0.1:PORT/v1, or evaluate its folder.",
        )


def make_private(folder: Path) -> None:
    """Files 0600 and folders 0700, all the way down."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # By name only this one: any other, also one that ends in `.localhost`, is resolved by somebody else.
        return host == "localhost"


def _table(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


def _header_says(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            table = json.loads(stream.read(min(length, 1 << 27)))
    except (OSError, ValueError, struct.error):
        return False
    more = table.get("__metadata__") if isinstance(table, dict) else None
    return isinstance(more, dict) and more.get(KEY) == RESTRICTED
