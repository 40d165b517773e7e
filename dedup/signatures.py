"""MinHash signatures: a text as a few band digests, equal with the probability that similarity gives.

The hash family is datasketch's: `affine32` permutations of its `MinHash` with the recipe's seed. Signatures are its
hash values for the same shingles, worked out in blocks, so that a 5 MB document needs the memory of a page.
Two texts of Jaccard similarity J share a band with probability 1 - (1 - J**rows)**bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xxhash

from dedup.shingles import PIECE_CHARACTERS, Hashes, Split, combined, grouped, pieces, shingle_hashes
from dedup.vocabulary import Vocabulary

__all__ = ["MinHashConfig", "Signature", "Signer", "hashes32", "shingle_hashes"]

BLOCK_SHINGLES = 2048
"""Shingles permuted at once: 112 permutations of them are 0.9 MB, which stays in a core's own cache."""

_LARGEST = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True)
class MinHashConfig:
    """How texts are compared; the defaults find 92 % of the pairs at J = 0.8 and 99.96 % at 0.9."""

    bands: int = 14
    """Digests per document; a pair that shares one is a candidate."""
    rows: int = 8
    """Permutations a digest stands for."""
    ngram: int = 5
    """Words in one shingle."""
    seed: int = 1
    """Of the permutations."""
    min_shingles: int = 1
    """Documents with fewer have no bands and are never candidates."""


@dataclass(frozen=True, eq=False)
class Signature:
    """What is kept of a text to compare it by."""

    bands: Hashes
    """One digest a band; empty for a text without words or with fewer than `min_shingles`."""
    numbers: int
    """64 bits of the multiset of its numbers."""
    n_shingles: int
    """Shingles with repetitions; a text of fewer than `ngram` words is one."""


class Signer:
    """Signs texts; one instance serves a whole worker and remembers the words it has met."""

    def __init__(self, config: MinHashConfig, words: Split, numbers: Split) -> None:
        self.config = config
        self._vocabulary = Vocabulary(words, numbers)
        self._multipliers, self._addends = _permutations(config)
        self._block = np.empty(len(self._multipliers) * BLOCK_SHINGLES, dtype=np.uint32)

    def sign(self, text: str) -> Signature:
        """The signature of `text`."""
        return self.sign_many([text])[0]

    def sign_many(self, texts: Sequence[str]) -> list[Signature]:
        """The signatures of `texts`; twice as quick as one by one where texts are short."""
        made: list[Signature] = []
        for group in grouped(texts):
            made.extend([self._sign_long(group[0])] if len(group[0]) > PIECE_CHARACTERS else self._sign_group(group))
        return made

    def _sign_group(self, texts: Sequence[str]) -> list[Signature]:
        ngram = self.config.ngram
        reading = self._vocabulary.read(texts)
        shingles = combined(reading.words, ngram)
        made, start = [], 0
        for end, numbers in zip(reading.ends.tolist(), reading.numbers.tolist(), strict=True):
            minima = np.full(len(self._multipliers), _LARGEST)
            own = shingles[start : end - ngram + 1]
            if end - start < ngram:
                own = combined(reading.words[start:end], ngram)
            self._lower(minima, own)
            made.append(self._signature(minima, numbers, len(own)))
            start = end
        return made

    def _sign_long(self, text: str) -> Signature:
        """Piece by piece, so that a document of any size needs the same memory."""
        minima = np.full(len(self._multipliers), _LARGEST)
        numbers = n_shingles = 0
        held = np.empty(0, dtype=np.uint64)
        for piece in pieces(text):
            reading = self._vocabulary.read([piece])
            numbers += int(reading.numbers[0])
            held = np.concatenate([held, reading.words])
            if len(held) >= self.config.ngram:
                shingles = combined(held, self.config.ngram)
                n_shingles += len(shingles)
                self._lower(minima, shingles)
                held = held[len(held) - self.config.ngram + 1 :]
        if n_shingles == 0 and len(held):
            n_shingles = 1
            self._lower(minima, combined(held, self.config.ngram))
        return self._signature(minima, numbers % 2**64, n_shingles)

    def _signature(self, minima: npt.NDArray[np.uint32], numbers: int, n_shingles: int) -> Signature:
        signed = n_shingles >= max(self.config.min_shingles, 1)
        return Signature(self._digests(minima) if signed else np.empty(0, dtype=np.uint64), numbers, n_shingles)

    def minima(self, shingles: Hashes) -> npt.NDArray[np.uint32]:
        """What datasketch's `MinHash.hashvalues` are for these shingles: the least value under each permutation."""
        found = np.full(len(self._multipliers), _LARGEST)
        self._lower(found, shingles)
        return found

    def _lower(self, minima: npt.NDArray[np.uint32], shingles: Hashes) -> None:
        for start in range(0, len(shingles), BLOCK_SHINGLES):
            block = _mixed32(hashes32(shingles[start : start + BLOCK_SHINGLES]))
            permuted = self._block[: len(minima) * len(block)].reshape(len(minima), len(block))
            np.multiply(self._multipliers, block, out=permuted)
            np.add(permuted, self._addends, out=permuted)
            np.minimum(minima, permuted.min(axis=1), out=minima)

    def _digests(self, minima: npt.NDArray[np.uint32]) -> Hashes:
        rows, width = minima.astype("<u4", copy=False).tobytes(), 4 * self.config.rows
        digests = [xxhash.xxh3_64_intdigest(rows[at : at + width]) for at in range(0, len(rows), width)]
        return np.array(digests, dtype=np.uint64)


def hashes32(shingles: Hashes) -> npt.NDArray[np.uint32]:
    """The 32 bits of each shingle hash that go into the permutations."""
    return (shingles >> np.uint64(32)).astype(np.uint32)


def _mixed32(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    # The 32-bit finaliser of MurmurHash3, as datasketch applies it before the permutations.
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))


def _permutations(config: MinHashConfig) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    # Here and not at the top: datasketch brings scipy, 0.8 s that only workers should pay.
    from datasketch import MinHash

    family = MinHash(num_perm=config.bands * config.rows, seed=config.seed, scheme="affine32")
    multipliers, addends = np.asarray(family.permutations, dtype=np.uint32)
    return multipliers[:, np.newaxis].copy(), addends[:, np.newaxis].copy()
