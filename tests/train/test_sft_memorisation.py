"""LoRA on fifty planted facts: the base, pretrained on the sample world, answers none; the adapter answers them.

The facts are invented (`train/presets/facts.jsonl`), the base is made here. An answer counts where it is the known one
token for token, its stop token emitted: with a template whose stop the base has, and with one whose stop is new to it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from manifests.store import Store
from mixing.blocks import pack_block
from mixing.reader import Shards, open_shards
from mixing.shards import write_folder_files, write_shard
from mixing.tokenize import Encoder
from scrapers.sample.tokenizer import FILE, texts
from train.config import RunConfig, load_config

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")

from train.added_tokens import merge_rows  # noqa: E402
from train.lora import adapter_state  # noqa: E402
from train.pretrain import _model_builder, train  # noqa: E402
from train.run_folder import open_run  # noqa: E402
from train.sft import Wishes, prepare  # noqa: E402
from train.sft_answers import Question, answered, questions, write_answers  # noqa: E402
from train.sft_rows import stop_id  # noqa: E402

PRESETS = Path(__file__).parents[2] / "train" / "presets"
BAR = 48
"""Facts of the fifty that have to be answered token for token."""
LENGTH = 256


def pretraining_shards(folder: Path, n_tokens: int) -> Shards:
    """Rows of the sample world's text."""
    encoder = Encoder(str(FILE), bos=True, eos=True)
    chosen: list[str] = []
    for text in texts(7):
        chosen.append(text)
        if sum(map(len, chosen)) > 4 * n_tokens:
            break
    rows = pack_block(range(1, len(chosen) + 1), encoder.encode(chosen), LENGTH + 1, encoder.pad_id).rows.of_source(0)
    store, file = Store(folder), "shard-00000.arrow"
    with store.writing(file) as stream:
        record = write_shard(stream, [rows], file=file, sources=["sample"], row_tokens=LENGTH + 1, dtype=encoder.dtype)
    write_folder_files(
        store,
        [record],
        sources=["sample"],
        sequence_length=LENGTH,
        dtype=encoder.dtype,
        tokenizer=encoder.describe(),
        schedule={"kind": "constant"},
        restricted=False,
    )
    return open_shards(folder)


def run(config: RunConfig, folder: Path, shards: Shards, finish: Any) -> None:
    open_run(folder, config, shards=shards.folder, restricted=False, status="starting")
    assert train(config, folder, shards, build=_model_builder(config, shards), finish=finish) == 0


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama that has read the sample world for a while, as a Hugging Face folder with its tokenizer."""
    root = tmp_path_factory.mktemp("base")
    shards = pretraining_shards(root / "shards", 60_000)
    # Tied embeddings of the usual 0.02 bound a logit by 0.02 x width, which no adapter can lift: a base that has read
    # as little as this one has to begin with larger ones.
    shape = json.loads((PRESETS / "tiny-llama.json").read_text(encoding="utf-8"))
    (root / "shape.json").write_text(json.dumps(shape | {"initializer_range": 0.1, "num_hidden_layers": 3}))
    config = load_config(
        "sample",
        [
            f"data.sequence_length={LENGTH}",
            f"model.architecture={root / 'shape.json'}",
            "parallel.engine=torch",
            "batch.micro_rows=4",
            "batch.accumulation=1",
            "run.generate=''",
        ],
    )

    def save(_: Any, __: Any, ___: Any, engine: Any, ____: Any) -> None:
        engine.module.save_pretrained(root / "hf")

    run(config, root / "run", shards, save)
    shutil.copy(FILE, root / "hf" / "tokenizer.json")
    return root / "hf"


def answers(model: Any, asked: list[Question], stop: int) -> tuple[int, int]:
    """Answers that end by themselves, and those that are the known ones."""
    given = answered(model, [one.prompt for one in asked], ends=[stop], most=40, pad=1, device="cpu")
    exact = sum(said == one.answer for said, one in zip(given, asked, strict=True))
    return sum(said[-1:] == [stop] for said in given), exact


@pytest.mark.parametrize("form", ["mellama", "meditron-chatml"])
def test_facts_are_learned_by_an_adapter_and_unknown_to_the_base(base: Path, tmp_path: Path, form: str) -> None:
    prepared = prepare(
        Wishes(
            preset="sft-sample",
            model=str(base),
            template=form,
            tokenizer="",
            lora_r=16,
            lora_alpha=32.0,
            lr=3e-3,
            epochs=80,
            overrides=("sft.tokenizer=''", "optim.min_lr=3e-4"),
        ),
        run=str(tmp_path / "run"),
    )
    config, shards = prepared.config, prepared.shards
    stop = stop_id(prepared.form, shards.index["tokenizer"])
    assert config.sft.added_tokens == ([8192, 8193] if form == "meditron-chatml" else [])
    assert (stop in config.sft.added_tokens) == (form == "meditron-chatml")
    asked = questions(shards)
    assert len(asked) == 50
    before = _model_builder(config, shards)()
    assert answers(before, asked, stop)[1] == 0, "the base knows a fact"
    frozen = {name: one.clone() for name, one in before.named_parameters() if not one.requires_grad}
    seen: dict[str, Any] = {}

    def finish(given: RunConfig, folder: Path, rows: Shards, engine: Any, books: Any) -> None:
        write_answers(given, folder, rows, engine, books)
        model = engine.module
        seen["adapter"] = answers(model, asked, stop)
        state = adapter_state(model)
        seen["rows"] = [name for name in state if "trainable_tokens" in name]
        seen["changed"] = [n for n, one in model.named_parameters() if n in frozen and not torch.equal(one, frozen[n])]
        merge_rows(model)
        seen["merged"] = answers(model.merge_and_unload(), asked, stop)

    run(config, tmp_path / "run", shards, finish)
    assert seen["changed"] == [], "a frozen weight moved"
    assert len(seen["rows"]) == (1 if form == "meditron-chatml" else 0)
    stopped, exact = seen["adapter"]
    assert stopped == 50, f"{stopped} of 50 answers end by themselves"
    assert exact >= BAR, f"{exact} of 50 facts"
    assert seen["merged"][1] >= exact - 1
    told = json.loads((tmp_path / "run" / "answers.json").read_bytes())
    assert (told["asked_of"], told["asked"], told["word_for_word"]) == ("training", 50, exact)
