#!/usr/bin/env bash
# Test on several GPUs (without one: processes on the CPU) of this machine, or of several with NNODES, NODE_RANK and MASTER_ADDR.
# usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [flags of tools/test.py]
set -euo pipefail
if [ $# -lt 3 ]; then sed -n '2,3p' "$0"; exit 1; fi
exec bash "$(dirname "$0")/dist_run.sh" "$3" test.py "$1" "$2" "${@:4}"
