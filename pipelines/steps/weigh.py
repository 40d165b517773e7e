"""The blocks between the token blocks and the shards: how much of each source, and the last, partial pass.

`WeighSources` is one small task over token counts. `PackFraction` packs, block by block, the documents that the
partial pass of a source takes; their tokens are read back from the packed rows, never tokenised again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.pipeline.base import PipelineStep

from manifests.errors import BuildError
from manifests.store import Store
from mixing.blocks import BlockFile, repack, write_block
from mixing.choice import below, fraction_threshold
from mixing.weights import NATURAL, Mixture, SourcePlan, plan
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
        # Where nothing is weighed, a source that gave nothing takes nothing; with weights it is an error.
        empty = {s for s, n in tokens.items() if not n} if self.mixture.total_tokens == NATURAL else set()
        if not any(tokens.values()):
            raise BuildError(
                "no document was kept, so there is nothing to mix.",
                where=", ".join(self.tokenized),
                why="Shards of nothing would look like a finished corpus.",
                fix="Look at the rules of the recipe: `medtrove plan` lists them with their parameters.",
            )
        made = plan({s: n for s, n in tokens.items() if s not in empty}, documents, self.mixture)
        sources = [_nothing(source) for source in self.tokenized if source in empty]
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


def _nothing(source: str) -> dict[str, Any]:
    """The plan of a source without tokens."""
    zero = SourcePlan(source, source, 0, 0, 0.0, 0.0, 0, 0, 0, 0.0)
    return {**asdict(zero), "fraction_below": "0"}


class PackFraction(PipelineStep):  # type: ignore[misc]
    """Task (source, block): pack what the partial pass takes of the block, count every document's epochs."""

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
        sources = Store(self.weigh_url).read_json("mixture.json")["sources"]
        planned = next(entry for entry in sources if entry["source"] == source)
        threshold = int(planned["fraction_below"])
        tokenized = Store(self.tokenized[source])
        tokens = pq.read_table(tokenized.reading(block_paths("train", number)["tokens"]))
        chosen = below(tokens["doc_key"].to_numpy(), threshold, self.seed)
        files = [self._count(folder, source, number, tokens, chosen, planned["whole_passes"], tokenized)]
        lengths = tokens["n_tokens"].to_numpy()[chosen]
        facts: dict[str, Any] = {"source": source, "block": number, "documents": len(lengths)}
        facts["longest"] = int(lengths.max(initial=0))
        if threshold:
            placements = pq.read_table(tokenized.reading(block_paths("train", number)["placements"]))
            rows = BlockFile(tokenized.local(block_paths("train", number)["rows"]))
            keys = tokens["doc_key"].to_numpy()[chosen]
            block = repack([(rows, placements, keys)], self.row_tokens, self.pad_id)
            written = fraction_paths(source, number)
            with folder.writing(written["rows"]) as stream:
                write_block(stream, block)
            with folder.writing(written["placements"]) as stream:
                pq.write_table(block.placements, stream, compression="zstd")
            files.extend(written.values())
            facts |= {"tokens": block.n_tokens, "rows": len(block.rows)}
            facts |= {"padding": block.padding, "least_rows": block.least_rows}
        heartbeat.beat(1)
        write_task_mark(folder, rank, files, facts)
        yield from ()

    def _count(
        self, folder: Store, source: str, number: int, tokens: Any, chosen: Any, whole_passes: int, tokenized: Store
    ) -> str:
        """Write how often each document of the block stands in the shards, sorted by doc_id."""
        kept_out = pq.read_table(tokenized.reading(block_paths("validation", number)["tokens"]))
        epochs = pa.array(whole_passes + chosen.astype(np.int32), pa.int32())
        none = pa.array(np.zeros(len(kept_out), dtype=np.int32), pa.int32())
        counted = pa.concat_tables(
            [
                table.append_column("epochs", column).select(["doc_id", "n_tokens", "epochs"])
                for table, column in ((tokens, epochs), (kept_out, none))
            ]
        ).sort_by("doc_id")
        path = f"counted/{source}/{number:05d}.parquet"
        with folder.writing(path) as stream:
            pq.write_table(counted, stream, compression="zstd")
        return path


def fraction_paths(source: str, block: int) -> dict[str, str]:
    """Files of one block of a source's partial pass."""
    return {"rows": f"{source}/{block:05d}.arrow", "placements": f"{source}/{block:05d}.parquet"}
