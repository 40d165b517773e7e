"""What an exported folder says of where it comes from: run, base, build, and whether it is restricted.

`medtrove.json` and the table `medtrove` of `config.json`. No path of a machine and no text of a document stands in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from manifests.store import Store
from train.ledger import CONSUMED, manifest_sha256
from train.taint import MARK
from train.trained import Trained

VERSION = 1


def mark_of(trained: Trained, kind: str, dtype: str, *, restricted: bool) -> dict[str, Any]:
    """The mark of what is made of a checkpoint; `kind`: `model`, `adapter` or `merged`."""
    config, state = trained.config, trained.state
    before = base_mark(config.model.base)
    return {
        "version": VERSION,
        "kind": kind,
        "restricted": restricted,
        "dtype": dtype,
        "run": trained.facts["id"],
        "preset": config.name,
        "step": state.step,
        "shards_fingerprint": state.shards_fingerprint,
        "manifest_sha256": _manifest(trained),
        "base": base_name(config.model.base),
        "base_licence": config.model.licence or str(before.get("base_licence", "")),
        "template": config.sft.template,
        "trained_before": [*before.get("trained_before", []), *([_short(before)] if before else [])],
    }


def base_name(base: str) -> str:
    """The base as others may know it: its name on a hub, of a folder the last part."""
    return Path(base).name if Path(base).is_dir() or Path(base).is_absolute() else base


def base_mark(base: str) -> dict[str, Any]:
    """The mark of a base that was exported here, else nothing."""
    try:
        found = json.loads((Path(base) / MARK).read_bytes()) if base else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_mark(folder: Path, mark: dict[str, Any]) -> None:
    """Write `medtrove.json`."""
    Store(folder).write_json(MARK, mark)


def _manifest(trained: Trained) -> str:
    if trained.shards is not None and (found := manifest_sha256(trained.shards)):
        return found
    consumed = trained.run / CONSUMED
    return str(json.loads(consumed.read_bytes())["manifest_sha256"]) if consumed.is_file() else ""


def _short(mark: dict[str, Any]) -> dict[str, Any]:
    keys = ("run", "preset", "base", "step", "shards_fingerprint", "manifest_sha256", "restricted")
    return {key: mark[key] for key in keys if key in mark}
