"""Loss on held-out rows where training has score buckets: of the source whole, weighted by all its buckets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from tiny_shards import tiny_shards

from mixing.reader import open_shards
from train.config import load_config
from train.engine import LossSums
from train.validation import validate


class _Engine:
    rank, world = 0, 1

    def evaluate(self, batches: Any) -> LossSums:
        assert list(batches)
        return LossSums(14.0, 6, [2.0, 12.0, 0.0], [2, 4, 0])


def test_buckets_of_training_are_one_source_held_out(tmp_path: Path) -> None:
    held_out = open_shards(tiny_shards(tmp_path / "v", rows=2, sources=("a", "b")))
    shares = {"a": 10, "b/0": 20, "b/unscored": 10}
    found = validate(cast("Any", _Engine()), held_out, load_config("sample"), shares)
    assert found["by_source"] == {"a": 1.0, "b": 3.0}
    assert found["mixture"] == (1.0 * 10 + 3.0 * 30) / 40
