"""New special tokens: ids at the end, and nothing that was there changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from manifests.errors import RecipeError
from manifests.markers import ours
from mixing.extend import extend
from mixing.template import template
from mixing.tokenize import Encoder
from mixing.tokenizer_file import CARD

NAMES = ["[bib_ref]", "[/bib_ref]"]


@pytest.fixture(scope="module")
def extended(tokenizer_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extended")
    extend(str(tokenizer_file), NAMES, folder)
    return folder / "tokenizer.json"


def test_ids_at_the_end_and_nothing_else_changed(tokenizer_file: Path, extended: Path) -> None:
    before, after = (json.loads(path.read_text()) for path in (tokenizer_file, extended))
    n = len(before["model"]["vocab"])
    new = after["added_tokens"][len(before["added_tokens"]) :]
    assert [(one["content"], one["id"], one["special"]) for one in new] == [
        (NAMES[0], n, True),
        (NAMES[1], n + 1, True),
    ]
    after["added_tokens"] = before["added_tokens"]
    assert after == before
    assert list(after) == list(before)
    library = Tokenizer.from_file(str(extended))
    assert [library.token_to_id(name) for name in NAMES] == [n, n + 1]
    encoder = Encoder(str(extended), bos=False, eos=False, special=NAMES)
    assert encoder.encode([f"a {ours(NAMES[0])}"])[0][-1] == n


@given(st.text(st.characters(codec="utf-8"), max_size=60))
@settings(max_examples=100, deadline=None)
def test_old_text_has_its_old_ids(tokenizer_file: Path, extended: Path, text: str) -> None:
    text = text.replace("[", "(")
    before, after = (Tokenizer.from_file(str(path)).encode(text).ids for path in (tokenizer_file, extended))
    assert before == after


def test_again_adds_nothing(extended: Path, tmp_path: Path) -> None:
    facts = extend(str(extended), NAMES, tmp_path)
    assert facts["added"] == {}
    assert list(facts["kept"]) == NAMES
    assert (tmp_path / "tokenizer.json").read_bytes() == extended.read_bytes()


def test_config_map_and_chat_template_follow(tokenizer_file: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    config = {
        "eos_token": "</s>",
        "additional_special_tokens": ["<x>"],
        "added_tokens_decoder": {"0": {"content": "p"}},
    }
    (source / "tokenizer_config.json").write_text(json.dumps(config))
    (source / "special_tokens_map.json").write_text(json.dumps({"eos_token": "</s>"}))
    facts = extend(str(source / "tokenizer.json"), [], tmp_path / "out", form=template("chatml"))
    written = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    names = ["<|im_start|>", "<|im_end|>"]
    assert written["additional_special_tokens"] == ["<x>", *names]
    assert written["eos_token"] == "</s>"
    assert written["chat_template"] == template("chatml").jinja
    assert written["added_tokens_decoder"]["0"] == {"content": "p"}
    assert [written["added_tokens_decoder"][str(facts["added"][name])]["content"] for name in names] == names
    assert json.loads((tmp_path / "out" / "special_tokens_map.json").read_text()) == {
        "eos_token": "</s>",
        "additional_special_tokens": names,
    }
    assert not (tmp_path / "out" / CARD).exists()


def test_the_mark_of_a_restricted_file_goes_along(tokenizer_file: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    (tmp_path / CARD).write_text(json.dumps({"restricted": True}))
    extend(str(tmp_path / "tokenizer.json"), NAMES, tmp_path / "out")
    card = json.loads((tmp_path / "out" / CARD).read_text())
    assert card["restricted"] is True
    assert list(card["extended_with"]) == NAMES
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("name", "says"), [("dose", "ordinary token"), (" [x]", "no name"), ("", "no name"), ("\ufdd0[x]", "no name")]
)
def test_names_that_cannot_be(tokenizer_file: Path, tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        extend(str(tokenizer_file), [name], tmp_path / "out")
    assert not (tmp_path / "out").exists()
