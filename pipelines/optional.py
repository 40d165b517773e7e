"""Sources that a recipe takes if it may: left out, and said so, while what only a person can give is missing."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

from manifests.cards import Card
from manifests.errors import RecipeError
from pipelines.recipe import MixtureSection, Recipe, RuleSection

NO_PERMISSION = "no open licence covers this use; write the publisher's `permission` (date or number) to take it in"


def without_optional(recipe: Recipe, cards: Mapping[str, Card]) -> tuple[Recipe, dict[str, str]]:
    """`recipe` without the optional sources that cannot be had now, and why each is not in it.

    The recipe that runs, its fingerprint and its manifest are those of the sources that are left.
    """
    left_out = {source: why for source in recipe.sources if (why := _missing(recipe, source, cards[source]))}
    if not left_out:
        return recipe, {}
    sources = {name: use for name, use in recipe.sources.items() if name not in left_out}
    if not sources:
        raise RecipeError(
            "every source of it is optional and none can be had.",
            where=recipe.name,
            why="; ".join(f"{source}: {why}" for source, why in left_out.items()),
            fix="Give what one of them needs.",
        )
    priority = [source for source in recipe.dedup.priority if source in sources]
    alarms = {source: alarm for source, alarm in recipe.alarms.sources.items() if source in sources}
    update = {
        "sources": sources,
        "rules": rules_of(recipe, sources),
        "dedup": recipe.dedup.model_copy(update={"priority": priority}),
        "alarms": recipe.alarms.model_copy(update={"sources": alarms}),
        "mixture": _mixture_of(recipe, sources),
    }
    return recipe.model_copy(update=update), left_out


def rules_of(recipe: Recipe, sources: Container[str]) -> list[RuleSection]:
    """The rules for `sources`; one for other sources alone leaves, because no source would mean all."""
    kept = [(rule, [source for source in rule.sources if source in sources]) for rule in recipe.rules]
    return [rule.model_copy(update={"sources": names}) for rule, names in kept if names or not rule.sources]


def _missing(recipe: Recipe, source: str, card: Card) -> str:
    use = recipe.sources[source]
    if not use.optional:
        return ""
    if card.needs_permission and not use.permission:
        return NO_PERMISSION
    path = use.options.get("path")
    if isinstance(path, str) and path and not Path(path).exists():
        return f"{path} is not there"
    return ""


def _mixture_of(recipe: Recipe, sources: Container[str]) -> MixtureSection:
    groups = {}
    for name, group in recipe.mixture.groups.items():
        members = [source for source in group.sources if source in sources]
        if not members:
            raise RecipeError(
                f"nothing is left of the group {name!r}: its sources are optional and none can be had.",
                where=recipe.name,
                why="Its share would silently go to the others.",
                fix="Give what one of its sources needs, or remove the group.",
            )
        groups[name] = group.model_copy(update={"sources": members})
    return recipe.mixture.model_copy(update={"groups": groups})
