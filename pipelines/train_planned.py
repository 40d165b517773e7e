"""The plan that a run shows before it starts, and what the run takes from it."""

from __future__ import annotations

from pathlib import Path

from manifests.errors import CheckFailed, RecipeError
from pipelines.command_line import screen
from train.config import RunConfig
from train.fitting import changed
from train.plan import Plan
from train.plan_screen import plan_of, plan_screen, tokens_of_shards


def planned(config: RunConfig, shards: Path, *, ranks: int, told: bool) -> tuple[Plan | None, RunConfig]:
    """The plan, and the configuration with the micro-batch it chose; None where a model's shape is not known.

    `ranks` on this machine instead of `[cluster]`, if not 0. CheckFailed where the GPU named cannot hold the run.
    """
    here = changed(config, cluster={"nodes": 1, "ranks_per_node": ranks}) if ranks else config
    try:
        plan = plan_of(here, tokens_of_shards(shards))
    except RecipeError as error:
        if told:
            screen().print(f"No plan: {error}", highlight=False, markup=False)
        return None, config
    if told:
        screen().print(plan_screen(plan), highlight=False)
    if not plan.fits:
        raise CheckFailed(
            f"{plan.memory.total / 2**30:.1f} GiB by GPU do not fit {plan.gpu}.",
            where=config.name,
            why="The run would end in its first step.",
            fix=f"Any of these would: {'; '.join(plan.nearest) or 'more or larger GPUs'}. "
            "To try all the same: --set cluster.gpu=''.",
        )
    batch = {"micro_rows": plan.micro_rows, "accumulation": plan.accumulation}
    smaller = plan.micro_rows != config.batch.micro_rows
    return plan, changed(config, batch=batch) if smaller else config
