"""The launch file for Megatron-LM beside exported `.bin/.idx`: a preset's recipe in the layout its seed published.

Three-way parallelism (tensor x pipeline x data) is Megatron's, not DeepSpeed's. The script is for `pretrain_gpt.py` of
Megatron-LM with Megatron Core; the base goes through its `tools/checkpoint/convert.py` first. Megatron takes whole
batches of whole sequences: what does not fill the last one is left out there, and documents of a sequence see each
other unless its slow masks are switched on. Both are said in the script.
"""

from __future__ import annotations

import shlex
from typing import Any

from manifests.errors import RecipeError
from train.architecture import Architecture
from train.config import RunConfig

LAUNCH = "launch.sh"


def launch_text(config: RunConfig, shape: Architecture, index: dict[str, Any], *, by_source: bool) -> str:
    """The script for the shards of this `index.json`; RecipeError where the preset has no published layout."""
    if not config.published.layout:
        raise RecipeError(
            f"the preset {config.name} has no layout for Megatron.",
            where="[published] layout",
            why="Tensor, pipeline and data parallelism of a seed's run stand there.",
            fix="Take meditron-70b or meditron-7b, or a copy of a preset with layout = [8, 8, 2].",
        )
    if shape.family not in ("llama", "mistral"):
        raise RecipeError(
            f"no launch file is written for {shape.family}.",
            where="[model]",
            why="Its layers need other switches of Megatron than a Llama's.",
            fix="Write your own; the .bin and .idx do not depend on it.",
        )
    tensor, pipeline, data = config.published.layout
    rows = config.batch.rows
    micro = max(n for n in range(1, config.batch.micro_rows + 1) if (rows // data) % n == 0)
    if rows % data or shape.layers % pipeline or shape.kv_heads % tensor:
        raise RecipeError(
            f"layout {config.published.layout} does not divide {rows} rows, {shape.layers} layers and "
            f"{shape.kv_heads} key heads.",
            where="[published] layout",
            fix="Take divisors.",
        )
    steps = (int(index["totals"]["tokens"]) - 1) // config.data.sequence_length // rows * config.data.epochs
    optim = config.optim
    warmup = optim.warmup_steps or round(optim.warmup * steps)
    split = str(index.get("split", "mix"))
    source = '--data-args-path "$HERE/data-args.txt"' if by_source else f'--data-path "$HERE"/{shlex.quote(split)}'
    groups = [
        f"--tensor-model-parallel-size {tensor} --pipeline-model-parallel-size {pipeline}"
        + (" --sequence-parallel" if tensor > 1 else "")
        + " --use-distributed-optimizer",
        f"--num-layers {shape.layers} --hidden-size {shape.hidden} --ffn-hidden-size {shape.intermediate}",
        f"--num-attention-heads {shape.heads} --kv-channels {shape.head_dim}"
        + (f" --group-query-attention --num-query-groups {shape.kv_heads}" if shape.kv_heads < shape.heads else ""),
        f"--position-embedding-type rope --rotary-base {shape.rope_theta:.0f} --normalization RMSNorm "
        f"--norm-epsilon {shape.norm_eps:g}",
        "--swiglu --disable-bias-linear"
        + ("" if shape.tied else " --untie-embeddings-and-output-weights")
        + " --attention-dropout 0 --hidden-dropout 0",
        f"--seq-length {config.data.sequence_length} --max-position-embeddings {config.data.sequence_length}",
        f"--micro-batch-size {micro} --global-batch-size {rows} --train-iters {steps}",
        f"--lr {optim.lr:g} --min-lr {optim.min_lr:g} --lr-decay-style {optim.schedule} --lr-warmup-iters {warmup}",
        f"--optimizer adam --adam-beta1 {optim.beta1:g} --adam-beta2 {optim.beta2:g} --adam-eps {optim.eps:g} "
        f"--weight-decay {optim.weight_decay:g} --clip-grad {optim.clip:g}",
        "--bf16 --use-flash-attn --recompute-activations --transformer-impl transformer_engine",
        f'{source} --split 100,0,0 --tokenizer-type HuggingFaceTokenizer --tokenizer-model "$TOKENIZER"',
        f"--make-vocab-size-divisible-by 1 --seed {config.run.seed}",
        '--load "$LOAD" --save "$SAVE" --save-interval 500 --log-interval 10 --eval-iters 0 --log-throughput',
    ]
    return _SCRIPT.format(
        name=config.name,
        seed=config.published.source,
        layout=f"TP {tensor} x PP {pipeline} x DP {data}",
        world=tensor * pipeline * data,
        arguments=" \\\n  ".join(groups),
    )


_SCRIPT = r"""#!/bin/bash
# {name} in Megatron-LM as {seed} published it: {layout} = {world} GPUs. Run on every node, by srun or alike.
# What does not fill the last batch is left out. Documents of a sequence see each other, as in the seed's run; add
# --reset-position-ids --reset-attention-mask to part them, at the price of dense masks.
#
#   MEGATRON    a checkout of Megatron-LM        TOKENIZER  the tokenizer's folder, that of the shards
#   LOAD        the converted base               SAVE       where checkpoints go
#   MASTER_ADDR, MASTER_PORT, NODES, NODE_RANK, GPUS of a node
set -euo pipefail
: "${{MEGATRON:?}}" "${{TOKENIZER:?}}" "${{LOAD:?}}" "${{SAVE:?}}" "${{MASTER_ADDR:?}}"
HERE=$(cd "$(dirname "${{BASH_SOURCE[0]}}")" && pwd)
NODES=${{NODES:-${{SLURM_NNODES:-1}}}} NODE_RANK=${{NODE_RANK:-${{SLURM_NODEID:-0}}}} GPUS=${{GPUS:-8}}
if [ $((NODES * GPUS)) != {world} ]; then
  echo "{layout} needs {world} GPUs; $NODES nodes of $GPUS are $((NODES * GPUS))" >&2
  exit 2
fi
# A start from the converted base has neither optimizer nor random state; a resumed one has both.
START=()
[ -e "$SAVE/latest_checkpointed_iteration.txt" ] && LOAD=$SAVE || START=(--finetune --no-load-optim --no-load-rng)
export CUDA_DEVICE_MAX_CONNECTIONS=1
cd "$HERE"  # the prefixes of data-args.txt are relative to it
exec torchrun --nnodes="$NODES" --nproc-per-node="$GPUS" --node-rank="$NODE_RANK" --master-addr="$MASTER_ADDR" \
  --master-port="${{MASTER_PORT:-29500}}" "$MEGATRON/pretrain_gpt.py" "${{START[@]}}" \
  {arguments}
"""
