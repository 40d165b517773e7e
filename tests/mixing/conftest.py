from __future__ import annotations

import random
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

WORDS = [
    *("patient", "dose", "mg", "daily", "renal", "failure", "acute", "chronic", "therapy", "trial", "placebo", "risk"),
    *("insulin", "warfarin", "INR", "2.5", "≥", "5", "µg/L", "<0.05", "10⁻³", "not", "without", "contraindicated"),
]


def sentence(random_: random.Random, n_words: int) -> str:
    return " ".join(random_.choices(WORDS, k=n_words))


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE trained on invented text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    random_ = random.Random(3)
    tokenizer.train_from_iterator((sentence(random_, 40) for _ in range(300)), trainer)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return path
