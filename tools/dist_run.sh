#!/usr/bin/env bash
# Run a tool in several processes, for dist_train.sh and dist_test.sh. usage: [NNODES=1 NODE_RANK=0 MASTER_ADDR=127.0.0.1 PORT=29500]
#   bash tools/dist_run.sh GPUS TOOL.py [arguments of the tool]
set -euo pipefail
if [ $# -lt 2 ]; then sed -n '2,3p' "$0"; exit 1; fi

here=$(dirname "$0")
# the processes of one machine meet at a free port, those of several at one that all know
meet=(--standalone --local-addr=127.0.0.1)
if [ "${NNODES:-1}" != 1 ] || [ -n "${PORT:-}" ]; then
  meet=(--nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}"
        --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}")
fi
PYTHONPATH="$here/..:${PYTHONPATH:-}" python -m torch.distributed.run "${meet[@]}" --nproc_per_node="$1" \
  "$here/$2" --launcher pytorch "${@:3}"
