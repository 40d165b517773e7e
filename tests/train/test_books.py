from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_shards import tiny_shards

from manifests.errors import CheckFailed
from mixing.reader import Shards, open_shards
from train.books import Books
from train.checkpoint import TrainState
from train.config import RunConfig, load_config
from train.engine import StepResult, for_world
from train.metrics import read_metrics


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    return open_shards(tiny_shards(tmp_path_factory.mktemp("books"), rows=200))


class Weight(SimpleNamespace):
    def numel(self) -> int:
        return int(self.n)


def engine() -> Any:
    """What the books ask an engine for, without a model."""
    embedding, output = Weight(n=100, requires_grad=True), Weight(n=100, requires_grad=True)
    module = SimpleNamespace(
        config=SimpleNamespace(hidden_size=8, num_attention_heads=2, num_hidden_layers=3),
        get_input_embeddings=lambda: SimpleNamespace(weight=embedding),
        get_output_embeddings=lambda: SimpleNamespace(weight=output),
        parameters=lambda: [embedding, output, Weight(n=40, requires_grad=True), Weight(n=7, requires_grad=False)],
    )
    return SimpleNamespace(rank=0, world=2, device=SimpleNamespace(type="cpu"), module=module)


def settings(*overrides: str) -> RunConfig:
    return for_world(load_config("sample", ["batch.rows=4", "data.epochs=2", "data.seed=9", *overrides]), 2)


def enter(books: Books, number: int, norm: float, *, epoch: int = 0, skipped: bool = False) -> None:
    loss = math.nan if skipped else 10.0
    result = StepResult(loss, 5, [loss, 0.0, 0.0], [5, 0, 0], grad_norm=norm, skipped=skipped)
    books.data_is_here()
    books.enter(result, epoch=epoch, rows=(number * 4, number * 4 + 4), lr=0.1, tokens=[3.0, 2.0, 0.0])


def test_the_header_counts_what_multiplies_a_token(shards: Shards, tmp_path: Path) -> None:
    Books(settings(), tmp_path / "run", shards, engine(), None, steps=9).close("done")
    (header,) = read_metrics(tmp_path / "run")
    assert (header["n_trained"], header["n_frozen"]) == (140, 7)
    assert header["model_flops_per_token_causal"] == 6 * 140 + 4 * 7 + 6 * 3 * 8 * 64
    assert header["model_flops_per_token_full"] == 6 * 140 + 4 * 7 + 12 * 3 * 8 * 64
    assert header["gpu_peak_tflops"] is None


def test_a_spike_is_told_by_the_running_mean_which_it_does_not_enter(shards: Shards, tmp_path: Path) -> None:
    books = Books(settings("optim.spike_factor=3.0"), tmp_path / "run", shards, engine(), None, steps=99)
    for number in range(20):
        assert books.norm_limit() == math.inf
        enter(books, number, 2.0)
    assert books.norm_limit() == pytest.approx(6.0)
    enter(books, 20, 1000.0, skipped=True)
    assert books.norm_limit() == pytest.approx(6.0)
    enter(books, 21, 4.0)
    assert books.norm_limit() == pytest.approx(3 * (0.98 * 2 + 0.02 * 4))
    kept = books.kept_by_checkpoint()
    state = TrainState("", 9, 0, 88, 22, 4, 2, 1, "deepspeed", "", False, {"a": 66}, more=kept)
    again = Books(settings("optim.spike_factor=3.0"), tmp_path / "other", shards, engine(), state, steps=99)
    assert again.norm_limit() == books.norm_limit()
    assert again.ledger.tokens == 66
    assert Books(settings(), tmp_path / "third", shards, engine(), state, steps=99).norm_limit() == math.inf


def test_a_step_left_out_is_written_with_its_rows(shards: Shards, tmp_path: Path) -> None:
    books = Books(settings("run.log_every_steps=1000"), tmp_path / "run", shards, engine(), None, steps=99)
    books.ledger.begin(1)
    enter(books, 0, 1.0, epoch=1)
    enter(books, 1, math.inf, epoch=1, skipped=True)
    books.close("done")
    (line,) = [line for line in read_metrics(tmp_path / "run") if line["kind"] == "step"]
    assert (line["step"], line["skipped"], line["loss"], line["gnorm"]) == (2, True, None, None)
    assert line["not_finite"]["by_source/a"] == "nan"
    # Row numbers of the shards, not places in the order of the epoch.
    assert line["skipped_rows"] == shards.order(1, 9).rows(range(4, 8)).tolist() != list(range(4, 8))
    # The rows were consumed: the books count them.
    assert line["consumed"] == {"a": 6, "b": 4}


def test_books_that_do_not_close_are_no_success(shards: Shards, tmp_path: Path) -> None:
    books = Books(settings(), tmp_path / "run", shards, engine(), None, steps=99)
    enter(books, 0, 1.0)
    with pytest.raises(CheckFailed, match=r"4 of 200 rows were consumed\. Epoch 0: a has 3 tokens consumed and"):
        books.check_closed()
