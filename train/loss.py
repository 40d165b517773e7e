"""Cross entropy as a sum over tokens, whose logits never exist all at once.

A mean of means weighs tokens by how rows happened to be dealt out; a sum does not, and whoever has all sums divides
once. The output layer is called as a module, chunk by chunk under recomputation, so that ZeRO-3 can gather its weight
and an adapter on it counts. Only targets that are learned are computed. Losses are fp32 whatever the model's dtype.
"""

from __future__ import annotations

import functools
import types
from dataclasses import dataclass
from typing import Any

from train.attention import attention_kind
from train.data import IGNORED, Batch, conversation_weights
from train.documents import document_inputs, windows_of


@dataclass(frozen=True, slots=True)
class Sums:
    """What one forward pass learned from; on the model's device, no host copy made."""

    loss: Any
    """fp32 scalar, differentiable: sum of the losses of the learned tokens."""
    tokens: Any
    """int64 scalar: learned tokens."""
    by_source: Any
    """[n_sources] fp32, detached: the sum split by source."""
    tokens_by_source: Any
    """[n_sources] int64: learned tokens by source."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What the loss inside a forward pass needs; tensors on the model's device."""

    labels: Any
    """[K]; token ids of the learned targets."""
    places: Any
    """[K]; where in the flattened batch they lie."""
    source: Any
    """[B]; `FILLER` where a row is none."""
    n_sources: int
    weights: Any
    """[K] fp32, or None where every learned token counts 1."""
    chunks: int
    """The same on all ranks: under ZeRO-3 each call of the output layer gathers, and all must gather together."""


def token_losses(
    model: Any, batch: Batch, *, n_sources: int, kind: str, chunk_tokens: int, per_conversation: bool = False
) -> Sums:
    """The sums of a batch. `model` is one that `build_model` made, or the engine around it.

    With `per_conversation` they are sums of each conversation's mean, and conversations are counted, not tokens.
    """
    import torch

    device = next(model.parameters()).device
    labels = torch.as_tensor(batch.labels)
    flat = labels.flatten()
    # Found on the host, where the batch is: on the device it would cost a synchronisation.
    places = (flat != IGNORED).nonzero().flatten()
    targets = Targets(
        labels=flat[places].to(device, non_blocking=True),
        places=places.to(device, non_blocking=True),
        source=torch.as_tensor(batch.source).to(device, non_blocking=True),
        n_sources=n_sources,
        weights=torch.from_numpy(conversation_weights(batch)).flatten()[places].to(device, non_blocking=True)
        if per_conversation
        else None,
        chunks=-(-flat.numel() // chunk_tokens) if chunk_tokens else 1,
    )
    return Sums(*model(**document_inputs(batch, kind, device), targets=targets))


def add_loss(model: Any) -> None:
    """Teaches a causal LM the argument `targets`, with which forward gives the sums instead of logits.

    Inside forward, because DeepSpeed counts gathers and releases by it; a head called after it returned would be
    outside of what it traced.
    """
    plain, kind, windows = type(model).forward, attention_kind(model), windows_of(model.config)

    @functools.wraps(plain)
    def forward(self: Any, *args: Any, targets: Targets | None = None, **kwargs: Any) -> Any:
        if kwargs.get("documents") is not None:
            kwargs["documents"].prepare(kind, windows)
        if targets is None:
            return plain(self, *args, **kwargs)
        given = {name: value for name, value in kwargs.items() if value is not None}
        hidden = self.base_model(*args, **given).last_hidden_state
        return _sums(self, hidden, targets)

    model.forward = types.MethodType(forward, model)


def _sums(model: Any, hidden: Any, targets: Targets) -> tuple[Any, Any, Any, Any]:
    import torch
    from torch.utils.checkpoint import checkpoint

    rows, length, width = hidden.shape
    learned = hidden.reshape(rows * length, width)[targets.places]
    losses = []
    # Equal chunks, of which some may be empty, so that their number does not depend on the batch.
    pieces = zip(learned.tensor_split(targets.chunks), targets.labels.tensor_split(targets.chunks), strict=True)
    for states, labels in pieces:
        if targets.chunks == 1 or not torch.is_grad_enabled():
            losses.append(_chunk(model, states, labels))
        else:
            losses.append(checkpoint(_chunk, model, states, labels, use_reentrant=False))
    each = torch.cat(losses)
    weights = torch.ones_like(each) if targets.weights is None else targets.weights
    if targets.weights is not None:
        each = each * weights
    loss = each.sum()
    by_row = torch.zeros(rows * length, device=each.device).index_copy(0, targets.places, each.detach())
    # Whole numbers of tokens, or of conversations, which lie within a row: rounded, they are exact.
    counted = torch.zeros(rows * length, device=each.device).index_copy(0, targets.places, weights)
    count = counted.view(rows, length).sum(1).round().long()
    belongs = targets.source[:, None] == torch.arange(targets.n_sources, device=each.device)
    by_source = (by_row.view(rows, length).sum(1)[:, None] * belongs).sum(0)
    return loss, count.sum(), by_source, (count[:, None] * belongs).sum(0)


def _chunk(model: Any, states: Any, labels: Any) -> Any:
    logits = scaled(model.config, model.get_output_embeddings()(states)).float()
    return logits.logsumexp(-1) - logits.gather(-1, labels[:, None])[:, 0]


def scaled(shape: Any, logits: Any) -> Any:
    """What the model family does to the output layer's result: soft cap (Gemma), factor (Cohere), divisor (Granite)."""
    cap = getattr(shape, "final_logit_softcapping", None)
    if cap is not None:
        logits = cap * (logits / cap).tanh()
    factor = getattr(shape, "logit_scale", None)
    if factor is not None:
        logits = logits * factor
    divisor = getattr(shape, "logits_scaling", None)
    return logits if divisor is None else logits / divisor
