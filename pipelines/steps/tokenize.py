"""The block of pass 3: one run of a source's documents to token ids and packed rows.

Validation documents go to blocks of their own, and so do the training documents of every score bucket. Documents lie
in key order, which is a random order that no run, worker or order of fetching changes; with `timeline` the documents of
one subject are in one block and follow each other in time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from datatrove.pipeline.base import PipelineStep

from manifests.errors import BuildError
from manifests.store import Store
from manifests.subsources import UNSCORED, buckets_of
from mixing.blocks import block_of, block_range, pack_block, reordered, write_block
from mixing.tokenize import Encoded, Encoder, join
from pipelines import heartbeat
from pipelines.mixture_recipe import TRAIN, VALIDATION
from pipelines.prepared import prepared_range, subjects_and_times
from pipelines.stage import write_task_mark
from pipelines.steps.dedup import skipped_parts

ENCODED_AT_ONCE = 512
"""Documents handed to the encoder in one call."""

TOKENS = pa.schema(
    [
        pa.field("doc_key", pa.uint64(), nullable=False),
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("n_tokens", pa.int64(), nullable=False),
        pa.field("unit", pa.uint64()),  # equal for neighbours of one timeline; null: packed alone
    ]
)
"""tokens/<part>-<block>.parquet: documents of a block in the order of packing, with their length in tokens."""


def block_paths(part: str, block: int) -> dict[str, str]:
    """Files of one block of a part (`train`, `train.<bucket>` or `validation`): its rows, where each document lies in
    them, and each document's length."""
    return {
        "rows": f"blocks/{part}-{block:05d}.arrow",
        "placements": f"placements/{part}-{block:05d}.parquet",
        "tokens": f"tokens/{part}-{block:05d}.parquet",
    }


class TokenizeBlock(PipelineStep):  # type: ignore[misc]
    """Task b of K writes block b: the documents whose key, or whose subject's, lies in the b-th of K equal ranges.

    `parts`: names of the training parts; with `edges`, one for each score bucket, the last for documents without a
    score if there is one more.
    """

    type = "TOKENIZE"

    def __init__(
        self,
        source: str,
        prepared_url: str,
        dedup_url: str,
        folder_url: str,
        *,
        tokenizer: str,
        bos: bool,
        eos: bool,
        special: list[str],
        row_tokens: int,
        restricted: bool,
        parts: Sequence[str] = (TRAIN,),
        edges: Sequence[float] = (),
        timeline: bool = False,
    ) -> None:
        self.name = f"tokenize {source}"
        super().__init__()  # reads the name
        self.source = source
        self.prepared_url, self.dedup_url, self.folder_url = prepared_url, dedup_url, folder_url
        self.tokenizer, self.bos, self.eos, self.special = tokenizer, bos, eos, special
        self.row_tokens = row_tokens
        self.restricted = restricted
        self.parts, self.edges, self.timeline = list(parts), list(edges), timeline

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        folder = Store(self.folder_url, mode=0o600 if self.restricted else None)
        dedup = Store(self.dedup_url)
        by_key = pq.read_table(dedup.reading(f"by_key/{self.source}.parquet"))
        skip = skipped_parts(dedup, self.source)
        columns = (by_key[name].to_pylist() for name in ("doc_key", "doc_id"))
        names = dict(zip(*columns, strict=True))
        bucket = dict(zip(names, self._buckets(by_key), strict=True))
        split = dict(zip(names, by_key["split"].to_pylist(), strict=True))
        times: dict[int, tuple[str, str]] = {}
        low, past = block_range(rank, world_size)
        if self.timeline:
            times = subjects_and_times(Store(self.prepared_url), names, skip=skip)
            units = np.array([_unit(key, *times[key]) for key in names], dtype=np.uint64)
            chosen = block_of(units, world_size) == rank if len(units) else []
            here = [key for key, mine in zip(names, chosen, strict=True) if mine]
            low, past = 0, 1 << 64
        else:
            here = [key for key in names if low <= key < past]
        # A part where a document goes; validation is one part, whatever its scores.
        wanted = {key: VALIDATION if split[key] == VALIDATION else bucket[key] for key in here}
        texts = prepared_range(Store(self.prepared_url), low, past - 1, wanted, skip=skip)
        keys, encoded, facts = self._encode(wanted, texts)
        if sum(map(len, keys.values())) != len(wanted):
            raise BuildError(
                f"{len(wanted)} documents of {self.source} should be in block {rank}, "
                f"{sum(map(len, keys.values()))} were found.",
                where=self.prepared_url,
                why="A document that pass 2 kept must reach the shards.",
                fix="Remove that folder and build again.",
            )
        files: list[str] = []
        for part, mine in keys.items():
            order = sorted(range(len(mine)), key=lambda i: _in_time(mine[i], times)) if self.timeline else None
            found = encoded[part] if order is None else reordered(encoded[part], order)
            mine = mine if order is None else [mine[i] for i in order]
            facts["parts"][part] = self._write(folder, rank, part, mine, names, times, found, files)
        held_out = zip(keys[VALIDATION], encoded[VALIDATION].lengths.tolist(), strict=True)
        for key, length in held_out:
            of = facts["parts"][bucket[key]]
            of["validation_documents"] += 1
            of["validation_tokens"] += length
        write_task_mark(folder, rank, files, facts)
        yield from ()

    def _buckets(self, by_key: pa.Table) -> list[str]:
        """The training part that each document's score names; BuildError for one without a score and a part."""
        if not self.edges:
            return [self.parts[0]] * len(by_key)
        scores = by_key["score"].to_numpy().astype(np.float32)
        numbers = buckets_of(scores, self.edges)
        has_unscored = self.parts[-1].endswith(f".{UNSCORED}")
        if (numbers < 0).any() and not has_unscored:
            doc_id = by_key["doc_id"][int(np.argmax(numbers < 0))].as_py()
            example = "" if self.restricted else f", {doc_id!r} for one"
            raise BuildError(
                f"{int((numbers < 0).sum()):,} documents have no score{example}.",
                where=f"[sources.{self.source}.buckets]",
                why="No bucket takes them, and they would be left out in silence.",
                fix="Give `unscored`, the weight of documents without a score.",
            )
        return [self.parts[number] for number in numbers.tolist()]

    def _encode(
        self, wanted: Mapping[int, str], texts: Iterator[tuple[int, str]]
    ) -> tuple[dict[str, list[int]], dict[str, Encoded], dict[str, Any]]:
        """Keys and tokens of the documents of each part, in the order of `texts`."""
        encoder = Encoder(self.tokenizer, bos=self.bos, eos=self.eos, special=self.special)
        parts = [*self.parts, VALIDATION]
        keys: dict[str, list[int]] = {part: [] for part in parts}
        made: dict[str, list[Encoded]] = {part: [] for part in parts}
        waiting: dict[str, list[str]] = {part: [] for part in parts}

        def encode(part: str) -> None:
            if waiting[part]:
                made[part].append(encoder.encode(waiting[part]))
                waiting[part] = []

        encoder.start_block()
        for done, (key, text) in enumerate(texts):
            part = wanted[key]
            keys[part].append(key)
            waiting[part].append(text)
            if len(waiting[part]) >= ENCODED_AT_ONCE:
                encode(part)
            heartbeat.beat(done)
        for part in parts:
            encode(part)
        self.pad_id = encoder.pad_id
        joined = {part: join(made[part]) if made[part] else encoder.encode([]) for part in parts}
        return keys, joined, {"engine": encoder.engine, "tokenizer": encoder.describe(), "parts": {}}

    def _write(
        self,
        folder: Store,
        rank: int,
        part: str,
        keys: list[int],
        names: Mapping[int, str],
        times: Mapping[int, tuple[str, str]],
        encoded: Encoded,
        files: list[str],
    ) -> dict[str, Any]:
        units = np.array([_unit(key, *times[key]) for key in keys], dtype=np.uint64) if self.timeline else None
        block = pack_block(keys, encoded, self.row_tokens, self.pad_id, units=units)
        paths = block_paths(part, rank)
        with folder.writing(paths["rows"]) as stream:
            write_block(stream, block)
        columns = [
            pa.array(keys, pa.uint64()),
            pa.array([names[key] for key in keys], pa.string()),
            pa.array(encoded.lengths, pa.int64()),
            pa.array(units, pa.uint64()) if units is not None else pa.nulls(len(keys), pa.uint64()),
        ]
        for name, table in (("placements", block.placements), ("tokens", pa.table(columns, schema=TOKENS))):
            with folder.writing(paths[name]) as stream:
                pq.write_table(table, stream, compression="zstd")
        files.extend(paths.values())
        return {
            "documents": len(keys),
            "tokens": block.n_tokens,
            "rows": len(block.rows),
            "padding": block.padding,
            "least_rows": block.least_rows,
            "short": int(np.count_nonzero(encoded.lengths <= (self.row_tokens - 1) // 8)),
            "longest": int(encoded.lengths.max(initial=0)),
            "validation_documents": 0,
            "validation_tokens": 0,
        }


def _unit(key: int, subject: str, _: str) -> int:
    """What is kept together: a subject, or a document without one."""
    return xxhash.xxh3_64_intdigest(b"timeline " + subject.encode()) if subject else key


def _in_time(key: int, times: Mapping[int, tuple[str, str]]) -> tuple[int, str, int]:
    subject, published = times[key]
    return _unit(key, subject, published), published, key
