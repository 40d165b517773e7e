"""Everything that happens before a byte of text is read: routes, the sample world's server, frozen snapshots."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from manifests.errors import RecipeError, SourceError
from manifests.store import Store
from pipelines.executors import Display, StageRun, run_stages, workers_for
from pipelines.needs import contact
from pipelines.plan import Plan
from pipelines.resolved import NOT_IDENTITY
from pipelines.stage import Stage
from pipelines.steps.acquire import AcquireSource
from scrapers.options import COMMON, OF_READING

REQUEST = "request.json"
"""What a snapshot was acquired for: loader and options."""

SOURCES_AT_ONCE = 8
"""Each a process of about 150 MB."""

SAMPLE = "sample"
"""The address that means: serve the sample world while acquiring."""


@contextmanager
def reachable(routes: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The recipe's routes with `"*" = "sample"` replaced by the running sample server's."""
    if SAMPLE not in routes.values():
        yield dict(routes)
        return
    if set(routes) != {"*"}:
        raise RecipeError(
            "the sample world serves every host or none.",
            where="[routes]",
            fix='Write only `"*" = "sample"`, or give real addresses for all hosts.',
        )
    from scrapers.sample.server import serve
    from scrapers.sample.world import write_world

    with tempfile.TemporaryDirectory(prefix="medtrove-sample-") as folder:
        write_world(Path(folder))
        with serve(Path(folder)) as server:
            yield dict(server.routes)


def acquire(
    plan: Plan,
    *,
    offline: bool,
    workers: int,
    display: Display,
    sources: Sequence[str] = (),
    limit: int = 0,
    refresh: bool = False,
) -> int:
    """Fetch every source whose snapshot is not complete; SourceError if that needs a network and `offline`.

    `sources`: only these. `refresh`: the next revision of complete snapshots too; what has not changed since is not
    fetched again. `limit`: items of a source at most, for a trial under a snapshot name of its own.
    Returns the peak resident memory of the largest task, in bytes.
    """
    asked = _asked(plan, sources)
    before = {source: plan.refresh(source) for source in asked} if refresh else {}
    for source in asked:
        _check_same_request(plan, source)
        _check_permitted(plan, source)
    missing = sorted((source for source in asked if not plan.digest(source)), key=lambda one: _size(plan, one))
    if not missing:
        return 0
    if offline:
        raise SourceError(
            f"the snapshots of {', '.join(missing)} are not complete.",
            where=plan.out.url,
            why="--offline builds only from what was acquired before.",
            fix="Run `medtrove acquire` on a machine with a network and the same output folder.",
        )
    with reachable(plan.recipe.routes) as routes:
        runs = [_run(plan, source, routes, limit=limit, previous=before.get(source)) for source in missing]
        # Waiting for publishers needs no core: sources are asked side by side, each at its own pace.
        peak_bytes = run_stages(runs, workers=max(workers, min(len(runs), SOURCES_AT_ONCE)), display=display)
    still = [source for source in missing if not plan.digest(source)]
    if still:
        raise SourceError(
            f"{', '.join(still)} left no complete snapshot.",
            where=plan.out.url,
            why="A loader must write snapshot.json last.",
            fix="Correct the loader.",
        )
    for source in missing:
        _check_not_empty(plan.raw(source), source)
    return peak_bytes


def acquire_command(
    plan: Plan, *, workers: int, display: Display, sources: Sequence[str], limit: int, refresh: bool
) -> list[dict[str, Any]]:
    """`acquire`, and what each source asked for then holds: the facts of `medtrove acquire`."""
    asked = _asked(plan, sources)
    complete = {source for source in asked if plan.digest(source)}
    digests = {source: plan.digest(source) for source in asked}
    executor = plan.recipe.executor
    count = workers_for(workers or executor.workers, executor.gigabytes_per_worker)
    acquire(plan, offline=False, workers=count, display=display, sources=asked, limit=limit, refresh=refresh)
    return [
        {
            "source": source,
            "folder": plan.raw(source).url,
            "had_it": source in complete and not refresh,
            "changed": not digests[source] or digests[source] != plan.digest(source),
            **acquired_facts(plan.raw(source)),
        }
        for source in asked
    ]


def acquired_facts(raw: Store) -> dict[str, Any]:
    """Items, bytes, digest, counts and what was put aside of a complete snapshot."""
    facts = raw.read_json("snapshot.json")
    return {
        "items": facts["items"],
        "bytes": facts["bytes"],
        "digest": facts["digest"],
        "counts": facts["counts"],
        "aside": facts.get("n_quarantined", len(facts["quarantined"])),
    }


def _size(plan: Plan, source: str) -> float:
    """Small sources first: where two share a host, the one of an hour need not wait for the one of a week."""
    return plan.cards[source].expected_documents or float("inf")


def _check_permitted(plan: Plan, source: str) -> None:
    """A publisher whose terms demand a permission is not asked for anything without one."""
    card = plan.cards[source]
    if card.needs_permission and not plan.recipe.sources[source].permission and not plan.digest(source):
        raise RecipeError(
            f"{card.title}: no open licence covers this use, so it needs the permission of {card.publisher}.",
            where=f"[sources.{source}]",
            why=f"{card.terms_quote} ({card.terms_url})",
            fix=f"Ask {card.contact}; then write the date or number of the permission as `permission`, "
            "which the manifest keeps, or leave the source out.",
        )


def _asked(plan: Plan, sources: Sequence[str]) -> list[str]:
    unknown = sorted(set(sources) - set(plan.recipe.sources))
    if unknown:
        near = difflib.get_close_matches(unknown[0], plan.recipe.sources, n=1)
        raise RecipeError(
            f"the recipe has no source called {unknown[0]!r}.",
            where=plan.recipe.name,
            why=f"It has {', '.join(plan.recipe.sources)}.",
            fix=f"Did you mean {near[0]!r}?" if near else "Name one of those.",
        )
    return [source for source in plan.recipe.sources if not sources or source in sources]


def _run(plan: Plan, source: str, routes: Mapping[str, str], *, limit: int, previous: Store | None) -> StageRun:
    config = plan.config(source)
    stage = Stage("acquire", source, plan.raw(source).url.rpartition("/")[2])
    folder = plan.folder(stage)
    # The snapshot is the result; a mark without it is worth nothing.
    folder.remove("")
    plan.raw(source).write_json(REQUEST, _request(plan, source))
    block = AcquireSource(
        config,
        plan.raw(source).url,
        folder.url,
        http_arguments(plan, source, routes),
        hosts=plan.cards[source].hosts,
        limit=limit,
        previous_url=previous.url if previous else "",
    )
    return StageRun(stage, folder, [source], [block], restricted=config.restricted)


def _request(plan: Plan, source: str) -> dict[str, Any]:
    options = plan.recipe.sources[source].options
    return {"loader": plan.config(source).loader, "options": _of_capture(options)}


def _of_capture(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in (*NOT_IDENTITY, *OF_READING)}


def _check_same_request(plan: Plan, source: str) -> None:
    """A complete snapshot answers the request it was made for, and no other."""
    raw = plan.raw(source)
    if not plan.digest(source) or not raw.exists(REQUEST):
        return
    made, now = raw.read_json(REQUEST), _request(plan, source)
    made = {**made, "options": _of_capture(made["options"])}
    if made != now:
        raise RecipeError(
            f"the snapshot {plan.recipe.sources[source].snapshot!r} of {source} was acquired with other options.",
            where=raw.url,
            why="A completed snapshot is frozen; it would silently stand for something it is not.",
            fix=f"Give [sources.{source}] another snapshot name, or the options it was made with.",
        )


def http_arguments(plan: Plan, source: str, routes: Mapping[str, str]) -> dict[str, Any]:
    """What the polite client is built from; a delay that the recipe gives goes before the loader's own."""
    network = plan.recipe.network
    options = plan.recipe.sources[source].options
    own: dict[str, Any] = {name: options[name] for name in COMMON if name in options}
    return {
        "fetcher": plan.cards[source].fetcher,
        **own,
        "contact": contact(plan),
        "routes": dict(routes),
        "timeout_seconds": (10.0, network.timeout_seconds),
        "max_tries": network.max_tries,
    }


def _check_not_empty(raw: Store, source: str) -> None:
    facts = raw.read_json("snapshot.json")
    if not facts["items"]:
        raw.remove("snapshot.json")  # not frozen: corrected options must be able to fill it
        aside = len(facts["quarantined"])
        raise SourceError(
            f"the source {source} is empty: no item was acquired" + (f", {aside} were put aside." if aside else "."),
            where=raw.url,
            why="An empty source would silently shift every share.",
            fix="Check its options in the recipe (paths, ids, limits), or remove the source and its share.",
        )
