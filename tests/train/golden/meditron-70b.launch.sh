#!/bin/bash
# meditron-70b in Megatron-LM as MediTron (arXiv:2311.16079) published it: TP 8 x PP 8 x DP 2 = 128 GPUs. Run on every node, by srun or alike.
# What does not fill the last batch is left out. Documents of a sequence see each other, as in the seed's run; add
# --reset-position-ids --reset-attention-mask to part them, at the price of dense masks.
#
#   MEGATRON    a checkout of Megatron-LM        TOKENIZER  the tokenizer's folder, that of the shards
#   LOAD        the converted base               SAVE       where checkpoints go
#   MASTER_ADDR, MASTER_PORT, NODES, NODE_RANK, GPUS of a node
set -euo pipefail
: "${MEGATRON:?}" "${TOKENIZER:?}" "${LOAD:?}" "${SAVE:?}" "${MASTER_ADDR:?}"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
NODES=${NODES:-${SLURM_NNODES:-1}} NODE_RANK=${NODE_RANK:-${SLURM_NODEID:-0}} GPUS=${GPUS:-8}
if [ $((NODES * GPUS)) != 128 ]; then
  echo "TP 8 x PP 8 x DP 2 needs 128 GPUs; $NODES nodes of $GPUS are $((NODES * GPUS))" >&2
  exit 2
fi
# A start from the converted base has neither optimizer nor random state; a resumed one has both.
START=()
[ -e "$SAVE/latest_checkpointed_iteration.txt" ] && LOAD=$SAVE || START=(--finetune --no-load-optim --no-load-rng)
export CUDA_DEVICE_MAX_CONNECTIONS=1
cd "$HERE"  # the prefixes of data-args.txt are relative to it
exec torchrun --nnodes="$NODES" --nproc-per-node="$GPUS" --node-rank="$NODE_RANK" --master-addr="$MASTER_ADDR" \
  --master-port="${MASTER_PORT:-29500}" "$MEGATRON/pretrain_gpt.py" "${START[@]}" \
  --tensor-model-parallel-size 8 --pipeline-model-parallel-size 8 --sequence-parallel --use-distributed-optimizer \
  --num-layers 80 --hidden-size 8192 --ffn-hidden-size 28672 \
  --num-attention-heads 64 --kv-channels 128 --group-query-attention --num-query-groups 8 \
  --position-embedding-type rope --rotary-base 10000 --normalization RMSNorm --norm-epsilon 1e-05 \
  --swiglu --disable-bias-linear --untie-embeddings-and-output-weights --attention-dropout 0 --hidden-dropout 0 \
  --seq-length 4096 --max-position-embeddings 4096 \
  --micro-batch-size 2 --global-batch-size 512 --train-iters 22935 \
  --lr 0.00015 --min-lr 1e-06 --lr-decay-style cosine --lr-warmup-iters 2000 \
  --optimizer adam --adam-beta1 0.9 --adam-beta2 0.95 --adam-eps 1e-05 --weight-decay 0.1 --clip-grad 1 \
  --bf16 --use-flash-attn --recompute-activations --transformer-impl transformer_engine \
  --data-path "$HERE"/train --split 100,0,0 --tokenizer-type HuggingFaceTokenizer --tokenizer-model "$TOKENIZER" \
  --make-vocab-size-divisible-by 1 --seed 17 \
  --load "$LOAD" --save "$SAVE" --save-interval 500 --log-interval 10 --eval-iters 0 --log-throughput
