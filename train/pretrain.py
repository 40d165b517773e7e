"""Continual pretraining: the loop, top to bottom.

    python -m train.pretrain --config FILE --shards DIR --run-folder DIR [--resume auto|none|DIR]

is what every rank runs, alone or under torch's launcher (`train.torchrun`). A batch goes from shard bytes to the
optimizer through `data.steps`, `data.make_batch`, `engine.train_step` and `loss.token_losses`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from manifests.errors import BuildError, CorpusError
from mixing.reader import Shards, open_shards
from train.agreement import FailedElsewhere, together
from train.apart import check_unknown_family
from train.books import Books
from train.checkpoint import CHECKPOINTS, ENGINE, TrainState, locked, prune, save_checkpoint, step_name
from train.config import RunConfig, load_config
from train.data import all_steps, counts
from train.distributed import join, lost_peers, seed_step
from train.engine import Engine, for_world, make_engine
from train.learning_rate import learning_rate
from train.ledger import shards_fingerprint
from train.prefetch import prefetched
from train.resume import config_digest, deciding_keys, prepare_run
from train.run_folder import check_shards, validation_of
from train.signals import EXIT_STOPPED, StopRequest, mark_started, mark_stopped
from train.taint import as_tainted
from train.torchrun import EXIT_LOST, report
from train.validation import validate

_PATIENCE = 3.0
"""Seconds a rank that knows of a fault only by hearsay waits for the one that saw it."""


def train(
    config: RunConfig,
    run: Path,
    shards: Shards,
    *,
    build: Callable[..., Any],
    resume: str = "auto",
    held_out: Shards | None = None,
    finish: Callable[[RunConfig, Path, Shards, Engine, Books], None] | None = None,
) -> int:
    """Train on all rows of the shards, or until asked to stop; every rank of the run calls it.

    `build` makes the model (see `make_engine`); `finish` is called with the trained one. The exit code is 0, or 85 for
    a run that was stopped and can go on.
    """
    check_shards(config, shards)
    group = join(config.parallel.engine)
    first = group.rank == 0
    with contextlib.ExitStack() as closing:
        # ---- where the run stands
        together(group, f"Locking the run {run}", (lambda: closing.enter_context(locked(run))) if first else None)
        for rows in (shards, held_out):
            if rows is not None:
                together(group, f"Reading {rows.folder}", partial(rows.verify, group.rank, group.world))
        found = prepare_run(
            run, resume, config, shards_fingerprint=shards_fingerprint(shards), group=group, say=_say(first)
        )
        state = found.state if found else None
        config = for_world(config, group.world, rows=state.rows_per_step if state else 0)
        n_rows, rows_per_step, epochs = len(shards), config.batch.rows, config.data.epochs
        epoch, rows_done = (state.epoch, state.rows_done) if state else (0, 0)

        # ---- model, optimizer, books
        engine = make_engine(config, build, n_sources=len(shards.sources))
        check_unknown_family(engine.module, vocabulary=shards.index["tokenizer"]["vocab_size"])
        if found:
            scratch = run / CHECKPOINTS / f"{step_name(found.state.step)}.universal"
            engine.load(found.checkpoint / ENGINE, saved_world=found.state.world, scratch=scratch)
        books = Books(config, run, shards, engine, state, steps=epochs * -(-n_rows // rows_per_step))
        closing.callback(books.screen.close)
        if first:
            mark_started(run)

        def save() -> None:
            now = _state(config, shards, engine, books, epoch=epoch, rows_done=rows_done)
            save_checkpoint(run, now, engine.save, group=engine)
            books.enter_checkpoint()
            if first:
                kept = found.checkpoint if found else None
                prune(run, config.run.keep, config.run.keep_every_steps, protect=kept)

        def look_at_held_out() -> None:
            if held_out is not None:
                planned = shards.index["totals"]["tokens_by_source"]
                books.enter_validation(validate(engine, held_out, config, planned))

        if state is None:
            look_at_held_out()

        # ---- the loop
        stop = closing.enter_context(StopRequest(run).listening())
        saved, validated = time.monotonic(), books.ledger.tokens
        asked, stopping = 0.0, _enough(config, books)
        run_steps = prefetched(
            all_steps(
                shards,
                epochs=epochs,
                epoch=epoch,
                start_row=rows_done,
                rows_per_step=rows_per_step,
                micro_rows=config.batch.micro_rows,
                rank=engine.rank,
                world_size=engine.world,
                seed=config.data.seed,
            )
        )
        closing.callback(run_steps.close)
        for epoch, begin, batches in () if stopping else run_steps:
            books.data_is_here()
            seed_step(config.run.seed, books.step, engine.rank)
            # One reduction says what the step holds on all ranks, whether one was asked to stop, and rank 0's clock.
            due = first and 0 < config.run.save_minutes * 60 <= time.monotonic() - saved
            held = counts(batches, len(shards.sources), per_conversation=config.sft.loss == "conversation")
            asked, due_now, learned, *tokens = engine.sum([stop.requested(), due, *held])
            lr = learning_rate(
                config.optim,
                rows_done=epoch * n_rows + begin,
                rows_per_step=rows_per_step,
                total_rows=epochs * n_rows,
            )
            result = engine.train_step(batches, lr=lr, global_tokens=int(learned), norm_limit=books.norm_limit())
            rows_done = batches[-1].rows_consumed
            books.enter(result, epoch=epoch, rows=(begin, rows_done), lr=lr, tokens=tokens)

            if (every := config.run.validate_every_tokens) and books.ledger.tokens // every > validated // every:
                look_at_held_out()
                validated = books.ledger.tokens
            stopping = bool(asked) or _enough(config, books)
            if stopping or due_now or (config.run.save_steps and books.step % config.run.save_steps == 0):
                save()
                saved = time.monotonic()
            if stopping:
                break

        # ---- the end
        code = 0
        if stopping:
            code = EXIT_STOPPED if asked else 0
            further = "the same command goes on from it" if asked else "it goes on with a greater run.stop_at_tokens"
            books.screen.say(f"Stopped after step {books.step:,} with a checkpoint; {further}.")
        else:
            save()
            look_at_held_out()
            books.check_closed()
            if finish is not None:
                finish(config, run, shards, engine, books)
        books.close("done" if not stopping else "stopped")
        engine.close()
        # After the ranks have parted: a kill-switch makes an error of it on rank 0 alone.
        if first and code == EXIT_STOPPED:
            code = mark_stopped(run, stop.received or "asked on another rank")
    return code


def _enough(config: RunConfig, books: Books) -> bool:
    return 0 < config.run.stop_at_tokens <= books.ledger.tokens


def _state(
    config: RunConfig, shards: Shards, engine: Engine, books: Books, *, epoch: int, rows_done: int
) -> TrainState:
    return TrainState(
        shards_fingerprint=shards_fingerprint(shards),
        seed=config.data.seed,
        epoch=epoch,
        rows_done=rows_done,
        step=books.step,
        rows_per_step=config.batch.rows,
        world=engine.world,
        zero_stage=config.parallel.zero_stage,
        engine=config.parallel.engine,
        config_sha256=config_digest(config),
        restricted=shards.restricted,
        tokens_by_source=dict(books.ledger.epochs[-1].tokens_by_source),
        config=deciding_keys(config),
        more=books.kept_by_checkpoint(),
    )


def _say(first: bool) -> Callable[[object], None]:  # noqa: FBT001
    return lambda sentence: print(sentence, file=sys.stderr, flush=True) if first else None  # noqa: T201


def _model_builder(config: RunConfig, shards: Shards) -> Callable[..., Any]:
    from train.model import build_model

    ids = shards.index["tokenizer"]
    return partial(
        build_model,
        config,
        vocabulary=ids["vocab_size"],
        bos_id=ids["bos_id"],
        eos_id=ids["eos_id"],
        pad_id=ids["pad_id"],
    )


def main(arguments: list[str] | None = None) -> int:
    """One rank of a run."""
    parser = argparse.ArgumentParser(prog="python -m train.pretrain", description="One rank of a pretraining run.")
    parser.add_argument("--config", required=True)
    parser.add_argument("--shards", required=True)
    # Not --run, which torch's launcher takes for a beginning of its own --run-path.
    parser.add_argument("--run-folder", required=True)
    parser.add_argument("--resume", default="auto")
    given = parser.parse_args(arguments)
    return guarded(lambda: _train(given))


def guarded(work: Callable[[], int]) -> int:
    """Run one rank's work; a fault that the user can mend becomes one sentence of the whole run."""
    try:
        return work()
    except FailedElsewhere as error:
        time.sleep(_PATIENCE)  # the rank that knows why speaks first: the launcher ends all when one is gone
        return error.exit_code
    except CorpusError as error:
        return report(error)
    except OSError as error:
        return report(
            BuildError(
                f"{error.strerror or error}.",
                where=str(error.filename or ""),
                why="What the run has saved is untouched.",
                fix="Make room or correct the folder, then give the same command again.",
            )
        )
    except RuntimeError as error:
        if lost_peers(error):
            return EXIT_LOST
        if type(error).__name__ != "OutOfMemoryError" and "DefaultCPUAllocator" not in str(error):
            raise
        return report(
            BuildError(
                f"memory ran out: {' '.join(str(error).split())[:200]}.",
                where="[batch] micro_rows",
                why="What the run has saved is untouched.",
                fix="Halve micro_rows (the rows of a step stay), set model.recompute = 'full' or a higher ZeRO stage; "
                "`medtrove train plan` says what fits.",
            )
        )


def _train(given: argparse.Namespace) -> int:
    from train.sentence import write_sentence
    from train.sft_answers import write_answers

    config = load_config(given.config)
    shards = as_tainted(open_shards(given.shards), config)
    if shards.restricted:
        os.umask(0o077)  # also of what third parties write, from the moment they open it
    return train(
        config,
        Path(given.run_folder),
        shards,
        build=_model_builder(config, shards),
        resume=given.resume,
        held_out=validation_of(shards),
        finish=write_answers if config.sft.template else write_sentence,
    )


if __name__ == "__main__":
    found = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Torch's launcher takes any other code than 0 for a crash and kills the other ranks; the file STOPPED tells.
    os._exit(0 if found == EXIT_STOPPED and "TORCHELASTIC_RUN_ID" in os.environ else found)
