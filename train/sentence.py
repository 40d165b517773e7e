"""The sentence a run ends with: `[run] generate` continued by the trained model, greedily."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from manifests.store import Store
from mixing.reader import Shards
from train.books import Books
from train.config import RunConfig
from train.engine import Engine
from train.tokenizer import tokenizer_file

SENTENCE = "generated.json"


def write_sentence(config: RunConfig, run: Path, shards: Shards, engine: Engine, books: Books) -> None:
    """Continue the prompt, show it, and keep it in the run's folder; all ranks compute, as ZeRO-3 needs it."""
    if not config.run.generate:
        return
    path = tokenizer_file(shards)
    if path is None:
        books.screen.say("No sentence is generated: the shards' tokenizer is not at hand.")
        return
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    known = shards.index["tokenizer"]
    ids = tokenizer.encode(config.run.generate, add_special_tokens=False).ids
    prompt = ([known["bos_id"]] if known["bos"] else []) + ids
    text = config.run.generate + tokenizer.decode(_continued(engine, prompt, config, known["eos_id"]))
    if engine.rank == 0:
        in_log = shards.restricted and not books.screen.on_terminal
        books.screen.say(f"Restricted, so not for a log: the sentence is in {run / SENTENCE}." if in_log else text)
        store = Store(run, mode=0o600 if shards.restricted else None)
        store.write_json(SENTENCE, {"prompt": config.run.generate, "text": text, "step": books.step})


def _continued(engine: Engine, prompt: list[int], config: RunConfig, end: int | None) -> list[int]:
    import torch

    from train.attention import plain_attention

    model: Any = engine.module
    ids = torch.tensor([prompt], device=engine.device)
    model.eval()
    with torch.no_grad(), plain_attention(model):
        for _ in range(config.run.generate_tokens):
            logits = model(input_ids=ids[:, -config.data.sequence_length :], use_cache=False).logits
            token = logits[:, -1].argmax(-1, keepdim=True)
            if int(token) == end:
                break
            ids = torch.cat([ids, token], dim=1)
    model.train()
    return [int(token) for token in ids[0, len(prompt) :]]
