"""Tokenisation: mixing.tokenize.Encoder against the tokenizers library, one thread, equal ids.

    python tests/benchmarks/bench_tokenize.py [--megabytes 12] [--json FILE]

Text: abstracts and paragraphs of the real-data pack named by MEDTROVE_REALDATA; without it, invented sentences (whose
few words flatter both sides). Vocabularies of 32,000 are trained on a third of the text, so the rest is unseen.
Times are CPU seconds of one pass over the rest, in batches of 512 documents: a second pass would find every word in
the caches of both. The Encoder's include its checks against the library and the begin and end tokens.
"""

from __future__ import annotations

import argparse
import gzip
import html
import json
import os
import random
import re
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from mixing.tokenize import Encoder

LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BATCH = 512
TAG = re.compile(r"<[^>]+>")


def real_texts(folder: Path) -> Iterator[str]:
    yield from abstracts(folder)
    yield from articles(folder)


def abstracts(folder: Path) -> Iterator[str]:
    for name in sorted(folder.glob("pubmed/*.xml.gz")):
        with gzip.open(name, "rt", encoding="utf-8") as stream:
            for found in re.finditer(r"<AbstractText[^>]*>(.*?)</AbstractText>", stream.read(), re.DOTALL):
                yield html.unescape(TAG.sub("", found[1]))


def articles(folder: Path) -> Iterator[str]:
    with tarfile.open(folder / "jats" / "jats_ccby.tar.xz") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None and member.name.endswith(("xml", "nxml")):
                paragraphs = re.findall(r"<p\b[^>]*>(.*?)</p>", stream.read().decode("utf-8", "replace"), re.DOTALL)
                yield "\n\n".join(html.unescape(TAG.sub("", paragraph)) for paragraph in paragraphs)


def invented_texts() -> Iterator[str]:
    random_ = random.Random(1)
    syllables = [a + b for a in "bcdfglmnprstv" for b in ("a", "en", "io", "or", "um", "ic")]
    words = ["".join(random_.choices(syllables, k=random_.randint(1, 4))) for _ in range(20_000)]
    while True:
        yield " ".join(random_.choices([*words, "5 mg", "≥ 2.5", "(P < 0.05)."], k=random_.randint(40, 900)))


def some(texts: Iterator[str], n_bytes: int) -> list[str]:
    found, total = [], 0
    for text in texts:
        if text:
            found.append(text)
            total += len(text.encode())
        if total >= n_bytes:
            break
    return found


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(LLAMA3_SPLIT), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def llama2_style() -> Tokenizer:
    """As the Llama-2 file is used: no pre-tokenizer; trained with one, which is then removed."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first")
    return tokenizer


def train(tokenizer: Tokenizer, texts: Sequence[str], special: list[str]) -> None:
    alphabet = pre_tokenizers.ByteLevel.alphabet() if "<unk>" not in special else []
    trainer = trainers.BpeTrainer(
        vocab_size=32_000, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)


def made(kind: str, texts: Sequence[str]) -> str:
    """The tokenizer.json of this kind, trained on `texts`."""
    if kind == "byte-level (Llama-3 split)":
        tokenizer = byte_level()
        train(tokenizer, texts, ["<s>", "</s>"])
        return str(tokenizer.to_str())
    tokenizer = llama2_style()
    train(tokenizer, texts, ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))])
    if kind == "SentencePiece style, no pre-tokenizer":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        table = json.loads(tokenizer.to_str())
        table["pre_tokenizer"] = None
        # Bytes are ordinary pieces of the model there, not special tokens.
        table["added_tokens"] = [entry for entry in table["added_tokens"] if not entry["content"].startswith("<0x")]
        return json.dumps(table)
    return str(tokenizer.to_str())


def timed(encoders: Sequence[Callable[[list[str]], Any]], texts: Sequence[str]) -> list[tuple[float, list[list[Any]]]]:
    """CPU seconds and ids of each encoder; they take turns, so that a busy machine is busy for all."""
    seconds: list[float] = [0.0] * len(encoders)
    results: list[list[list[Any]]] = [[] for _ in encoders]
    for i in range(0, len(texts), BATCH):
        batch = list(texts[i : i + BATCH])
        for number, encode in enumerate(encoders):
            began = time.process_time()
            encoded = encode(batch)
            seconds[number] += time.process_time() - began
            # Millions of Python integers kept alive would slow the library down: keep arrays.
            results[number].append([np.asarray(ids, dtype=np.uint32) for ids in encoded])
    return list(zip(seconds, results, strict=True))


def compare(kind: str, training: Sequence[str], unseen: Sequence[str], folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer.json"
    path.write_text(made(kind, training), encoding="utf-8")
    library = Tokenizer.from_file(str(path))
    library.encode_special_tokens = True
    encoder = Encoder(str(path), bos=True, eos=True)

    def ours(texts: list[str]) -> Any:
        return encoder.encode(texts)

    def plain(texts: list[str]) -> Any:
        return [encoding.ids for encoding in library.encode_batch(texts, add_special_tokens=False)]

    encoder.start_block()
    (seconds, encoded), (library_seconds, reference) = timed((ours, plain), unseen)
    other = 0
    for block, documents in zip(encoded, reference, strict=True):
        other += sum(not np.array_equal(a[1:-1], b) for a, b in zip(block, documents, strict=True))
    tokens = sum(len(ids) for documents in reference for ids in documents)
    megabytes = sum(len(text.encode()) for text in unseen) / 1e6
    return {
        "tokenizer": kind,
        "engine": encoder.engine,
        "megabytes": round(megabytes, 1),
        "documents": len(unseen),
        "documents_with_other_ids": other,
        "tokens": tokens,
        "encoder_mtok_per_s": round(tokens / seconds / 1e6, 2),
        "library_mtok_per_s": round(tokens / library_seconds / 1e6, 2),
        "times_faster": round(library_seconds / seconds, 1),
    }


KINDS = ("byte-level (Llama-3 split)", "SentencePiece style, no pre-tokenizer", "Metaspace split (library only)")


def main() -> None:
    parser = argparse.ArgumentParser(description="Encoder against the tokenizers library, one thread.")
    parser.add_argument("--megabytes", type=float, default=12.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    realdata = os.environ.get("MEDTROVE_REALDATA")
    texts = some(real_texts(Path(realdata)) if realdata else invented_texts(), int(options.megabytes * 1e6))
    random.Random(0).shuffle(texts)
    third = len(texts) // 3
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            results.append(compare(kind, texts[:third], texts[third:], Path(folder)))
            print(json.dumps(results[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
