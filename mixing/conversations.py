"""Conversations into training rows: whole, beside each other, and only answers learned.

A conversation is never cut: cut before its end it teaches an answer without its stop, cut before its start an answer
without its question. One that no row holds leaves for the reason `template.too_long`, counted, never shortened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manifests.errors import RecipeError
from mixing.blocks import Block, pack_block
from mixing.template import Message, NotAConversation, Segment, Template
from mixing.tokenize import Encoded, Encoder, join

_AT_ONCE = 512
"""Conversations handed to the encoder in one call."""


@dataclass(frozen=True, slots=True)
class Left:
    """A conversation that is in no row."""

    doc_key: int
    reason: str
    """One of `manifests.reasons`, stage `template`."""
    n_tokens: int | None = None
    """None: it was not encoded."""


@dataclass(frozen=True, slots=True)
class PackedConversations:
    """Conversations in rows, and those that are in none: together all that were given."""

    block: Block
    """Rows with `loss_mask`; `continues` nowhere."""
    doc_keys: npt.NDArray[np.uint64]
    n_tokens: npt.NDArray[np.int64]
    """Tokens of each conversation of `doc_keys`."""
    n_learned: int
    """Tokens of all that are learned: answers and their stops."""
    left: list[Left]


def pack_conversations(
    doc_keys: Sequence[int],
    conversations: Sequence[Sequence[Message]],
    *,
    form: Template,
    encoder: Encoder,
    row_tokens: int,
    longest: int = 0,
) -> PackedConversations:
    """Best-fit rows of `row_tokens` for these conversations in this form.

    One of more than `longest` tokens leaves as too long; 0: one that no row holds. Begin and end tokens are those of
    the form, whatever the encoder was asked for documents.
    """
    if not form.stop and encoder.eos_id is None:
        raise RecipeError(
            f"the chat template {form.name!r} ends answers with the end token, and the tokenizer has none.",
            where=encoder.path,
            why="A model that never sees an answer end does not learn to stop.",
            fix="Name one as eos_token in a tokenizer_config.json beside the file.",
        )
    left: list[Left] = []
    keys: list[int] = []
    rendered: list[list[Segment]] = []
    for key, messages in zip(doc_keys, conversations, strict=True):
        try:
            segments = form.render(messages)
        except NotAConversation:
            left.append(Left(key, "template.not_a_conversation"))
            continue
        if not any(one.content.strip() for one in messages if one.role == "assistant"):
            left.append(Left(key, "template.nothing_to_learn"))
            continue
        keys.append(key)
        rendered.append(segments)
    encoder.start_block()
    encoded, learn = _encode(encoder, rendered)
    lengths = encoded.lengths
    fits = lengths <= min(longest or row_tokens, row_tokens)
    left += [Left(keys[i], "template.too_long", int(lengths[i])) for i in np.flatnonzero(~fits).tolist()]
    kept = np.repeat(fits, lengths)
    offsets = np.concatenate(([0], np.cumsum(lengths[fits])))
    kept_keys = np.asarray(keys, dtype=np.uint64)[fits]
    mask = learn[kept]
    block = pack_block(kept_keys, Encoded(encoded.ids[kept], offsets), row_tokens, encoder.pad_id, loss_mask=mask)
    return PackedConversations(block, kept_keys, lengths[fits], int(mask.sum()), left)


def _encode(encoder: Encoder, rendered: Sequence[Sequence[Segment]]) -> tuple[Encoded, npt.NDArray[np.uint8]]:
    parts = [encoder.encode_segments(rendered[at : at + _AT_ONCE]) for at in range(0, len(rendered), _AT_ONCE)]
    if not parts:
        parts = [encoder.encode_segments([])]
    return join([encoded for encoded, _ in parts]), np.concatenate([learn for _, learn in parts])
