"""A tokenizer of one's own: byte-level BPE over a pre-tokenizer that splits as Llama 3's does.

Numbers and words never share a token: `5mg` is `5` and `mg`, and a dose reads the same beside every unit. Digits stand
in groups of at most three, or alone. The same texts in the same order give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from manifests.errors import RecipeError

MAX_VOCABULARY = 65536
"""The most that leaves ids of two bytes."""
BEGIN, END, PADDING = "<|begin_of_text|>", "<|end_of_text|>", "<|pad|>"
_BYTES = 256

DIGITS = {3: r"\p{N}{1,3}", 1: r"\p{N}"}
"""Digits of one token at most -> how they are split."""


def split_pattern(digits: int) -> str:
    """Llama 3's pre-tokenizer (https://github.com/meta-llama/llama3, llama/tokenizer.py), digits as chosen."""
    return (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + DIGITS[digits] + r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


def check_choices(vocabulary: int, digits: int, special: Sequence[str]) -> None:
    """RecipeError for what cannot be trained."""
    least = _BYTES + 3 + len(special)
    if not least < vocabulary <= MAX_VOCABULARY:
        raise RecipeError(
            f"a vocabulary of {vocabulary:,} cannot be.",
            why=f"Bytes and special tokens need {least:,}; above {MAX_VOCABULARY:,} ids need four bytes, not two.",
            fix=f"Give --vocabulary from {least + 1:,} to {MAX_VOCABULARY:,}; 32768 and 65536 are usual.",
        )
    if digits not in DIGITS:
        raise RecipeError(f"--digits {digits} is not known.", fix="Give 3 (as Llama 3) or 1 (as Llama 2).")


def train(texts: Iterable[str], *, vocabulary: int, digits: int = 3, special: Sequence[str] = ()) -> bytes:
    """The `tokenizer.json` trained on `texts`: special tokens last, so that more can follow them."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    names = list(dict.fromkeys([BEGIN, END, PADDING, *special]))
    check_choices(vocabulary, digits, special)
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split_pattern(digits)), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(names),
        min_frequency=2,
        special_tokens=[],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    made.add_special_tokens([AddedToken(name, normalized=False) for name in names])
    return (json.dumps(json.loads(made.to_str()), ensure_ascii=False, indent=2) + "\n").encode()


def config(special: Sequence[str]) -> dict[str, Any]:
    """The `tokenizer_config.json` of a tokenizer trained here."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": PADDING,
        "additional_special_tokens": list(special),
        "clean_up_tokenization_spaces": False,
    }
