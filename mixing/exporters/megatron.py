"""Megatron's `.bin/.idx`: raw tokens end to end, and where each document begins.

Megatron takes a sequence for a document: it shuffles sequences, lays them end to end and tells them apart by their end
token. So a sequence here is one whole document, also one that the shards cut into rows, standing where its first token
stands in training order; padding and removed documents are left out. The default is one pair for the mix. With
`by_source` there is one pair for each source and `data-args.txt` for `--data-args-path`: pairs of tokens (as weight)
and prefix, relative to the folder. Format of the index: megatron/core/datasets/indexed_dataset.py, version 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from manifests.errors import BuildError
from mixing.exporters.appended import AppendedFiles
from mixing.exporters.folder import ExportFolder, check_counts, export_folder, shares
from mixing.places import NOWHERE, Int64Array, following
from mixing.reader import Shards
from mixing.rows import REMOVED_KEY, Rows

DATA_ARGS = "data-args.txt"
_MAGIC = b"MMIDIDX\x00\x00"
_TYPES = {"uint16": ("<u2", 8), "uint32": ("<i4", 4)}
"""Type written and its code; Megatron has none for uint32, and no vocabulary needs its last bit."""


def export_megatron(
    shards: Shards, output: str | Path, *, build: Mapping[str, Any], by_source: bool = False
) -> dict[str, Any]:
    """Write the shards as Megatron reads them; what `export.json` says is returned. A killed export is resumed."""
    if shards.index["loss_mask"]:
        raise BuildError(
            "these shards have a loss mask, and Megatron's format has none.",
            where=str(shards.folder),
            why="A trainer would learn the other side of every conversation.",
            fix="Export them with `medtrove export mds`, or train on the shards themselves.",
        )
    with export_folder(shards, output, kind="megatron", options={"by_source": by_source}, build=build) as folder:
        return folder.done or _write(shards, folder, by_source=by_source)


def _write(shards: Shards, folder: ExportFolder, *, by_source: bool) -> dict[str, Any]:
    mix = str(shards.index.get("split", "mix"))
    prefix = [name.replace("/", ".") if by_source else mix for name in shards.sources]
    used = [name for name in shards.sources if shards.index["totals"]["tokens_by_source"].get(name)]
    made = list(dict.fromkeys(prefix[shards.sources.index(name)] for name in used))
    files = AppendedFiles(folder.store, [name + end for name in made for end in (".bin", ".lengths")])
    kind, code = _TYPES[shards.dtype.name]
    tokens: Counter[str] = Counter(files.counts.get("tokens"))
    documents: Counter[str] = Counter(files.counts.get("documents"))
    follows = following(shards) if files.steps < shards.n_shards else np.zeros(0, dtype=np.int64)
    for number in range(files.steps, shards.n_shards):
        begin = shards.first_row(number)
        for rows in shards.batches(number):
            assert rows.source is not None, "rows of a shard name their source"
            for s in np.unique(rows.source).tolist() if by_source else [None]:
                mine = np.arange(len(rows)) if s is None else np.flatnonzero(rows.source == s)
                ids, lengths, row = _documents(shards, rows if s is None else rows.take(mine), begin + mine, follows)
                name = mix if s is None else prefix[s]
                files.append(f"{name}.bin", ids.astype(kind, copy=False))
                files.append(f"{name}.lengths", lengths.astype("<i4"))
                for source in np.unique(rows.source[mine[row]]).tolist():
                    of_source = rows.source[mine[row]] == source
                    tokens[shards.sources[source]] += int(lengths[of_source].sum())
                    documents[shards.sources[source]] += int(of_source.sum())
            begin += len(rows)
        files.commit({"tokens": dict(tokens), "documents": dict(documents)})
    check_counts(shards, tokens)
    for name in made:
        files.finish(f"{name}.bin")
        lengths = np.fromfile(files.path(f"{name}.lengths"), dtype="<i4")
        starts = (np.cumsum(lengths, dtype="<i8") - lengths) * np.dtype(kind).itemsize
        with folder.store.writing(f"{name}.idx") as stream:
            stream.write(_MAGIC + np.uint64(1).tobytes() + bytes([code]))
            stream.write(np.asarray([len(lengths), len(lengths) + 1], dtype="<u8").tobytes())
            for column in (lengths, starts, np.arange(len(lengths) + 1, dtype="<i8")):
                stream.write(column.data)
    listed = [name + end for name in made for end in (".bin", ".idx")]
    if by_source:
        lines = [f"{tokens[name]} {prefix[shards.sources.index(name)]}\n" for name in used]
        folder.store.write_bytes(DATA_ARGS, "".join(lines).encode())
        listed.append(DATA_ARGS)
    facts = {name: {**fact, "documents": documents[name]} for name, fact in shares(tokens).items()}
    return folder.finish(listed, {"sources": facts, "tokens": tokens.total(), "documents": documents.total()})


def _documents(
    shards: Shards, rows: Rows, numbers: Int64Array, follows: Int64Array
) -> tuple[npt.NDArray[Any], Int64Array, Int64Array]:
    """The documents that begin in these rows, whole and in order: their tokens, their lengths, the row of each."""
    counts, width = np.diff(rows.offsets), rows.input_ids.shape[1]
    begins = rows.doc_key != REMOVED_KEY
    begins[rows.offsets[:-1][rows.continues]] = False
    row, lengths = np.repeat(np.arange(len(rows)), counts)[begins], rows.lengths[begins]
    ends = row * width + rows.doc_ends[begins]
    border = np.zeros(rows.input_ids.size + 1, dtype=np.int8)
    border[ends - lengths] += 1
    border[ends] -= 1
    ids = rows.input_ids.reshape(-1)[np.cumsum(border[:-1], dtype=np.int8).view(bool)]
    # Documents that go on: the last of their row, where that one begins in it.
    last = np.flatnonzero(np.append(row[1:] != row[:-1], True)) if len(row) else row
    last = last[(follows[numbers[row[last]]] != NOWHERE) & begins[rows.offsets[1:][row[last]] - 1]]
    parts, before = [], 0
    for document, end in zip(last.tolist(), np.cumsum(lengths)[last].tolist(), strict=True):
        key = int(rows.doc_key[rows.offsets[row[document] + 1] - 1])
        rest = list(_rest(shards, int(follows[numbers[row[document]]]), key, follows))
        parts += [ids[before:end], *rest]
        before = end
        lengths[document] += sum(map(len, rest))
    return np.concatenate([*parts, ids[before:]]), lengths, row


def _rest(shards: Shards, row: int, key: int, follows: Int64Array) -> Iterator[npt.NDArray[Any]]:
    """The pieces of the document `key` from `row` on."""
    while row != NOWHERE:
        found = shards[row]
        if int(found.doc_key[0]) != key:
            raise BuildError(
                f"row {row:,} continues a document, but not the one that comes before it in its block.",
                where=str(shards.folder),
                why="Two documents would be joined.",
                fix="Run `medtrove verify`; if it finds the shards damaged, build again.",
            )
        yield found.input_ids[: found.doc_ends[0]]
        row = int(follows[row]) if len(found.doc_ends) == 1 else NOWHERE
