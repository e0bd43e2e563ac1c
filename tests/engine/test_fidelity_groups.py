"""Decay, learning-rate factor, clipping and precision: each parameter is optimised as in the published training."""
import csv
import json

import conftest
import golden
import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mvit3_bench.checkpoints import to_published
from mvit3_bench.paper.fidelity import RECIPES as CONFIG_OF
from mvit3_bench.registry import MODELS

TRAINING = golden.DATA / 'training'
BEST = json.loads((TRAINING / 'checkpoint.json').read_text())
# published table of parameters -> config, recipe, task
GROUPS = {
    'cls_v3_s': ('cls/mvit3_s_in1k', 'imagenet_v1type', 'classification'),
    'cls_v3_1.0': ('cls/mvit3_1.0_in1k', 'imagenet_v2type', 'classification'),
    'cls_v3_1.0_384_finetune': ('cls/mvit3_1.0_384_in1k', 'imagenet_384', 'classification'),
    'det_v3_s': ('det/ssdlite_mvit3_s_coco', 'coco_v1type', 'detection'),
    'det_v3_1.0': ('det/ssdlite_mvit3_1.0_coco', 'coco_v2type', 'detection'),
    'seg_deeplabv3_v3_s_voc': ('seg/deeplabv3_mvit3_s_voc2012', 'voc_v1type', 'segmentation'),
    'seg_pspnet_v2_1.0_voc': ('seg/pspnet_mvit2_1.0_voc2012', 'voc_v2type', 'segmentation'),
    'seg_pspnet_v3_1.0_voc': ('seg/pspnet_mvit3_1.0_voc2012', 'voc_v2type', 'segmentation'),
    'seg_deeplabv3_v3_1.0_ade20k': ('seg/deeplabv3_mvit3_1.0_ade20k', 'ade20k', 'segmentation'),
}
# learning-rate table -> a config with this recipe, and the recipe
RECIPES = {
    'imagenet_v1type': ('cls/mvit3_s_in1k', 'imagenet_v1type'),
    'imagenet_v2type': ('cls/mvit3_1.0_in1k', 'imagenet_v2type'),
    'imagenet_384_finetune': ('cls/mvit3_1.0_384_in1k', 'imagenet_384'),
    'coco_v1type_s': ('det/ssdlite_mvit3_s_coco', 'coco_v1type'),
    'coco_v1type_xs': ('det/ssdlite_mvit3_xs_coco', 'coco_v1type'),
    'coco_v1type_xxs': ('det/ssdlite_mvit3_xxs_coco', 'coco_v1type'),
    'coco_v2type': ('det/ssdlite_mvit3_1.0_coco', 'coco_v2type'),
    'voc_v1type_s': ('seg/deeplabv3_mvit3_s_voc2012', 'voc_v1type'),
    'voc_v1type_xxs': ('seg/deeplabv3_mvit3_xxs_voc2012', 'voc_v1type'),
    'voc_v2type_deeplabv3': ('seg/deeplabv3_mvit3_1.0_voc2012', 'voc_v2type'),
    'voc_v2type_pspnet': ('seg/pspnet_mvit3_1.0_voc2012', 'voc_v2type'),
    'ade20k_deeplabv3': ('seg/deeplabv3_mvit3_1.0_ade20k', 'ade20k'),
    'ade20k_pspnet': ('seg/pspnet_mvit3_1.0_ade20k', 'ade20k'),
}
# MobileViTv1 and v2: config -> batch of all processes and learning rate, where they differ from the v3 config of their type
OLDER = {
    'cls/mvit1_s_in1k': ('cls/mvit3_s_in1k', 1024, 2e-3), 'cls/mvit2_1.0_in1k': ('cls/mvit3_1.0_in1k', 1024, 2e-3),
    'det/ssdlite_mvit1_s_coco': ('det/ssdlite_mvit3_s_coco', 128, 9e-4),
    'det/ssdlite_mvit2_1.0_coco': ('det/ssdlite_mvit3_1.0_coco', 128, 9e-4),
    'seg/deeplabv3_mvit1_s_voc2012': ('seg/deeplabv3_mvit3_s_voc2012', 128, 9e-4),
    'seg/deeplabv3_mvit2_1.0_voc2012': ('seg/deeplabv3_mvit3_1.0_voc2012', 128, 5e-4),
    'seg/deeplabv3_mvit2_1.0_ade20k': ('seg/deeplabv3_mvit3_1.0_ade20k', 16, 0.02),
}
GROUPS_OF = {name: recipe for name in OLDER for path, recipe in RECIPES.values() if path == OLDER[name][0]}


def config(name: str) -> Config:
    return Config.fromfile(conftest.ROOT / 'configs' / f'{name}.py')


@pytest.mark.parametrize('name', GROUPS)
def test_parameter_groups(name, fidelity):
    """Weight decay and learning-rate factor of every parameter, by its published name."""
    path, recipe, task = GROUPS[name]
    with open(TRAINING / 'param_groups' / f'{name}.csv') as file:
        published = {row['name']: (float(row['weight_decay']), float(row['lr_multiplier'])) for row in csv.DictReader(file)}
    cfg = config(path)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    base = cfg.optim_wrapper.optimizer.lr
    ours = {parameter: (group['weight_decay'], group['lr'] / base) for group in groups for parameter in group['params']}
    # each tensor is filled with the number of its setting, and keeps it under its published name
    settings = sorted(set(ours.values()))
    numbered = {key: value.detach().clone() for key, value in model.state_dict().items()}
    for key, parameter in model.named_parameters():
        numbered[key] = numbered[key].fill_(settings.index(ours[parameter]))
    found = {}
    for key, value in to_published(numbered, task).items():
        if key in published:
            number, = value.unique().tolist()
            found[key] = settings[int(number)]
    assert set(found) == set(published)
    wrong = {key: (found[key], published[key]) for key in published if found[key] != pytest.approx(published[key])}
    assert not wrong
    fidelity('parameter groups', recipe, measured=f'{len(wrong)} of {len(published)} differ')


@pytest.mark.parametrize('name', RECIPES)
def test_optimiser(name, fidelity):
    """Kind and constants of the optimiser and of the average, gradient clipping, epochs, batch and precision."""
    tree = 'v1' if 'v1type' in name else 'v2'
    published = json.loads((TRAINING / 'lr' / f'summary_{tree}.json').read_text())[name]
    path, recipe = RECIPES[name]
    cfg = config(path)
    optimizer = cfg.optim_wrapper.optimizer
    assert optimizer.type.lower() == published['optimizer']
    assert set(published['group_weight_decay']) <= {0.0, optimizer.weight_decay}
    if optimizer.type == 'AdamW':
        assert optimizer.get('betas', (0.9, 0.999)) == tuple(published['betas'])
        assert optimizer.get('eps', 1e-8) == published['eps'] and not optimizer.get('amsgrad')
    else:
        assert optimizer.momentum == published['momentum'] and not optimizer.get('dampening')
        assert optimizer.get('nesterov', False) == published['nesterov']
    clip = cfg.optim_wrapper.get('clip_grad')
    assert (clip and clip.max_norm) == published['grad_clip'] and (not clip or clip.get('norm_type', 2) == 2)
    assert cfg.train_cfg.max_epochs == published['epochs']
    average, = (hook for hook in cfg.custom_hooks if hook.type == 'mvit3_bench.EMAHook')
    assert average.momentum == published['ema_momentum'] and average.update_buffers
    fidelity('parameter groups', recipe, measured='optimiser and clipping equal')
    batch = published['processes'] * published['batch_per_process']
    ours = cfg.auto_scale_lr.base_batch_size
    fidelity('parameter groups', recipe, measured=f'batch {ours}, published {batch}',
             differs=None if ours == batch else 'D14')
    each, theirs = cfg.train_dataloader.batch_size, published['batch_per_process']
    fidelity('parameter groups', recipe, measured=f'{each} images a process, published {theirs} ({name})',
             differs=None if each == theirs else 'D14')
    assert published['mixed_precision'] and cfg.optim_wrapper.type == 'OptimWrapper'
    fidelity('parameter groups', recipe, measured='float32, published float16 autocast', differs='D17')


@pytest.mark.parametrize('recipe', BEST['recipes'])
def test_best_checkpoint(recipe, fidelity):
    """By which figure of the averaged model, and how often it is looked at."""
    cfg, published = config(CONFIG_OF[recipe].removesuffix('.py')), BEST['recipes'][recipe]
    figures = {'accuracy/top1': 'top1', 'coco/bbox_mAP': 'mAP', 'mIoU': 'mIoU'}  # of each, more is better
    chosen = cfg.default_hooks.checkpoint.save_best
    equal = (figures[chosen], 'max') == (published['metric'], published['rule'])
    assert cfg.train_cfg.val_interval == BEST['every_epochs'] and (equal or recipe == 'coco_v1type')
    words = f'by {chosen} after every epoch' + f', published by the {published["metric"]}' * (not equal)
    fidelity('best checkpoint', recipe, measured=words, differs=None if equal else 'D16')


def settings_of(node, path: str = '') -> dict:
    """Every setting of a config, by its path."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, (list, tuple)) else None
    if not items:
        return {path: node}
    return {key: value for name, part in items for key, value in settings_of(part, f'{path}.{name}').items()}


@pytest.mark.parametrize('name', OLDER)
def test_older_models(name, fidelity):
    """v1 and v2 have batch and learning rate of their own; all else is the v3 config of the same type."""
    reference, batch, rate = OLDER[name]
    cfg, v3 = config(name), config(reference)
    assert cfg.auto_scale_lr.base_batch_size == batch and cfg.optim_wrapper.optimizer.lr == rate
    assert batch % cfg.train_dataloader.batch_size == 0
    ours, others = settings_of(cfg.to_dict()), settings_of(v3.to_dict())
    unlike = {key for key in ours.keys() | others.keys() if ours.get(key, '-') != others.get(key, '-')}
    allowed = {'.auto_scale_lr.base_batch_size', '.train_dataloader.batch_size'}
    if cfg.optim_wrapper.optimizer.lr != v3.optim_wrapper.optimizer.lr:
        allowed |= {'.optim_wrapper.optimizer.lr', '.param_scheduler.0.warmup_start_factor',
                    '.param_scheduler.0.eta_min_ratio'}
    assert {key for key in unlike - allowed if not key.startswith('.model.')} == set()
    assert {key.split('.')[-1] for key in unlike if key.startswith('.model.')} <= {'type', 'arch', 'in_channels', '0', '1'}
    fidelity('parameter groups', GROUPS_OF[name],
             measured=f'v1, v2: {len(unlike)} settings differ from v3, all as described')
