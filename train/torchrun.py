"""torch's launcher, saying in one sentence why a run ended.

    python -m train.torchrun --standalone --nproc-per-node 2 -m train.pretrain ...

takes what `torch.distributed.run` takes. That one ends the other ranks as soon as one fails, so that a fault which
all of them find is cut off before the rank meant to say it has; it prints a stack of its own, and makes every exit
code 1. Here a failing rank leaves its sentence in the file torch gives it, and the launcher says it once.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from manifests.errors import CorpusError

EXIT_LOST: Final = 76
"""Of a rank whose peers are gone: not the one to blame."""
_FILE: Final = "TORCHELASTIC_ERROR_FILE"


def report(error: CorpusError) -> int:
    """Say why this rank ends, through the launcher if there is one; the exit code."""
    if _FILE not in os.environ:
        print(f"medtrove: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return error.exit_code
    when = {"timestamp": str(int(time.time())), "exit_code": error.exit_code}
    partial = Path(f"{os.environ[_FILE]}.partial")
    partial.write_text(json.dumps({"message": {"message": str(error), "extraInfo": when}}), encoding="utf-8")
    partial.replace(os.environ[_FILE])
    return error.exit_code


def verdict(failures: Iterable[Any]) -> tuple[int, str]:
    """Exit code and sentence of a machine's ranks, given torch's `ProcessFailure` of each that did not end well.

    What a rank has reported comes before all else, then the signal that ended one. No sentence where a rank has
    printed its stack.
    """
    found = list(failures)
    for failure in found:
        message = failure.error_file_data.get("message")
        if isinstance(message, dict) and "exit_code" in message.get("extraInfo", {}):
            return int(message["extraInfo"]["exit_code"]), str(message["message"])
    own = [failure for failure in found if failure.exitcode not in (EXIT_LOST, -signal.SIGTERM)]
    if not own and any(failure.exitcode == EXIT_LOST for failure in found):
        return 1, "the ranks of another machine are gone, and these ended with them; its log says why."
    if any(failure.exitcode > 0 for failure in own):
        return 1, ""
    killed = (own or found)[0]
    return 1, (
        f"rank {killed.local_rank} of this machine was ended by {signal.Signals(-killed.exitcode).name}, and the "
        "others with it. If nobody did so, memory ran out. The same command goes on from the newest checkpoint."
    )


def main(arguments: Sequence[str]) -> int:
    """Run the ranks to their end: 0, or the code of the rank that failed."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    logging.disable(logging.ERROR)  # in this process alone: which ranks it ends, and where their stacks are not
    try:
        run(parse_args(list(arguments)))
    except ChildFailedError as error:
        code, sentence = verdict(error.failures.values())
        if sentence:
            print(f"medtrove: {sentence}", file=sys.stderr, flush=True)  # noqa: T201
        return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
