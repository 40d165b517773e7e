"""The comparisons with tools that need environments of their own: makes these, then runs the benches in them.

    python tests/benchmarks/peers.py [--list] [NAME ...]      (make bench-peers PEERS="parsers shards")

Environments lie in build/peers/NAME, one for peers that fit together, pinned to the versions that README.md names. One
that is complete with the same pins is used as it is. Never part of `make bench` or of continuous integration: `loaders`
takes several GB, for PyPI's torch brings CUDA (PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu does not).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEERS = ROOT / "build" / "peers"


@dataclass(frozen=True, slots=True)
class Environment:
    """Packages that fit together, and whether medtrove stands beside them."""

    packages: tuple[str, ...]
    medtrove: bool = True

    def pip(self) -> list[str]:
        """What pip is asked to install: medtrove's own ranges, for its pins leave some peers no version."""
        return ["-e", str(ROOT), *self.packages] if self.medtrove else [*self.packages]

    def stamp(self) -> str:
        """Changes when the environment must be made again."""
        pins = [sys.version, *self.packages]
        if self.medtrove:
            pins.append((ROOT / "pyproject.toml").read_text())
        return hashlib.sha256("\n".join(pins).encode()).hexdigest()


ENVIRONMENTS = {
    "parsers": Environment(("pubmed_parser==0.5.1", "pyeuropepmc==4.5.0")),
    "loaders": Environment(
        ("torch", "mosaicml-streaming==0.13.0", "litdata==0.2.76", "datasets==5.2.0", "megatron-core==0.16.1")
    ),
    # It pins tokenizers 0.19, which ours does not go with.
    "dolma": Environment(("dolma==1.2.1", "numpy"), medtrove=False),
}

RUNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "parsers": (("parsers",), ("{parsers}", "bench_jats.py")),
    "medline": (("parsers",), ("{parsers}", "bench_medline.py")),
    "reader": (("loaders",), ("{loaders}", "bench_reader.py")),
    "shards": (
        ("loaders", "dolma"),
        ("{own}", "bench_shards.py", "--python", "mosaic={loaders}", "--python", "litdata={loaders}",
         "--python", "megatron={loaders}", "--python", "dolma={dolma}"),
    ),
}  # fmt: skip
"""Name of a comparison: the environments it needs, and its command, the Python first."""


def python_of(name: str) -> Path:
    """The Python of an environment."""
    return PEERS / name / "bin" / "python"


def command(name: str) -> list[str]:
    """The command of a comparison."""
    places = {one: str(python_of(one)) for one in ENVIRONMENTS} | {"own": sys.executable}
    python, bench, *rest = (part.format(**places) for part in RUNS[name][1])
    return [python, str(HERE / bench), *rest]


def make(name: str) -> None:
    """Make an environment unless it is there with the same pins; exits with pip's status when pip fails."""
    folder, wanted = PEERS / name, ENVIRONMENTS[name]
    stamp = folder / ".complete"
    if stamp.exists() and stamp.read_text() == wanted.stamp():
        return
    print(f"Making {folder.relative_to(ROOT)}: {', '.join(wanted.packages)}", flush=True)
    venv.EnvBuilder(with_pip=True, clear=True).create(folder)
    pip = [str(python_of(name)), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted.pip()]
    if status := subprocess.call(pip, cwd=ROOT):
        raise SystemExit(status)
    stamp.write_text(wanted.stamp())


def main() -> None:
    parser = argparse.ArgumentParser(description="Benches beside tools that need environments of their own.")
    parser.add_argument("names", nargs="*", choices=[[], *RUNS], help="comparisons; all without one")
    parser.add_argument("--list", action="store_true", help="print the commands, make and run nothing")
    options = parser.parse_args()
    names = options.names or list(RUNS)
    if options.list:
        for name in names:
            print(f"{name}: {' '.join(command(name))}")
        return
    for environment in dict.fromkeys(one for name in names for one in RUNS[name][0]):
        make(environment)
    failed = []
    for name in names:
        print(f"== {name}", flush=True)
        if subprocess.call(command(name), cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}):
            failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
