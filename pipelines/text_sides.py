"""What `medtrove text` answers: a document's final or extracted text, its raw payload, or what each rule changed.

Text of restricted sources, and text in which the identifier check found something, goes to a file of its owner alone,
never to a screen, a pipe or JSON.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import polars as pl

from manifests.assemble import QUARANTINE_FILE
from manifests.build import sources
from manifests.errors import BuildError, RecipeError
from manifests.identity import text_hash
from manifests.query import document, scan
from manifests.reasons import KEPT, reason
from manifests.store import Store
from pipelines.reread import Replay, Rereading, Step
from pipelines.text_diff import hunks, written
from scrapers.provenance import capture_of
from scrapers.snapshot import open_payload
from scrapers.source import Item

BANNER = (
    "RESTRICTED: text under an agreement, or with identifiers of people in it. For those who signed, on this machine "
    "alone: not for mail, not for a model service; delete it when done."
)
OPEN_PHI = ("redact", "drop")
"""Actions of the identifier check after which a document's earlier text is guarded as a restricted one's is."""


@dataclass(frozen=True)
class Subject:
    """What was asked for: a document of the build, or an item that gave none."""

    name: str
    source: str
    raw_ref: str
    restricted: bool
    row: Mapping[str, Any] | None = None
    reason: str = ""
    """Why the item was put aside; empty for a document."""


@dataclass
class Answer:
    """What is shown, and how sure it is."""

    subject: Subject
    what: str
    """`final`, `extracted`, `diff` or `raw`."""
    facts: dict[str, Any]
    said: list[str]
    """Lines for a person, above the text; never text of the document."""
    text: str | None = None
    """None for `raw`."""
    payload: tuple[Store, Item] | None = None
    equal: bool = True
    """False: what was made again is not what the build had."""
    guarded: bool = False
    edits: list[dict[str, Any]] = field(default_factory=list)


def answer(build: Store, name: str, *, what: str, out: str = "", allowed: bool = False) -> Answer:
    """`what` of the document or item `name`; RecipeError, before anything is read, if it is guarded and not allowed."""
    subject = _subject(build, name)
    guarded = _guarded(subject, what)
    if guarded and not allowed:
        raise RecipeError(
            f"the text of {name} is restricted.",
            where=build.url,
            why="It is under an agreement, or the identifier check found people in it.",
            fix="If you may read it: --include-restricted --output FILE writes it to a file of yours alone.",
        )
    again = Rereading(build, out)
    made = _raw(again, subject) if what == "raw" else _text(again, subject, what)
    made.guarded = guarded
    return made


def _guarded(subject: Subject, what: str) -> bool:
    row = subject.row
    if subject.restricted or row is None:
        return subject.restricted
    final = what == "final" and row["phi_action"] != "drop"
    return row["phi_action"] in OPEN_PHI and not final


def _subject(build: Store, name: str) -> Subject:
    try:
        row = document(build, name)
    except RecipeError:
        source, _, item = name.partition(":")
        entry = sources(build).get(source)
        frame = scan(build, QUARANTINE_FILE).filter((pl.col("source") == source) & (pl.col("item") == item))
        rows = frame.sort("raw_ref", descending=True).collect().to_dicts() if entry else []
        if not rows or entry is None:
            raise
        why = f"{rows[0]['reason']}: {reason(rows[0]['reason']).meaning} {rows[0]['detail']}".strip()
        restricted = bool(entry["card"]["restricted"])
        return Subject(name, source, rows[0]["raw_ref"], restricted, reason=why)
    return Subject(name, row["source"], row["raw_ref"], bool(row["restricted"]), row)


def _raw(again: Rereading, subject: Subject) -> Answer:
    if not subject.raw_ref:
        raise BuildError(
            f"there is no payload of {subject.name}.",
            where=f"quarantine of {subject.source}",
            why=f"It was put aside. {subject.reason}",
            fix="`medtrove acquire --refresh` asks for it again.",
        )
    item = again.item(subject.source, subject.raw_ref, subject.name.partition(":")[2])
    raw = again.raw(subject.source)
    capture = capture_of(raw, item)
    facts = {
        "item": item.item,
        "url": item.url,
        "retrieved": capture.retrieved,
        "sha256": item.sha256,
        "media_type": capture.media_type,
        "file": item.path,
        "offset": item.offset,
    }
    said = [
        f"payload   {item.item} as {capture.media_type}, sha256 {item.sha256}: verified",
        f"captured  {capture.retrieved or 'a file of your own'}" + f" from {item.url}" * bool(item.url),
        f"in        {item.path}" + f" at byte {item.offset:,}" * bool(item.offset),
    ]
    if subject.reason:
        said.append(f"put aside {subject.reason}")
    return Answer(subject, "raw", {"payload": facts}, said, payload=(raw, item))


def _text(again: Rereading, subject: Subject, what: str) -> Answer:
    row = subject.row
    if row is None:
        raise RecipeError(
            f"{subject.name} gave no document.",
            where=f"quarantine of {subject.source}",
            why=subject.reason,
            fix="Its bytes are there: add --raw." if subject.raw_ref else "It was never had, so there is nothing.",
        )
    stored = again.prepared(row) if what == "final" else None
    if stored is not None:
        equal = text_hash(stored) == row["text_hash"] and len(stored) == row["n_chars"]
        when = "as it went to tokenizing" if row["fate"] == KEPT else f"as it was when it left: {row['fate']}"
        said = f"final     {when}" if equal else "final     NOT the text that the manifest has the hash of"
        return Answer(subject, what, {"fate": row["fate"], "equal": equal}, [said], text=stored, equal=equal)
    replay = again.replay(row)
    equal = not replay.differences
    lines = [
        "replayed  equal to the build: the same text from the payload, rule by rule"
        if equal
        else f"replayed  NOT equal to the build: {'; '.join(replay.differences)}. The code, or a file that the recipe "
        "names, has changed since."
    ]
    if row["fate"] != KEPT:
        lines.append(f"fate      {row['fate']}: {reason(row['fate']).meaning}")
    made = Answer(subject, what, {"fate": row["fate"], "equal": equal}, lines, equal=equal)
    made.facts["differences"] = list(replay.differences)
    made.edits = [_edit(step) for step in replay.steps]
    if what == "diff":
        made.text = "\n".join(_diff(replay))
    else:
        made.text = replay.extracted if what == "extracted" else replay.final
    return made


def _edit(step: Step) -> dict[str, Any]:
    return {
        "rule": step.rule,
        "outcome": step.outcome,
        "measures": dict(step.measures),
        "counts": dict(sorted(step.counts.items())),
        "hunks": [
            {"line": one.line, "removed": list(one.removed), "added": list(one.added)}
            for one in (hunks(step.before, step.after) if step.after != step.before else [])
        ],
    }


def _diff(replay: Replay) -> Iterator[str]:
    for step in replay.steps:
        if step.outcome == "kept":
            yield f"{step.rule}: nothing changed"
            continue
        if step.outcome != "edited":
            yield f"{step.rule}: dropped, {step.outcome}"
            continue
        counts = ", ".join(f"{name} {n}" for name, n in sorted(step.counts.items()))
        yield f"{step.rule}: {_sizes(step.measures)}" + f"; {counts}" * bool(counts)
        for hunk in hunks(step.before, step.after):
            yield from ("  " + line for line in written(hunk))
    n_before, n_after = len(replay.extracted), len(replay.final)
    yield f"extracted {n_before:,} characters -> final {n_after:,}"


def _sizes(measures: Mapping[str, int]) -> str:
    taken, given = measures.get("removed_characters", 0), measures.get("added_characters", 0)
    digits = measures.get("removed_digits", 0)
    return f"{taken:,} characters removed, {given:,} added, {digits:,} digits removed"


def write_file(made: Answer, path: Path) -> None:
    """Write what was asked for to `path`; of its owner alone, with a banner above the text, if it is guarded."""
    with file_store(path, private=made.guarded).writing(path.name) as stream:
        if made.payload is not None:
            copy_payload(made, stream)
        else:
            banner = f"{BANNER}\n\n" if made.guarded else ""
            # Half a surrogate pair can stand in JSON; it is written as it came rather than not at all.
            stream.write((banner + (made.text or "")).encode("utf-8", "surrogatepass"))


def file_store(path: Path, *, private: bool) -> Store:
    """The folder of a file that a user asked for with --output; RecipeError if it is no place for one."""
    if path.exists() and (path.is_symlink() or not path.is_file()):
        raise RecipeError(f"{path} is not a plain file.", where="--output", fix="Name a new file.")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise RecipeError(f"the folder {folder} is not there.", where="--output", fix="Make it, or name another.")
    return Store(folder, mode=0o600 if private else None)


def copy_payload(made: Answer, stream: IO[bytes]) -> None:
    """The captured bytes, in pieces; they were verified when the payload was found."""
    assert made.payload is not None
    with open_payload(*made.payload) as source:
        shutil.copyfileobj(source, stream, 1 << 20)
