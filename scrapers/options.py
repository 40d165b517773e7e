"""A loader's own options, read with their types checked: a misspelt key is an error that names the nearest."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from manifests.errors import RecipeError
from scrapers.source import SourceConfig

COMMON = ("delay_seconds", "concurrency", "fetcher")
"""Options of every source that fetches; the client reads them."""
OF_READING = ("citations", "on_conflict", "pdf_reader")
"""Options that say how captured bytes are read, not what is captured: a snapshot serves every value of them."""


def checked(config: SourceConfig, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `config` over `defaults`; RecipeError for a key or a type that cannot be meant.

    The default tells the type; None as default takes any.
    """
    where = f"[sources.{config.source}] options"
    for name, value in config.options.items():
        if name in COMMON:
            continue
        if name not in defaults:
            near = difflib.get_close_matches(name, [*defaults, *COMMON], n=1)
            raise RecipeError(
                f"no option called {name!r}.",
                where=where,
                why=f"This source takes {', '.join(sorted([*defaults, *COMMON]))}.",
                fix=f"Did you mean {near[0]!r}?" if near else "Remove it.",
            )
        expected = defaults[name]
        if expected is not None and not _fits(value, expected):
            raise RecipeError(
                f"{name} is {value!r}.",
                where=where,
                why=f"It must be like {expected!r}.",
                fix="Correct it in the recipe.",
            )
    return {**defaults, **{name: value for name, value in config.options.items() if name in defaults}}


def _fits(value: Any, expected: Any) -> bool:
    if isinstance(expected, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(expected, bool)
    if isinstance(expected, (list, tuple)):
        return isinstance(value, Sequence) and not isinstance(value, str)
    return isinstance(value, type(expected))
