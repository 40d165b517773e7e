"""The recipe's words about the mixture, checked together and handed to the mixing room."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from manifests.errors import RecipeError
from manifests.subsources import SEPARATOR, bucket_names
from mixing.stages import Stage, check_stages, total_shares
from mixing.weights import Mixture, Part

if TYPE_CHECKING:
    from pipelines.recipe import BucketsSection, MixtureSection, Recipe

TRAIN, VALIDATION = "train", "validation"


@dataclass(frozen=True, slots=True)
class SubSource:
    """A source of the mixture: a whole source of the recipe, or one of its score buckets."""

    name: str
    source: str
    part: str
    """Its documents among those of the source's blocks: `train`, or `train.2`, `train.unscored`."""
    weight: float


def source_parts(buckets: BucketsSection | None) -> list[str]:
    """Names of the training parts of a source's blocks."""
    if buckets is None:
        return [TRAIN]
    names = bucket_names("", buckets.edges, unscored=buckets.unscored is not None)
    return [f"{TRAIN}.{name.removeprefix(SEPARATOR)}" for name in names]


def subsources(recipe: Recipe) -> list[SubSource]:
    """Every sub-source in recipe order: the position is its number in the rows."""
    found = []
    for source, section in recipe.sources.items():
        buckets = section.buckets
        if buckets is None:
            found.append(SubSource(source, source, TRAIN, 1.0))
            continue
        names = bucket_names(source, buckets.edges, unscored=buckets.unscored is not None)
        weights = [*buckets.weights, *([] if buckets.unscored is None else [buckets.unscored])]
        for name, part, weight in zip(names, source_parts(buckets), weights, strict=True):
            found.append(SubSource(name, source, part, weight))
    return found


def stages_of(section: MixtureSection) -> list[Stage]:
    """The recipe's stages as the mixing room takes them."""
    return [Stage(stage.until, dict(stage.shares), anneal=stage.anneal) for stage in section.stages]


def stage_tables(recipe: Recipe) -> list[dict[str, Any]]:
    """The stages as a resolved recipe states them."""
    return [stage.model_dump(mode="json") for stage in recipe.mixture.stages]


def group_of(recipe: Recipe) -> list[str]:
    """The group of every sub-source, in their order; the source itself where there are no groups."""
    of = {source: name for name, group in recipe.mixture.groups.items() for source in group.sources}
    return [of.get(sub.source, sub.source) for sub in subsources(recipe)]


def validation_fractions(recipe: Recipe) -> dict[str, float]:
    """Sources with a held-out share of their own."""
    own = {source: section.validation_fraction for source, section in recipe.sources.items()}
    return {source: fraction for source, fraction in own.items() if fraction is not None}


def mixture_of(recipe: Recipe, *, whole_sources: bool = False) -> Mixture:
    """The recipe's mixture as the mixing room takes it; stages count as what they make of the whole.

    `whole_sources`: without score buckets, for what is told before any document has a score.
    """
    section, subs = recipe.mixture, subsources(recipe)
    if whole_sources:
        subs = [SubSource(source, source, TRAIN, 1.0) for source in recipe.sources]
    stages = stages_of(section)
    shares: dict[str, Any] = {name: group.share for name, group in section.groups.items()}
    if stages:
        # Twelve digits of a share: more than a corpus has tokens.
        shares = {name: float(f"{float(share):.12g}") for name, share in total_shares(stages).items()}
    total: Any = section.total_tokens
    return Mixture(
        parts=tuple(
            Part(
                name,
                tuple(sub.name for sub in subs if sub.source in group.sources),
                share=shares[name],
                tokens=group.tokens,
                epochs=group.epochs,
            )
            for name, group in section.groups.items()
        ),
        total_tokens=None if total == "largest" else total,
        max_epochs={source: use.max_epochs for source, use in recipe.sources.items()},
        weights={sub.name: sub.weight for sub in subs if sub.weight != 1.0},
        alpha=section.alpha,
    )


def told_mixture(recipe: Recipe) -> str:
    """What the groups get, in a line."""
    groups, stages = recipe.mixture.groups, recipe.mixture.stages
    if stages:
        return "; ".join(
            f"{'to' if stage.anneal else 'until'} {stage.until:g}: "
            + " : ".join(f"{name} {share:g}" for name, share in stage.shares.items())
            for stage in stages
        )
    given = {name: (group.share or group.tokens or group.epochs or 0) for name, group in groups.items()}
    first = next(iter(groups.values()))
    kind = "" if first.share else " tokens" if first.tokens else " epochs"
    return " : ".join(f"{name} {value:g}{kind}" for name, value in given.items())


def check_mixture(recipe: Recipe, where: str) -> None:
    """RecipeError for a mixture whose parts contradict each other."""
    mixture = recipe.mixture
    for source in recipe.sources:
        if SEPARATOR in source:
            raise RecipeError(
                f"the source {source!r} has {SEPARATOR!r} in its name.",
                where=where,
                why="It stands between a source and the number of a score bucket.",
                fix="Name it without.",
            )
    _check_groups(recipe, where)
    if mixture.groups and mixture.total_tokens == "natural":
        raise RecipeError(
            "[mixture] has groups, and total_tokens = 'natural', which gives no weights.",
            where=where,
            fix="Remove the groups, or give total_tokens as a number or 'largest'.",
        )
    if mixture.alpha is not None and (mixture.groups or mixture.total_tokens == "natural"):
        raise RecipeError(
            f"[mixture] alpha = {mixture.alpha:g} beside {'groups' if mixture.groups else 'natural'}.",
            where=where,
            why="It gives the shares of sources that are in no group.",
            fix="Remove alpha, or the groups.",
        )
    if mixture.stages:
        if not mixture.groups:
            raise RecipeError("[[mixture.stages]] without [mixture.groups].", where=where, fix="Put sources in groups.")
        check_stages(stages_of(mixture), list(mixture.groups))
    for source in recipe.sources:
        _check_buckets(recipe, source, where)


def _check_groups(recipe: Recipe, where: str) -> None:
    mixture = recipe.mixture
    grouped = [name for section in mixture.groups.values() for name in section.sources]
    twice = sorted({name for name in grouped if grouped.count(name) > 1})
    if twice:
        raise RecipeError(f"{twice[0]!r} is in two groups of [mixture].", where=where, fix="Leave it in one of them.")
    missing = [name for name in recipe.sources if mixture.groups and name not in grouped]
    if missing:
        raise RecipeError(
            f"the source {missing[0]!r} is in no group of [mixture].",
            where=where,
            why="It would be prepared and then silently left out of the shards.",
            fix="Put it into a group, or remove the source.",
        )
    kinds: dict[str, tuple[str, ...]] = {
        name: tuple(key for key in ("share", "tokens", "epochs") if getattr(group, key) is not None)
        for name, group in mixture.groups.items()
    }
    for name, given in kinds.items():
        first = next(iter(kinds.values()))
        if mixture.stages:
            wrong = bool(given)
            why, fix = "[[mixture.stages]] give the shares.", f"Remove {' and '.join(given)} there."
        else:
            wrong = len(given) != 1 or given != first
            why = "Shares, budgets and epochs do not add up with each other."
            fix = f"Give every group the same one of share, tokens and epochs; the first gives {first or 'none'}."
        if wrong:
            raise RecipeError(
                f"[mixture.groups.{name}] gives {' and '.join(given) or 'no weight'}.", where=where, why=why, fix=fix
            )


def _check_buckets(recipe: Recipe, source: str, where: str) -> None:
    buckets = recipe.sources[source].buckets
    if buckets is None:
        return
    place = f"{where} [sources.{source}.buckets]"
    if not all(map(math.isfinite, buckets.edges)) or any(a >= b for a, b in pairwise(buckets.edges)):
        raise RecipeError(f"the edges {_listed(buckets.edges)} do not rise.", where=place, fix="Write rising scores.")
    weights = buckets.weights
    if len(weights) != len(buckets.edges) + 1:
        raise RecipeError(
            f"{len(buckets.edges)} edges make {len(buckets.edges) + 1} buckets, and there are {len(weights)} weights.",
            where=place,
            fix="Give one weight more than edges, for the lowest scores first.",
        )
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        raise RecipeError(f"the weights are {_listed(weights)}.", where=place, fix="Give numbers of 0 and more.")
    rules = [rule.rule for rule in recipe.rules if not rule.sources or source in rule.sources]
    if buckets.score not in rules:
        raise RecipeError(
            f"{source} does not meet the rule {buckets.score!r}.",
            where=place,
            why="Without it no document has a score to be put into a bucket by.",
            fix=f'Add [[rules]] rule = "{buckets.score}" for {source}, or remove the buckets.',
        )


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
