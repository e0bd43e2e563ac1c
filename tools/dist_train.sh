#!/usr/bin/env bash
# Train on several GPUs (without one: processes on the CPU) of this machine, or of several with NNODES, NODE_RANK and MASTER_ADDR.
# usage: bash tools/dist_train.sh CONFIG GPUS [flags of tools/train.py]
set -euo pipefail
if [ $# -lt 2 ]; then sed -n '2,3p' "$0"; exit 1; fi
exec bash "$(dirname "$0")/dist_run.sh" "$2" train.py "$1" "${@:3}"
