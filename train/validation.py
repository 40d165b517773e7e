"""Loss on the rows held out when the corpus was built, by source."""

from __future__ import annotations

import math
from typing import Any

from manifests.subsources import parent
from mixing.reader import Shards
from train.config import RunConfig
from train.data import batches
from train.engine import Engine


def validate(engine: Engine, held_out: Shards, config: RunConfig, shares: dict[str, int]) -> dict[str, Any]:
    """Mean loss by source, over all tokens, and weighted as the training mixture is; collective.

    `shares`: training tokens by source. A source without held-out tokens has no part in the weighted mean.
    """
    sums = engine.evaluate(
        batches(
            held_out,
            rows_per_batch=config.batch.micro_rows,
            rank=engine.rank,
            world_size=engine.world,
        )
    )
    # Score buckets are sources of their own in training and one in what is held out, so the engine counts more.
    parts = zip(held_out.sources, sums.by_source, sums.tokens_by_source, strict=False)
    by_source = {name: total / n for name, total, n in parts if n}
    weight = dict.fromkeys(by_source, 0)
    for name, tokens in shares.items():
        if parent(name) in weight:
            weight[parent(name)] += tokens
    total = sum(weight.values())
    mixture = sum(by_source[name] * weight[name] for name in by_source) / total if total else math.nan
    return {"loss": sums.loss, "mixture": mixture, "by_source": by_source, "tokens": sums.tokens}
