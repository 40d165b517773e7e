"""The tokenizer of shards: found through their build, and only if it is the very one."""

from __future__ import annotations

import hashlib
import tomllib
from importlib import resources
from pathlib import Path

from mixing.reader import Shards

_PACKAGE = "package://"


def tokenizer_file(shards: Shards) -> Path | None:
    """The `tokenizer.json` the build's recipe names, if it is there and its sha256 is that of the shards' index."""
    recipe = shards.folder.parent / "manifest" / "recipe.toml"
    if not recipe.is_file():
        return None
    named = tomllib.loads(recipe.read_text(encoding="utf-8")).get("tokenizer", {}).get("file", "")
    if named.startswith(_PACKAGE):
        package, _, rest = named.removeprefix(_PACKAGE).partition("/")
        path = Path(str(resources.files(package))) / rest
    else:
        path = Path(named)
    if not path.is_file():
        return None
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    return path if found == shards.index["tokenizer"]["sha256"] else None
