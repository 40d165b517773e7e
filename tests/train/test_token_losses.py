from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import FAMILIES, tiny_batch, tiny_config, tiny_model

from train.attention import attention_kind, plain_attention
from train.data import FILLER, IGNORED, Batch
from train.loss import Sums, token_losses

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")


def sums(model: Any, batch: Batch, chunk_tokens: int = 7) -> Sums:
    return token_losses(model, batch, n_sources=3, kind=attention_kind(model), chunk_tokens=chunk_tokens)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_sum_is_transformers_own_loss_over_single_documents(tmp_path: Path, family: str) -> None:
    model = tiny_model(tiny_config(tmp_path, family))
    rows = [[5, 9, 14], [32], [1, 1, 20]]
    batch = tiny_batch(rows)
    ours = sums(model, batch)
    expected, by_source = 0.0, [0.0, 0.0, 0.0]
    for row, lengths in enumerate(rows):
        begin = 0
        for n in lengths:
            ids = torch.as_tensor(batch.input_ids[row : row + 1, begin : begin + n])
            begin += n
            if n == 1:
                continue
            with plain_attention(model), torch.no_grad():
                total = model(input_ids=ids, labels=ids).loss.item() * (n - 1)
            expected += total
            by_source[row] += total
    tokens = [25, 31, 19]
    assert ours.tokens.item() == sum(tokens)
    assert ours.tokens_by_source.tolist() == tokens
    assert ours.loss.item() / sum(tokens) == pytest.approx(expected / sum(tokens), abs=1e-6)
    assert ours.by_source.tolist() == pytest.approx(by_source, rel=1e-6)
    assert ours.loss.dtype == torch.float32


def gradients(model: Any, batch: Batch, chunk_tokens: int) -> tuple[float, dict[str, Any]]:
    model.zero_grad()
    loss = sums(model, batch, chunk_tokens).loss
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters()}


def test_chunks_change_neither_loss_nor_gradient_and_bound_the_logits(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(tmp_path))
    batch = tiny_batch([[5, 9, 14], [32], [1, 1, 20], []])
    seen: list[int] = []
    model.lm_head.register_forward_hook(lambda _module, _inputs, output: seen.append(output.numel()))
    whole, expected = gradients(model, batch, 0)
    assert seen == [75 * 128], "only learned targets have logits"
    seen.clear()
    chunked, found = gradients(model, batch, 10)
    assert max(seen) <= 10 * 128
    assert len(seen) == 2 * 13, "each chunk once forward and once again for its gradient"
    assert chunked == pytest.approx(whole, rel=1e-6)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-5)  # of sums in the hundreds


def test_every_rank_calls_the_output_layer_equally_often(tmp_path: Path) -> None:
    """Under ZeRO-3 each call gathers: a rank with fewer learned tokens must not come out with fewer calls."""
    model = tiny_model(tiny_config(tmp_path))
    calls: list[int] = []
    model.lm_head.register_forward_hook(lambda _module, _inputs, output: calls.append(output.shape[0]))
    for rows in ([[32], [32]], [[3], []], [[], []]):
        calls.clear()
        with torch.no_grad():
            sums(model, tiny_batch(rows), 16)
        assert len(calls) == 4


def test_rows_that_fill_up_add_nothing_and_still_have_gradients(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(tmp_path))
    batch = replace(tiny_batch([[], []]), source=np.full(2, FILLER))
    result = sums(model, batch)
    result.loss.backward()
    assert result.loss.item() == 0.0
    assert result.tokens.item() == 0
    assert result.tokens_by_source.tolist() == [0, 0, 0]
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


def test_labels_that_are_masked_are_not_learned(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(tmp_path))
    batch = tiny_batch([[32]])
    labels = batch.labels.copy()
    labels[0, :20] = IGNORED
    assert sums(model, replace(batch, labels=labels)).tokens.item() == 11


def test_the_row_of_the_padding_id_is_learned_where_it_ends_texts_too(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(tmp_path, shape={"tie_word_embeddings": False}))
    batch = tiny_batch([[8]])
    batch.input_ids[0, 3] = 1
    sums(model, batch).loss.backward()
    embedding = model.get_input_embeddings().weight
    assert embedding[1].detach().abs().sum() > 0
    assert embedding.grad[1].abs().sum() > 0
