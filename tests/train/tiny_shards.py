"""Small shards for the trainer's tests, written with the writers of `mixing.shards`.

Every source is a chain of its own: the next token follows from the last one by a rule, in four of five cases. A model
can therefore learn it, and a source's loss says whose rows were seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from manifests.store import Store
from mixing.rows import Rows, concatenate
from mixing.shards import ShardRecord, write_folder_files, write_shard

BOS, EOS, PAD = 0, 1, 2
SPECIAL = 3


def tiny_shards(
    folder: Path,
    *,
    rows: int,
    length: int = 64,
    sources: Sequence[str] = ("a", "b", "c"),
    vocabulary: int = 256,
    loss_mask: bool = False,
    restricted: bool = False,
    seed: int = 0,
) -> Path:
    """Write `folder/shards` (two files) and `folder/validation` (two rows a source); the path of the shards.

    Rows hold several documents, some of them with padding behind; long documents continue in their source's next row.
    Of three rows in six the first source's, two the second's, and so on. With `loss_mask` a document's last part,
    its end token included, is learned, of lengths so ragged that means of means differ from the mean.
    """
    streams = [
        _rows(number, length, vocabulary, np.random.default_rng([seed, number]), loss_mask=loss_mask)
        for number in range(len(sources))
    ]
    turns = [number for number in range(len(sources)) for _ in range(len(sources) - number)]
    order = np.random.default_rng(seed).permutation(np.resize(turns, rows))
    train = [next(streams[number]) for number in order]
    validation = [next(stream) for stream in streams for _ in range(2)]
    for name, split, parts in (("shards", "train", train), ("validation", "validation", validation)):
        store = Store(folder / name, mode=0o600 if restricted else None)
        half = (len(parts) + 1) // 2
        records: list[ShardRecord] = []
        for number, part in enumerate((parts[:half], parts[half:])):
            file = f"shard-{number:05d}.arrow"
            with store.writing(file) as stream:
                records.append(
                    write_shard(
                        stream,
                        [concatenate(part)] if part else [],
                        file=file,
                        sources=sources,
                        row_tokens=length + 1,
                        dtype="uint16",
                        loss_mask=loss_mask,
                    )
                )
        write_folder_files(
            store,
            records,
            sources=sources,
            sequence_length=length,
            dtype="uint16",
            tokenizer={
                "sha256": "0" * 64,
                "vocab_size": vocabulary,
                "bos_id": BOS,
                "eos_id": EOS,
                "pad_id": PAD,
                "bos": True,
                "eos": True,
            },
            schedule={"kind": "constant", "seed": seed},
            restricted=restricted,
            split=split,
            loss_mask=loss_mask,
        )
    return folder / "shards"


def _rows(source: int, length: int, vocabulary: int, random: np.random.Generator, *, loss_mask: bool) -> Iterator[Rows]:
    """Row after row of one source, without end."""
    width = length + 1
    documents = _documents(source, length, vocabulary, random)
    document, learned, key = next(documents)
    begun = 0
    while True:
        ids = np.full((1, width), PAD, dtype=np.uint16)
        mask = np.zeros((1, width), dtype=np.uint8)
        ends: list[int] = []
        keys: list[int] = []
        continues, at = begun > 0, 0
        while at < width:
            n = min(width - at, len(document) - begun)
            ids[0, at : at + n] = document[begun : begun + n]
            mask[0, at : at + n] = learned[begun : begun + n]
            at, begun = at + n, begun + n
            ends.append(at)
            keys.append(key)
            if begun == len(document):
                document, learned, key = next(documents)
                begun = 0
                if at > width // 2 and random.random() < 0.2:
                    break  # the rest is padding
        yield Rows(
            input_ids=ids,
            offsets=np.asarray([0, len(ends)]),
            doc_ends=np.asarray(ends, dtype=np.int32),
            doc_key=np.asarray(keys, dtype=np.uint64),
            continues=np.asarray([continues]),
            source=np.asarray([source], dtype=np.uint16),
            loss_mask=mask if loss_mask else None,
        )


def _documents(
    source: int, length: int, vocabulary: int, random: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Tokens, which of them are learned, and the key, of one document after the other."""
    words = vocabulary - SPECIAL
    while True:
        n = int(random.integers(4, length)) if random.random() < 0.8 else int(random.integers(length, 2 * length))
        tokens = np.empty(n, dtype=np.uint16)
        tokens[0], tokens[-1] = BOS, EOS
        word = int(random.integers(words))
        for place in range(1, n - 1):
            tokens[place] = SPECIAL + word
            step = (word * (2 * source + 3) + source + 1) % words
            word = step if random.random() < 0.8 else int(random.integers(words))
        learned = np.arange(n) >= int(random.integers(1, n))
        yield tokens, learned.astype(np.uint8), int(random.integers(1, 2**63))
