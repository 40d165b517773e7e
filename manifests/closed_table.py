"""A table of a TOML file whose keys are all known: an unknown one is an error that names the nearest."""

from __future__ import annotations

import difflib
from typing import get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

CLOSED = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
"""Of every table of a recipe or of a run's configuration."""


def sentence(error: ValidationError, whole: type[BaseModel]) -> str:
    """The first fault of a file that was checked against `whole`, with its place, the value and the nearest key."""
    first, *others = error.errors(include_url=False)
    # Of a key that may be a number or a word, pydantic tells one fault for each, under the name of the kind.
    kinds = [
        one for one in others if one["loc"][:-1] == first["loc"][:-1] and str(one["loc"][-1]).startswith("literal")
    ]
    place = [str(part) for part in (first["loc"][:-1] if kinds else first["loc"])]
    if first["type"] == "extra_forbidden":
        section = whole if len(place) == 1 else _section_at(place[:-1], whole)
        known = sorted(section.model_fields) if section is not None else []
        near = difflib.get_close_matches(place[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(known)}."
        return f"unknown key {'.'.join(place)!r}; {hint}"
    told = " or ".join(one["msg"] for one in (first, *kinds))
    return f"{'.'.join(place)}: {told} (got {first.get('input')!r})."


def _section_at(place: list[str], whole: type[BaseModel]) -> type[BaseModel] | None:
    section = whole
    for part in place:
        if part not in section.model_fields:
            continue  # a source's id, a rule's position: its section is already the one found
        annotation = section.model_fields[part].annotation
        found = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
        inner = [kind for kind in found if get_origin(kind) is None and issubclass(kind, BaseModel)]
        if not inner:
            return None
        section = inner[0]
    return section
