"""Training of a relevance classifier: the same texts and seed give the same file.

fastText starts from uninitialised memory unless the allocator fills it, and its threads race; so training runs in a
process of its own with MALLOC_PERTURB_=255 (glibc then fills what it hands out) and one thread.

    python -m filters.relevance_training POSITIVES NEGATIVES OUT [SEED]

trains from two files of one text a line, in fastText's terms `medical` against `general`.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from filters.relevance import MEDICAL, features
from manifests.errors import BuildError

CHUNK_WORDS = 150
"""Words of one training example: about an abstract."""

_PROGRAM = """
import sys
import fasttext
data, out, seed = sys.argv[1:]
model = fasttext.train_supervised(
    input=data, lr=0.3, dim=16, epoch=8, wordNgrams=1, bucket=0, minCount=5, loss="softmax", thread=1, seed=int(seed),
    verbose=0
)
if len(model.words) >= 256:  # a codebook has as many entries
    model.quantize(input=data, cutoff=20000, retrain=False, qnorm=True, thread=1, verbose=0)
model.save_model(out)
"""


def _examples(texts: Iterable[str], label: str) -> list[str]:
    examples = []
    for text in texts:
        words = features(text, limit=None).split()
        for start in range(0, len(words), CHUNK_WORDS):
            chunk = words[start : start + CHUNK_WORDS]
            if len(chunk) >= 8:
                examples.append(f"{label} {' '.join(chunk)}\n")
    return examples


def train(positives: Iterable[str], negatives: Iterable[str], out: Path, *, seed: int = 7) -> None:
    """Train a classifier of `positives` against `negatives` and write it to `out` (`.ftz`: quantised).

    The larger side is cut to the size of the smaller, so that the score 0.5 is the border.
    """
    sides = [_examples(positives, MEDICAL), _examples(negatives, "__label__general")]
    chance = random.Random(seed)
    smaller = min(map(len, sides))
    rows = [row for side in sides for row in chance.sample(side, smaller)]
    chance.shuffle(rows)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "examples.txt"
        data.write_text("".join(rows), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(data), str(out), str(seed)],
            env={**os.environ, "MALLOC_PERTURB_": "255"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise BuildError(
            f"fastText training failed: {last[0]}",
            why=f"It had {smaller} examples of each kind.",
            fix="Give more text of both kinds; a word must occur five times to count.",
        )


def main(arguments: list[str]) -> None:
    """The command line of this module."""
    positives, negatives, out = map(Path, arguments[:3])
    seed = int(arguments[3]) if len(arguments) > 3 else 7
    lines = [path.read_text(encoding="utf-8").splitlines() for path in (positives, negatives)]
    train(lines[0], lines[1], out, seed=seed)


if __name__ == "__main__":
    main(sys.argv[1:])
