from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rank_threads import on_ranks

from manifests.errors import BuildError, RecipeError
from train.agreement import Alone
from train.checkpoint import TrainState, checkpoints, locked, newest, save_checkpoint
from train.config import RunConfig, load_config, parse_config
from train.resume import Resumption, check, check_before_start, config_digest, deciding_keys, prepare_run, share_rows
from train.signals import EXIT_STOPPED, KILL_SWITCH, SAVE_AND_EXIT, STOPPED, StopRequest, mark_started, mark_stopped

SHARDS = "a1" * 32
CONFIG = load_config("sample")


def state(step: int, config: RunConfig = CONFIG) -> TrainState:
    return TrainState(
        shards_fingerprint=SHARDS,
        seed=config.data.seed,
        epoch=0,
        rows_done=step * 16,
        step=step,
        rows_per_step=16,
        world=2,
        zero_stage=config.parallel.zero_stage,
        engine=config.parallel.engine,
        config_sha256=config_digest(config),
        restricted=False,
        config=deciding_keys(config),
    )


def save(run: Path, *steps: int) -> None:
    run.mkdir(exist_ok=True)
    for step in steps:
        save_checkpoint(run, state(step), lambda folder: (folder / "w").write_bytes(b"w"), group=Alone())


def changed(**keys: Any) -> RunConfig:
    table = CONFIG.model_dump(mode="json")
    for key, value in keys.items():
        section, name = key.split("__")
        table[section][name] = value
    return parse_config(table, where="test")


def prepare(run: Path, resume: str = "auto", config: RunConfig = CONFIG, shards: str = SHARDS) -> tuple[Any, list[str]]:
    said: list[str] = []
    found = prepare_run(run, resume, config, shards_fingerprint=shards, group=Alone(), say=said.append)
    return found, said


def test_auto_starts_at_the_beginning_and_says_so(tmp_path: Path) -> None:
    assert prepare(tmp_path / "run") == (None, [f"{tmp_path / 'run'} has no checkpoint: starting at the first row."])


def test_auto_goes_on_from_the_newest(tmp_path: Path) -> None:
    save(tmp_path, 2, 4)
    found, said = prepare(tmp_path)
    assert found == Resumption(tmp_path / "checkpoints/step-00000004", state(4))
    assert said[0].endswith("step 4, 64 rows into epoch 0, written by 2 ranks, now 1.")


def test_all_ranks_go_on_from_the_same(tmp_path: Path) -> None:
    save(tmp_path, 2, 4)
    (tmp_path / "checkpoints/step-00000004/engine/w").write_bytes(b"W")
    found = on_ranks(
        3,
        lambda group: prepare_run(
            tmp_path, "auto", CONFIG, shards_fingerprint=SHARDS, group=group, say=lambda words: None
        ),
    )
    assert found == [Resumption(tmp_path / "checkpoints/step-00000002", state(2))] * 3


def test_a_refusal_reaches_every_rank(tmp_path: Path) -> None:
    save(tmp_path, 2)
    found = on_ranks(
        2,
        lambda group: prepare_run(
            tmp_path, "auto", CONFIG, shards_fingerprint="b" * 64, group=group, say=lambda words: None
        ),
    )
    assert [type(error) for error in found] == [RecipeError, RecipeError]


def test_a_damaged_newest_is_set_aside_so_that_its_step_can_be_saved_again(tmp_path: Path) -> None:
    save(tmp_path, 2, 4)
    (tmp_path / "checkpoints/step-00000004/engine/w").unlink()
    found, said = prepare(tmp_path)
    assert found.state.step == 2
    assert any("engine/w is missing" in words for words in said)
    save(tmp_path, 4)
    after = newest(tmp_path, say=pytest.fail)
    assert after is not None
    assert after[1].step == 4


def test_going_back_by_name_leaves_the_later_ones_out_of_the_way(tmp_path: Path) -> None:
    save(tmp_path, 2, 4, 6)
    found, said = prepare(tmp_path, str(tmp_path / "checkpoints/step-00000002"))
    assert found.state.step == 2
    assert any("Set aside" in words and "step-00000006.aside" in words for words in said)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000002"]
    assert '"step": 2' in (tmp_path / "latest.json").read_text()


def test_from_another_runs_checkpoint_into_a_new_folder(tmp_path: Path) -> None:
    save(tmp_path / "old", 2, 4)
    for named in (tmp_path / "old", tmp_path / "old/checkpoints/step-00000004"):
        found, _ = prepare(tmp_path / "new", str(named))
        assert found.state.step == 4
    assert len(checkpoints(tmp_path / "old")) == 2
    save(tmp_path / "new", 6)
    with pytest.raises(BuildError, match="has checkpoints of its own"):
        prepare(tmp_path / "new", str(tmp_path / "old"))


@pytest.mark.parametrize("name", ["missing", "old", "old/checkpoints"])
def test_a_named_folder_without_checkpoint_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "old/checkpoints").mkdir(parents=True)
    with pytest.raises(BuildError, match=r"checkpoint.* asked for by name"):
        prepare(tmp_path / "run", str(tmp_path / name))


def test_a_named_damaged_checkpoint_is_refused_not_replaced(tmp_path: Path) -> None:
    save(tmp_path, 2, 4)
    (tmp_path / "checkpoints/step-00000004/state.json").write_bytes(b"")
    with pytest.raises(BuildError, match=r"state.json has 0 bytes.*so no other is used instead"):
        prepare(tmp_path, str(tmp_path / "checkpoints/step-00000004"))


def test_none_does_not_mix_with_what_is_there(tmp_path: Path) -> None:
    assert prepare(tmp_path / "new", "none")[0] is None
    save(tmp_path / "old", 2)
    with pytest.raises(BuildError, match="a run that starts afresh would be mixed with them"):
        prepare(tmp_path / "old", "none")


def test_other_shards_are_refused(tmp_path: Path) -> None:
    save(tmp_path, 2)
    with pytest.raises(RecipeError, match=r"of shards a1a1a1a1a1a1, these are bbbbbbbbbbbb.*--shards"):
        prepare(tmp_path, shards="b" * 64)


def test_changed_numbers_are_listed_with_both_values() -> None:
    config = changed(optim__lr=0.5, data__seed=5, run__seed=1)
    with pytest.raises(RecipeError) as error:
        check(Resumption(Path("c"), state(2)), config, SHARDS)
    assert error.value.what == (
        f"3 keys that decide the numbers have changed: data.seed was {CONFIG.data.seed} and is 5; "
        f"optim.lr was {CONFIG.optim.lr} and is 0.5; run.seed was {CONFIG.run.seed} and is 1."
    )


def test_keys_that_do_not_alter_the_numbers_may_change() -> None:
    config = changed(
        model__recompute="full",
        model__loss_chunk_tokens=64,
        data__shards="elsewhere",
        batch__micro_rows=2,
        batch__accumulation=1,
        run__save_minutes=1.0,
        run__keep=5,
        cluster__nodes=3,
    )
    check(Resumption(Path("c"), state(2)), config, SHARDS)


def test_every_key_of_a_deciding_section_is_weighed() -> None:
    """A new key decides the numbers until somebody says that it does not."""
    keys = deciding_keys(CONFIG)
    for section in ("model", "data", "optim", "parallel", "lora", "sft"):
        for key in type(getattr(CONFIG, section)).model_fields:
            free = key in {
                "licence",
                "attention",
                "recompute",
                "loss_chunk_tokens",
                "compile",
                "shards",
                "engine",
                "zero_stage",
                "overlap_comm",
                "offload_optimizer",
                "hpz",
            } or (section, key) == ("sft", "data")
            assert (f"{section}.{key}" in keys) != free, (section, key)


def test_another_stage_or_engine_is_refused_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"ZeRO stage 1, .* with 3\. .*zero_stage = 1; or export its weights"):
        check(Resumption(Path("c"), state(2)), changed(parallel__zero_stage=3), SHARDS)
    with pytest.raises(RecipeError, match=r"engine 'deepspeed' .* 'torch'"):
        check(Resumption(Path("c"), state(2)), changed(parallel__engine="torch"), SHARDS)


def test_other_rows_a_step_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"batch\.rows was 16 and is 32"):
        check(Resumption(Path("c"), state(2)), changed(batch__rows=32), SHARDS)
    check(Resumption(Path("c"), state(2)), changed(batch__rows=16), SHARDS)


@pytest.mark.parametrize(
    ("rows", "world", "micro", "shared"),
    [(16, 2, 4, (4, 2)), (16, 1, 4, (4, 4)), (16, 4, 8, (4, 1)), (24, 4, 4, (3, 2)), (2560, 128, 1, (1, 20))],
)
def test_rows_of_a_step_are_shared_anew(rows: int, world: int, micro: int, shared: tuple[int, int]) -> None:
    assert share_rows(rows, world, micro) == shared
    assert rows == world * shared[0] * shared[1]


def test_a_world_that_cannot_make_the_rows_is_told_which_can() -> None:
    with pytest.raises(RecipeError, match=r"16 rows cannot be shared by 3 .*1, 2, 4, 8, 16 ranks.*Start 2 or 4 ranks"):
        share_rows(16, 3, 4)
    with pytest.raises(RecipeError, match=r"Start 128 or 160 ranks"):
        share_rows(2560, 152, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_asks_to_stop_and_nothing_more(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest(tmp_path).listening() as stop:
        assert not stop.requested()
        os.kill(os.getpid(), number)
        assert stop.requested()
        assert stop.received == number.name
    assert signal.getsignal(number) == before


def test_a_file_asks_to_stop_and_is_gone_when_it_has(tmp_path: Path) -> None:
    stop = StopRequest(tmp_path)
    assert not stop.requested()
    (tmp_path / SAVE_AND_EXIT).touch()
    assert stop.requested()
    assert mark_stopped(tmp_path, stop.received) == EXIT_STOPPED == 85
    assert (tmp_path / STOPPED).read_text() == "SAVE_AND_EXIT\n"
    assert not (tmp_path / SAVE_AND_EXIT).exists()
    mark_started(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_kill_switch_keeps_a_run_from_being_queued_or_started_again(tmp_path: Path) -> None:
    stop = StopRequest(tmp_path)
    (tmp_path / KILL_SWITCH).touch()
    assert stop.requested()
    with pytest.raises(BuildError, match="stopped by KILL_SWITCH"):
        mark_stopped(tmp_path, stop.received)
    assert not (tmp_path / STOPPED).exists()
    with pytest.raises(BuildError, match=r"KILL_SWITCH lies in it.*Delete"):
        prepare(tmp_path)
    (tmp_path / KILL_SWITCH).unlink()
    prepare(tmp_path)


def test_a_save_file_of_an_earlier_process_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / SAVE_AND_EXIT).touch()
    _, said = prepare(tmp_path)
    assert said[0] == "SAVE_AND_EXIT was left from an earlier process and is removed."
    assert not StopRequest(tmp_path).requested()


def test_a_key_that_came_or_went_is_named() -> None:
    old = state(2)
    kept = {key: value for key, value in old.config.items() if key != "optim.eps"} | {"optim.gone": 1}
    with pytest.raises(RecipeError, match=r"eps was .not there. and is 1e-08; optim.gone was 1 and is .not"):
        check(Resumption(Path("c"), replace(old, config=kept)), CONFIG, SHARDS)


def before_start(run: Path, config: RunConfig = CONFIG, resume: str = "auto") -> None:
    check_before_start(run, resume, config, shards_fingerprint=SHARDS)


def test_a_changed_run_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    run = tmp_path / "run"
    before_start(run)
    assert not run.exists()
    save(run, 1, 2)
    before_start(run)
    with pytest.raises(RecipeError, match=r"optim\.lr was"):
        before_start(run, changed(optim__lr=1e-3))
    (checkpoints(run)[-1] / "state.json").write_text("{")
    before_start(run, changed(optim__lr=1e-3))  # damaged: for the ranks to judge


def test_a_run_in_use_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(BuildError, match="another process is training in this folder"):
        before_start(tmp_path)
