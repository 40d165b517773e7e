"""`[sft] loss = "conversation"`: every conversation counts the same, however long its answers are.

A conversation lies whole in one row (`mixing.conversations`), so its tokens' weights, 1 / how many of them are learned,
are known from the row alone. Weighted sums over weighted counts then are what token sums over token counts are for
tokens: the same for every packing, accumulation and number of ranks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from train.data import IGNORED, Batch


def conversation_weights(batch: Batch) -> npt.NDArray[np.float32]:
    """[B, L]; 1 / learned tokens of its conversation where a label is learned, 0 elsewhere."""
    learned, place, n_places = _places(batch)
    counts = np.bincount(place[learned], minlength=n_places)
    weights = np.zeros(learned.shape, dtype=np.float32)
    weights[learned] = 1.0 / counts[place[learned]]
    return weights


def learned_conversations(batch: Batch) -> int:
    """Conversations of the batch of which something is learned."""
    learned, place, n_places = _places(batch)
    return int(np.count_nonzero(np.bincount(place[learned], minlength=n_places)))


def _places(batch: Batch) -> tuple[npt.NDArray[np.bool_], npt.NDArray[Any], int]:
    """Which labels are learned, a number for the conversation of each, and how many numbers there are."""
    segments = np.asarray(batch.segment_ids)
    width = int(segments.max(initial=0)) + 1
    place = segments + width * np.arange(len(segments))[:, None]
    return np.asarray(batch.labels) != IGNORED, place, width * len(segments)
