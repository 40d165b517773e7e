from __future__ import annotations

from pathlib import Path

import numpy as np
from tiny_shards import tiny_shards

from mixing.reader import open_shards
from train.data import IGNORED, batches


def test_tiny_shards_are_as_awkward_as_real_ones(tmp_path: Path) -> None:
    path = tiny_shards(tmp_path, rows=60, loss_mask=True)
    shards = open_shards(path)
    shards.verify()
    rows = list(shards)
    assert len(shards) == 60
    assert shards.n_shards == 2
    assert any(row.continues for row in rows)
    assert any(row.doc_ends[-1] < shards.row_tokens for row in rows)
    assert max(len(row.doc_ends) for row in rows) >= 3
    assert set(shards.index["totals"]["tokens_by_source"]) == {"a", "b", "c"}
    learned = [(batch.labels != IGNORED).sum(axis=1) for batch in batches(shards, rows_per_batch=60)]
    assert np.ptp(learned[0]) > 20
    held_out = open_shards(tmp_path / "validation")
    assert held_out.index["split"] == "validation"
    assert len(held_out) == 6


def test_they_are_the_same_every_time_and_differ_by_seed(tmp_path: Path) -> None:
    digests = []
    for name, seed in (("x", 0), ("y", 0), ("z", 1)):
        shards = open_shards(tiny_shards(tmp_path / name, rows=7, seed=seed))
        digests.append([shard["sha256"] for shard in shards.index["shards"]])
    assert digests[0] == digests[1] != digests[2]


def test_restricted_ones_are_private(tmp_path: Path) -> None:
    path = tiny_shards(tmp_path, rows=3, restricted=True)
    assert open_shards(path).restricted
    assert (path / "index.json").stat().st_mode & 0o077 == 0
