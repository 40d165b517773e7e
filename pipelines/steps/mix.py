"""The block of pass 4: any task writes any shard alone, and each source's validation rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import pyarrow.parquet as pq
from datatrove.pipeline.base import PipelineStep

from manifests.store import Store
from mixing.blocks import BlockFile
from mixing.mix import BlockRef, Layout, source_layout, write_mixed_shard, write_source_rows
from mixing.shards import shard_name
from pipelines import heartbeat
from pipelines.stage import write_task_mark
from pipelines.steps.tokenize import block_paths
from pipelines.steps.weigh import fraction_paths


def placements_path(number: int) -> str:
    """Where a shard's task leaves its placements, relative to the stage."""
    return f"placements/{number:05d}.parquet"


def plan_rows(
    out: Store,
    tokenized: Mapping[str, str],
    fraction: str,
    weigh: str,
    *,
    row_tokens: int,
    dtype: str,
    rows_per_shard: int,
    seed: int,
) -> Layout:
    """The layout of the shards from the records of the finished stages; `tokenized`, `fraction` and `weigh` are paths
    below `out`, and so are the block names of the layout."""
    planned = {entry["source"]: entry for entry in out.read_json(f"{weigh}/mixture.json")["sources"]}
    partial: dict[str, list[BlockRef]] = {source: [] for source in tokenized}
    for fact in out.read_json(f"{fraction}/stage.json")["facts"]:
        if "rows" in fact:
            path = f"{fraction}/{fraction_paths(fact['source'], fact['block'])['rows']}"
            partial[fact["source"]].append(BlockRef(path, fact["rows"]))
    layouts = []
    for source, path in tokenized.items():
        blocks = blocks_of(out, path, "train")
        layouts.append(source_layout(source, planned[source]["whole_passes"], blocks, partial[source]))
    return Layout(tuple(layouts), row_tokens, dtype, rows_per_shard, seed)


def blocks_of(out: Store, path: str, split: str) -> list[BlockRef]:
    """The blocks of one split of a source, in order."""
    facts = out.read_json(f"{path}/stage.json")["facts"]
    return [
        BlockRef(f"{path}/{block_paths(split, number)['rows']}", fact[split]["rows"])
        for number, fact in enumerate(facts)
    ]


class WriteShard(PipelineStep):  # type: ignore[misc]
    """Task: a shard's number, or the source whose validation rows are written."""

    type = "MIX"
    name = "write shards"

    def __init__(
        self,
        layout: Layout,
        validation: Mapping[str, list[BlockRef]],
        tasks: list[Any],
        out_url: str,
        folder_url: str,
        results_url: str,
        *,
        restricted: bool,
    ) -> None:
        super().__init__()
        self.layout = layout.to_json()
        self.validation = {source: [asdict(block) for block in blocks] for source, blocks in validation.items()}
        self.tasks = tasks
        self.out_url, self.folder_url, self.results_url = out_url, folder_url, results_url
        self.restricted = restricted

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        mode = 0o600 if self.restricted else None
        out, results = Store(self.out_url), Store(self.results_url, mode=mode)
        folder = Store(self.folder_url, mode=mode)
        layout = Layout.from_json(self.layout)

        def open_block(name: str) -> BlockFile:
            return BlockFile(out.local(name))

        task = self.tasks[rank]
        files = []
        if isinstance(task, int):
            path = f"shards/{shard_name(task)}"
            with results.writing(path) as stream:
                record, placements = write_mixed_shard(stream, layout, task, open_block)
            with folder.writing(placements_path(task)) as stream:
                pq.write_table(placements, stream, compression="zstd")
            files.append(placements_path(task))
        else:
            path = f"validation/{task}.arrow"
            blocks = [BlockRef(**block) for block in self.validation[task]]
            with results.writing(path) as stream:
                record = write_source_rows(stream, layout, task, blocks, open_block)
        heartbeat.beat(record.rows)
        write_task_mark(folder, rank, files, {"record": asdict(record)}, results=results, result_files=[path])
        yield from ()
