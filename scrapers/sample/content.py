"""Guidelines of the sample world's publishers, as blocks that each publisher's pages are rendered from."""

from __future__ import annotations

from scrapers.sample.blocks import Block, BlockKind, Guideline
from scrapers.sample.guidance import written_guideline
from scrapers.sample.plants import planted_guidelines

__all__ = ["GUIDELINES_PER_PUBLISHER", "Block", "BlockKind", "Guideline", "guidelines"]

GUIDELINES_PER_PUBLISHER = {"cps": 18, "magic": 19, "cdc": 18}
"""Written guidelines without the planted ones."""


def guidelines(publisher: str, seed: int) -> list[Guideline]:
    """The guidelines of `publisher` (`cps`, `magic` or `cdc`), planted ones included, sorted by slug."""
    written = [written_guideline(publisher, seed, n) for n in range(GUIDELINES_PER_PUBLISHER[publisher])]
    return sorted(written + planted_guidelines(publisher, seed, written), key=lambda guideline: guideline.slug)
