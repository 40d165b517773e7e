"""One shard, written by whoever is asked: a pure function of the layout, the packed blocks and the shard's number.

A `Layout` says which blocks make up each pass of each source. Position i of the corpus is one row of one source
(`mixing.schedule`); that source's k-th row is one row of one block (`mixing.order`). A task reads just the rows
that its shard holds, so memory is a batch of rows, whatever the size of the corpus.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.schema import PLACEMENTS
from mixing.blocks import BlockFile
from mixing.order import SourceOrder
from mixing.rows import BATCH_ROWS, Pick, Rows, arrange
from mixing.schedule import Curve, Schedule
from mixing.shards import ShardRecord, placements_of, shard_name, write_shard

OpenBlock = Callable[[str], BlockFile]
"""Opens a block by the name that its `BlockRef` has."""

_OPEN_BLOCKS = 64
"""Blocks kept open by one task. A shard needs one or two of each source at a time."""


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A packed block, by the name under which it can be opened."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class SourceLayout:
    """The passes over one source: the same blocks for every whole pass, others for the fractional one."""

    source: str
    passes: tuple[tuple[BlockRef, ...], ...]

    @property
    def n_rows(self) -> int:
        return sum(block.rows for blocks in self.passes for block in blocks)


@dataclass(frozen=True, slots=True)
class Layout:
    """All that decides the shards, apart from the contents of the blocks."""

    sources: tuple[SourceLayout, ...]
    """In recipe order; the position is the source's index in the rows."""
    row_tokens: int
    dtype: str
    rows_per_shard: int
    seed: int
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """Sources that are not spread evenly."""
    loss_mask: bool = False
    """Blocks have that column (conversations), and so have the shards."""

    @property
    def names(self) -> list[str]:
        return [source.source for source in self.sources]

    @property
    def n_rows(self) -> int:
        return sum(source.n_rows for source in self.sources)

    @property
    def n_shards(self) -> int:
        return -(-self.n_rows // self.rows_per_shard)

    def schedule(self) -> Schedule:
        """Which source stands at each position."""
        numbers = {name: number for number, name in enumerate(self.names)}
        curves = {numbers[name]: curve for name, curve in self.curves.items()}
        return Schedule([source.n_rows for source in self.sources], curves)

    def describe(self) -> dict[str, Any]:
        """What `index.json` says of the schedule."""
        return {
            "kind": "annealed" if self.curves else "constant",
            "seed": self.seed,
            "rows": {source.source: source.n_rows for source in self.sources},
            "passes": {source.source: len(source.passes) for source in self.sources},
            # With the rows of each block any row can be traced to its place there: `mixing.places`.
            "blocks": {s.source: [[block.rows for block in blocks] for blocks in s.passes] for s in self.sources},
            "curves": {name: {"used": list(c.used), "progress": list(c.progress)} for name, c in self.curves.items()},
        }

    def to_json(self) -> dict[str, Any]:
        """The layout as plain values, for a task's plan."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Layout:
        """What `to_json` gave, also after a trip through JSON."""
        sources = tuple(
            SourceLayout(s["source"], tuple(tuple(BlockRef(b["name"], b["rows"]) for b in p) for p in s["passes"]))
            for s in value["sources"]
        )
        curves = {name: Curve(tuple(c["used"]), tuple(c["progress"])) for name, c in value["curves"].items()}
        masked = bool(value.get("loss_mask", False))
        return cls(sources, value["row_tokens"], value["dtype"], value["rows_per_shard"], value["seed"], curves, masked)


def source_layout(
    source: str, whole_passes: int, blocks: Sequence[BlockRef], fraction: Sequence[BlockRef] = ()
) -> SourceLayout:
    """`whole_passes` times all blocks, then the blocks of the fractional pass, if there are any."""
    passes = [tuple(blocks)] * whole_passes + ([tuple(fraction)] if fraction else [])
    return SourceLayout(source, tuple(passes))


def write_mixed_shard(
    stream: IO[bytes], layout: Layout, number: int, open_block: OpenBlock
) -> tuple[ShardRecord, pa.Table]:
    """Write the shard `number` of `layout`; its record and its placements."""
    tables: list[pa.Table] = []
    first = number * layout.rows_per_shard
    blocks = _OpenBlocks(open_block)
    schedule = layout.schedule()
    orders = [
        SourceOrder([[block.rows for block in blocks] for blocks in source.passes], source.source, layout.seed)
        for source in layout.sources
    ]

    def parts() -> Iterator[Rows]:
        stop = min(first + layout.rows_per_shard, layout.n_rows)
        source, k = schedule.slice(first, stop)
        for start in range(0, len(k), BATCH_ROWS):
            chosen = slice(start, start + BATCH_ROWS)
            rows, epochs = _collect(layout, orders, blocks, source[chosen], k[chosen])
            tables.append(placements_of(rows, epochs=epochs, shard=number, first_row=start))
            yield rows

    record = write_shard(
        stream,
        parts(),
        file=shard_name(number),
        sources=layout.names,
        row_tokens=layout.row_tokens,
        dtype=layout.dtype,
        loss_mask=layout.loss_mask,
    )
    return record, pa.concat_tables(tables).combine_chunks() if tables else PLACEMENTS.empty_table()


def write_source_rows(
    stream: IO[bytes],
    layout: Layout,
    source: str,
    blocks: Sequence[BlockRef],
    open_block: OpenBlock,
    *,
    names: Sequence[str] = (),
) -> ShardRecord:
    """Write all rows of these blocks of one source, in order, as `<source>.arrow`: its validation rows.

    `names` number the sources, those of the layout if none are given: validation rows know no score buckets.
    """
    names = list(names) or layout.names
    number = names.index(source)

    def parts() -> Iterator[Rows]:
        for block in blocks:
            opened = open_block(block.name)
            for start in range(0, block.rows, BATCH_ROWS):
                yield opened.take(np.arange(start, min(start + BATCH_ROWS, block.rows))).of_source(number)

    return write_shard(
        stream,
        parts(),
        file=f"{source}.arrow",
        sources=names,
        row_tokens=layout.row_tokens,
        dtype=layout.dtype,
        loss_mask=layout.loss_mask,
    )


def _collect(
    layout: Layout,
    orders: Sequence[SourceOrder],
    blocks: _OpenBlocks,
    source: npt.NDArray[np.uint16],
    k: npt.NDArray[np.int64],
) -> tuple[Rows, npt.NDArray[np.int64]]:
    """The rows at these places of the schedule, and the pass that each belongs to."""
    picked: list[Pick] = []
    epochs = np.zeros(len(k), dtype=np.int64)
    for number in np.unique(source).tolist():
        mine = np.flatnonzero(source == number)
        placed = orders[number].locate(k[mine])
        epochs[mine] = placed.pass_number
        places = np.stack((placed.pass_number, placed.block), axis=1)
        for pass_number, block_number in np.unique(places, axis=0).tolist():
            here = (places == (pass_number, block_number)).all(axis=1)
            block = layout.sources[number].passes[pass_number][block_number]
            picked += blocks.get(block.name).picks(placed.row[here], mine[here])
    return arrange(picked).of_source(source), epochs


class _OpenBlocks:
    """The blocks in use, opened when first needed; the one longest unused is let go."""

    def __init__(self, open_block: OpenBlock) -> None:
        self._open_block = open_block
        self._blocks: OrderedDict[str, BlockFile] = OrderedDict()

    def get(self, name: str) -> BlockFile:
        if name not in self._blocks:
            self._blocks[name] = self._open_block(name)
            if len(self._blocks) > _OPEN_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(name)
        return self._blocks[name]
