"""A look at the model itself before a long run: do its documents stay apart, and is our loss its own?

The families we test are known to. Another architecture may mix tokens outside of attention (state spaces,
convolutions), number positions in its own way, or scale its logits: a few forward passes of one short row tell.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from manifests.errors import RecipeError
from train.attention import attention_kind
from train.data import IGNORED, Batch
from train.documents import document_inputs
from train.loss import token_losses

_FIRST, _SECOND = 12, 20
_SAME = {"torch.float32": 1e-6, "torch.float16": 1e-3, "torch.bfloat16": 1e-3}
"""Largest difference of logits, of their own range, where the same numbers are added in the same order: none but for a
leak. Not of a loss: that of new weights is ln V whatever they see."""
_OTHER = {"torch.float32": 1e-4, "torch.float16": 5e-3, "torch.bfloat16": 3e-2}
"""Where they are added in another order, by the dtype they have."""


KNOWN = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "opt"})
"""Families that the tests look at with every kind of attention."""


def check_unknown_family(model: Any, *, vocabulary: int) -> None:
    """`check_documents_apart` for a model of a family that is not `KNOWN`, before its first step."""
    if model.config.model_type not in KNOWN:
        check_documents_apart(model, kind=attention_kind(model), vocabulary=vocabulary)


def check_documents_apart(model: Any, *, kind: str, vocabulary: int) -> None:
    """RecipeError unless a packed document has the loss it has alone, whatever lies before it in the row.

    `model` as in `token_losses`; every rank must call it. Weights, gradients and random state stay as they are.
    """
    import torch

    random = np.random.default_rng(0)
    ids = random.integers(0, vocabulary, _FIRST + _SECOND)
    other = ids.copy()
    other[:_FIRST] = (ids[:_FIRST] + 1 + random.integers(0, vocabulary - 1, _FIRST)) % vocabulary
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            device = next(model.parameters()).device
            logits, changed = (
                model(**document_inputs(_row(row, [_FIRST, _SECOND]), kind, device)).logits[0, _FIRST:-1].float()
                for row in (ids, other)
            )
            packed = _loss(model, _row(ids, [_FIRST, _SECOND]), kind)
            # Of the same width, so that the same kernels run: only what lies before it is gone.
            alone = _loss(model, _row(np.concatenate([ids[_FIRST:], ids[:_FIRST]]), [_SECOND, _FIRST], at=0), kind)
    finally:
        model.train(was_training)
    target = torch.as_tensor(ids[_FIRST + 1 :], device=logits.device)
    theirs = torch.nn.functional.cross_entropy(logits, target, reduction="sum").item()
    rounding = _OTHER[str(_dtype(model))]
    moved = float((changed - logits).abs().max() / (logits - logits.mean()).abs().max())
    if not moved <= _SAME[str(_dtype(model))]:
        raise _refusal(
            f"a document changes with the document before it in its row: its logits by {moved:.2g} of their range.",
            "Documents of a row would see each other.",
        )
    for value, what, why in (
        (alone, "differs from its loss alone", "Positions do not begin anew with each document."),
        (theirs, "differs from that of the model's own logits", "Its output is scaled in a way this trainer lacks."),
    ):
        if not abs(value - packed) <= rounding * abs(packed):
            raise _refusal(f"the loss of a document packed into a row {what}: {packed:.6f} against {value:.6f}.", why)


def _refusal(what: str, why: str) -> RecipeError:
    return RecipeError(
        what,
        where="[model]",
        why=why,
        fix="Use Llama, Mistral, Qwen, Gemma, OPT, or another family in which attention alone mixes tokens.",
    )


def _dtype(model: Any) -> Any:
    import torch

    kinds = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}
    coarse = [kind for kind in (torch.bfloat16, torch.float16) if kind in kinds]
    if torch.is_autocast_enabled("cuda") or torch.is_autocast_enabled("cpu"):
        return torch.bfloat16
    return coarse[0] if coarse else torch.float32


def _loss(model: Any, batch: Batch, kind: str) -> float:
    return float(token_losses(model, batch, n_sources=1, kind=kind, chunk_tokens=0).loss)


def _row(ids: Any, lengths: list[int], *, at: int = 1) -> Batch:
    """One row of two documents, of which number `at` is learned."""
    labels = np.full(len(ids), IGNORED)
    begin = sum(lengths[:at])
    labels[begin : begin + lengths[at] - 1] = ids[begin + 1 : begin + lengths[at]]
    segments = np.repeat([1, 2], lengths)
    positions = np.concatenate([np.arange(n) for n in lengths])
    one = np.zeros(1, dtype=np.int64)
    return Batch(
        input_ids=np.asarray(ids, dtype=np.int64)[None],
        labels=labels.astype(np.int64)[None],
        position_ids=positions.astype(np.int64)[None],
        segment_ids=segments.astype(np.int64)[None],
        source=one,
        tokens=one + len(ids),
        row=one,
        rows_consumed=0,
    )
