"""What only a person can give before a recipe can run: files, folders, permissions, an address."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from manifests.errors import RecipeError
from pipelines.tokenizer_check import check_tokenizer

if TYPE_CHECKING:
    from pipelines.plan import Plan


CONTACT = "MEDTROVE_CONTACT"
"""Environment variable for the address of a recipe that gives none, as the shipped ones do."""


def contact(plan: Plan) -> str:
    """The address that publishers see; empty if nobody gave one."""
    return plan.recipe.network.contact or os.environ.get(CONTACT, "").strip()


def needs(plan: Plan) -> list[str]:
    """What a person must provide before this recipe can run, one sentence each."""
    found = []
    live = "*" not in plan.recipe.routes
    if not plan.tokenizer_digest():
        found.append(
            f"[tokenizer] file: {plan.recipe.tokenizer.file} is not there; put the model's tokenizer.json there."
        )
    elif fault := _tokenizer_fault(plan):
        found.append(f"[tokenizer] {fault}")
    for source in plan.recipe.sources:
        if plan.digest(source):
            continue
        path = plan.recipe.sources[source].options.get("path")
        if isinstance(path, str) and not Path(path).exists():
            found.append(f"[sources.{source}] options.path: {path} is not there; {plan.cards[source].title}.")
    found += [
        f"[sources.{source}] permission: no open licence of {card.publisher} covers this use ({card.terms_url}); "
        f"ask {card.contact}, then write the date or number of the permission here."
        for source, card in plan.cards.items()
        if card.needs_permission and not plan.recipe.sources[source].permission
    ]
    fetched = [
        source
        for source, use in plan.recipe.sources.items()
        if not plan.digest(source) and not {"path", "paths"} & set(use.options)
    ]
    if live and fetched and not contact(plan):
        found.append(
            f"[network] contact: give an address that reaches you, here or as {CONTACT} in the environment; publishers "
            "see it in the User-Agent."
        )
    return found


def _tokenizer_fault(plan: Plan) -> str:
    """What is wrong with the tokenizer's file; empty if nothing is."""
    asked = plan.recipe.tokenizer
    try:
        check_tokenizer(plan.tokenizer_path, asked.special, restricted=plan.restricted, bos=asked.bos, eos=asked.eos)
    except RecipeError as error:
        return str(error)
    return ""
