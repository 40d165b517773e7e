"""Clusters: what pairs connect, and which member of each stays.

Positions are row numbers of a table sorted by doc_id, so the smallest position is the smallest doc_id.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dedup.buckets import Flags, Positions


def connected(n: int, pairs: Positions) -> Positions:
    """The smallest position each of `n` positions is connected with by `pairs`; itself if with none.

    >>> connected(5, np.array([[3, 1], [4, 3]])).tolist()
    [0, 1, 2, 1, 1]
    """
    labels = np.arange(n, dtype=np.int64)
    left, right = pairs[:, 0], pairs[:, 1]
    while True:
        low, high = np.minimum(labels[left], labels[right]), np.maximum(labels[left], labels[right])
        apart = low != high
        if not apart.any():
            return labels
        left, right = left[apart], right[apart]
        # Each root points to the smallest root it touches, which is smaller than itself: no circles.
        np.minimum.at(labels, high[apart], low[apart])
        labels = rooted(labels)


def rooted(parents: Positions) -> Positions:
    """Where each position ends when `parents` are followed; roots are their own parents."""
    while True:
        further = parents[parents]
        if np.array_equal(further, parents):
            return further
        parents = further


def choose(labels: npt.NDArray[np.integer], *ranks: npt.NDArray[np.integer]) -> Positions:
    """For each position the one that represents its group: least by `ranks` in turn, then by position."""
    n = len(labels)
    order = np.lexsort((np.arange(n), *reversed(ranks), labels))
    sorted_labels = labels[order]
    first = np.ones(n, dtype=bool)
    first[1:] = sorted_labels[1:] != sorted_labels[:-1]
    chosen = np.empty(n, dtype=np.int64)
    chosen[order] = order[first][np.cumsum(first) - 1]
    return chosen


def touched(labels: Positions, denied: Flags) -> Flags:
    """Positions whose cluster holds a denied one: such a cluster leaves as a whole."""
    hit = np.zeros(len(labels), dtype=bool)
    hit[labels[denied]] = True
    return hit[labels]
