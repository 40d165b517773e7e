"""Text from a model: a prompt continued, or a question answered in the words of the one chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from manifests.errors import RecipeError
from mixing.template import Message, Template
from mixing.tokenize import Encoder


def continued(
    model: Any, prompt: Sequence[int], *, ends: Sequence[int], most: int, temperature: float = 0.0, seed: int = 0
) -> list[int]:
    """The ids after `prompt`, through the first of `ends` (left out), `most` at most; greedy at temperature 0.

    `model` is one that `build_model` or `train.loaded` made. Sampling is the same from a seed. Positions the model
    does not know end it too.
    """
    import torch

    from train.attention import plain_attention

    positions = getattr(model.config, "max_position_embeddings", None) or len(prompt) + most
    if len(prompt) >= positions:
        raise RecipeError(
            f"the question has {len(prompt):,} tokens, the model {positions:,} positions.", fix="Ask a shorter one."
        )
    device = next(model.parameters()).device
    random = torch.Generator(device=device).manual_seed(seed)
    given = torch.tensor([list(prompt)], device=device)
    found: list[int] = []
    past = None
    model.eval()
    with torch.no_grad(), plain_attention(model):
        for _ in range(min(most, positions - len(prompt))):
            result = model(input_ids=given, past_key_values=past, use_cache=True)
            past, logits = result.past_key_values, result.logits[0, -1].float()
            token = _pick(logits, temperature, random)
            if token in ends:
                break
            found.append(token)
            given = torch.tensor([[token]], device=device)
    return found


def chat_prompt(messages: Sequence[Message], form: Template, encoder: Encoder) -> tuple[list[int], list[int]]:
    """The ids a conversation is answered from, and those that end the answer: the template's stop, the text's end."""
    encoded, _ = encoder.encode_segments([form.render(messages, generate=True)])
    stop = encoder.special[form.stop] if form.stop else encoder.eos_id
    ends = [number for number in dict.fromkeys((stop, encoder.eos_id)) if number is not None]
    return [int(number) for number in encoded[0]], ends


def _pick(logits: Any, temperature: float, random: Any) -> int:
    import torch

    if temperature <= 0:
        return int(logits.argmax())
    return int(torch.multinomial((logits / temperature).softmax(-1), 1, generator=random))
