"""The tools that `bench_shards.py` compares: how each turns documents into its files, and how these are read back.

Each function of `TOOLS` imports what its tool needs and gives what is timed. Nothing is imported before, so that this
file loads in an environment that has one of them only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SEQUENCE = 4096
AT_ONCE = 512
"""Documents handed to an encoder in one call."""
END = "<|end_of_text|>"
ROWS_PER_SHARD = 512
"""4 MB of tokens: several shards from 30 MB of text."""

Document = dict[str, str]
Ids = np.ndarray[Any, Any]
Write = Callable[[list[Document], str, Path], None]
"""What is timed: documents, tokenizer.json, an empty folder."""


def batches(documents: Sequence[Document]) -> Iterator[list[str]]:
    for start in range(0, len(documents), AT_ONCE):
        yield [document["text"] for document in documents[start : start + AT_ONCE]]


def medtrove() -> Write:
    """Blocks and their placements, weighted shards with sha256 and placements, the index: what a build writes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from manifests.identity import doc_key
    from manifests.store import Store
    from mixing.blocks import BlockFile, pack_block, write_block
    from mixing.mix import BlockRef, Layout, source_layout, write_mixed_shard
    from mixing.shards import shard_name, write_folder_files
    from mixing.tokenize import Encoder, join

    pa.array(np.zeros(1))  # imports pandas where it is installed

    def write(documents: list[Document], tokenizer: str, out: Path) -> None:
        encoder = Encoder(tokenizer, bos=False, eos=True)
        folder, layouts = Store(out), []
        for source in ("abstracts", "articles"):
            keyed = sorted(
                (doc_key(document["id"]), document) for document in documents if document["source"] == source
            )
            encoder.start_block()
            encoded = join([encoder.encode(texts) for texts in batches([document for _, document in keyed])])
            assert encoder.engine == "fastokens", encoder.reason
            block = pack_block([key for key, _ in keyed], encoded, SEQUENCE + 1, encoder.pad_id)
            with folder.writing(f"blocks/{source}.arrow") as stream:
                write_block(stream, block)
            with folder.writing(f"blocks/{source}.parquet") as stream:
                pq.write_table(block.placements, stream, compression="zstd")
            layouts.append(source_layout(source, 1, [BlockRef(f"blocks/{source}.arrow", len(block.rows))]))
        layout = Layout(tuple(layouts), SEQUENCE + 1, encoder.dtype.name, ROWS_PER_SHARD, 7)
        results, records = Store(out / "shards"), []
        for number in range(layout.n_shards):
            with results.writing(shard_name(number)) as stream:
                record, placements = write_mixed_shard(stream, layout, number, lambda name: BlockFile(out / name))
            with folder.writing(f"placements/{number:05d}.parquet") as stream:
                pq.write_table(placements, stream, compression="zstd")
            records.append(record)
        write_folder_files(
            results, records, sources=layout.names, sequence_length=SEQUENCE, dtype=encoder.dtype,
            tokenizer=encoder.describe(), schedule=layout.describe(), restricted=False,
        )  # fmt: skip

    return write


def library() -> Write:
    """The tokenizers library and nothing else: the ceiling of all who call it, and the ids that count."""
    from tokenizers import Tokenizer

    def write(documents: list[Document], tokenizer: str, out: Path) -> None:
        encoder = plain_text(Tokenizer.from_file(tokenizer))
        end = encoder.token_to_id(END)
        with (out / "ids.bin").open("wb") as stream:
            for texts in batches(documents):
                for encoding in encoder.encode_batch_fast(texts, add_special_tokens=False):
                    stream.write(np.array([*encoding.ids, end], dtype=np.uint16).tobytes())

    return write


def datatrove() -> Write:
    """DocumentTokenizer with its defaults: batches of 10,000, documents shuffled, an index."""
    from datatrove.data import Document as Theirs
    from datatrove.pipeline.tokens import DocumentTokenizer
    from datatrove.utils.logging import logger

    logger.remove()

    def write(documents: list[Document], tokenizer: str, out: Path) -> None:
        step = DocumentTokenizer(str(out), tokenizer, eos_token=END, seed=7)
        step.run((Theirs(text=document["text"], id=document["id"]) for document in documents), 0, 1)

    return write


def dolma() -> Write:
    """`dolma tokens`, one process; documents from JSON lines."""
    from dolma.tokenizer.executor import tokenize_in_parallel

    def write(documents: list[Document], tokenizer: str, out: Path) -> None:
        table = json.loads(Path(tokenizer).read_text())
        # tokenizers 0.19 reads merges as strings only; byte-level pieces hold no space.
        table["model"]["merges"] = [" ".join(pair) for pair in table["model"]["merges"]]
        names = {entry["content"]: entry["id"] for entry in table["added_tokens"]}
        older = out / "tokenizer.json"
        older.write_text(json.dumps(table))
        (out / "work").mkdir()
        tokenize_in_parallel(
            sources=[str(Path(tokenizer).parent / "documents" / "*.jsonl")], destination=str(out / "ids"),
            num_writers=1, num_readers=1, local_shuffle=10_000, ring_size=1, seed=7, metadata_dir=str(out / "work"),
            tokenizer_name_or_path=str(older), bos_token_id=None, eos_token_id=names[END],
            pad_token_id=names["<|pad|>"], dtype="uint16", max_size=1 << 30,
            encode_special_tokens=True, debug=True,  # debug: in this process
        )  # fmt: skip

    return write


def mosaic() -> Write:
    """llm-foundry's recipe: documents end to end, cut into samples of 4,096, written by MDSWriter."""
    from bench_reader import stub_torchvision

    stub_torchvision()
    from streaming import MDSWriter
    from tokenizers import Tokenizer

    def write(documents: list[Document], tokenizer: str, out: Path) -> None:
        encoder = plain_text(Tokenizer.from_file(tokenizer))
        end = encoder.token_to_id(END)
        waiting: list[int] = []
        with MDSWriter(out=str(out / "mds"), columns={"tokens": f"ndarray:uint16:{SEQUENCE}"}) as writer:
            for texts in batches(documents):
                for encoding in encoder.encode_batch_fast(texts, add_special_tokens=False):
                    waiting += [*encoding.ids, end]
                    while len(waiting) >= SEQUENCE:
                        writer.write({"tokens": np.asarray(waiting[:SEQUENCE], dtype=np.uint16)})
                        waiting = waiting[SEQUENCE:]

    return write


def litdata() -> Write:
    """`optimize` with one worker, forked so that it imports nothing again; TokensLoader cuts while reading."""
    from bench_reader import stub_torchvision

    stub_torchvision()
    import litdata as theirs
    import torch
    from litdata.streaming import TokensLoader
    from tokenizers import Tokenizer

    def write(documents: list[Document], tokenizer: str, out: Path) -> None:
        encoder = plain_text(Tokenizer.from_file(tokenizer))
        end = encoder.token_to_id(END)

        def tokens(texts: list[str]) -> Iterator[Any]:
            for encoding in encoder.encode_batch_fast(texts, add_special_tokens=False):
                yield torch.tensor([*encoding.ids, end], dtype=torch.int32)

        theirs.optimize(
            tokens, list(batches(documents)), output_dir=str(out / "ids"), chunk_size=(SEQUENCE + 1) * ROWS_PER_SHARD,
            item_loader=TokensLoader(block_size=SEQUENCE + 1), num_workers=1, start_method="fork", verbose=False,
            reorder_files=False,
        )  # fmt: skip

    return write


def megatron() -> Write:
    """As `preprocess_data.py`: one document after the other, encoded alone."""
    from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder
    from tokenizers import Tokenizer

    def write(documents: list[Document], tokenizer: str, out: Path) -> None:
        encoder = plain_text(Tokenizer.from_file(tokenizer))
        end = encoder.token_to_id(END)
        builder = IndexedDatasetBuilder(str(out / "ids.bin"), dtype=np.uint16)
        for document in documents:
            ids = [*encoder.encode(document["text"], add_special_tokens=False).ids, end]
            builder.add_document(ids, [len(ids)])
        builder.finalize(str(out / "ids.idx"))

    return write


def plain_text(encoder: Any) -> Any:
    """Control tokens that a page spells stay text, as in ours."""
    encoder.encode_special_tokens = True
    return encoder


TOOLS: dict[str, Callable[[], Write]] = {
    "medtrove": medtrove,
    "tokenizers": library,
    "datatrove": datatrove,
    "dolma": dolma,
    "mosaic": mosaic,
    "litdata": litdata,
    "megatron": megatron,
}
PACKAGES = {
    "medtrove": "fastokens", "tokenizers": "tokenizers", "datatrove": "datatrove", "dolma": "dolma",
    "mosaic": "mosaicml-streaming", "litdata": "litdata", "megatron": "megatron-core",
}  # fmt: skip


def written(tool: str, out: Path) -> tuple[Ids, int]:
    """Ids in the files of this tool, padding left out, and bytes of the files that a trainer needs."""
    if tool == "medtrove":
        from mixing.reader import open_shards

        shards = open_shards(out / "shards")
        rows = [shards[number] for number in range(len(shards))]
        return np.concatenate([row.input_ids[: row.doc_ends[-1]] for row in rows]), size(out / "shards", "*")
    if tool == "mosaic":
        from streaming import StreamingDataset

        samples = StreamingDataset(local=str(out / "mds"), shuffle=False, batch_size=1)
        return np.concatenate([samples[i]["tokens"] for i in range(len(samples))]), size(out / "mds", "*")
    if tool == "litdata":
        index = json.loads((out / "ids" / "index.json").read_text())
        chunks = []
        for chunk in index["chunks"]:
            # Each chunk: number of items, where each begins, then the ids alone.
            data = (out / "ids" / chunk["filename"]).read_bytes()
            head = 4 + 4 * (int.from_bytes(data[:4], "little") + 1)
            chunks.append(np.frombuffer(data, dtype=np.int32, offset=head))
        return np.concatenate(chunks), size(out / "ids", "*")
    pattern = {"tokenizers": "ids.bin", "datatrove": "*.ds", "dolma": "ids/*.npy", "megatron": "ids.bin"}[tool]
    found = [np.fromfile(path, dtype=np.uint16) for path in sorted(out.glob(pattern))]
    extra = {"datatrove": "*.index", "dolma": "ids/*.csv.gz", "megatron": "*.idx"}.get(tool)
    return np.concatenate(found), size(out, pattern) + (size(out, extra) if extra else 0)


def size(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern) if path.is_file())
