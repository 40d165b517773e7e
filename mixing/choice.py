"""Which documents: the fractional pass and the validation split, by hash, so that the choice needs no state.

A document's rank is a bijective hash of (seed, key): every choice is "all below a threshold", which each block can
apply alone once the threshold is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from mixing.permute import mix64, seed_of

UInt64Array = npt.NDArray[np.uint64]
Documents = tuple[npt.ArrayLike, npt.ArrayLike]
"""Keys and tokens of some documents."""

_BUCKET_BITS = 16
"""The first look sums tokens by the leading 16 bits of the rank; the second sorts one bucket of 65,536."""


def ranks(doc_keys: npt.ArrayLike, seed: int, purpose: str = "fraction") -> UInt64Array:
    """The rank of each key, without ties between distinct keys."""
    return mix64(mix64(doc_keys) ^ np.uint64(seed_of(seed, purpose)))


def fraction_threshold(blocks: Callable[[], Iterable[Documents]], quota_tokens: int, seed: int) -> int:
    """Documents of rank below the result are the fractional pass: the prefix by rank nearest to the quota.

    `blocks` is called twice and each time yields the same documents, in any order; memory does not grow with them.
    Equally near, the shorter prefix wins. The result is at most 2^64.
    """
    if quota_tokens <= 0:
        return 0
    shift = np.uint64(64 - _BUCKET_BITS)
    totals = np.zeros(1 << _BUCKET_BITS, dtype=np.int64)
    for doc_keys, n_tokens in blocks():
        bucket = (ranks(doc_keys, seed) >> shift).astype(np.int64)
        np.add.at(totals, bucket, np.asarray(n_tokens, dtype=np.int64))
    reached = np.cumsum(totals)
    if reached[-1] <= quota_tokens:
        return 1 << 64
    bucket_number = int(np.searchsorted(reached, quota_tokens, side="right"))
    before = int(reached[bucket_number] - totals[bucket_number])
    found_ranks, found_tokens = [], []
    for doc_keys, n_tokens in blocks():
        rank = ranks(doc_keys, seed)
        inside = (rank >> shift).astype(np.int64) == bucket_number
        found_ranks.append(rank[inside])
        found_tokens.append(np.asarray(n_tokens, dtype=np.int64)[inside])
    rank = np.concatenate(found_ranks)
    order = np.argsort(rank)
    prefix = before + np.concatenate(([0], np.cumsum(np.concatenate(found_tokens)[order])))
    take = int(np.argmin(np.abs(prefix - quota_tokens)))
    return int(rank[order[take]]) if take < len(order) else (bucket_number + 1) << (64 - _BUCKET_BITS)


def below(doc_keys: npt.ArrayLike, threshold: int, seed: int) -> npt.NDArray[np.bool_]:
    """Which documents the threshold of `fraction_threshold` chooses."""
    if threshold >= 1 << 64:
        return np.ones(len(np.atleast_1d(np.asarray(doc_keys))), dtype=bool)
    return ranks(doc_keys, seed) < np.uint64(threshold)


def choose_fraction(
    doc_keys: npt.ArrayLike, n_tokens: npt.ArrayLike, quota_tokens: int, seed: int
) -> npt.NDArray[np.bool_]:
    """Which documents make up `quota_tokens`, as nearly as a prefix by rank can."""
    keys = np.asarray(doc_keys, dtype=np.uint64)
    return below(keys, fraction_threshold(lambda: [(keys, n_tokens)], quota_tokens, seed), seed)


def choose_validation(unit_keys: npt.ArrayLike, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which documents of a source are kept out, by the hash of their unit (patient, else candidate cluster).

    One key per document. At least one unit is chosen and at least one left; a source of a single unit gives none.
    """
    keys = np.asarray(unit_keys, dtype=np.uint64)
    units = np.unique(keys)
    if fraction <= 0 or len(units) < 2:
        return np.zeros(len(keys), dtype=bool)
    rank = ranks(units, seed, "validation")
    order = np.argsort(rank)
    wanted = int(np.count_nonzero(rank < np.uint64(min(int(fraction * 2.0**64), (1 << 64) - 1))))
    chosen = units[order[: min(max(wanted, 1), len(units) - 1)]]
    return np.isin(keys, chosen)
