"""Delivery of a weighted mix as batches: mixing.shards against the loaders of the field, in one run.

    python tests/benchmarks/bench_reader.py [--tokens 2049 4097] [--rows 4096] [--turns 3] [--json FILE]

Four sources, shares .3 .2 .4 .1, batches of 8 rows of int64, no worker processes, files in the page cache. Loaders take
turns; the best turn counts, in processor seconds of this process (an untimed pass comes first, and says what was
delivered). A loader that does not import here is left out and said so: run it with the Python of an environment that
has mosaicml-streaming, litdata, datasets, megatron-core and a CPU torch (and PYTHONPATH on this repository).

What is delivered is told by the first two tokens of every row, its source and number. `share error` is the largest
distance of a source's rows from its share; `spread` the difference between the most and the least often delivered
row of the largest source. Resumed after 100 batches, a loader is right if the very rows follow that would have: with
the same settings, with batches of 4, with 2 workers, and with 2 ranks (processes; batches of 4 each, compared step by
step as sets). "-" is where the loader has no such thing to try.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from manifests.store import Store
from mixing.blocks import BlockFile, pack_block, write_block
from mixing.exporters.megatron import export_megatron
from mixing.mix import BlockRef, Layout, source_layout, write_mixed_shard
from mixing.shards import open as open_shards
from mixing.shards import write_folder_files
from mixing.tokenize import Encoded

SHARES = {"a": 0.3, "b": 0.2, "c": 0.4, "d": 0.1}
BATCH, AT = 8, 100
"""Rows of a batch, and batches after which a loader is stopped and resumed."""
SEED = 7
Matrix = np.ndarray[Any, Any]


# --- the data: rows of one document each, one token short of the row, so that every loader cuts at the same places


def blocks(folder: Path, tokens: int, pool: int, rows: int) -> list[Any]:
    random, layouts = np.random.default_rng(1), []
    for number, (source, share) in enumerate(SHARES.items()):
        ids = random.integers(3, 32_000, (pool, tokens - 1), dtype=np.uint16)
        ids[:, 0], ids[:, 1] = number, np.arange(pool)
        refs = []
        whole, part = divmod(round(share * rows), pool)
        for name, n in ((f"{source}-whole", pool), (f"{source}-part", part)):
            keys = np.arange(1, n + 1, dtype=np.uint64)
            encoded = Encoded(ids[:n].reshape(-1), np.arange(n + 1) * (tokens - 1))
            with (folder / name).open("wb") as stream:
                write_block(stream, pack_block(keys, encoded, tokens, 0))
            refs.append(BlockRef(name, n))
        layouts.append(source_layout(source, whole, refs[:1], refs[1:]))
    return layouts


def shards(folder: Path, layouts: list[Any], tokens: int, target: str) -> None:
    layout = Layout(tuple(layouts), tokens, "uint16", 1 << 16, SEED)
    store = Store(folder / target)
    with store.writing("shard-00000.arrow") as stream:
        record = write_mixed_shard(stream, layout, 0, lambda name: BlockFile(folder / name))[0]
    tokenizer = {"pad_id": 0, "vocab_size": 32_000, "sha256": ""}
    write_folder_files(
        store, [record], sources=layout.names, sequence_length=tokens - 1, dtype="uint16", tokenizer=tokenizer,
        schedule=layout.describe(), restricted=False,
    )  # fmt: skip


def prepare(folder: Path, tokens: int, pool: int, rows: int) -> None:
    """The mix for us, and each source once for those who mix while they read."""
    layouts = blocks(folder, tokens, pool, rows)
    shards(folder, layouts, tokens, "mix")
    for one in layouts:
        shards(folder, [source_layout(one.source, 1, one.passes[0])], tokens, f"pool/{one.source}")
        export_megatron(open_shards(folder / "pool" / one.source), folder / "megatron" / one.source, build={})


def pool_rows(folder: Path, source: str) -> Matrix:
    found = open_shards(folder / "pool" / source)
    return found.tokens(np.arange(len(found)), np.int64)


# --- the loaders: batches of int64 from a state; a state is what the loader itself calls so, or rows delivered


class Ours:
    name, epoch = "medtrove, epoch 0", 0

    def __init__(self, folder: Path, tokens: int, rows: int) -> None:
        self.shards = open_shards(folder / "mix")

    def run(self, batch: int, state: Any, workers: int = 0, rank: int = 0, world: int = 1) -> Iterator[Matrix]:
        at = int(state or 0)
        if workers or world > 1:
            from torch.utils.data import DataLoader

            # Whoever fetches them, worker or rank: which row stands at a position is a pure function.
            data = list(range(at + rank, len(self.shards), world))
            order, found = self.shards.order(self.epoch, SEED), self.shards
            yield from DataLoader(data, batch, num_workers=workers, collate_fn=lambda p: found.tokens(order.rows(p)))
            return
        yield from self.shards.read(batch, epoch=self.epoch, start_row=at, seed=SEED)

    def state(self, delivered: int) -> Any:
        return delivered


class Permuted(Ours):
    """A later epoch: windows, and rows in them, in another order."""

    name, epoch = "medtrove, epoch 1", 1


class Mapped(Ours):
    """`datasets.load_from_disk` on our shards: the same rows, read by Hugging Face."""

    name = "datasets on our shards"

    def __init__(self, folder: Path, tokens: int, rows: int) -> None:
        import datasets

        self.data = datasets.load_from_disk(str(folder / "mix")).select_columns(["input_ids"]).with_format("torch")

    def run(self, batch: int, state: Any, workers: int = 0, rank: int = 0, world: int = 1) -> Iterator[Any]:
        from torch.utils.data import DataLoader, Subset

        rest = Subset(self.data, range(int(state or 0) + rank, len(self.data), world))
        for one in DataLoader(rest, batch_size=batch, num_workers=workers):
            yield one["input_ids"].long()


class Interleaved:
    """`datasets.interleave_datasets`: sources drawn at random by their probabilities."""

    name = "datasets interleave"

    def __init__(self, folder: Path, tokens: int, rows: int) -> None:
        import datasets

        parts = []
        for source in SHARES:
            one = datasets.load_from_disk(str(folder / "pool" / source)).select_columns(["input_ids"])
            parts.append(one.to_iterable_dataset(num_shards=1).shuffle(seed=SEED, buffer_size=1000))
        self.make = lambda: datasets.interleave_datasets(
            parts, probabilities=list(SHARES.values()), seed=SEED, stopping_strategy="all_exhausted"
        ).with_format("torch")

    def run(self, batch: int, state: Any, workers: int = 0, rank: int = 0, world: int = 1) -> Iterator[Any]:
        from datasets.distributed import split_dataset_by_node
        from torch.utils.data import DataLoader

        self.data = self.make()
        if state:
            self.data.load_state_dict(state)
        data = split_dataset_by_node(self.data, rank, world) if world > 1 else self.data
        for one in DataLoader(data, batch_size=batch, num_workers=workers):
            yield one["input_ids"].long()

    def state(self, delivered: int) -> Any:
        return self.data.state_dict()


class Mosaic:
    name = "MosaicML StreamingDataset"

    def __init__(self, folder: Path, tokens: int, rows: int) -> None:
        stub_torchvision()
        import streaming

        self.folder, self.rows = folder, rows
        for source in SHARES:
            target = folder / "mosaic" / source
            if not target.exists():
                with streaming.MDSWriter(out=str(target), columns={"tokens": f"ndarray:uint16:{tokens}"}) as out:
                    for row in pool_rows(folder, source):
                        out.write({"tokens": row.astype(np.uint16)})

    def run(self, batch: int, state: Any, workers: int = 0, rank: int = 0, world: int = 1) -> Iterator[Any]:
        import torch
        from streaming import Stream, StreamingDataLoader, StreamingDataset
        from streaming.base.util import clean_stale_shared_memory

        clean_stale_shared_memory()
        # A folder can be open in one run of processes at a time.
        own = self.folder / ("mosaic-ranks" if world > 1 else "mosaic")
        parts = [Stream(local=str(own / s), proportion=share) for s, share in SHARES.items()]
        data = StreamingDataset(
            streams=parts, epoch_size=self.rows, shuffle=True, shuffle_seed=SEED, batch_size=batch,
            num_canonical_nodes=1,
        )  # fmt: skip

        def collate(rows: list[dict[str, Any]]) -> Any:
            return torch.from_numpy(np.stack([row["tokens"] for row in rows]).astype(np.int64))

        self.loader = StreamingDataLoader(data, batch_size=batch, num_workers=workers, collate_fn=collate)
        # Rows are counted by the loader from a key of the batch; ours is the tensor itself.
        self.loader._get_batch_size = len
        if state:
            self.loader.load_state_dict(state)
        yield from self.loader

    def state(self, delivered: int) -> Any:
        return self.loader.state_dict()


class LitData:
    name = "litdata Combined"

    def __init__(self, folder: Path, tokens: int, rows: int) -> None:
        stub_torchvision()
        import litdata
        import torch
        from litdata.streaming import TokensLoader
        from litdata.streaming.writer import BinaryWriter

        self.folder, self.tokens, self.litdata, self.loader_of = folder, tokens, litdata, TokensLoader
        for source in SHARES:
            target = folder / "litdata" / source
            if target.exists():
                continue
            target.mkdir(parents=True)
            writer = BinaryWriter(str(target), chunk_size=tokens * 256, item_loader=TokensLoader(tokens))
            for i, row in enumerate(pool_rows(folder, source)):
                writer.add_item(i, torch.from_numpy(row.astype(np.int32)))
            writer.done()
            writer.merge()

    def run(self, batch: int, state: Any, workers: int = 0, rank: int = 0, world: int = 1) -> Iterator[Any]:
        def data() -> Any:
            parts = [
                self.litdata.StreamingDataset(
                    str(self.folder / "litdata" / s), item_loader=self.loader_of(self.tokens), shuffle=True, seed=SEED
                )
                for s in SHARES
            ]
            return self.litdata.CombinedStreamingDataset(
                parts, seed=SEED, weights=list(SHARES.values()), iterate_over_all=False
            )

        self.loader = self.litdata.StreamingDataLoader(data(), batch_size=batch, num_workers=workers)
        if state:
            self.loader.load_state_dict(state)
        # An epoch ends with the first source that does; the next begins, as in training.
        for _ in range(50):
            for one in self.loader:
                yield one.long()

    def state(self, delivered: int) -> Any:
        return self.loader.state_dict()


class Megatron:
    name = "megatron-core Blended"

    def __init__(self, folder: Path, tokens: int, rows: int) -> None:
        import torch.distributed as dist
        from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
        from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig

        if not dist.is_initialized():
            dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        tokenizer = types.SimpleNamespace(eod=1, pad=0, unique_identifiers={"class": "none"}, vocab_size=32_000)
        prefixes = [str(folder / "megatron" / source / "train") for source in SHARES]
        config = GPTDatasetConfig(
            random_seed=SEED, sequence_length=tokens - 1, split="100,0,0", tokenizer=tokenizer,
            blend=(prefixes, list(SHARES.values())), reset_position_ids=False, reset_attention_mask=False,
            eod_mask_loss=False, create_attention_mask=False, path_to_cache=str(folder / "megatron-cache"),
        )  # fmt: skip
        self.data = BlendedMegatronDatasetBuilder(GPTDataset, [rows, 0, 0], lambda: True, config).build()[0]
        self.rows = rows

    def run(self, batch: int, state: Any, workers: int = 0, rank: int = 0, world: int = 1) -> Iterator[Any]:
        import torch
        from torch.utils.data import DataLoader

        # As its pretraining sampler does: consumed samples on, one rank's share of every global batch.
        at, step = int(state or 0), batch * world
        index = [
            list(range(first + rank * batch, first + (rank + 1) * batch))
            for first in range(at, self.rows - step + 1, step)
        ]
        for one in DataLoader(self.data, batch_sampler=index, num_workers=workers):
            yield torch.cat((one["tokens"], one["labels"][:, -1:]), dim=1)

    def state(self, delivered: int) -> Any:
        return delivered


LOADERS: tuple[Any, ...] = (Ours, Permuted, Mapped, Interleaved, Mosaic, LitData, Megatron)


def stub_torchvision() -> None:
    """Both import torchvision for images; its compiled half does not fit every torch."""
    try:
        import torchvision  # noqa: F401
    except Exception:  # noqa: BLE001
        for name in ("", ".transforms", ".transforms.functional", ".datasets", ".io"):
            module = sys.modules["torchvision" + name] = types.ModuleType("torchvision" + name)
            module.__spec__ = ModuleSpec("torchvision" + name, None)
        sys.modules["torchvision.transforms.functional"].to_tensor = None  # type: ignore[attr-defined]
        sys.modules["torchvision.datasets"].VisionDataset = type("VisionDataset", (), {})  # type: ignore[attr-defined]


# --- what is measured


def ids(batches: Iterator[Any], rows: int) -> list[tuple[int, int]]:
    """Source and number of the next `rows` rows."""
    found: list[tuple[int, int]] = []
    for batch in batches:
        found += [(int(a), int(b)) for a, b in np.asarray(batch)[:, :2]]
        if len(found) >= rows:
            break
    return found[:rows]


def exactness(make: Callable[[], Any], folder: Path, tokens: int, rows: int, pool: int) -> dict[str, Any]:
    loader = make()
    whole = ids(loader.run(BATCH, None), rows)
    counts = Counter(source for source, _ in whole)
    largest = Counter(number for source, number in whole if source == 2)
    times = [largest.get(number, 0) for number in range(pool)]
    found: dict[str, Any] = {
        "share error, rows": round(max(abs(counts[n] - s * len(whole)) for n, s in enumerate(SHARES.values())), 1),
        "spread": max(times) - min(times),
        "same again": ids(make().run(BATCH, None), rows) == whole,
    }
    loader = make()
    running = loader.run(BATCH, None)
    ids(running, AT * BATCH)
    state = loader.state(AT * BATCH)
    del running
    rest = whole[AT * BATCH :][: 150 * BATCH]
    for name, batch, workers in (("resumed", BATCH, 0), ("batch of 4", BATCH // 2, 0), ("2 workers", BATCH, 2)):
        try:
            found[name] = ids(make().run(batch, state, workers), len(rest)) == rest
        except Exception as error:  # noqa: BLE001  a refusal is an answer
            found[name] = f"refuses ({type(error).__name__})"
    found["2 ranks"] = two_ranks(type(loader).__name__, folder, tokens, rows, state, rest)
    return found


def two_ranks(loader: str, folder: Path, tokens: int, rows: int, state: Any, rest: list[tuple[int, int]]) -> Any:
    """Two processes of 4 rows each must have, step by step, what one of 8 would have had."""
    path = folder / "state.json"
    path.write_text(json.dumps(state))
    if (folder / "mosaic").exists():
        shutil.copytree(folder / "mosaic", folder / "mosaic-ranks", dirs_exist_ok=True)
    started = []
    for rank in range(2):
        environment = os.environ | {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29731",
        }  # fmt: skip
        command = [sys.executable, __file__, "--rank", loader, str(folder), str(tokens), str(rows), str(len(rest) // 2)]
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    try:
        outputs, errors = zip(*(process.communicate(timeout=60) for process in started), strict=True)
    except subprocess.TimeoutExpired:
        for process in started:
            process.kill()
        return "hangs"
    if any(process.returncode for process in started):
        named = re.findall(r"(\w+(?:Error|Exception)):", errors[0].decode() + errors[1].decode())
        return f"refuses ({named[-1] if named else 'no reason'})"
    ranks = [[tuple(one) for one in json.loads(output.splitlines()[-1])] for output in outputs]
    half = BATCH // 2
    steps = [sorted(ranks[0][i : i + half] + ranks[1][i : i + half]) for i in range(0, len(rest) // 2, half)]
    return steps == [sorted(rest[i : i + BATCH]) for i in range(0, len(rest), BATCH)]


def be_rank(loader: str, folder: str, tokens: str, rows: str, wanted: str) -> None:
    rank = int(os.environ["RANK"])
    try:
        import torch.distributed as dist

        dist.init_process_group("gloo", rank=rank, world_size=2)
    except ImportError:
        dist = None
    made = {one.__name__: one for one in LOADERS}[loader](Path(folder), int(tokens), int(rows))
    state = json.loads((Path(folder) / "state.json").read_text())
    print(json.dumps(ids(made.run(BATCH // 2, state, 0, rank, 2), int(wanted))), flush=True)
    if dist is not None:
        dist.barrier()
    os._exit(0)


def speed(loader: Any, rows: int, tokens: int) -> tuple[float, float]:
    """Million tokens a processor second, and seconds by the clock to the first batch."""
    began, clock = time.process_time(), time.perf_counter()
    running = loader.run(BATCH, None)
    total = next(running).shape[0]
    first = time.perf_counter() - clock
    for batch in islice(running, rows // BATCH - 1):
        total += batch.shape[0]
    return total * tokens / (time.process_time() - began) / 1e6, first


def measure(tokens: int, rows: int, turns: int, *, exact: bool) -> list[dict[str, Any]]:
    pool = rows // 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, tokens, pool, rows)
        usable, table = {}, []
        for kind in LOADERS:
            try:
                usable[kind.name] = kind(folder, tokens, rows)
                entry: dict[str, Any] = {"loader": kind.name, "row tokens": tokens}
                if exact:
                    entry |= exactness(lambda kind=kind: kind(folder, tokens, rows), folder, tokens, rows, pool)
                table.append(entry)
            except Exception as error:  # noqa: BLE001  a peer that is not there, or not usable here
                usable.pop(kind.name, None)
                print(f"left out: {kind.name}: {type(error).__name__}: {str(error)[:150]}", flush=True)
        for _ in range(turns):
            for entry in table:
                fast, first = speed(usable[entry["loader"]], rows, tokens)
                entry["Mtok/s"] = round(max(fast, entry.get("Mtok/s", 0)), 1)
                entry["first batch s"] = round(min(first, entry.get("first batch s", 99)), 3)
        return table


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--tokens", type=int, nargs="+", default=[2049, 4097])
    options.add_argument("--rows", type=int, default=4096)
    options.add_argument("--turns", type=int, default=3)
    options.add_argument("--json", type=Path)
    options.add_argument("--rank", nargs=5, help="one of two processes; for this program itself")
    chosen = options.parse_args()
    if chosen.rank:
        be_rank(*chosen.rank)
    table = []
    for number, tokens in enumerate(chosen.tokens):
        table += measure(tokens, chosen.rows, chosen.turns, exact=number == 0)
    for entry in table:
        print("  ".join(f"{key} {value}" for key, value in entry.items()), flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
