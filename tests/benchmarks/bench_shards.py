"""Text to training shards: ours beside five tools, one thread, the same documents and the same tokenizer.json.

    python tests/benchmarks/bench_shards.py [--megabytes 30] [--turns 3] [--python TOOL=PYTHON ...] [--json FILE]

Abstracts and full texts of the pack named by MEDTROVE_REALDATA; without it nothing is measured. A byte-level BPE of
32,768 is trained on a third of them, the rest is unseen. Each tool runs in turn in a fresh process, so no cache has met
a word before; the documents are in its memory (dolma reads them from JSON lines, it has no other way) and its packages
are imported before the clock starts. Processor seconds of the process and of its own workers; the best turn counts.

Every document ends with one end token. Each tool's ids are read back from its files and counted: `lost` are tokens of
the tokenizers library that are not there, `foreign` are tokens that the library did not make (both as multisets).
Where a recipe leaves the choice, the peer gets the faster one: `encode_batch_fast` by 512 documents, no hashes. A tool
that does not import in its Python is left out and named; dolma pins tokenizers 0.19, so it needs its own environment.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from shard_tools import PACKAGES, TOOLS, written

VOCABULARY = 32_768


def cpu() -> float:
    """Processor seconds of this process and of its workers that have ended."""
    use = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in use)


def alone(tool: str, folder: Path, result: Path) -> None:
    """One tool in this process: its seconds and a histogram of its ids; or why it does not import."""
    try:
        write = TOOLS[tool]()
    except Exception as error:  # noqa: BLE001
        result.write_text(json.dumps({"missing": f"{type(error).__name__}: {error}"}))
        return
    lines = (folder / "documents" / "all.jsonl").read_text(encoding="utf-8").split("\n")
    documents = [json.loads(line) for line in lines if line]
    with tempfile.TemporaryDirectory(dir=folder) as out:
        began = cpu()
        clock = time.perf_counter()
        write(documents, str(folder / "tokenizer.json"), Path(out))
        seconds, clock = cpu() - began, time.perf_counter() - clock
        ids, n_bytes = written(tool, Path(out))
    np.save(result.with_suffix(".npy"), np.bincount(ids.astype(np.int64), minlength=VOCABULARY))
    found = {"cpu": seconds, "seconds": clock, "tokens": len(ids), "bytes": n_bytes}
    result.write_text(json.dumps(found | {"version": version(PACKAGES[tool])}))


def prepare(folder: Path, pack: Path, megabytes: float) -> dict[str, Any]:
    """The tokenizer, trained on a third, and the rest as documents."""
    from bench_tokenize import abstracts, articles

    from mixing.train_tokenizer import train

    texts = [("abstracts", text) for text in abstracts(pack) if text]
    texts += [("articles", text) for text in articles(pack) if text]
    random.Random(0).shuffle(texts)
    third = len(texts) // 3
    (folder / "tokenizer.json").write_bytes(train((text for _, text in texts[:third]), vocabulary=VOCABULARY))
    n_bytes = n_documents = 0
    (folder / "documents").mkdir()
    with (folder / "documents" / "all.jsonl").open("w", encoding="utf-8") as stream:
        for number, (source, text) in enumerate(texts[third:]):
            if n_bytes >= megabytes * 1e6:
                break
            n_bytes += len(text.encode())
            n_documents += 1
            stream.write(json.dumps({"id": f"bench:{number}", "text": text, "source": source}) + "\n")
    return {"megabytes": n_bytes / 1e6, "documents": n_documents}


def turn(tool: str, python: str, folder: Path) -> dict[str, Any]:
    result = folder / f"{tool}.json"
    result.unlink(missing_ok=True)
    command = [python, __file__, "--tool", tool, "--folder", str(folder), "--json", str(result)]
    ended = subprocess.run(command, capture_output=True, text=True)
    if not result.exists():
        return {
            "missing": ended.stderr.strip().splitlines()[-1] if ended.stderr.strip() else f"exit {ended.returncode}"
        }
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def bench(pack: Path, megabytes: float, turns: int, pythons: dict[str, str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        about = prepare(folder, pack, megabytes)
        found: dict[str, list[dict[str, Any]]] = {tool: [] for tool in TOOLS}
        for _ in range(turns):
            for tool, results in found.items():
                if not (results and "missing" in results[-1]):
                    results.append(turn(tool, pythons.get(tool, sys.executable), folder))
        left_out = {tool: results[-1]["missing"] for tool, results in found.items() if "missing" in results[-1]}
        best = {
            tool: min(results, key=lambda one: one["cpu"]) for tool, results in found.items() if tool not in left_out
        }
        counts = {tool: np.load(folder / f"{tool}.npy") for tool in best}
    if missing := {"medtrove", "tokenizers"} & set(left_out):
        raise SystemExit(
            f"cannot compare without {', '.join(f'{tool} ({left_out[tool]})' for tool in sorted(missing))}"
        )
    tokens = best["tokenizers"]["tokens"]
    for tool, one in best.items():
        one["mtok_per_s"] = tokens / one["cpu"] / 1e6
        one["slower_than_ours"] = one["cpu"] / best["medtrove"]["cpu"]
        difference = counts[tool] - counts["tokenizers"]
        one["foreign"], one["lost"] = int(difference.clip(0).sum()), int((-difference).clip(0).sum())
        one["turns_mtok_per_s"] = [tokens / other["cpu"] / 1e6 for other in found[tool]]
    return about | {"tokens": tokens, "tools": best, "left_out": left_out}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--megabytes", type=float, default=30.0)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--python", action="append", default=[], metavar="TOOL=PYTHON")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tool", choices=TOOLS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.tool:
        alone(options.tool, options.folder, options.json)
        return
    pack = os.environ.get("MEDTROVE_REALDATA")
    if not pack:
        print("Nothing measured: MEDTROVE_REALDATA names no folder of real text.")
        return
    pythons = dict(entry.split("=", 1) for entry in options.python)
    found = bench(Path(pack), options.megabytes, options.turns, pythons)
    print(f"{found['megabytes']:.1f} MB, {found['documents']:,} documents, {found['tokens']:,} tokens with end tokens")
    for tool, one in found["tools"].items():
        print(
            f"{tool:10} {one['version']:8} {one['mtok_per_s']:6.2f} Mtok/s, {one['slower_than_ours']:5.1f}x our time; "
            f"{one['tokens']:,} tokens, lost {one['lost']:,}, foreign {one['foreign']:,}; {one['bytes'] / 1e6:.1f} MB; "
            f"{one['seconds']:.1f} s; turns {', '.join(f'{rate:.2f}' for rate in one['turns_mtok_per_s'])}"
        )
    for tool, reason in found["left_out"].items():
        print(f"{tool:10} left out: {reason}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
