"""Checkpoints and models: nothing about a mismatch stays unsaid. Writing checkpoints: as a whole or not at all."""
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from ..converters.compare import differences
from ..errors import CheckpointError
from ..utils.text import grouped, shown
from .atomic import atomic_write
from .reading import (  # noqa: F401  reading is a part of it
    check_safetensors,
    is_safetensors,
    read_checkpoint,
    read_file,
    state_dict_of,
)


def write_checkpoint(path: str | Path, state_dict: dict[str, Tensor], meta: dict | None = None) -> None:
    """Write a checkpoint as a whole or not at all: what breaks off in between leaves no file of this name.

    Args:
        path: File to write; one that ends in ``.safetensors`` gets that format.
        state_dict: Tensors.
        meta: What is known of them, for an entry ``meta`` beside ``state_dict``; None writes the state dict alone.

    Raises:
        CheckpointError: safetensors is wanted and not installed.
        WriteError: The file cannot be written.
    """
    check_safetensors(path)
    # a tensor may be a view of much more than itself, or of what another one views
    state_dict = {key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in state_dict.items()}
    with atomic_write(path) as file:
        if is_safetensors(path):
            from safetensors.torch import save
            text = json.dumps(meta or {}, skipkeys=True, default=lambda value: getattr(value, 'tolist', value.__str__)())
            file.write(save(state_dict, metadata=dict(format='pt', meta=text)))
        else:
            torch.save(state_dict if meta is None else dict(meta=meta, state_dict=state_dict), file)


def check_values(path: str | Path, found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Check that the tensors of a checkpoint, of which only those that are wanted count, are weights.

    Raises:
        CheckpointError: Some are no tensors, are no real numbers where these are wanted, or hold NaN or infinity.
    """
    if odd := [key for key, value in found.items() if key in wanted and not isinstance(value, Tensor)]:
        raise CheckpointError(f'{path}: {len(odd)} entries of its state dict are no tensors: {shown(odd)}')
    weights = {key: value for key, value in found.items() if key in wanted}
    if odd := differences(weights, wanted).get('not of real numbers'):
        types = ', '.join(sorted({str(weights[key].dtype).removeprefix('torch.') for key in odd}))
        raise CheckpointError(f'{path}: {len(odd)} of its tensors are no real numbers, but {types}: {shown(odd)}')
    check_finite(path, weights)


def check_finite(path: str | Path, weights: dict[str, Tensor]) -> None:
    """Check that no tensor of a checkpoint holds NaN or infinity.

    Raises:
        CheckpointError: Some do.
    """
    if odd := [key for key, value in weights.items() if value.is_floating_point() and not value.float().isfinite().all()]:
        raise CheckpointError(f'{path}: {len(odd)} of its tensors hold NaN or infinity, as after a run that diverged: '
                              f'{shown(odd)}', path, 'take an earlier checkpoint')


def _check_resumable(path: str | Path, checkpoint: dict) -> None:
    """Check that a run can go on from a checkpoint: that it holds more than weights."""
    meta = checkpoint.get('meta', {})
    missing = [f'meta.{key}' for key in ('epoch', 'iter') if type(meta.get(key)) is not int or meta[key] < 0]
    missing += [key for key in ('message_hub', 'optimizer') if not isinstance(checkpoint.get(key), dict)]
    if missing:
        raise CheckpointError(f'{path} holds weights only, so no run can go on from it (missing: {", ".join(missing)})',
                              path, f'to start a new run with these weights: --cfg-options load_from={path}')


def _check_classes(path: str | Path, checkpoint: dict, classes: Sequence[str]) -> None:
    """Check that the classes of a run are not those of a checkpoint in another order.

    Raises:
        CheckpointError: They are, so that each would be taken for another.
    """
    meta = checkpoint.get('meta', {}).get('dataset_meta') or {}
    known = meta.get('classes') or meta.get('CLASSES') if isinstance(meta, dict) else None
    if not isinstance(known, (list, tuple)) or list(known) == list(classes):
        return
    if sorted(map(str, known)) == sorted(map(str, classes)):
        raise CheckpointError(f'{path} was trained with the classes {shown(map(str, known))}, and this run has them in '
                              f'another order: {shown(map(str, classes))}', path,
                              'set metainfo.classes of every data set to the order of the checkpoint', '\n  ')
    if len(known) == len(classes):
        print_log(f'{path} was trained with the classes {shown(map(str, known))}, this run calls them '
                  f'{shown(map(str, classes))}', logger='current', level=logging.WARNING)


def check_fits(model: nn.Module, path: str | Path, any_head: bool = False, resume: bool = False,
               classes: Sequence[str] | None = None) -> None:
    """Check that a checkpoint is one of this very model.

    Args:
        model: The model, whose backbone is ``model.backbone``.
        path: The file.
        any_head: For fine-tuning: only the backbone has to be this one; what else does not fit is logged, and trained anew.
        resume: Whether a run shall go on from it, which takes more than weights.
        classes: Names of the run's classes, to be compared with those in the checkpoint.

    Raises:
        FileNotFoundError, CheckpointError: As :func:`~.reading.read_checkpoint`; or its classes stand in another order; or
            what a run needs to go on is missing; or the tensors are not those of the model: the message lists by group those
            that are missing, unexpected and of another shape.
    """
    checkpoint = read_checkpoint(path)
    if resume:
        _check_resumable(path, checkpoint)
    if classes:
        _check_classes(path, checkpoint, classes)
    found = state_dict_of(checkpoint)
    wanted = (model.module if is_model_wrapper(model) else model).state_dict()  # DDP prefixes every key
    check_values(path, found, wanted)
    problems = differences(found, wanted)
    lines = [f'  {len(keys)} {kind}: {grouped(keys)}' for kind, keys in problems.items()]
    unfilled = problems.get('missing', []) + problems.get('of another shape', [])
    if any_head and not any(key.startswith('backbone.') for key in unfilled):
        if lines:
            message = f'{path} fits the backbone, but not the whole model; what does not fit is trained anew'
            print_log('\n'.join([message, *lines]), logger='current', level=logging.WARNING)
    elif lines:
        raise CheckpointError('\n'.join(
            [f'{path} is a checkpoint of another model ({len(found)} tensors, {len(wanted)} wanted)', *lines]), path)


@contextmanager
def filling(module: nn.Module) -> Iterator[None]:
    """Within it, a module is filled from its ``init_cfg``: what a checkpoint fills is logged, and one of another is refused.

    Raises:
        CheckpointError: The checkpoint fills none of the tensors, MMEngine would go on with random weights; or it is one of
            another arch; or it has no keys under the prefix of ``init_cfg``.
    """
    init_cfg = module.init_cfg if isinstance(module.init_cfg, list) else [module.init_cfg]
    source = next((cfg['checkpoint'] for cfg in init_cfg if cfg and 'checkpoint' in cfg), 'the pretrained checkpoint')
    hook = module.register_load_state_dict_pre_hook(
        lambda module, state_dict, prefix, *_: _report_filled(module, state_dict, prefix, source))
    try:
        yield
    except AssertionError as error:
        if not str(error).endswith(' is not in the pretrained model'):  # MMEngine's, for want of a better type
            raise
        raise CheckpointError(f'{source} has no keys that begin with {str(error).partition(" ")[0]}', source,
                              'leave out prefix in init_cfg for the checkpoint of a backbone alone; convert a published one '
                              'first (tools/convert_checkpoint.py)', ': ') from error
    finally:
        hook.remove()


def _report_filled(module: nn.Module, state_dict: dict, prefix: str, source: str) -> None:
    # a checkpoint from before PyTorch 0.4.1 has no counters, and nothing depends on them
    wanted = {key: value for key, value in module.state_dict().items() if not key.endswith('num_batches_tracked')}
    found = {key.removeprefix(prefix): value for key, value in state_dict.items()}
    check_values(source, found, wanted)
    problems = differences(found, wanted)
    reshaped = problems.get('of another shape', [])
    unfilled = {*problems.get('missing', []), *reshaped}
    left = [key for key in wanted if key in unfilled]
    name = type(module).__name__
    if len(left) == len(wanted):
        raise CheckpointError(
            f'{source} fills none of the {len(wanted)} tensors of {name}: it has {grouped(state_dict)}; '
            f'wanted: {grouped(wanted)}', source,
            "For the checkpoint of a whole model, set prefix='backbone.' in init_cfg; for a published one, convert it first "
            '(tools/convert_checkpoint.py)', '. ')
    if any(key != 'stem.conv.weight' for key in reshaped):  # which other channels of the input change
        raise CheckpointError(f'{source} is a checkpoint of another arch than this {name}: {len(reshaped)} of its tensors '
                              f'have another shape: {grouped(reshaped)}', source)
    print_log(f'{name}: the pretrained checkpoint filled {len(wanted) - len(left)} of {len(wanted)} tensors'
              + (f'; not filled: {", ".join(left)}' if left else ''), logger='current',
              level=logging.WARNING if left else logging.INFO)
