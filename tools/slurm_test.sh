#!/usr/bin/env bash
# Test on a Slurm cluster. usage: [GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5 SRUN_ARGS=...]
#   bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [flags of tools/test.py]
set -euo pipefail
if [ $# -lt 4 ]; then sed -n '2,3p' "$0"; exit 1; fi
exec bash "$(dirname "$0")/slurm_run.sh" "$1" "$2" test.py "${@:3}"
