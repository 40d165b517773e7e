"""Memory of one GPU, predicted: what lies there all the time, and what a step adds.

States, bytes by parameter (mixed-precision Adam; Rajbhandari et al., arXiv:1910.02054): weight 2, gradient 2, fp32
master 4, Adam's moments 8, and 2 for the fp32 copy of the gradient made at the step, which takes the place of the
16-bit one: 18. The torch engine adds gradients up in fp32 from the start: 2 + 4 + 4 + 8. DeepSpeed does so where there
is something to add up (`parallel.gradients`), and copies its partition at the step: 2 + 4 + 4 + 8 + 4. ZeRO divides by
the ranks of data parallelism: from stage 1 master, moments and copy, from 2 gradients, from 3 weights. Activations are
those of the Hugging Face implementation with an attention kernel that stores no scores.
"""

from __future__ import annotations

from dataclasses import dataclass

from train.architecture import Architecture
from train.config import RunConfig

QUANTISED_BYTES = {"8bit": 1.0, "4bit": 0.5 + 1 / 64 + 4 / (64 * 256)}
"""By weight of a linear layer. 4 bits: an 8-bit scale for 64, an fp32 one for 256 of those (arXiv:2305.14314)."""
_BUCKET = 500_000_000
"""Elements of DeepSpeed's reduce and all-gather buckets."""
_LIVE = 1_000_000_000
"""Parameters that stage 3 keeps gathered (`stage3_max_live_parameters`)."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one GPU."""

    weights: float
    gradients: float
    master: float
    moments: float
    gradient_copy: float
    activations: float
    logits: float
    buffers: float
    """Of the communication: buckets, gathered layers, ZeRO++'s second partition."""
    host: float = 0.0
    """Not on the GPU: states offloaded by this rank."""

    @property
    def total(self) -> float:
        """All that lies on the GPU."""
        return self.states + self.activations + self.logits + self.buffers

    @property
    def states(self) -> float:
        """What lies there between the steps and at them, without activations and buffers."""
        return self.weights + self.gradients + self.master + self.moments + self.gradient_copy


def trainable_parameters(shape: Architecture, config: RunConfig) -> int:
    """Those that learn: all, or the adapters'."""
    return shape.lora_parameters(config.lora.r, config.lora.targets) if config.lora.r else shape.parameters


def base_bytes(shape: Architecture, config: RunConfig) -> float:
    """Of the weights as the forward pass reads them. A quantised base keeps embeddings and output in 16 bits."""
    each = 4.0 if config.model.dtype == "fp32" else 2.0
    if config.model.quantize == "none":
        return each * shape.parameters
    rest = shape.parameters - shape.linear_parameters
    return QUANTISED_BYTES[config.model.quantize] * shape.linear_parameters + each * rest


def memory(shape: Architecture, config: RunConfig, *, data_parallel: int, micro_rows: int = 0) -> Memory:
    """What one GPU of `data_parallel` ranks holds; `micro_rows` instead of the configuration's, if given."""
    parallel, tensor = config.parallel, config.parallel.tensor_parallel
    rows = micro_rows or config.batch.micro_rows
    deepspeed = parallel.engine == "deepspeed"
    stage = parallel.zero_stage if deepspeed else 0
    by_stage = [1 if stage < least else data_parallel for least in (0, 1, 2, 3)]
    frozen = base_bytes(shape, config) if config.lora.r else 0.0
    learns = trainable_parameters(shape, config) / tensor
    full = config.model.dtype == "fp32" or (bool(config.lora.r) and not deepspeed)
    each = 4.0 if full else 2.0
    # Micro-batches of one step on one rank, as the ranks will share them out, whatever [batch] accumulation says.
    batch = config.batch
    of_rank = batch.rows // data_parallel if batch.rows else batch.micro_rows * batch.accumulation
    added_up = deepspeed and stage > 0 and of_rank > rows and parallel.gradients == "fp32"
    gradient = 4.0 if full or added_up or not deepspeed else 2.0
    # In fp32 DeepSpeed's ZeRO still copies its partition; stage 0 and the torch engine step on the weights themselves.
    master = 4.0 if not full or stage > 0 else 0.0
    states = learns * (master + 8.0) / by_stage[1]
    copy = learns * (0.0 if not deepspeed else 4.0 if gradient == 4.0 and stage > 0 else 2.0) / by_stage[1]
    offloaded = parallel.offload_optimizer
    return Memory(
        weights=(learns * each + frozen / tensor) / by_stage[3],
        gradients=learns * gradient / by_stage[2],
        master=0.0 if offloaded else learns * master / by_stage[1],
        moments=0.0 if offloaded else learns * 8.0 / by_stage[1],
        gradient_copy=0.0 if offloaded else copy,
        activations=activations(shape, config, rows) / (tensor * parallel.sequence_parallel),
        logits=logits(shape, config, rows) / (tensor * parallel.sequence_parallel),
        buffers=_buffers(shape, config, data_parallel),
        host=states + copy if offloaded else 0.0,
    )


def checkpointed(shape: Architecture, tokens: int) -> float:
    """Bytes of the inputs of all layers, 16 bits each: what full recomputation keeps."""
    return 2.0 * shape.layers * shape.hidden * tokens


def layer_bytes(shape: Architecture, config: RunConfig) -> float:
    """Of what one layer keeps for its backward pass, by token, without recomputation.

    Norms compute in fp32 and keep their input so; a frozen matrix keeps no input, each adapter keeps its own, and a
    byte more by element for dropout's mask.
    """
    h, i, keys = shape.hidden, shape.intermediate, shape.kv_heads * shape.head_dim
    queries = shape.heads * shape.head_dim
    attention = 2 * queries * 2 + 2 * keys * 2  # queries, its output; keys, values
    gated = shape.family != "opt"
    if not config.lora.r:
        kept = 2 * 8 * h + attention + (8 if gated else 4) * i
    else:
        inputs = sum(a for a, _ in shape.targeted(config.lora.targets).values())
        kept = 2 * 4 * h + attention + (6 if gated else 2) * i + inputs * (3 if config.lora.dropout else 2)
    return kept * (2.0 if config.model.dtype == "fp32" else 1.0)


def activations(shape: Architecture, config: RunConfig, rows: int) -> float:
    """Bytes kept between forward and backward for `rows` rows, and what one layer's backward pass needs at once."""
    tokens = rows * config.data.sequence_length
    layer = layer_bytes(shape, config) * tokens
    backward = 4.0 * (shape.intermediate + shape.hidden) * tokens
    if config.model.recompute == "full":
        return checkpointed(shape, tokens) + layer + backward
    return shape.layers * layer + backward


def logits(shape: Architecture, config: RunConfig, rows: int) -> float:
    """Bytes of the scores that exist at once: 16-bit, fp32, and the gradient in fp32."""
    tokens = rows * config.data.sequence_length
    return 10.0 * shape.vocabulary * min(tokens, config.model.loss_chunk_tokens or tokens)


def checkpoint_bytes(shape: Architecture, config: RunConfig) -> float:
    """Of one checkpoint: what the engine keeps of every parameter that learns; a frozen base is not in it.

    DeepSpeed: weight 2, fp32 master 4, moments 8; in fp32 the weight has 4, and stage 0 no second copy of it. The torch
    engine's weights are the fp32 ones: 4 and 8.
    """
    deepspeed = config.parallel.engine == "deepspeed"
    full = config.model.dtype == "fp32" or not deepspeed
    master = 4.0 if deepspeed and not (full and config.parallel.zero_stage == 0) else 0.0
    return ((4.0 if full else 2.0) + master + 8.0) * trainable_parameters(shape, config)


def _buffers(shape: Architecture, config: RunConfig, data_parallel: int) -> float:
    parallel = config.parallel
    if parallel.engine != "deepspeed" or data_parallel == 1 or parallel.zero_stage == 0:
        return 0.0
    learns = trainable_parameters(shape, config) / parallel.tensor_parallel
    bucket = 2.0 * min(_BUCKET, learns) * (2 if parallel.overlap_comm else 1)
    if parallel.zero_stage < 3:
        return bucket + 2.0 * min(_BUCKET, learns)
    whole = base_bytes(shape, config)
    return bucket + min(2.0 * _LIVE, whole) + (whole / parallel.hpz if parallel.hpz > 1 else 0.0)
