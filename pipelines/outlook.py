"""What a recipe's mixture will be, by expectation: shares, epochs, effective tokens and what they miss, by source.

The same planner that weighs a finished corpus weighs the expected one, so a mixture that cannot be is refused before
anything is downloaded, with the shortfall and as an expectation. A source of unknown size takes part with room for
anything: what does not depend on it is told, the rest is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from manifests.errors import RecipeError
from mixing.weights import MixPlan, Mixture, Part, plan
from pipelines.costs import Costs, Pace, costs_of, pace_of
from pipelines.expected import COUNTED, Expectation, expectation
from pipelines.mixture_recipe import mixture_of
from pipelines.plan import Plan

BOUNDLESS = 10**17
"""Tokens that stand for a source of unknown size: more than there is text."""


@dataclass(frozen=True, slots=True)
class SourceOutlook:
    """One source of the expected mixture. None: unknown."""

    source: str
    group: str
    documents: int | None
    unique_tokens: int | None
    """For training, held-out documents taken off."""
    held_out: float
    """Share of its units that is held out."""
    target_share: float | None
    epochs: float | None
    max_epochs: float
    effective_tokens: int | None
    error_tokens: int | None
    """Effective tokens less the exact target."""
    at_most: bool
    """True: unique tokens are an upper bound, so epochs are a lower one."""
    basis: str
    expected_from: str


@dataclass(frozen=True, slots=True)
class GroupOutlook:
    """One group of the expected mixture. None: unknown."""

    group: str
    unique_tokens: int | None
    target_share: float | None
    epochs: float | None
    effective_tokens: int | None
    at_most: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """The whole expectation of a recipe."""

    sources: tuple[SourceOutlook, ...]
    groups: tuple[GroupOutlook, ...]
    total_tokens: int | None
    total_at_most: bool
    """True: a source of unknown size may make it smaller."""
    row_tokens: int
    shortfall: str
    """Why the mixture cannot be, as far as expected figures tell; empty if nothing says so."""
    costs: Costs
    pace: Pace | None
    """None: no publisher is asked page by page."""

    @property
    def unknown(self) -> list[str]:
        """Sources nobody has counted."""
        return [row.source for row in self.sources if row.unique_tokens is None]


def outlook(of: Plan) -> Outlook:
    """What `of` will become, as far as anybody says."""
    found = {source: expectation(of, source) for source in of.recipe.sources}
    unique = {source: _training(of, source, one) for source, one in found.items()}
    mixture = mixture_of(of.recipe, whole_sources=True)
    planned, shortfall = _planned(unique, found, mixture)
    # Without weights every size tells on every share.
    together = Part("", tuple(found))
    group_of = {source: part for part in mixture.parts for source in part.sources}
    rows = tuple(
        _row(of, source, one, unique, planned, group_of.get(source, together)) for source, one in found.items()
    )
    total = planned.total_tokens if planned else None
    if total is not None and total >= BOUNDLESS:
        total = None
    return Outlook(
        sources=rows,
        groups=_groups(mixture.parts, rows, planned, unique) if total is not None else (),
        total_tokens=total,
        total_at_most=not isinstance(mixture.total_tokens, int)
        and (None in unique.values() or any(row.at_most for row in rows)),
        row_tokens=of.recipe.mixture.sequence_length + 1,
        shortfall=shortfall,
        costs=costs_of({source: one.tokens for source, one in found.items()}, total),
        pace=pace_of(of, {source: one.documents for source, one in found.items()}),
    )


def check_outlook(found: Outlook) -> None:
    """RecipeError if the expected mixture cannot be."""
    if found.shortfall:
        raise RecipeError(
            f"by expectation, {found.shortfall}",
            where="[mixture]",
            why="Expected figures are the cards', before rules and deduplication take their part: it will not be more.",
            fix="Change the recipe as it says; the build itself judges by what it counts.",
        )


def held_out(of: Plan, source: str) -> float:
    """Share of the source's units that the recipe holds out."""
    own = of.recipe.sources[source].validation_fraction
    return of.recipe.mixture.validation_fraction if own is None else own


def _training(of: Plan, source: str, expected: Expectation) -> int | None:
    if expected.basis == COUNTED:
        return expected.tokens
    return None if expected.tokens is None else max(1, round(expected.tokens * (1 - held_out(of, source))))


def _planned(
    unique: Mapping[str, int | None], found: Mapping[str, Expectation], mixture: Mixture
) -> tuple[MixPlan | None, str]:
    sizes = {source: BOUNDLESS if tokens is None else tokens for source, tokens in unique.items()}
    documents = {source: one.documents or 0 for source, one in found.items()}
    try:
        return plan(sizes, documents, mixture), ""
    except RecipeError as error:
        # The size that stands for a source of unknown size is no figure to tell.
        why = "Nobody has counted its tokens." if f"{BOUNDLESS:,}" in error.why else error.why
        shortfall = f"{error.what} {why} {error.fix}"
    # Told all the same: what it would take.
    free = Mixture(mixture.parts, mixture.total_tokens, dict.fromkeys(unique, 1e12))
    try:
        return plan(sizes, documents, free), shortfall
    except RecipeError:
        return None, shortfall


def _row(
    of: Plan, source: str, expected: Expectation, unique: Mapping[str, int | None], planned: MixPlan | None, group: Part
) -> SourceOutlook:
    here = unique[source]
    row = SourceOutlook(
        source=source,
        group=group.name,
        documents=expected.documents,
        unique_tokens=here,
        held_out=held_out(of, source),
        target_share=None,
        epochs=None,
        max_epochs=of.recipe.sources[source].max_epochs,
        effective_tokens=None,
        error_tokens=None,
        at_most=expected.at_most,
        basis=expected.basis,
        expected_from=expected.source,
    )
    # Inside a group natural sizes and buckets decide, so one unknown member leaves the share of every other unknown.
    spread = [of.recipe.sources[name].buckets for name in group.sources]
    if planned is None or here is None or None in [unique[name] for name in group.sources] or any(spread):
        return row
    mine = planned[source]
    error = mine.effective_tokens - round(mine.target_share * planned.total_tokens)
    return replace(
        row,
        target_share=mine.target_share,
        epochs=mine.epochs,
        effective_tokens=mine.effective_tokens,
        error_tokens=error,
    )


def _groups(
    parts: Sequence[Part], rows: Sequence[SourceOutlook], planned: MixPlan | None, unique: Mapping[str, int | None]
) -> tuple[GroupOutlook, ...]:
    found = []
    for part in parts:
        tokens = sum(tokens for name in part.sources if (tokens := unique[name]) is not None)
        complete = None not in [unique[name] for name in part.sources]
        effective = sum(planned[name].effective_tokens for name in part.sources) if planned else None
        found.append(
            GroupOutlook(
                group=part.name,
                unique_tokens=tokens if complete else None,
                # A group's share is the recipe's, whatever its members hold.
                target_share=effective / planned.total_tokens if planned and effective is not None else None,
                epochs=effective / tokens if complete and effective is not None else None,
                effective_tokens=effective,
                at_most=any(row.at_most for row in rows if row.source in part.sources),
            )
        )
    return tuple(found)
