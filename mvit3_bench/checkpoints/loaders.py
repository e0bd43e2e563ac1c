"""MMEngine's way to a checkpoint, led through ours: ``load_from``, ``init_cfg``, ``resume``, ``get_model``, the inferencers.

Theirs is ``torch.load`` as the environment has it, for an address on the web even with ``weights_only=False``, and then text
that the file holds is run as Python. Ours reads safetensors too.
"""
import functools
import hashlib
import logging
import os
import re
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.infer import BaseInferencer
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

from ..errors import UsageError, first_line
from .io import CheckpointError, read_file

UNSAFE = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'


def load_from_local(filename: str, map_location=None) -> dict:
    """Read a file: MMEngine's loader for everything without a separate scheme, such as ``https://``.

    Raises:
        FileNotFoundError, CheckpointError: As :func:`~.io.read_file`.
    """
    checkpoint = _without_config(read_file(os.path.expanduser(filename), map_location or 'cpu'), filename)
    for part in (checkpoint, checkpoint.get('state_dict', {})):
        if not isinstance(part, dict) or not all(isinstance(key, str) for key in part):
            raise CheckpointError(f'{filename} holds no state dict: keys that are no text', filename)
    return checkpoint


def load_url(url: str, model_dir: str | None = None, map_location=None, progress: bool = True) -> dict:
    """Download a file, unless torch has it in its cache, and read it: stands for torch's function of this name.

    Raises:
        CheckpointError: As :func:`~.io.read_file`.
    """
    return load_from_local(str(fetch(url, model_dir, progress)), map_location)


def fetch(url: str, model_dir: str | None = None, progress: bool = True) -> Path:
    """Download a file, unless torch has it in its cache; where it lies.

    Names that end in a hash, as those of torch and OpenMMLab do, lie where torch has them, others in a folder for their
    address.

    Raises:
        UsageError: The address cannot be reached, or names no file.
    """
    try:
        name = Path(urlparse(url).path).name
    except ValueError as error:
        raise UsageError(f'{url} is no address: {error}', url) from error
    folder = Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints')
    if not re.search(r'[-_][0-9a-f]{8,}\.\w+$', name):
        folder = folder / hashlib.sha256(url.encode()).hexdigest()[:16]
    file = folder / name
    if not name:
        raise UsageError(f'{url} names no file', url)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(file), progress=progress)
        except (OSError, ValueError, HTTPException) as error:
            raise UsageError(f'{url} cannot be downloaded: {first_line(error)}', url) from error
    return file


def _without_config(checkpoint: dict, filename: str) -> dict:
    """Take away the text that ``Runner.resume`` would run as Python; only mmcv 1.x wrote it, whose runs it cannot resume."""
    if checkpoint.get('meta', {}).pop('config', None) is not None:
        print_log(f'{filename}: left out meta.config, a text that MMEngine would run as Python on resuming',
                  logger='current')
    return checkpoint


def _asking_for_config(init_model):
    @functools.wraps(init_model)
    def checked(self, cfg, weights, device='cpu'):
        if not cfg:
            raise CheckpointError(
                f'{weights}: no config is given, and the one that a checkpoint brings is Python, which mvit3_bench does not '
                'run', weights,
                "pass a config you trust as `model` (the checkpoint's own is the text meta.cfg, to be looked at)", ': ')
        return init_model(self, cfg, weights, device)
    return checked


def _load(file, map_location=None, weights_only=None):
    """In the fork onedl-mmengine: stands for a function that reads a file unsafely after torch has refused to read it."""
    return torch.load(file, map_location=map_location, weights_only=True)


def install() -> None:
    """Lead MMEngine's loads through :func:`~.io.read_file`; a second call changes nothing."""
    if mmengine_checkpoint.load_url is load_url:
        return
    if os.environ.pop(UNSAFE, None) is not None:
        print_log(f'{UNSAFE} is ignored: mvit3_bench loads no checkpoint that could run code', logger='current',
                  level=logging.WARNING)
    CheckpointLoader.register_scheme('', load_from_local, force=True)
    mmengine_checkpoint.load_url = load_url
    if hasattr(mmengine_checkpoint, '_safe_torch_load'):
        mmengine_checkpoint._safe_torch_load = _load
    BaseInferencer._init_model = _asking_for_config(BaseInferencer._init_model)
