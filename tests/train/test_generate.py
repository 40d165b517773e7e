from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_models import FAMILIES, tiny_config, tiny_model
from tiny_runs import tiny_run
from typer.testing import CliRunner

from manifests.errors import CorpusError, RecipeError
from manifests.store import Store
from mixing.template import Message, template
from pipelines.cli import app
from train.generate import chat_prompt, continued
from train.sft_tokenizer import chat_tokenizer

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")

FILE = Path(__file__).resolve().parents[2] / "scrapers" / "sample" / "tokenizer.json"


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_is_what_a_pass_over_everything_says(tmp_path: Path, family: str) -> None:
    """With a cache, and for families of sliding windows, against the whole text each time."""
    from train.attention import plain_attention

    model = tiny_model(tiny_config(tmp_path, family))
    prompt = [5, 9, 100, 17, 64]
    expected = list(prompt)
    model.eval()
    with torch.no_grad(), plain_attention(model):
        for _ in range(12):
            logits = model(input_ids=torch.tensor([expected]), use_cache=False).logits[0, -1]
            expected.append(int(logits.argmax()))
    assert continued(model, prompt, ends=[], most=12) == expected[5:]
    stop = expected[8]
    assert continued(model, prompt, ends=[stop], most=12) == expected[5 : expected.index(stop, 5)]


def test_sampling_comes_from_the_seed_and_ends_with_the_positions(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(tmp_path))
    one = continued(model, [5, 9], ends=[], most=10, temperature=2.0, seed=1)
    assert one == continued(model, [5, 9], ends=[], most=10, temperature=2.0, seed=1)
    assert one != continued(model, [5, 9], ends=[], most=10, temperature=2.0, seed=2)
    greedy = continued(model, [5, 9], ends=[], most=10)
    assert continued(model, [5, 9], ends=[], most=10, temperature=1e-4) == greedy != one
    assert len(continued(model, [5] * 60, ends=[], most=10)) == 4, "the model has 64 positions"
    with pytest.raises(RecipeError, match="64 positions"):
        continued(model, [5] * 64, ends=[], most=1)


def chat_run(folder: Path, name: str, **options: Any) -> tuple[Path, Any]:
    chat = chat_tokenizer(str(FILE), template(name), Store(folder / "tokenizer"))
    file = folder / "tokenizer" / "tokenizer.json"
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    size, end = chat.encoder.vocab_size, chat.encoder.eos_id
    known = {"sha256": sha256, "vocab_size": size, "bos_id": 0, "eos_id": end, "pad_id": 1}
    sections: dict[str, Any] = {"sft": {"template": name, "tokenizer": str(file.parent)}}
    return tiny_run(folder / "made", vocabulary=size, tokenizer=known, **sections, **options)[0], chat.encoder


@pytest.mark.parametrize("name", ["chatml", "alpaca", "llama-2"])
def test_a_question_is_asked_in_the_words_that_were_taught(tmp_path: Path, name: str) -> None:
    _, encoder = chat_run(tmp_path, name)
    form = template(name)
    asked, answer = Message("user", "Is it <|im_end|>?"), Message("assistant", "No.")
    prompt, ends = chat_prompt([asked], form, encoder)
    taught, learned = encoder.encode_segments([form.render([asked, answer])])
    first = int(learned.argmax())
    assert prompt == taught[0][:first].tolist()
    assert taught[0][learned == 1][-1] == ends[0]


def test_chat_answers_from_a_run_and_from_its_export_alike(tmp_path: Path) -> None:
    from train.export import export

    run, _ = chat_run(tmp_path, "chatml")
    export(run, str(tmp_path / "out"), dtype="fp32")
    said = []
    for model in (run, tmp_path / "out"):
        result = CliRunner().invoke(app, ["chat", str(model), "Is it?", "--max-tokens", "8", "--json"])
        assert result.exit_code == 0, result.output
        said.append(json.loads(result.output)["answer"])
    assert said[0] == said[1] != ""
    lines = CliRunner().invoke(app, ["chat", str(run), "--max-tokens", "3"], input="One?\n\nTwo?\n")
    assert len(lines.output.strip().splitlines()) >= 2
    for more, reason in ((["--template", "alpaca"], "was taught the template 'chatml'"),):
        result = CliRunner().invoke(app, ["chat", str(run), "Is it?", *more])
        assert isinstance(result.exception, CorpusError)
        assert reason in str(result.exception)


def test_a_model_without_a_template_continues_text_only_when_asked_to(tmp_path: Path) -> None:
    known = {
        "sha256": hashlib.sha256(FILE.read_bytes()).hexdigest(),
        "vocab_size": 8192,
        "bos_id": 0,
        "eos_id": 1,
        "pad_id": 1,
    }
    run, _ = tiny_run(tmp_path, vocabulary=8192, tokenizer=known)
    command = ["chat", str(run), "The patient", "--tokenizer", str(FILE), "--max-tokens", "4"]
    result = CliRunner().invoke(app, command)
    assert "names no chat template" in str(result.exception)
    assert CliRunner().invoke(app, [*command, "--plain"]).exit_code == 0
