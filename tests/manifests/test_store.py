"""Files appear whole or not at all, on a disk and on an object store alike."""

from __future__ import annotations

import os
import pickle
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import BuildError
from manifests.store import PARTIAL_SUFFIX, Store


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path / "store") if request.param == "local" else Store(f"memory://{uuid.uuid4().hex}")


def test_what_is_written_is_read_back(store: Store) -> None:
    store.write_bytes("a/b.bin", b"\x00\xff")
    store.write_json("c.json", {"b": 1, "a": ["é", None]})
    assert store.read_bytes("a/b.bin") == b"\x00\xff"
    assert store.read_bytes("c.json") == '{\n  "a": [\n    "é",\n    null\n  ],\n  "b": 1\n}\n'.encode()
    assert store.read_json("c.json") == {"a": ["é", None], "b": 1}
    assert store.files() == ["a/b.bin", "c.json"]
    assert store.files("a") == ["a/b.bin"]
    assert store.folders() == ["a"]
    assert store.size("a/b.bin") == 2
    assert store.sha256("a/b.bin") == "06eb7d6a69ee19e5fbdf749018d3d2abfa04bcbd1365db312eb86dc7169389b8"
    assert store.sub("a").read_bytes("b.bin") == b"\x00\xff"


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(store: Store) -> None:
    store.write_bytes("f", b"old")

    def half() -> None:
        with store.writing("f") as stream:
            stream.write(b"half of the new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert store.read_bytes("f") == b"old"
    assert store.files() == ["f"]
    if store.is_local:
        assert [path.name for path in store.local().iterdir()] == ["f"]


def test_a_file_being_written_is_not_there_yet(store: Store) -> None:
    with store.writing("f") as stream:
        stream.write(b"x")
        assert not store.exists("f")
        assert store.files() == []
    assert store.files() == ["f"]


def test_leftovers_of_a_killed_process_are_never_listed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / f"f.123{PARTIAL_SUFFIX}").write_bytes(b"half")
    assert store.files() == []


def test_removing_what_is_not_there_is_fine(store: Store) -> None:
    store.write_bytes("a/b", b"")
    store.remove("a")
    store.remove("a")
    assert store.files() == []


def test_permissions_hold_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        store = pickle.loads(pickle.dumps(Store(tmp_path, mode=0o600).sub("inner")))
        store.write_bytes("secret", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "inner" / "secret").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match="cannot be written"):
        Store(tmp_path / "file" / "folder").check_writable()
    Store(tmp_path / "new").check_writable()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_remote_store_has_no_local_path() -> None:
    with pytest.raises(BuildError, match="not on a local disk"):
        Store("memory://somewhere").local("x")


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_the_last_write_wins(contents: list[bytes]) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    for content in contents:
        store.write_bytes("f", content)
        assert store.read_bytes("f") == content
