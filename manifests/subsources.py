"""Score buckets: the documents of a source by their score, each bucket a source of its own in mixture and shards.

Bucket i of the source `X` is the sub-source `X/i`; its documents without a score are `X/unscored`. A source without
buckets is its own only sub-source. A score is compared as documents.parquet states it, as a 32-bit float.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

SEPARATOR = "/"
UNSCORED = "unscored"


def bucket_names(source: str, edges: Sequence[float], *, unscored: bool) -> list[str]:
    """The sub-sources of a source with these edges, lowest scores first."""
    names = [f"{source}{SEPARATOR}{number}" for number in range(len(edges) + 1)]
    return [*names, f"{source}{SEPARATOR}{UNSCORED}"] if unscored else names


def parent(name: str) -> str:
    """The source that a sub-source is part of."""
    return name.partition(SEPARATOR)[0]


def buckets_of(scores: npt.ArrayLike, edges: Sequence[float]) -> npt.NDArray[np.int64]:
    """The bucket of each score: how many edges it reaches; -1 for one that is NaN."""
    values = np.asarray(scores, dtype=np.float32)
    found = np.searchsorted(np.asarray(edges, dtype=np.float32), values, side="right").astype(np.int64)
    return np.where(np.isnan(values), -1, found)


def bucket_edges(recipe: Mapping[str, Any]) -> dict[str, list[float]]:
    """The edges of every source of a resolved recipe that has buckets."""
    found = {name: section.get("buckets") for name, section in recipe["sources"].items()}
    return {name: list(buckets["edges"]) for name, buckets in found.items() if buckets}
