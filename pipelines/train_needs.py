"""What training needs beside the base install, said before anything is started."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from manifests.errors import RecipeError
from train.config import RunConfig


def check_needs(config: RunConfig) -> None:
    """RecipeError naming the packages that are missing, and the one command that installs them."""
    wanted = ["torch", "transformers", *(["deepspeed"] if config.parallel.engine == "deepspeed" else [])]
    wanted += ["peft"] if config.lora.r else []
    check_installed(wanted)


def check_installed(wanted: Sequence[str]) -> None:
    """RecipeError naming those of these packages of the extra `train` that are missing."""
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        raise RecipeError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed.",
            why="A corpus is built without them; training needs the extra `train`.",
            fix="Run `make pretrain`, which installs it, or .venv/bin/pip install -e '.[train]'.",
        )
