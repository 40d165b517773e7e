"""Training a tokenizer: numbers apart from words, special tokens last, the same bytes again; and fertility counted."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from manifests.errors import RecipeError
from mixing.fertility import fertility
from mixing.tokenize import Encoder
from mixing.train_tokenizer import config, train

TEXTS = [
    f"Give {n}mg/kg of warfarin, INR 2.{n}–3.0, {n * 1234} units; ≥{n} µg/L (10⁻³), day{n}." for n in range(99)
] * 3


@pytest.mark.parametrize("digits", [3, 1])
def test_numbers_and_words_share_no_token(tmp_path: Path, digits: int) -> None:
    content = train(TEXTS, vocabulary=700, digits=digits, special=["[bib_ref]"])
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config(["[bib_ref]"])))
    library = Tokenizer.from_str(content.decode())
    for token, number in library.get_vocab(with_added_tokens=False).items():
        letters = library.decode([number]) if len(token) > 1 else ""
        assert not (re.search(r"\d", letters) and re.search(r"[^\d]", letters)), token
        assert len(letters) <= digits or not letters.isdigit()
    assert any(len(token) > 4 for token in library.get_vocab())
    encoder = Encoder(str(path), bos=True, eos=True, special=["[bib_ref]"])
    assert encoder.engine == "fastokens"
    assert encoder.decode(encoder.encode(TEXTS[:3])[1][1:-1]) == TEXTS[1]
    # Control tokens come last, so that `extend` goes on from there, and none is made by text.
    assert sorted([encoder.bos_id, encoder.eos_id, encoder.pad_id, encoder.special["[bib_ref]"]]) == list(  # type: ignore[type-var]
        range(encoder.vocab_size - 4, encoder.vocab_size)
    )
    assert encoder.vocab_size <= 700


def test_the_same_bytes_in_another_process() -> None:
    here = hashlib.sha256(train(TEXTS, vocabulary=600)).hexdigest()
    code = (
        "import hashlib, sys; sys.path.insert(0, sys.argv[1]); from test_train_tokenizer import TEXTS\n"
        "from mixing.train_tokenizer import train\n"
        "print(hashlib.sha256(train(TEXTS, vocabulary=600)).hexdigest())"
    )
    for seed in ("1", "2"):
        made = subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parent)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2]), "RAYON_NUM_THREADS": seed},
        )
        assert made.stdout.strip() == here


@pytest.mark.parametrize(
    ("vocabulary", "digits", "says"), [(65537, 3, "cannot be"), (200, 3, "cannot be"), (600, 2, "2 is")]
)
def test_choices_that_cannot_be(vocabulary: int, digits: int, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        train(TEXTS, vocabulary=vocabulary, digits=digits)


def test_fertility_is_counted_by_hand() -> None:
    tokenizer = Tokenizer.from_str(train(["xy"], vocabulary=300).decode())
    found = fertility(tokenizer, ["ab 12.5 mg", "", "no number é"])
    # Bytes alone, and é is two of them.
    assert (found.documents, found.characters, found.words, found.numbers) == (3, 21, 6, 1)
    assert (found.tokens, found.number_tokens) == (22, 4)
    assert found.ratios == {"tokens_per_word": 22 / 6, "tokens_per_character": 22 / 21, "tokens_per_number": 4.0}
    assert fertility(tokenizer, []).ratios["tokens_per_word"] == 0
