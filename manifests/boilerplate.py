"""The lines of boilerplate of a build: what was learnt or listed, and from how many documents each was removed.

boilerplate.parquet has a row for each line of each source. What a line was removed from is counted from
measures.parquet, where every document that lost one says which, how often and how many characters. Words are there
only of lines of open sources that name nobody; of the others the hash, the length and the counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.assemble import DOCUMENTS_FILE, MEASURES_FILE
from manifests.errors import BuildError
from manifests.merge import Follower, PartFile
from manifests.schema import BOILERPLATE, MEASURES
from manifests.store import Store
from manifests.write import write_table

RULE = "clean.boilerplate"
BOILERPLATE_FILE = "manifest/boilerplate.parquet"

LINES_MEASURE = "line:"
"""Measure of a document, followed by a line's hash: how often the line left it."""
CHARACTERS_MEASURE = "characters:"
"""Measure of a document, followed by a line's hash: characters of it that left, without line ends."""

OF_ONE_LINE = rf"^(?:{LINES_MEASURE}|{CHARACTERS_MEASURE})"

_EDITED = r"(?:^|,)clean\.boilerplate(?:,|$)"


@dataclass
class RemovedLine:
    """What documents.parquet and measures.parquet say of one line of one source."""

    documents: int = 0
    occurrences: int = 0
    characters: int = 0


@dataclass
class Removals:
    """What the documents of a build lost to the rule."""

    lines: defaultdict[tuple[str, str], RemovedLine] = field(default_factory=lambda: defaultdict(RemovedLine))
    """(source, hash of the line) -> what was removed."""
    edited: Counter[str] = field(default_factory=Counter)
    """Source -> documents whose `edits` name the rule."""
    unexplained: Counter[str] = field(default_factory=Counter)
    """Source -> documents that name the rule and lost no line, or the reverse (but for those left empty by it)."""


def removals(build: Store) -> Removals:
    """Count in the tables of the build what each line was removed from, in constant memory."""
    found = Removals()
    measures = Follower([PartFile(build, MEASURES_FILE)], MEASURES, "doc_id")
    with build.reading(DOCUMENTS_FILE) as stream:
        columns = ["doc_id", "source", "edits", "fate"]
        for batch in pq.ParquetFile(stream).iter_batches(batch_size=65_536, columns=columns):
            rows = pa.Table.from_batches([batch])
            if len(rows):
                _count(rows, measures.upto(rows.column("doc_id")[-1].as_py()), found)
    return found


def _count(rows: pa.Table, measures: pa.Table, found: Removals) -> None:
    own = measures.filter(pc.equal(measures.column("rule"), RULE))
    own = own.filter(pc.match_substring_regex(own.column("measure"), OF_ONE_LINE))
    own = own.append_column("place", pc.index_in(own.column("doc_id"), value_set=rows.column("doc_id")))
    own = own.filter(pc.is_valid(own.column("place")))
    own = own.append_column("source", rows.column("source").take(own.column("place")))
    totals = own.group_by(["source", "measure"]).aggregate([("value", "sum"), ("value", "count")])
    for row in totals.to_pylist():
        kind, _, hashed = row["measure"].rpartition(":")
        line = found.lines[row["source"], hashed]
        if f"{kind}:" == LINES_MEASURE:
            line.documents += row["value_count"]
            line.occurrences += int(row["value_sum"])
        else:
            line.characters += int(row["value_sum"])
    edited = pc.match_substring_regex(rows.column("edits"), _EDITED)
    lost = pc.is_in(rows.column("doc_id"), value_set=pc.unique(own.column("doc_id")))
    emptied = pc.and_(lost, pc.equal(rows.column("fate"), "clean.empty"))
    wrong = pc.and_(pc.xor(edited, lost), pc.invert(emptied))
    for counts, mask in ((found.edited, edited), (found.unexplained, wrong)):
        counts.update(rows.column("source").filter(mask).to_pylist())


def assemble_boilerplate(listed: Mapping[str, Sequence[Mapping[str, Any]]], out: Store) -> None:
    """Write boilerplate.parquet from the files of lines each source met (as `filters.line_counts` writes them).

    documents.parquet and measures.parquet are there; BuildError if they know a line that no file lists.
    """
    removed = removals(out) if listed else Removals()
    rows = []
    for source, files in sorted(listed.items()):
        by_hash: dict[str, dict[str, Any]] = {}
        for content in files:
            for entry in content["lines"]:
                by_hash.setdefault(entry["hash"], _row(source, content, entry))
        for hashed, row in sorted(by_hash.items()):
            gone = removed.lines.pop((source, hashed), RemovedLine())
            row |= {"removed_in": gone.documents, "occurrences": gone.occurrences}
            rows.append(row | {"characters_removed": gone.characters})
    if removed.lines:
        source, hashed = min(removed.lines)
        raise BuildError(
            f"the line {hashed} was removed from documents of {source}, and no list has it.",
            where=BOILERPLATE_FILE,
            why="Every line that leaves is listed.",
            fix="Remove the folders of the stage prepare of that source and build again.",
        )
    write_table(out, BOILERPLATE_FILE, pa.Table.from_pylist(rows, schema=BOILERPLATE), BOILERPLATE)


def _row(source: str, content: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    line = entry.get("line", "")
    return {
        "source": source,
        "line_hash": entry["hash"],
        "line": line,
        "withheld": "" if line else entry.get("withheld") or "not told",
        "kind": entry.get("kind", ""),
        "characters": entry.get("characters", len(line) or None),
        "documents": entry.get("documents"),
        "share": entry.get("share"),
        "documents_read": content.get("documents"),
    }


def listed_hashes(build: Store, source: str) -> frozenset[int]:
    """The lines that a source's documents could lose in this build."""
    return frozenset(int(row["line_hash"], 16) for row in boilerplate_rows(build) if row["source"] == source)


def boilerplate_rows(build: Store) -> Iterator[dict[str, Any]]:
    """The rows of boilerplate.parquet; none for a build of before it was written."""
    if build.exists(BOILERPLATE_FILE):
        with build.reading(BOILERPLATE_FILE) as stream:
            yield from pq.read_table(stream).to_pylist()
