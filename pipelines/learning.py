"""Which sources learn their boilerplate: the declared count-only pass that reads a source once more for its lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filters.boilerplate import LEARN, learning
from filters.line_counts import Thresholds
from manifests.boilerplate import RULE
from manifests.errors import RecipeError

if TYPE_CHECKING:
    from pipelines.rule_use import RuleUse


@dataclass(frozen=True)
class Learning:
    """What the pass of one source does."""

    before: tuple[RuleUse, ...]
    """Rules that come before the one that learns: lines are counted in the text as that one will meet it."""
    rule: RuleUse
    thresholds: Thresholds


def learning_of(uses: Sequence[RuleUse], source: str) -> Learning | None:
    """What the source learns with its rules `uses`; None if none of them learns."""
    places = [(number, use, learning(use.parameters)) for number, use in enumerate(uses) if use.rule == RULE]
    learners = [Learning(tuple(uses[:number]), use, known) for number, use, known in places if known is not None]
    if len(learners) > 1:
        raise RecipeError(
            f'the source {source} meets {RULE} with lines = "{LEARN}" {len(learners)} times.',
            where=f"[[rules]] {RULE}",
            why="Lines are learnt from the text as the rule meets it, in one pass over the source.",
            fix="Leave one of them.",
        )
    return learners[0] if learners else None
