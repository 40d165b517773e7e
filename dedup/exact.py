"""Exact duplicates: documents whose normalised texts are equal."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.buckets import Positions


def codes(column: pa.ChunkedArray) -> Positions:
    """Equal strings as equal numbers, by first appearance; the empty string as -1."""
    # 64-bit offsets: a hundred million hashes are more than 2 GB of text.
    encoded = column.cast(pa.large_string()).combine_chunks().dictionary_encode()
    numbers: Positions = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    empty = pc.index(encoded.dictionary, pa.scalar("", pa.large_string())).as_py()
    return np.where(numbers == empty, np.int64(-1), numbers)


def links(groups: Positions) -> Positions:
    """Pairs that connect each position with the first of its group; negative groups connect nothing."""
    positions = np.flatnonzero(groups >= 0)
    order = positions[np.argsort(groups[positions], kind="stable")]
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = groups[order[1:]] != groups[order[:-1]]
    if not len(order):
        return np.empty((0, 2), dtype=np.int64)
    first = order[starts][np.cumsum(starts) - 1]
    return np.column_stack([first, order])[~starts]
