"""The block of pass 4: any task writes any shard alone, and each source's validation rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow.parquet as pq
from datatrove.pipeline.base import PipelineStep

from manifests.store import Store
from manifests.windows import Expectation, WindowDeviations
from mixing.blocks import BlockFile
from mixing.mix import BlockRef, Layout, source_layout, write_mixed_shard, write_source_rows
from mixing.order import window_rows
from mixing.schedule import Curve
from mixing.shards import shard_name
from pipelines import heartbeat
from pipelines.mixture_recipe import SubSource
from pipelines.stage import write_task_mark
from pipelines.steps.tokenize import block_paths
from pipelines.steps.weigh import fraction_paths

_AT_ONCE = 1 << 16
"""Rows of the schedule that are held at once while windows are measured."""


def placements_path(number: int) -> str:
    """Where a shard's task leaves its placements, relative to the stage."""
    return f"placements/{number:05d}.parquet"


def plan_rows(
    out: Store,
    tokenized: Mapping[str, str],
    subs: Sequence[SubSource],
    fraction: str,
    weigh: str,
    *,
    row_tokens: int,
    dtype: str,
    rows_per_shard: int,
    seed: int,
    curves: Mapping[str, Curve],
) -> Layout:
    """The layout of the shards from the records of the finished stages; `tokenized`, `fraction` and `weigh` are paths
    below `out`, and so are the block names of the layout. `curves`: sub-sources that are not spread evenly."""
    planned = {entry["source"]: entry for entry in out.read_json(f"{weigh}/mixture.json")["sources"]}
    partial: dict[str, list[BlockRef]] = {sub.name: [] for sub in subs}
    of = {sub.name: sub for sub in subs}
    for fact in out.read_json(f"{fraction}/stage.json")["facts"]:
        if "rows" in fact:
            sub = of[fact["source"]]
            path = f"{fraction}/{fraction_paths(sub.source, sub.part, fact['block'])['rows']}"
            partial[sub.name].append(BlockRef(path, fact["rows"]))
    layouts = []
    for sub in subs:
        blocks = blocks_of(out, tokenized[sub.source], sub.part)
        layouts.append(source_layout(sub.name, planned[sub.name]["whole_passes"], blocks, partial[sub.name]))
    return Layout(tuple(layouts), row_tokens, dtype, rows_per_shard, seed, curves)


def blocks_of(out: Store, path: str, part: str) -> list[BlockRef]:
    """The blocks of one part of a source, in order."""
    facts = out.read_json(f"{path}/stage.json")["facts"]
    return [
        BlockRef(f"{path}/{block_paths(part, number)['rows']}", fact["parts"][part]["rows"])
        for number, fact in enumerate(facts)
    ]


def window_deviations(layout: Layout, expected: Expectation, number: int) -> dict[str, float]:
    """By how many rows each source misses the schedule in any window, of up to 1M tokens, that ends in this shard."""
    first, stop = (min(place * layout.rows_per_shard, layout.n_rows) for place in (number, number + 1))
    begin = max(0, first - window_rows(layout.row_tokens))
    found = WindowDeviations(expected, window_rows(layout.row_tokens), first=begin)
    schedule = layout.schedule()
    for start in range(begin, stop, _AT_ONCE):
        found.add(schedule.slice(start, min(start + _AT_ONCE, stop))[0])
    return dict(zip(layout.names, found.largest.tolist(), strict=True))


class WriteShard(PipelineStep):  # type: ignore[misc]
    """Task: a shard's number, or the source whose validation rows are written.

    `stages` and `part_of` are the schedule as the recipe has it, against which windows are held.
    """

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
        part_of: Sequence[str],
        stages: Sequence[Mapping[str, Any]],
        restricted: bool,
    ) -> None:
        super().__init__()
        self.layout = layout.to_json()
        self.validation = {source: [asdict(block) for block in blocks] for source, blocks in validation.items()}
        self.tasks = tasks
        self.out_url, self.folder_url, self.results_url = out_url, folder_url, results_url
        self.part_of, self.stages = list(part_of), list(stages)
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
        facts: dict[str, Any] = {}
        if isinstance(task, int):
            path = f"shards/{shard_name(task)}"
            with results.writing(path) as stream:
                record, placements = write_mixed_shard(stream, layout, task, open_block)
            with folder.writing(placements_path(task)) as stream:
                pq.write_table(placements, stream, compression="zstd")
            files.append(placements_path(task))
            expected = Expectation([source.n_rows for source in layout.sources], self.part_of, self.stages)
            facts["windows"] = window_deviations(layout, expected, task)
        else:
            path = f"validation/{task}.arrow"
            blocks = [BlockRef(**block) for block in self.validation[task]]
            with results.writing(path) as stream:
                record = write_source_rows(stream, layout, task, blocks, open_block, names=list(self.validation))
        heartbeat.beat(record.rows)
        facts["record"] = asdict(record)
        write_task_mark(folder, rank, files, facts, results=results, result_files=[path])
        yield from ()
