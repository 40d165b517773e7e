"""The blocks between the token blocks and the shards: how much of each source, and the last, partial pass.

`WeighSources` is one small task over token counts. `PackFraction` packs, block by block, the documents that the
partial pass of a source takes; their tokens are read back from the packed rows, never tokenised again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.pipeline.base import PipelineStep

from manifests.errors import BuildError
from manifests.store import Store
from manifests.subsources import parent
from mixing.blocks import BlockFile, repack, write_block
from mixing.choice import fraction_limits, meets
from mixing.weights import NATURAL, Mixture, SourcePlan, plan
from pipelines import heartbeat
from pipelines.mixture_recipe import TRAIN, VALIDATION, SubSource
from pipelines.stage import write_task_mark
from pipelines.steps.tokenize import block_paths

_MANY = 2**31 - 1
"""No document has so many epochs: the least of none."""


def token_tables(folder: Store, part: str) -> Iterator[tuple[Any, Any]]:
    """(keys, tokens) of each block of a part of a source, in block order."""
    for path in folder.files("tokens"):
        if path.startswith(f"tokens/{part}-"):
            table = pq.read_table(folder.reading(path))
            yield table["doc_key"].to_numpy(), table["n_tokens"].to_numpy()


class WeighSources(PipelineStep):  # type: ignore[misc]
    """Writes `mixture.json`: each sub-source's passes, and the limits by which a document is in the partial pass.

    `tokenized`: folder of the blocks of each source; `subs`: the sub-sources in recipe order.
    """

    type = "MIX"
    name = "weigh sources"

    def __init__(
        self,
        tokenized: Mapping[str, str],
        subs: Sequence[SubSource],
        mixture: Mixture,
        folder_url: str,
        *,
        row_tokens: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.tokenized = dict(tokenized)
        self.subs = [asdict(sub) for sub in subs]
        self.mixture = mixture
        self.row_tokens, self.seed = row_tokens, seed
        self.folder_url = folder_url

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        folder = Store(self.folder_url)
        documents: dict[str, int] = {}
        tokens: dict[str, int] = {}
        of_source: Counter[str] = Counter()
        subs = {one["name"]: SubSource(**one) for one in self.subs}
        for name, sub in subs.items():
            documents[name] = tokens[name] = 0
            for keys, lengths in token_tables(Store(self.tokenized[sub.source]), sub.part):
                documents[name] += len(keys)
                tokens[name] += int(lengths.sum())
            of_source[sub.source] += tokens[name]
        # Where nothing is weighed, a source that gave nothing takes nothing; with weights it is an error.
        natural = self.mixture.total_tokens == NATURAL
        empty = {name for name, sub in subs.items() if natural and not of_source[sub.source]}
        if not any(tokens.values()):
            raise BuildError(
                "no document was kept, so there is nothing to mix.",
                where=", ".join(self.tokenized),
                why="Shards of nothing would look like a finished corpus.",
                fix="Look at the rules of the recipe: `medtrove plan` lists them with their parameters.",
            )
        made = plan({s: n for s, n in tokens.items() if s not in empty}, documents, self.mixture)
        sources = [_nothing(name) for name in subs if name in empty]
        for entry in made.sources:
            sub = subs[entry.source]
            store = Store(self.tokenized[sub.source])

            def blocks(store: Store = store, part: str = sub.part) -> Iterator[tuple[Any, Any]]:
                return token_tables(store, part)

            limits = fraction_limits(blocks, entry.fraction_tokens, self.seed, self.row_tokens)
            # 2^64 does not fit JSON readers that know only doubles; text does.
            sources.append({**asdict(entry), "fraction": [[str(below), most] for below, most in limits]})
        folder.write_json("mixture.json", {"total_tokens": made.total_tokens, "sources": sources})
        write_task_mark(folder, rank, ["mixture.json"], {})
        yield from ()


def _nothing(source: str) -> dict[str, Any]:
    """The plan of a source without tokens."""
    zero = SourcePlan(source, parent(source), 0, 0, 0.0, 0.0, 0, 0, 0, 0.0)
    return {**asdict(zero), "fraction": []}


class PackFraction(PipelineStep):  # type: ignore[misc]
    """Task (sub-source, source, part, block): pack what the partial pass takes of it, count every document's epochs.

    The validation documents of a source are counted by the task of its first sub-source.
    """

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
        name, source, part, number = self.tasks[rank]
        folder = Store(self.folder_url, mode=0o600 if self.restricted else None)
        sources = Store(self.weigh_url).read_json("mixture.json")["sources"]
        planned = next(entry for entry in sources if entry["source"] == name)
        limits = [(int(below), most) for below, most in planned["fraction"]]
        tokenized = Store(self.tokenized[source])
        tokens = pq.read_table(tokenized.reading(block_paths(part, number)["tokens"]))
        chosen = meets(tokens["doc_key"].to_numpy(), tokens["n_tokens"].to_numpy(), limits, self.seed)
        epochs = planned["whole_passes"] + chosen.astype(np.int32)
        counted = [tokens.append_column("epochs", pa.array(epochs, pa.int32()))]
        if part in (TRAIN, f"{TRAIN}.0"):
            kept_out = pq.read_table(tokenized.reading(block_paths(VALIDATION, number)["tokens"]))
            counted.append(kept_out.append_column("epochs", pa.array(np.zeros(len(kept_out)), pa.int32())))
        path = f"counted/{part_folder(source, part)}/{number:05d}.parquet"
        with folder.writing(path) as stream:
            table = pa.concat_tables(counted).select(["doc_id", "n_tokens", "epochs"])
            pq.write_table(table.sort_by("doc_id"), stream, compression="zstd")
        files = [path]
        lengths = tokens["n_tokens"].to_numpy()[chosen]
        facts: dict[str, Any] = {"source": name, "block": number, "documents": len(lengths)}
        facts["longest"] = int(lengths.max(initial=0))
        facts["min_epochs"] = int(epochs.min(initial=_MANY))
        facts["max_epochs"] = int(epochs.max(initial=0))
        if limits:
            placements = pq.read_table(tokenized.reading(block_paths(part, number)["placements"]))
            rows = BlockFile(tokenized.local(block_paths(part, number)["rows"]))
            keys = tokens["doc_key"].to_numpy()[chosen]
            units = tokens["unit"].filter(pa.array(chosen))
            timeline = not units.null_count and len(units)
            block = repack(
                [(rows, placements, keys)],
                self.row_tokens,
                self.pad_id,
                units=units.to_numpy() if timeline else None,
            )
            written = fraction_paths(source, part, number)
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


def part_folder(source: str, part: str) -> str:
    """Where the files of a part of a source lie in the stage."""
    return source if part == TRAIN else f"{source}.{part.removeprefix(f'{TRAIN}.')}"


def fraction_paths(source: str, part: str, block: int) -> dict[str, str]:
    """Files of one block of a partial pass."""
    folder = part_folder(source, part)
    return {"rows": f"{folder}/{block:05d}.arrow", "placements": f"{folder}/{block:05d}.parquet"}
