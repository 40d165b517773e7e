"""Licences of well-known bases: what a model made from one must be called and must say, read in their texts.

Llama 2     Community License 1.b.iii (notice)              ai.meta.com/llama/license
Llama 3     Community License 1.b.i (name, "Built with"), 1.b.iii    llama.meta.com/llama3/license
Llama 3.1+  the same with "Built with Llama" and "Llama"     llama.com/llama3_1/license, llama3_2, llama3_3
Gemma       Terms of Use 3.1 (notice)                        ai.google.dev/gemma/terms
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BaseLicence:
    """What a licence of weights asks of what is made from them."""

    key: str
    """The hub's id of it."""
    title: str
    notice: str = ""
    """To be kept in a file NOTICE with every copy."""
    shown: str = ""
    """To be displayed."""
    name_begins: str = ""
    """With what the name of a derived model must begin."""


def _llama(version: str, *, shown: str, begins: str) -> BaseLicence:
    family = f"{'Meta ' if version == '3' else ''}Llama {version}"
    return BaseLicence(
        f"llama{version}",
        f"{family} Community License",
        f"{family} is licensed under the {'LLAMA 2' if version == '2' else family} Community License, "
        f"Copyright {'(c)' if version == '2' else '©'} Meta Platforms, Inc. All Rights Reserved.",
        shown,
        begins,
    )


LICENCES = {
    one.key: one
    for one in (
        _llama("2", shown="", begins=""),
        _llama("3", shown="Built with Meta Llama 3", begins="Llama 3"),
        _llama("3.1", shown="Built with Llama", begins="Llama"),
        _llama("3.2", shown="Built with Llama", begins="Llama"),
        _llama("3.3", shown="Built with Llama", begins="Llama"),
        BaseLicence(
            "gemma",
            "Gemma Terms of Use",
            "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",
        ),
        BaseLicence("apache-2.0", "Apache License 2.0"),
        BaseLicence("mit", "MIT License"),
    )
}
_BY_NAME = (
    (r"llama-?3\.3", "llama3.3"),
    (r"llama-?3\.2", "llama3.2"),
    (r"llama-?3\.1", "llama3.1"),
    (r"llama-?3", "llama3"),
    (r"llama-?2", "llama2"),
    (r"gemma", "gemma"),
)


def base_licence(key: str, base: str) -> BaseLicence | None:
    """The licence called `key`; without one, that of the family a base's name tells; None where neither does."""
    if key:
        return LICENCES.get(key.lower(), BaseLicence(key, key))
    for pattern, found in _BY_NAME:
        if re.search(pattern, base.lower()):
            return LICENCES[found]
    return None


def model_name(name: str, licence: BaseLicence | None) -> str:
    """The name of a derived model, beginning as its base's licence asks."""
    begins = licence.name_begins if licence else ""
    return name if not begins or name.lower().startswith(begins.lower()) else f"{begins} {name}"
