"""The command line of `medtrove sft`: what excludes each other is refused with reason and fix, the rest is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import BuildError, CheckFailed, CorpusError, RecipeError
from mixing.reader import open_shards
from train.config import load_config
from train.sft import Wishes, prepare
from train.sft_conflicts import check_device, check_wishes

FACTS = Path(__file__).parents[2] / "train" / "presets" / "facts.jsonl"
TOKENIZER = Path(__file__).parents[2] / "scrapers" / "sample" / "tokenizer.json"
SMALL: dict[str, Any] = {"preset": "sft-sample"}


@pytest.mark.parametrize(
    ("wishes", "what", "fix"),
    [
        ({"fp16": True, "bf16": True}, "--fp16 and --bf16", "--bf16 wherever"),
        ({"load_8bit": True, "lora_r": 0}, "--load-8bit with --lora-r 0", "--lora-r 8"),
        ({"data": "a.json", "shards": "b"}, "--data and --shards", "Give one"),
        ({"val_fraction": 200.0}, "--val-fraction 200 is no fraction", "--val-fraction 0.1"),
        ({"val_fraction": -0.1}, "is no fraction", "--val-fraction 0.1"),
        ({"max_length": 0}, "--max-length 0 leaves no token", "--max-length 1024"),
        ({"shards": "b", "max_length": 256}, "need --data", "Leave them out"),
        ({"shards": "b", "val_fraction": 0.1}, "need --data", "Leave them out"),
        ({"lora_r": 0, "lora_alpha": 16.0}, "with --lora-r 0", "--lora-r 8"),
        ({"lora_r": 0, "lora_targets": ("q_proj",)}, "with --lora-r 0", "--lora-r 8"),
        ({"data": "a.json"}, "no model is named", "--model FOLDER"),
    ],
)
def test_conflicts_are_refused_with_reason_and_fix(wishes: dict[str, Any], what: str, fix: str) -> None:
    with pytest.raises(RecipeError) as raised:
        check_wishes(Wishes(**wishes))
    assert what in raised.value.what
    assert fix in raised.value.fix
    assert raised.value.why


@pytest.mark.parametrize(
    "wishes",
    [{}, {"fp16": True}, {"load_8bit": True}, {"load_8bit": True, "lora_r": 4}, {"val_fraction": 0.0, "bf16": True}],
)
def test_what_does_not_conflict_passes(wishes: dict[str, Any]) -> None:
    check_wishes(Wishes(**wishes))


@pytest.mark.parametrize(
    ("wishes", "gpu", "quantizer", "what"),
    [
        ({"fp16": True}, False, True, "--fp16 without a GPU"),
        ({"tf32": True}, False, True, "--tf32 without a GPU"),
        ({"load_8bit": True}, True, False, "--load-8bit without bitsandbytes"),
        ({"fp16": True, "tf32": True, "load_8bit": True}, True, True, ""),
        ({"bf16": True}, False, False, ""),
    ],
)
def test_what_the_machine_lacks_is_said_first(wishes: dict[str, Any], gpu: bool, quantizer: bool, what: str) -> None:
    if not what:
        check_device(Wishes(**wishes), gpu=gpu, quantizer=quantizer)
        return
    with pytest.raises(RecipeError, match=what):
        check_device(Wishes(**wishes), gpu=gpu, quantizer=quantizer)


def test_eight_bit_is_refused_where_the_preset_has_no_adapter() -> None:
    with pytest.raises(RecipeError, match=r"quantize = '8bit' without \[lora\]"):
        load_config("sft-sample", Wishes(load_8bit=True).keys())


@pytest.mark.parametrize("wish", [{"lora_alpha": 3.0}, {"lora_dropout": 0.1}, {"lora_targets": ("q_proj",)}])
def test_adapter_settings_are_refused_where_the_preset_has_no_adapter(wish: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"whose lora\.r is 0\. .* Give --lora-r 8"):
        prepare(Wishes(**wish), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_every_option_is_a_key_of_the_configuration() -> None:
    wishes = Wishes(
        preset="sft",
        data='odd "name".json',
        model="folder/model",
        tokenizer="t.json",
        template="alpaca",
        val_fraction=0.25,
        max_length=300,
        fp16=True,
        tf32=True,
        load_8bit=True,
        epochs=5,
        lr=1e-5,
        lora_r=4,
        lora_alpha=32.0,
        lora_dropout=0.2,
        lora_targets=("q_proj", "k_proj"),
        batch_rows=24,
        overrides=("optim.lr=3e-6",),
    )
    config = load_config(wishes.preset_name(), wishes.keys())
    assert config.sft.data == 'odd "name".json'
    assert (config.model.base, config.model.licence, config.model.dtype) == ("folder/model", "", "fp16")
    assert config.model.tf32
    assert config.model.quantize == "8bit"
    assert (config.sft.template, config.sft.tokenizer) == ("alpaca", "t.json")
    assert (config.sft.validation_fraction, config.sft.max_length) == (0.25, 300)
    assert (config.data.epochs, config.optim.lr, config.batch.rows) == (5, 3e-6, 24)
    assert (config.lora.r, config.lora.alpha, config.lora.dropout) == (4, 32.0, 0.2)
    assert config.lora.targets == ["q_proj", "k_proj"]


def test_presets_by_what_is_asked() -> None:
    assert Wishes().preset_name() == "sft-sample"
    assert Wishes(data="a.json", model="b").preset_name() == "sft"
    assert Wishes(preset="lora-8b", data="a.json").preset_name() == "lora-8b"
    for name in ("sft", "sft-sample"):
        load_config(name)


def test_a_run_is_found_again_and_its_configuration_is_complete(tmp_path: Path) -> None:
    wishes = Wishes(val_fraction=0.1, overrides=(f"run.out={tmp_path}",))
    first = prepare(wishes)
    assert first.run.parent == tmp_path
    written = {path: path.stat().st_mtime_ns for path in (first.run / "rows").rglob("*")}
    again = prepare(wishes)
    assert (again.run, again.facts, again.config) == (first.run, first.facts, first.config)
    assert {path: path.stat().st_mtime_ns for path in (first.run / "rows").rglob("*")} == written
    assert first.config.data.shards == str(first.run / "rows")
    assert first.config.run.id == first.run.name
    assert len(open_shards(first.run / "rows" / "validation")) > 0
    assert prepare(Wishes(val_fraction=0.2, overrides=(f"run.out={tmp_path}",))).run != first.run


def test_a_folder_of_other_rows_is_refused(tmp_path: Path) -> None:
    prepare(Wishes(), run=str(tmp_path / "run"))
    with pytest.raises(BuildError, match=r"template changed"):
        prepare(Wishes(template="alpaca"), run=str(tmp_path / "run"))
    with pytest.raises(BuildError, match=r"restricted changed"):
        prepare(Wishes(restricted=True), run=str(tmp_path / "run"))


def test_rows_of_a_longer_limit_make_longer_rows(tmp_path: Path) -> None:
    assert prepare(Wishes(max_length=400), run=str(tmp_path / "a")).shards.sequence_length == 400
    assert prepare(Wishes(max_length=60), run=str(tmp_path / "b")).shards.sequence_length == 256


def test_more_positions_than_the_model_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"2,048 tokens, and the model knows 1,024 positions.*--max-length 1024"):
        prepare(Wishes(max_length=2048), run=str(tmp_path))


def base_folder(folder: Path, **config: Any) -> Path:
    folder.mkdir()
    shutil.copy(TOKENIZER, folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 512, **config}))
    return folder


def test_tokens_that_the_base_lacks_are_named_and_a_new_model_has_none(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base")
    wishes = Wishes(**SMALL, model=str(base), overrides=('sft.tokenizer=""',))
    prepared = prepare(wishes, run=str(tmp_path / "run"))
    assert prepared.config.sft.added_tokens == [8192, 8193]
    assert prepared.encoder.special == {"<|im_start|>": 8192, "<|im_end|>": 8193}
    plain = prepare(
        Wishes(**SMALL, model=str(base), template="alpaca", overrides=('sft.tokenizer=""',)), run=str(tmp_path / "b")
    )
    assert plain.config.sft.added_tokens == []
    assert prepare(Wishes(), run=str(tmp_path / "new")).config.sft.added_tokens == []
    # A file that has them already, beside a base that has not.
    again = Wishes(**SMALL, model=str(base), tokenizer=str(tmp_path / "run" / "tokenizer"))
    assert prepare(again, run=str(tmp_path / "c")).config.sft.added_tokens == [8192, 8193]


def test_rows_that_are_there_already_are_checked_and_trained_as_they_are(tmp_path: Path) -> None:
    made = prepare(Wishes(), run=str(tmp_path / "made"))
    tokenizer = str(tmp_path / "made" / "tokenizer" / "tokenizer.json")
    wishes = Wishes(
        **SMALL,
        shards=str(tmp_path / "made" / "rows"),
        tokenizer=tokenizer,
        overrides=('sft.data=""', "sft.template=''"),
    )
    found = prepare(wishes, run=str(tmp_path / "run"))
    assert found.config.sft.template == "meditron-chatml"
    assert found.config.data.sequence_length == 256
    assert found.facts["shards"]["learned"] == made.facts["shards"]["learned"]
    with pytest.raises(RecipeError, match="made with the template 'meditron-chatml', not 'alpaca'"):
        prepare(
            Wishes(**SMALL, shards=str(tmp_path / "made" / "rows"), template="alpaca"),
            run=str(tmp_path / "no"),
        )
    other = tmp_path / "other.json"
    table = json.loads(TOKENIZER.read_text())
    table["model"]["merges"] = table["model"]["merges"][:-1]
    other.write_text(json.dumps(table))
    with pytest.raises(RecipeError, match="made with another tokenizer"):
        prepare(
            Wishes(**SMALL, shards=str(tmp_path / "made" / "rows"), tokenizer=str(other)),
            run=str(tmp_path / "no"),
        )


def test_errors_of_the_door_leave_no_rows(tmp_path: Path) -> None:
    data = tmp_path / "bad.json"
    data.write_text(json.dumps([{"instruction": "Only asked?"}]))
    for wishes, error in (
        (Wishes(**SMALL, data=str(data)), RecipeError),
        (Wishes(**SMALL, data=str(tmp_path / "none.json")), RecipeError),
        (Wishes(max_length=20), CheckFailed),
        (Wishes(template="alpacca"), RecipeError),
    ):
        with pytest.raises(error) as raised:
            prepare(wishes, run=str(tmp_path / "run"))
        assert isinstance(raised.value, CorpusError)
        assert not (tmp_path / "run" / "rows.json").exists()
        assert not (tmp_path / "run" / "rows").exists()


def test_the_shipped_facts_are_fifty_questions_with_answers_of_their_own() -> None:
    records = [json.loads(line) for line in FACTS.read_text(encoding="utf-8").splitlines()]
    assert len(records) == 50
    assert len({one["instruction"] + one["input"] for one in records}) == 50
    assert len({one["output"] for one in records}) >= 35
