"""Disk and core-hours of a build, from rates measured here: what a person plans a machine by.

The rates are of 2026-11-21, one core of a shared machine with other work on it, Python 3.11, real text: 1,053 JATS
articles (34.8 million characters) and 12,251 MEDLINE records (15.4 million) through the whole recipe `local-files`,
wall seconds of their tasks. They are low rather than high; a network that is slower than the cores decides otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from scrapers.source import load

if TYPE_CHECKING:
    from pipelines.plan import Plan

PREPARED_CHARACTERS_PER_SECOND = 0.8e6
"""Read, extract, clean, language, quality, identifiers, signatures: 0.84 million for JATS, 0.81 for MEDLINE."""
TOKENS_PER_SECOND = 2.1e6
"""SentencePiece style without pre-tokenizer, tests/benchmarks/README.md; byte-level is four times as fast."""
CHARACTERS_PER_TOKEN = 3.7
"""Of a vocabulary of 32,000 pieces: 3.43 measured on JATS, 3.65 on visit notes, 3.90 on abstracts."""
TEXT_BYTES_PER_CHARACTER = 0.64
"""Prepared text with signatures and books: 9.80 MB for 15.3 million characters."""
BLOCK_BYTES_PER_TOKEN = 2.14
"""Rows and lists of documents, 16-bit tokens: 9.88 MB for 4.61 million tokens."""
SHARD_BYTES_PER_TOKEN = 2.04
"""16-bit tokens: 9.40 MB for 4.61 million tokens."""
MEASURED = "rates measured here on 2026-11-21 on real articles and abstracts, one core: see pipelines/costs.py"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a publisher wants to be asked: a page a document, at its delay."""

    source: str
    documents: int
    delay_seconds: float

    @property
    def hours(self) -> float:
        return self.documents * self.delay_seconds / 3600


@dataclass(frozen=True, slots=True)
class Costs:
    """What a build takes besides the download."""

    core_hours: float
    stages_bytes: int
    shards_bytes: int
    complete: bool
    """False: sources of unknown size, or the unknown total of the mixture, are not in it."""


def costs_of(tokens: Mapping[str, int | None], total: int | None) -> Costs:
    """Costs of preparing `tokens` (expected, by source; None: unknown) and of shards with `total` effective tokens."""
    known = sum(found for found in tokens.values() if found)
    characters = known * CHARACTERS_PER_TOKEN
    seconds = characters / PREPARED_CHARACTERS_PER_SECOND + known / TOKENS_PER_SECOND
    return Costs(
        core_hours=seconds / 3600,
        stages_bytes=round(characters * TEXT_BYTES_PER_CHARACTER + known * BLOCK_BYTES_PER_TOKEN),
        shards_bytes=round((total or 0) * SHARD_BYTES_PER_TOKEN),
        complete=None not in tokens.values() and total is not None,
    )


def pace_of(plan: Plan, documents: Mapping[str, int | None]) -> Pace | None:
    """The publisher that takes longest of those still to be asked page by page; they are asked side by side."""
    found = []
    for source, expected in documents.items():
        config = plan.config(source)
        if config.kind not in ("guideline", "encyclopedia") or plan.digest(source) or not expected:
            continue
        module = import_module(type(load(config)).__module__)
        delay = float(config.options.get("delay_seconds", getattr(module, "DELAY_SECONDS", 0.0)))
        found.append(Pace(source, expected, delay))
    return max(found, key=lambda pace: pace.hours, default=None)
