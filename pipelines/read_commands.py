"""The commands that read a build: what is in it, why, and whether it tells the truth."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.command_line import BuildOption, JsonOption, opened, print_json, screen, vars_of


def verify(
    build: BuildOption = "",
    fast: Annotated[bool, typer.Option("--fast", help="Sizes and counts only; shards are not read.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Recount everything a build says about itself; exit 1 on any lie."""
    from manifests.verify import verify as verify_build
    from pipelines.summary import render_checks

    store = opened(build)
    checks = verify_build(store, fast=fast)
    if as_json:
        print_json([vars_of(check) for check in checks])
    else:
        render_checks(screen(), store, checks)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def explain(doc_id: str, build: BuildOption = "", as_json: JsonOption = False) -> None:
    """Tell the whole life of one document: source, rules, duplicates, fate, place in the shards."""
    from manifests.explain import explain as explain_document
    from manifests.explain import render_explain

    found = explain_document(opened(build), doc_id)
    print_json(found) if as_json else screen().print(render_explain(found))


def show(
    what: Annotated[
        str, typer.Argument(help="sources, mix, licences, drops, phi, dedup, removed, boilerplate or stages")
    ] = "sources",
    source: Annotated[str, typer.Option("--source", help="Of one source alone; `removed` and `boilerplate` can.")] = "",
    build: BuildOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show one side of a build on one screen."""
    from manifests.show import render_show
    from manifests.show import show as show_side

    found = show_side(opened(build), what, source)
    print_json(found) if as_json else screen().print(render_show(what, found))


def list_(
    source: str = "",
    fate: Annotated[str, typer.Option(help="`kept`, a reason, or its stage.")] = "",
    split: str = "",
    lang: str = "",
    shard: Annotated[int, typer.Option(help="Only documents with tokens in this shard.")] = -1,
    limit: Annotated[int, typer.Option(min=1)] = 50,
    build: BuildOption = "",
    as_json: JsonOption = False,
) -> None:
    """List documents by source, fate, split, language or shard."""
    from manifests.query import list_documents, render_documents

    found = list_documents(
        opened(build),
        source=source or None,
        fate=fate or None,
        split=split or None,
        lang=lang or None,
        shard=shard if shard >= 0 else None,
        limit=limit,
    )
    print_json(found) if as_json else screen().print(render_documents(found))


def report(build: BuildOption = "", as_json: JsonOption = False) -> None:
    """Write report.html again from the manifest, and say where it is."""
    from manifests.report import write_report

    store = opened(build)
    write_report(store)
    path = f"{store.url}/report.html"
    print_json({"report": path}) if as_json else screen().print(path, highlight=False)
