"""The document: one text with its provenance, as it travels from a reader to the shards.

A reader yields `Document`s and `Quarantined` items; a rule returns verdicts about a `Document`.
Nothing is dropped by omission: what is not kept carries its reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Status = Literal["current", "superseded", "archived", "retracted"]

KINDS = ("abstract", "article", "guideline", "encyclopedia", "note", "qa", "replay")
"""What a document is; `encyclopedia` is counted apart from `guideline`."""


@dataclass(slots=True)
class Document:
    """One text and what is known about it. Empty string = unknown or not applicable."""

    doc_id: str
    """`<source>:<native id>`, stable across builds; never an index, never a path."""
    source: str
    """Id of the source as the recipe names it."""
    kind: str
    """One of `KINDS`."""
    text: str
    """UTF-8, NFC; headings `#`..`######`, pipe tables, one blank line between blocks."""
    title: str = ""
    url: str = ""
    """The publisher's public address, never a mirror's or the sample server's."""
    licence: str = "unknown"
    """SPDX id or `LicenseRef-...`; `unknown` when nothing says."""
    licence_evidence: str = ""
    """Where the licence was read: `card`, `permissions`, `bucket:license_code`, ..."""
    lang: str = ""
    """ISO 639-1, as the source declares it or as detected."""
    year: int | None = None
    published: str = ""
    """ISO 8601 date, as precise as the source gives it (`2021`, `2021-03`, `2021-03-04`)."""
    raw_ref: str = ""
    """sha256 (64 hex) of the captured payload this document was read from."""
    document_status: Status = "current"
    restricted: bool = False
    """True: credentialed text; never in logs, tracebacks, manifests, reports."""
    subject: str = ""
    """Patient key, restricted sources only."""
    family: str = ""
    """What versions of one work share: the `doc_id` of another version that the source names, here or not, or
    `<source>:<an id that all versions bear>`. Empty where the source says nothing."""
    pmid: str = ""
    pmcid: str = ""
    """`PMC` + digits."""
    doi: str = ""
    score: float | None = None
    indexing: tuple[str, ...] = ()
    """How its index classes it, for rules: `journal:...`, `type:...`, `mesh:...`, `mesh:.../qualifier`."""
    counts: dict[str, int] = field(default_factory=dict)
    """What extraction removed or met, by `extract.*` name: blocks, never silent."""
    measures: dict[str, float] = field(default_factory=dict)
    """What extraction measured of it, by name; `measures.parquet` has them under `manifests.schema.EXTRACTION`."""


@dataclass(slots=True, frozen=True)
class Quarantined:
    """An item, or part of one, that could not be read, with the reason."""

    item: str
    """What it was: a file name, a member name, a record id."""
    source: str
    reason: str
    """A reason of `manifests.reasons` whose stage is `extract`."""
    detail: str = ""
    """One sentence for a person; for restricted sources without any of the text."""
    raw_ref: str = ""
