"""One side of a build on one screen, as plain values and for the terminal."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from manifests.build import sources
from manifests.errors import RecipeError
from manifests.sides import SIDES
from manifests.store import Store
from manifests.tables import Column, Table, rich_table

if TYPE_CHECKING:
    from rich.console import RenderableType


OF_ONE_SOURCE = ("removed", "boilerplate")


def show(build: Store, what: str, source: str = "") -> dict[str, Any]:
    """The tables of one side (`manifests.sides.SIDES`), as plain values; RecipeError names the nearest.

    `source`: of one source alone, for sides that can (`removed`, `boilerplate`).
    """
    if what not in SIDES:
        near = difflib.get_close_matches(what, SIDES, n=1)
        raise RecipeError(
            f"a build has no side called {what!r}.",
            why=f"There are {', '.join(SIDES)}.",
            fix=f"Did you mean {near[0]!r}?" if near else "Choose one of these.",
        )
    if source and what not in OF_ONE_SOURCE:
        raise RecipeError(f"show {what} takes no --source.", why=f"Only {', '.join(OF_ONE_SOURCE)} is told so.")
    if source and source not in (names := sorted(sources(build))):
        near = difflib.get_close_matches(source, names, n=1)
        raise RecipeError(
            f"no source called {source!r} here.",
            why=f"There are {', '.join(names)}.",
            fix=f"Did you mean {near[0]!r}?" if near else "Choose one of these.",
        )
    tables: Sequence[Table] = SIDES[what](build, source) if source else SIDES[what](build)
    return {"what": what, "tables": [table.as_dict() for table in tables]}


def render_show(what: str, found: Mapping[str, Any]) -> RenderableType:
    """The result of `show` for the terminal."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for number, table in enumerate(found["tables"]):
        if number:
            parts.append(Text(""))
        parts.append(Text(table["title"], style="bold"))
        columns = tuple(Column(**column) for column in table["columns"])
        parts.append(rich_table(Table(table["title"], columns, table["rows"])))
        if table["note"]:
            parts.append(Text(table["note"], style="dim"))
    return Group(*parts)
