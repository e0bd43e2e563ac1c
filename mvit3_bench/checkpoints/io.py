"""Reading checkpoints: untrusted input, so tensors and plain values only, and nothing about a mismatch stays unsaid.

Writing them: as a whole or not at all.
"""
import json
import logging
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from ..text import grouped
from .atomic import whole


class CheckpointError(RuntimeError):
    """A file is no checkpoint, or not one of this model; the message names it."""


def read_file(path: str | Path) -> dict:
    """Read a dictionary from a file without running anything in it (``weights_only=True``, or safetensors by suffix).

    Returns:
        What the file holds, tensors on the CPU.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is not a checkpoint, or holds more than tensors and plain values; or it is one of safetensors,
            and the package is not installed.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'checkpoint not found: {path}')
    safetensors = _safetensors(path)
    try:
        checkpoint = (safetensors.load_file(path) if safetensors else
                      torch.load(path, map_location='cpu', weights_only=True))
    except Exception as error:  # torch raises many types, depending on where a file breaks off
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f'{path} is not a checkpoint that can be read safely: {reason}') from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f'{path} holds no state dict: found {type(checkpoint).__name__} without tensors')
    return checkpoint


def read_checkpoint(path: str | Path) -> dict:
    """Read a checkpoint as MMEngine would, but safely.

    Returns:
        The dictionary it holds, on the CPU; tensors are under ``'state_dict'``, or at the top.

    Raises:
        FileNotFoundError, CheckpointError: As :func:`read_file`; or there are no tensors at these places.
    """
    checkpoint = read_file(path)
    if not any(isinstance(v, Tensor) for v in _state_dict(checkpoint).values()):
        raise CheckpointError(f'{path} holds no state dict: found {type(checkpoint).__name__} without tensors')
    return checkpoint


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
    safetensors = _safetensors(path)
    # a tensor may be a view of much more than itself, or of what another one views
    state_dict = {key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in state_dict.items()}
    with whole(path) as file:
        if safetensors:
            file.write(safetensors.save(state_dict, metadata=dict(format='pt', meta=json.dumps(meta or {}))))
        else:
            torch.save(state_dict if meta is None else dict(meta=meta, state_dict=state_dict), file)


def _safetensors(path: str | Path):
    """The module that reads and writes this file, None if that is torch itself."""
    if Path(path).suffix != '.safetensors':
        return None
    if not find_spec('safetensors'):
        raise CheckpointError(f'{path} needs the package safetensors: pip install safetensors')
    import safetensors.torch
    return safetensors.torch


def _state_dict(checkpoint: dict) -> dict:
    state_dict = checkpoint.get('state_dict', checkpoint)
    return state_dict if isinstance(state_dict, dict) else {}


def differences(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, list[str]]:
    """What keeps a state dict from loading with ``strict=True``: kind -> keys; empty if nothing does.

    The kinds are ``'missing'``, ``'unexpected'`` and ``'of another shape'``.
    """
    kinds = {
        'missing': [key for key in wanted if key not in found],
        'unexpected': [key for key in found if key not in wanted],
        'of another shape': [key for key in wanted if key in found and found[key].shape != wanted[key].shape]}
    return {kind: keys for kind, keys in kinds.items() if keys}


def check_fits(model: nn.Module, path: str | Path, any_head: bool = False) -> None:
    """Check that a checkpoint is one of this very model.

    Args:
        model: The model, whose backbone is ``model.backbone``.
        path: The file.
        any_head: For fine-tuning: only the backbone has to be this one; what else does not fit is logged, and trained anew.

    Raises:
        FileNotFoundError, CheckpointError: As :func:`read_checkpoint`; or the tensors are not those of the model: the
            message lists by group those that are missing, unexpected and of another shape.
    """
    found = _state_dict(read_checkpoint(path))
    wanted = (model.module if is_model_wrapper(model) else model).state_dict()  # DDP prefixes every key
    problems = differences(found, wanted)
    lines = [f'  {len(keys)} {kind}: {grouped(keys)}' for kind, keys in problems.items()]
    unfilled = problems.get('missing', []) + problems.get('of another shape', [])
    if any_head and not any(key.startswith('backbone.') for key in unfilled):
        if lines:
            message = f'{path} fits the backbone, but not the whole model; what does not fit is trained anew'
            print_log('\n'.join([message, *lines]), logger='current', level=logging.WARNING)
    elif lines:
        raise CheckpointError('\n'.join(
            [f'{path} is a checkpoint of another model ({len(found)} tensors, {len(wanted)} wanted)', *lines]))


def report_filled(module: nn.Module, state_dict: dict, prefix: str, *_) -> None:
    """Log how many of a module's tensors a state dict fills, and which not: a pre-hook of ``load_state_dict``.

    Raises:
        CheckpointError: It fills none; MMEngine would go on with random weights.
    """
    # a checkpoint from before PyTorch 0.4.1 has no counters, and nothing depends on them
    wanted = {key: value for key, value in module.state_dict().items() if not key.endswith('num_batches_tracked')}
    left = [key for key, value in wanted.items() if getattr(state_dict.get(prefix + key), 'shape', None) != value.shape]
    name = type(module).__name__
    if len(left) == len(wanted):
        raise CheckpointError(
            f'the pretrained checkpoint fills none of the {len(wanted)} tensors of {name}: it has {grouped(state_dict)}; '
            f"wanted: {grouped(wanted)}. For the checkpoint of a whole model, set prefix='backbone.' in init_cfg; for a "
            'published one, convert it first (tools/convert_checkpoint.py)')
    print_log(f'{name}: the pretrained checkpoint filled {len(wanted) - len(left)} of {len(wanted)} tensors'
              + (f'; not filled: {", ".join(left)}' if left else ''), logger='current')
