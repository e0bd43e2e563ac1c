"""What the tools share: OpenMMLab's flags, loading a config, errors that speak to the user."""
import argparse
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

from ..checkpoints.atomic import WriteError, space_needed
from ..checkpoints.io import CheckpointError
from ..datasets.loading import UnreadableSample
from ..registry import MODELS
from .distributed import distribute
from .finite import DivergedError
from .input_size import input_size
from .mini import name_pipelines, to_mini


class UsageError(Exception):
    """An argument, a config or a file is wrong; the message is all a user needs."""


_EXPECTED = (UsageError, CheckpointError, UnreadableSample, WriteError, DivergedError, FileNotFoundError)


def parser(description: str, example: str, needs_config: bool = True) -> argparse.ArgumentParser:
    """An argument parser with the flags that all tools have."""
    result = argparse.ArgumentParser(description=description, epilog=f'example: {example}')
    result.add_argument('config', nargs=None if needs_config else '?', help='config file, for instance of configs/seg/')
    result.add_argument('--work-dir', help='folder of logs, checkpoints and results (default: work_dirs/NAME_OF_CONFIG)')
    result.add_argument('--mini', action='store_true',
                        help='run on the miniature data set, drawn if it is not there: small images, a short schedule, '
                             'the same model and recipe')
    add_cfg_options(result)
    result.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    # torchrun sets LOCAL_RANK, torch.distributed.launch passes the flag
    result.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return result


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add OpenMMLab's flag to override parts of a config."""
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override parts of the config: a.b=1, a.b="[1,2]", a.b="[(1,2),(3,4)]" (no white space)')


def add_shape(parser: argparse.ArgumentParser) -> None:
    """Add the flag for the size of the images."""
    parser.add_argument('--shape', type=int, nargs='+', metavar='N',
                        help='height and width of the images, or one number for both (default: that of the test pipeline)')


def check_device(device: str) -> None:
    """Check that a GPU is there if one is asked for.

    Raises:
        UsageError: There is none.
    """
    if device.startswith('cuda') and not torch.cuda.is_available():
        raise UsageError(f'--device {device} is not possible: torch finds no GPU')


def read_config(path: str) -> Config:
    """A config file as it is.

    Raises:
        UsageError: The file does not exist or is no config.
    """
    if not Path(path).is_file():
        known = get_close_matches(path, map(str, Path(path).parent.glob('*.py')), n=8, cutoff=0)
        raise UsageError(f'config not found: {path}' + (f'\n  there are: {", ".join(known)}' if known else ''))
    try:
        return Config.fromfile(path)
    except Exception as error:
        raise UsageError(f'{path} is not a config: {type(error).__name__}: {error}') from error


def load_config(args: argparse.Namespace) -> Config:
    """The config of a run: file, then ``--mini``, then ``--cfg-options``, and its work dir.

    Raises:
        UsageError: The file does not exist or is no config, or ``--mini`` is not possible, or ``--launcher`` has not
            started this process.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    name = Path(args.config).stem
    if args.mini:
        with user_errors(ValueError, FileExistsError):
            to_mini(cfg)
        name += '_mini'
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
        if not any(key.partition('.')[0].endswith('_pipeline') for key in args.cfg_options):
            name_pipelines(cfg)
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs') / name)
    with user_errors(ValueError):
        distribute(cfg, args.launcher)
    return cfg


def model_and_size(args: argparse.Namespace) -> tuple[Config, nn.Module, tuple[int, int]]:
    """The config that a command line names, its untrained model for one process, and height and width of its images.

    Raises:
        UsageError: The file does not exist or is no config, ``--shape`` or an argument in the config is impossible, or the
            config has images of any size and there is no ``--shape``.
    """
    cfg = read_config(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    if args.shape and (len(args.shape) > 2 or min(args.shape) < 1):
        raise UsageError(f'--shape {args.shape} is not possible; allowed: a height and a width of 1 or more, '
                         'as one or two numbers')
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    with user_errors(ValueError, KeyError, TypeError):
        size = (*args.shape, *args.shape)[:2] if args.shape else input_size(cfg)
        return cfg, revert_sync_batchnorm(MODELS.build(cfg.model)), size


def find_checkpoint(path: str) -> str:
    """The file that a command line means: itself, or the best checkpoint of a work dir (its latest, if none is best).

    Raises:
        UsageError: The folder has no checkpoint.
    """
    if not Path(path).is_dir():
        return path
    candidates = sorted(Path(path).glob('best_*.pth'), key=lambda file: file.stat().st_mtime)
    candidates = candidates or sorted(Path(path).glob('*.pth'), key=lambda file: file.stat().st_mtime)
    if not candidates:
        raise UsageError(f'no checkpoint (*.pth) in {path}')
    return str(candidates[-1])


def build_runner(cfg: Config) -> Runner:
    """Build the runner.

    Raises:
        UsageError: An argument in the config is impossible, or it asks for another runner (``runner_type``).
    """
    if (kind := cfg.get('runner_type', 'Runner')) != 'Runner':
        raise UsageError(f"runner_type={kind} is not supported: the tools run MMEngine's Runner, which trains by "
                         'DistributedDataParallel in several processes; leave runner_type out')
    with user_errors(ValueError, KeyError, TypeError):
        return Runner.from_cfg(cfg)


@contextmanager
def user_errors(*types: type[Exception]):
    """Within it, errors of these types are the user's to mend: their message is enough, a traceback is not needed."""
    try:
        yield
    except types as error:
        raise UsageError(error.args[0] if isinstance(error, KeyError) and error.args else str(error)) from error


def run(main: Callable[[], None]) -> None:
    """Call a tool's main function; an expected error becomes its message and exit code 1."""
    try:
        with space_needed():
            main()
    except _EXPECTED as error:
        # an error of a data loader's worker comes wrapped in that process's traceback; its own message stands last
        message = str(error)
        if 'Original Traceback' in message:
            message = message.rstrip().splitlines()[-1].partition(': ')[2]
        sys.exit(f'error: {message}')


def world_size(launcher: str) -> int:
    """Number of processes of a run, whose config is loaded."""
    return 1 if launcher == 'none' else int(os.environ['WORLD_SIZE'])
