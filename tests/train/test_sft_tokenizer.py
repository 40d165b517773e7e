"""The tokenizer of a run: the base's, the template's tokens, its stop; and what transformers makes of the folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from manifests.errors import RecipeError
from manifests.store import Store
from mixing.template import TEMPLATES, Message, template
from train.sft_tokenizer import base_tokenizer, chat_tokenizer

SAMPLE = Path(__file__).parents[2] / "scrapers" / "sample" / "tokenizer.json"
ASKED = [Message("system", "Be brief."), Message("user", "Dose ≥5 mg of <|im_end|>?", "Renal failure: eGFR <30.")]
TALK = [*ASKED, Message("assistant", "2.5 mg."), Message("user", "And daily?")]


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_the_folder_is_the_same_bytes_again_and_names_the_stop(tmp_path: Path, name: str) -> None:
    form = template(name)
    digests = []
    for _ in range(2):
        chat = chat_tokenizer(str(SAMPLE), form, Store(tmp_path))
        digests.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()})
    assert digests[0] == digests[1]
    assert set(digests[0]) == {
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "generation_config.json",
    }
    assert list(chat.added) == [8192 + i for i in range(len(form.special))]
    ends = json.loads((tmp_path / "generation_config.json").read_text())["eos_token_id"]
    assert ends == ([chat.encoder.special[form.stop], 1] if form.stop else [1])
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert config["eos_token"] == (form.stop or "<|end_of_text|>")
    assert config["pad_token"] == "<|end_of_text|>"
    assert chat.encoder.eos_id == ends[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_transformers_reads_the_ids_that_were_trained(tmp_path: Path, name: str) -> None:
    transformers = pytest.importorskip("transformers")
    form = template(name)
    encoder = chat_tokenizer(str(SAMPLE), form, Store(tmp_path)).encoder
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    for messages in (ASKED[1:], ASKED, TALK):
        # A question that spells a control token is text to us; asked through a plain string it cannot be, so not here.
        plain = [Message(one.role, one.content.replace("<|im_end|>", "it"), one.context) for one in messages]
        ours, _ = encoder.encode_segments([form.render(plain, generate=True)])
        turns = [{"role": one.role, "content": one.content, "context": one.context} for one in plain]
        found = theirs.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
        assert found == ours[0].tolist()
    assert theirs.eos_token_id == encoder.eos_id
    assert theirs.pad_token_id == encoder.pad_id
    assert transformers.GenerationConfig.from_pretrained(str(tmp_path)).eos_token_id[0] == encoder.eos_id


def test_a_base_is_a_folder_a_run_or_its_export(tmp_path: Path) -> None:
    for place in ("plain", "run/export", "other/tokenizer"):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        (folder / "tokenizer.json").write_bytes(SAMPLE.read_bytes())
        assert base_tokenizer(str(tmp_path / place.split("/")[0])) == str(folder / "tokenizer.json")
    assert base_tokenizer("nowhere", str(SAMPLE)) == str(SAMPLE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match=r"no tokenizer.json here.*--tokenizer"):
        base_tokenizer(str(tmp_path / "empty"))
    with pytest.raises(RecipeError, match="random weights has no tokenizer"):
        base_tokenizer("")


def test_a_tokenizer_of_restricted_text_makes_the_run_restricted(tmp_path: Path) -> None:
    from train.sft import Wishes, prepare

    folder = tmp_path / "t"
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes(SAMPLE.read_bytes())
    (folder / "tokenizer.card.json").write_text(json.dumps({"restricted": True}))
    with pytest.raises(RecipeError, match=r"trained on restricted text.*--restricted"):
        prepare(Wishes(tokenizer=str(folder)), run=str(tmp_path / "a"))
    prepared = prepare(Wishes(tokenizer=str(folder), restricted=True), run=str(tmp_path / "b"))
    assert prepared.shards.restricted
    assert (tmp_path / "b" / "tokenizer" / "tokenizer.json").stat().st_mode & 0o777 == 0o600
