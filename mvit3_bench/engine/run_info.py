"""The run info: code, configuration, seed and data of a run, in a form for logs and checkpoints."""
import ast
import hashlib
import os
import sys
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import Dataset

from .. import __version__
from ..utils import environment

RunInfo = dict[str, str | int | bool | dict | None]
_PACKAGES = ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain', 'numpy', 'cv2')
_START = ('work_dir', 'launcher', 'resume', 'load_from')  # where and how a run starts, not what it computes
_SIZES = 1000  # samples whose file sizes are read, at most: on a network drive this takes seconds
_CHUNK = 10_000  # samples hashed at once


def collect_run_info(runner: Runner) -> RunInfo:
    """Collect the run info of a runner whose loops are built and whose seed is set."""
    from ..mmlab.backbone_names import name_of  # at the start it would import all frameworks: no config has named one yet
    loops = {mode: getattr(runner, f'_{mode}_loop') for mode in ('train', 'val', 'test')}
    return dict(
        version=__version__, commit=environment.commit(), machine=environment.hardware(torch.device(get_device())),
        packages={name: str(sys.modules[name].__version__) for name in _PACKAGES if name in sys.modules},
        seed=runner.seed, deterministic=torch.are_deterministic_algorithms_enabled(), processes=runner.world_size,
        backbone=name_of((runner.cfg.get('model') or {}).get('backbone') or {}), config=config_hash(runner.cfg.pretty_text),
        checkpoint=runner._load_from,
        data={mode: fingerprint(loop.dataloader.dataset) for mode, loop in loops.items() if isinstance(loop, BaseLoop)})


def text_of(run_info: RunInfo) -> str:
    """Format a run info for the log, one line for each part."""
    code = f'commit {run_info["commit"]}' if run_info['commit'] else 'no checkout'
    return '\n'.join([
        f'run of mvit3_bench {run_info["version"]} ({code})',
        f'  machine: {environment.line(run_info["machine"])}',
        f'  packages: {", ".join(f"{name} {version}" for name, version in run_info["packages"].items())}',
        f'  seed {run_info["seed"]}, deterministic: {run_info["deterministic"]}, processes: {run_info["processes"]}',
        f'  backbone {run_info["backbone"]}, config {run_info["config"]}',
        *(f'  {mode} data: {data["samples"]} samples, {data["hash"]}' for mode, data in run_info['data'].items())])


# ------------------------------------------------------------------------------------------------ the config
def settings(text: str) -> dict[str, str]:
    """Every setting of a config by its dotted key, without what says where and how a run starts.

    Args:
        text: The config as MMEngine writes it. It is parsed and never run, since it may come out of a checkpoint.

    Raises:
        ValueError: The text is no config.
    """
    try:
        statements = [each for each in ast.parse(text).body if isinstance(each, ast.Assign)]
        found = dict(each for statement in statements
                     for each in _leaves(ast.unparse(statement.targets[0]), statement.value))
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f'not a config: {error}') from error
    return {key: value for key, value in found.items() if key not in _START}


def _leaves(key: str, node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Call):
        parts = [(keyword.arg, keyword.value) for keyword in node.keywords]
    elif isinstance(node, ast.Dict):
        parts = [(ast.unparse(name), value) for name, value in zip(node.keys, node.values, strict=True)]
    elif isinstance(node, (ast.List, ast.Tuple)):
        parts = list(enumerate(node.elts))
    else:
        parts = []
    if not parts:
        yield key, ast.unparse(node)
    for name, value in parts:
        yield from _leaves(f'{key}.{name}', value)


def config_hash(text: str) -> str:
    """A hash of what a config computes: the same wherever the run writes, and however it is started.

    Args:
        text: The config as MMEngine writes it.
    """
    return _short(hashlib.sha256('\n'.join(f'{key}={value}' for key, value in sorted(settings(text).items())).encode()))


def changes(before: str, after: str) -> list[str]:
    """``key: value before -> value after``, for each setting that differs between the texts of two configs.

    Raises:
        ValueError: One of the texts is no config.
    """
    old, new = settings(before), settings(after)
    return [f'{key}: {old.get(key, "absent")} -> {new.get(key, "absent")}'
            for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]


# ------------------------------------------------------------------------------------------------ the data
def fingerprint(dataset: Dataset) -> dict[str, int | str | None]:
    """The number of samples and a hash of all annotations as loaded: names of the files below the root, labels, boxes.

    Pixels are not read. Of up to 1000 samples, evenly spaced, the sizes of the files belong to it.

    Args:
        dataset: A data set of MMEngine, fully initialised, or one that wraps or joins such. Of another, only the samples
            are counted.
    """
    digest, parts = hashlib.sha256(), list(_parts(dataset))
    for part in parts:
        root, step = str(part.data_root or '').rstrip('/'), max(1, -(-len(part) // _SIZES))
        for start in range(0, len(part), _CHUNK):
            infos = [part.get_data_info(index) for index in range(start, min(start + _CHUNK, len(part)))]
            with np.printoptions(threshold=sys.maxsize):  # long arrays, too, without dots
                text = repr(infos)
            digest.update(text.replace(root, '').encode(errors='surrogateescape'))
        for index in range(0, len(part), step):
            info = part.get_data_info(index)
            files = filter(os.path.isfile, (info[key] for key in ('img_path', 'seg_map_path') if info.get(key)))
            digest.update(repr([os.path.getsize(file) for file in files]).encode())
    return dict(samples=len(dataset), hash=_short(digest) if parts else None)


def _parts(dataset: Dataset) -> Iterator[Dataset]:
    """The data sets with annotations in a data set: itself, or those that it joins or wraps."""
    inner = getattr(dataset, 'datasets', None) or [
        part for part in (getattr(dataset, name, None) for name in ('dataset', '_dataset')) if part is not None]
    if not inner and hasattr(dataset, 'get_data_info'):
        yield dataset
    for part in inner:
        yield from _parts(part)


def _short(digest) -> str:
    return digest.hexdigest()[:16]
