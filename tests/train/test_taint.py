"""What was made of restricted text leaves by no door; one test for each."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from tiny_shards import tiny_shards

from manifests.errors import RecipeError
from mixing.reader import open_shards
from train.config import load_config
from train.model_folder import appearing
from train.taint import (
    AGREEMENT,
    as_tainted,
    check_endpoint,
    check_hub,
    check_output,
    is_restricted,
    make_private,
    restricted_base,
)
from train.trackers import refusal


def base(folder: Path, *, mark: str) -> Path:
    """A folder that bears one of the marks."""
    folder.mkdir()
    header = json.dumps({"__metadata__": {"format": "pt", "medtrove": "restricted"}}).encode()
    files = {
        "medtrove.json": b'{"restricted": true}',
        "config.json": b'{"model_type": "llama", "medtrove": {"restricted": true}}',
        "model.safetensors": struct.pack("<Q", len(header)) + header,
        "run.json": b'{"restricted": true}',
        "state.json": b'{"restricted": true}',
    }
    (folder / mark).write_bytes(files[mark])
    return folder


MARKS = ["medtrove.json", "config.json", "model.safetensors", "run.json", "state.json"]


@pytest.mark.parametrize("mark", MARKS)
def test_every_mark_alone_is_enough(tmp_path: Path, mark: str) -> None:
    folder = base(tmp_path / "base", mark=mark)
    assert is_restricted(folder)
    (folder / mark).write_bytes(
        (folder / mark).read_bytes().replace(b"true", b"false").replace(b'restricted"}', b'x"}')
    )
    assert not is_restricted(folder)


def test_a_folder_without_marks_or_with_broken_ones_is_open(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "medtrove.json").write_text("[]")
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 20)
    assert not is_restricted(tmp_path)


def test_a_restricted_base_taints_a_run_on_open_shards(tmp_path: Path) -> None:
    shards = open_shards(tiny_shards(tmp_path, rows=3))
    assert not shards.restricted
    tainted = base(tmp_path / "base", mark="config.json")
    config = load_config("sample", ["model.architecture=''", f"model.base={tainted}"])
    assert restricted_base(config.model)
    assert as_tainted(shards, config).restricted
    assert not shards.restricted
    assert not as_tainted(shards, load_config("sample")).restricted


def test_a_restricted_base_in_the_hubs_cache_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    tainted = base(tmp_path / "snapshot", mark="config.json")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_, **__: str(tainted / "config.json"))
    config = load_config("sample", ["model.architecture=''", "model.base=someone/something"])
    assert restricted_base(config.model)


def refused(*, door: str, call: object) -> str:
    assert callable(call)
    with pytest.raises(RecipeError) as caught:
        call()
    assert AGREEMENT in str(caught.value), door
    return str(caught.value)


def test_the_hub_is_closed() -> None:
    assert "me/mine" in refused(door="hub", call=lambda: check_hub("me/mine", restricted=True))
    check_hub("me/mine", restricted=False)
    check_hub("", restricted=True)


@pytest.mark.parametrize("url", ["s3://bucket/model", "hf://me/mine", "https://example.org/put", "file:///tmp/x"])
def test_an_address_is_no_place_to_write(url: str) -> None:
    refused(door=url, call=lambda: check_output(url, restricted=True))
    with pytest.raises(RecipeError, match="local folder"):
        check_output(url, restricted=False)


def test_a_folder_others_can_open_is_no_place_to_write(tmp_path: Path) -> None:
    wide = tmp_path / "wide"
    for mode in (0o755, 0o750, 0o710, 0o701):
        wide.mkdir(mode=mode)
        wide.chmod(mode)
        assert f"{mode:04o}" in refused(door="folder", call=lambda: check_output(str(wide), restricted=True))
        check_output(str(wide), restricted=False)
        wide.rmdir()
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    assert check_output(str(own), restricted=True) == own
    assert check_output(str(tmp_path / "new"), restricted=True) == tmp_path / "new"


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "x").touch()
    for there in (tmp_path / "model", tmp_path / "model" / "x"):
        with pytest.raises(RecipeError, match="there already"):
            check_output(str(there), restricted=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1",
        "http://10.0.0.7:8000/v1",
        "http://localhost.example.com/v1",
        "http://127.0.0.1@example.com/v1",
        "http://0.0.0.0:8000/v1",
        "http://notlocalhost/v1",
    ],
)
def test_rows_are_sent_to_no_other_machine(url: str) -> None:
    refused(door=url, call=lambda: check_endpoint(url, restricted=True))
    check_endpoint(url, restricted=False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "http://localhost:8000/v1", "http://[::1]:8000/v1"])
def test_this_machine_is_no_third_party(url: str) -> None:
    check_endpoint(url, restricted=True)


def test_an_endpoint_is_an_address() -> None:
    for nonsense in ("localhost:8000", "ftp://127.0.0.1", "file:///tmp"):
        with pytest.raises(RecipeError, match="no address of a server"):
            check_endpoint(nonsense, restricted=False)


def test_a_table_of_samples_goes_to_no_tracker() -> None:
    assert AGREEMENT in str(refusal(restricted=True))
    assert AGREEMENT not in str(refusal(restricted=False))


def test_private_goes_all_the_way_down(tmp_path: Path) -> None:
    inner = tmp_path / "model" / "inner"
    inner.mkdir(parents=True, mode=0o755)
    (inner / "file").touch(mode=0o644)
    make_private(tmp_path / "model")
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "model", inner, inner / "file")] == [
        0o700,
        0o700,
        0o600,
    ]


def test_an_open_folder_is_readable_as_a_whole(tmp_path: Path) -> None:
    with appearing(tmp_path / "out", restricted=False) as partial:
        (partial / "model.safetensors").write_bytes(b"weights")
        (partial / "model.safetensors").chmod(0o600)
    readable = (tmp_path / "out").stat().st_mode & 0o666
    assert (tmp_path / "out" / "model.safetensors").stat().st_mode & 0o777 == readable
    assert readable & 0o044, "the umask of the tests lets others read"


def test_a_restricted_folder_is_its_owners_alone(tmp_path: Path) -> None:
    with appearing(tmp_path / "out", restricted=True) as partial:
        (partial / "model.safetensors").write_bytes(b"weights")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "out" / "model.safetensors").stat().st_mode & 0o777 == 0o600
