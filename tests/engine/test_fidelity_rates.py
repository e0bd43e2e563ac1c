"""The learning rate at each traced iteration of the published training, from the configs' own optimiser and schedule."""
import csv
import json

import conftest
import pytest
import torch
from golden import worst
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

import mvit3_bench.registry  # noqa: F401  registers the schedulers

TRACES = conftest.ROOT / 'tests' / 'data' / 'training' / 'lr'
SUMMARIES = {name: summary for version in ('v1', 'v2')
             for name, summary in json.loads((TRACES / f'summary_{version}.json').read_text()).items()}
# trace -> recipe, config
CONFIGS = dict(
    imagenet_v1type=('imagenet_v1type', 'cls/mvit3_s_in1k'), imagenet_v2type=('imagenet_v2type', 'cls/mvit3_1.0_in1k'),
    imagenet_384_finetune=('imagenet_384', 'cls/mvit3_1.0_384_in1k'),
    coco_v1type_s=('coco_v1type', 'det/ssdlite_mvit3_s_coco'), coco_v1type_xs=('coco_v1type', 'det/ssdlite_mvit3_xs_coco'),
    coco_v1type_xxs=('coco_v1type', 'det/ssdlite_mvit3_xxs_coco'), coco_v2type=('coco_v2type', 'det/ssdlite_mvit3_1.0_coco'),
    voc_v1type_s=('voc_v1type', 'seg/deeplabv3_mvit3_s_voc2012'),
    voc_v1type_xxs=('voc_v1type', 'seg/deeplabv3_mvit3_xxs_voc2012'),
    voc_v2type_deeplabv3=('voc_v2type', 'seg/deeplabv3_mvit3_1.0_voc2012'),
    voc_v2type_pspnet=('voc_v2type', 'seg/pspnet_mvit3_1.0_voc2012'),
    ade20k_deeplabv3=('ade20k', 'seg/deeplabv3_mvit3_1.0_ade20k'), ade20k_pspnet=('ade20k', 'seg/pspnet_mvit3_1.0_ade20k'))


def groups_of(optimizer) -> dict[tuple[float, float], dict]:
    """The groups of an optimiser by weight decay and multiplier of the learning rate."""
    base = optimizer.defaults['lr']
    return {(group['weight_decay'], round(group.get('initial_lr', group['lr']) / base, 9)): group
            for group in optimizer.param_groups}


def build(cfg: Config, epoch_length: int):
    """The config's optimiser over one layer in the place of backbone and head each, and its schedulers."""
    model = torch.nn.ModuleDict({name: torch.nn.Conv2d(1, 1, 1) for name in ('backbone', 'decode_head')})
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    schedulers = [PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=optimizer, epoch_length=epoch_length))
                  for scheduler in cfg.param_scheduler]
    optimizer.step()  # all schedulers of torch's kind expect one before they step
    return optimizer, schedulers


def test_every_trace_has_a_config():
    """None is left out."""
    assert CONFIGS.keys() == SUMMARIES.keys() == {path.stem for path in TRACES.glob('*.csv')}


@pytest.mark.parametrize('trace', CONFIGS)
def test_rates(trace, fidelity):
    """Every row and group of the trace, read before the step, to the 8 decimals that the published trainer rounds to."""
    recipe, name = CONFIGS[trace]
    cfg, summary = Config.fromfile(conftest.ROOT / 'configs' / f'{name}.py'), SUMMARIES[trace]
    assert cfg.train_cfg.max_epochs == summary['epochs']
    optimizer, schedulers = build(cfg, summary['iterations_per_epoch'])
    keys = list(zip(summary['group_weight_decay'], summary['lr_multipliers'], strict=True))
    groups = groups_of(optimizer)
    assert groups.keys() == set(keys)
    columns = [groups[key] for key in keys]
    iteration, largest = 0, 0
    with (TRACES / f'{trace}.csv').open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        while iteration < int(row['iteration']):
            for scheduler in schedulers:
                scheduler.step()
            iteration += 1
        for number, group in enumerate(columns):
            expected = float(row[f'lr_group{number}'])
            largest = worst(largest, abs(group['lr'] - expected))
            assert largest < 1e-15, (row, number, group['lr'])
    assert len(rows) > 200 and iteration == summary['last'][1]
    fidelity('learning rate', recipe, measured=f'{len(rows)} rows of {trace} equal, all 8 decimals')
