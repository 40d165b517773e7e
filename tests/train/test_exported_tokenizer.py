from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import tiny_run

from manifests.errors import CheckFailed, RecipeError
from manifests.store import Store
from mixing.template import Message, joined, template
from train.export import export
from train.sft_tokenizer import chat_tokenizer

pytestmark = pytest.mark.slow
pytest.importorskip("torch")

FILE = Path(__file__).resolve().parents[2] / "scrapers" / "sample" / "tokenizer.json"
CONVERSATION = [Message("user", "Is 0.9 % saline isotonic?"), Message("assistant", "Yes.")]


def known(file: Path, size: int = 8192, eos: int = 1) -> dict[str, Any]:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return {"sha256": sha256, "vocab_size": size, "bos_id": 0, "eos_id": eos, "pad_id": 1}


def test_ids_of_an_exported_tokenizer_are_those_of_the_shards(tmp_path: Path) -> None:
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    run, _ = tiny_run(tmp_path, vocabulary=8192, tokenizer=known(FILE))
    out = tmp_path / "out"
    export(run, str(out), dtype="bf16", tokenizer=str(FILE))
    theirs, ours = AutoTokenizer.from_pretrained(out), Tokenizer.from_file(str(FILE))
    for text in ("Furosemide 40 mg\n\nb.i.d.", "  two", "<s></s><|im_end|>", "naïve café 37.5 °C 🫀"):
        assert theirs(text, add_special_tokens=False)["input_ids"] == ours.encode(text, add_special_tokens=False).ids
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (0, 1, 1)
    assert (out / "tokenizer.json").read_bytes() == FILE.read_bytes()
    assert json.loads((out / "generation_config.json").read_text())["eos_token_id"] == 1


def test_another_tokenizer_or_none_is_refused(tmp_path: Path) -> None:
    run, _ = tiny_run(tmp_path, vocabulary=8192, tokenizer=known(FILE))
    other = tmp_path / "tokenizer.json"
    other.write_text(FILE.read_text() + "\n")
    with pytest.raises(RecipeError, match="this is another"):
        export(run, str(tmp_path / "out"), dtype="bf16", tokenizer=str(other))
    with pytest.raises(RecipeError, match="--no-tokenizer"):
        export(run, str(tmp_path / "out"), dtype="bf16")
    with pytest.raises(RecipeError, match="no dtype 'int8'"):
        export(run, str(tmp_path / "out"), dtype="int8")
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_of_restricted_text_makes_the_export_restricted(tmp_path: Path) -> None:
    run, _ = tiny_run(tmp_path, vocabulary=8192, tokenizer=known(FILE))
    file = tmp_path / "own" / "tokenizer.json"
    file.parent.mkdir()
    file.write_bytes(FILE.read_bytes())
    file.with_name("tokenizer.card.json").write_text('{"restricted": true}')
    assert export(run, str(tmp_path / "out"), dtype="bf16", tokenizer=str(file)).restricted
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


def test_other_ids_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tokenizers import Tokenizer

    class Other:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def encode(self, text: str, **named: Any) -> Any:
            return self._inner.encode(text.upper(), **named)

    run, _ = tiny_run(tmp_path, vocabulary=8192, tokenizer=known(FILE))
    real = Tokenizer.from_file(str(FILE))
    monkeypatch.setattr("tokenizers.Tokenizer", type("T", (), {"from_file": staticmethod(lambda _: Other(real))}))
    with pytest.raises(CheckFailed, match="other ids"):
        export(run, str(tmp_path / "out"), dtype="bf16", tokenizer=str(FILE))


@pytest.mark.parametrize("name", ["meditron-chatml", "alpaca"])
def test_a_run_on_conversations_exports_its_template_and_its_stop(tmp_path: Path, name: str) -> None:
    from transformers import AutoTokenizer

    form = template(name)
    chat = chat_tokenizer(str(FILE), form, Store(tmp_path / "tokenizer"))
    size, file = chat.encoder.vocab_size, tmp_path / "tokenizer" / "tokenizer.json"
    facts = known(file, size=size, eos=chat.encoder.eos_id)
    sections: dict[str, Any] = {"sft": {"template": name, "tokenizer": str(file.parent)}}
    run, _ = tiny_run(tmp_path / "made", vocabulary=size, tokenizer=facts, **sections)
    out = tmp_path / "out"
    export(run, str(out), dtype="bf16")
    theirs = AutoTokenizer.from_pretrained(out)
    stop = chat.encoder.special[form.stop] if form.stop else chat.encoder.eos_id
    assert json.loads((out / "generation_config.json").read_text())["eos_token_id"][0] == stop
    turns = [{"role": one.role, "content": one.content} for one in CONVERSATION]
    shown = theirs.apply_chat_template(turns, tokenize=False)
    assert shown.rstrip("\n") == joined(form.render(CONVERSATION), bos=theirs.bos_token, eos="<|end_of_text|>").rstrip(
        "\n"
    )
    assert json.loads((out / "tokenizer_config.json").read_text())["chat_template"] == form.jinja
