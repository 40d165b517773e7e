"""Shares that change on the way: stages by progress, each constant or a linear change from the stage before.

Progress is the part of the corpus' tokens that is behind. What a part gets in all is the integral of its share, exact
in fractions; its `Curve` is the inverse of that integral from 0 to p. A constant stage is a straight piece of the
curve. A linear change is a parabola, followed by `ANNEAL_PIECES` straight pieces that touch it: inside a piece the
share is the mean of the shares at its ends, so that it is wrong by at most half of what it changes there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from manifests.errors import RecipeError
from manifests.windows import ANNEAL_PIECES
from mixing.schedule import Curve


@dataclass(frozen=True, slots=True)
class Stage:
    """The shares of all parts up to a progress."""

    until: float
    """Progress, 0 to 1, at which the stage ends; the last one ends at 1."""
    shares: Mapping[str, float]
    """Weights of all parts against each other; 0: none of it in this stage."""
    anneal: bool = False
    """True: from the shares of the stage before, linearly, to these at the end."""


def check_stages(stages: Sequence[Stage], parts: Sequence[str]) -> None:
    """RecipeError for stages that do not say, for every moment, the share of every part."""
    where = "[[mixture.stages]]"
    begin = 0.0
    for number, stage in enumerate(stages):
        if not begin < stage.until <= 1.0:
            raise RecipeError(
                f"stage {number + 1} ends at {stage.until:g}, and it begins at {begin:g}.",
                where=where,
                why="Stages follow each other, from 0 to 1 of the corpus.",
                fix="Write rising `until`, the last one 1.0.",
            )
        begin = stage.until
        missing = [name for name in parts if name not in stage.shares]
        unknown = [name for name in stage.shares if name not in parts]
        if missing or unknown:
            what = f"gives no share to {missing[0]!r}" if missing else f"names {unknown[0]!r}, which is no group"
            raise RecipeError(
                f"stage {number + 1} {what}.",
                where=where,
                why=f"Groups are {', '.join(parts)}.",
                fix="Give every group a share in every stage; 0 is one.",
            )
        if min(stage.shares.values()) < 0 or not 0 < sum(stage.shares.values()) < float("inf"):
            raise RecipeError(
                f"stage {number + 1} has the shares {', '.join(f'{v:g}' for v in stage.shares.values())}.",
                where=where,
                fix="Give numbers of 0 and more, not all of them 0.",
            )
    if stages[0].anneal:
        raise RecipeError(
            "the first stage anneals.", where=where, why="It has no stage before it to come from.", fix="Remove anneal."
        )
    if begin != 1.0:
        raise RecipeError(f"the last stage ends at {begin:g}.", where=where, fix="Write until = 1.0 there.")
    nothing = [name for name, share in total_shares(stages).items() if share == 0]
    if nothing:
        raise RecipeError(
            f"{nothing[0]!r} has no share in any stage.", where=where, fix="Remove the group with its sources."
        )


def total_shares(stages: Sequence[Stage]) -> dict[str, Fraction]:
    """What each part gets of the whole; the parts' sum is 1."""
    return {name: points[-1][1] for name, points in _integrals(stages, 1).items()}


def stage_curves(stages: Sequence[Stage]) -> dict[str, Curve]:
    """How each part's rows are spread."""
    return {name: _inverse(points) for name, points in _integrals(stages, ANNEAL_PIECES).items()}


def _exact(value: float) -> Fraction:
    # The decimal a person wrote.
    return Fraction(repr(value))


def _integrals(stages: Sequence[Stage], pieces: int) -> dict[str, list[tuple[Fraction, Fraction]]]:
    """(progress, integral of the share up to it) of every part, at the ends of stages and of annealing pieces."""
    names = list(stages[0].shares)
    points = {name: [(Fraction(0), Fraction(0))] for name in names}
    begin, before = Fraction(0), dict.fromkeys(names, Fraction(0))
    for stage in stages:
        end, total = _exact(stage.until), sum(_exact(share) for share in stage.shares.values())
        after = {name: _exact(stage.shares[name]) / total for name in names}
        steps = pieces if stage.anneal else 1
        for name in names:
            start = before[name] if stage.anneal else after[name]
            base = points[name][-1][1]
            for step in range(1, steps + 1):
                along = Fraction(step, steps)
                area = (start + (after[name] - start) * along / 2) * along * (end - begin)
                points[name].append((begin + along * (end - begin), base + area))
        begin, before = end, after
    return points


def _inverse(points: Sequence[tuple[Fraction, Fraction]]) -> Curve:
    total = points[-1][1]
    used = [float(area / total) for _, area in points]
    progress = [float(place) for place, _ in points]
    # Where a part rests, its curve jumps; at the ends there is nothing to jump from or to.
    first = max(i for i, part in enumerate(used) if part == 0.0)
    last = min(i for i, part in enumerate(used) if part == 1.0)
    kept = [i for i in range(first, last + 1) if not (first < i < last and used[i - 1] == used[i] == used[i + 1])]
    return Curve(tuple(used[i] for i in kept), tuple(progress[i] for i in kept))
