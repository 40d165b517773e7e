"""The public reader: rows, slices, batches and epochs of shards, damage refused, and 129 billion tokens at once."""

from __future__ import annotations

import ctypes
import io
import json
import mmap
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import BuildError
from manifests.store import Store
from mixing import shards as shards_module
from mixing.reader import Shards
from mixing.rows import BATCH_ROWS, REMOVED_KEY, Rows, row_schema, to_batch
from mixing.shards import ShardRecord, write_folder_files, write_shard

ROW = 21
SIZES = (2345, 3, 1000)


def rows_of(n: int, seed: int) -> Rows:
    random = np.random.default_rng(seed)
    counts = random.integers(1, 4, n)
    offsets = np.concatenate(([0], np.cumsum(counts)))
    ends = np.concatenate([np.sort(random.choice(ROW, k, replace=False)) + 1 for k in counts])
    return Rows(
        input_ids=random.integers(0, 60_000, (n, ROW)).astype(np.uint16),
        offsets=offsets,
        doc_ends=ends.astype(np.int32),
        doc_key=random.integers(1, 2**63, len(ends), dtype=np.uint64),
        continues=random.integers(0, 2, n).astype(bool),
        source=random.integers(0, 2, n).astype(np.uint16),
    )


def write(folder: Path, **options: Any) -> Shards:
    store, records = Store(folder), []
    for number, n in enumerate(SIZES):
        file = f"shard-{number:05d}.arrow"
        with store.writing(file) as stream:
            rows = rows_of(n, number)
            records.append(write_shard(stream, [rows], file=file, sources=["a", "b"], row_tokens=ROW, dtype="uint16"))
    describe(folder, records, ROW, **options)
    return shards_module.open(folder)


def describe(folder: Path, records: list[ShardRecord], row_tokens: int, **options: Any) -> None:
    options = {"schedule": {"kind": "constant"}, "restricted": False, "tokenizer": {"pad_id": 0}} | options
    write_folder_files(
        Store(folder), records, sources=["a", "b"], sequence_length=row_tokens - 1, dtype="uint16", **options
    )


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    found = write(tmp_path_factory.mktemp("shards"))
    found.window_rows = 150
    return found


@pytest.fixture(scope="module")
def matrix(shards: Shards) -> np.ndarray[Any, Any]:
    """All tokens, as pyarrow alone reads them."""
    folder = shards.folder
    tables = [pa.ipc.open_stream(folder / f"shard-{number:05d}.arrow").read_all() for number in range(len(SIZES))]
    found: np.ndarray[Any, Any] = np.asarray(pa.concat_tables(tables)["input_ids"].to_pylist())
    return found


def test_rows_slices_and_picks_are_the_files_rows(shards: Shards, matrix: np.ndarray[Any, Any]) -> None:
    assert len(shards) == len(matrix) == sum(SIZES)
    assert np.array_equal(np.stack([shards[i].input_ids for i in range(0, len(shards), 7)]), matrix[::7])
    assert np.array_equal(shards[-1].input_ids, matrix[-1])
    for part in (slice(0, 5), slice(990, 1010), slice(2340, 2350), slice(-3, None), slice(900, 100, -7)):
        assert np.array_equal(shards[part].input_ids, matrix[part])
    for i in (len(shards), -len(shards) - 1):
        with pytest.raises(IndexError):
            shards[i]
        with pytest.raises(IndexError):
            shards.tokens([i])
    with pytest.raises(IndexError):
        shards[5:5]


@given(st.lists(st.integers(0, sum(SIZES) - 1), min_size=1, max_size=60), st.sampled_from(["int64", "int32", "uint16"]))
@settings(max_examples=60, deadline=None)
def test_any_rows_in_any_order(shards: Shards, matrix: np.ndarray[Any, Any], wanted: list[int], dtype: str) -> None:
    tokens, rows = shards.tokens(wanted, dtype), shards.rows(wanted)
    assert tokens.dtype == np.dtype(dtype)
    assert np.array_equal(tokens, matrix[wanted])
    assert np.array_equal(rows.input_ids, matrix[wanted])
    for at, i in enumerate(wanted):
        one = shards[i]
        here = slice(int(rows.offsets[at]), int(rows.offsets[at + 1]))
        assert np.array_equal(rows.doc_ends[here], one.doc_ends)
        assert np.array_equal(rows.doc_key[here], one.doc_key)
        assert (bool(rows.continues[at]), one.n_tokens) == (one.continues, int(rows.tokens[at]))


@given(st.integers(1, 333), st.integers(1, 333), st.integers(0, sum(SIZES)), st.integers(0, 3), st.integers(0, 2))
@settings(max_examples=40, deadline=None)
def test_an_epoch_is_resumed_by_its_row_count_at_any_batch_size(
    shards: Shards, matrix: np.ndarray[Any, Any], before: int, after: int, wanted: int, epoch: int, seed: int
) -> None:
    had: list[np.ndarray[Any, Any]] = []
    state = 0
    for batch in shards.read(before, epoch=epoch, seed=seed):
        if state >= wanted:
            break
        had.append(batch)
        state += len(batch)
    had += shards.read(after, epoch=epoch, seed=seed, start_row=state)
    order = shards.order(epoch, seed).rows(np.arange(len(shards)))
    assert np.array_equal(np.concatenate(had), matrix[order])
    assert sorted(order.tolist()) == list(range(len(shards)))
    if epoch == 0:
        assert order.tolist() == list(range(len(shards)))
    else:
        # Windows move, and rows move in them, but none leaves its window.
        windows = np.split(order, np.flatnonzero(np.diff(order // shards.window_rows)) + 1)
        assert sorted(len(set(one // shards.window_rows)) for one in windows) == [1] * len(windows)
        assert len(windows) == -(-len(shards) // shards.window_rows)
        assert order.tolist() != list(range(len(shards)))


def test_what_a_takedown_removed_is_not_counted(shards: Shards) -> None:
    row = shards[0]
    lengths = np.diff(row.doc_ends, prepend=0)
    keys = row.doc_key.copy()
    keys[0] = REMOVED_KEY
    assert replace(row, doc_key=keys).n_tokens == row.n_tokens - lengths[0]


def test_reading_needs_no_torch() -> None:
    script = "import mixing.shards, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def change_index(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text())
        (folder / "index.json").write_text(json.dumps(index | changes))

    return change


def drop_index_key(folder: Path) -> None:
    (folder / "index.json").write_text(json.dumps({"version": 1, "row_tokens": 5}))


def another_corpus(folder: Path) -> None:
    """A file of the right size whose columns are another corpus's."""
    stream = io.BytesIO()
    rows = rows_of(40, 9)
    wide = Rows(
        np.zeros((40, ROW), dtype=np.uint32), rows.offsets, rows.doc_ends, rows.doc_key, rows.continues, rows.source
    )
    write_shard(stream, [wide], file="x", sources=["a", "b"], row_tokens=ROW, dtype="uint32")
    replace_file(folder, stream.getvalue())


def other_rows(folder: Path) -> None:
    stream = io.BytesIO()
    write_shard(stream, [rows_of(40, 9)], file="x", sources=["a", "b"], row_tokens=ROW, dtype="uint16")
    replace_file(folder, stream.getvalue())


def replace_file(folder: Path, content: bytes) -> None:
    path = folder / "shard-00000.arrow"
    size = path.stat().st_size
    assert len(content) <= size
    path.write_bytes(content + bytes(size - len(content)))


def torn(folder: Path) -> None:
    replace_file(folder, (folder / "shard-00000.arrow").read_bytes()[: 1 << 15])


def noise(folder: Path) -> None:
    path = folder / "shard-00000.arrow"
    path.write_bytes(b"\x07" * path.stat().st_size)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (change_index(version=2), "version 2; this medtrove reads version 1"),
        (drop_index_key, "is not of medtrove shards"),
        (
            lambda folder: (folder / "index.json").write_text('{"version": 2, "shards": []}'),
            "is not of medtrove shards",
        ),
        (lambda folder: (folder / "index.json").write_text("[]"), "is not of medtrove shards"),
        (lambda folder: (folder / "index.json").unlink(), r"no readable index\.json"),
        (lambda folder: (folder / "shard-00001.arrow").unlink(), r"is missing \(3 rows\)"),
        (lambda folder: (folder / "shard-00001.arrow").write_bytes(b"ARROW"), "has 5 bytes"),
        (another_corpus, "is of another corpus"),
        (other_rows, "has 40 rows in 1 batches"),
        (torn, "has 1,000 rows in 1 batches"),
        (noise, "is damaged"),
    ],
)
def test_what_is_not_whole_or_not_ours_is_refused(tmp_path: Path, damage: Callable[[Path], None], says: str) -> None:
    write(tmp_path)
    damage(tmp_path)
    with pytest.raises(BuildError, match=says) as refusal:
        shards_module.open(tmp_path)[0]
    assert refusal.value.fix
    assert str(tmp_path) in str(refusal.value)


def test_verify_reads_every_byte(tmp_path: Path) -> None:
    shards = write(tmp_path)
    shards.verify()
    path = tmp_path / "shard-00002.arrow"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    again = shards_module.open(tmp_path)
    with pytest.raises(BuildError, match=r"shard-00002\.arrow.*sha256 differs"):
        again.verify()


def sparse_corpus(folder: Path, n_rows: int, row_tokens: int, rows_per_shard: int) -> None:
    """Shards of that size whose tokens are holes of the file system: the metadata of every batch is real."""
    schema = row_schema(row_tokens, "uint16", source=True)
    records, metadata = [], {}
    for size in (BATCH_ROWS, rows_per_shard % BATCH_ROWS, n_rows % rows_per_shard % BATCH_ROWS):
        if size not in metadata and size:
            empty = Rows(
                np.zeros((size, row_tokens), dtype=np.uint16),
                np.zeros(size + 1, dtype=np.int64),
                np.zeros(0, dtype=np.int32),
                np.zeros(0, dtype=np.uint64),
                np.zeros(size, dtype=bool),
                np.zeros(size, dtype=np.uint16),
            )
            message = to_batch(empty).serialize()
            length = 8 + int.from_bytes(message.slice(4, 4).to_pybytes(), "little")
            metadata[size] = (message.slice(0, length).to_pybytes(), message.size - length)
    head, end = schema.serialize().to_pybytes(), b"\xff\xff\xff\xff\x00\x00\x00\x00"
    folder.mkdir()
    for number, first in enumerate(range(0, n_rows, rows_per_shard)):
        rows = min(rows_per_shard, n_rows - first)
        path = folder / f"shard-{number:05d}.arrow"
        with path.open("wb") as stream:
            stream.write(head)
            for begin in range(0, rows, BATCH_ROWS):
                text, body = metadata[min(BATCH_ROWS, rows - begin)]
                stream.write(text)
                stream.seek(body, io.SEEK_CUR)
            stream.write(end)
        records.append(ShardRecord(path.name, rows, path.stat().st_size, "0" * 64, {}))
    describe(folder, records, row_tokens)


FIRST_BATCH = """
import sys, time
from mixing.shards import open as open_shards
began = time.perf_counter()
shards = open_shards(sys.argv[1])
batch = next(shards.read(8, epoch=int(sys.argv[2]), seed=3, start_row=int(sys.argv[3])))
print(time.perf_counter() - began, *batch.shape, len(shards))
"""


def forget(paths: list[Path]) -> None:
    """Have the system drop its cached pages of these files."""
    for path in paths:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cached_bytes(path: Path) -> int:
    """How much of a file the system has in memory."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        pages = np.zeros(-(-len(mapped) // mmap.PAGESIZE), dtype=np.uint8)
        whole = np.frombuffer(mapped, dtype=np.uint8)
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
        assert libc.mincore(whole.ctypes.data, len(mapped), pages.ctypes.data) == 0
        del whole
    return int((pages & 1).sum()) * mmap.PAGESIZE


@pytest.mark.slow
def test_129_billion_tokens_are_open_at_once(tmp_path: Path) -> None:
    row_tokens = 4097
    n_rows = -(-129_000_000_000 // row_tokens)
    sparse_corpus(tmp_path / "shards", n_rows, row_tokens, 131_072)
    files = sorted((tmp_path / "shards").glob("*.arrow"))
    assert sum(path.stat().st_size for path in files) > 258e9
    assert sum(path.stat().st_blocks * 512 for path in files) < 1e9
    for epoch, start in ((0, 0), (0, n_rows - 8), (3, 0), (3, n_rows // 3)):
        forget(files)
        assert sum(map(cached_bytes, files)) < 1e6
        command = [sys.executable, "-c", FIRST_BATCH, str(tmp_path / "shards"), str(epoch), str(start)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, *shape = done.stdout.split()
        read = sum(map(cached_bytes, files))
        print(f"epoch {epoch}, row {start:,}: first batch after {seconds} s, {read:,} bytes of the files read")
        assert shape == ["8", "4097", str(n_rows)]
        # One gigabyte is the size of one file; what a row touches is read with what the system reads ahead.
        assert read < 100e6
