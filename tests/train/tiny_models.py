"""Tiny random models of the families the trainer promises, and batches of several documents for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.config import RunConfig, parse_config
from train.data import IGNORED, Batch

VOCABULARY = 128
LENGTH = 32
_COMMON = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
}
_LAYERS = ["sliding_attention", "full_attention"]
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": _COMMON | {"model_type": "llama", "tie_word_embeddings": True},
    "mistral": _COMMON | {"model_type": "mistral", "sliding_window": 4},
    "qwen2": _COMMON | {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 4, "layer_types": _LAYERS},
    "qwen3": _COMMON | {"model_type": "qwen3", "layer_types": ["full_attention", "full_attention"]},
    "gemma": _COMMON | {"model_type": "gemma"},
    "gemma2": _COMMON
    | {
        "model_type": "gemma2",
        "sliding_window": 4,
        "layer_types": _LAYERS,
        "query_pre_attn_scalar": 8,
        "attn_logit_softcapping": 2.0,
        "final_logit_softcapping": 3.0,
    },
    "gemma3": _COMMON
    | {"model_type": "gemma3_text", "sliding_window": 4, "layer_types": _LAYERS, "query_pre_attn_scalar": 8},
    "opt": {
        "model_type": "opt",
        "hidden_size": 32,
        "word_embed_proj_dim": 16,
        "ffn_dim": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "dropout": 0.1,
        "init_std": 0.2,
    },
}


def tiny_config(
    folder: Path, family: str = "llama", *, shape: dict[str, Any] | None = None, **sections: Any
) -> RunConfig:
    """A configuration of this family's architecture: fp32 on the torch engine unless the sections say otherwise."""
    path = folder / f"{family}.json"
    path.write_text(json.dumps(FAMILIES[family] | (shape or {})), encoding="utf-8")
    table: dict[str, Any] = {
        "name": "tiny",
        "description": "a test",
        "model": {"architecture": str(path), "dtype": "fp32"},
        "data": {"sequence_length": LENGTH},
        "optim": {"lr": 1e-3},
        "parallel": {"engine": "torch"},
    }
    for name, section in sections.items():
        table[name] = table.get(name, {}) | section
    if table["model"].get("base"):
        del table["model"]["architecture"]
    return parse_config(table, where="test")


def tiny_model(config: RunConfig, **options: Any) -> Any:
    """The model of `tiny_config`."""
    from train.model import build_model

    return build_model(config, vocabulary=VOCABULARY, bos_id=0, eos_id=1, pad_id=1, **options)


def tiny_batch(rows: Sequence[Sequence[int]], *, seed: int = 0, length: int = LENGTH) -> Batch:
    """Rows of random documents of the given lengths, the rest padding; row i is of source i modulo 3."""
    random = np.random.default_rng(seed)
    ids = np.ones((len(rows), length), dtype=np.int64)
    labels = np.full_like(ids, IGNORED)
    positions, segments = np.zeros_like(ids), np.zeros_like(ids)
    for row, lengths in enumerate(rows):
        begin = 0
        for number, n in enumerate(lengths, start=1):
            ids[row, begin : begin + n] = random.integers(2, VOCABULARY, n)
            labels[row, begin : begin + n - 1] = ids[row, begin + 1 : begin + n]
            positions[row, begin : begin + n] = np.arange(n)
            segments[row, begin : begin + n] = number
            begin += n
        positions[row, begin:] = np.arange(length - begin)
    return Batch(
        input_ids=ids,
        labels=labels,
        position_ids=positions,
        segment_ids=segments,
        source=np.arange(len(rows)) % 3,
        tokens=(segments > 0).sum(1),
        row=np.arange(len(rows)),
        rows_consumed=len(rows),
    )
