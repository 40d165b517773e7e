"""The small tokenizer of the sample world: byte-level BPE of 8,192 tokens, trained on the sample world's text alone.

`tokenizer.json` beside this file was made by

    python -m scrapers.sample.tokenizer

and a test makes it again. Splitting and special tokens are Llama 3's, so that what is true of the sample is true of
the tokenizers people use.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scrapers.sample.blocks import Guideline
from scrapers.sample.clinical import notes
from scrapers.sample.content import GUIDELINES_PER_PUBLISHER, guidelines
from scrapers.sample.everyday import DOCUMENTS, document
from scrapers.sample.literature import ABSTRACTS, ARTICLES, Article, abstract, article

FILE = Path(__file__).with_name("tokenizer.json")
VOCABULARY = 8192
SPECIAL_TOKENS = ("<|begin_of_text|>", "<|end_of_text|>")
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Llama 3's pre-tokenizer (meta-llama/llama3, llama/tokenizer.py)."""


def trained(seed: int = 7) -> Any:
    """The tokenizer (`tokenizers.Tokenizer`); the same bytes on every run."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(texts(seed), trainer)
    return made


def texts(seed: int) -> Iterator[str]:
    """All text of the sample world, planted copies left out."""
    for publisher in GUIDELINES_PER_PUBLISHER:
        yield from (_guideline(found) for found in guidelines(publisher, seed) if not found.plant)
    yield from (abstract(seed, n).text for n in range(ABSTRACTS))
    yield from (_article(article(seed, n)) for n in range(ARTICLES))
    yield from (note.text for note in notes(seed))
    yield from ("\n\n".join(document(seed, n)) for n in range(DOCUMENTS))


def _guideline(found: Guideline) -> str:
    parts = [f"# {found.title}"]
    for block in found.blocks:
        if isinstance(block.value, str):
            parts.append(f"## {block.value}" if block.kind.startswith("heading") else block.value)
        elif block.kind == "table":
            parts.append("\n".join(f"| {' | '.join(row)} |" for row in block.value))
        else:
            parts.append("\n".join(f"- {item}" for item in block.value))
    return "\n\n".join(parts)


def _article(found: Article) -> str:
    parts = [f"# {found.title}", *(text for _label, text in found.abstract)]
    for section in found.sections:
        parts += [f"## {section.title}", *section.paragraphs]
        parts += ["\n".join(f"| {' | '.join(row)} |" for row in section.table)]
    return "\n\n".join(parts)


if __name__ == "__main__":
    trained().save(str(FILE), pretty=False)
