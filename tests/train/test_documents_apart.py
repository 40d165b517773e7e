from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_models import FAMILIES, tiny_batch, tiny_config, tiny_model

from manifests.errors import RecipeError
from train.attention import attention_kind, document_inputs, plain_attention
from train.data import Batch

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")

ROWS = [[5, 9, 14], [32], [1, 1, 20]]


def kinds(family: str) -> list[str]:
    """gemma2 caps its scores, which only eager can do on a CPU."""
    return ["eager"] if family == "gemma2" else ["sdpa", "varlen", "eager"]


CASES = [(family, kind) for family in FAMILIES for kind in kinds(family)]


def logits(model: Any, batch: Batch) -> Any:
    with torch.no_grad():
        return model(**document_inputs(batch, attention_kind(model), "cpu")).logits


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_a_packed_document_has_the_logits_of_one_alone_in_transformers_own_attention(
    tmp_path: Path, family: str, kind: str
) -> None:
    model = tiny_model(tiny_config(tmp_path, family, model={"attention": kind})).eval()
    batch = tiny_batch(ROWS)
    packed = logits(model, batch)
    for row, lengths in enumerate(ROWS):
        begin = 0
        for n in lengths:
            with plain_attention(model), torch.no_grad():
                alone = model(input_ids=torch.as_tensor(batch.input_ids[row : row + 1, begin : begin + n])).logits
            difference = (packed[row, begin : begin + n] - alone[0]).abs().max().item()
            assert difference < 1e-5, f"document of {n} tokens at {begin} of row {row}"
            begin += n
    assert packed.abs().max() > 0.1, "logits that are all alike would show nothing"


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_another_document_in_the_row_changes_no_bit(tmp_path: Path, family: str, kind: str) -> None:
    model = tiny_model(tiny_config(tmp_path, family, model={"attention": kind})).eval()
    batch = tiny_batch(ROWS)
    changed = batch.input_ids.copy()
    changed[0, :5] = (changed[0, :5] + 7) % 100 + 2
    before, after = logits(model, batch), logits(model, replace(batch, input_ids=changed))
    assert torch.equal(before[0, 5:], after[0, 5:])
    assert torch.equal(before[1:], after[1:])
    assert not torch.equal(before[0, :5], after[0, :5])


def test_transformers_own_way_would_let_documents_see_each_other(tmp_path: Path) -> None:
    """The trap this is about, still there: with a mask of ones its masks are causal over the row."""
    model = tiny_model(tiny_config(tmp_path)).eval()
    batch = tiny_batch(ROWS)
    changed = batch.input_ids.copy()
    changed[0, :5] = (changed[0, :5] + 7) % 100 + 2
    ones, positions = torch.ones(3, 32, dtype=torch.int64), torch.as_tensor(batch.position_ids)
    with plain_attention(model), torch.no_grad():
        before, after = (
            model(input_ids=torch.as_tensor(ids), attention_mask=ones, position_ids=positions).logits
            for ids in (batch.input_ids, changed)
        )
    assert (before[0, 5:14] - after[0, 5:14]).abs().max() > 1e-3


def test_without_documents_a_forward_pass_refuses(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(tmp_path))
    with pytest.raises(ValueError, match="without documents"):
        model(input_ids=torch.ones(1, 4, dtype=torch.int64))
    inputs = document_inputs(tiny_batch([[4, 4]]), "sdpa", "cpu")
    with pytest.raises(ValueError, match="beside documents"):
        model(**inputs, attention_mask=torch.ones(1, 1, 32, 32, dtype=torch.bool))


def test_documents_end_with_the_row_and_padding_is_one_more() -> None:
    documents = document_inputs(tiny_batch([[5, 9], [32], [4]]), "sdpa", "cpu")["documents"]
    assert documents.borders.tolist() == [0, 5, 14, 32, 64, 68, 96]
    assert documents.longest == 32
    assert documents.pieces[0].tolist() == [1] * 5 + [2] * 9 + [3] * 18


@pytest.mark.parametrize("kind", ["sdpa", "varlen"])
def test_a_kernel_without_soft_cap_is_refused_to_a_model_with_one(tmp_path: Path, kind: str) -> None:
    with pytest.raises(RecipeError, match="caps its attention scores"):
        tiny_model(tiny_config(tmp_path, "gemma2", model={"attention": kind}))
