"""Seeded order without state: hashing and permutations that are pure functions, the same on every machine.

numpy's generators may change their streams between versions (NEP 19); what stands here may not, because shards
already built depend on it. Only 64-bit integer arithmetic is used.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xxhash

UInt64Array = npt.NDArray[np.uint64]

_ROUNDS = 8
"""Feistel rounds; four already give a pseudo-random permutation."""
_TABLE = 256
"""Ranges up to this size are sorted by hash instead: a network reaches only half of the permutations of few bits."""


def mix64(values: npt.ArrayLike) -> UInt64Array:
    """splitmix64 of each value: a bijection of 64-bit words without visible pattern (Steele et al. 2014)."""
    x = np.atleast_1d(np.asarray(values, dtype=np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def seed_of(*parts: int | str) -> int:
    """A 64-bit seed named by `parts`, such as (seed, source, pass, block)."""
    return xxhash.xxh3_64_intdigest("\x1f".join(str(part) for part in parts).encode())


def permute(indices: npt.ArrayLike, n: int, seed: int) -> npt.NDArray[np.int64]:
    """Where each index of range(n) goes under the permutation of `seed`: O(1) memory per index.

    A Feistel network over the least even number of bits that holds `n`, walked until it lands inside.
    """
    given = np.atleast_1d(np.asarray(indices, dtype=np.int64))
    if n <= _TABLE:
        table = np.argsort(mix64(mix64(np.arange(n, dtype=np.uint64)) ^ np.uint64(seed)))
        return table.astype(np.int64)[given]
    half = np.uint64(((n - 1).bit_length() + 1) // 2)
    low = (np.uint64(1) << half) - np.uint64(1)
    keys = mix64(np.arange(_ROUNDS, dtype=np.uint64) ^ np.uint64(seed))
    x = _feistel(given.astype(np.uint64), keys, half, low)
    outside = np.flatnonzero(x >= np.uint64(n))
    while outside.size:
        x[outside] = _feistel(x[outside], keys, half, low)
        outside = outside[x[outside] >= np.uint64(n)]
    return x.astype(np.int64)


def _feistel(x: UInt64Array, keys: UInt64Array, half: np.uint64, low: np.uint64) -> UInt64Array:
    left, right = x >> half, x & low
    for key in keys:
        left, right = right, left ^ (mix64(right ^ key) & low)
    return (left << half) | right
