"""Which documents the fractional pass takes, by hash, so that the choice needs no state.

A document's rank is a bijective hash of (seed, key): the choice is "all below a threshold", which each block can apply
alone once the threshold is known. Where that would miss the quota by more than a document of the pass, what is missing
is made of shorter documents, again by rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mixing.permute import mix64, seed_of

UInt64Array = npt.NDArray[np.uint64]
Documents = tuple[npt.ArrayLike, npt.ArrayLike]
"""Keys and tokens of some documents."""
Blocks = Callable[[], Iterable[Documents]]
"""Each call yields the same documents, in any order."""
Limit = tuple[int, int | None]
"""Documents of a rank below the first (at most 2^64) that have no more tokens than the second; None: of any length."""

_BUCKET_BITS = 16
"""The first look sums tokens by the leading 16 bits of the rank; the second sorts one bucket of 65,536."""
_ALL = 1 << 64


def ranks(doc_keys: npt.ArrayLike, seed: int) -> UInt64Array:
    """The rank of each key, without ties between distinct keys."""
    return mix64(mix64(doc_keys) ^ np.uint64(seed_of(seed, "fraction")))


def fraction_limits(blocks: Blocks, quota_tokens: int, seed: int, row_tokens: int) -> list[Limit]:
    """A document that meets any of the limits is in the fractional pass; memory does not grow with the documents.

    Their tokens miss the quota by at most the larger of `row_tokens` and the longest of them: the prefix by rank
    nearest to the quota, the shorter one if two are. Where a long document comes next and leaving it out misses by
    more, the prefix of the later ones that are no longer than what is missing, and so on; where there are none, it is
    taken after all.
    """
    if quota_tokens <= 0:
        return []
    first = _prefix(blocks(), blocks(), quota_tokens, seed)
    limits: list[Limit] = [(first.below, None)]
    missing, longest = quota_tokens - first.tokens, first.longest
    while missing > max(row_tokens, longest):
        more = _prefix(_left(blocks(), limits, missing, seed), _left(blocks(), limits, missing, seed), missing, seed)
        if not more.tokens:
            return [(first.with_next, None)]
        limits.append((more.below, missing))
        missing, longest = missing - more.tokens, max(longest, more.longest)
    return limits


def meets(
    doc_keys: npt.ArrayLike, n_tokens: npt.ArrayLike, limits: Sequence[Limit], seed: int
) -> npt.NDArray[np.bool_]:
    """Which documents meet any of the limits of `fraction_limits`."""
    rank, tokens = ranks(doc_keys, seed), np.asarray(n_tokens, dtype=np.int64)
    found = np.zeros(len(rank), dtype=bool)
    for below, most in limits:
        near = np.ones(len(rank), dtype=bool) if below >= _ALL else rank < np.uint64(below)
        found |= near if most is None else near & (tokens <= most)
    return found


@dataclass(frozen=True, slots=True)
class _Prefix:
    """The documents of a rank below `below`."""

    below: int
    with_next: int
    """The threshold that takes one document more."""
    tokens: int
    longest: int


def _prefix(blocks: Iterable[Documents], again: Iterable[Documents], quota_tokens: int, seed: int) -> _Prefix:
    """The prefix by rank nearest to the quota, in two looks at the documents."""
    shift = np.uint64(64 - _BUCKET_BITS)
    totals = np.zeros(1 << _BUCKET_BITS, dtype=np.int64)
    longest = np.zeros(1 << _BUCKET_BITS, dtype=np.int64)
    for doc_keys, n_tokens in blocks:
        bucket, tokens = (ranks(doc_keys, seed) >> shift).astype(np.int64), np.asarray(n_tokens, dtype=np.int64)
        np.add.at(totals, bucket, tokens)
        np.maximum.at(longest, bucket, tokens)
    reached = np.cumsum(totals)
    if reached[-1] <= quota_tokens:
        return _Prefix(_ALL, _ALL, int(reached[-1]), int(longest.max()))
    number = int(np.searchsorted(reached, quota_tokens, side="right"))
    found_ranks, found_tokens = [], []
    for doc_keys, n_tokens in again:
        rank = ranks(doc_keys, seed)
        inside = (rank >> shift).astype(np.int64) == number
        found_ranks.append(rank[inside])
        found_tokens.append(np.asarray(n_tokens, dtype=np.int64)[inside])
    rank = np.concatenate(found_ranks)
    order = np.argsort(rank)
    rank, tokens = rank[order], np.concatenate(found_tokens)[order]
    prefix = int(reached[number] - totals[number]) + np.concatenate(([0], np.cumsum(tokens)))
    take = int(np.argmin(np.abs(prefix - quota_tokens)))

    def threshold(n: int) -> int:
        return int(rank[n]) if n < len(rank) else (number + 1) << (64 - _BUCKET_BITS)

    return _Prefix(
        below=threshold(take),
        with_next=threshold(take + 1),
        tokens=int(prefix[take]),
        longest=int(max(longest[:number].max(initial=0), tokens[:take].max(initial=0))),
    )


def _left(blocks: Iterable[Documents], limits: Sequence[Limit], most: int, seed: int) -> Iterator[Documents]:
    """The documents that meet no limit and have at most so many tokens."""
    for doc_keys, n_tokens in blocks:
        keys, tokens = np.asarray(doc_keys, dtype=np.uint64), np.asarray(n_tokens, dtype=np.int64)
        wanted = ~meets(keys, tokens, limits, seed) & (tokens <= most)
        yield keys[wanted], tokens[wanted]
