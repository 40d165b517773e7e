"""Buckets: documents that share a band digest, and the pairs worth comparing.

A bucket of m documents gives fewer than 2m pairs, never m², so memory stays linear in the documents.
Positions are row numbers of one table; every pair is (smaller, larger).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dedup.shingles import Hashes

Positions = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_NO_PAIRS = np.empty((0, 2), dtype=np.int64)


def bucketed(bands: Hashes, valid: Flags, salt: Hashes | None = None) -> tuple[Positions, Positions]:
    """(bucket, position) of every document in a bucket of two or more, by bucket, then position.

    `bands` has one row per document and one column per band; rows that are not `valid` are in no bucket. With `salt`
    documents share a bucket only if they share their salt too.
    """
    positions = np.flatnonzero(valid)
    buckets, members, n_buckets = [], [], 0
    for band in range(bands.shape[1]):
        digests = _digests(bands, positions, band, salt)
        order = np.argsort(digests, kind="stable")
        digests = digests[order]
        follows = np.zeros(len(digests) + 1, dtype=bool)
        follows[1:-1] = digests[1:] == digests[:-1]
        shared = follows[:-1] | follows[1:]
        numbers = np.cumsum(~follows[:-1][shared])
        buckets.append(numbers + n_buckets)
        members.append(positions[order[shared]])
        n_buckets += int(numbers[-1]) if len(numbers) else 0
    if not buckets:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    return np.concatenate(buckets).astype(np.int64), np.concatenate(members).astype(np.int64)


def linked(buckets: Positions, members: Positions) -> Positions:
    """Pairs of each member with the first and with the previous of its bucket, without repetitions, sorted."""
    return _unique(np.concatenate([_with_previous(buckets, members), with_first(buckets, members)]))


def with_first(buckets: Positions, members: Positions) -> Positions:
    """Pairs of each member with the first of its bucket, without repetitions, sorted."""
    if not len(members):
        return _NO_PAIRS
    first = np.ones(len(buckets), dtype=bool)
    first[1:] = buckets[1:] != buckets[:-1]
    starts = np.flatnonzero(first)
    leaders = members[starts][np.cumsum(first) - 1]
    return _unique(np.column_stack([leaders, members])[~first])


def _with_previous(buckets: Positions, members: Positions) -> Positions:
    same = buckets[1:] == buckets[:-1]
    return np.column_stack([members[:-1][same], members[1:][same]])


def candidate_pairs(bands: Hashes, valid: Flags) -> Positions:
    """Pairs of positions that share a band digest, as an (m, 2) array without repetitions, sorted.

    Within a bucket each document is paired with the first and with its predecessor: every bucket is connected.
    """
    pairs = [_NO_PAIRS]
    for band in range(bands.shape[1]):
        pairs.append(linked(*bucketed(bands[:, band : band + 1], valid)))
    return _unique(np.concatenate(pairs))


def pairs_with(bands: Hashes, valid: Flags, chosen: Flags, salt: Hashes | None = None) -> Positions:
    """Every pair of a `chosen` document with one that shares a band digest: all of them, for a few documents."""
    found = [_NO_PAIRS]
    positions = np.flatnonzero(valid)
    asked = np.flatnonzero(valid & chosen)
    for band in range(bands.shape[1]):
        digests = _digests(bands, positions, band, salt)
        order = np.argsort(digests, kind="stable")
        digests, wanted = digests[order], _digests(bands, asked, band, salt)
        low = np.searchsorted(digests, wanted, side="left").tolist()
        high = np.searchsorted(digests, wanted, side="right").tolist()
        for position, start, stop in zip(asked.tolist(), low, high, strict=True):
            others = positions[order[start:stop]]
            others = others[others != position]
            found.append(np.column_stack([np.minimum(others, position), np.maximum(others, position)]))
    return _unique(np.concatenate(found))


def _digests(bands: Hashes, positions: Positions, band: int, salt: Hashes | None) -> Hashes:
    digests: Hashes = bands[positions, band]
    return digests if salt is None else digests ^ salt[positions]


def _unique(pairs: Positions) -> Positions:
    # Two positions in one integer sort many times faster than rows do; 2**31 documents are beyond any corpus.
    packed = np.unique((pairs[:, 0] << np.int64(32)) | pairs[:, 1])
    return np.column_stack([packed >> np.int64(32), packed & np.int64(0xFFFFFFFF)])
