"""What cleaning took from every source: characters and digits by rule, counted from the tables, and when to look.

    n_chars = n_chars_raw - characters removed by each rule + characters added, for every document

`count_removed` reads documents.parquet and measures.parquet side by side, in constant memory; assembly writes what it
finds into stages.jsonl, and `verify` counts again. `alarms` compares the shares with the recipe's `[alarms]`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.assemble import DOCUMENTS_FILE, MEASURES_FILE
from manifests.books import Problems
from manifests.reasons import KEPT
from manifests.schema import EDIT_MEASURES, EXTRACTION
from manifests.store import Store

MAX_REMOVED_CHARACTERS = 0.02
"""Share of a source's characters, white space aside, that cleaning may take before a person should look."""
MAX_REMOVED_DIGITS = 0.001
"""Share of a source's digits; lower, because a digit is a dose and a sentence about cookies is not."""

NOT_CLEANING = "phi."
"""Rules whose names begin so replace identifiers: told apart, and no cause for alarm."""

CLOSES = "removed.close"
"""Check that the counts of every document close."""

_COLUMNS = ("doc_id", "source", "n_chars_raw", "n_chars", "fate")
_BATCH = 65_536


@dataclass
class SourceRemoved:
    """What was taken from the kept documents of one source."""

    documents: int = 0
    characters: int = 0
    """As extracted."""
    final_characters: int = 0
    digits: int = 0
    """As extracted."""
    rules: defaultdict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """Rule -> `documents` it changed, and the sums of `EDIT_MEASURES`, zeros left out."""
    extraction: dict[str, int] = field(default_factory=dict)
    """`<what>_characters` and `<what>_digits` that extraction left out."""

    def as_dict(self) -> dict[str, Any]:
        """As stages.jsonl has it."""
        return {
            "documents": self.documents,
            "characters": self.characters,
            "final_characters": self.final_characters,
            "digits": self.digits,
            "rules": {rule: dict(sorted(sums.items())) for rule, sums in sorted(self.rules.items())},
            "extraction": dict(sorted(self.extraction.items())),
        }


def count_removed(build: Store, problems: Problems | None = None) -> dict[str, dict[str, Any]]:
    """Source -> what cleaning took from its kept documents; documents whose counts do not close go to `problems`."""
    found: defaultdict[str, SourceRemoved] = defaultdict(SourceRemoved)
    problems = problems if problems is not None else Problems()
    with build.reading(DOCUMENTS_FILE) as stream, build.reading(MEASURES_FILE) as measured:
        measures = _Measures(measured)
        for batch in pq.ParquetFile(stream).iter_batches(batch_size=_BATCH, columns=list(_COLUMNS)):
            rows = pa.Table.from_batches([batch]).combine_chunks()
            if len(rows):
                _count(rows, measures.upto(rows.column("doc_id")[-1].as_py()), found, problems)
        for name in measures.left():
            problems.add(CLOSES, f"{name}, which documents.parquet does not have")
    return {source: of.as_dict() for source, of in sorted(found.items())}


def _count(rows: pa.Table, measures: pa.Table, found: dict[str, SourceRemoved], problems: Problems) -> None:
    ids = rows.column("doc_id").combine_chunks()
    place = pc.index_in(measures.column("doc_id").combine_chunks(), value_set=ids)
    strange = pc.is_null(place)
    problems.add_rows(CLOSES, strange, measures.column("doc_id"))
    measures, at = measures.filter(pc.invert(strange)), place.drop_null().to_numpy()
    _check_closes(rows, measures, at, ids, problems)
    kept = pc.equal(rows.column("fate"), KEPT).to_numpy()
    source = rows.column("source")
    sums = rows.filter(pa.array(kept)).group_by("source").aggregate(
        [("doc_id", "count"), ("n_chars_raw", "sum"), ("n_chars", "sum")]
    ).to_pylist()  # fmt: skip
    for row in sums:
        of = found[row["source"]]
        of.documents += row["doc_id_count"]
        of.characters += row["n_chars_raw_sum"]
        of.final_characters += row["n_chars_sum"]
    told = measures.append_column("source", source.take(pa.array(at))).filter(pa.array(kept[at]))
    for row in told.group_by(["source", "rule", "measure"]).aggregate([("value", "sum")]).to_pylist():
        of, rule, name, n = found[row["source"]], row["rule"], row["measure"], int(row["value_sum"])
        if rule != EXTRACTION:
            of.rules[rule][name] = of.rules[rule].get(name, 0) + n
        elif name == "digits":
            of.digits += n
        else:
            of.extraction[name] = of.extraction.get(name, 0) + n
    edits = told.filter(pc.not_equal(told.column("rule"), EXTRACTION)).group_by(["source", "rule", "doc_id"])
    changed = edits.aggregate([]).group_by(["source", "rule"]).aggregate([("doc_id", "count")])
    for row in changed.to_pylist():
        sums = found[row["source"]].rules[row["rule"]]
        sums["documents"] = sums.get("documents", 0) + row["doc_id_count"]


def _check_closes(rows: pa.Table, measures: pa.Table, at: Any, ids: pa.Array, problems: Problems) -> None:
    name = measures.column("measure")
    taken = pc.equal(name, "removed_characters").to_numpy().astype(np.float64)
    given = pc.equal(name, "added_characters").to_numpy().astype(np.float64)
    change = np.bincount(at, weights=(given - taken) * measures.column("value").to_numpy(), minlength=len(ids))
    n_raw, n_final = rows.column("n_chars_raw").to_numpy(), rows.column("n_chars").to_numpy()
    problems.add_rows(CLOSES, pa.array(n_raw + change != n_final), ids)


class _Measures:
    """The rows of measures.parquet that speak of text, read alongside documents.parquet."""

    def __init__(self, stream: Any) -> None:
        file = pq.ParquetFile(stream)
        self._batches = file.iter_batches(batch_size=_BATCH)
        self._waiting: pa.Table = file.schema_arrow.empty_table()

    def upto(self, doc_id: str) -> pa.Table:
        """The rows not yet given of documents up to `doc_id`."""
        pieces = [self._waiting]
        while not len(pieces[-1]) or pieces[-1].column("doc_id")[-1].as_py() <= doc_id:
            more = next(self._batches, None)
            if more is None:
                break
            pieces.append(_of_text(pa.Table.from_batches([more])))
        rows = pa.concat_tables(pieces).combine_chunks()
        here = pc.less_equal(rows.column("doc_id"), doc_id)
        self._waiting = rows.filter(pc.invert(here))
        return rows.filter(here)

    def left(self) -> Iterator[str]:
        """The first of each piece of what no document claimed."""
        for rows in (self._waiting, *(_of_text(pa.Table.from_batches([more])) for more in self._batches)):
            yield from rows.column("doc_id").slice(0, 1).to_pylist()


def _of_text(rows: pa.Table) -> pa.Table:
    edits = pc.is_in(rows.column("measure"), value_set=pa.array(EDIT_MEASURES))
    return rows.filter(pc.or_(edits, pc.equal(rows.column("rule"), EXTRACTION)))


@dataclass(frozen=True, slots=True)
class Alarm:
    """A source that cleaning took more from than the recipe expects."""

    source: str
    what: str
    """`characters` or `digits`."""
    share: float
    threshold: float
    rule: str
    """The rule that took most."""

    def __str__(self) -> str:
        return (
            f"{self.source}: cleaning removed {self.share:.2%} of its {self.what} (alarm above {self.threshold:.2%}), "
            f"most of it {self.rule}; look: medtrove show removed --source {self.source}, medtrove text DOC_ID --diff"
        )


def lost(sums: Mapping[str, int], what: str) -> int:
    """Characters a rule took and did not replace, white space aside; or digits that left with their numbers."""
    if what == "digits":
        return sums.get("removed_digits", 0)
    taken = sums.get("removed_characters", 0) - sums.get("removed_spaces", 0)
    return max(0, taken - sums.get("added_characters", 0) + sums.get("added_spaces", 0))


def lost_share(of: Mapping[str, Any], what: str, *, rule: str = "") -> float:
    """Share of a source's characters or digits as extracted that one rule took, or all that clean."""
    names = [rule] if rule else [name for name in of["rules"] if not name.startswith(NOT_CLEANING)]
    n = sum(lost(of["rules"].get(name, {}), what) for name in names)
    return n / of[what] if of[what] else 0.0


def thresholds(recipe: Mapping[str, Any], source: str) -> dict[str, float]:
    """Share of `characters` and of `digits` above which `source` raises an alarm, of a resolved recipe."""
    table = recipe.get("alarms", {})
    own = {**table, **table.get("sources", {}).get(source, {})}
    return {
        "characters": float(own.get("removed_characters", MAX_REMOVED_CHARACTERS)),
        "digits": float(own.get("removed_digits", MAX_REMOVED_DIGITS)),
    }


def alarms(removed: Mapping[str, Mapping[str, Any]], recipe: Mapping[str, Any]) -> list[Alarm]:
    """Every source and measure above its threshold, in the order of the sources."""
    found = []
    for source, of in removed.items():
        for what, threshold in thresholds(recipe, source).items():
            share = lost_share(of, what)
            if share > threshold:
                cleaning = [name for name in of["rules"] if not name.startswith(NOT_CLEANING)]
                worst = max(sorted(cleaning), key=lambda name: lost(of["rules"][name], what))
                found.append(Alarm(source, what, share, threshold, worst))
    return found


def stated_removed(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Source -> what stages.jsonl says was taken; KeyError on a build made before it said so."""
    return {line["source"]: line["removed"] for line in lines if line["stage"] == "prepare"}
