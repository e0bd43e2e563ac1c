"""Is there room for the checkpoints of a run, and may it write them?"""
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from mmengine.config import Config
from torch import nn

from ..engine.lr_scaling import is_average
from .finding import ERROR, OK, WARNING, Finding
from .plan import Plan

_finding = partial(Finding, 'disk')
_AMPLE = 2  # times what is needed: logs, pictures and others write as well


def examine_disk(plan: Plan) -> Iterator[Finding]:
    """Permission to write into the work dir, and room for its checkpoints.

    Args:
        plan: The run, with its model where it could be built.
    """
    folder = Path(plan.cfg.work_dir)
    place = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        yield _finding('writing', ERROR, f'{place}: {error.strerror or error}', 'another --work-dir, or permission to write')
        return
    yield _finding('writing', OK, str(place))
    if plan.model is None:
        return
    size, files, best = checkpoint_sizes(plan.cfg, plan.model)
    needed, free = size * files + best, shutil.disk_usage(place).free
    text = f'{files} checkpoints of {size / 1e6:.0f} MB' + (f' and the best of {best / 1e6:.0f} MB' if best else '') + \
           f': {needed / 1e9:.2f} GB; {free / 1e9:.2f} GB free at {place}'
    fix = 'free some, another --work-dir, or a smaller default_hooks.checkpoint.max_keep_ckpts'
    if free < needed:
        yield _finding('room', ERROR, text, fix)
    elif free < _AMPLE * needed:
        yield _finding('room', WARNING, text, fix)
    else:
        yield _finding('room', OK, text)


def checkpoint_sizes(cfg: Config, model: nn.Module) -> tuple[int, int, int]:
    """Bytes of a checkpoint, the number that lie there at once, and bytes of the best ones in all.

    A checkpoint holds weights, their average, and what the optimiser keeps of each parameter; the best one no optimiser.
    """
    hook = (cfg.get('default_hooks') or {}).get('checkpoint', {})
    if hook is None:  # it writes none
        return 0, 0, 0
    weights = sum(tensor.nbytes for tensor in model.state_dict().values())
    averaged = sum(is_average(each) for each in cfg.get('custom_hooks') or [])
    trained = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    kept = _states((cfg.get('optim_wrapper') or {}).get('optimizer', {})) * trained * hook.get('save_optimizer', True)
    train = cfg.get('train_cfg') or {}
    # where iterations are counted, an interval in epochs is one in validations
    unit = train.get('val_interval', 1000) if 'max_iters' in train and hook.get('by_epoch', True) else 1
    written = max(1, (train.get('max_epochs') or train.get('max_iters') or 1) // (unit * max(1, hook.get('interval', 1))))
    keep = hook.get('max_keep_ckpts', -1)
    # the oldest is removed once the new one is written
    files = written if keep < 0 else min(written, keep + 1)
    best = hook.get('save_best') or []
    return weights * (1 + averaged) + kept, files, weights * (1 + averaged) * len([best] if isinstance(best, str) else best)


def _states(optimizer: Config) -> int:
    """How many numbers an optimiser keeps of each parameter."""
    if 'SGD' in str(optimizer.get('type')):
        return 1 if optimizer.get('momentum') else 0
    return 2  # Adam and its kin: the first and the second moment
