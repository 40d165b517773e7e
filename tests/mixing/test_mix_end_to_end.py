"""Three invented sources, 15:1:4, from texts to shards, as tasks would do it."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.errors import BuildError
from manifests.identity import doc_key
from manifests.schema import PLACEMENTS
from manifests.store import Store
from mixing import shards as shards_module
from mixing.blocks import BlockFile, block_of, pack_block, repack, write_block
from mixing.choice import fraction_limits, meets
from mixing.mix import BlockRef, Layout, SourceLayout, source_layout, write_mixed_shard, write_source_rows
from mixing.reader import Shards, open_shards
from mixing.schedule import window_bound
from mixing.shards import ShardRecord, write_folder_files
from mixing.tokenize import Encoded, Encoder
from mixing.weights import MixPlan, Mixture, Part, plan

ROW = 129
SEED = 11
WORDS = ["dose", "INR", "2.5", "≥5", "mg", "renal", "not", "trial", "patient", "warfarin", "acute", "risk", "10⁻³"]
SIZES = {"articles": (500, 10, 200), "notes": (30, 5, 120), "replay": (80, 5, 200)}
N_BLOCKS = {"articles": 3, "notes": 1, "replay": 2}


@dataclass
class Corpus:
    """Everything up to the blocks."""

    folder: Path
    encoder: Encoder
    documents: dict[str, dict[int, list[int]]]
    mixed: MixPlan
    layout: Layout

    def open(self, name: str) -> BlockFile:
        return BlockFile(self.folder / name)

    def write(self, target: Path, order: Iterable[int]) -> Shards:
        """Every shard alone, in any order, then the folder's files."""
        store = Store(target)
        records: dict[int, ShardRecord] = {}
        for number in order:
            with store.writing(f"shard-{number:05d}.arrow") as stream:
                records[number], placements = write_mixed_shard(stream, self.layout, number, self.open)
            with store.writing(f"placements-{number:05d}.parquet") as stream:
                pq.write_table(placements, stream, compression="zstd")
        write_folder_files(
            store,
            [records[number] for number in sorted(records)],
            sources=self.layout.names,
            sequence_length=ROW - 1,
            dtype=self.layout.dtype,
            tokenizer=self.encoder.describe(),
            schedule=self.layout.describe(),
            restricted=False,
        )
        return open_shards(target)


@pytest.fixture(scope="module")
def corpus(tokenizer_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("blocks")
    encoder = Encoder(str(tokenizer_file), bos=True, eos=True)
    random_ = random.Random(5)
    documents: dict[str, dict[int, list[int]]] = {}
    refs: dict[str, list[BlockRef]] = {}
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for source, (n, least, most) in SIZES.items():
        texts = {
            doc_key(f"{source}:{i}"): " ".join(random_.choices(WORDS, k=random_.randint(least, most))) for i in range(n)
        }
        keys = np.asarray(sorted(texts), dtype=np.uint64)
        documents[source], refs[source], parts[source] = {}, [], []
        for number in range(N_BLOCKS[source]):
            mine = keys[block_of(keys, N_BLOCKS[source]) == number]
            encoder.start_block()
            encoded = encoder.encode([texts[key] for key in mine.tolist()])
            documents[source] |= {int(key): encoded[i].tolist() for i, key in enumerate(mine)}
            refs[source].append(_write(folder, f"{source}-{number}.arrow", mine, encoded, encoder.pad_id))
            parts[source].append((mine, encoded.lengths))
    unique = {source: sum(map(len, docs.values())) for source, docs in documents.items()}
    counts = {source: len(docs) for source, docs in documents.items()}
    groups = tuple(Part(s, (s,), share=share) for s, share in zip(SIZES, (15, 1, 4), strict=True))
    mixed = plan(unique, counts, Mixture(groups, total_tokens=int(unique["articles"] * 1.3 / 0.75)))
    layouts = []
    for made in mixed.sources:
        blocks = parts[made.source]
        limits = fraction_limits(lambda blocks=blocks: blocks, made.fraction_tokens, SEED, ROW)  # type: ignore[misc]
        chosen = []
        for ref, (keys, tokens) in zip(refs[made.source], parts[made.source], strict=True):
            placements = pq.read_table(folder / f"{ref.name}.parquet")
            chosen.append((BlockFile(folder / ref.name), placements, keys[meets(keys, tokens, limits, SEED)]))
        block = repack(chosen, ROW, encoder.pad_id)
        name = f"{made.source}-fraction.arrow"
        with (folder / name).open("wb") as stream:
            write_block(stream, block)
        fraction = [BlockRef(name, len(block.rows))] if made.fraction_tokens else []
        layouts.append(source_layout(made.source, made.whole_passes, refs[made.source], fraction))
    layout = Layout(tuple(layouts), ROW, encoder.dtype.name, 250, SEED)
    return Corpus(folder, encoder, documents, mixed, layout)


def _write(folder: Path, name: str, keys: np.ndarray, encoded: Encoded, pad_id: int) -> BlockRef:
    block = pack_block(keys, encoded, ROW, pad_id)
    with (folder / name).open("wb") as stream:
        write_block(stream, block)
    pq.write_table(block.placements, folder / f"{name}.parquet")
    return BlockRef(name, len(block.rows))


@pytest.fixture(scope="module")
def built(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Shards:
    return corpus.write(tmp_path_factory.mktemp("shards"), range(corpus.layout.n_shards))


def test_the_corpus_is_worth_testing(corpus: Corpus) -> None:
    assert corpus.layout.n_shards >= 3
    assert corpus.mixed["articles"].whole_passes == 1
    assert corpus.mixed["articles"].fraction_tokens > 0
    assert all(made.whole_passes for made in corpus.mixed.sources)
    assert len({made.whole_passes for made in corpus.mixed.sources}) > 1


def test_any_task_writes_any_shard_alone_with_the_same_bytes(corpus: Corpus, built: Shards, tmp_path: Path) -> None:
    again = corpus.write(tmp_path, reversed(range(corpus.layout.n_shards)))
    assert again.index == built.index
    assert (tmp_path / "index.json").read_bytes() == (built.folder / "index.json").read_bytes()
    for record in built.index["shards"]:
        file = record["file"]
        assert Store(tmp_path).sha256(file) == record["sha256"] == Store(built.folder).sha256(file)


def test_every_token_of_every_document_is_stored_exactly_epochs_times(corpus: Corpus, built: Shards) -> None:
    stored: dict[str, Counter[int]] = {source: Counter() for source in SIZES}
    pieces: dict[tuple[int, int], list[tuple[int, list[int]]]] = {}
    for number in range(built.n_shards):
        table = pq.read_table(built.folder / f"placements-{number:05d}.parquet")
        assert table.schema.remove_metadata() == PLACEMENTS
        rows = list(built.shard(number))
        for piece in table.to_pylist():
            row = rows[piece["row"]]
            ids = row.input_ids[piece["start"] : piece["start"] + piece["length"]].tolist()
            assert piece["shard"] == number
            stored[built.sources[row.source]][piece["doc_key"]] += len(ids)
            pieces.setdefault((piece["doc_key"], piece["epoch"]), []).append((piece["start"], ids))
    for made in corpus.mixed.sources:
        passes = {key: stored[made.source][key] / len(ids) for key, ids in corpus.documents[made.source].items()}
        # Within a source the epochs of two documents differ by at most one, and they are whole.
        assert set(passes.values()) <= {made.whole_passes, made.whole_passes + 1}
        for key, ids in corpus.documents[made.source].items():
            for epoch in range(int(passes[key])):
                parts = pieces[key, epoch]
                assert Counter(token for _, part in parts for token in part) == Counter(ids)
                if len(ids) <= ROW:
                    assert [part for _, part in parts] == [ids]
    assert sum(len(table) for table in stored.values()) == sum(map(len, corpus.documents.values()))


def test_realised_shares_are_exact_to_a_row_or_a_document(corpus: Corpus, built: Shards) -> None:
    tokens = built.index["totals"]["tokens_by_source"]
    for made in corpus.mixed.sources:
        longest = max(map(len, corpus.documents[made.source].values()))
        assert abs(tokens[made.source] - made.effective_tokens) <= max(ROW, longest)
    counted = Counter[str]()
    for row in built:
        counted[built.sources[row.source]] += row.n_tokens
    assert dict(counted) == tokens


def test_every_window_holds_the_mixture(built: Shards) -> None:
    source = np.asarray([row.source for row in built])
    counts = np.bincount(source).tolist()
    for window in (10, 64, 300):
        for s, n in enumerate(counts):
            hits = np.concatenate(([0], np.cumsum(source == s)))
            seen = hits[window:] - hits[:-window]
            assert np.abs(seen - window * n / len(built)).max() <= window_bound(counts, s) + 1e-9


def test_rows_are_views_and_any_row_can_be_read_alone(built: Shards) -> None:
    rows = list(built)
    assert len(rows) == len(built) == built.index["totals"]["rows"]
    for i in (0, 249, 250, len(built) - 1, -1):
        row = shards_module.open(built.folder)[i]
        assert row.input_ids.dtype == np.uint16
        assert np.array_equal(row.input_ids, rows[i].input_ids)
        assert row.doc_ends.tolist() == rows[i].doc_ends.tolist()
        assert (row.source, row.continues) == (rows[i].source, rows[i].continues)
        assert not row.input_ids.flags.owndata
        with pytest.raises(ValueError, match="read-only"):
            row.input_ids[0] = 1
    with pytest.raises(IndexError):
        built[len(built)]
    order = np.random.default_rng(0).permutation(len(built))
    taken = built.rows(order)
    assert np.array_equal(taken.input_ids, np.stack([rows[i].input_ids for i in order]))
    assert taken.source is not None
    assert taken.source.tolist() == [rows[i].source for i in order]


def test_datasets_maps_the_folder_as_it_is(built: Shards) -> None:
    datasets = pytest.importorskip("datasets")
    dataset = datasets.load_from_disk(str(built.folder))
    assert len(dataset) == len(built)
    assert dataset.column_names == ["input_ids", "source", "doc_ends", "doc_key", "continues"]
    assert dataset.features["input_ids"].feature.dtype == "uint16"
    assert dataset.features["input_ids"].length == ROW
    for i in range(0, len(built), 37):
        row, ours = dataset[i], built[i]
        assert row["input_ids"] == ours.input_ids.tolist()
        assert row["doc_ends"] == ours.doc_ends.tolist()
        assert row["doc_key"] == ours.doc_key.tolist()
        assert (row["source"], row["continues"]) == (ours.source, ours.continues)
    assert len(dataset.cache_files) == built.n_shards


def test_a_layout_survives_json(corpus: Corpus) -> None:
    assert Layout.from_json(json.loads(json.dumps(corpus.layout.to_json()))) == corpus.layout


def test_validation_rows_of_one_source(corpus: Corpus, tmp_path: Path) -> None:
    refs = corpus.layout.sources[2].passes[0]
    with (tmp_path / "replay.arrow").open("wb") as stream:
        record = write_source_rows(stream, corpus.layout, "replay", refs, corpus.open)
    assert record.file == "replay.arrow"
    assert record.tokens == {"replay": sum(map(len, corpus.documents["replay"].values()))}
    assert record.bytes == (tmp_path / "replay.arrow").stat().st_size
    assert pa.ipc.open_stream(tmp_path / "replay.arrow").read_all()["source"].unique().to_pylist() == [2]


def test_a_source_without_rows_takes_no_place(corpus: Corpus, tmp_path: Path) -> None:
    sources = (*corpus.layout.sources, SourceLayout("none", ()))
    layout = Layout(sources, ROW, corpus.layout.dtype, 250, SEED)
    with (tmp_path / "x.arrow").open("wb") as stream:
        record, _ = write_mixed_shard(stream, layout, 0, corpus.open)
    assert record.rows == 250
    assert "none" not in record.tokens


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("unfinished", "no readable index.json"),
        ("version", "version 99"),
        ("missing", "is missing"),
        ("short", "bytes, and index.json says"),
        ("garbage", "not an Arrow stream"),
    ],
)
def test_shards_that_are_not_whole_are_refused(corpus: Corpus, tmp_path: Path, damage: str, says: str) -> None:
    shards = corpus.write(tmp_path, range(corpus.layout.n_shards))
    file = tmp_path / shards.index["shards"][1]["file"]
    if damage == "unfinished":
        (tmp_path / "index.json").unlink()
    elif damage == "version":
        (tmp_path / "index.json").write_text(json.dumps(shards.index | {"version": 99}))
    elif damage == "missing":
        file.unlink()
    elif damage == "short":
        file.write_bytes(file.read_bytes()[:-1000])
    else:
        file.write_bytes(bytes(file.stat().st_size - 8) + b"notarrow")
    with pytest.raises(BuildError, match=says) as refusal:
        open_shards(tmp_path)[300]
    assert refusal.value.fix
