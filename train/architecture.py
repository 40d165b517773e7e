"""The shape of a model, and its parameters counted exactly, from a `config.json` alone: no torch, no weights.

Families known: Llama, Mistral, Qwen2, Qwen3, Gemma (1, 2, 3 text) and OPT. Others are refused by name: an estimate of
memory from a wrong count is worse than none.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manifests.errors import RecipeError

if TYPE_CHECKING:
    from train.config import RunConfig

_PACKAGE = "package://"
_TIED = {"gemma", "gemma2", "gemma3_text", "opt"}
"""Families whose output layer is the embedding unless their config says otherwise."""
_NORMS = {"gemma2": 4, "gemma3_text": 4}
"""Norms of a layer, where not two."""
_FAMILIES = {"llama", "mistral", "qwen2", "qwen3", *_TIED}

KNOWN = {
    "meta-llama/llama-2-7b": "llama-2-7b",
    "huggyllama/llama-7b": "llama-2-7b",  # LLaMA 1: the same matrices
    "meta-llama/llama-2-13b": "llama-2-13b",
    "meta-llama/llama-2-70b": "llama-2-70b",
    "meta-llama/meta-llama-3-8b": "llama-3-8b",
    "meta-llama/llama-3.1-8b": "llama-3-8b",
    "meta-llama/llama-3.2-1b": "llama-3.2-1b",
    "meta-llama/llama-3.2-3b": "llama-3.2-3b",
}
"""Checkpoints whose shape comes with medtrove, so that a plan needs no download; `-hf`, `-chat` and `-instruct` too."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of a decoder-only transformer."""

    family: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    positions: int = 0
    """Learned position embeddings (OPT)."""
    attention_bias: bool = False
    """On queries, keys and values."""
    output_bias: bool = False
    mlp_bias: bool = False
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """The linear layers of one decoder layer: inputs and outputs by the name peft targets."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        h, i = self.hidden, self.intermediate
        if self.family == "opt":
            return {
                **{name: (h, h) for name in ("q_proj", "k_proj", "v_proj", "out_proj")},
                "fc1": (h, i),
                "fc2": (i, h),
            }
        return {
            "q_proj": (h, queries),
            "k_proj": (h, keys),
            "v_proj": (h, keys),
            "o_proj": (queries, h),
            "gate_proj": (h, i),
            "up_proj": (h, i),
            "down_proj": (i, h),
        }

    @property
    def linear_parameters(self) -> int:
        """Of the matrices of all decoder layers: what a quantised base holds in 8 or 4 bits."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.linears.values())

    @property
    def embedding_parameters(self) -> int:
        """Of the token embedding; the output layer has as many again unless it is tied."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All of them, tied ones once."""
        outputs = {name: out for name, (_, out) in self.linears.items()}
        per_layer = _NORMS.get(self.family, 2) * self.hidden * (2 if self.family == "opt" else 1)
        if self.family in ("qwen3", "gemma3_text"):
            per_layer += 2 * self.head_dim  # norms of queries and keys
        if self.attention_bias:
            per_layer += outputs["q_proj"] + outputs["k_proj"] + outputs["v_proj"]
        if self.output_bias:
            per_layer += self.hidden
        if self.mlp_bias:
            per_layer += sum(out for name, out in outputs.items() if name in _MLP)
        final = self.hidden * (2 if self.family == "opt" else 1)
        embeddings = self.embedding_parameters * (1 if self.tied else 2) + self.positions * self.hidden
        return self.linear_parameters + self.layers * per_layer + final + embeddings

    @property
    def matmul_parameters(self) -> int:
        """Those multiplied with every token: all but embeddings that are only looked up."""
        looked_up = 0 if self.tied else self.embedding_parameters
        return self.parameters - looked_up - self.positions * self.hidden

    def lora_parameters(self, rank: int, targets: list[str]) -> int:
        """Of adapters of this rank: `rank` x (inputs + outputs) of every target (arXiv:2106.09685, section 4.1)."""
        return self.layers * sum(rank * (a + b) for a, b in self.targeted(targets).values())

    def targeted(self, targets: list[str]) -> dict[str, tuple[int, int]]:
        """The linear layers that `[lora] targets` name; RecipeError for one that is not there."""
        if "all-linear" in targets:
            return self.linears
        for name in targets:
            if name not in self.linears:
                raise RecipeError(
                    f"[lora] targets name {name!r}, which {self.family} has not.",
                    why=f"Its linear layers are {', '.join(self.linears)}.",
                    fix="Name some of these, or all-linear.",
                )
        return {name: self.linears[name] for name in targets}


_MLP = {"gate_proj", "up_proj", "down_proj", "fc1", "fc2"}


def from_config_json(table: dict[str, Any], *, where: str, vocabulary: int = 0) -> Architecture:
    """The shape a `config.json` describes; `vocabulary` (of the shards) where the file has none."""
    family = str(table.get("model_type", ""))
    if family not in _FAMILIES:
        raise RecipeError(
            f"model_type {family!r} is not one whose parameters are counted here.",
            where=where,
            why="Memory and speed would be guesses.",
            fix=f"Known are {', '.join(sorted(_FAMILIES))}. Training may still work without a plan.",
        )
    opt = family == "opt"
    biased = bool(table.get("enable_bias", True)) if opt else bool(table.get("attention_bias"))
    hidden, heads = int(table["hidden_size"]), int(table["num_attention_heads"])
    if opt and int(table.get("word_embed_proj_dim", hidden)) != hidden:
        raise RecipeError(
            "this OPT projects its embeddings (word_embed_proj_dim is not hidden_size).",
            where=where,
            why="Only opt-350m does; its parameters are not counted here.",
            fix="Take another size.",
        )
    words = int(table.get("vocab_size") or vocabulary)
    if not words:
        raise RecipeError(
            "the architecture has no vocab_size.",
            where=where,
            why="It takes that of the shards, and none were found.",
            fix="Build the corpus first, or add vocab_size to the file.",
        )
    return Architecture(
        family=family,
        layers=int(table["num_hidden_layers"]),
        hidden=hidden,
        intermediate=int(table["ffn_dim"] if opt else table["intermediate_size"]),
        heads=heads,
        kv_heads=heads if opt else int(table.get("num_key_value_heads") or heads),
        head_dim=int(table.get("head_dim") or (256 if family.startswith("gemma") else hidden // heads)),
        vocabulary=words,
        tied=bool(table.get("tie_word_embeddings", family in _TIED)),
        positions=int(table.get("max_position_embeddings", 2048)) + 2 if opt else 0,
        attention_bias=biased or family == "qwen2",
        output_bias=biased and family != "qwen2",
        mlp_bias=biased if opt else bool(table.get("mlp_bias")),
        rope_theta=float(table.get("rope_theta") or 10000.0),
        norm_eps=float(table.get("rms_norm_eps") or table.get("layer_norm_eps") or 1e-5),
    )


def architecture_of(config: RunConfig, *, vocabulary: int = 0) -> Architecture:
    """The shape of what a configuration trains; nothing is downloaded.

    For a base: the `config.json` of its folder, of medtrove for well-known ones, or of the Hugging Face cache.
    """
    model = config.model
    if model.architecture:
        shape = _read(model.architecture, vocabulary)
        return replace(shape, vocabulary=vocabulary) if vocabulary else shape
    folder = Path(model.base) / "config.json"
    if folder.is_file():
        return _read(str(folder), 0)
    plain = model.base.lower()
    for ending in ("-hf", "-chat", "-instruct"):
        plain = plain.replace(ending, "")
    if plain in KNOWN:
        return _read(f"{_PACKAGE}train/presets/{KNOWN[plain]}.json", 0)
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cached = home / "hub" / f"models--{model.base.replace('/', '--')}" / "snapshots"
    for found in sorted(cached.glob("*/config.json")):
        return _read(str(found), 0)
    raise RecipeError(
        f"the shape of {model.base!r} is not known here.",
        where="[model] base",
        why="Nothing is downloaded to make a plan.",
        fix="Give the folder of a checkpoint, or fetch its config.json first: `hf download NAME config.json`.",
    )


def _read(path: str, vocabulary: int) -> Architecture:
    if path.startswith(_PACKAGE):
        package, _, rest = path.removeprefix(_PACKAGE).partition("/")
        source = resources.files(package) / rest
        if not source.is_file():
            raise RecipeError("no such architecture file.", where=path, fix="Give the path of a config.json.")
        text = source.read_text(encoding="utf-8")
    elif Path(path).is_file():
        text = Path(path).read_text(encoding="utf-8")
    else:
        raise RecipeError("no such architecture file.", where=path, fix="Give the path of a config.json.")
    try:
        return from_config_json(json.loads(text), where=path, vocabulary=vocabulary)
    except (KeyError, ValueError, TypeError) as error:
        raise RecipeError(
            f"not a config.json of a language model: {error!r}.", where=path, fix="Give the file of a checkpoint."
        ) from None
