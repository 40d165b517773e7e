"""`medtrove sft` at its door: what is shown, what is refused, what the ranks are started with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import train.launch
from pipelines import train_needs
from pipelines.cli import app, guarded
from train.config import load_config

FLAGS = "--data --val-fraction --max-length --template --fp16 --bf16 --tf32 --load-8bit --model --epochs --lr --lora-r"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been launched; nothing is, and nothing has to be installed."""
    calls: list[Any] = []
    monkeypatch.setattr(train_needs, "check_needs", lambda config: None)

    def launch(module: str, arguments: list[str], *, n_ranks: int, run: Path) -> int:
        calls.append((module, arguments, n_ranks, run))
        (run / "consumed.json").write_text('{"closed": true}')  # as a run that came to its end
        (run / "consumed.json").chmod(0o600)
        return 0

    monkeypatch.setattr(train.launch, "launch", launch)
    return calls


def test_one_command_makes_rows_and_starts_the_loop(tmp_path: Path, started: list[Any]) -> None:
    result = CliRunner().invoke(app, ["sft", "--run", str(tmp_path / "run"), "--epochs", "3", "--val-fraction", "0.1"])
    assert result.exit_code == 0, result.output
    ((module, arguments, n_ranks, run),) = started
    assert (module, n_ranks, run) == ("train.pretrain", 1, tmp_path / "run")
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert given["--shards"] == str(tmp_path / "run" / "rows" / "shards")
    config = load_config(given["--config"])
    assert (config.data.epochs, config.sft.validation_fraction) == (3, 0.1)
    assert config.sft.tokenizer == str(tmp_path / "run" / "tokenizer")
    assert "validation: " in result.output
    assert result.output.count("<|im_start|>question") == 3


def test_restricted_conversations_are_counted_and_not_shown(tmp_path: Path, started: list[Any]) -> None:
    data = tmp_path / "notes.jsonl"
    data.write_text(
        "".join(json.dumps({"instruction": f"Quillfeather {i}?", "output": f"Ulmworthy {i}"}) + "\n" for i in range(9))
    )
    run = tmp_path / "run"
    command = ["sft", "sft-sample", "--data", str(data), "--restricted", "--run", str(run)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "9 conversations" in result.output
    assert "restricted" in result.output
    assert "Quillfeather" not in result.output
    assert "Ulmworthy" not in result.output
    assert json.loads((run / "run.json").read_bytes())["restricted"] is True
    for path in [run, *run.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
        if path.is_file() and path.suffix in (".json", ".toml"):
            assert "Quillfeather" not in path.read_text(encoding="utf-8")


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path: Path, started: list[Any]) -> None:
    data = tmp_path / "odd.jsonl"
    data.write_text(
        json.dumps({"instruction": "Clear\x1b[2J\x9b2J it?\tNow?", "output": "Title\x1b]0;x\x07\r."}) + "\n"
    )
    result = CliRunner().invoke(app, ["sft", "sft-sample", "--data", str(data), "--run", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    assert "Clear\\x1b[2J\\x9b2J it?" in result.output
    assert "Title\\x1b]0;x\\x07\\x0d." in result.output
    assert not set(result.output) & set("\x1b\x9b\x07\r")


def test_more_ranks_take_the_engine_of_many(tmp_path: Path, started: list[Any]) -> None:
    result = CliRunner().invoke(app, ["sft", "--run", str(tmp_path / "run"), "--ranks", "2"])
    assert result.exit_code == 0, result.output
    assert started[0][2] == 2
    assert load_config(str(tmp_path / "run" / "config.toml")).parallel.engine == "deepspeed"


def test_conflicts_end_with_one_sentence_and_nothing_started(
    tmp_path: Path, started: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    code = guarded(lambda: app(["sft", "--fp16", "--bf16", "--run", run], standalone_mode=False))
    assert code == 2
    assert "--fp16 and --bf16 exclude each other" in capsys.readouterr().err
    assert not started
    assert not Path(run).exists()


def test_every_promised_flag_is_there() -> None:
    text = CliRunner().invoke(app, ["sft", "--help"], terminal_width=300).output
    missing = [flag for flag in FLAGS.split() if flag not in text]
    assert not missing
