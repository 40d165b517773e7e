"""A document's record while pass 1 works on it: the document, its fate so far, and every value a rule looked at.

Dropped documents stay in the stream with their fate, so that one writer at the end closes the books.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from datatrove.data import Document as Block

from filters.edits import digits, edit_measures
from filters.rule import Drop, Edit, Verdict
from manifests.document import Document
from manifests.reasons import KEPT
from manifests.schema import EXTRACTION

LEFT_OUT = ("_characters", "_digits")
"""How counts of extraction end that say how much text was left out; the others count blocks and marks."""


@dataclass
class Record:
    """One document in the books of a task."""

    document: Document
    n_chars_raw: int
    fate: str = KEPT
    fate_value: float | None = None
    fate_threshold: float | None = None
    phi_action: str = ""
    phi_count: int = 0
    edits: list[str] = field(default_factory=list)
    measures: list[tuple[str, str, float]] = field(default_factory=list)
    """(rule, measure, value)."""
    counts: Counter[str] = field(default_factory=Counter)

    def accept(self, rule: str, verdict: Verdict) -> None:
        """Enter a rule's verdict."""
        self.measures.extend((rule, name, float(value)) for name, value in sorted(verdict.measures.items()))
        self.counts.update(verdict.counts)
        for name, value in verdict.fields.items():
            setattr(self if name in ("phi_action", "phi_count") else self.document, name, value)
        if isinstance(verdict, Drop):
            self.fate, self.fate_value, self.fate_threshold = verdict.reason, verdict.value, verdict.threshold
        elif isinstance(verdict, Edit) and verdict.text != self.document.text:
            made = edit_measures(self.document.text, verdict.text)
            self.measures.extend((rule, name, float(n)) for name, n in sorted(made.items()))
            self.document.text = verdict.text
            self.edits.append(rule)


def to_block(document: Document) -> Any:
    """The document as datatrove carries it."""
    record = Record(document, n_chars_raw=len(document.text), counts=Counter(document.counts))
    measured = {**_of_extraction(document), **document.measures}
    record.measures.extend((EXTRACTION, name, float(value)) for name, value in sorted(measured.items()))
    return Block(text=document.text, id=document.doc_id, metadata={"record": record})


def _of_extraction(document: Document) -> dict[str, int]:
    left_out = {
        name.removeprefix("extract."): n for name, n in document.counts.items() if name.endswith(LEFT_OUT) and n
    }
    return {"digits": digits(document.text), **left_out}


def record_of(block: Any) -> Record:
    """The record a datatrove document carries."""
    record: Record = block.metadata["record"]
    return record
