"""The recipes of the configs have the published numbers, and are the same for all models of a family."""
import re
from collections import Counter

import conftest
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from test_configs import arch_of

from mvit3_bench.engine.input_size import input_size
from mvit3_bench.errors import UsageError
from mvit3_bench.registry import MODELS

CONFIGS = conftest.CONFIGS


def test_recipe_of_the_ablation():
    """Each step turns one more change on, in the paper's order, and nothing else differs; 100 epochs at batch 192."""
    steps = [Config.fromfile(path) for path in CONFIGS if path.parent.name == 'ablation']
    changes = ('pointwise_fusion', 'fuse_local', 'input_residual', 'depthwise_local')
    assert len(steps) == 5
    for number, cfg in enumerate(steps):
        arch = arch_of(cfg)
        assert [getattr(arch, change) for change in changes] == [index < number for index in range(4)]
        assert cfg.train_cfg.max_epochs == cfg.param_scheduler[0].end == 100
        assert cfg.auto_scale_lr.base_batch_size == 4 * cfg.train_dataloader.batch_size == 192
        cfg.model.backbone.arch = steps[0].model.backbone.arch
        assert cfg.to_dict() == steps[0].to_dict()


def test_recipe_of_fine_tuning():
    """The numbers of the published recipe at 384, for each width."""
    paths = [path for path in CONFIGS if '_384_' in path.name]
    assert len(paths) == 10
    for path in paths:
        cfg = Config.fromfile(path)
        optimizer = cfg.optim_wrapper.optimizer
        assert (optimizer.type, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ('SGD', 1e-3, 0.9, 4e-5)
        assert cfg.optim_wrapper.paramwise_cfg == dict(norm_decay_mult=0.0, bias_decay_mult=0.0)
        assert cfg.param_scheduler == [] and cfg.train_cfg.max_epochs == 10 and cfg.custom_hooks[0].momentum == 5e-5
        assert cfg.auto_scale_lr.base_batch_size == 2 * cfg.train_dataloader.batch_size == 128
        assert not cfg.model.train_cfg and [step.type for step in cfg.train_dataloader.dataset.pipeline] == [
            'mvit3_bench.Load', 'RandomResizedCrop', 'RandomFlip', 'PackInputs']
        assert input_size(cfg) == (384, 384)


def schedule_of(cfg: Config) -> tuple[int, float, float, int]:
    """Iterations of the warm-up, first rate, minimum and epochs of a config, to 12 decimals."""
    scheduler, = cfg.param_scheduler
    assert scheduler.type == 'mvit3_bench.WarmupCosineLR' and scheduler.end == cfg.train_cfg.max_epochs
    lr = cfg.optim_wrapper.optimizer.lr
    first, last = (round(lr * scheduler.get(key, 1), 12) for key in ('warmup_start_factor', 'eta_min_ratio'))
    return scheduler.warmup_iters, first, last, scheduler.end


@pytest.mark.parametrize('name', ['mvit3_xxs', 'mvit3_0.5'])
def test_recipe_of_imagenet(name):
    """The numbers of the two published recipes."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'cls' / f'{name}_in1k.py')
    v2_type = name == 'mvit3_0.5'
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', 2e-3, 0.05 if v2_type else 0.01)
    assert schedule_of(cfg) == ((20000, 1e-6, 2e-4, 300) if v2_type else (3000, 2e-4, 2e-4, 300))
    assert cfg.auto_scale_lr.base_batch_size == 6 * cfg.train_dataloader.batch_size == (1020 if v2_type else 384)
    assert cfg.custom_hooks[0].momentum == 5e-4 and cfg.custom_hooks[0].update_buffers
    assert cfg.sync_bn is None and cfg.model.head.loss.label_smooth_val == 0.1
    assert [(step.type, step.get('scale', step.get('crop_size'))) for step in cfg.test_dataloader.dataset.pipeline[1:3]] == [
        ('ResizeEdge', 288), ('CenterCrop', 256)]
    steps = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    if v2_type:
        assert cfg.optim_wrapper.clip_grad.max_norm == 10
        assert cfg.optim_wrapper.paramwise_cfg == dict(norm_decay_mult=0.0, bias_decay_mult=0.0)
        assert [(each.type, each.alpha) for each in cfg.model.train_cfg.augments] == [('Mixup', 0.2), ('CutMix', 1.0)]
        assert steps == ['mvit3_bench.Load', 'RandomResizedCrop', 'RandomFlip', 'NumpyToPIL', 'torchvision/RandAugment',
                         'PILToNumpy', 'RandomErasing', 'PackInputs']
        assert 'batch_sampler' not in cfg.train_dataloader
    else:
        assert set(cfg.optim_wrapper) == {'type', 'optimizer'} and 'train_cfg' not in cfg.model
        assert steps == ['mvit3_bench.MultiScale', 'RandomFlip', 'PackInputs']
        assert cfg.train_dataloader.batch_sampler.sizes == (160, 192, 256, 288, 320)


@pytest.mark.parametrize('name, lr, weight_decay', [
    ('mvit3_s', 4e-3, 0.01), ('mvit1_xs', 9e-4, 0.01), ('mvit3_1.0', 9e-4, 0.05)])
def test_recipe_of_coco(name, lr, weight_decay):
    """The numbers of the published recipes."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'det' / f'ssdlite_{name}_coco.py')
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', lr, weight_decay)
    assert schedule_of(cfg) == (500, 9e-5, 1e-6, 200)
    assert cfg.auto_scale_lr.base_batch_size == 4 * cfg.train_dataloader.batch_size == 128
    assert cfg.custom_hooks[0].momentum == 5e-4 and cfg.sync_bn == 'torch'
    v1_type = name != 'mvit3_1.0'
    assert [step.type for step in cfg.train_dataloader.dataset.pipeline] == [
        'mvit3_bench.Load', 'mvit3_bench.SSDCrop', f'mvit3_bench.PhotometricDistortionV{1 if v1_type else 2}', 'RandomFlip',
        'Resize', 'PackDetInputs']
    assert cfg.test_dataloader.dataset.pipeline[1] == dict(
        type='Resize', scale=(320, 320), keep_ratio=False,
        **({} if v1_type else dict(backend='pillow', interpolation='bicubic')))


def test_recipe_of_ade20k():
    """The numbers of the published recipe."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_1.0_ade20k.py')
    optimizer, clip = cfg.optim_wrapper.optimizer, cfg.optim_wrapper.clip_grad
    assert (optimizer.type, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ('SGD', 0.02, 0.9, 1e-4)
    assert clip.max_norm == 10 and cfg.optim_wrapper.paramwise_cfg.norm_decay_mult == 0
    assert schedule_of(cfg) == (0, 0.02, 2e-4, 120)
    assert cfg.auto_scale_lr.base_batch_size == 16
    assert cfg.model.backbone.output_stride == 8 and cfg.model.decode_head.dilations == (1, 12, 24, 36)
    assert cfg.model.auxiliary_head.loss_decode.loss_weight == 0.4
    assert cfg.custom_hooks[0].momentum == 5e-4 and cfg.custom_hooks[0].update_buffers and cfg.sync_bn == 'torch'
    assert cfg.optim_wrapper.paramwise_cfg == dict(norm_decay_mult=0.0, bias_decay_mult=0.0)
    assert cfg.model.decode_head.channels == 512 and cfg.model.decode_head.align_corners
    assert cfg.model.data_preprocessor.size == (512, 512)


@pytest.mark.parametrize('name', ['deeplabv3_mvit3_s', 'deeplabv3_mvit3_1.0', 'pspnet_mvit2_0.5'])
def test_recipe_of_voc2012(name):
    """The numbers of the two published recipes."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / f'{name}_voc2012.py')
    v2_type = name != 'deeplabv3_mvit3_s'
    optimizer = cfg.optim_wrapper.optimizer
    lr, batch = (5e-4, 128) if v2_type else (9e-4, 48)
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', lr, 0.05 if v2_type else 0.01)
    assert schedule_of(cfg) == (500, 5e-5 if v2_type else 9e-5, 1e-6, 50)
    assert cfg.auto_scale_lr.base_batch_size == 4 * cfg.train_dataloader.batch_size == batch
    assert cfg.custom_hooks[0].momentum == 5e-4 and cfg.sync_bn == 'torch' and ('clip_grad' in cfg.optim_wrapper) == v2_type
    assert cfg.model.backbone.output_stride == 16 and cfg.model.data_preprocessor.size == (512, 512)
    head = cfg.model.decode_head
    assert (head.get('dilations', head.get('pool_scales')), head.channels, head.align_corners) == (
        (1, 2, 3, 6) if name.startswith('pspnet') else (1, 6, 12, 18), 512 if v2_type else 256, v2_type)
    extra = cfg.train_dataloader.dataset.datasets[1]
    assert (extra.ann_file, extra.data_prefix.seg_map_path) == ('ImageSets/Segmentation/aug.txt', 'SegmentationClassAug')
    ade20k = Config.fromfile(conftest.ROOT / 'configs' / '_base_' / 'datasets' / 'ade20k.py')
    if v2_type:
        assert cfg.model.auxiliary_head.loss_decode.loss_weight == 0.4
        assert cfg.optim_wrapper.paramwise_cfg == dict(norm_decay_mult=0.0, bias_decay_mult=0.0)
        assert extra.pipeline == ade20k.train_pipeline
    else:
        assert 'auxiliary_head' not in cfg.model
        assert [step.type for step in extra.pipeline] == [
            'mvit3_bench.Load', 'mvit3_bench.ResizeShortSide', 'mvit3_bench.ResizeShortSide', 'RandomCrop', 'RandomFlip',
            'PackSegInputs']
    assert (cfg.test_dataloader.dataset.pipeline == ade20k.test_pipeline) == v2_type
    assert cfg.model.test_cfg == (dict(mode='whole') if v2_type else dict(mode='whole', resize='nearest'))
    assert cfg.model.data_preprocessor.get('test_divisor') == (16 if v2_type else None)


def rates_of(cfg: Config, batches: int, factors=(1,)) -> np.ndarray:
    """The rate at each iteration (rows) of groups of parameters with such factors, in epochs of so many batches."""
    lr = cfg.optim_wrapper.optimizer.lr
    optimizer = torch.optim.SGD([dict(params=[torch.zeros(1)], lr=lr * factor) for factor in factors])
    optimizer.step()
    schedulers = [PARAM_SCHEDULERS.build(scheduler | dict(_scope_=cfg.default_scope), default_args=dict(
        optimizer=optimizer, epoch_length=batches)) for scheduler in cfg.param_scheduler]
    rates = np.empty((cfg.train_cfg.max_epochs * batches, len(factors)))
    for row in rates:
        row[:] = [group['lr'] for group in optimizer.param_groups]
        for scheduler in schedulers:
            scheduler.step()
    return rates


@pytest.mark.parametrize('name, batches, warm_up, first, peak, last', [
    ('cls/mvit3_xxs_in1k', 246, 3000, 2e-4, 2e-3, 2e-4), ('cls/mvit3_0.5_in1k', 126, 20000, 1e-6, 2e-3, 2e-4),
    ('ablation/step4_depthwise_local_in1k', 492, 3000, 2e-4, 2e-3, 2e-4),
    ('det/ssdlite_mvit3_s_coco', 92, 500, 9e-5, 4e-3, 1e-6), ('det/ssdlite_mvit3_1.0_coco', 92, 500, 9e-5, 9e-4, 1e-6),
    ('seg/deeplabv3_mvit3_s_voc2012', 83, 500, 9e-5, 9e-4, 1e-6),
    ('seg/pspnet_mvit2_0.5_voc2012', 83, 500, 5e-5, 5e-4, 1e-6),
    ('seg/deeplabv3_mvit3_1.0_ade20k', 126, 0, 0.02, 0.02, 2e-4)])
def test_learning_rate(name, batches, warm_up, first, peak, last):
    """At each iteration: a line towards the published maximum, then a cosine by epochs; with a tenth of the batches."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / f'{name}.py')
    rates = rates_of(cfg, batches)[:, 0]
    iterations, epochs = np.arange(len(rates)), cfg.train_cfg.max_epochs
    line = first + (peak - first) * iterations / max(warm_up, 1)
    cosine = last + (peak - last) * (1 + np.cos(np.pi * (iterations // batches) / epochs)) / 2
    # rounded to 8 decimals
    assert rates == pytest.approx(np.where(iterations < warm_up, line, cosine), rel=0, abs=5.001e-9)


@pytest.mark.parametrize('name, factor', [('mvit3_xxs', 10), ('mvit1_xxs', 10), ('mvit3_0.5', 1)])
def test_learning_rate_of_the_head(name, factor):
    """The published factor reaches exactly the parameters of the head, from the first iteration to the last."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / f'deeplabv3_{name}_voc2012.py')
    model = MODELS.build(cfg.model | dict(_scope_='mmseg'))
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    rates = {parameter: group['lr'] for group in groups for parameter in group['params']}
    for key, parameter in model.named_parameters():
        assert rates[parameter] == cfg.optim_wrapper.optimizer.lr * (factor if key.startswith('decode_head.') else 1), key
    backbone, head = rates_of(cfg, 83, (1, factor)).T
    # both are rounded to 8 decimals
    assert head == pytest.approx(factor * backbone, rel=0, abs=(factor + 1) * 5.001e-9) and 1e-6 < backbone[-1] < 2e-6


def test_warm_up_longer_than_the_training():
    """It is refused, and the message has both lengths."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'cls' / 'mvit3_0.5_in1k.py')
    with pytest.raises(UsageError, match='20000.* 300 epochs of 50 batches.*15000'):
        rates_of(cfg, 50)


@pytest.mark.parametrize('processes, flags, accumulated, rate', [
    (4, [], 1, None), (1, ['auto'], 4, None), (2, ['2'], 2, None), (1, ['2', 'scale'], 2, 0.5)])
def test_effective_batch(processes, flags, accumulated, rate):
    """--accumulate and --auto-scale-lr keep the batch of 16, or the learning rate in proportion; anything else is said."""
    from mvit3_bench.engine import lr_scaling as schedule
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_1.0_ade20k.py')
    assert (schedule.check_batch(cfg, processes) is None) == (processes == 4)
    if flags:
        schedule.accumulate(cfg, flags[0], processes)
        assert cfg.custom_hooks[0].interval == accumulated
    if 'scale' in flags:
        schedule.scale_lr(cfg)
        assert cfg.train_dataloader.batch_size * processes / cfg.auto_scale_lr.base_batch_size == rate
    assert cfg.optim_wrapper.get('accumulative_counts', 1) == accumulated
    assert schedule.check_batch(cfg, processes) is None


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_scaled_learning_rate_still_falls(path):
    """What --auto-scale-lr does to the first rate it does to the last: no schedule names an absolute one."""
    assert not any('eta_min' in scheduler for scheduler in Config.fromfile(path).param_scheduler)


@pytest.mark.parametrize('images, left, momentum', [(10_582, '13%', '0.0048'), (95_000, None, None)])
def test_average_of_a_short_training(images, left, momentum):
    """VOC2012 without COCO's images is too short for the published average, and the warning has a momentum that is not."""
    from mvit3_bench.engine import lr_scaling as schedule
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_1.0_voc2012.py')
    iterations = cfg.train_cfg.max_epochs * -(-images // 128)
    warning = schedule.check_average(cfg, iterations)
    if left is None:
        assert warning is None
        return
    found, fix = warning
    assert iterations == 4150 and f'{left} of the initial weights' in found
    assert fix == f'custom_hooks.0.momentum={momentum}'
    cfg.merge_from_dict({'custom_hooks.0.momentum': float(momentum)})
    assert schedule.check_average(cfg, iterations) is None
    schedule.accumulate(cfg, '8', processes=1)
    assert schedule.check_average(cfg, 8 * iterations) is None and schedule.check_average(cfg, iterations)
    cfg.custom_hooks = None
    assert schedule.check_average(cfg, iterations) is None


def test_average_that_is_not_judged():
    """Hooks of other kinds, averages whose momentum changes, and a length that is not known."""
    from mvit3_bench.engine import lr_scaling as schedule
    for hook in (dict(type='Other', interval=0, momentum=None), dict(type='EMAHook', ema_type='MomentumAnnealingEMA')):
        assert schedule.check_average(Config(dict(custom_hooks=[hook])), 100) is None
    assert schedule.check_average(Config(dict(custom_hooks=[dict(type='EMAHook')])), 0) is None


@pytest.mark.parametrize('key', ['T_max', 'begin'])
def test_cosine_without_a_period_of_its_own(key):
    """What follows from other keys is refused by name."""
    from mvit3_bench.engine.schedulers import CosineAnnealingLR
    with pytest.raises(UsageError, match=f'{key} of mvit3_bench.CosineAnnealingLR follow from end'):
        CosineAnnealingLR.build_iter_from_epoch(None, end=4, epoch_length=7, warmup_iters=3, **{key: 5})


def test_accumulation_keeps_the_steps_of_a_warm_up():
    """What a recipe counts in iterations lasts as many steps of the optimiser; what it counts in epochs stays."""
    from mvit3_bench.engine import lr_scaling as schedule
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'cls' / 'mvit3_0.5_in1k.py')
    schedule.accumulate(cfg, 'auto', processes=1)
    assert cfg.optim_wrapper.accumulative_counts == 6
    assert schedule_of(cfg) == (6 * 20000, 1e-6, 2e-4, 300)


def test_mini_shortens_the_schedule(run_dir):
    """The warm-up of the miniature takes 5 % of its iterations, and the cosine all of its epochs."""
    from mvit3_bench.engine.mini import to_mini
    cfg = to_mini(Config.fromfile(conftest.ROOT / 'configs' / 'cls' / 'mvit3_0.5_in1k.py'))
    assert schedule_of(cfg) == (22, 1e-6, 2e-4, 30)


def flat(node, path: str = '') -> dict:
    """Every setting of a config, by its path."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, (list, tuple)) else None
    if items is None:
        return {path: node}
    return {key: value for name, part in items for key, value in flat(part, f'{path}.{name}').items()} or {path: node}


def family_of(path) -> tuple | None:
    """Head, type and data set of a config, with '384' in front of those: all but the model. None of an example."""
    if path.parent.name in ('ablation', 'study'):
        return None
    head, generation, arch, size, dataset = re.fullmatch(r'(.*?)_?mvit(\d)_(.+?)(_384)?_([^_]+)', path.stem).groups()
    return (head, generation, arch[0].isdigit(), size, dataset) if dataset in ('in1k', 'coco', 'ade20k', 'voc2012') else None


FAMILIES = {family: [path for path in CONFIGS if family_of(path) == family] for family in map(family_of, CONFIGS) if family}
OWN = re.compile(r'[.]model[.](backbone[.](type|arch)|neck[.]in_channels[.]\d|(decode_|auxiliary_)?head[.](in_)?channels)')
RATE = re.compile(r'[.]optim_wrapper[.]optimizer[.]lr|[.]param_scheduler[.]0[.](warmup_start_factor|eta_min_ratio)')


@pytest.mark.parametrize('family', FAMILIES, ids=lambda family: '_'.join(map(str, family)))
def test_family(family):
    """Its configs differ in type, arch and channel numbers alone; on COCO, S has a learning rate of its own."""
    first, *others = (flat(Config.fromfile(path).to_dict()) for path in FAMILIES[family])
    assert len(others) >= 2
    for path, other in zip(FAMILIES[family][1:], others, strict=True):
        unlike = {key for key in first.keys() | other.keys() if first.get(key, '-') != other.get(key, '-')}
        unexplained = {key for key in unlike if not OWN.fullmatch(key)}
        if family == ('ssdlite', '3', False, None, 'coco'):  # the first of them is S
            assert {bool(RATE.fullmatch(key)) for key in unexplained} == {True}, path
        else:
            assert not unexplained, path


def steps_of(name: str, loader: str = 'train') -> dict:
    """The transforms of a config by their types, those of a wrapper too."""
    dataset = Config.fromfile(conftest.ROOT / 'configs' / f'{name}.py')[f'{loader}_dataloader'].dataset
    pipeline = dataset.pipeline if 'pipeline' in dataset else dataset.datasets[0].pipeline
    return {step.type: step for outer in pipeline for step in [outer, *outer.get('transforms', [])]}


def has(step: dict, **settings) -> bool:
    """Whether a transform has just these settings."""
    return {key: value for key, value in step.items() if key != 'type'} == settings


def test_augmentation_of_imagenet():
    """The numbers of the transforms, of both types and of the fine-tuning."""
    bicubic = dict(backend='pillow', interpolation='bicubic')
    v2, v1, fine = (steps_of(f'cls/{name}_in1k') for name in ('mvit3_0.5', 'mvit3_xxs', 'mvit3_0.5_384'))
    assert has(v2['RandomResizedCrop'], scale=256, **bicubic) and has(v1['RandomResizedCrop'], scale=256)
    assert has(fine['RandomResizedCrop'], scale=384, **bicubic)
    assert has(v2['torchvision/RandAugment'], num_ops=2, magnitude=9, num_magnitude_bins=31, interpolation='bilinear')
    assert has(v2['RandomErasing'], erase_prob=0.25, min_area_ratio=0.02, max_area_ratio=0.33, aspect_range=(0.3, 3.3),
               fill_color=(0, 0, 0))
    assert all(has(steps['RandomFlip'], prob=0.5) for steps in (v2, v1, fine))
    tests = [steps_of(f'cls/{name}_in1k', 'test')['ResizeEdge'] for name in ('mvit3_0.5', 'mvit3_xxs', 'mvit3_0.5_384')]
    assert has(tests[0], scale=288, **bicubic) and has(tests[1], scale=288) and has(tests[2], scale=384, **bicubic)


@pytest.mark.parametrize('name', ['deeplabv3_mvit3_1.0_ade20k', 'deeplabv3_mvit3_1.0_voc2012', 'deeplabv3_mvit3_s_voc2012'])
def test_test_of_segmentation(name):
    """The numbers of the transforms; those of the training are in test_fidelity_augmentation.py."""
    steps = steps_of(f'seg/{name}', 'test')
    resize = 'Resize' if '_s_' in name else 'mvit3_bench.ResizeShortSide'
    assert list(steps) == ['LoadImageFromFile', resize, 'LoadAnnotations', 'PackSegInputs']
    if '_s_' in name:
        assert has(steps[resize], scale=(512, 512), keep_ratio=False)
    else:
        assert has(steps[resize], scale=512, backend='pillow', interpolation='bicubic')


def test_recipes_of_their_own():
    """BCCD and CamVid, whose results are recorded, keep the frameworks' transforms, and mmseg's way to resize logits."""
    bccd = list(steps_of('det/ssdlite_mvit3_xxs_bccd'))
    assert bccd == ['mvit3_bench.Load', 'LoadImageFromFile', 'LoadAnnotations', 'MinIoURandomCrop', 'Resize', 'RandomFlip',
                    'PhotoMetricDistortion', 'PackDetInputs']
    for loader in ('train', 'test'):
        steps = steps_of('det/ssdlite_mvit3_xxs_bccd', loader)
        assert has(steps['LoadImageFromFile'], imdecode_backend='pillow')
        assert has(steps['Resize'], scale=(320, 320), keep_ratio=False)
    camvid = Config.fromfile(conftest.ROOT / 'configs/seg/deeplabv3_mvit3_xxs_camvid.py').model
    assert (camvid.type, camvid.data_preprocessor.type, camvid.test_cfg) == (
        'EncoderDecoder', 'SegDataPreProcessor', dict(mode='whole'))
    assert has(steps_of('seg/deeplabv3_mvit3_xxs_camvid')['PhotoMetricDistortion'])


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_input_and_dropout(path):
    """Pixels / 255 without a mean, padding that no loss sees, and the dropout of the heads."""
    cfg = Config.fromfile(path)
    preprocessor = cfg.model.data_preprocessor
    assert set(preprocessor.mean) == {0} and set(preprocessor.std) == {255}
    if 'decode_head' in cfg.model:
        assert (preprocessor.pad_val, preprocessor.seg_pad_val) == (0, 255)
        assert {cfg.model[head].dropout_ratio for head in ('decode_head', 'auxiliary_head') if head in cfg.model} == {0.1}


@pytest.mark.parametrize('name, decay, bare', [
    ('cls/mvit3_xxs_in1k', 0.01, 0.01), ('cls/mvit3_0.5_in1k', 0.05, 0), ('seg/deeplabv3_mvit3_0.5_voc2012', 0.05, 0),
    ('det/ssdlite_mvit3_0.5_coco', 0.05, 0.05)])
def test_weight_decay(name, decay, bare):
    """Which parameters the optimiser pulls to zero: all, or all but the norms' and the biases."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / f'{name}.py')
    model = MODELS.build(cfg.model | dict(_scope_=cfg.default_scope))
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    decays = {parameter: group['weight_decay'] for group in groups for parameter in group['params']}
    kinds = Counter()
    for module in model.modules():
        for key, parameter in module.named_parameters(recurse=False):
            is_bare = key.endswith('bias') or isinstance(module, (torch.nn.modules.batchnorm._BatchNorm, torch.nn.GroupNorm,
                                                                  torch.nn.LayerNorm))
            assert decays.pop(parameter) == (bare if is_bare else decay), (module, key)
            kinds[is_bare] += 1
    assert not decays and min(kinds[True], kinds[False]) > 50
