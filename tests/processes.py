"""How the tests of distributed training start processes, and recipes without chance, in which one and two agree."""
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

ENV = dict(os.environ, PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}', PYTHONPATH=f'{ROOT}:{ROOT / "tests"}',
           OMP_NUM_THREADS='1')
# batch norms over the joint batch, which torch's own need a GPU for
_JOINT = """
custom_imports = dict(imports=['mvit3_bench.compat', 'sync_batch_norm'], allow_failed_imports=False)
model_wrapper_cfg = dict(type='mvit3_bench.JointModel', broadcast_buffers=False, device_ids=None)
sync_bn = None
"""
# the real recipe, model and schedule; images only resized and no dropout
_CLASSIFICATION = """
_base_ = ['{root}/configs/cls/mvit3_xxs_in1k.py']
load = dict(type='mvit3_bench.Load', transforms=[dict(type='LoadImageFromFile', imdecode_backend='pillow')])
# a crop of the whole image, at the size that the batch sampler chose
crop = dict(type='RandomResizedCrop', scale=256, crop_ratio_range=(1.0, 1.0), aspect_ratio_range=(1.0, 1.0))
train_dataloader = dict(
    batch_sampler=dict(sizes=(128, 256)),  # batches that two processes can halve
    dataset=dict(pipeline=[dict(type='mvit3_bench.MultiScale', transforms=[load, crop]), dict(type='PackInputs')]))
model = dict(backbone=dict(drop_rate=0.0), head=dict(drop_rate=0.0))
"""
_DETECTION = """
_base_ = ['{root}/configs/det/ssdlite_mvit3_xxs_coco.py']
pipeline = [step for step in _base_.train_pipeline if step['type'] in ('mvit3_bench.Load', 'Resize', 'PackDetInputs')]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
model = dict(backbone=dict(drop_rate=0.0))
"""
_SEGMENTATION = """
_base_ = ['{root}/configs/seg/deeplabv3_mvit3_xxs_voc2012.py']
pipeline = [step for step in _base_.train_pipeline if step['type'] == 'mvit3_bench.Load']
pipeline += [dict(type='Resize', scale=(512, 512), keep_ratio=False), dict(type='PackSegInputs')]
train_dataloader = dict(dataset=dict(datasets=[
    dict(part, pipeline=pipeline) for part in _base_.train_dataloader.dataset.datasets]))
model = dict(backbone=dict(drop_rate=0.0), decode_head=dict(dropout_ratio=0.0))
"""
RECIPES = dict(classification=_CLASSIFICATION, detection=_DETECTION, segmentation=_SEGMENTATION)
# of each task: the batch of all processes, and settings for two epochs of a few iterations
SETTINGS = dict(
    classification=(16, ['train_dataloader.dataset.indices=96']),
    detection=(8, ['train_dataloader.dataset.indices=24']),
    segmentation=(8, ['train_dataloader.dataset.datasets.0.indices=12', 'train_dataloader.dataset.datasets.1.indices=12']))
SHORT = ['train_cfg.max_epochs=2', 'train_cfg.val_interval=2', 'val_dataloader.dataset.indices=5', 'randomness.seed=0',
         'default_hooks.logger.interval=1', 'log_processor.window_size=1',
         # a gradient that is zero, as of a bias before a norm, is rounding, of which Adam makes whole steps if none is small
         # and with larger steps the norms over few values (1x1 maps) let rounding double at each; at the recipe's own
         # eps and rate one process drifts from itself as far as two do: docs/distributed.md has the figures
         'optim_wrapper.optimizer.eps=1e-3', 'optim_wrapper.optimizer.lr=1e-4']


def fixed_recipe(folder: Path, task: str) -> Path:
    """Write the recipe of a task without chance into a folder."""
    config = folder / f'{task}.py'
    config.write_text(RECIPES[task].format(root=ROOT) + _JOINT)
    return config


def flags(task: str, processes: int) -> list[str]:
    """``--cfg-options`` for a share of the batch."""
    batch, settings = SETTINGS[task]
    return ['--mini', '--cfg-options', *SHORT, *settings, f'train_dataloader.batch_size={batch // processes}']


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return server.getsockname()[1]


def begin(script: str, *args, **env) -> subprocess.Popen:
    """Start a file of tools/ as a user would, with variables of its environment."""
    interpreter = 'bash' if script.endswith('.sh') else sys.executable
    return subprocess.Popen([interpreter, str(ROOT / 'tools' / script), *map(str, args)], text=True, start_new_session=True,
                            env=ENV | {'PORT': str(free_port())} | {name: str(value) for name, value in env.items()},
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def output(process: subprocess.Popen, seconds: float = 300) -> str:
    """What a process has printed, once it has ended well."""
    text, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, text
    return text


def records(run: Path) -> list[dict]:
    """What a run logged of each iteration, the numbers as they were."""
    lines = next(run.glob('*/vis_data/scalars.json')).read_text().splitlines()
    return [record for record in map(json.loads, lines) if 'loss' in record]
