from __future__ import annotations

import json
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rank_threads import ThreadGroup, on_ranks

from manifests.errors import BuildError
from train.agreement import Alone
from train.checkpoint import (
    TrainState,
    checkpoints,
    fault,
    locked,
    newest,
    prune,
    read_state,
    remove_leftovers,
    save_checkpoint,
    set_aside,
)

STATE = TrainState(
    shards_fingerprint="f" * 64,
    seed=0,
    epoch=0,
    rows_done=16,
    step=2,
    rows_per_step=8,
    world=1,
    zero_stage=1,
    engine="deepspeed",
    config_sha256="c" * 64,
    restricted=False,
    tokens_by_source={"a": 10, "b": 4},
    config={"optim.lr": 1e-3},
)


def at(step: int) -> TrainState:
    return replace(STATE, step=step, rows_done=step * 8)


def save(run: Path, step: int, *, ranks: int = 1) -> Path:
    def write(folder: Path, rank: int) -> None:
        (folder / f"rank-{rank}.pt").write_bytes(bytes([rank, step % 256]) * 500)

    if ranks == 1:
        return save_checkpoint(run, at(step), lambda folder: write(folder, 0), group=Alone())
    results = on_ranks(
        ranks, lambda group: save_checkpoint(run, at(step), lambda folder: write(folder, group.rank), group=group)
    )
    assert len(set(map(str, results))) == 1, results
    assert isinstance(results[0], Path)
    return results[0]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def test_what_was_saved_is_found_by_all_ranks(run: Path) -> None:
    save(run, 2, ranks=3)
    path = save(run, 4, ranks=3)
    said: list[str] = []
    found = on_ranks(4, lambda group: newest(run, say=said.append, group=group))
    assert found == [(path, at(4))] * 4
    assert said == []
    assert json.loads((run / "latest.json").read_text())["checkpoint"] == "checkpoints/step-00000004"
    files = json.loads((path / "digests.json").read_text())["files"]
    assert sorted(files) == ["engine/rank-0.pt", "engine/rank-1.pt", "engine/rank-2.pt", "state.json"]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "one bit": (lambda path: _flip(path / "engine/rank-1.pt"), "engine/rank-1.pt is not what was written"),
    "cut": (
        lambda path: (path / "engine/rank-1.pt").write_bytes(b"x" * 999),
        "engine/rank-1.pt has 999 bytes, 1,000 were written",
    ),
    "rank file missing": (lambda path: (path / "engine/rank-0.pt").unlink(), "engine/rank-0.pt is missing"),
    "state empty": (lambda path: (path / "state.json").write_bytes(b""), "state.json has 0 bytes"),
    "state missing": (lambda path: (path / "state.json").unlink(), "state.json is missing"),
    "state changed": (lambda path: _flip(path / "state.json"), "state.json is not what was written"),
    "never finished": (lambda path: (path / "digests.json").unlink(), "it has no digests.json"),
    "digests empty": (lambda path: (path / "digests.json").write_bytes(b""), "its digests.json cannot be read"),
    "digests of a list": (lambda path: (path / "digests.json").write_bytes(b"[]"), "its digests.json cannot be read"),
}


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_with_one_sentence(run: Path, damage: str, ranks: int) -> None:
    good, bad = save(run, 2, ranks=2), save(run, 4, ranks=2)
    spoil, words = DAMAGES[damage]
    spoil(bad)
    said: list[str] = []
    found = on_ranks(ranks, lambda group: newest(run, say=said.append, group=group))
    assert found == [(good, at(2))] * ranks
    assert len(said) == 1
    assert said[0].startswith(f"Checkpoint {bad} is not used: {words}")


def test_no_whole_checkpoint_left_is_an_error_not_a_new_start(run: Path) -> None:
    for step in (2, 4):
        _flip(save(run, step) / "engine/rank-0.pt")
    with pytest.raises(BuildError, match=r"none of the 2 checkpoints .* Starting again from nothing would hide"):
        newest(run, say=lambda _: None)


def test_no_checkpoint_at_all_is_none(run: Path) -> None:
    assert newest(run, say=pytest.fail) is None


def test_a_failure_on_one_rank_reaches_all_and_leaves_the_one_before(run: Path) -> None:
    before = save(run, 2, ranks=3)

    def write(folder: Path, group: ThreadGroup) -> None:
        target = folder / f"rank-{group.rank}.pt"
        if group.rank == 1:
            target.symlink_to("/dev/full")  # every write to it finds the disk full
        with target.open("wb") as stream:
            stream.write(b"x" * 100_000)

    errors = on_ranks(3, lambda group: save_checkpoint(run, at(4), lambda folder: write(folder, group), group=group))
    assert all(isinstance(error, BuildError) for error in errors), errors
    for error in errors:
        assert "failed on rank 1: No space left on device. What is on disk from before is untouched." in str(error)
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000002"]
    assert newest(run, say=pytest.fail) == (before, at(2))


def test_a_parent_that_is_no_folder(run: Path) -> None:
    (run / "checkpoints").write_text("a file")
    with pytest.raises(BuildError, match=r"step-00000002 failed on rank 0: "):
        save(run, 2)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_checkpoint_before_and_room(small_disk: Path) -> None:
    run = small_disk / "run"
    run.mkdir()
    before = save(run, 2)

    def write(folder: Path) -> None:
        (folder / "big.pt").write_bytes(b"x" * 100_000)

    with pytest.raises(BuildError, match="No space left on device"):
        save_checkpoint(run, at(4), write, group=Alone())
    assert newest(run, say=pytest.fail) == (before, at(2))
    assert save(run, 6).is_dir(), "the half-written one made room"


CRASHES = textwrap.dedent(
    """
    # Dies without warning at the n-th change of the file system while saving, for every n, and looks what is left.
    import os, sys
    from dataclasses import replace
    from pathlib import Path
    from train.agreement import Alone
    from train.checkpoint import *
    from train.checkpoint import TrainState

    state = TrainState("f", 0, 0, 8, 1, 8, 1, 1, "torch", "c", False)

    def save(run, step):
        def write(folder):
            (folder / "w.pt").write_bytes(bytes([step]) * 5000)
            (folder / "o.pt").write_bytes(bytes([step]) * 5000)
        save_checkpoint(run, replace(state, step=step, rows_done=8 * step), write, group=Alone())
        prune(run, 1)

    def die_at(n):
        seen = 0
        def hook(event, args):
            nonlocal seen
            if event in {"os.mkdir", "os.rename", "os.rmdir", "os.remove", "os.chmod"} or (
                event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
            ):
                seen += 1
                if seen == n:
                    os._exit(9)
        sys.addaudithook(hook)

    root, n, kept = Path(sys.argv[1]), 0, set()
    while True:
        n += 1
        run = root / str(n)
        run.mkdir()
        save(run, 1)
        child = os.fork()
        if child == 0:
            die_at(n)
            save(run, 2)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        found, said = newest(run, say=print), remove_leftovers(run)
        assert found is not None and found[1].step in (1, 2), (n, found)
        kept.add(found[1].step)
        assert not any(fault(path) for path in checkpoints(run)), (n, "what has the name of one is whole")
        assert all(p.name.startswith("step-") and p.suffix == "" for p in (run / "checkpoints").iterdir())
        save(run, 3)
        assert newest(run, say=print)[1].step == 3
        if code == 0:
            break
    assert kept == {1, 2} and n > 10, (kept, n)
    print("died at", n - 1, "places")
    """
)


def test_dying_at_any_change_of_the_disk_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CRASHES, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("died at"), "no checkpoint was called damaged: " + done.stdout


def test_saving_a_step_twice_is_saving_it_once(run: Path) -> None:
    assert save(run, 2) == save(run, 2)
    with pytest.raises(BuildError, match="is there already, of another run: 16 rows into epoch 0, not 99 into 0"):
        save_checkpoint(run, replace(at(2), rows_done=99), lambda _: None, group=Alone())
    assert read_state(run / "checkpoints/step-00000002") == at(2)


def test_keep_policy(run: Path) -> None:
    for step in range(1, 11):
        save(run, step)
        prune(run, 2, 4)
    assert [path.name for path in checkpoints(run)] == [f"step-{n:08d}" for n in (4, 8, 9, 10)]


def test_what_is_gone_on_from_stays(run: Path) -> None:
    start = save(run, 1)
    for step in range(2, 6):
        save(run, step)
        prune(run, 1, protect=start)
    assert [path.name for path in checkpoints(run)] == ["step-00000001", "step-00000005"]


def test_steps_are_ordered_by_number(run: Path) -> None:
    for step in (99_999_999, 100_000_000, 7):
        save(run, step)
    assert [read_state(path).step for path in checkpoints(run)] == [7, 99_999_999, 100_000_000]
    found = newest(run, say=pytest.fail)
    assert found is not None
    assert found[1].step == 100_000_000


def test_setting_aside_never_overwrites(run: Path) -> None:
    for _ in range(2):
        save(run, 2)
        save(run, 4)
        set_aside(run, after=2, word="aside")
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert names == ["step-00000002", "step-00000004.aside", "step-00000004.aside-2"]


def test_leftovers_go_and_the_rest_stays(run: Path) -> None:
    save(run, 2)
    names = ["step-00000004.tmp", "step-00000001.removing", "step-00000002.universal", "step-00000002.universal.tmp"]
    for name in [*names, "step-00000003.aside", "mine"]:
        (run / "checkpoints" / name).mkdir()
    assert remove_leftovers(run) == sorted(names)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [
        "mine",
        "step-00000002",
        "step-00000003.aside",
    ]


def test_a_restricted_checkpoint_is_its_owners_alone(run: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "deep").mkdir()
        (folder / "deep/w.pt").write_bytes(b"w")

    path = save_checkpoint(run, replace(STATE, restricted=True), write, group=Alone())
    for entry in [path.parent, path, *path.rglob("*"), run / "latest.json"]:
        assert stat.S_IMODE(entry.stat().st_mode) == (0o700 if entry.is_dir() else 0o600), entry


def test_two_processes_do_not_share_a_run(run: Path) -> None:
    code = "import sys; from pathlib import Path; from train.checkpoint import locked\n"
    code += "with locked(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code, str(run)], stdin=-1, stdout=-1) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(BuildError, match="another process is training in this folder"), locked(run):
            pass
        other.kill()
    with locked(run):
        pass


def test_a_state_of_another_version_is_a_fault(run: Path) -> None:
    path = save_checkpoint(run, replace(STATE, version=99), lambda _: None, group=Alone())
    assert fault(path) == "state.json is of version 99, this medtrove reads 1"


def test_a_file_more_than_was_written_does_no_harm(run: Path) -> None:
    path = save(run, 2)
    (path / "README").write_text("notes of a person")
    assert fault(path) == ""
