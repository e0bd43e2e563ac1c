"""Processes that train together: how they find each other, with any launcher, with and without GPUs."""
import os
import re
from datetime import timedelta

import torch
from mmengine.config import Config
from mmengine.dist import all_reduce_dict
from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel
from torch import Tensor, distributed, nn

from ..registry import MODEL_WRAPPERS
from .sync_batch_norm import synchronise_on_cpu

# the variables in which a launcher tells each process which one it is, by torch's names for them
_VARIABLES = dict(
    pytorch=dict(RANK='RANK', WORLD_SIZE='WORLD_SIZE'),
    slurm=dict(RANK='SLURM_PROCID', WORLD_SIZE='SLURM_NTASKS', LOCAL_RANK='SLURM_LOCALID'),
    mpi=dict(RANK='OMPI_COMM_WORLD_RANK', WORLD_SIZE='OMPI_COMM_WORLD_SIZE', LOCAL_RANK='OMPI_COMM_WORLD_LOCAL_RANK'))
_STARTERS = dict(pytorch='torchrun, or set them by hand', slurm='srun', mpi="Open MPI's mpirun")
_TIMEOUT = 600  # seconds, if the config has none


@MODEL_WRAPPERS.register_module()
class DistributedModel(MMDistributedDataParallel):
    """MMEngine's wrapper, which reports the mean losses of all processes, and synchronises batch norms without a GPU too.

    So every process sees a loss that is not finite in any of them.

    Args:
        module: The model.
        **kwargs: As in :class:`mmengine.model.MMDistributedDataParallel`.
    """

    def __init__(self, module: nn.Module, **kwargs):
        if not torch.cuda.is_available():
            synchronise_on_cpu(module)
        super().__init__(module, **kwargs)

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
        if cfg.get('sync_bn') == 'torch':
            print_log("no GPU: batch norms are synchronised by mvit3_bench, since torch's own need one", logger='current')
    if 'model_wrapper_cfg' not in cfg:
        cfg.model_wrapper_cfg = wrapper
