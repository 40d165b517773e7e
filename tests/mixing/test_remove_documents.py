from __future__ import annotations

from pathlib import Path

import numpy as np

from mixing.blocks import Block, BlockFile, pack_block, write_block
from mixing.remove import blank, blank_block, blank_shard
from mixing.rows import REMOVED_KEY
from mixing.shards import write_shard
from mixing.tokenize import Encoded

ROW, PAD = 33, 0


def packed(seed: int) -> tuple[Block, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 90, 900)
    keys = np.sort(random.integers(1, 2**64, 900, dtype=np.uint64))
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    # Every token says which document it is of.
    ids = np.repeat(np.arange(1, 901), lengths).astype(np.uint16)
    return pack_block(keys, Encoded(ids, offsets), ROW, PAD), keys, lengths


def test_removed_documents_are_padding_and_all_else_stays() -> None:
    block, keys, lengths = packed(1)
    rows = block.rows
    gone = np.asarray([3, 40, 41, 899])
    after = blank(rows, keys[gone], PAD)
    expected = rows.input_ids.copy()
    expected[np.isin(expected, gone + 1)] = PAD
    assert np.array_equal(after.input_ids, expected)
    assert np.array_equal(after.doc_ends, rows.doc_ends)
    assert rows.tokens.sum() - after.tokens.sum() == lengths[gone].sum()
    assert not np.isin(after.doc_key, keys[gone]).any()
    removed = np.isin(rows.doc_key, keys[gone])
    assert (after.doc_key[removed] == REMOVED_KEY).all()
    assert np.array_equal(after.doc_key[~removed], rows.doc_key[~removed])
    assert blank(after, keys[gone], PAD) is after
    assert blank(rows, [12345], PAD) is rows


def test_a_shard_keeps_its_rows_and_counts_what_is_left(tmp_path: Path) -> None:
    block, keys, lengths = packed(2)
    rows = block.rows.of_source(np.arange(len(block.rows)) % 2)
    path, new = tmp_path / "shard-00000.arrow", tmp_path / "new.arrow"
    names = ["a", "b"]
    with path.open("wb") as stream:
        before = write_shard(stream, [rows], file=path.name, sources=names, row_tokens=ROW, dtype="uint16")
    with new.open("wb") as stream:
        after = blank_shard(path, stream, keys[:50], pad_id=PAD, sources=names)
    assert (after.file, after.rows, after.bytes) == (before.file, before.rows, before.bytes)
    assert after.sha256 != before.sha256
    assert sum(before.tokens.values()) - sum(after.tokens.values()) == lengths[:50].sum()
    with new.open("wb") as stream:
        assert blank_shard(path, stream, [7], pad_id=PAD, sources=names) == before
    assert new.read_bytes() == path.read_bytes()


def test_a_block_without_a_document_equals_its_rows_without_it(tmp_path: Path) -> None:
    block, keys, _ = packed(3)
    with (tmp_path / "a.arrow").open("wb") as stream:
        write_block(stream, block)
    with (tmp_path / "b.arrow").open("wb") as stream:
        blank_block(tmp_path / "a.arrow", stream, keys[5:7], pad_id=PAD)
    after, expected = BlockFile(tmp_path / "b.arrow"), blank(block.rows, keys[5:7], PAD)
    assert len(after) == len(expected)
    assert np.array_equal(after.take(np.arange(len(after))).input_ids, expected.input_ids)
