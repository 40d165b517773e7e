"""Near-duplicates: who leaves for whom, once pairs are verified.

A cluster is a component over verified pairs, but similarity is not transitive: a document leaves for its representative
only if the two themselves verify. Those that do not are clustered again among themselves, so that a document stays
where nothing that stays is close enough to it: a chain of small edits never removes its far end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dedup.buckets import Positions

Similarity = Callable[[int, int], float | None]


def components(members: Sequence[int], pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The groups of two or more of `members` that `pairs` among them connect, each sorted, by first member."""
    parent = {member: member for member in members}

    def root(member: int) -> int:
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    for one, other in pairs:
        if one in parent and other in parent:
            low, high = sorted((root(one), root(other)))
            parent[high] = low
    groups: dict[int, list[int]] = {}
    for member in sorted(members):
        groups.setdefault(root(member), []).append(member)
    return [group for group in groups.values() if len(group) > 1]


def leaving(
    pairs: Positions, rank: Callable[[int], tuple[int, ...]], similarity: Similarity
) -> dict[int, tuple[int, float]]:
    """Position -> (its representative, their similarity) for all that leave; `rank` orders who represents.

    Clusters without a chain cost one comparison a member; in the worst chain of m members it is m²/2.
    """
    found: dict[int, tuple[int, float]] = {}
    waiting = _grouped(np.unique(pairs).tolist(), [(one, other) for one, other in pairs.tolist()])
    while waiting:
        group, own = waiting.pop()
        best = min(group, key=lambda member: (*rank(member), member))
        left = []
        for member in group:
            if member == best:
                continue
            value = similarity(best, member)
            if value is None:
                left.append(member)
            else:
                found[member] = (best, value)
        if len(left) > 1:
            waiting.extend(_grouped(left, own))
    return found


def _grouped(members: Sequence[int], edges: Sequence[tuple[int, int]]) -> list[tuple[list[int], list[tuple[int, int]]]]:
    """Components with their own edges, one walk over the edges for all of them."""
    groups = components(members, edges)
    number = {member: index for index, group in enumerate(groups) for member in group}
    own: list[list[tuple[int, int]]] = [[] for _ in groups]
    for one, other in edges:
        if one in number and other in number:
            own[number[one]].append((one, other))
    return list(zip(groups, own, strict=True))
