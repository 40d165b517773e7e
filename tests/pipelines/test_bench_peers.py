"""`make bench-peers`: every comparison names a bench that is there, environments that exist, and pinned peers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "benchmarks" / "peers.py"


def listed(*names: str) -> dict[str, list[str]]:
    done = subprocess.run([sys.executable, str(SCRIPT), "--list", *names], capture_output=True, text=True, check=True)
    return {line.partition(": ")[0]: line.partition(": ")[2].split() for line in done.stdout.splitlines()}


def test_every_comparison_runs_a_bench_in_an_environment_of_its_own() -> None:
    found = listed()
    assert {"parsers", "medline", "reader", "shards"} == set(found)
    for python, bench, *rest in found.values():
        assert Path(bench).is_file()
        named = [python, *(part.partition("=")[2] for part in rest if "=" in part)]
        peers = [one for one in named if one != sys.executable]
        assert peers
        assert all(Path(one).is_relative_to(ROOT / "build" / "peers") for one in peers)
    assert list(listed("shards")) == ["shards"]


def test_the_tools_of_bench_shards_are_those_it_knows() -> None:
    tools = {part.partition("=")[0] for part in listed("shards")["shards"] if "=" in part}
    known = re.search(
        r"^PACKAGES = \{(.*?)\}", (SCRIPT.parent / "shard_tools.py").read_text(), re.DOTALL | re.MULTILINE
    )
    assert known is not None
    assert tools == {"mosaic", "litdata", "megatron", "dolma"} < set(re.findall(r'"(\w+)":', known[1]))


def test_the_target_is_there_and_no_part_of_the_checks() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "bench-peers: setup-dev\n\t@.venv/bin/python tests/benchmarks/peers.py $(PEERS)\n" in makefile
    runner = ROOT / ".ci" / "run"
    assert not runner.exists() or "bench-peers" not in runner.read_text()
    assert "build/" in (ROOT / ".gitignore").read_text().split()
    assert "bench-peers" in (SCRIPT.parent / "README.md").read_text()
