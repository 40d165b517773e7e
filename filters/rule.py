"""A rule: a function of one document that keeps it, drops it with a reason, or edits its text.

A rule sees one document and nothing else; the same document always gets the same verdict. Every value a rule
compares with a threshold is reported as a measure, kept or dropped, so that "what would another threshold do"
has an answer. Rules are built by name (`build`) in each worker, so they may hold models and compiled patterns.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from manifests.document import Document
from manifests.errors import RecipeError
from manifests.reasons import reason as known_reason


@dataclass(frozen=True, slots=True)
class Keep:
    """The document stays as it is."""

    measures: Mapping[str, float] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Document fields that the rule found out, such as `lang` or `score`."""
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drop:
    """The document leaves, for a reason of the closed vocabulary."""

    reason: str
    value: float | None = None
    threshold: float | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known_reason(self.reason)


@dataclass(frozen=True, slots=True)
class Edit:
    """The document stays with another text; `counts` says how often each edit was made."""

    text: str
    counts: Mapping[str, int] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)


Verdict = Keep | Drop | Edit


class Rule(Protocol):
    """Anything that can be called with a document and gives a verdict."""

    def __call__(self, document: Document, /) -> Verdict: ...


RuleFactory = Callable[..., Rule]

RULES: dict[str, str] = {
    "source.status": "filters.status:status_rule",
    "source.published_until": "filters.published:published_rule",
    "licence.allowed": "filters.status:licence_rule",
    "clean.text": "filters.clean:clean_rule",
    "clean.boilerplate": "filters.boilerplate:boilerplate_rule",
    "language.allowed": "filters.language:language_rule",
    "quality.words": "filters.quality:words_rule",
    "quality.repetition": "filters.quality:repetition_rule",
    "quality.ngrams": "filters.quality:ngrams_rule",
    "quality.lines": "filters.lines:lines_rule",
    "quality.web": "filters.lines:web_rule",
    "relevance.fasttext": "filters.relevance:relevance_rule",
    "score.upsampling": "filters.upsampling:upsampling_rule",
    "phi.check": "filters.phi.check:phi_rule",
    "decontaminate.ngrams": "filters.decontaminate:decontaminate_rule",
}
"""Rule names of a recipe and the factory each names. A site's own rule is written `module:factory`."""


def factory(name: str) -> RuleFactory:
    """The factory of the rule `name`; RecipeError if there is none."""
    target = RULES.get(name, name)
    module_name, separator, attribute = target.partition(":")
    if separator:
        try:
            found = getattr(importlib.import_module(module_name), attribute, None)
        except ModuleNotFoundError:
            found = None
        if callable(found):
            made: RuleFactory = found
            return made
    raise RecipeError(
        f"no rule called {name!r}.",
        why=f"Rules are {', '.join(RULES)}, or `module:factory` of your own.",
        fix="Correct the name, or put the module on PYTHONPATH.",
    )


def check_parameters(name: str, parameters: Mapping[str, Any]) -> RuleFactory:
    """The factory of the rule `name`; RecipeError names a parameter it does not take, or one that is missing."""
    make = factory(name)
    accepted = inspect.signature(make).parameters
    unknown = [key for key in parameters if key not in accepted]
    if unknown:
        raise RecipeError(
            f"the rule {name} takes no parameter {unknown[0]!r}.",
            why=f"It takes {', '.join(accepted) or 'none'}.",
            fix="Correct or remove it in the recipe.",
        )
    needed = [key for key, parameter in accepted.items() if parameter.default is inspect.Parameter.empty]
    missing = [key for key in needed if key not in parameters]
    if missing:
        raise RecipeError(f"the rule {name} needs the parameter {missing[0]!r}.", fix="Add it in the recipe.")
    return make


def build(name: str, parameters: Mapping[str, Any]) -> Rule:
    """The rule `name` with `parameters`; RecipeError names a parameter it does not take."""
    return check_parameters(name, parameters)(**parameters)


def version(name: str) -> int:
    """The rule's version, part of every fingerprint that depends on it: the factory's `version`, or 1."""
    return int(getattr(factory(name), "version", 1))


def resource_files(name: str, parameters: Mapping[str, Any]) -> list[Path]:
    """Files of our own that the rule reads with these parameters: the factory's `files`, or none.

    Their content is part of what the rule does, as its version is.
    """
    listed: Callable[..., list[Path]] | None = getattr(factory(name), "files", None)
    return listed(**parameters) if listed is not None else []
