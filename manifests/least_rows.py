"""The fewest rows that any packing of a build's documents needs, from documents.parquet alone.

Padding is bounded by it, so a build must not state it itself. `mixing.pack` has the same bound over sorted lengths;
here lengths are counted, in whole numbers, and no code is shared. Documents of a block are those whose key lies in one
of K equal ranges (`mixing.blocks`); each pass of a block is packed by itself.

A timeline is not counted again: which notes share a row hangs on days that no table of the manifest holds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.assemble import DOCUMENTS_FILE
from manifests.books import parts_of
from manifests.store import Store

Counts = npt.NDArray[np.int64]
_COLUMNS = ["source", "score", "doc_key", "n_tokens", "epochs", "split"]
_LENGTH_BITS = 32


def fewest_rows(lengths: Mapping[int, int], row_tokens: int) -> int:
    """Rows that documents (how many there are of each length) cannot do without; longer ones than a row may be cut.

    The largest of three bounds: all tokens; Martello and Toth's L2; and that k documents in a row are on average no
    longer than its k-th part.

    >>> fewest_rows({6: 3, 5: 1}, 10), fewest_rows({25: 1, 4: 1}, 10), fewest_rows({}, 10)
    (4, 3, 0)
    """
    sizes = sorted((length, n) for length, n in lengths.items() if 0 < length <= row_tokens)
    total = sum(length * n for length, n in lengths.items())
    return max(-(-total // row_tokens), _by_halves(sizes, row_tokens), _by_count(sizes, row_tokens))


def _by_halves(sizes: Sequence[tuple[int, int]], row: int) -> int:
    """No two of those above half a row share one; what is neither tiny nor large first fills the room they leave."""
    large = [(length, n) for length, n in sizes if length > row // 2]
    small = [(length, n) for length, n in sizes if length <= row // 2]
    n_large = sum(n for _, n in large)
    best = n_large
    tokens = sum(length * n for length, n in small)
    # With a rising threshold more of the large ones stand alone: the room of the others, for thresholds one by one.
    room, at = sum((row - length) * n for length, n in large), len(large)
    for threshold, n in small:
        while at and large[at - 1][0] > row - threshold:
            at -= 1
            room -= (row - large[at][0]) * large[at][1]
        best = max(best, n_large - (-max(0, tokens - room) // row))
        tokens -= threshold * n
    return best


def _by_count(sizes: Sequence[tuple[int, int]], row: int) -> int:
    """A row of k documents holds none but the shortest `many`, whose mean is at most row / k; each gives 1/k less."""
    if not sizes:
        return 0
    n = sum(count for _, count in sizes)
    length = np.array([one for one, _ in sizes], dtype=np.int64)
    count = np.array([one for _, one in sizes], dtype=np.int64)
    documents = np.concatenate(([0], np.cumsum(count)))
    tokens = np.concatenate(([0], np.cumsum(length * count)))
    k = np.arange(2, row // int(length[0]) + 2, dtype=np.int64)
    # The last length all of whose documents belong; of the next one as many as keep the mean: k * tokens <= n * row.
    whole = np.searchsorted(tokens[1:] / documents[1:], row / k, side="right")
    more = np.minimum(whole, len(length) - 1)
    above = k * length[more] - row
    room = documents[whole] * row - k * tokens[whole]
    part = np.where((whole < len(length)) & (above > 0), room // np.maximum(above, 1), 0)
    many = documents[whole] + np.clip(part, 0, np.where(whole < len(length), count[more], 0))
    return math.ceil(n - float((many / (k * (k - 1))).sum()) - 1e-6)


class PackedLengths:
    """How many training documents of each length lie in each block of each sub-source."""

    def __init__(self, build: Store, stated: Mapping[str, Any], edges: Mapping[str, Sequence[float]]) -> None:
        """`stated`: mixture.json, for blocks and whole passes; `edges`: of the sources with score buckets."""
        self._rows = {row["source"]: row for row in stated["sources"]}
        self._found: dict[tuple[str, int, bool], Counter[int]] = {}
        with build.reading(DOCUMENTS_FILE) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=65_536, columns=_COLUMNS):
                rows = pa.Table.from_batches([batch])
                rows = rows.filter(pc.equal(rows["split"], "train")).combine_chunks()
                if len(rows):
                    self._add(rows.append_column("part", parts_of(rows, edges)))

    def _add(self, rows: pa.Table) -> None:
        for name in pc.unique(rows["part"]).to_pylist():
            if name not in self._rows:
                continue  # mixture.counts says so
            mine = rows.filter(pc.equal(rows["part"], name))
            stated = self._rows[name]
            keys = mine["doc_key"].to_numpy()
            n_blocks = np.uint64(stated["blocks_per_pass"])
            block = (((keys >> np.uint64(32)) * n_blocks) >> np.uint64(32)).astype(np.int64)
            again = (mine["epochs"].to_numpy() > stated["whole_passes"]).astype(np.int64)
            codes = ((block * 2 + again) << _LENGTH_BITS) + mine["n_tokens"].to_numpy()
            for code, n in zip(*(one.tolist() for one in np.unique(codes, return_counts=True)), strict=True):
                place, length = divmod(code, 1 << _LENGTH_BITS)
                self._found.setdefault((name, place // 2, bool(place % 2)), Counter())[length] += n

    def least_rows(self, name: str, row_tokens: int) -> int:
        """The fewest rows of all passes of a sub-source."""
        whole_passes = self._rows[name]["whole_passes"]
        least = 0
        for block in {block for part, block, _ in self._found if part == name}:
            again = self._found.get((name, block, True), Counter())
            once = self._found.get((name, block, False), Counter())
            if whole_passes:
                least += whole_passes * fewest_rows(once + again, row_tokens)
            least += fewest_rows(again, row_tokens)
        return least

    def blocks(self, name: str) -> tuple[int, ...]:
        """How many blocks its passes may have: without a document, a partial pass is there or not."""
        per_pass, whole = self._rows[name]["blocks_per_pass"], self._rows[name]["whole_passes"]
        partial = any(part == name and again for part, _, again in self._found)
        return (per_pass * (whole + 1),) if partial else (per_pass * whole, per_pass * (whole + 1))

    def short(self, name: str, row_tokens: int) -> bool:
        """At least half of its documents are no longer than an eighth of the sequence length."""
        lengths: Counter[int] = Counter()
        for found in (found for (part, _, _), found in self._found.items() if part == name):
            lengths.update(found)
        short = sum(n for length, n in lengths.items() if length <= (row_tokens - 1) // 8)
        return 2 * short >= lengths.total()

    def lies(self, name: str, row_tokens: int, *, timeline: bool) -> Iterator[str]:
        """What mixture.json says of a sub-source's packing that its documents do not."""
        stated = self._rows[name]
        if stated["blocks"] not in self.blocks(name):
            yield f"{name}: {stated['blocks']:,} blocks of {stated['blocks_per_pass']:,} a pass"
        if bool(stated["short"]) != self.short(name, row_tokens):
            yield f"{name}: short documents {stated['short']}"
        if not timeline and stated["least_rows"] != (least := self.least_rows(name, row_tokens)):
            yield f"{name}: least rows {stated['least_rows']:,}, its documents need {least:,}"
