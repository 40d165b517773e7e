"""DeepSpeed's files in a checkpoint: written so that a failure hangs nobody, read whatever the number of ranks.

DeepSpeed reads ZeRO's files on the number of ranks that wrote them, and only there; for another number they are
converted first (`train.universal`). Stage 0 keeps everything on every rank and needs none of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from manifests.errors import BuildError

TAG = "deepspeed"
"""Folder of DeepSpeed's files inside a checkpoint's `engine/`."""


def save_files(engine: Any, folder: Path, *, with_frozen: bool) -> None:
    """Write the files of this rank of a DeepSpeed engine into `folder`; collective.

    `with_frozen`: weights that are not trained too, which a run on adapters has in its base.
    """
    from deepspeed.checkpoint.constants import (
        UNIVERSAL_CHECKPOINT_INFO,
        UNIVERSAL_CHECKPOINT_VERSION_KEY,
        UNIVERSAL_CHECKPOINT_VERSION_VALUE,
    )

    # Without it files of stage 1 and 2 cannot be converted for another number of ranks.
    universal = {UNIVERSAL_CHECKPOINT_INFO: {UNIVERSAL_CHECKPOINT_VERSION_KEY: UNIVERSAL_CHECKPOINT_VERSION_VALUE}}
    with _failures_after_collectives(engine):
        # Without its `latest`, a plain truncating write: which checkpoint is the newest, latest.json says.
        engine.save_checkpoint(
            str(folder), tag=TAG, client_state=universal, save_latest=False, exclude_frozen_parameters=not with_frozen
        )


def load_files(engine: Any, adam: Any, folder: Path, *, strict: bool, universal: bool) -> None:
    """Read what `save_files` wrote, or its conversion; collective. `adam` is the optimizer the engine was made with."""
    # Stage 3 gives every group the settings of the first when it reads a conversion: norms would decay from then on.
    # They are the configuration's in any case, not the file's.
    settings = [{key: value for key, value in group.items() if key != "params"} for group in adam.param_groups]
    # On while loading alone: with it stage 3 has lost files when saving (DeepSpeed#7546).
    engine._config.load_universal_checkpoint = universal
    try:
        path, _ = engine.load_checkpoint(
            str(folder), tag=TAG, load_module_strict=strict, load_lr_scheduler_states=False
        )
    finally:
        engine._config.load_universal_checkpoint = False
    if path is None:
        raise BuildError("there are no files of DeepSpeed.", where=str(folder))
    for group, before in zip(adam.param_groups, settings, strict=True):
        group.update(before)
    _own_steps(adam)


def _own_steps(adam: Any) -> None:
    """A count of steps for each weight, where a fused AdamW wants it.

    From a conversion stage 3 gives all weights one and the same tensor: each of them counts it up, and the correction
    of the moments' bias runs ahead. It comes on the CPU, and a fused AdamW counts beside its weights.
    """
    import torch

    fused = any(group.get("fused") for group in adam.param_groups)
    for weight, state in adam.state.items():
        if torch.is_tensor(state.get("step")):
            state["step"] = state["step"].to(weight.device if fused else "cpu", torch.float32, copy=True)


@contextlib.contextmanager
def _failures_after_collectives(engine: Any) -> Iterator[None]:
    """Hold back the failure of a write (a full disk) until DeepSpeed's barriers are passed.

    Raised at once it would leave the other ranks in a barrier that this one never reaches, until the group's time is
    out.
    """
    writer, failures = engine.checkpoint_engine, []
    write = writer.save

    def save(*arguments: Any, **named: Any) -> None:
        try:
            write(*arguments, **named)
        except Exception as error:  # noqa: BLE001  # raised below, where no rank waits any more
            failures.append(error)

    writer.save = save
    # Two scripts that rank 0 would copy beside the files, outside of its writer: they fail on a full disk as well.
    engine._copy_recovery_script = lambda folder: None
    try:
        yield
    finally:
        del writer.save, engine._copy_recovery_script
    if failures:
        raise failures[0]
