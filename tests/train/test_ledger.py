from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_shards import tiny_shards

from manifests.errors import BuildError
from mixing.reader import Shards, open_shards
from train.data import all_steps, counts
from train.ledger import CONSUMED, Ledger, audit, read_consumed


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    return open_shards(tiny_shards(tmp_path_factory.mktemp("ledger"), rows=23))


def consume(shards: Shards, run: Path, *, epochs: int = 1, world: int = 2, leave_out: int = -1) -> Ledger:
    """The books of a run of steps of 8 rows: 23 rows leave a partial one."""
    ledger = Ledger(shards, epochs=epochs)
    ranks = [
        all_steps(shards, epochs=epochs, rows_per_step=8, micro_rows=2, rank=rank, world_size=world, seed=5)
        for rank in range(world)
    ]
    for number, together in enumerate(zip(*ranks, strict=True)):
        epoch = together[0][0]
        if not ledger.epochs or ledger.epochs[-1].epoch != epoch:
            ledger.begin(epoch)
        parts = [counts(batches, len(shards.sources)) for _, _, batches in together]
        tokens = [sum(column) for column in zip(*parts, strict=True)][1:]
        if number == leave_out:
            tokens[1] -= 7
        ledger.add(tokens, rows_done=together[0][2][-1].rows_consumed)
    ledger.write(run, restricted=False)
    return ledger


@pytest.mark.parametrize("world", [1, 2, 4])
def test_tokens_consumed_equal_the_index_and_the_books_close(shards: Shards, tmp_path: Path, world: int) -> None:
    ledger = consume(shards, tmp_path, epochs=2, world=world)
    assert ledger.closed
    consumed = read_consumed(tmp_path)
    assert [epoch["tokens_by_source"] for epoch in consumed["epochs"]] == 2 * [
        shards.index["totals"]["tokens_by_source"]
    ]
    assert consumed["closed"] is True
    assert audit(tmp_path, shards) == audit(tmp_path) == []


def test_an_audit_names_the_source_and_the_difference(shards: Shards, tmp_path: Path) -> None:
    ledger = consume(shards, tmp_path, leave_out=1)
    assert not ledger.closed
    (problem,) = audit(tmp_path, shards)
    assert "Epoch 0: b has " in problem
    assert problem.endswith(": -7.")


def test_an_audit_reads_the_plan_from_the_shards_and_not_from_the_run(shards: Shards, tmp_path: Path) -> None:
    consume(shards, tmp_path)
    facts = read_consumed(tmp_path)
    facts["epochs"][0]["tokens_by_source"]["a"] += 1
    facts["epochs"][0]["planned_by_source"]["a"] += 1
    (tmp_path / CONSUMED).write_text(json.dumps(facts))
    assert audit(tmp_path) == []
    assert ": +1." in audit(tmp_path, shards)[0]


def test_a_run_that_is_not_over_is_not_closed(shards: Shards, tmp_path: Path) -> None:
    ledger = Ledger(shards, epochs=2)
    ledger.begin(0)
    ledger.add([10.0, 0.0, 0.0], rows_done=8)
    ledger.write(tmp_path, restricted=True)
    assert (tmp_path / CONSUMED).stat().st_mode & 0o077 == 0
    problems = audit(tmp_path)
    assert any("8 of 23 rows" in problem for problem in problems)
    assert any("1 of 2 epochs" in problem for problem in problems)


def test_other_shards_are_noticed(shards: Shards, tmp_path: Path) -> None:
    consume(shards, tmp_path)
    other = open_shards(tiny_shards(tmp_path / "other", rows=23, seed=1))
    assert "fingerprint differs" in audit(tmp_path, other)[0]
    with pytest.raises(BuildError, match=r"no consumed\.json"):
        audit(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (lambda facts: facts.update(closed=False), "closed = false, against its own figures"),
        (lambda facts: facts.update(manifest_sha256="0" * 64), "manifest is not the one"),
        (lambda facts: facts.update(shards_fingerprint="0" * 64), "fingerprint differs"),
        (lambda facts: facts.update(planned_epochs=2), "1 of 2 epochs"),
        (lambda facts: facts["epochs"][0].update(epoch=1), "numbered 1"),
        (lambda facts: facts["epochs"][0].update(rows_done=22), "22 of 23 rows"),
        (lambda facts: facts["epochs"][0].update(planned_rows=22), "plan in consumed.json is not what the shards hold"),
        (lambda facts: facts["epochs"][0]["planned_by_source"].update(a=1), "is not what the shards hold"),
        (lambda facts: facts["epochs"][0]["tokens_by_source"].update(c=1), "c has 1 tokens consumed"),
        (lambda facts: facts["epochs"][0]["tokens_by_source"].update(d=1), "d has 1 tokens consumed and 0 planned"),
        (lambda facts: facts["epochs"].append(facts["epochs"][0]), "2 of 1 epochs"),
    ],
)
def test_a_lie_in_any_field_is_found(
    shards: Shards, tmp_path: Path, lie: Callable[[dict[str, Any]], object], said: str
) -> None:
    consume(shards, tmp_path)
    facts = read_consumed(tmp_path)
    lie(facts)
    (tmp_path / CONSUMED).write_text(json.dumps(facts))
    assert any(said in problem for problem in audit(tmp_path, shards))


def test_epochs_that_were_asked_for_and_are_in_no_book_are_missed(shards: Shards, tmp_path: Path) -> None:
    consume(shards, tmp_path)
    (tmp_path / "config.toml").write_text("[data]\nepochs = 2\n")
    assert any("asks for 2 epochs" in problem for problem in audit(tmp_path, shards))


def test_books_without_a_field_are_refused(shards: Shards, tmp_path: Path) -> None:
    consume(shards, tmp_path)
    facts = read_consumed(tmp_path)
    del facts["epochs"][0]["planned_rows"]
    (tmp_path / CONSUMED).write_text(json.dumps(facts))
    with pytest.raises(BuildError, match="is not what a run wrote"):
        audit(tmp_path, shards)
