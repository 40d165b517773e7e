from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixing.rows import Rows, from_batch, to_array, to_batch, to_numbers


@pytest.mark.parametrize("kind", [pa.uint8(), pa.uint16(), pa.int32(), pa.uint32(), pa.uint64(), pa.bool_()])
@given(st.lists(st.integers(0, 255), max_size=40), st.integers(0, 12), st.integers(0, 30))
@settings(deadline=None)
def test_arrays_are_those_of_pyarrow_also_when_sliced(kind: pa.DataType, numbers: list[int], at: int, n: int) -> None:
    values = np.asarray(numbers, dtype=np.uint8) % 2 > 0 if kind == pa.bool_() else np.asarray(numbers, dtype=str(kind))
    array = to_array(values, kind)
    array.validate(full=True)
    assert array.equals(pa.array(values.tolist(), kind))
    part = to_numbers(array.slice(at, n))
    assert part.dtype == values.dtype
    assert part.tolist() == values[at : at + n].tolist()


def test_numbers_are_views_of_the_arrow_buffer() -> None:
    array = to_array(np.arange(9, dtype=np.int32), pa.int32())
    assert to_numbers(array).__array_interface__["data"][0] == array.buffers()[1].address


@pytest.mark.parametrize(("number", "kind"), [(2**31, pa.int32()), (-1, pa.uint64()), (65536, pa.uint16())])
def test_a_number_that_the_type_does_not_hold_is_refused(number: int, kind: pa.DataType) -> None:
    with pytest.raises(OverflowError, match="does not hold"):
        to_array(np.asarray([1, number]), kind)


def test_nulls_are_refused() -> None:
    with pytest.raises(ValueError, match="1 nulls"):
        to_numbers(pa.array([1, None], pa.int32()))


def test_a_slice_of_a_batch_has_the_rows_of_the_slice() -> None:
    rows = Rows(
        np.arange(40, dtype=np.uint16).reshape(10, 4),
        np.arange(0, 22, 2),
        np.tile(np.array([1, 4], dtype=np.int32), 10),
        np.arange(1, 21, dtype=np.uint64),
        np.arange(10) % 3 == 0,
        np.arange(10, dtype=np.uint16),
        (np.arange(40) % 2).astype(np.uint8).reshape(10, 4),
    )
    part, expected = from_batch(to_batch(rows).slice(4, 5)), rows.take(np.arange(4, 9))
    for name in ("input_ids", "offsets", "doc_ends", "doc_key", "continues", "source", "loss_mask"):
        assert np.array_equal(getattr(part, name), getattr(expected, name)), name


MIXING = """
import sys
import numpy as np
from mixing.blocks import BlockFile, pack_block, write_block
from mixing.mix import BlockRef, Layout, source_layout, write_mixed_shard
from mixing.tokenize import Encoded
block = pack_block(np.array([3, 9]), Encoded(np.arange(9, dtype=np.uint16), np.array([0, 4, 9])), 5, 0)
with open(sys.argv[1] + "/b.arrow", "wb") as stream:
    write_block(stream, block)
layout = Layout((source_layout("s", 2, [BlockRef("b.arrow", len(block.rows))]),), 5, "uint16", 8, 7)
with open(sys.argv[1] + "/s.arrow", "wb") as stream:
    record, placements = write_mixed_shard(stream, layout, 0, lambda name: BlockFile(sys.argv[1] + "/" + name))
assert (record.rows, len(placements)) == (4, 4)
print(*[name for name in ("pandas", "pyarrow.compute") if name in sys.modules])
"""


def test_mixing_imports_neither_pandas_nor_the_compute_functions(tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="where it is not installed, nothing imports it")
    command = [sys.executable, "-c", MIXING, str(tmp_path)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == []
