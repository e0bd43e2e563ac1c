#!/usr/bin/env bash
# Train on several GPUs (without one: processes on the CPU) of this machine, or of several with NNODES, NODE_RANK and MASTER_ADDR.
# usage: bash tools/dist_train.sh CONFIG GPUS [flags of tools/train.py]
set -euo pipefail
if [ $# -lt 2 ]; then sed -n '2,3p' "$0"; exit 1; fi

here=$(dirname "$0")
PYTHONPATH="$here/..:${PYTHONPATH:-}" python -m torch.distributed.run \
  --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$2" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
  "$here/train.py" "$1" --launcher pytorch "${@:3}"
