"""The block of pass 3: one run of a source's documents to token ids and packed rows.

Training and validation documents go to blocks of their own. Documents lie in key order, which is a random order
that no run, worker or order of fetching changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.pipeline.base import PipelineStep

from manifests.errors import BuildError
from manifests.store import Store
from mixing.blocks import block_range, pack_block, write_block
from mixing.tokenize import Encoded, Encoder, join
from pipelines import heartbeat
from pipelines.prepared import prepared_range
from pipelines.stage import write_task_mark
from pipelines.steps.dedup import skipped_parts

SPLITS = ("train", "validation")

ENCODED_AT_ONCE = 512
"""Documents handed to the encoder in one call."""

TOKENS = pa.schema(
    [
        pa.field("doc_key", pa.uint64(), nullable=False),
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("n_tokens", pa.int64(), nullable=False),
    ]
)
"""tokens/<split>-<block>.parquet: documents of a block in key order, with their length in tokens."""


def block_paths(split: str, block: int) -> dict[str, str]:
    """Files of one block: its rows, where each document lies in them, and each document's length."""
    return {
        "rows": f"blocks/{split}-{block:05d}.arrow",
        "placements": f"placements/{split}-{block:05d}.parquet",
        "tokens": f"tokens/{split}-{block:05d}.parquet",
    }


class TokenizeBlock(PipelineStep):  # type: ignore[misc]
    """Task b of K writes block b: the documents whose key lies in the b-th of K equal ranges."""

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
    ) -> None:
        self.name = f"tokenize {source}"
        super().__init__()  # reads the name
        self.source = source
        self.prepared_url, self.dedup_url, self.folder_url = prepared_url, dedup_url, folder_url
        self.tokenizer, self.bos, self.eos, self.special = tokenizer, bos, eos, special
        self.row_tokens = row_tokens
        self.restricted = restricted

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        folder = Store(self.folder_url, mode=0o600 if self.restricted else None)
        dedup = Store(self.dedup_url)
        low, past = block_range(rank, world_size)
        by_key = pq.read_table(dedup.reading(f"by_key/{self.source}.parquet"))
        columns = (by_key[name].to_pylist() for name in ("doc_key", "split", "doc_id"))
        here = [(key, split, doc_id) for key, split, doc_id in zip(*columns, strict=True) if low <= key < past]
        wanted = {key: split for key, split, _ in here}
        names = {key: doc_id for key, _, doc_id in here}
        encoder = Encoder(self.tokenizer, bos=self.bos, eos=self.eos, special=self.special)
        keys: dict[str, list[int]] = {split: [] for split in SPLITS}
        parts: dict[str, list[Encoded]] = {split: [] for split in SPLITS}
        waiting: dict[str, list[str]] = {split: [] for split in SPLITS}

        def encode(split: str) -> None:
            if waiting[split]:
                parts[split].append(encoder.encode(waiting[split]))
                waiting[split] = []

        encoder.start_block()
        texts = prepared_range(Store(self.prepared_url), low, past - 1, wanted, skip=skipped_parts(dedup, self.source))
        for done, (key, text) in enumerate(texts):
            split = wanted[key]
            keys[split].append(key)
            waiting[split].append(text)
            if len(waiting[split]) >= ENCODED_AT_ONCE:
                encode(split)
            heartbeat.beat(done)
        for split in SPLITS:
            encode(split)
        if sum(map(len, keys.values())) != len(wanted):
            raise BuildError(
                f"{len(wanted)} documents of {self.source} should be in block {rank}, "
                f"{sum(map(len, keys.values()))} were found.",
                where=self.prepared_url,
                why="A document that pass 2 kept must reach the shards.",
                fix="Remove that folder and build again.",
            )
        self._write(folder, rank, encoder, keys, names, parts)
        yield from ()

    def _write(
        self,
        folder: Store,
        rank: int,
        encoder: Encoder,
        keys: dict[str, list[int]],
        names: dict[int, str],
        parts: dict[str, list[Encoded]],
    ) -> None:
        files: list[str] = []
        facts: dict[str, Any] = {"engine": encoder.engine, "tokenizer": encoder.describe()}
        for split in SPLITS:
            encoded = join(parts[split]) if parts[split] else encoder.encode([])
            block = pack_block(keys[split], encoded, self.row_tokens, encoder.pad_id)
            paths = block_paths(split, rank)
            with folder.writing(paths["rows"]) as stream:
                write_block(stream, block)
            lengths = pa.array(encoded.lengths, pa.int64())
            ids = pa.array([names[key] for key in keys[split]], pa.string())
            tokens = pa.table([pa.array(keys[split], pa.uint64()), ids, lengths], schema=TOKENS)
            for name, table in (("placements", block.placements), ("tokens", tokens)):
                with folder.writing(paths[name]) as stream:
                    pq.write_table(table, stream, compression="zstd")
            files.extend(paths.values())
            facts[split] = {
                "documents": len(keys[split]),
                "tokens": block.n_tokens,
                "rows": len(block.rows),
                "padding": block.padding,
                "least_rows": block.least_rows,
            }
        write_task_mark(folder, rank, files, facts)
