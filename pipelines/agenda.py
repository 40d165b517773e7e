"""What will happen to every stage and why: run, or skipped because its result stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.stage import ALL, stage_is_done

if TYPE_CHECKING:
    from pipelines.plan import Plan

LINES_WHY = "; one more reading: clean.boilerplate learns the lines that the source repeats"


def agenda(plan: Plan) -> list[dict[str, str]]:
    """What will happen to every stage and why, as `medtrove plan` shows it."""
    found = []
    for source in plan.recipe.sources:
        complete = bool(plan.digest(source))
        why = "snapshot is complete" if complete else "not acquired yet"
        found.append(_line("acquire", source, plan.recipe.sources[source].snapshot, skip=complete, why=why))
    for stage in plan.stages():
        if not stage.fingerprint:
            why = "its inputs are not known yet" + LINES_WHY * (stage.name == "lines")
            found.append(_line(stage.name, stage.source, "", skip=False, why=why))
            continue
        done = stage_is_done(plan.folder(stage), plan.build if stage.name == "mix" else None)
        why = "finished with these inputs" if done else "no finished result with these inputs"
        why += LINES_WHY * (stage.name == "lines")
        found.append(_line(stage.name, stage.source, stage.fingerprint, skip=done, why=why))
    built = bool(plan.build_fingerprint) and plan.out.exists(f"{plan.build_path}/corpus.json")
    why = "corpus.json is there" if built else "corpus.json is not there"
    if built and not plan.manifest_holds():
        built, why = False, "the recipe states other alarms or words than the manifest"
    found.append(_line("assemble", ALL, plan.build_fingerprint, skip=built, why=why))
    return found


def _line(stage: str, source: str, name: str, *, skip: bool, why: str) -> dict[str, str]:
    return {"stage": stage, "source": source, "name": name, "action": "skip" if skip else "run", "why": why}
