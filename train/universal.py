"""ZeRO's files of one number of ranks, converted so that any other can read them.

DeepSpeed's own conversion (Universal Checkpointing, Lian et al., arXiv:2406.18820) gathers each weight and its moments
into files of their own. It takes about 24 bytes of disk per trained weight while it works, 12 afterwards; rank 0 does
it in a process of its own, without a GPU, and the result is deleted once it is loaded.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from manifests.errors import BuildError
from train.agreement import Group, together
from train.deepspeed_files import TAG

_FAILED = "FAILED"
_SMALL = 1 << 30
_LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")


@contextlib.contextmanager
def converted(
    folder: Path, scratch: Path, *, group: Group, convert: Callable[[Path, Path], None] | None = None
) -> Iterator[Path]:
    """The conversion of the files in `folder`, at `scratch` for the length of the block; collective.

    `scratch` must not exist; it appears whole or not at all, readable to its owner alone. BuildError on all ranks if
    it fails.
    """
    partial = scratch.with_name(scratch.name + ".tmp")

    def make() -> None:
        partial.mkdir(mode=0o700)
        try:
            (convert or _in_a_process_of_its_own)(folder / TAG, partial / TAG)
            partial.rename(scratch)
        except BaseException:
            # The ranks that wait look for one of the two names.
            for path in partial.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            (partial / _FAILED).touch()
            raise

    def wait() -> None:
        # Not in a collective, whose time would be out: a terabyte takes hours.
        while not scratch.exists() and not (partial / _FAILED).exists():
            time.sleep(0.2)

    try:
        together(group, f"Converting {folder} for {group.world} ranks", make if group.rank == 0 else wait)
        yield scratch
        group.barrier()
    finally:
        if group.rank == 0:
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.rmtree(partial, ignore_errors=True)


def _in_a_process_of_its_own(source: Path, target: Path) -> None:
    """DeepSpeed forks workers, which a process with a group of ranks or a GPU must not."""
    size = sum(path.stat().st_size for path in source.iterdir())
    workers = 1 if size < _SMALL else max(1, min(8, (os.cpu_count() or 1) // 2))
    environment = {key: value for key, value in os.environ.items() if key not in _LAUNCHED}
    done = subprocess.run(
        [sys.executable, "-m", "train.universal", str(source), str(target), "--workers", str(workers)],
        env=environment | {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise BuildError(
            f"the conversion failed: {lines[-1] if lines else f'exit code {done.returncode}'}.",
            where=str(source),
            why=f"Its optimizer is shared out among the ranks that wrote it, and it needs {3 * size / 1e9:,.1f} GB of "
            "free disk to be shared anew.",
            fix="Make room and start again, or go on with as many ranks as before.",
        )


def _main() -> None:
    parser = argparse.ArgumentParser(description="Convert ZeRO's files of a checkpoint for any number of ranks.")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    from deepspeed.checkpoint.ds_to_universal import main

    main(
        argparse.Namespace(
            input_folder=given.source,
            output_folder=given.target,
            num_extract_workers=given.workers,
            num_merge_workers=max(1, given.workers // 2),
            keep_temp_folder=False,
            strict=True,
            inject_missing_state=False,
        )
    )


if __name__ == "__main__":
    _main()
