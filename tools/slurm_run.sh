#!/usr/bin/env bash
# Run a tool on a Slurm cluster, for slurm_train.sh and slurm_test.sh. usage: [GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5 SRUN_ARGS=...]
#   bash tools/slurm_run.sh PARTITION JOB_NAME TOOL.py [arguments of the tool]
set -euo pipefail
if [ $# -lt 3 ]; then sed -n '2,3p' "$0"; exit 1; fi

gpus=${GPUS:-4}
per_node=${GPUS_PER_NODE:-$(( gpus < 8 ? gpus : 8 ))}
here=$(dirname "$0")
# SRUN_ARGS is several words on purpose
# shellcheck disable=SC2086
PYTHONPATH="$here/..:${PYTHONPATH:-}" srun -p "$1" --job-name="$2" --gres=gpu:"$per_node" --ntasks="$gpus" \
  --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
  python -u "$here/$3" --launcher slurm "${@:4}"
