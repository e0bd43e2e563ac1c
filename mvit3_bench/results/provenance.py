"""The result of a test, with its provenance, for the store of results."""
import datetime
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device

from ..checkpoints.io import read_checkpoint
from ..datasets.configs import data_sets
from ..engine.run_config import run_name
from ..errors import ResultError
from ..mmlab.backbone_names import name_of
from ..registry import type_name
from ..utils import environment as machine
from ..utils.paths import MIM
from .store import CONVERTED, TRAINED, Result, check, sha256

_TASKS = dict(mmpretrain='classification', mmdet='detection', mmseg='segmentation')


def find_provenance(checkpoint: str | None) -> dict[str, str | int | None]:
    """Where the weights of a checkpoint are from: the fields ``origin, checkpoint, sha256, source, seed`` of a result.

    Args:
        checkpoint: The file; None for an untrained model.

    Raises:
        ResultError: The model is untrained, or the file does not tell where its weights are from.
        FileNotFoundError, CheckpointError: As :func:`mvit3_bench.checkpoints.reading.read_checkpoint`.
    """
    if checkpoint is None:
        raise ResultError('--record is not possible with "none": an untrained model has no result')
    meta = read_checkpoint(checkpoint).get('meta', {})
    fields = dict(checkpoint=Path(checkpoint).name, sha256=sha256(checkpoint), source='', seed=None)
    if 'names' in meta and 'source' in meta:  # as tools/convert_checkpoint.py writes them
        return fields | dict(origin=CONVERTED, source=str(meta['source']))
    if 'cfg' not in meta or 'iter' not in meta:
        raise ResultError(f'--record: {checkpoint} does not tell where its weights are from', checkpoint,
                          'convert published ones with tools/convert_checkpoint.py, train your own with tools/train.py')
    if meta['iter'] == 0:
        raise ResultError(f'--record is not possible with {checkpoint}: it was saved before the first iteration', checkpoint)
    seed = meta.get('seed')
    return fields | dict(origin=TRAINED, seed=seed if type(seed) is int else None)


def draft_result(cfg: Config, config: str, mini: bool, provenance: dict, backbone: str | None = None) -> Result:
    """The result of a test that is yet to run: with all fields but ``images`` and ``metrics``.

    Args:
        cfg: The config of the run.
        config: The config as the command line names it.
        mini: Whether it is on miniature data.
        provenance: Of the weights, from :func:`find_provenance`.
        backbone: What ``--backbone`` names.

    Raises:
        ResultError: A field is impossible, such as the name of the config.
    """
    found = machine.describe(torch.device(get_device()))
    commit, now = found.pop('commit', None), datetime.datetime.now()
    dataset = next(iter(data_sets(cfg.test_dataloader).values()))
    name = run_name(config, backbone) + '_mini' * mini
    draft = Result(
        id=f'{name}-{provenance["sha256"][:8]}-{now:%Y%m%dT%H%M%S}', model=name_of(cfg.model.backbone),
        config=config_name(config) + (f' --backbone {backbone}' if backbone else ''),
        task=_TASKS.get(cfg.default_scope, cfg.default_scope), mini=mini,
        dataset=f'{type_name(dataset)} in {dataset.get("data_root", "?")}', images=1, metrics={'none': 0.0}, commit=commit,
        hardware=machine.line(found), date=now.date().isoformat(),
        command=machine.command_line(), **provenance)
    check(draft)
    return draft


def config_name(config: str) -> str:
    """Path of a config below ``configs/``; of one that is not ours, as it is."""
    ours, path = (MIM / 'configs').resolve(), Path(config).resolve()
    return path.relative_to(ours).as_posix() if path.is_relative_to(ours) else config
