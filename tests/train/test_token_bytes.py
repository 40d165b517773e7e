from __future__ import annotations

import json
from pathlib import Path

import pytest

from manifests.errors import RecipeError
from train.token_bytes import token_bytes

FILE = Path(__file__).resolve().parents[2] / "scrapers" / "sample" / "tokenizer.json"
TEXTS = [
    "The patient received 40 mg of furosemide.\n\nReview in two weeks.",
    "  leading spaces, a tab\tand naïve café, β-blocker, 37.5 °C",
    "肺炎 🫀 𝔸 \u0007 bytes that no token has whole",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_tokens_of_a_text_spell_as_many_bytes_as_it_has(text: str) -> None:
    from tokenizers import Tokenizer

    ids = Tokenizer.from_file(str(FILE)).encode(text, add_special_tokens=False).ids
    assert token_bytes(FILE)[ids].sum() == len(text.encode())


def test_control_tokens_spell_nothing() -> None:
    assert token_bytes(FILE)[:2].tolist() == [0, 0]


def bpe(folder: Path, vocabulary: list[str], **more: object) -> Path:
    table = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": None,
        "decoder": None,
        "model": {"type": "BPE", "vocab": {token: i for i, token in enumerate(vocabulary)}, "merges": []},
    }
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(table | more))
    return file


def test_sentencepiece_writes_spaces_and_single_bytes_its_own_way(tmp_path: Path) -> None:
    spaces = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    file = bpe(tmp_path, ["▁the", "<0x0A>", "é", "▁", "<0xG0>"], decoder=spaces)
    assert token_bytes(file).tolist() == [4, 1, 2, 1, 6]


def test_a_tokenizer_whose_tokens_do_not_spell_the_text_is_refused(tmp_path: Path) -> None:
    file = bpe(tmp_path, ["the", "##re"], decoder={"type": "WordPiece", "prefix": "##", "cleanup": True})
    with pytest.raises(RecipeError, match="byte by byte"):
        token_bytes(file)
