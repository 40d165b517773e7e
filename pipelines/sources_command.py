"""The commands `medtrove sources ...`: every source there is a card for, and whether its door still opens."""

from __future__ import annotations

from typing import Annotated

import typer

from manifests.store import Store
from pipelines.command_line import JsonOption, OutOption, RecipeArgument, plan_for, print_json, screen, vars_of

sources_app = typer.Typer(help="Every source: terms, use, expected and fetched counts; `check` tries their doors.")


@sources_app.callback()
def sources(context: typer.Context, out: OutOption = "build", as_json: JsonOption = False) -> None:
    """Show every source there is a card for: licence class, use, expected and fetched counts, last success."""
    if context.invoked_subcommand:
        return
    from pipelines.source_overview import overview
    from pipelines.source_tables import render_sources

    facts = overview(Store(out))
    print_json(facts) if as_json else render_sources(screen(), facts)


@sources_app.command(name="show")
def show_source(source: str, as_json: JsonOption = False) -> None:
    """Show the card of SOURCE: publisher, terms as quoted, licence, ground of use, hosts, contact."""
    from manifests.cards import find_card
    from pipelines.source_tables import render_card

    card = find_card(source)
    facts = {**card.as_dict(), "use": card.use, "needs_permission": card.needs_permission}
    print_json(facts) if as_json else render_card(screen(), facts)


@sources_app.command(name="check")
def check_sources(
    recipe: RecipeArgument = "sample-sources",
    source: Annotated[list[str] | None, typer.Option("--source", help="Only this source; may be repeated.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Try the door of each source of RECIPE: one listing page and one document; exit 1 when a site has changed."""
    from pipelines.canary import check_sources as check
    from pipelines.source_tables import render_canary

    verdicts = [vars_of(verdict) for verdict in check(plan_for(recipe, "", []), source or [])]
    print_json(verdicts) if as_json else render_canary(screen(), verdicts)
    if any(verdict["verdict"] == "drift" for verdict in verdicts):
        raise typer.Exit(1)
