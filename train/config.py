"""A run's configuration: one complete TOML file, checked before anything is loaded.

A preset (`train/presets/*.toml`) is such a file; `--set optim.lr=1e-5` overrides single keys. What a run really used is
written to its folder as `config.toml`, defaults and overrides resolved, and a resumed run is compared with it.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, Field, ValidationError

from manifests.closed_table import CLOSED, sentence
from manifests.errors import RecipeError


class Section(BaseModel):
    """A table of the configuration; closed."""

    model_config = CLOSED


class ModelSection(Section):
    """`[model]`: what is trained; exactly one of `base` and `architecture`."""

    base: str = ""
    """Folder of a Hugging Face checkpoint, or its name on a hub."""
    architecture: str = ""
    """A `config.json` to start from random weights: a path, or `package://train/presets/tiny-llama.json`."""
    revision: str = ""
    """Commit of the base on its hub; empty: what is in the cache or newest."""
    licence: str = ""
    """Licence of the base weights, for the model card: `llama2`, `apache-2.0`, ..."""
    dtype: Literal["bf16", "fp16", "fp32"] = "bf16"
    """Of weights in the forward pass; optimizer and master weights are fp32 always."""
    attention: Literal["auto", "varlen", "flex", "sdpa", "eager"] = "auto"
    """`auto`: varlen on a GPU that has it, else sdpa. Documents of a row never see each other, whichever."""
    recompute: Literal["none", "full"] = "none"
    """Activation checkpointing of every decoder layer."""
    loss_chunk_tokens: int = Field(4096, ge=0)
    """Tokens whose logits exist at the same time; 0: those of the whole batch."""
    compile: bool = False
    """torch.compile of each decoder layer; ZeRO stage 0 and 1 only."""
    quantize: Literal["none", "8bit", "4bit"] = "none"
    """Of a frozen base under LoRA (bitsandbytes); ZeRO stages 0 to 2."""
    tf32: bool = False
    """Products of fp32 matrices in TensorFloat-32, on GPUs that have it (Ampere and newer)."""


class DataSection(Section):
    """`[data]`: which shards, in which order."""

    shards: str = "latest"
    """A build folder, a folder of shards, or `latest` below ./build."""
    sequence_length: int = Field(ge=1)
    """Of the shards; others are refused. Whether the seed published it stands in `[published]`."""
    recipe: str = ""
    """The recipe whose build this is meant for: where there are no shards yet, `plan` takes its expected tokens."""
    epochs: int = Field(1, ge=1)
    seed: int = 0
    """Of the order of epochs after the first, which is the order of the files."""


class BatchSection(Section):
    """`[batch]`: rows of a step = ranks of data parallelism x `micro_rows` x `accumulation`."""

    micro_rows: int = Field(1, ge=1)
    """Rows of one forward pass of one rank."""
    accumulation: int = Field(1, ge=1)
    rows: int = Field(0, ge=0)
    """Rows of a step, fixed for the run; 0: from the above and the ranks it starts with."""


class OptimSection(Section):
    """`[optim]`: AdamW (Loshchilov and Hutter, arXiv:1711.05101), no decay on norms and biases."""

    lr: float = Field(gt=0)
    min_lr: float = Field(0.0, ge=0)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.95, ge=0, lt=1)
    eps: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    clip: float = Field(1.0, ge=0)
    """Greatest norm of the gradient; 0: none."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Over rows consumed, so that another batch size keeps the curve."""
    warmup: float = Field(0.05, ge=0, lt=1)
    """Fraction of the run's rows."""
    warmup_steps: int = Field(0, ge=0)
    """Steps instead of a fraction, if not 0."""
    spike_factor: float = Field(0.0, ge=0)
    """A step whose gradient norm exceeds this many times its running mean is left out and logged; 0: never.
    A step that is not finite always is."""


class ParallelSection(Section):
    """`[parallel]`: engine and how it shares the work."""

    engine: Literal["deepspeed", "torch"] = "deepspeed"
    zero_stage: Literal[0, 1, 2, 3] = 1
    tensor_parallel: int = Field(1, ge=1)
    sequence_parallel: int = Field(1, ge=1)
    offload_optimizer: bool = False
    gradients: Literal["fp32", "model"] = "fp32"
    """Where micro-batches are added up: in fp32, or in the model's dtype, which saves 2 bytes a parameter (ZeRO 1 keeps
    them whole on every rank) and loses small gradients. Stage 0 of DeepSpeed knows only the model's."""
    overlap_comm: bool = False
    """Off: with ZeRO 2 it has changed gradient norms (DeepSpeed#4298, #5294, #7188)."""
    hpz: int = Field(1, ge=1)
    """ZeRO++ secondary partition, GPUs of a node; stage 3 only."""


class LoraSection(Section):
    """`[lora]`: adapters on a frozen base (Hu et al., arXiv:2106.09685)."""

    r: int = Field(0, ge=0)
    """Rank; 0: all weights are trained."""
    alpha: float = Field(16.0, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: list[str] = ["all-linear"]
    """Names of modules, or `all-linear`: every linear layer but the output."""


class SftSection(Section):
    """`[sft]`: learning from conversations."""

    template: str = ""
    """One of `mixing.template.TEMPLATES`; the shards' own where they name one."""
    data: str = ""
    """A JSON or JSONL file of instruction, input, output, instead of shards."""
    max_length: int = Field(0, ge=0)
    """Most tokens of a conversation; 0: the sequence length."""
    validation_fraction: float = Field(0.0, ge=0, lt=0.5)
    loss: Literal["token", "conversation"] = "token"
    """What counts the same: every learned token, or every conversation."""
    tokenizer: str = ""
    """A tokenizer.json, or its folder; empty: the base's own."""
    added_tokens: list[int] = []
    """Ids that the base never saw; found by `medtrove sft`, which writes them here: their rows begin as the mean of
    the others, and are trained under LoRA too."""


class RunSection(Section):
    """`[run]`: where it writes, when it saves, what it reports."""

    out: str = "runs"
    id: str = ""
    """Folder below `out`; empty: the preset's name and the shards' fingerprint, so that a rerun finds itself."""
    seed: int = 17
    save_minutes: float = Field(60.0, ge=0)
    save_steps: int = Field(0, ge=0)
    """Also after so many steps; 0: by the clock alone. The end of a run is always saved."""
    keep: int = Field(2, ge=1)
    """Newest checkpoints kept."""
    keep_every_steps: int = Field(0, ge=0)
    """Those at multiples of it stay for good; 0: none."""
    validate_every_tokens: int = Field(0, ge=0)
    """0: at the start and the end alone."""
    stop_at_tokens: int = Field(0, ge=0)
    """End early, saved and resumable, once so many were consumed; 0: the end of the data."""
    log_every_steps: int = Field(1, ge=1)
    tensorboard: bool = False
    wandb_project: str = ""
    generate: str = ""
    """A prompt to continue at the end, shown and stored with the run."""
    generate_tokens: int = Field(48, ge=1)


class ClusterSection(Section):
    """`[cluster]`: for `plan` and the sbatch file; nothing of a site is written in code."""

    kind: Literal["local", "slurm"] = "local"
    nodes: int = Field(1, ge=1)
    gpus_per_node: int = Field(0, ge=0)
    """0: CPU ranks."""
    ranks_per_node: int = Field(0, ge=0)
    """0: one per GPU, or one."""
    gpu: str = ""
    """A name of `train.hardware`: `a100-80`, `h100-80`, `h200-141`."""
    node_gigabytes_per_second: float = Field(0.0, ge=0)
    """Network of one node, all its cards together; 0: the usual of the GPU's kind."""
    time: str = "2-00:00:00"
    account: str = ""
    partition: str = ""
    qos: str = ""
    cpus_per_task: int = Field(0, ge=0)
    memory: str = "0"
    modules: list[str] = []
    setup: list[str] = []
    """Lines of shell before the start, such as the activation of an environment."""
    gpu_request: str = ""
    """The site's way to ask for GPUs, `--gpus=a100:8`; empty: `--gpus-per-node`."""
    repeats: int = Field(10, ge=1)
    """Jobs of the array that continue each other."""


class PublishedSection(Section):
    """`[published]`: what of this file the seed project published, and what is ours."""

    source: str = ""
    """Paper or repository."""
    sequence_length: bool = False
    """True: the seed published it; false: our choice."""
    layout: list[int] = []
    """Tensor, pipeline and data parallelism as published, for the Megatron launch file."""
    ours: list[str] = []
    """Keys that nobody published, with their reason in a comment of the file."""


class RunConfig(Section):
    """A whole configuration."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    description: str
    model: ModelSection
    data: DataSection
    batch: BatchSection = BatchSection()  # type: ignore[call-arg]  # every field has a default
    optim: OptimSection
    parallel: ParallelSection = ParallelSection()  # type: ignore[call-arg]
    lora: LoraSection = LoraSection()  # type: ignore[call-arg]
    sft: SftSection = SftSection()  # type: ignore[call-arg]
    run: RunSection = RunSection()  # type: ignore[call-arg]
    cluster: ClusterSection = ClusterSection()  # type: ignore[call-arg]
    published: PublishedSection = PublishedSection()


def presets() -> list[str]:
    """Names of the configurations that come with medtrove."""
    folder = resources.files("train") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_config(name: str, overrides: Sequence[str] = ()) -> RunConfig:
    """The checked configuration of a preset's name or a TOML path, with `section.key=value` overrides (TOML values)."""
    path = _path(name)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"not valid TOML: {error}.", where=str(path), fix="Correct the line it names.") from None
    for override in overrides:
        _set(table, override)
    return parse_config(table, where=str(path))


def parse_config(table: Mapping[str, Any], *, where: str) -> RunConfig:
    """The checked configuration of a parsed table; `where` stands in messages."""
    from train.combinations import check_combinations

    try:
        config = RunConfig.model_validate(table)
    except ValidationError as error:
        raise RecipeError(
            sentence(error, RunConfig), where=where, fix="Correct the file, or the key given with --set."
        ) from None
    check_combinations(config, where)
    return config


def dump_config(config: RunConfig) -> str:
    """The configuration as TOML, every value written out."""
    return tomli_w.dumps(config.model_dump(mode="json"))


def _path(name: str) -> Path:
    if name.endswith(".toml"):
        if Path(name).is_file():
            return Path(name)
        raise RecipeError("no such configuration file.", where=name, fix="Give the path of a TOML file, or a preset.")
    path = Path(str(resources.files("train"))) / "presets" / f"{name}.toml"
    if path.is_file():
        return path
    near = difflib.get_close_matches(name, presets(), n=1)
    raise RecipeError(
        f"no preset called {name!r}.",
        why=f"Shipped are {', '.join(presets())}.",
        fix=f"Did you mean {near[0]!r}?" if near else "Give one of these, or the path of a TOML file.",
    )


def _set(table: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        raise RecipeError(f"{override!r} is no override.", where="--set", fix="Write section.key=value.")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value  # a bare word is the string it spells
    *sections, last = key.strip().split(".")
    here = table
    for part in sections:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            raise RecipeError(f"{part!r} of {key!r} is no section.", where="--set", fix="Write section.key=value.")
    here[last] = parsed
