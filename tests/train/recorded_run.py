"""`train.pretrain` on one rank, which also writes down what it trained on: `recorded_run.py RECORD ARGUMENTS...`.

RECORD/rank-N.jsonl gets a line for every step when it is over. SLOW_STEP: seconds a step takes at least. HANG_SAVE:
the number of the save in which rank 1 (or the only one) writes its part and then does not return.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import train.pretrain
from train.signals import EXIT_STOPPED


def recording(make_engine: Callable[..., Any], record: Path) -> Callable[..., Any]:
    def make(*arguments: Any, **named: Any) -> Any:
        engine = make_engine(*arguments, **named)
        train_step, save, saves = engine.train_step, engine.save, [0]
        file = record / f"rank-{engine.rank}.jsonl"

        def recorded_step(batches: Sequence[Any], **more: Any) -> Any:
            result = train_step(batches, **more)
            rows = [int(row) for batch in batches for row in batch.row if row >= 0]
            line = {"pid": os.getpid(), "world": engine.world, "rows": rows, "loss": result.loss}
            with file.open("a") as stream:
                stream.write(json.dumps(line) + "\n")
            time.sleep(float(os.environ.get("SLOW_STEP", "0")))
            return result

        def recorded_save(folder: Path) -> None:
            saves[0] += 1
            save(folder)
            if str(saves[0]) == os.environ.get("HANG_SAVE") and engine.rank == min(1, engine.world - 1):
                time.sleep(600)

        engine.train_step, engine.save = recorded_step, recorded_save
        return engine

    return make


if __name__ == "__main__":
    train.pretrain.make_engine = recording(train.pretrain.make_engine, Path(sys.argv[1]))  # type: ignore[assignment]
    code = train.pretrain.main(sys.argv[2:])
    sys.stderr.flush()
    os._exit(0 if code == EXIT_STOPPED and "TORCHELASTIC_RUN_ID" in os.environ else code)
