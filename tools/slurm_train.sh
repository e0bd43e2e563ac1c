#!/usr/bin/env bash
# Train on a Slurm cluster. usage: [GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5 SRUN_ARGS=...]
#   bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [flags of tools/train.py]
set -euo pipefail
if [ $# -lt 3 ]; then sed -n '2,3p' "$0"; exit 1; fi
exec bash "$(dirname "$0")/slurm_run.sh" "$1" "$2" train.py "${@:3}"
