"""The whole build, stage by stage, as one readable story. Every stage is skipped when its result stands."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.errors import BuildError
from manifests.report import write_report
from manifests.store import Store
from manifests.verify import verify
from manifests.write import CORPUS
from pipelines.acquisition import acquire
from pipelines.assembly import assemble, assembled, run_record
from pipelines.executors import Display, StageRun, own_peak_bytes, run_stages, workers_for
from pipelines.passes import (
    dedup_run,
    encoder,
    fraction_run,
    lines_run,
    mix_run,
    prepare_run,
    profile_run,
    tokenize_run,
    weigh_run,
)
from pipelines.plan import Plan
from pipelines.stage import stage_is_done


@dataclass
class BuildResult:
    """A finished build, as the end of the command shows it."""

    build: Store
    corpus: dict[str, Any]
    mixture: dict[str, Any]
    sources: list[str]
    kept: dict[str, int]
    dropped: dict[str, dict[str, int]]
    example: str
    """A doc_id worth explaining."""
    checks: Sequence[Any] = field(default_factory=list)
    fast: bool = False
    """True: shards were not read again."""

    @property
    def n_checks(self) -> int:
        return len(self.checks)

    @property
    def failed_checks(self) -> list[Any]:
        return [check for check in self.checks if not check.ok]

    def facts(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "build": self.build.url,
            "corpus": self.corpus,
            "mixture": self.mixture,
            "kept": self.kept,
            "dropped": self.dropped,
            "failed_checks": [check.name for check in self.failed_checks],
        }


def run_build(plan: Plan, *, workers: int = 0, offline: bool = False, display: Display) -> BuildResult:
    """Build `plan` to its end; what an interrupted run finished is used, what it left half-done is not."""
    plan.check_ready()
    encoder(plan)  # an unusable tokenizer is told now, not after the sources were prepared
    started, clock = datetime.now(UTC), time.monotonic()
    executor = plan.recipe.executor
    count = workers_for(workers or executor.workers, executor.gigabytes_per_worker)

    peaks = [acquire(plan, offline=offline, workers=count, display=display)]

    def run(runs: Sequence[StageRun | None]) -> None:
        peaks.append(run_stages([one for one in runs if one is not None], workers=count, display=display))

    sources = list(plan.recipe.sources)
    unprepared = [source for source in sources if not stage_is_done(plan.folder(plan.prepare(source)))]
    run([profile_run(plan, source) for source in unprepared])
    # The manifest lists what was learnt: lost with its stage, it is learnt again for a source that is prepared.
    run([lines_run(plan, source) for source in (unprepared if assembled(plan) else sources)])
    run([prepare_run(plan, source) for source in unprepared])
    run([dedup_run(plan)])
    run([tokenize_run(plan, source) for source in sources])
    run([weigh_run(plan)])
    run([fraction_run(plan)])
    run([mix_run(plan)])

    def run_facts() -> dict[str, Any]:
        seconds = time.monotonic() - clock
        peak_bytes = max(own_peak_bytes(), *peaks)
        return run_record(plan, started=started.isoformat(), seconds=seconds, peak_bytes=peak_bytes, workers=count)

    made = assemble(plan, run_facts=run_facts)
    return finished(plan, fast=not made)


def finished(plan: Plan, *, fast: bool) -> BuildResult:
    """Recount the build, write its report, and gather what the end of the command shows.

    `fast`: it was recounted when it was made; sizes and counts are enough, hundreds of gigabytes are not read again.
    """
    build = plan.build
    fast = fast and build.exists("report.html")
    checks = verify(build, fast=fast)
    if not fast or any(not check.ok for check in checks):
        write_report(build, checks)
    lines = [json.loads(line) for line in build.read_bytes("manifest/stages.jsonl").decode().splitlines()]
    sources = list(plan.recipe.sources)
    dropped: dict[str, Counter[str]] = {source: Counter() for source in sources}
    for line in lines:
        dropped[line["source"]].update(line["dropped"])
    return BuildResult(
        build=build,
        corpus=build.read_json(CORPUS),
        mixture=build.read_json("manifest/mixture.json"),
        sources=sources,
        kept={line["source"]: line["kept"] for line in lines if line["stage"] == "mix"},
        dropped={source: dict(counts) for source, counts in dropped.items()},
        example=_example(build),
        checks=checks,
        fast=fast,
    )


def _example(build: Store) -> str:
    """A document with a story: a near-duplicate if there is one, else the first."""
    table = pq.read_table(build.reading("manifest/documents.parquet"), columns=["doc_id", "fate"])
    told = table.filter(pc.equal(table["fate"], "dedup.near_duplicate"))
    return str((told if len(told) else table)["doc_id"][0].as_py()) if len(table) else ""


def open_build(url: str) -> Store:
    """The finished build at `url`, ready to write into with the permissions it has; BuildError if there is none."""
    store = Store(url)
    if not store.exists(CORPUS):
        raise BuildError(
            "no finished build here.",
            where=url,
            why="A build is finished when corpus.json, written last, is there.",
            fix="Run `make corpus`, or name a finished build's folder with --build.",
        )
    return Store(url, mode=0o600) if store.read_json(CORPUS)["restricted"] else store


def latest_build(out: Store) -> Store:
    """The build that `latest` names; BuildError with the way to one if there is none."""
    path = out.read_bytes("latest").decode().strip() if out.exists("latest") else ""
    return open_build(out.sub(path).url if path else out.url)
