from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import BuildError
from mixing.blocks import BLOCK_PLACEMENTS, BlockFile, block_of, block_range, gather, pack_block, repack, write_block
from mixing.rows import BATCH_ROWS, concatenate, from_batch, to_batch
from mixing.tokenize import Encoded

ROW = 33


def documents(n: int, seed: int, longest: int = 90) -> tuple[np.ndarray, Encoded]:
    random = np.random.default_rng(seed)
    lengths = random.integers(0, longest, n)
    keys = np.sort(random.integers(1, 2**64, n, dtype=np.uint64))
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    return keys, Encoded(random.integers(3, 60_000, int(offsets[-1])).astype(np.uint16), offsets)


def written(
    tmp_path: Path, keys: np.ndarray, encoded: Encoded, name: str = "block.arrow"
) -> tuple[BlockFile, pa.Table]:
    block = pack_block(keys, encoded, ROW, 0)
    with (tmp_path / name).open("wb") as stream:
        write_block(stream, block)
    return BlockFile(tmp_path / name), block.placements


@given(st.integers(1, 4000), st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
@settings(max_examples=200, deadline=None)
def test_block_ranges_tile_the_keys(n_blocks: int, keys: list[int]) -> None:
    for key, block in zip(keys, block_of(keys, n_blocks).tolist(), strict=True):
        low, past = block_range(block, n_blocks)
        assert low <= key < past
    assert block_range(0, n_blocks)[0] == 0
    assert block_range(n_blocks - 1, n_blocks)[1] == 2**64
    middle = n_blocks // 2
    assert block_range(middle, n_blocks)[1] == block_range(middle + 1, n_blocks)[0]


def test_every_token_of_every_document_comes_back(tmp_path: Path) -> None:
    keys, encoded = documents(2500, 1)
    block, placements = written(tmp_path, keys, encoded)
    assert len(block) > BATCH_ROWS
    assert placements.schema == BLOCK_PLACEMENTS
    # Documents without a token have no place.
    stored = np.flatnonzero(encoded.lengths)
    assert set(placements["doc_key"].to_pylist()) == set(keys[stored].tolist())
    back = gather(block, placements, keys[stored])
    assert np.array_equal(back.ids, encoded.ids)
    assert np.array_equal(back.lengths, encoded.lengths[stored])


def test_chosen_documents_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    keys, encoded = documents(300, 2)
    block, placements = written(tmp_path, keys, encoded)
    some = np.random.default_rng(0).permutation(np.flatnonzero(encoded.lengths))[:50]
    back = gather(block, placements, keys[some])
    for i, document in enumerate(some):
        assert np.array_equal(back[i], encoded[document])


def test_a_document_the_block_does_not_hold_is_refused(tmp_path: Path) -> None:
    keys, encoded = documents(10, 3, longest=20)
    block, placements = written(tmp_path, keys, encoded)
    with pytest.raises(KeyError, match="0000000000000001 is not in this block"):
        gather(block, placements, np.asarray([1], dtype=np.uint64))


def test_rows_say_where_documents_end_and_padding_begins(tmp_path: Path) -> None:
    keys, encoded = documents(400, 4)
    packed = pack_block(keys, encoded, ROW, 7)
    rows = packed.rows
    assert packed.n_tokens == rows.tokens.sum() == len(encoded.ids)
    assert packed.padding == len(rows) * ROW - packed.n_tokens
    assert packed.n_documents == np.count_nonzero(encoded.lengths)
    lengths = dict(zip(keys.tolist(), encoded.lengths.tolist(), strict=True))
    seen = dict.fromkeys(keys.tolist(), 0)
    for i in range(len(rows)):
        ends = rows.doc_ends[rows.offsets[i] : rows.offsets[i + 1]]
        assert (np.diff(ends) > 0).all()
        assert 0 < ends[0] <= ends[-1] == rows.used[i] <= ROW
        assert (rows.input_ids[i, ends[-1] :] == 7).all()
        for key, length in zip(
            rows.doc_key[rows.offsets[i] : rows.offsets[i + 1]].tolist(), np.diff(ends, prepend=0).tolist(), strict=True
        ):
            seen[key] += length
    assert seen == lengths


def test_any_rows_are_read_in_any_order(tmp_path: Path) -> None:
    keys, encoded = documents(3000, 5)
    whole = pack_block(keys, encoded, ROW, 0).rows
    block, _ = written(tmp_path, keys, encoded)
    wanted = np.random.default_rng(1).integers(0, len(block), 700)
    got, expected = block.take(wanted), whole.take(wanted)
    for name in ("input_ids", "offsets", "doc_ends", "doc_key", "continues"):
        assert np.array_equal(getattr(got, name), getattr(expected, name))
    assert len(block.take([])) == 0


def test_rows_survive_arrow_and_joining() -> None:
    keys, encoded = documents(200, 6)
    rows = pack_block(keys, encoded, ROW, 0).rows.of_source(3)
    half = len(rows) // 2
    again = concatenate([rows.take(np.arange(half)), rows.take(np.arange(half, len(rows)))])
    back = from_batch(to_batch(again))
    for name in ("input_ids", "offsets", "doc_ends", "doc_key", "continues", "source"):
        assert np.array_equal(getattr(back, name), getattr(rows, name))


def test_the_fractional_pass_is_packed_from_several_blocks(tmp_path: Path) -> None:
    chosen, expected = [], {}
    for number in range(3):
        keys, encoded = documents(120, 10 + number)
        block, placements = written(tmp_path, keys, encoded, f"{number}.arrow")
        some = keys[np.flatnonzero(encoded.lengths)][::4]
        chosen.append((block, placements, some))
        expected |= {int(key): encoded[int(np.flatnonzero(keys == key)[0])] for key in some}
    packed = repack(chosen, ROW, 0)
    assert packed.n_documents == len(expected)
    assert packed.n_tokens == sum(map(len, expected.values()))
    with (tmp_path / "fraction.arrow").open("wb") as stream:
        write_block(stream, packed)
    keys = np.asarray(list(expected), dtype=np.uint64)
    back = gather(BlockFile(tmp_path / "fraction.arrow"), packed.placements, keys)
    for i, ids in enumerate(expected.values()):
        assert np.array_equal(back[i], ids)


def test_an_empty_block_is_a_block(tmp_path: Path) -> None:
    nothing = Encoded(np.zeros(0, dtype=np.uint16), np.zeros(1, dtype=np.int64))
    block, placements = written(tmp_path, np.zeros(0, dtype=np.uint64), nothing)
    assert (len(block), len(placements)) == (0, 0)
    assert len(repack([(block, placements, np.zeros(0, dtype=np.uint64))], ROW, 0).rows) == 0


def test_a_block_cut_short_is_refused(tmp_path: Path) -> None:
    keys, encoded = documents(200, 7)
    written(tmp_path, keys, encoded)
    path = tmp_path / "block.arrow"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(BuildError, match="cut short"):
        BlockFile(path)
