"""Processes that train together: how they find each other, with any launcher, with and without GPUs."""
import os
import re
from datetime import timedelta

import torch
from mmengine.config import Config
from mmengine.dist import all_reduce_dict
from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel
from torch import Tensor, distributed

from ..registry import MODEL_WRAPPERS

# the variables in which a launcher tells each process which one it is, by torch's names for them
_VARIABLES = dict(
    pytorch=dict(RANK='RANK', WORLD_SIZE='WORLD_SIZE'),
    slurm=dict(RANK='SLURM_PROCID', WORLD_SIZE='SLURM_NTASKS', LOCAL_RANK='SLURM_LOCALID'),
    mpi=dict(RANK='OMPI_COMM_WORLD_RANK', WORLD_SIZE='OMPI_COMM_WORLD_SIZE', LOCAL_RANK='OMPI_COMM_WORLD_LOCAL_RANK'))
_STARTERS = dict(pytorch='torchrun, or set them by hand', slurm='srun', mpi="Open MPI's mpirun")
_TIMEOUT = 600  # seconds, if the config has none


@MODEL_WRAPPERS.register_module()
class DistributedModel(MMDistributedDataParallel):
    """MMEngine's wrapper, which reports the mean losses of all processes.

    So every process sees a loss that is not finite in any of them.
    """

    def train_step(self, data: dict | tuple | list, optim_wrapper) -> dict[str, Tensor]:
        """One step of training; the losses it returns, each a number, are means over the processes."""
        losses = super().train_step(data, optim_wrapper)
        all_reduce_dict(losses, 'mean')
        return losses


def first_host(nodelist: str) -> str:
    """The first host of a Slurm list: ``'gpu[03-07,12],login1'`` -> ``'gpu03'``."""
    return re.sub(r'\[([^],-]+)[^]]*\]', r'\1', nodelist).split(',')[0]


def _set_environment(launcher: str) -> None:
    """Tell torch, in its variables, what a launcher says in its own.

    Raises:
        ValueError: The launcher has not started this process, or it does not say where the first one is.
    """
    variables = _VARIABLES[launcher]
    missing = [name for name in variables.values() if name not in os.environ]
    if missing:
        raise ValueError(f'--launcher {launcher} needs {", ".join(missing)} in the environment: '
                         f'start with {_STARTERS[launcher]}')
    os.environ.update({name: os.environ[theirs] for name, theirs in variables.items()})
    nodes = os.environ.get('SLURM_STEP_NODELIST', os.environ.get('SLURM_NODELIST'))
    if launcher == 'slurm' and nodes:
        os.environ.setdefault('MASTER_ADDR', first_host(nodes))
    if launcher == 'mpi' and os.environ.get('OMPI_COMM_WORLD_LOCAL_SIZE') == os.environ['WORLD_SIZE']:
        os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    if 'MASTER_ADDR' not in os.environ:
        raise ValueError(f'--launcher {launcher} needs MASTER_ADDR in the environment: the host of the first process')
    os.environ.setdefault('MASTER_PORT', '29500')


def distribute(cfg: Config, launcher: str) -> None:
    """Let a run have the processes that a launcher has started; without a GPU, meet the others here and now.

    Synchronised batch norms need GPUs: on a CPU they stay as they are, and their running statistics are averaged.

    Args:
        cfg: The config; changed in place.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Raises:
        ValueError: The launcher has not started this process, or it does not say where the first one is.
    """
    cfg.launcher = launcher
    if launcher == 'none':
        return
    _set_environment(launcher)
    cfg.launcher = 'pytorch'  # all others come down to the same variables now
    wrapper = dict(type='mvit3_bench.DistributedModel', broadcast_buffers=False,
                   find_unused_parameters=cfg.get('find_unused_parameters', False))
    if not torch.cuda.is_available():
        wrapper['device_ids'] = None
        timeout = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', _TIMEOUT)
        distributed.init_process_group('gloo', timeout=timedelta(seconds=timeout))  # MMEngine would first choose a GPU
        if cfg.get('sync_bn'):
            if distributed.get_rank() == 0:
                print_log(f'sync_bn={cfg.sync_bn} needs GPUs: on the CPU each process normalises over its own batch; the '
                          'running statistics are averaged after each epoch', logger='current')
            cfg.sync_bn = None
            cfg.setdefault('default_hooks', {})['sync_buffers'] = dict(type='mvit3_bench.SyncBuffersHook')
    if 'model_wrapper_cfg' not in cfg:
        cfg.model_wrapper_cfg = wrapper
