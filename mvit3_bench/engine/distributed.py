"""Processes that train together: how they find each other, with any launcher, with and without GPUs."""
import os
import pickle
import re
import zlib
from collections.abc import Callable
from datetime import timedelta

import torch
from mmengine.config import Config
from mmengine.dist import all_reduce_dict, is_distributed, is_main_process
from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel
from torch import Tensor, distributed, nn

from ..models.backbone import MobileViT
from ..registry import MODEL_WRAPPERS

# the variables in which a launcher tells each process which one it is, by torch's names for them
_VARIABLES = dict(
    pytorch=dict(RANK='RANK', WORLD_SIZE='WORLD_SIZE'),
    slurm=dict(RANK='SLURM_PROCID', WORLD_SIZE='SLURM_NTASKS', LOCAL_RANK='SLURM_LOCALID'),
    mpi=dict(RANK='OMPI_COMM_WORLD_RANK', WORLD_SIZE='OMPI_COMM_WORLD_SIZE', LOCAL_RANK='OMPI_COMM_WORLD_LOCAL_RANK'))
_STARTERS = dict(pytorch='torchrun, or set them by hand', slurm='srun', mpi="Open MPI's mpirun")
# those that are alike in all processes of a job, and in no other job
_JOB = dict(slurm=('SLURM_JOB_ID', 'SLURM_STEP_ID'), mpi=('PMIX_NAMESPACE', 'OMPI_MCA_ess_base_jobid'), pytorch=())
_TIMEOUT = 600  # seconds, if the config has none
_PATIENCE = timedelta(hours=6)  # with the first process, which may list millions of files on a network drive


@MODEL_WRAPPERS.register_module()
class DistributedModel(MMDistributedDataParallel):
    """MMEngine's wrapper, which reports the mean losses of all processes.

    So every process sees a loss that is not finite in any of them. Our backbones' weights get the layout of their gradients,
    channels-last: otherwise torch warns that the strides differ, and copies each gradient into its bucket.
    """

    def __init__(self, module: nn.Module, *args, **kwargs):
        for part in module.modules():
            if isinstance(part, MobileViT):
                part.to(memory_format=torch.channels_last)
        super().__init__(module, *args, **kwargs)

    def train_step(self, data: dict | tuple | list, optim_wrapper) -> dict[str, Tensor]:
        """One step of training; the losses it returns, each a number, are means over the processes."""
        losses = super().train_step(data, optim_wrapper)
        all_reduce_dict(losses, 'mean')
        return losses


def first_host(nodelist: str) -> str:
    """The first host of a Slurm list: ``'gpu[03-07,12],login1'`` -> ``'gpu03'``."""
    return re.sub(r'\[([^],-]+)[^]]*\]', r'\1', nodelist).split(',')[0]


def port_of_job(launcher: str) -> str:
    """A port for the processes of a job, most likely another than that of any other job on the machine.

    It lies below those that systems give away themselves. Where the launcher does not tell the job, it is torch's 29500.
    """
    job = ' '.join(filter(None, map(os.environ.get, _JOB[launcher])))
    return str(10_000 + zlib.crc32(job.encode()) % 19_500) if job else '29500'


def _set_environment(launcher: str, port: int | None) -> None:
    """Tell torch, in its variables, what a launcher says in its own; with a port, if the config names one.

    Raises:
        ValueError: The launcher has not started this process, or it does not say where the first one is.
    """
    variables = _VARIABLES[launcher]
    missing = [name for name in variables.values() if name not in os.environ]
    if missing:
        raise ValueError(f'--launcher {launcher} needs {", ".join(missing)} in the environment: '
                         f'start with {_STARTERS[launcher]}')
    os.environ.update({name: os.environ[theirs] for name, theirs in variables.items()})
    if launcher != 'pytorch' and (visible := torch.cuda.device_count()):  # perhaps this process's own GPU alone
        os.environ['LOCAL_RANK'] = str(int(os.environ['LOCAL_RANK']) % visible)
    nodes = os.environ.get('SLURM_STEP_NODELIST', os.environ.get('SLURM_NODELIST'))
    if launcher == 'slurm' and nodes:
        os.environ.setdefault('MASTER_ADDR', first_host(nodes))
    if launcher == 'mpi' and os.environ.get('OMPI_COMM_WORLD_LOCAL_SIZE') == os.environ['WORLD_SIZE']:
        os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    if 'MASTER_ADDR' not in os.environ:
        raise ValueError(f'--launcher {launcher} needs MASTER_ADDR in the environment: the host of the first process')
    os.environ.setdefault('MASTER_PORT', str(port or port_of_job(launcher)))


def _settings(cfg: Config) -> dict:
    return (cfg.get('env_cfg') or {}).get('dist_cfg') or {}


def _meet(cfg: Config) -> None:
    """Meet the other processes, over NCCL or what the config says; without a GPU, over gloo.

    Raises:
        ValueError: The port is taken.
    """
    of_start = ('port', 'init_backend')  # what MMEngine itself takes, before torch
    settings = {key: value for key, value in _settings(cfg).items() if key not in of_start}
    settings['timeout'] = timedelta(seconds=settings.get('timeout', _TIMEOUT))
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
    else:
        settings['backend'] = 'gloo'
    try:
        distributed.init_process_group(**settings)
    except distributed.DistNetworkError as error:
        if 'EADDRINUSE' not in str(error):
            raise
        raise ValueError(f'port {os.environ["MASTER_PORT"]} is taken, by another run on this machine perhaps: set '
                         'MASTER_PORT, in all processes, to a free one') from error


def distribute(cfg: Config, launcher: str) -> None:
    """Let a run have the processes that a launcher has started, and meet them.

    Synchronised batch norms need GPUs: on a CPU they stay as they are, and their running statistics are averaged.

    Args:
        cfg: The config; changed in place.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Raises:
        ValueError: The launcher has not started this process, or it does not say where the first one is, or the port of
            that is taken.
    """
    cfg.launcher = launcher
    if launcher == 'none':
        return
    _set_environment(launcher, _settings(cfg).get('port'))
    cfg.launcher = 'pytorch'  # all others come down to the same variables now
    wrapper = dict(type='mvit3_bench.DistributedModel', broadcast_buffers=False,
                   find_unused_parameters=cfg.get('find_unused_parameters', False))
    _meet(cfg)
    if not torch.cuda.is_available():
        wrapper['device_ids'] = None
        if cfg.get('sync_bn'):
            if distributed.get_rank() == 0:
                print_log(f'sync_bn={cfg.sync_bn} needs GPUs: on the CPU each process normalises over its own batch; the '
                          'running statistics are averaged after each epoch', logger='current')
            cfg.sync_bn = None
            cfg.setdefault('default_hooks', {})['sync_buffers'] = dict(type='mvit3_bench.SyncBuffersHook')
    if 'model_wrapper_cfg' not in cfg:
        cfg.model_wrapper_cfg = wrapper


def on_first(call: Callable, *args) -> None:
    """Let the first process of a run alone make a call, for all: a check of the data, for instance. The others wait for it.

    Raises:
        Exception: What the call raises, in every process; one that cannot be sent is a RuntimeError of the same message.
    """
    if not is_distributed():
        call(*args)
        return
    group, errors = distributed.new_group(backend='gloo', timeout=_PATIENCE), [None]
    if is_main_process():
        try:
            call(*args)
        except Exception as error:
            errors = [_sendable(error)]
    distributed.broadcast_object_list(errors, group=group)
    if errors[0] is not None:
        raise errors[0]


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # one whose arguments are not its message, or which holds what cannot be sent
        return RuntimeError(f'{type(error).__name__}: {error}')
    return error
