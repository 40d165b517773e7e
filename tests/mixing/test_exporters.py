"""Megatron's and MosaicML's files: every document whole, every token once, read back by readers that are not ours."""

from __future__ import annotations

import importlib.util
import json
import signal
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from manifests.errors import BuildError, RecipeError
from manifests.store import Store
from mixing.blocks import BlockFile, pack_block, write_block
from mixing.exporters.folder import EXPORT, STARTED
from mixing.exporters.mds import export_mds
from mixing.exporters.megatron import DATA_ARGS, export_megatron
from mixing.mix import BlockRef, Layout, source_layout, write_mixed_shard, write_source_rows
from mixing.places import NOWHERE, Places, following
from mixing.reader import Shards, open_shards
from mixing.remove import blank_shard
from mixing.rows import REMOVED_KEY, Rows
from mixing.schedule import Curve
from mixing.shards import ShardRecord, write_folder_files, write_shard
from mixing.tokenize import Encoded

ROW, PAD, EOS = 33, 0, 1
BUILD = {"name": "test", "fingerprint": "0123456789abcdef"}
PASSES = {"papers": 2, "notes/0": 1, "replay": 1}
DocumentKey = int


@dataclass
class World:
    """Shards and what went into them."""

    shards: Shards
    documents: dict[str, dict[DocumentKey, list[int]]]
    """Of one pass."""

    def expected(self, source: str) -> Counter[tuple[int, ...]]:
        counts: Counter[tuple[int, ...]] = Counter()
        for tokens in self.documents[source].values():
            counts[tuple(tokens)] += PASSES[source]
        return counts

    def all_expected(self) -> Counter[tuple[int, ...]]:
        return sum((self.expected(source) for source in PASSES), Counter[tuple[int, ...]]())


def make_world(folder: Path, dtype: str = "uint16", *, restricted: bool = False) -> World:
    """Three sources, one of them with documents of up to nine rows; one spread unevenly; four shards."""
    random, top = np.random.default_rng(2), 60_000 if dtype == "uint16" else 120_000
    documents: dict[str, dict[int, list[int]]] = {}
    layouts = []
    for source, (n, longest) in {"papers": (90, 9 * ROW), "notes/0": (40, 20), "replay": (60, 2 * ROW)}.items():
        documents[source], refs = {}, []
        for block in range(2):
            keys = np.sort(random.integers(1, 2**63, n, dtype=np.uint64))
            mine = {int(key): [*random.integers(2, top, random.integers(1, longest)).tolist(), EOS] for key in keys}
            documents[source] |= mine
            ids = np.concatenate([np.asarray(one, dtype=dtype) for one in mine.values()])
            offsets = np.concatenate(([0], np.cumsum([len(one) for one in mine.values()])))
            packed = pack_block(keys, Encoded(ids, offsets), ROW, PAD)
            name = f"{source.replace('/', '.')}-{block}.arrow"
            with (folder / name).open("wb") as stream:
                write_block(stream, packed)
            refs.append(BlockRef(name, len(packed.rows)))
        layouts.append(source_layout(source, PASSES[source], refs))
    curves = {"replay": Curve((0.0, 0.25, 1.0), (0.0, 0.5, 1.0))}
    n_rows = sum(layout.n_rows for layout in layouts)
    layout = Layout(tuple(layouts), ROW, dtype, -(-n_rows // 4), 7, curves)
    target = folder / "shards"
    store, records = Store(target), []
    for number in range(layout.n_shards):
        with store.writing(f"shard-{number:05d}.arrow") as stream:
            records.append(write_mixed_shard(stream, layout, number, lambda name: BlockFile(folder / name))[0])
    write_index(target, records, layout.names, dtype, schedule=layout.describe(), restricted=restricted)
    refs = list(layouts[0].passes[0])
    with Store(folder / "validation").writing("papers.arrow") as stream:
        record = write_source_rows(stream, layout, "papers", refs, lambda name: BlockFile(folder / name))
    write_index(
        folder / "validation", [record], layout.names, dtype, schedule={"kind": "by source"}, split="validation"
    )
    return World(open_shards(target), documents)


def write_index(folder: Path, records: list[ShardRecord], sources: list[str], dtype: str, **options: Any) -> None:
    tokenizer = {"sha256": "f" * 64, "pad_id": PAD, "vocab_size": 120_000}
    options = {"restricted": False} | options
    write_folder_files(
        Store(folder), records, sources=sources, sequence_length=ROW - 1, dtype=dtype, tokenizer=tokenizer, **options
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


def read_megatron(prefix: Path) -> list[tuple[int, ...]]:
    """Megatron's files read with `struct` alone, as its index is documented."""
    index = prefix.with_name(prefix.name + ".idx").read_bytes()
    magic, version, code, n, n_documents = struct.unpack_from("<9sQBQQ", index)
    assert (magic, version, n_documents) == (b"MMIDIDX\x00\x00", 1, n + 1)
    letter, size = {8: ("H", 2), 4: ("i", 4)}[code]
    at = struct.calcsize("<9sQBQQ")
    lengths = struct.unpack_from(f"<{n}i", index, at)
    starts = struct.unpack_from(f"<{n}q", index, at + 4 * n)
    borders = struct.unpack_from(f"<{n + 1}q", index, at + 12 * n)
    assert len(index) == at + 12 * n + 8 * (n + 1)
    assert borders == tuple(range(n + 1))
    data = prefix.with_name(prefix.name + ".bin").read_bytes()
    assert len(data) == size * sum(lengths)
    return [
        struct.unpack_from(f"<{length}{letter}", data, start) for start, length in zip(starts, lengths, strict=True)
    ]


def read_mds(folder: Path) -> list[dict[str, Any]]:
    """MDS read with `struct` alone, as its index is documented."""
    index = json.loads((folder / "index.json").read_bytes())
    assert index["version"] == 2
    samples: list[dict[str, Any]] = []
    for shard in index["shards"]:
        data = (folder / shard["raw_data"]["basename"]).read_bytes()
        assert len(data) == shard["raw_data"]["bytes"] <= shard["size_limit"]
        (n,) = struct.unpack_from("<I", data)
        offsets = struct.unpack_from(f"<{n + 1}I", data, 4)
        assert (n, offsets[-1]) == (shard["samples"], len(data))
        config = json.loads(data[4 * (n + 2) : offsets[0]])
        assert config == {key: shard[key] for key in config}
        for begin, end in pairwise(offsets):
            at, sizes = begin, []
            for size in shard["column_sizes"]:
                sizes.append(size or struct.unpack_from("<I", data, at)[0])
                at += 0 if size else 4
            sample = {}
            for name, encoding, size in zip(shard["column_names"], shard["column_encodings"], sizes, strict=True):
                kind, *rest = encoding.removeprefix("ndarray:").split(":")
                values = data[at : at + size]
                if encoding.startswith("ndarray:") and not rest:
                    assert values[0] in (4, 5)  # one dimension, its length in one byte or two
                    values = values[2 if values[0] == 4 else 3 :]
                sample[name] = np.frombuffer(values, kind).tolist()
                at += size
            assert at == end
            samples.append(sample)
    return samples


def digests(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def first_seen(shards: Shards) -> list[int]:
    """The key of each document where its first token stands, in training order."""
    found = []
    for row in shards:
        keys = [int(key) for key in row.doc_key]
        found += keys[1:] if row.continues else keys
    return found


def test_megatron_holds_every_document_whole_in_training_order(world: World, tmp_path: Path) -> None:
    facts = export_megatron(world.shards, tmp_path / "out", build=BUILD)
    sequences = read_megatron(tmp_path / "out" / "train")
    everything = {key: tuple(ids) for source in PASSES for key, ids in world.documents[source].items()}
    assert sequences == [everything[key] for key in first_seen(world.shards)]
    assert Counter(sequences) == world.all_expected()
    totals = world.shards.index["totals"]
    assert sum(map(len, sequences)) == totals["tokens"] == facts["tokens"]
    assert {name: one["tokens"] for name, one in facts["sources"].items()} == totals["tokens_by_source"]
    assert sum(one["share"] for one in facts["sources"].values()) == pytest.approx(1)
    assert totals["padding"] > 0
    # It is the joining that is tried here: most documents of a source are cut into rows, some into many.
    assert sum(len(one) > 4 * ROW for one in sequences) > 50


def test_megatron_by_source_has_a_pair_and_a_weight_for_each(world: World, tmp_path: Path) -> None:
    facts = export_megatron(world.shards, tmp_path, build=BUILD, by_source=True)
    weights = dict(reversed(line.split()) for line in (tmp_path / DATA_ARGS).read_text().splitlines())
    assert list(weights) == ["papers", "notes.0", "replay"]
    for source in PASSES:
        sequences = read_megatron(tmp_path / source.replace("/", "."))
        assert Counter(sequences) == world.expected(source)
        assert int(weights[source.replace("/", ".")]) == sum(map(len, sequences))
        assert facts["sources"][source]["documents"] == len(sequences)
    assert sorted(entry["file"] for entry in facts["files"]) == sorted(
        [DATA_ARGS, *(f"{name}{end}" for name in weights for end in (".bin", ".idx"))]
    )


def test_large_vocabularies_are_int32_in_megatron(tmp_path: Path) -> None:
    world = make_world(tmp_path, "uint32")
    export_megatron(world.shards, tmp_path / "out", build=BUILD)
    sequences = read_megatron(tmp_path / "out" / "train")
    assert Counter(sequences) == world.all_expected()
    assert max(map(max, sequences)) > 65_535
    export_mds(world.shards, tmp_path / "mds", build=BUILD)
    assert [one["tokens"] for one in read_mds(tmp_path / "mds")] == [row.input_ids.tolist() for row in world.shards]


def test_validation_rows_are_exported_too(world: World, tmp_path: Path) -> None:
    validation = open_shards(world.shards.folder.parent / "validation")
    export_megatron(validation, tmp_path, build=BUILD)
    assert Counter(read_megatron(tmp_path / "validation")) == Counter(map(tuple, world.documents["papers"].values()))


def test_mds_is_every_row_in_order_with_its_borders(world: World, tmp_path: Path) -> None:
    facts = export_mds(world.shards, tmp_path / "out", build=BUILD, size_limit=20_000)
    samples = read_mds(tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.mds"))) > 3
    assert len(samples) == len(world.shards) == facts["rows"]
    for sample, row in zip(samples, world.shards, strict=True):
        assert sample["tokens"] == row.input_ids.tolist()
        assert sample["doc_ends"] == row.doc_ends.tolist()
        assert sample["doc_key"] == row.doc_key.tolist()
        assert (sample["source"], sample["continues"]) == ([row.source], [int(row.continues)])
    totals = world.shards.index["totals"]
    assert (facts["tokens"], facts["padding"]) == (totals["tokens"], totals["padding"])


def conversations(folder: Path) -> Shards:
    random = np.random.default_rng(1)
    rows = Rows(
        input_ids=random.integers(2, 90, (70, ROW)).astype(np.uint16),
        offsets=np.arange(71),
        doc_ends=np.full(70, ROW, dtype=np.int32),
        doc_key=np.arange(1, 71, dtype=np.uint64),
        continues=np.zeros(70, dtype=bool),
        source=np.zeros(70, dtype=np.uint16),
        loss_mask=random.integers(0, 2, (70, ROW)).astype(np.uint8),
    )
    with Store(folder).writing("shard-00000.arrow") as stream:
        record = write_shard(
            stream, [rows], file="shard-00000.arrow", sources=["sft"], row_tokens=ROW, dtype="uint16", loss_mask=True
        )
    write_index(folder, [record], ["sft"], "uint16", schedule={"kind": "constant"}, loss_mask=True)
    return open_shards(folder)


def test_a_loss_mask_is_kept_or_the_export_refused(tmp_path: Path) -> None:
    shards = conversations(tmp_path / "sft")
    export_mds(shards, tmp_path / "mds", build=BUILD)
    samples = read_mds(tmp_path / "mds")
    assert [one["loss_mask"] for one in samples] == [
        row.loss_mask.tolist() for row in shards if row.loss_mask is not None
    ]
    with pytest.raises(BuildError, match="loss mask"):
        export_megatron(shards, tmp_path / "megatron", build=BUILD)
    assert not (tmp_path / "megatron").exists()


def test_what_a_takedown_removed_is_not_exported(world: World, tmp_path: Path) -> None:
    longest = max(world.documents["papers"], key=lambda key: len(world.documents["papers"][key]))
    short = next(iter(world.documents["notes/0"]))
    target, records = tmp_path / "shards", []
    for entry in world.shards.index["shards"]:
        with Store(target).writing(entry["file"]) as stream:
            records.append(
                blank_shard(
                    world.shards.folder / entry["file"],
                    stream,
                    [longest, short],
                    pad_id=PAD,
                    sources=world.shards.sources,
                )
            )
    write_index(target, records, world.shards.sources, "uint16", schedule=world.shards.index["schedule"])
    left = open_shards(target)
    assert any(REMOVED_KEY in row.doc_key for row in left)
    facts = export_megatron(left, tmp_path / "out", build=BUILD)
    gone = Counter({tuple(world.documents["papers"][longest]): 2, tuple(world.documents["notes/0"][short]): 1})
    assert Counter(read_megatron(tmp_path / "out" / "train")) == world.all_expected() - gone
    assert facts["tokens"] == left.index["totals"]["tokens"] == sum(row.n_tokens for row in left)
    assert export_mds(left, tmp_path / "mds", build=BUILD)["tokens"] == facts["tokens"]


KILLED = """
import os, signal, sys
from itertools import pairwise
from pathlib import Path
from manifests.store import Store
from mixing.exporters import appended, mds, megatron
from mixing.reader import open_shards
kind, shards, out, after, options = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), eval(sys.argv[5])
calls = 0
def counted(step):
    def run(*arguments, **keywords):
        global calls
        calls += 1
        if calls == after:
            # Half of what was to be written is on disk, some of it not yet flushed.
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments, **keywords)
    return run
appended.AppendedFiles.append = counted(appended.AppendedFiles.append)
appended.AppendedFiles.commit = counted(appended.AppendedFiles.commit)
appended.AppendedFiles.finish = counted(appended.AppendedFiles.finish)
Store.write_json = counted(Store.write_json)
Store.write_bytes = counted(Store.write_bytes)
Store.sha256 = counted(Store.sha256)
export = {"megatron": megatron.export_megatron, "mds": mds.export_mds}[kind]
export(open_shards(shards), out, build={"name": "test", "fingerprint": "0123456789abcdef"}, **options)
print("finished", calls)
"""


@pytest.mark.parametrize(
    ("kind", "options", "deaths"),
    [
        ("megatron", {}, (2, 4, 9, 6, 7)),
        ("megatron", {"by_source": True}, (5, 12, 11)),
        ("mds", {"size_limit": 20_000}, (3, 8, 9)),
    ],
)
def test_killed_again_and_again_the_export_ends_with_the_same_bytes(
    world: World, tmp_path: Path, kind: str, options: dict[str, Any], deaths: tuple[int, ...]
) -> None:
    export: Callable[..., Any] = {"megatron": export_megatron, "mds": export_mds}[kind]
    export(world.shards, tmp_path / "whole", build=BUILD, **options)
    arguments = [sys.executable, "-c", KILLED, kind, str(world.shards.folder), str(tmp_path / "killed")]
    for after in deaths:
        died = subprocess.run([*arguments, str(after), repr(options)], check=False, capture_output=True, text=True)
        assert died.returncode == -signal.SIGKILL, died.stdout + died.stderr
        assert not (tmp_path / "killed" / EXPORT).exists()
    done = subprocess.run([*arguments, "0", repr(options)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")


def test_a_resumed_export_goes_on_where_it_was(world: World, tmp_path: Path) -> None:
    calls = []
    for after in (0, 9):
        out = tmp_path / str(after)
        arguments = [sys.executable, "-c", KILLED, "megatron", str(world.shards.folder), str(out)]
        if after:
            subprocess.run([*arguments, str(after), "{}"], check=False, capture_output=True)
        done = subprocess.run([*arguments, "0", "{}"], check=True, capture_output=True, text=True)
        calls.append(int(done.stdout.split()[-1]))
    assert calls[1] < calls[0]


def test_a_finished_export_is_left_alone_and_another_is_kept_out(world: World, tmp_path: Path) -> None:
    facts = export_megatron(world.shards, tmp_path / "out", build=BUILD)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert export_megatron(world.shards, tmp_path / "out", build=BUILD) == facts
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
    assert {path.name for path in before} == {EXPORT, "train.bin", "train.idx"}
    for refused in (
        lambda: export_megatron(world.shards, tmp_path / "out", build=BUILD, by_source=True),
        lambda: export_megatron(world.shards, tmp_path / "out", build=BUILD | {"fingerprint": "f" * 16}),
        lambda: export_mds(world.shards, tmp_path / "out", build=BUILD),
    ):
        with pytest.raises(BuildError, match="another export"):
            refused()
    (tmp_path / "out" / "train.bin").write_bytes(b"")
    with pytest.raises(BuildError, match="another size"):
        export_megatron(world.shards, tmp_path / "out", build=BUILD)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine")
    with pytest.raises(BuildError, match=r"thesis\.tex"):
        export_mds(world.shards, tmp_path / "other", build=BUILD)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.tex"]


def test_export_json_names_every_file_with_its_digest(world: World, tmp_path: Path) -> None:
    facts = export_mds(world.shards, tmp_path, build=BUILD, size_limit=20_000)
    assert json.loads((tmp_path / EXPORT).read_bytes()) == facts
    assert {entry["file"]: entry["sha256"] for entry in facts["files"]} == {
        path.name: Store(tmp_path).sha256(path.name) for path in tmp_path.iterdir() if path.name != EXPORT
    }
    assert facts["build"] == BUILD
    assert facts["tokenizer"]["sha256"] == "f" * 64
    assert not (tmp_path / STARTED).exists()


@pytest.mark.parametrize("export", [export_megatron, export_mds])
def test_restricted_shards_are_not_exported(tmp_path: Path, export: Callable[..., Any]) -> None:
    world = make_world(tmp_path, restricted=True)
    with pytest.raises(BuildError, match="restricted"):
        export(world.shards, tmp_path / "out", build=BUILD)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("export", [export_megatron, export_mds])
def test_counts_must_close(world: World, tmp_path: Path, export: Callable[..., Any]) -> None:
    index = json.loads(json.dumps(world.shards.index))
    index["totals"]["tokens_by_source"]["replay"] += 1
    with pytest.raises(BuildError, match="tokens of replay were read"):
        export(Shards(world.shards.folder, index), tmp_path / "out", build=BUILD)
    assert not (tmp_path / "out" / EXPORT).exists()
    assert not (tmp_path / "out" / "train.idx").exists()


def test_documents_are_not_joined_wrongly(world: World, tmp_path: Path) -> None:
    index = json.loads(json.dumps(world.shards.index))
    for seed in range(100, 108):
        index["schedule"]["seed"] = seed
        with pytest.raises(BuildError, match="continues a document, but"):
            export_megatron(Shards(world.shards.folder, index), tmp_path / "out", build=BUILD)
    del index["schedule"]["blocks"]
    with pytest.raises(BuildError, match="how many rows each block had"):
        export_megatron(Shards(world.shards.folder, index), tmp_path / "two", build=BUILD)


@pytest.mark.parametrize("size_limit", [100, 1 << 32])
def test_file_sizes_that_mds_cannot_have_are_refused(world: World, tmp_path: Path, size_limit: int) -> None:
    with pytest.raises(RecipeError, match="--size-limit"):
        export_mds(world.shards, tmp_path / "out", build=BUILD, size_limit=size_limit)


def test_every_row_has_its_place_in_the_blocks(world: World) -> None:
    shards, places = world.shards, Places(world.shards)
    n = len(shards)
    numbers = places.numbers(0, n)
    assert sorted(numbers.tolist()) == list(range(n))
    for i in range(0, n, 17):
        assert places.numbers(i, i + 1).tolist() == [numbers[i]]
    follows = following(shards)
    assert sorted(follows[follows != NOWHERE].tolist()) == [i for i, row in enumerate(shards) if row.continues]
    for i in np.flatnonzero(follows != NOWHERE).tolist():
        assert shards[i].doc_key[-1] == shards[int(follows[i])].doc_key[0]
        assert int(shards[i].doc_ends[-1]) == ROW


def test_sources_due_at_the_same_moment_keep_their_order(tmp_path: Path) -> None:
    random, layouts, expected = np.random.default_rng(4), [], Counter[tuple[int, ...]]()
    for source in ("zeta", "alpha"):
        keys = np.sort(random.integers(1, 2**63, 20, dtype=np.uint64))
        ids = random.integers(2, 60_000, (20, 3 * ROW)).astype(np.uint16)
        expected.update(map(tuple, ids.tolist()))
        packed = pack_block(keys, Encoded(ids.reshape(-1), np.arange(21) * 3 * ROW), ROW, PAD)
        with (tmp_path / source).open("wb") as stream:
            write_block(stream, packed)
        layouts.append(source_layout(source, 1, [BlockRef(source, len(packed.rows))]))
    layout = Layout(tuple(layouts), ROW, "uint16", 1000, 7)
    with Store(tmp_path / "shards").writing("shard-00000.arrow") as stream:
        record = write_mixed_shard(stream, layout, 0, lambda name: BlockFile(tmp_path / name))[0]
    write_index(tmp_path / "shards", [record], layout.names, "uint16", schedule=layout.describe())
    export_megatron(open_shards(tmp_path / "shards"), tmp_path / "out", build=BUILD)
    assert Counter(read_megatron(tmp_path / "out" / "train")) == expected


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def by_peer(script: str, folder: Path) -> Any:
    """What another project's own reader finds, in a process of its own: such imports warn, and set threads."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(folder)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


MEGATRON = """
import json, sys
from megatron.core.datasets.indexed_dataset import IndexedDataset
data = IndexedDataset(sys.argv[1] + "/train")
assert data.document_indices.tolist() == list(range(len(data) + 1))
print(json.dumps([data[i].tolist() for i in range(len(data))]))
"""


@pytest.mark.skipif(not installed("megatron"), reason="megatron-core is not installed; `struct` reads it above")
@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_megatron_itself_reads_the_same(tmp_path: Path, dtype: str) -> None:
    world = make_world(tmp_path, dtype)
    export_megatron(world.shards, tmp_path / "out", build=BUILD)
    read = [tuple(one) for one in by_peer(MEGATRON, tmp_path / "out")]
    assert read == read_megatron(tmp_path / "out" / "train")
    assert Counter(read) == world.all_expected()


STREAMING = """
import importlib.machinery, json, sys, types
try:
    import torchvision
except Exception:  # its compiled half does not fit every torch; streaming asks for three names of it
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.datasets"):
        module = sys.modules[name] = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    sys.modules["torchvision.transforms.functional"].to_tensor = None
    sys.modules["torchvision.datasets"].VisionDataset = type("VisionDataset", (), {})
from streaming import StreamingDataset
data = StreamingDataset(local=sys.argv[1], shuffle=False, batch_size=8)
print(json.dumps([{key: getattr(value, "tolist", lambda: value)() for key, value in one.items()} for one in data]))
"""


@pytest.mark.skipif(not installed("streaming"), reason="mosaicml-streaming is not installed; `struct` reads it above")
@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_mosaicml_itself_reads_the_same_in_our_order(tmp_path: Path, dtype: str) -> None:
    world = make_world(tmp_path, dtype)
    export_mds(world.shards, tmp_path / "out", build=BUILD, size_limit=20_000)
    read = by_peer(STREAMING, tmp_path / "out")
    assert [one["tokens"] for one in read] == [row.input_ids.tolist() for row in world.shards]
    assert [one["doc_ends"] for one in read] == [row.doc_ends.tolist() for row in world.shards]
    assert [one["source"] for one in read] == [row.source for row in world.shards]
