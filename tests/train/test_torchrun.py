from __future__ import annotations

import json
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import BuildError, RecipeError
from train.agreement import FailedElsewhere
from train.torchrun import EXIT_LOST, report, verdict


@dataclass
class Failure:
    """As torch's `ProcessFailure`."""

    local_rank: int
    exitcode: int
    error_file_data: dict[str, Any] = field(default_factory=lambda: {"message": "<NONE>"})


def test_alone_a_rank_says_it_itself(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_ERROR_FILE", raising=False)
    assert report(RecipeError("no such key.", where="run.toml", fix="Correct it.")) == 2
    assert capsys.readouterr().err == "medtrove: run.toml: no such key. Correct it.\n"


def test_under_the_launcher_the_sentence_of_one_rank_is_the_run_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    assert report(BuildError("the disk is full.")) == 2
    assert capsys.readouterr().err == ""
    said = Failure(1, 2, json.loads((tmp_path / "error.json").read_bytes()))
    assert verdict([Failure(0, -signal.SIGTERM), said]) == (2, "the disk is full.")


def test_a_killed_rank_is_named_and_not_those_that_lost_it() -> None:
    code, sentence = verdict([Failure(0, EXIT_LOST), Failure(2, -signal.SIGKILL), Failure(3, -signal.SIGTERM)])
    assert code == 1
    assert sentence.startswith("rank 2 of this machine was ended by SIGKILL, and the others with it.")
    code, sentence = verdict([Failure(0, EXIT_LOST), Failure(1, EXIT_LOST), Failure(2, -signal.SIGTERM)])
    assert (code, sentence.startswith("the ranks of another machine are gone")) == (1, True)


def test_a_rank_that_printed_its_stack_is_left_to_speak_for_itself() -> None:
    # Ranks that did not answer the launcher's SIGTERM are killed by it.
    assert verdict([Failure(0, -signal.SIGKILL), Failure(1, 1), Failure(2, EXIT_LOST)]) == (1, "")


def test_hearsay_is_not_reported(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from train import pretrain

    monkeypatch.delenv("TORCHELASTIC_ERROR_FILE", raising=False)
    monkeypatch.setattr(pretrain, "_PATIENCE", 0.0)

    def fails() -> int:
        raise FailedElsewhere("failed on another rank.")

    assert pretrain.guarded(fails) == 2
    assert capsys.readouterr().err == ""


def test_a_full_disk_is_a_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from train import pretrain

    monkeypatch.delenv("TORCHELASTIC_ERROR_FILE", raising=False)

    def fails() -> int:
        raise OSError(28, "No space left on device", "/run/metrics.jsonl")

    assert pretrain.guarded(fails) == 2
    assert capsys.readouterr().err.startswith("medtrove: /run/metrics.jsonl: No space left on device.")


class OutOfMemoryError(RuntimeError):
    """As torch's."""


@pytest.mark.slow
def test_memory_that_ran_out_is_a_sentence_and_other_faults_are_not_hidden(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from train import pretrain

    monkeypatch.delenv("TORCHELASTIC_ERROR_FILE", raising=False)

    def fails(error: RuntimeError) -> int:
        raise error

    out_of_memory = OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    assert pretrain.guarded(lambda: fails(out_of_memory)) == 2
    assert "memory ran out: CUDA out of memory." in capsys.readouterr().err
    lost = RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer")
    assert pretrain.guarded(lambda: fails(lost)) == EXIT_LOST
    with pytest.raises(RuntimeError, match="mat1"):
        pretrain.guarded(lambda: fails(RuntimeError("mat1 and mat2 shapes cannot be multiplied")))
