"""Mixing: shards written from packed blocks, beside reading, writing, syncing and hashing as many bytes.

    python tests/benchmarks/bench_mix.py [--gigabytes 0.1 1.0] [--rounds 3] [--folder DIR] [--json FILE]

Blocks of three invented sources at 15:1:4 (uint16, rows of 4,097 tokens, documents of 100 to 2,000 tokens) are made
first. Then, round by round and in turns, one process mixes all shards and another copies the blocks' bytes: read in
pieces of 8 MB, written, hashed by sha256, fsync at each end of a file. Seconds of the clock and CPU seconds of each;
a round's ratio is copying over mixing for the same bytes, 1.0 meaning as fast. Peak memory is the anonymous memory
(RssAnon: what no file backs) of the mixing process, which must not grow with the corpus.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from manifests.store import Store
from mixing.blocks import BlockFile, pack_block, write_block
from mixing.mix import BlockRef, Layout, source_layout, write_mixed_shard
from mixing.tokenize import Encoded

ROW = 4097
BLOCK_TOKENS = 16 << 20
SHARES = {"articles": 0.75, "notes": 0.05, "general": 0.2}
PIECE = 8 << 20


def make_blocks(folder: Path, n_bytes: int) -> Layout:
    """Packed blocks of about `n_bytes` of tokens in all, each source once."""
    chance = np.random.default_rng(3)
    layouts = []
    for source, share in SHARES.items():
        left = int(n_bytes / 2 * share)
        refs: list[BlockRef] = []
        while left > 0:
            wanted = min(left, BLOCK_TOKENS)
            lengths = chance.integers(100, 2000, max(1, wanted // 1050))
            ids = chance.integers(3, 32_000, int(lengths.sum()), dtype=np.uint16)
            offsets = np.concatenate(([0], np.cumsum(lengths)))
            keys = np.sort(chance.integers(1, 2**63, len(lengths), dtype=np.uint64))
            name = f"{source}-{len(refs)}.arrow"
            with (folder / name).open("wb") as stream:
                block = pack_block(keys, Encoded(ids, offsets), ROW, 0)
                write_block(stream, block)
            refs.append(BlockRef(name, len(block.rows)))
            left -= wanted
        layouts.append(source_layout(source, 1, refs))
    return Layout(tuple(layouts), ROW, "uint16", 8192, 7)


def anonymous_bytes() -> int:
    """Memory of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def mix(folder: Path, layout: Layout, out: Path) -> dict[str, float]:
    """Write every shard and its placements; bytes, seconds and peak memory."""
    peak, done = [anonymous_bytes()], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            peak.append(anonymous_bytes())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    store, n_bytes = Store(out), 0
    began, cpu = time.perf_counter(), time.process_time()
    for number in range(layout.n_shards):
        with store.writing(f"shard-{number:05d}.arrow") as stream:
            record, _ = write_mixed_shard(stream, layout, number, lambda name: BlockFile(folder / name))
        n_bytes += record.bytes
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    done.set()
    watcher.join()
    return {"bytes": n_bytes, "seconds": seconds, "cpu": cpu_seconds, "peak": max(peak)}


def copy(folder: Path, layout: Layout, out: Path) -> dict[str, float]:
    """Read, hash, write and sync the blocks."""
    n_bytes = 0
    began, cpu = time.perf_counter(), time.process_time()
    for source in layout.sources:
        for block in source.passes[0]:
            digest = hashlib.sha256()
            with (folder / block.name).open("rb") as read, (out / block.name).open("wb") as write:
                while piece := read.read(PIECE):
                    digest.update(piece)
                    write.write(piece)
                    n_bytes += len(piece)
                write.flush()
                os.fsync(write.fileno())
    return {"bytes": n_bytes, "seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu, "peak": 0}


def alone(side: str, folder: Path, layout: Layout, pipe: Any) -> None:
    """One side in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        pipe.send({"mix": mix, "copy": copy}[side](folder, layout, Path(out)))


def measured(side: str, folder: Path, layout: Layout) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=alone, args=(side, folder, layout, there))
    process.start()
    found: dict[str, float] = here.recv()
    process.join()
    return found


def bench(gigabytes: float, rounds: int, place: str | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=place) as folder:
        layout = make_blocks(Path(folder), int(gigabytes * 1e9))
        found = {side: [] for side in ("copy", "mix")}  # type: dict[str, list[dict[str, float]]]
        for _ in range(rounds):
            for side, results in found.items():
                results.append(measured(side, Path(folder), layout))

    def rate(side: str, clock: str) -> list[float]:
        return [one["bytes"] / one[clock] / 1e9 for one in found[side]]

    ratios = {
        clock: statistics.median(a / b for a, b in zip(rate("mix", clock), rate("copy", clock), strict=True))
        for clock in ("seconds", "cpu")
    }
    return {
        "gigabytes": gigabytes,
        "shards": layout.n_shards,
        "mix_gb_per_second": statistics.median(rate("mix", "seconds")),
        "copy_gb_per_second": statistics.median(rate("copy", "seconds")),
        "ratio": ratios["seconds"],
        "ratio_of_cpu": ratios["cpu"],
        "peak_megabytes": max(one["peak"] for one in found["mix"]) / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.1, 1.0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--json", default="")
    arguments = parser.parse_args()
    found = [bench(size, arguments.rounds, arguments.folder) for size in arguments.gigabytes]
    for one in found:
        print(
            f"{one['gigabytes']:g} GB in {one['shards']} shards: mixing {one['mix_gb_per_second']:.2f} GB/s, copying "
            f"{one['copy_gb_per_second']:.2f} GB/s, ratio {one['ratio']:.2f} (CPU {one['ratio_of_cpu']:.2f}); "
            f"peak {one['peak_megabytes']:.0f} MB"
        )
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
