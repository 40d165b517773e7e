"""MosaicML's MDS: shards of samples behind a table of offsets, and `index.json` of version 2.

One sample is one row, in training order: `tokens` is the whole row, its padding included, and the other columns say
what it holds (`doc_ends`, `doc_key`, `source`, `continues`, and `loss_mask` where there is one), as in the shards. Read
with `StreamingDataset(shuffle=False)` it is the mix in our order. Format: streaming/base/format/mds/writer.py.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from manifests.errors import RecipeError
from mixing.exporters.folder import ExportFolder, check_counts, export_folder, shares
from mixing.reader import Row, Shards

INDEX = "index.json"
SIZE_LIMIT = 1 << 26
"""Bytes of one file by default, as in MosaicML's writer; offsets are 32 bits wide, so 4 GiB is the end."""


def export_mds(
    shards: Shards, output: str | Path, *, build: Mapping[str, Any], size_limit: int = SIZE_LIMIT
) -> dict[str, Any]:
    """Write the shards as MDS; what `export.json` says is returned. A killed export is resumed."""
    least = 64 * shards.row_tokens
    if not least <= size_limit < 1 << 32:
        raise RecipeError(
            f"files of {size_limit:,} bytes cannot be written.",
            where="--size-limit",
            why=f"A file holds some rows, so at least {least:,} bytes, and its offsets end at 4 GiB.",
            fix=f"Leave it out ({SIZE_LIMIT:,}), or choose between the two.",
        )
    with export_folder(shards, output, kind="mds", options={"size_limit": size_limit}, build=build) as folder:
        return folder.done or _write(shards, folder, size_limit)


def _write(shards: Shards, folder: ExportFolder, size_limit: int) -> dict[str, Any]:
    columns: dict[str, tuple[str, int | None]] = {
        "continues": ("uint8", 1),
        "doc_ends": ("ndarray:int32", None),
        "doc_key": ("ndarray:uint64", None),
        "source": ("uint16", 2),
        "tokens": (f"ndarray:{shards.dtype.name}:{shards.row_tokens}", shards.row_tokens * shards.dtype.itemsize),
    }
    if shards.index["loss_mask"]:
        columns["loss_mask"] = (f"ndarray:uint8:{shards.row_tokens}", shards.row_tokens)
    ordered = dict(sorted(columns.items()))
    config = {
        "column_encodings": [encoding for encoding, _ in ordered.values()],
        "column_names": list(ordered),
        "column_sizes": [size for _, size in ordered.values()],
        "compression": None,
        "format": "mds",
        "hashes": [],
        "size_limit": size_limit,
        "version": 2,
    }
    head = json.dumps(config, sort_keys=True).encode()
    entries: list[dict[str, Any]] = []
    row, tokens = 0, Counter[str]()
    while row < len(shards):
        name = f"shard.{len(entries):05d}.mds"
        if folder.store.exists(name):  # written whole before this export was killed
            n_samples = int.from_bytes(folder.output.joinpath(name).open("rb").read(4), "little")
        else:
            n_samples = _write_shard(shards, row, folder, name, head, size_limit)
        for stored in (shards[i] for i in range(row, row + n_samples)):
            tokens[shards.sources[stored.source]] += stored.n_tokens
        row += n_samples
        data = {"basename": name, "bytes": folder.store.size(name), "hashes": {}}
        entries.append({**config, "raw_data": data, "samples": n_samples, "zip_data": None})
    check_counts(shards, tokens)
    folder.store.write_json(INDEX, {"shards": entries, "version": 2})
    names = [str(entry["raw_data"]["basename"]) for entry in entries]
    padding = len(shards) * shards.row_tokens - tokens.total()
    facts = {"sources": shares(tokens), "source_ids": shards.sources, "tokens": tokens.total(), "padding": padding}
    return folder.finish([*names, INDEX], {**facts, "rows": len(shards)})


def _write_shard(shards: Shards, row: int, folder: ExportFolder, name: str, head: bytes, size_limit: int) -> int:
    """One file of as many rows from `row` on as the limit allows, at least one; how many they are."""
    samples: list[bytes] = []
    size = 8 + len(head)
    for i in range(row, len(shards)):
        sample = _sample(shards[i])
        size += 4 + len(sample)
        if samples and size > size_limit:
            break
        samples.append(sample)
    sizes = np.asarray([4 * (len(samples) + 2) + len(head), *map(len, samples)], dtype=np.int64)
    table = np.uint32(len(samples)).tobytes() + np.cumsum(sizes).astype("<u4").tobytes()
    folder.store.write_bytes(name, b"".join((table, head, *samples)))
    return len(samples)


def _sample(row: Row) -> bytes:
    """One sample: sizes of the columns that vary, then all columns by name."""
    ends, keys = _array(row.doc_ends), _array(row.doc_key)
    mask = b"" if row.loss_mask is None else row.loss_mask.tobytes()
    return b"".join(
        (
            np.asarray([len(ends), len(keys)], dtype="<u4").tobytes(),
            bytes([row.continues]),
            ends,
            keys,
            mask,
            row.source.to_bytes(2, "little"),
            row.input_ids.tobytes(),
        )
    )


def _array(values: npt.NDArray[Any]) -> bytes:
    """One dimension of a length of its own: a byte for dimensions and width of the length, the length, the values."""
    short = len(values) < 1 << 8
    return bytes([4 if short else 5]) + len(values).to_bytes(1 if short else 2, "little") + values.tobytes()
