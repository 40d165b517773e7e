"""How much of a source a recipe may expect before anything is downloaded: the card's figure, or one that it allows.

Never a guess: a figure comes from the card with who says so, a part of a source has a figure only where the card
states one or the option itself gives it (a fraction, a budget, a number of items), and otherwise it is unknown, with
the reason. What rules and deduplication will take is stated by nobody, so no figure is lowered for it. A source whose
tokens this output folder has counted is told as counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from manifests.cards import Card, Expected
from pipelines.mixture_recipe import VALIDATION
from pipelines.resolved import NOT_IDENTITY
from pipelines.stage import stage_is_done
from scrapers.options import COMMON, OF_READING

if TYPE_CHECKING:
    from pipelines.plan import Plan

CUTOFF = "source.published_until"
NO_CUT = frozenset({*NOT_IDENTITY, *COMMON, *OF_READING, "ids_from", "maxlag", "revision", "seed", "text", "fetch"})
"""Options that do not change how much a source holds."""
COUNTS = ("limit", "max_articles", "max_records")
"""Options that say how many items are taken at most."""
SAMPLE = "sample"
COUNTED = "counted"
"""Basis of figures that this output folder holds: documents and tokens for training, held-out ones apart."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What one source is expected to hold, held-out documents included unless it is `COUNTED`."""

    documents: int | None
    """None: nobody says."""
    tokens: int | None
    basis: str
    """`counted` here, or `published`, `measured`, `estimated` as the card says; empty where unknown."""
    source: str
    """What says so; where the figure is unknown, why."""
    at_most: bool = False
    """True: an upper bound."""


def expectation(plan: Plan, source: str) -> Expectation:
    """What `source` holds for this recipe."""
    counted = _counted(plan, source)
    if counted is not None:
        return counted
    if SAMPLE in plan.recipe.routes.values():
        return _unknown("[routes] leads to the sample world, of which no card speaks")
    use, card = plan.recipe.sources[source], plan.cards[source]
    asked: dict[str, Any] = {name: value for name, value in use.options.items() if name not in NO_CUT}
    if use.loader and use.loader != card.loader:
        asked["loader"] = use.loader
    return _expected(card, asked, _cutoff(plan, source))


def _counted(plan: Plan, source: str) -> Expectation | None:
    stage = plan.tokenize(source)
    if not stage.fingerprint or not stage_is_done(plan.folder(stage)):
        return None
    facts = plan.folder(stage).read_json("stage.json")["facts"]
    parts = [part for fact in facts for name, part in fact["parts"].items() if name != VALIDATION]
    documents, tokens = (sum(part[what] for part in parts) for what in ("documents", "tokens"))
    return Expectation(documents, tokens, COUNTED, f"{stage.path}, after rules and deduplication")


def _cutoff(plan: Plan, source: str) -> str:
    found = [str(use.parameters.get("until", "")) for use in plan.rules(source) if use.rule == CUTOFF]
    return min(found, default="")


def _expected(card: Card, asked: Mapping[str, Any], cutoff: str) -> Expectation:
    part, left = _part(card, asked, cutoff)
    found = Expectation(
        part.documents or card.expected_documents,
        part.tokens or card.expected_tokens,
        part.basis or card.expected_basis,
        part.source or card.expected_from,
        at_most=part.at_most,
    )
    if part.tokens and not part.documents:
        found = replace(found, documents=None)
    found = _sized(card, found, left)
    strange = sorted(name for name in left if name not in _understood(card, asked))
    if strange and not asked.get("token_budget"):
        return _unknown(f"the option {strange[0]!r} cuts it, and its card states no figure for that")
    if found.tokens is None and found.documents is None:
        return _unknown("its card states no figure")
    if cutoff and part.published_until != cutoff and not ("" < card.expected_until <= cutoff):
        what = f"{found.source}; published up to {cutoff} is less, and nobody says how much"
        found = replace(found, at_most=True, source=what)
    return found


def _part(card: Card, asked: Mapping[str, Any], cutoff: str) -> tuple[Expected, dict[str, Any]]:
    """The card's figure that fits best, and the options that it does not speak of."""
    fits = [
        one
        for one in card.expected_when
        if one.options.items() <= asked.items() and one.published_until in ("", cutoff)
    ]
    best = max(fits, key=lambda one: (len(one.options), bool(one.published_until)), default=Expected())
    # Options under which a figure holds unchanged add up: none of them cuts anything.
    neutral = {name for one in fits if not one.documents and not one.tokens for name in one.options}
    return best, {name: value for name, value in asked.items() if name not in {*best.options, *neutral}}


def _understood(card: Card, asked: Mapping[str, Any]) -> set[str]:
    known = {"keep_fraction", "token_budget", "tokens_per_file", "ids", *card.expected_per}
    known.update(name for name in COUNTS)
    # A search or another loader takes a choice of the source: how many at most is all there is to know.
    if any(asked.get(name) for name in COUNTS):
        known.update(("loader", "query"))
    return known


def _sized(card: Card, found: Expectation, left: Mapping[str, Any]) -> Expectation:
    """`found` under options that say themselves how much they take."""
    mean = card.expected_tokens / card.expected_documents if card.expected_tokens and card.expected_documents else None
    if "loader" in left:
        # Another door to the same publisher: the card's totals are not its own, the mean length of a document is.
        found = replace(found, documents=None, tokens=None)
    fraction = float(left.get("keep_fraction", 1.0))
    if fraction < 1.0:
        found = _times(found, fraction, f"{found.source}; keep_fraction = {fraction:g}")
    for name, value in left.items():
        most = 0
        if name in COUNTS:
            most = int(value)
        elif name in card.expected_per:
            most = int(value) * card.expected_per[name]
        elif name == "ids":
            most = len(value)
        if most and (found.documents is None or most < found.documents):
            tokens = round(most * mean) if mean else None
            what = f"{name} = {value if name != 'ids' else most}"
            if mean:
                what += f" x {mean:,.0f} tokens a document, the mean of: {card.expected_from}"
            found = Expectation(most, tokens, "estimated", what, at_most=True)
    budget = int(left.get("token_budget", 0))
    if budget and (found.tokens is None or budget < found.tokens):
        # What another option leaves of the source may be less than the budget.
        at_most = bool(left.keys() - {"token_budget", "tokens_per_file"})
        found = Expectation(None, budget, "estimated", "token_budget, taken at 4 characters a token", at_most)
    return found


def _times(found: Expectation, factor: float, source: str) -> Expectation:
    documents = round(found.documents * factor) if found.documents else None
    tokens = round(found.tokens * factor) if found.tokens else None
    return replace(found, documents=documents, tokens=tokens, source=source)


def _unknown(why: str) -> Expectation:
    return Expectation(None, None, "", why)
