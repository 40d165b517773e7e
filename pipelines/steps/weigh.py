"""The blocks between the token blocks and the shards: how much of each source, and the last, partial pass.

`WeighSources` is one small task over token counts. `PackFraction` packs, block by block, the documents that the
partial pass of a source takes; their tokens are read back from the packed rows, never tokenised again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from datatrove.pipeline.base import PipelineStep

from manifests.store import Store
from mixing.blocks import BlockFile, repack, write_block
from mixing.choice import below, fraction_threshold
from mixing.weights import Mixture, plan
from pipelines import heartbeat
from pipelines.stage import write_task_mark
from pipelines.steps.tokenize import block_paths


def token_tables(folder: Store, split: str) -> Iterator[tuple[Any, Any]]:
    """(keys, tokens) of each block of a source, in block order."""
    for path in folder.files("tokens"):
        if path.startswith(f"tokens/{split}-"):
            table = pq.read_table(folder.reading(path))
            yield table["doc_key"].to_numpy(), table["n_tokens"].to_numpy()


class WeighSources(PipelineStep):  # type: ignore[misc]
    """Writes `mixture.json`: each source's passes, and the rank below which a document is in the partial pass."""

    type = "MIX"
    name = "weigh sources"

    def __init__(self, tokenized: Mapping[str, str], mixture: Mixture, seed: int, folder_url: str) -> None:
        super().__init__()
        self.tokenized = dict(tokenized)
        self.mixture = mixture
        self.seed = seed
        self.folder_url = folder_url

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        folder = Store(self.folder_url)
        documents: dict[str, int] = {}
        tokens: dict[str, int] = {}
        for source, url in self.tokenized.items():
            tables = list(token_tables(Store(url), "train"))
            documents[source] = sum(len(keys) for keys, _ in tables)
            tokens[source] = int(sum(int(lengths.sum()) for _, lengths in tables))
        made = plan(tokens, documents, self.mixture)
        sources = []
        for entry in made.sources:
            store = Store(self.tokenized[entry.source])

            def blocks(store: Store = store) -> Iterator[tuple[Any, Any]]:
                return token_tables(store, "train")

            threshold = fraction_threshold(blocks, entry.fraction_tokens, self.seed)
            # 2^64 does not fit JSON readers that know only doubles; text does.
            sources.append({**asdict(entry), "fraction_below": str(threshold)})
        folder.write_json("mixture.json", {"total_tokens": made.total_tokens, "sources": sources})
        write_task_mark(folder, rank, ["mixture.json"], {})
        yield from ()


class PackFraction(PipelineStep):  # type: ignore[misc]
    """Task (source, block) packs the documents of that block that are in the source's partial pass."""

    type = "MIX"
    name = "pack fraction"

    def __init__(
        self,
        tokenized: Mapping[str, str],
        weigh_url: str,
        tasks: list[list[Any]],
        folder_url: str,
        *,
        row_tokens: int,
        pad_id: int,
        seed: int,
        restricted: bool,
    ) -> None:
        super().__init__()
        self.tokenized = dict(tokenized)
        self.weigh_url = weigh_url
        self.tasks = tasks
        self.folder_url = folder_url
        self.row_tokens, self.pad_id, self.seed = row_tokens, pad_id, seed
        self.restricted = restricted

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        source, number = self.tasks[rank]
        folder = Store(self.folder_url, mode=0o600 if self.restricted else None)
        planned = Store(self.weigh_url).read_json("mixture.json")["sources"]
        threshold = int(next(entry["fraction_below"] for entry in planned if entry["source"] == source))
        tokenized = Store(self.tokenized[source])
        paths = block_paths("train", number)
        keys = pq.read_table(tokenized.reading(paths["tokens"]))["doc_key"].to_numpy()
        chosen = keys[below(keys, threshold, self.seed)] if len(keys) else keys
        placements = pq.read_table(tokenized.reading(paths["placements"]))
        block = repack(
            [(BlockFile(tokenized.local(paths["rows"])), placements, np.asarray(chosen, dtype=np.uint64))],
            self.row_tokens,
            self.pad_id,
        )
        written = fraction_paths(source, number)
        with folder.writing(written["rows"]) as stream:
            write_block(stream, block)
        with folder.writing(written["placements"]) as stream:
            pq.write_table(block.placements, stream, compression="zstd")
        heartbeat.beat(1)
        facts = {
            "source": source,
            "block": number,
            "documents": len(chosen),
            "tokens": block.n_tokens,
            "rows": len(block.rows),
            "padding": block.padding,
            "least_rows": block.least_rows,
        }
        write_task_mark(folder, rank, list(written.values()), facts)
        yield from ()


def fraction_paths(source: str, block: int) -> dict[str, str]:
    """Files of one block of a source's partial pass."""
    return {"rows": f"{source}/{block:05d}.arrow", "placements": f"{source}/{block:05d}.parquet"}
