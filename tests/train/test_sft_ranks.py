"""New tokens and the loss by conversation on several ranks: each ZeRO stage repeats what one torch process computes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from engine_run import SMALL, run_engine
from test_engine_parity import same
from tiny_shards import tiny_shards

from train.config import parse_config

pytestmark = pytest.mark.slow
OLD = 248
"""Tokens of the base; the shards use 256."""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_shards(tmp_path_factory.mktemp("ranks"), rows=40, loss_mask=True)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Tiny bases that lack the last eight tokens, with tied embeddings and without."""
    pytest.importorskip("torch")
    from train.model import build_model

    root = tmp_path_factory.mktemp("bases")
    for tied in (False, True):
        shape = root / f"{tied}.json"
        shape.write_text(json.dumps(SMALL | {"tie_word_embeddings": tied}))
        config = parse_config(
            {
                "name": "base",
                "description": "a test",
                "model": {"architecture": str(shape), "dtype": "fp32"},
                "data": {"sequence_length": 64},
                "optim": {"lr": 1e-3},
                "parallel": {"engine": "torch"},
            },
            where="test",
        )
        build_model(config, vocabulary=OLD, bos_id=0, eos_id=1, pad_id=2).save_pretrained(root / str(tied))
    return {tied: root / str(tied) for tied in (False, True)}


def run(shards: Path, base: Path, *more: str, world: int = 1) -> dict[str, Any]:
    return run_engine(
        shards,
        "model.architecture=",
        f"model.base={base}",
        f"sft.added_tokens={list(range(OLD, 256))}",
        "lora.r=4",
        "batch.rows=8",
        *more,
        world=world,
    )


@pytest.mark.parametrize(("stage", "tied"), [(1, False), (3, False), (3, True)])
def test_new_rows_are_made_and_trained_alike_under_zero(
    shards: Path, base: dict[bool, Path], stage: int, tied: bool
) -> None:
    alone = run(shards, base[tied], "parallel.engine=torch")
    rows = [name for name in alone["shapes"] if name.endswith("token_adapter.trainable_tokens_delta")]
    assert len(rows) == (1 if tied else 2)
    assert all(alone["shapes"][name] == [8, 32] for name in rows)
    found = run(shards, base[tied], f"parallel.zero_stage={stage}", "batch.micro_rows=2", world=2)
    same(found, alone, tolerance=5e-5)
    assert found["after"][0] != found["after"][2]


def test_a_loss_by_conversation_knows_neither_ranks_nor_accumulation(shards: Path) -> None:
    given = ("sft.loss=conversation", "batch.rows=8")
    alone = run_engine(shards, "parallel.engine=torch", *given)
    by_token = run_engine(shards, "parallel.engine=torch", "batch.rows=8")
    assert alone["loss"][0] != pytest.approx(by_token["loss"][0], rel=1e-5)
    assert alone["tokens"][0] < by_token["tokens"][0] / 2
    for world, micro in ((2, 2), (1, 4)):
        found = run_engine(shards, *given, f"batch.micro_rows={micro}", world=world)
        same(found, alone, tolerance=2e-5)
