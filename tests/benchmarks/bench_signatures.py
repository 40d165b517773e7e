"""MinHash signatures: dedup.signatures.Signer against datatrove's MinhashDedupSignature, one thread.

    python tests/benchmarks/bench_signatures.py [--megabytes 3] [--peer-megabytes 3] [--json FILE]

Text: abstracts and articles of the real-data pack named by MEDTROVE_REALDATA; without it, invented sentences (whose
few words flatter us). Times are CPU seconds of one pass in the same process over the same documents, shuffled: `first`
meets every word for the first time, `again` has met them. datatrove writes its files to a temporary folder, as it
always does; ours hashes the numbers as well, which datatrove folds to 0. Where the installed xxhash refuses strings
(4.0 on), the peer is given one that takes them.
"""

from __future__ import annotations

import argparse
import gzip
import html
import json
import logging
import os
import random
import re
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("LOGURU_LEVEL", "WARNING")

import xxhash
from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashDedupSignature

from dedup.signatures import MinHashConfig, Signer
from filters.numbers import numbers
from filters.words import Words

TAG = re.compile(r"<[^>]+>")


def real_texts(folder: Path) -> Iterator[str]:
    with tarfile.open(folder / "jats" / "jats_ccby.tar.xz") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None and member.name.endswith(("xml", "nxml")):
                paragraphs = re.findall(r"<p\b[^>]*>(.*?)</p>", stream.read().decode("utf-8", "replace"), re.DOTALL)
                yield "\n\n".join(html.unescape(TAG.sub("", paragraph)) for paragraph in paragraphs)
    for name in sorted(folder.glob("pubmed/*.xml.gz"), reverse=True):
        with gzip.open(name, "rt", encoding="utf-8") as stream:
            for found in re.finditer(r"<AbstractText[^>]*>(.*?)</AbstractText>", stream.read(), re.DOTALL):
                yield html.unescape(TAG.sub("", found[1]))


def invented_texts() -> Iterator[str]:
    chance = random.Random(1)
    syllables = [a + b for a in "bcdfglmnprstv" for b in ("a", "en", "io", "or", "um", "ic")]
    words = ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(20_000)]
    while True:
        yield " ".join(chance.choices(words, k=200)) + f" {chance.randint(1, 999)} mg."


def collected(texts: Iterator[str], megabytes: float) -> list[str]:
    """Documents of at least 50 characters, half of the bytes from long ones, half from short ones where both are."""
    budget = {True: megabytes * 5e5, False: megabytes * 5e5}
    found = []
    for text in texts:
        long = len(text) > 5000
        if len(text) >= 50 and budget[long] > 0:
            budget[long] -= len(text.encode())
            found.append(text)
        if budget[False] <= 0 and (budget[True] <= 0 or len(found) > megabytes * 2000):
            break
    random.Random(7).shuffle(found)
    return found


def seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def peer_seconds(texts: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        step = MinhashDedupSignature(folder)
        step._hash_func = lambda text: xxhash.xxh64_intdigest(text.encode())
        step.get_shingles("load what loads at first use")
        documents = [Document(text=text, id=str(at)) for at, text in enumerate(texts)]
        return seconds(lambda: step.run(iter(documents)))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--megabytes", type=float, default=3)
    options.add_argument("--peer-megabytes", type=float, default=3)
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    logging.disable(logging.INFO)
    pack = os.environ.get("MEDTROVE_REALDATA")
    texts = collected(real_texts(Path(pack)) if pack else invented_texts(), chosen.megabytes)
    size = sum(len(text.encode()) for text in texts) / 1e6
    # The signer remembers every chunk itself: a second memory in `Words` would only cost time.
    signer = Signer(MinHashConfig(), Words(capacity=0).simple, numbers)
    signer.sign("load what loads at first use")
    first = seconds(lambda: signer.sign_many(texts))
    again = seconds(lambda: signer.sign_many(texts))
    singly = seconds(lambda: [signer.sign(text) for text in texts])
    shown = max(1, round(len(texts) * min(1, chosen.peer_megabytes / size)))
    peer_size = sum(len(text.encode()) for text in texts[:shown]) / 1e6
    peer = peer_size / peer_seconds(texts[:shown])
    results = {
        "documents": len(texts),
        "megabytes": round(size, 2),
        "datatrove_mb_per_second": round(peer, 3),
        "first_mb_per_second": round(size / first, 2),
        "again_mb_per_second": round(size / again, 2),
        "again_one_by_one_mb_per_second": round(size / singly, 2),
        "first_times_datatrove": round(size / first / peer, 1),
        "again_times_datatrove": round(size / again / peer, 1),
    }
    text = json.dumps(results, indent=2)
    print(text)
    if chosen.json:
        chosen.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
