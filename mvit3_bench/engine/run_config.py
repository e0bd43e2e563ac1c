"""From a command line to what runs: the config by path or name, its model, its runner, and the checkpoint that is meant."""
import argparse
import logging
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.runner import Runner, load_checkpoint
from torch import nn

from ..checkpoints import loaders
from ..checkpoints.io import check_fits, read_file
from ..datasets.configs import meta_of_test
from ..errors import CheckpointError, UsageError, user_errors
from ..registry import MODELS, scope_of
from ..utils.text import not_text, printable, shown
from .config_files import find_config
from .distributed import distribute, on_first
from .hooks.checkpoint import OURS
from .input_size import input_size
from .mini import name_pipelines, to_mini
from .options import merge_options
from .run_info import changes

# what makes no other config of one: what a launcher adds, see distribute(), and another seed
_NO_DIFFERENCE = ('model_wrapper_cfg', 'sync_bn', 'default_hooks.sync_buffers', 'randomness')

loaders.install()  # the commands load nothing by another way, whatever the environment says of importing the plugin


def read_config(path: str) -> Config:
    """A config as its file is.

    Args:
        path: Its path or name, see :func:`~.config_files.find_config`.

    Raises:
        UsageError: The file does not exist or is no config.
    """
    file = find_config(path)
    try:
        return Config.fromfile(file)
    except Exception as error:
        raise UsageError(f'{path} is not a config: {type(error).__name__}: {error}', path) from error


def load_config(args: argparse.Namespace, check_options: bool = True) -> Config:
    """The config of a run: file, then ``--mini``, then ``--backbone``, then ``--cfg-options``, and its work dir.

    Args:
        args: The command line.
        check_options: Whether ``--cfg-options`` that nothing takes are refused.

    Raises:
        UsageError: The file does not exist or is no config, or ``--mini`` is not possible, or ``--launcher`` has not
            started this process, or a word is not UTF-8, or as :func:`~.options.merge_options`.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    if DefaultScope.get_current_instance() is None:  # before mmlab is imported, which then imports one framework, not three
        init_default_scope(scope_of(cfg))
    if args.mini:
        with user_errors(ValueError, FileExistsError):
            to_mini(cfg)
    set_backbone(cfg, args.backbone)
    name = run_name(cfg.filename, args.backbone) + '_mini' * args.mini
    options = merge_options(cfg, args.cfg_options, check_options)
    name_pipelines(cfg)
    # the config that a run has dumped names that run's folder, which its miniature must not write into
    named = (options or {}).get('work_dir') if args.mini else cfg.get('work_dir')
    cfg.work_dir = args.work_dir or named or str(Path('work_dirs') / name)
    for word in not_text([os.path.abspath(cfg.work_dir), *(args.cfg_options or [])]):
        raise UsageError(f'{printable(word)} is not UTF-8, in which the config and the names of checkpoints are written',
                         '--work-dir', 'name folders in UTF-8')
    with user_errors(ValueError):
        distribute(cfg, args.launcher)
    return cfg


def check_parts(cfg: Config, names: Iterable[str]) -> None:
    """Check that a config has what a test needs, of which a training can do without.

    Raises:
        UsageError: It lacks a part; the fix says what to write.
    """
    for name in names:
        if cfg.get(name) is None:
            value = f'{name.replace("test", "val")}, for instance' if 'test' in name else "'mmdet', 'mmseg' or 'mmpretrain'"
            raise UsageError(f'the config has no {name}', name, f'write {name} = {value}')


def set_backbone(cfg: Config, name: str | None) -> None:
    """Put the backbone that ``--backbone`` names into a config, in place; without a name, nothing changes.

    Raises:
        UsageError: As :func:`mvit3_bench.mmlab.backbone_swap.swap_backbone`; or the config has no fixed size of images.
    """
    if name:
        from ..mmlab.backbone_swap import swap_backbone
        with user_errors(ValueError):
            swap_backbone(cfg, name, input_size(cfg))
        cfg.experiment_name = run_name(cfg.filename, name)  # in checkpoints and logs


def run_name(config: str, backbone: str | None) -> str:
    """What work dirs, results and files are called: the name of the config, and of the backbone that is put into it."""
    if not backbone:
        return Path(config).stem
    from ..mmlab.backbone_names import slug
    return f'{Path(config).stem}-{slug(backbone)}'


def model_and_size(config: str, backbone: str | None = None, options: Sequence[str] | None = None,
                   shape: Sequence[int] | None = None) -> tuple[Config, nn.Module, tuple[int, int]]:
    """The config that a command line names, its untrained model for one process, and height and width of its images.

    Args:
        config: The file.
        backbone: As ``--backbone`` takes it.
        options: Words of ``--cfg-options``.
        shape: As ``--shape`` takes it; None: that of the config.

    Raises:
        UsageError: The file does not exist or is no config, ``--shape`` or an argument in the config is impossible, or the
            config has images of any size and there is no ``--shape``.
    """
    cfg = read_config(config)
    set_backbone(cfg, backbone)
    merge_options(cfg, options)
    if shape and (len(shape) > 2 or min(shape) < 1):
        raise UsageError(f'--shape {shape} is not possible', '--shape',
                         'allowed: a height and a width of 1 or more, as one or two numbers')
    with user_errors(ValueError, KeyError, TypeError):
        size = (*shape, *shape)[:2] if shape else input_size(cfg)
        return cfg, build_model(cfg), size


def build_model(cfg: Config) -> nn.Module:
    """The untrained model of a config, for one process."""
    init_default_scope(scope_of(cfg))
    return revert_sync_batchnorm(MODELS.build(cfg.model))


def load_weights(cfg: Config, model: nn.Module, word: str) -> tuple[dict, str]:
    """Load the checkpoint that a word of the command line names into a model.

    Args:
        cfg: Config of the model, whose test set has the same classes.
        model: On the CPU.
        word: As of :func:`find_checkpoint`, or ``'none'``, by which the model stays untrained.

    Returns:
        What the file holds, and its name; nothing, and ``'untrained'``.

    Raises:
        FileNotFoundError, CheckpointError: As :func:`mvit3_bench.checkpoints.io.check_fits`.
    """
    if word == 'none':
        return {}, 'untrained'
    checkpoint = find_checkpoint(word)
    check_fits(model, checkpoint, classes=meta_of_test(cfg).get('classes'))
    return load_checkpoint(model, checkpoint, map_location='cpu'), Path(checkpoint).name


def local_file(path: str) -> str:
    """Where a file is on this machine: one on the web (``http://``, ``https://``) is downloaded, unless torch has it in its
    cache; ``~`` is the home folder.

    Raises:
        UsageError: As :func:`mvit3_bench.checkpoints.loaders.fetch`.
    """
    if not re.match('https?://', path):
        return os.path.expanduser(path)
    on_first(loaders.fetch, path)
    return str(loaders.fetch(path))


def find_checkpoint(path: str) -> str:
    """The file that a command line means: as of :func:`local_file`, or the best checkpoint of a work dir (its latest, if
    none is best).

    Raises:
        UsageError: The folder has no checkpoint; or as there.
    """
    path = local_file(path)
    if not Path(path).is_dir():
        return path
    # in the order of the numbers in their names: times are those of a copy where the folder is one
    best = sorted(Path(path).glob('best_*.pth'), key=_place)
    found = best or sorted(Path(path).glob('*.pth'), key=_place)
    if not found:
        raise UsageError(f'no checkpoint (*.pth) in {path}', path)
    noted = latest_checkpoint(path)
    if len(best) > 1 and noted and Path(noted).is_file():
        noted = (read_file(noted).get('message_hub') or {}).get('runtime_info', {}).get('best_ckpt')
    return str(_noted_or_last(found, noted))


def latest_checkpoint(folder: str | Path) -> str | None:
    """The checkpoint that ``last_checkpoint`` of a work dir names: the one in this folder, should it be a copy."""
    note = Path(folder, 'last_checkpoint')
    if not note.is_file():
        return None
    latest = note.read_text(encoding='utf-8').strip()
    here = Path(folder, Path(latest).name)
    return str(here) if here.is_file() else latest


def epochs_done(folder: str | Path) -> tuple[int, int]:
    """The epochs that the latest checkpoint of a work dir has trained, and those of its training; 0 and 0 if these are not
    known, as where a hook may stop it early.
    """
    latest = latest_checkpoint(folder)
    meta = read_file(latest)['meta'] if latest and Path(latest).is_file() else {}
    known = 'max_epochs' in meta and 'EarlyStoppingHook' not in str(meta.get('cfg'))
    return (meta['epoch'], meta['max_epochs']) if known else (0, 0)


def _noted_or_last(files: list[Path], noted: str | None) -> Path:
    """The file whose name is noted somewhere, in whichever folder; the last one if none is."""
    return next((file for file in files if file.name == Path(str(noted)).name), files[-1])


def _place(checkpoint: Path) -> tuple:
    """Epoch and iteration in the name of a checkpoint, and its time for names without them."""
    numbers = {name: int(number) for name, number in re.findall(r'(epoch|iter)_(\d+)', checkpoint.stem)}
    return numbers.get('epoch', 0), numbers.get('iter', 0), checkpoint.stat().st_mtime


def earlier_run(cfg: Config) -> tuple[list[Path], str, list[str]]:
    """The checkpoints in a work dir that a new run would replace.

    Returns:
        The files; the name of their config; and what differs between that and this one, ``key: before -> now``.
    """
    files = sorted((file for file in Path(cfg.work_dir).glob('*.pth') if OURS.fullmatch(file.name)), key=_place)
    if not files:
        return [], '', []
    latest = _noted_or_last(files, latest_checkpoint(cfg.work_dir))
    try:
        meta = read_file(latest)['meta']
        name, found = str(meta.get('experiment_name', '?')), changes(meta['cfg'], cfg.pretty_text)
    except (CheckpointError, KeyError, ValueError, TypeError):  # damaged, or of other software
        return files, '?', [f'{latest.name} does not tell its config']
    name = printable(re.sub(r'_\d{8}_\d{6}$', '', name))
    return files, name, [each for each in found if not each.startswith(_NO_DIFFERENCE)]


def check_work_dir(cfg: Config) -> None:
    """Check that a new run replaces no checkpoints of another config; of those of the same config it warns.

    Raises:
        UsageError: It would; the message names both configs.
    """
    files, name, differing = earlier_run(cfg)
    if differing:
        raise UsageError(f'{cfg.work_dir} holds {len(files)} checkpoints of another config, {name}, which a new run of '
                         f'{Path(cfg.filename).stem} would replace\n  {shown(differing, total=True)}', cfg.work_dir,
                         'take another --work-dir, or go on with that run (--resume), or remove its checkpoints', '\n  ')
    if files:
        print_log(f'{cfg.work_dir} holds {len(files)} checkpoints of an earlier run of this config, which will be replaced; '
                  'another --work-dir keeps them, --resume goes on from the last', logger='current', level=logging.WARNING)


def build_runner(cfg: Config) -> Runner:
    """Build the runner.

    Raises:
        UsageError: An argument in the config is impossible, or it asks for another runner (``runner_type``).
    """
    if (kind := cfg.get('runner_type', 'Runner')) != 'Runner':
        raise UsageError(f"runner_type={kind} is not supported: the tools run MMEngine's Runner, which trains by "
                         'DistributedDataParallel in several processes', 'runner_type', 'leave runner_type out')
    with user_errors(ValueError, KeyError, TypeError):
        return Runner.from_cfg(cfg)


def check_device(device: str) -> None:
    """Check that a GPU is there if one is asked for.

    Raises:
        UsageError: There is none.
    """
    if device.startswith('cuda') and not torch.cuda.is_available():
        raise UsageError(f'--device {device} is not possible: torch finds no GPU', '--device')


def world_size(launcher: str) -> int:
    """Number of processes of a run, whose config is loaded."""
    return 1 if launcher == 'none' else int(os.environ['WORLD_SIZE'])
