"""How well a model knows held-out rows: loss and bits per byte by source.

    loss           sum of the token losses (nats) / learned tokens; a document does not see its neighbours in a row
    bits per byte  sum of the token losses / ln 2 / bytes those tokens spell (`train.token_bytes`)

Counted are the tokens that are predicted, in both: not the first of a document, nor the first of a row in which one
goes on. End tokens are predicted and spell nothing. Bits per byte compare models of different tokenizers; losses do
not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manifests.subsources import parent
from mixing.reader import Shards
from train.data import FILLER, IGNORED, Batch, batches

PROSE = 2.0
"""Nats a token that bases of 7B and more have on prose (Llama-2: 1.7 to 1.9)."""


@dataclass(frozen=True, slots=True)
class Score:
    """Of one source."""

    nats: float
    tokens: int
    bytes: int
    """0 where they are not known."""

    @property
    def loss(self) -> float:
        return self.nats / self.tokens if self.tokens else math.nan

    @property
    def bits_per_byte(self) -> float | None:
        return self.nats / math.log(2) / self.bytes if self.bytes else None

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {"loss": self.loss, "bits_per_byte": self.bits_per_byte, "tokens": self.tokens, "bytes": self.bytes}


def evaluate(
    losses: Callable[[Batch], tuple[Any, Any]],
    held_out: Shards,
    *,
    lengths: npt.NDArray[np.int64] | None,
    rows_per_batch: int = 8,
) -> dict[str, Score]:
    """Scores by source of all rows. `losses`: sums of nats and learned tokens of a batch by source, [n_sources] each.

    `lengths`: bytes by token id, None if not known.
    """
    n = len(held_out.sources)
    nats, tokens, spelt = np.zeros(n), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for batch in batches(held_out, rows_per_batch=rows_per_batch):
        more, learned = losses(batch)
        nats += np.asarray(more, dtype=np.float64)
        tokens += np.asarray(learned, dtype=np.int64)
        if lengths is not None:
            real = batch.source != FILLER
            labels = batch.labels[real]
            each = np.where(labels == IGNORED, 0, lengths[np.where(labels == IGNORED, 0, labels)]).sum(1)
            np.add.at(spelt, batch.source[real], each)
    found = {name: Score(float(nats[i]), int(tokens[i]), int(spelt[i])) for i, name in enumerate(held_out.sources)}
    return {name: score for name, score in found.items() if score.tokens}


def model_losses(model: Any, n_sources: int, *, chunk_tokens: int = 4096) -> Callable[[Batch], tuple[Any, Any]]:
    """`losses` of a model that `train.loaded` made."""
    import torch

    from train.attention import attention_kind
    from train.loss import token_losses

    def losses(batch: Batch) -> tuple[Any, Any]:
        with torch.no_grad():
            sums = token_losses(
                model, batch, n_sources=n_sources, kind=attention_kind(model), chunk_tokens=chunk_tokens
            )
        return sums.by_source.double().cpu().numpy(), sums.tokens_by_source.cpu().numpy()

    return losses


def summary(scores: Mapping[str, Score], shares: Mapping[str, int], vocabulary: int) -> dict[str, Any]:
    """All of it for JSON: by source, over all tokens, and weighted as the training mixture (`shares`: its tokens)."""
    total = Score(
        sum(one.nats for one in scores.values()),
        sum(one.tokens for one in scores.values()),
        sum(one.bytes for one in scores.values()),
    )
    weight = {name: sum(n for share, n in shares.items() if parent(share) == name) for name in scores}
    whole = sum(weight.values())
    mixture = sum(scores[name].loss * weight[name] for name in scores) / whole if whole else None
    return {
        "by_source": {name: one.facts() for name, one in sorted(scores.items())},
        "all": total.facts(),
        "mixture": mixture,
        "guess": math.log(vocabulary),
        "warning": sanity(total.loss, vocabulary),
    }


def sanity(loss: float, vocabulary: int) -> str:
    """A sentence where the loss is that of a model that does not understand its input; else nothing."""
    guess = math.log(vocabulary)
    if math.isfinite(loss) and loss < 0.7 * guess:
        return ""
    return (
        f"A loss of {loss:.2f} is near that of a guess, ln({vocabulary:,}) = {guess:.2f}; a trained base has about "
        f"{PROSE:g} on prose. Unless the model is new, its tokenizer is another or its rotary frequencies are broken."
    )
