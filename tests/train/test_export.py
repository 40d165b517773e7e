from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import export_run
import pytest
from engine_run import run_engine
from export_run import PROBE
from tiny_models import FAMILIES
from tiny_runs import tiny_run
from tiny_shards import tiny_shards

from manifests.errors import BuildError, CheckFailed, RecipeError
from train.taint import AGREEMENT, is_restricted

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")


def reloaded(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


def logits(model: Any, ids: Any = PROBE) -> Any:
    with torch.no_grad():
        return model(input_ids=torch.tensor(ids), use_cache=False).logits.float()


def export(run: Path, output: Path, **options: Any) -> Any:
    from train.export import export as write

    return write(run, str(output), **{"dtype": "fp32", "without_tokenizer": True, **options})


@pytest.mark.parametrize(("stage", "world"), [(0, 2), (1, 2), (2, 2), (3, 3)])
def test_reloaded_logits_are_the_engines(tmp_path: Path, stage: int, world: int) -> None:
    """T8: bf16 on 2 or 3 ranks; 3 ranks leave partitions that end inside of weights, and padding."""
    shards = tiny_shards(tmp_path / "corpus", rows=24)
    run = tmp_path / "run"
    keys = [f"parallel.zero_stage={stage}", "model.dtype=bf16", f"batch.rows={2 * world}", "optim.lr=1e-2"]
    report = run_engine(shards, *keys, world=world, steps=2, script=Path(export_run.__file__), RUN=str(run))
    assert report["wrapper"] == "DeepSpeedEngine"
    saved = torch.load(run / "logits.pt")
    export(run, tmp_path / "half", dtype="bf16")
    model = reloaded(tmp_path / "half")
    assert model.dtype == torch.bfloat16
    assert torch.equal(logits(model), saved["logits"])
    # In fp32 the very master weights, which the engine gathers another way.
    export(run / "checkpoints" / "step-00000002", tmp_path / "whole")
    found = dict(reloaded(tmp_path / "whole").named_parameters())
    assert found.keys() == saved["weights"].keys()
    assert all(torch.equal(found[name], saved["weights"][name]) for name in found)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_exports_what_the_engine_has(tmp_path: Path, family: str) -> None:
    run, engine = tiny_run(tmp_path, family)
    facts = export(run, tmp_path / "out")
    ids = [[1, 5, 9, 100, 17, 3, 64, 81]]
    from train.attention import plain_attention

    engine.module.eval()
    with plain_attention(engine.module):
        expected = logits(engine.module, ids)
    assert torch.equal(logits(reloaded(tmp_path / "out"), ids), expected)
    assert facts.weights == len(dict(engine.module.named_parameters()))


def test_half_precision_exports_masters_and_rounds_once(tmp_path: Path) -> None:
    run, engine = tiny_run(tmp_path, model={"dtype": "bf16"})
    masters = engine.weights()
    export(run, tmp_path / "out")
    found = dict(reloaded(tmp_path / "out").named_parameters())
    assert all(torch.equal(found[name], masters[name]) for name in masters)
    assert any(not torch.equal(m, m.bfloat16().float()) for m in masters.values()), "masters are more than bf16"


def test_a_tied_weight_is_written_once_and_found_twice(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    run, _ = tiny_run(tmp_path, "llama")
    export(run, tmp_path / "out")
    assert "lm_head.weight" not in load_file(tmp_path / "out" / "model.safetensors")
    model = reloaded(tmp_path / "out")
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_several_files_have_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import train.export
    from train.model_folder import write_weights

    run, engine = tiny_run(tmp_path)
    small = lambda *args, **named: write_weights(*args, **named, file_bytes=9000)  # noqa: E731
    monkeypatch.setattr(train.export, "write_weights", small)
    export(run, tmp_path / "out")
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2
    assert all((tmp_path / "out" / file).is_file() for file in index["weight_map"].values())
    found = dict(reloaded(tmp_path / "out").named_parameters())
    assert all(torch.equal(found[name], weight) for name, weight in engine.weights().items())


def test_a_restricted_run_is_exported_privately_and_marked_and_leaves_by_no_door(tmp_path: Path) -> None:
    run, _ = tiny_run(tmp_path, restricted=True)
    out = tmp_path / "out"
    assert export(run, out).restricted
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o600}
    for name in ("medtrove.json", "config.json", "model.safetensors"):
        alone = tmp_path / f"only-{name}"
        alone.mkdir()
        (alone / name).write_bytes((out / name).read_bytes())
        assert is_restricted(alone), name
    # The mark stays when others load and save it.
    reloaded(out).save_pretrained(tmp_path / "again")
    assert is_restricted(tmp_path / "again")
    wide = tmp_path / "wide"
    wide.mkdir(mode=0o755)
    for output, hub in ((wide, ""), (tmp_path / "new", "me/mine"), ("s3://bucket/x", "")):
        with pytest.raises(RecipeError) as caught:
            export(run, output, hub=hub)  # type: ignore[arg-type]
        assert AGREEMENT in str(caught.value)
    assert not (tmp_path / "new").exists()
    assert not list(wide.iterdir())
    # A run on it, with open shards, is restricted.
    second, _ = tiny_run(tmp_path / "second", model={"base": str(out)})
    assert json.loads((second / "run.json").read_text())["restricted"] is True
    assert export(second, tmp_path / "second-out").restricted
    mark = json.loads((tmp_path / "second-out" / "medtrove.json").read_text())
    assert [before["run"] for before in mark["trained_before"]] == ["run"]


def test_an_open_run_is_uploaded_whole_and_as_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    calls: list[Any] = []

    class Api:
        def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> None:
            calls.append((name, private))

        def upload_folder(self, *, repo_id: str, folder_path: Path) -> None:
            calls.append((repo_id, sorted(path.name for path in folder_path.iterdir())))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    run, _ = tiny_run(tmp_path)
    export(run, tmp_path / "out", hub="me/mine")
    assert calls[0] == ("me/mine", True)
    assert {"model.safetensors", "config.json"} <= set(calls[1][1])


def test_what_is_not_finite_or_not_whole_is_not_exported(tmp_path: Path) -> None:
    run, engine = tiny_run(tmp_path)
    out = tmp_path / "out"
    file = run / "checkpoints" / "step-00000002" / "engine" / "torch.pt"
    data = file.read_bytes()
    file.write_bytes(data[:-1])
    with pytest.raises(BuildError, match="not whole"):
        export(run / "checkpoints" / "step-00000002", out)
    file.write_bytes(data)
    with torch.no_grad():
        next(iter(engine._masters.values())).view(-1)[3] = float("nan")
    engine.save(file.parent)
    from train import trained

    saved, trained.fault = trained.fault, lambda *_: ""
    try:
        with pytest.raises(CheckFailed, match="not finite"):
            export(run / "checkpoints" / "step-00000002", out)
    finally:
        trained.fault = saved
    assert not out.exists()
    assert not list(tmp_path.glob("*.partial"))


def test_a_file_that_reads_back_otherwise_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import train.export
    from train.model_folder import write_weights

    def spoilt(folder: Path, *args: Any, **named: Any) -> int:
        size = write_weights(folder, *args, **named)
        file = folder / "model.safetensors"
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
        return size

    monkeypatch.setattr(train.export, "write_weights", spoilt)
    run, _ = tiny_run(tmp_path)
    with pytest.raises(CheckFailed, match="read back is not what was written"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_vocabulary_is_what_the_embedding_has(tmp_path: Path) -> None:
    """A base of 120 tokens whose tokenizer got 7 more: rows up to the next multiple of 8."""
    small, _ = tiny_run(tmp_path / "small")
    base = tmp_path / "base"
    export(small, base)
    more = {"sft": {"added_tokens": [128, 129, 130]}, "model": {"base": str(base)}}
    tokenizer = {"sha256": "0" * 64, "vocab_size": 131, "bos_id": 0, "eos_id": 1, "pad_id": 1}
    run, engine = tiny_run(tmp_path / "more", vocabulary=131, tokenizer=tokenizer, **more)
    export(run, tmp_path / "out")
    model = reloaded(tmp_path / "out")
    assert model.config.vocab_size == model.get_input_embeddings().weight.shape[0] == 136
    assert all(torch.equal(dict(model.named_parameters())[n], w) for n, w in engine.weights().items())
