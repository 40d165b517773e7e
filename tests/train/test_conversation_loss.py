"""Packing changes no loss, and a loss by conversation weighs each the same whatever lies beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_sft_rows import EXAMPLES, encoder_of
from tiny_models import tiny_config

from mixing.blocks import pack_block
from mixing.conversations import pack_conversations
from mixing.rows import Rows, concatenate
from mixing.template import template
from mixing.tokenize import Encoded
from train.data import IGNORED, Batch, conversation_weights, counts, learned_conversations

FORM, ROW = template("meditron-chatml"), 129
"""Rows in which several conversations of the examples lie."""


def packed() -> Rows:
    """The examples, several in a row."""
    made = pack_conversations(
        range(1, len(EXAMPLES) + 1),
        [one.messages() for one in EXAMPLES],
        form=FORM,
        encoder=encoder_of(FORM.name),
        row_tokens=ROW,
    )
    assert not made.left
    return made.block.rows.of_source(0)


def apart() -> Rows:
    """The same, one in a row."""
    encoder = encoder_of(FORM.name)
    encoded, learn = encoder.encode_segments([FORM.render(one.messages()) for one in EXAMPLES])
    return concatenate(
        [
            pack_block(
                [i + 1],
                Encoded(encoded[i], np.asarray([0, len(encoded[i])])),
                ROW,
                encoder.pad_id,
                loss_mask=learn[encoded.offsets[i] : encoded.offsets[i + 1]],
            ).rows
            for i in range(len(encoded))
        ]
    ).of_source(0)


def as_batch(rows: Rows) -> Batch:
    from train.data import make_batch

    class Given:
        """Rows in memory, as shards give them."""

        sequence_length, index = ROW - 1, {"tokenizer": {"pad_id": 1}}

        def rows(self, wanted: Any) -> Rows:
            return rows.take(wanted)

    return make_batch(Given(), np.arange(len(rows)), len(rows), rows_consumed=len(rows))  # type: ignore[arg-type]


def test_weights_of_a_conversation_sum_to_one_however_it_is_packed() -> None:
    together, single = as_batch(packed()), as_batch(apart())
    assert len(together.row) < len(single.row) / 2
    for batch in (together, single):
        weights = conversation_weights(batch)
        assert (weights[batch.labels == IGNORED] == 0).all()
        assert weights.sum() == pytest.approx(len(EXAMPLES), rel=1e-5)
        assert learned_conversations(batch) == len(EXAMPLES)
        assert counts([batch, batch], 1, per_conversation=True)[0] == 2 * len(EXAMPLES)
        for row in range(len(weights)):
            for segment in range(1, int(batch.segment_ids[row].max()) + 1):
                assert weights[row][batch.segment_ids[row] == segment].sum() == pytest.approx(1, rel=1e-5)
    assert counts([together], 1)[0] == counts([single], 1)[0]


def test_a_filler_has_no_conversations() -> None:
    batch = as_batch(packed())
    batch.labels[:] = IGNORED
    assert learned_conversations(batch) == 0
    assert not conversation_weights(batch).any()


@pytest.mark.slow
@pytest.mark.parametrize("per_conversation", [False, True])
def test_packed_conversations_have_the_loss_and_gradient_of_separate_ones(
    tmp_path: Path, per_conversation: bool
) -> None:
    torch = pytest.importorskip("torch")
    from train.loss import token_losses
    from train.model import build_model

    config = tiny_config(tmp_path, shape={"max_position_embeddings": ROW}, data={"sequence_length": ROW - 1})
    model = build_model(config, vocabulary=8194, bos_id=0, eos_id=8193, pad_id=1)
    found = []
    for rows in (packed(), apart()):
        model.zero_grad()
        sums = token_losses(
            model, as_batch(rows), n_sources=1, kind="sdpa", chunk_tokens=100, per_conversation=per_conversation
        )
        (sums.loss / sums.tokens).backward()
        gradient = {name: one.grad.clone() for name, one in model.named_parameters()}
        found.append((sums.loss.item(), sums.tokens.item(), sums.by_source.tolist(), gradient))
    (loss, tokens, by_source, gradient), (other_loss, other_tokens, _, other) = found
    assert (
        tokens
        == other_tokens
        == (
            len(EXAMPLES)
            if per_conversation
            else as_batch(packed()).labels.ravel()[as_batch(packed()).labels.ravel() != IGNORED].size
        )
    )
    assert loss == pytest.approx(other_loss, rel=1e-5)
    assert by_source == [pytest.approx(loss, rel=1e-6)]
    for name, one in gradient.items():
        torch.testing.assert_close(one, other[name], rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_the_loss_by_conversation_is_the_mean_of_their_means(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from train.loss import token_losses
    from train.model import build_model

    config = tiny_config(tmp_path, shape={"max_position_embeddings": ROW}, data={"sequence_length": ROW - 1})
    model = build_model(config, vocabulary=8194, bos_id=0, eos_id=8193, pad_id=1)
    rows = apart()
    with torch.no_grad():
        means = []
        for i in range(len(rows)):
            one = token_losses(model, as_batch(rows.take([i])), n_sources=1, kind="sdpa", chunk_tokens=0)
            means.append(one.loss.item() / one.tokens.item())
        found = token_losses(model, as_batch(packed()), n_sources=1, kind="sdpa", chunk_tokens=0, per_conversation=True)
        by_token = token_losses(model, as_batch(packed()), n_sources=1, kind="sdpa", chunk_tokens=0)
    assert found.tokens.item() == found.tokens_by_source.item() == len(EXAMPLES)
    assert found.loss.item() / len(EXAMPLES) == pytest.approx(np.mean(means), rel=1e-5)
    assert by_token.loss.item() / by_token.tokens.item() != pytest.approx(np.mean(means), rel=1e-4)
