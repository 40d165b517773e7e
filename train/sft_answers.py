"""What a run on conversations ends with: the model is asked what it learned, and answers until its stop token.

Greedy, in the template's own words. Asked are held-out questions, or without any those of the training rows; how many
answers end by themselves, and how many are the known ones word for word, is shown and kept in `answers.json`. Of
restricted rows there are counts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manifests.store import Store
from mixing.reader import Shards
from mixing.template import template
from train.books import Books
from train.config import RunConfig
from train.engine import Engine
from train.run_folder import validation_of
from train.sft_rows import stop_id

ANSWERS = "answers.json"
_ASKED, _SHOWN = 50, 3


@dataclass(frozen=True, slots=True)
class Question:
    """One turn of a conversation, in tokens."""

    prompt: list[int]
    """All before the first answer."""
    answer: list[int]
    """The first answer, its stop token included."""


def questions(shards: Shards, n: int = _ASKED) -> list[Question]:
    """The first question of `n` conversations of the rows (of fewer, all), spread over them."""
    found = []
    for row in shards:
        assert row.loss_mask is not None, "rows of conversations have a loss mask"
        begin = 0
        for end in row.doc_ends.tolist():
            ids, learned = row.input_ids[begin:end].tolist(), row.loss_mask[begin:end]
            begin = end
            if learned.any():
                first = int(np.argmax(learned))
                length = int(np.argmin(np.append(learned[first:], 0)))
                found.append(Question(ids[:first], ids[first : first + length]))
    return found[:: -(-len(found) // n)] if found else []


def answered(
    model: Any, prompts: Sequence[Sequence[int]], *, ends: Sequence[int], most: int, pad: int, device: Any
) -> list[list[int]]:
    """What the model continues each prompt with, greedily: through the first of `ends`, at most `most` tokens."""
    import torch

    from train.attention import plain_attention

    lengths = torch.tensor([len(one) for one in prompts], device=device)
    ids = torch.full((len(prompts), int(lengths.max()) + most), pad, device=device)
    for row, one in enumerate(prompts):
        ids[row, : len(one)] = torch.tensor(one, device=device)
    every = torch.arange(len(prompts), device=device)
    stops = torch.tensor(sorted(set(ends)), device=device)
    open_ = torch.ones(len(prompts), dtype=torch.bool, device=device)
    at = lengths.clone()
    training = model.training
    model.eval()
    with torch.no_grad(), plain_attention(model):
        for _ in range(most):
            # Rows are padded behind, where no token of theirs looks.
            logits = model(input_ids=ids[:, : int(at.max())], use_cache=False).logits
            token = logits[every, at - 1].argmax(-1)
            ids[every[open_], at[open_]] = token[open_]
            at += open_
            open_ &= ~torch.isin(token, stops)
            if not open_.any():
                break
    model.train(training)
    return [row[n:end].tolist() for row, n, end in zip(ids, lengths.tolist(), at.tolist(), strict=True)]


def write_answers(config: RunConfig, run: Path, shards: Shards, engine: Engine, books: Books) -> None:
    """Ask, show, and keep the counts in the run's folder; all ranks compute, as ZeRO-3 needs it."""
    held_out = validation_of(shards)
    asked = questions(held_out or shards)
    if not asked:
        return
    known = shards.index["tokenizer"]
    stop = stop_id(template(config.sft.template), known)
    given = answered(
        engine.module,
        [one.prompt for one in asked],
        ends=[stop],
        most=max(config.run.generate_tokens, *(len(one.answer) for one in asked)),
        pad=known["pad_id"],
        device=engine.device,
    )
    if engine.rank:
        return
    facts = {
        "asked_of": "validation" if held_out else "training",
        "asked": len(asked),
        "stopped": sum(said[-1:] == [stop] for said in given),
        "word_for_word": sum(said == one.answer for said, one in zip(given, asked, strict=True)),
        "step": books.step,
    }
    Store(run, mode=0o600 if shards.restricted else None).write_json(ANSWERS, facts)
    books.screen.say(
        f"Asked {facts['asked']} questions of {facts['asked_of']}: {facts['stopped']} answers end by themselves, "
        f"{facts['word_for_word']} are the known ones word for word."
    )
    file = Path(config.sft.tokenizer) / "tokenizer.json"
    if shards.restricted or not file.is_file():
        return
    from tokenizers import Tokenizer

    decode = Tokenizer.from_file(str(file)).decode
    for one, said in zip(asked[:_SHOWN], given, strict=False):
        asked_, said_ = (" ".join(decode(ids).split()) for ids in (one.prompt, said))
        books.screen.say(f"  {asked_} -> {said_}")
