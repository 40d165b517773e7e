"""TensorBoard and Weights & Biases: the numbers of `metrics.jsonl`, and nothing else.

Neither ever gets text, samples, tables of samples, code or a configuration's paths. A run on restricted shards goes to
a remote tracker as numbers and source names only, as every run does; `refuse_samples` is the door for anything more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manifests.errors import RecipeError
from train import taint
from train.config import RunConfig


class Trackers:
    """Those the configuration asks for; rank 0 alone has them."""

    def __init__(self, config: RunConfig, run: Path, *, restricted: bool) -> None:
        self._restricted = restricted
        self._board: Any = None
        self._remote: Any = None
        if config.run.tensorboard:
            self._board = _board(run / "logs" / "tensorboard")
        if config.run.wandb_project:
            self._remote = _remote(config, run)

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Report numbers of a step; nested tables of numbers become `table/name`, all else is left out."""
        flat = flattened(values)
        if self._board is not None:
            for name, value in flat.items():
                self._board.add_scalar(name, value, step)
        if self._remote is not None:
            self._remote.log(flat, step=step)

    def samples(self, table: Any) -> None:
        """Refused: no text leaves the run's folder."""
        raise refusal(restricted=self._restricted)

    def close(self) -> None:
        if self._board is not None:
            self._board.close()
        if self._remote is not None:
            self._remote.finish()


def flattened(values: Mapping[str, Any]) -> dict[str, float]:
    """Numbers alone, by path."""
    found: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= {f"{name}/{inner}": number for inner, number in flattened(value).items()}
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = float(value)
    return found


def refusal(*, restricted: bool) -> RecipeError:
    """Why a table of samples goes to no tracker."""
    what, fix = "tables of samples are not sent to a tracker.", "Look at them in the run's folder."
    if restricted:
        return taint.refusal(what, fix=fix)
    return RecipeError(what, why="A model repeats what it has read, and a tracker is a third party.", fix=fix)


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise _missing("tensorboard", "run.tensorboard") from None
    return SummaryWriter(str(folder))


def _remote(config: RunConfig, run: Path) -> Any:
    try:
        import wandb
    except ImportError:
        raise _missing("wandb", "run.wandb_project") from None
    # By name and numbers alone: no code, no console (which shows the generated sentence), no host data.
    settings = wandb.Settings(console="off", disable_code=True, disable_git=True, x_disable_meta=True)
    return wandb.init(
        project=config.run.wandb_project, id=run.name, resume="allow", dir=str(run / "logs"), settings=settings
    )


def _missing(package: str, key: str) -> RecipeError:
    return RecipeError(
        f"{package} is not installed.",
        where=f"[run] {key.removeprefix('run.')}",
        why="It is an optional tracker; metrics.jsonl has the same numbers.",
        fix=f".venv/bin/pip install {package}, or leave {key} out.",
    )
