"""How much of each source: shares, budgets or epochs become passes over the documents, exact in tokens.

Unique tokens, epochs and effective tokens stand side by side, so that repetition is never mistaken for data. Nothing
is clipped in silence: a mixture that would repeat a source beyond its cap is refused, with the total that would work.
A score bucket is a source of its own here, with a weight of its own inside its part: where weights are 1 and 3, the
documents of the second bucket are repeated three times as often as those of the first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from manifests.errors import RecipeError
from manifests.subsources import parent

DEFAULT_MAX_EPOCHS = 4.0
"""Up to four passes are nearly as good as new data (Muennighoff et al. 2023, arXiv 2305.16264)."""

NATURAL: Literal["natural"] = "natural"


@dataclass(frozen=True, slots=True)
class Part:
    """One line of a mixture: a source, or a group of sources that share its weight by their natural sizes.

    `sources` names score buckets one by one.
    """

    name: str
    sources: tuple[str, ...]
    share: float | None = None
    """Weight against the other parts; 15, 1 and 4 mean 15:1:4."""
    tokens: int | None = None
    """Effective tokens."""
    epochs: float | None = None
    """Passes over every member, times the bucket's weight."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """What a recipe asks for. Every part says the same one of share, tokens and epochs."""

    parts: tuple[Part, ...] = ()
    """None: UniMax (equal shares, capped), or every source once if `total_tokens` is "natural"."""
    total_tokens: int | Literal["natural"] | None = None
    """Effective tokens of all sources; None: the most that no cap forbids."""
    max_epochs: Mapping[str, float] = field(default_factory=dict)
    """Cap of each source, which every bucket of it keeps; `DEFAULT_MAX_EPOCHS` where none is given."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of each score bucket; 1 where none is given, 0 for documents that are left out."""
    alpha: float | None = None
    """Without parts: shares as tokens^alpha (1 natural, 0 equal) in the place of UniMax."""

    def cap(self, source: str) -> Fraction:
        return _exact(self.max_epochs.get(parent(source), DEFAULT_MAX_EPOCHS))

    def weight(self, source: str) -> Fraction:
        return _exact(self.weights.get(source, 1))

    def weighed(self, source: str, unique: Mapping[str, int]) -> Fraction:
        """Tokens times weight: what decides a source's place in its part."""
        return self.weight(source) * unique[source]


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """What becomes of one source."""

    source: str
    part: str
    unique_documents: int
    unique_tokens: int
    target_share: float
    epochs: float
    """Effective tokens / unique tokens."""
    whole_passes: int
    fraction_tokens: int
    """Tokens of the last pass, over some of the documents; 0 if there is none."""
    effective_tokens: int
    max_epochs: float


@dataclass(frozen=True, slots=True)
class MixPlan:
    """The mixture, source by source in recipe order."""

    sources: tuple[SourcePlan, ...]
    total_tokens: int

    def __getitem__(self, source: str) -> SourcePlan:
        return next(plan for plan in self.sources if plan.source == source)


def plan(unique_tokens: Mapping[str, int], unique_documents: Mapping[str, int], mixture: Mixture) -> MixPlan:
    """Passes of every source of `unique_tokens` (validation taken out before); RecipeError if the mixture cannot be."""
    weighed = {parent(source): Fraction(0) for source in unique_tokens}
    for source in unique_tokens:
        weighed[parent(source)] += mixture.weighed(source, unique_tokens)
    empty = [source for source, tokens in weighed.items() if tokens <= 0]
    if empty:
        raise RecipeError(
            f"the source {empty[0]!r} has no tokens to mix.",
            where="[mixture]",
            why="No number of epochs makes a share of nothing, and no bucket of weight 0.",
            fix="See `medtrove show drops` for where its documents went, or remove it from the recipe.",
        )
    parts = _parts(unique_tokens, mixture)
    exact = _effective(parts, unique_tokens, mixture)
    if sum(exact.values()) < 1:
        raise RecipeError(
            "the mixture holds no token.",
            where="[mixture]",
            why="total_tokens, or what max_epochs allows of it, is below 1.",
            fix="Raise max_epochs of the smallest source, or give total_tokens.",
        )
    effective = _whole(exact)
    total = sum(effective.values())
    part_of = {source: part.name for part in parts for source in part.sources}
    _check_caps(exact, effective, unique_tokens, mixture, scalable=_kind(parts) == "share")
    sources = []
    for source, unique in unique_tokens.items():
        whole_passes, fraction_tokens = divmod(effective[source], unique) if unique else (0, 0)
        sources.append(
            SourcePlan(
                source=source,
                part=part_of[source],
                unique_documents=unique_documents[source],
                unique_tokens=unique,
                target_share=float(exact[source] / sum(exact.values())),
                epochs=effective[source] / unique if unique else 0.0,
                whole_passes=whole_passes,
                fraction_tokens=fraction_tokens,
                effective_tokens=effective[source],
                max_epochs=float(mixture.cap(source)),
            )
        )
    return MixPlan(tuple(sources), total)


def _exact(value: float) -> Fraction:
    # The decimal a person wrote: 0.1 is one tenth here, not the nearest binary fraction.
    return Fraction(repr(value))


def _kind(parts: Sequence[Part]) -> str:
    return next((key for key in ("share", "tokens", "epochs") if getattr(parts[0], key) is not None), "natural")


def _parts(unique: Mapping[str, int], mixture: Mixture) -> tuple[Part, ...]:
    if not mixture.parts:
        of: dict[str, list[str]] = {}
        for source in unique:
            of.setdefault(parent(source), []).append(source)
        shares = _tempered(of, unique, mixture) if mixture.total_tokens != NATURAL else {}
        return tuple(Part(name, tuple(members), share=shares.get(name)) for name, members in of.items())
    if mixture.total_tokens == NATURAL:
        raise RecipeError(
            "parts with weights, and total_tokens = 'natural', which gives no weights.",
            where="[mixture]",
            fix="Remove the parts, or give total_tokens as a number.",
        )
    for part in mixture.parts:
        given = [key for key in ("share", "tokens", "epochs") if getattr(part, key) is not None]
        if len(given) != 1 or given[0] != _kind(mixture.parts):
            raise RecipeError(
                f"{part.name!r} gives {' and '.join(given) or 'no weight'}, expected {_kind(mixture.parts)} alone.",
                where="[mixture]",
                why="Shares, budgets and epochs do not add up with each other.",
                fix="Give every part the same one of share, tokens and epochs.",
            )
        value = getattr(part, given[0])
        if not (math.isfinite(value) and value > 0):
            raise RecipeError(
                f"{part.name!r} has {given[0]} = {value}, expected a number above 0.",
                where="[mixture]",
                fix="Correct it, or remove the part together with its sources.",
            )
    named = [source for part in mixture.parts for source in part.sources]
    unknown = [source for source in named if source not in unique]
    missing = [source for source in unique if source not in named]
    twice = [source for source in named if named.count(source) > 1]
    for names, what in (
        (unknown, "is in the mixture, but the corpus has no such source"),
        (missing, "is in no part of the mixture and would be left out of the shards"),
        (twice, "is in the mixture twice"),
    ):
        if names:
            raise RecipeError(
                f"the source {names[0]!r} {what}.",
                where="[mixture]",
                why=f"Sources are {', '.join(unique)}.",
                fix="Correct [mixture] or [sources].",
            )
    return mixture.parts


def _effective(parts: Sequence[Part], unique: Mapping[str, int], mixture: Mixture) -> dict[str, Fraction]:
    """Exact effective tokens by source, in the order of `unique`."""
    total = mixture.total_tokens
    kind = _kind(parts)
    if total == NATURAL:
        return {source: mixture.weighed(source, unique) for source in unique}
    if kind == "natural":
        return _unimax(parts, unique, mixture, total)
    sizes = {part.name: sum(mixture.weighed(source, unique) for source in part.sources) for part in parts}
    if kind == "share":
        shares = sum(_exact(part.share) for part in parts if part.share is not None)
        # Epochs of a part, at weight 1, when the total is one token.
        rates = {part.name: _exact(part.share or 0) / shares / sizes[part.name] for part in parts}
        if total is None:
            total = _largest(parts, rates, unique, mixture)
        epochs = {name: rate * total for name, rate in rates.items()}
    elif kind == "tokens":
        epochs = {part.name: Fraction(part.tokens or 0) / sizes[part.name] for part in parts}
    else:
        epochs = {part.name: _exact(part.epochs or 0) for part in parts}
    of_source = {source: epochs[part.name] for part in parts for source in part.sources}
    result = {source: of_source[source] * mixture.weighed(source, unique) for source in unique}
    if kind != "share" and total is not None and round(sum(result.values())) != total:
        raise RecipeError(
            f"{kind} of all parts make {round(sum(result.values())):,} tokens, and total_tokens says {total:,}.",
            where="[mixture]",
            why="Both cannot hold.",
            fix="Remove total_tokens, or give shares instead.",
        )
    return result


def _largest(parts: Sequence[Part], rates: Mapping[str, Fraction], unique: Mapping[str, int], mixture: Mixture) -> int:
    """The most tokens, of all sources together, that keep every source within its cap."""
    return math.floor(
        min(
            mixture.cap(source) / (rates[part.name] * mixture.weight(source))
            for part in parts
            for source in part.sources
            if mixture.weighed(source, unique)
        )
    )


def _tempered(of: Mapping[str, Sequence[str]], unique: Mapping[str, int], mixture: Mixture) -> dict[str, float]:
    """Shares as tokens^alpha; twelve digits, so that every machine's power gives the same."""
    if mixture.alpha is None:
        return {}
    sizes = {name: float(sum(mixture.weighed(source, unique) for source in members)) for name, members in of.items()}
    return {name: float(f"{size**mixture.alpha:.12g}") for name, size in sizes.items()}


def _unimax(
    parts: Sequence[Part], unique: Mapping[str, int], mixture: Mixture, total: int | None
) -> dict[str, Fraction]:
    """Equal budgets; what a capped source cannot take goes to the others (Chung et al. 2023, arXiv 2304.09151)."""
    sizes = {part.name: sum(mixture.weighed(source, unique) for source in part.sources) for part in parts}
    # The bucket that is repeated most often meets the cap first.
    heaviest = {part.name: max(mixture.weight(source) for source in part.sources if unique[source]) for part in parts}
    room = {part.name: mixture.cap(part.name) / heaviest[part.name] * sizes[part.name] for part in parts}
    left = sum(room.values(), Fraction(0))
    if total is not None:
        if math.ceil(left) < total:
            raise _beyond(total, math.floor(left), "all sources together at their max_epochs")
        left = min(Fraction(total), left)
    budget: dict[str, Fraction] = {}
    smallest_first = sorted(room, key=lambda name: (room[name], name))
    for position, name in enumerate(smallest_first):
        budget[name] = min(room[name], left / (len(smallest_first) - position))
        left -= budget[name]
    of = {source: part.name for part in parts for source in part.sources}
    return {source: budget[of[source]] * mixture.weighed(source, unique) / sizes[of[source]] for source in unique}


def _whole(exact: Mapping[str, Fraction]) -> dict[str, int]:
    """Whole tokens with the same sum, by largest remainder; ties in the order given."""
    floors = {source: math.floor(value) for source, value in exact.items()}
    spare = round(sum(exact.values())) - sum(floors.values())
    by_remainder = sorted(exact, key=lambda source: floors[source] - exact[source])
    return {source: floors[source] + (source in by_remainder[:spare]) for source in exact}


def _check_caps(
    exact: Mapping[str, Fraction],
    effective: Mapping[str, int],
    unique: Mapping[str, int],
    mixture: Mixture,
    *,
    scalable: bool,
) -> None:
    over = {
        source: tokens - math.ceil(mixture.cap(source) * unique[source])
        for source, tokens in effective.items()
        if tokens > math.ceil(mixture.cap(source) * unique[source])
    }
    if not over:
        return
    # The source whose cap allows the smallest total decides.
    source = min(over, key=lambda name: (mixture.cap(name) * unique[name] / exact[name], name))
    possible = math.floor(sum(exact.values()) * mixture.cap(source) * unique[source] / exact[source])
    epochs, cap = effective[source] / unique[source], float(mixture.cap(source))
    others = f" (also {', '.join(sorted(name for name in over if name != source))})" if len(over) > 1 else ""
    raise RecipeError(
        f"the source {source!r} would be repeated {epochs:.4g} times, and its max_epochs is {cap:g}{others}.",
        where="[mixture]",
        why=f"It is {over[source]:,} tokens short: {unique[source]:,} unique tokens for {effective[source]:,} wanted.",
        fix=f"Set total_tokens = {possible} or less, give it a smaller share, or raise [sources.{source}] max_epochs."
        if scalable
        else f"Ask for fewer of its tokens, or raise [sources.{source}] max_epochs.",
    )


def _beyond(total: int, possible: int, what: str) -> RecipeError:
    return RecipeError(
        f"total_tokens = {total:,} is {total - possible:,} tokens more than {what} give.",
        where="[mixture]",
        why="Repetition beyond a cap is never made in silence.",
        fix=f"Set total_tokens = {possible} or less, or raise max_epochs.",
    )
