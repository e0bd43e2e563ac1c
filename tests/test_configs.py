"""Every config loads, builds and has the channel numbers and the parameter count it should have."""
import ast
import re
from pathlib import Path

import conftest
import golden
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, PARAM_SCHEDULERS
from mmengine.runner import Runner

from mvit3_bench.complexity import input_size
from mvit3_bench.models.archs import Arch, get_arch
from mvit3_bench.paper.published import published
from mvit3_bench.registry import MODELS

for framework in ('mmseg', 'mmpretrain', 'mmdet'):
    pytest.importorskip(framework, reason=f'{framework} is not installed')

CONFIGS = conftest.CONFIGS


def arch_of(cfg: Config) -> Arch:
    """The table's entry for the backbone of a config."""
    backbone = cfg.model.backbone
    return get_arch(backbone.type.rpartition('MobileViT')[2], backbone.arch)


def published_name(path) -> str | None:
    """The name of a config's model in the list of parameter counts; None on a data set with other classes."""
    if path.parent.name == 'ablation':
        return dict(step0_mvit1_s_in1k='cls_v1_s', step4_depthwise_local_in1k='cls_v3_s_unscaled').get(path.stem)
    head, family, arch, dataset = re.fullmatch(r'(.*?)_?mvit(\d)_(.+?)(?:_384)?_([^_]+)', path.stem).groups()
    names = dict(in1k=f'cls_v{family}_{arch}', coco=f'det_v{family}_{arch}',
                 ade20k=f'seg_{head}_v{family}_{arch}_ade20k', voc2012=f'seg_{head}_v{family}_{arch}_voc')
    return names.get(dataset)


def check_cls(model: ConfigDict, arch: Arch) -> None:
    """The classifier takes what the last layer gives, and the colours are those of the weights."""
    assert model.head.in_channels == (arch.expansion or arch.widths[-1])
    assert model.head.get('drop_rate', 0) == arch.drop_rate
    assert model.data_preprocessor.to_rgb == (arch.channel_order == 'rgb')


def check_seg(model: ConfigDict, arch: Arch) -> None:
    """The heads take layer5 and layer4, and the colours are those of the weights."""
    assert model.decode_head.in_channels == arch.widths[4]
    if 'auxiliary_head' in model:
        assert model.auxiliary_head.in_channels == arch.widths[3]
        assert model.auxiliary_head.channels == max(arch.widths[3] // 4, 128)
    assert model.data_preprocessor.bgr_to_rgb == (arch.channel_order == 'rgb')
    # tests meet odd sizes, and the published weights have seen the even ones that v2-type blocks make of them
    assert model.backbone.get('odd_size', 'keep') == ('published' if arch.separable else 'keep')


def check_det(model: ConfigDict, arch: Arch) -> None:
    """The neck takes layer4 and layer5, the head what the neck gives, and the colours are those of the weights."""
    assert model.backbone.out_indices == (3, 4) and model.neck.in_channels == arch.widths[3:]
    assert model.bbox_head.in_channels == model.neck.out_channels
    assert model.data_preprocessor.bgr_to_rgb == (arch.channel_order == 'rgb')


# folder of configs/ -> what holds for all its models
CHECKS = dict(ablation=check_cls, cls=check_cls, det=check_det, seg=check_seg)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config(path):
    """It builds, fits the table of models, has the exact published size, and its docstring says how to run it."""
    cfg = Config.fromfile(path)
    if path.parent.name in CHECKS:
        CHECKS[path.parent.name](cfg.model, arch_of(cfg))
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert str(path.relative_to(conftest.ROOT)) in docstring

    with torch.device('meta'):
        model = MODELS.build(cfg.model | dict(_scope_=cfg.default_scope))
    if name := published_name(path):
        assert sum(p.numel() for p in model.parameters()) == golden.parameter_counts()[name][0]


@pytest.mark.parametrize('row', [row for row in published() if (conftest.ROOT / 'configs' / row.config).is_file()],
                         ids=lambda row: row.config)
def test_docstring_has_the_published_figure(row):
    """What a config's docstring calls published is what the table of published figures says."""
    docstring = ast.get_docstring(ast.parse((conftest.ROOT / 'configs' / row.config).read_text(encoding='utf-8')))
    name = dict(top1='top-1', bbox_mAP='mAP', mIoU='mIoU')[row.metric]
    figure, = re.findall(rf'Published\b[^:]*: {name} (\d+(?:\.\d+)?)', docstring)
    assert float(figure) == row.value


@pytest.mark.parametrize('step, parameters', [
    ('step1_pointwise_fusion', 4_759_432), ('step2_fuse_local', 4_785_032), ('step3_input_residual', 4_785_032)])
def test_size_of_the_ablation(step, parameters):
    """The steps between MobileViTv1 and v3, of which no figures are published, have the size their docstrings say."""
    path = conftest.ROOT / 'configs' / 'ablation' / f'{step}_in1k.py'
    with torch.device('meta'):
        model = MODELS.build(Config.fromfile(path).model | dict(_scope_='mmpretrain'))
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert f'{parameters:,} parameters' in path.read_text(encoding='utf-8')


def test_every_config_is_tried():
    """The tests of the tools train and test each config once."""
    import test_tools_classification
    import test_tools_detection
    import test_tools_segmentation
    tried = [*test_tools_classification.TRIED, *test_tools_detection.TRIED, *test_tools_segmentation.TRIED]
    assert sorted(tried) == CONFIGS


def built(dataset: ConfigDict, scope: str):
    """A data set without its transforms."""
    return DATASETS.build(dataset | dict(pipeline=[], _scope_=scope))


@pytest.mark.parametrize('name, kind, lengths', [
    ('cls/mvit3_xxs_imagenette128', 'ImageNet', dict(RandomResizedCrop=64)),
    ('det/ssdlite_mvit3_xxs_bccd', 'CocoDataset', dict(Resize=(192, 192))),
    ('seg/deeplabv3_mvit3_xxs_camvid', 'ADE20KDataset', dict(RandomResize=(176, 136), RandomCrop=(96, 128)))])
def test_mini_of_own_classes(run_dir, name, kind, lengths):
    """A config with classes of its own reads the miniature of its task and predicts its classes; transforms stay."""
    from mvit3_bench.engine.mini import data_sets, to_mini
    path = conftest.ROOT / 'configs' / f'{name}.py'
    full, mini = Config.fromfile(path), to_mini(Config.fromfile(path))
    head = next(mini.model[part] for part in ('head', 'bbox_head', 'decode_head') if part in mini.model)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        dataset, = data_sets(mini[loader]).values()
        original, = data_sets(full[loader]).values()
        assert dataset.type == kind
        assert [step.type for step in dataset.pipeline] == [step.type for step in original.pipeline]
        found = built(dataset, mini.default_scope)
        assert len(found) and len(found.metainfo['classes']) == head.num_classes
    steps = {step.type: step for step in mini.train_dataloader.dataset.pipeline}
    assert {step: steps[step].get('scale', steps[step].get('crop_size')) for step in lengths} == lengths
    assert mini.optim_wrapper == full.optim_wrapper and mini.model.backbone == full.model.backbone
    if kind == 'CocoDataset':
        assert Path(mini.val_evaluator.ann_file).is_file() and Path(mini.test_evaluator.ann_file).is_file()


def test_mini_of_own_classes_with_mixup(run_dir):
    """The length of mixed labels follows, classes that only the folders tell serve too, and the scope of a type stays."""
    from mvit3_bench.engine.mini import to_mini
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'cls' / 'mvit3_0.5_in1k.py')
    cfg.model.data_preprocessor.num_classes = cfg.model.head.num_classes = 3
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset = dict(type='mmpretrain.CustomDataset', data_root='data/flowers', data_prefix='train',
                              pipeline=loader.dataset.pipeline)
    to_mini(cfg)
    assert cfg.model.data_preprocessor.num_classes == cfg.model.head.num_classes == 1000
    assert cfg.train_dataloader.dataset.type == 'mmpretrain.ImageNet'


def test_classes_of_the_miniatures(run_dir):
    """The numbers of classes are those of the stock configs' data sets."""
    from mvit3_bench.engine.mini import MINIS, data_sets, to_mini
    for name, config in dict(ADE20KDataset='seg/deeplabv3_mvit3_0.5_ade20k', CocoDataset='det/ssdlite_mvit3_xxs_coco',
                             ImageNet='cls/mvit3_0.5_in1k', PascalVOCDataset='seg/deeplabv3_mvit3_0.5_voc2012').items():
        cfg = to_mini(Config.fromfile(conftest.ROOT / 'configs' / f'{config}.py'))
        for dataset in data_sets(cfg.train_dataloader).values():
            assert dataset.type == name
            assert len(built(dataset, cfg.default_scope).metainfo['classes']) == MINIS[name].num_classes


def test_no_miniature_of_iterations(run_dir):
    """A schedule in iterations is refused by name."""
    from mvit3_bench.engine.mini import to_mini
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_1.0_ade20k.py')
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=100)
    with pytest.raises(ValueError, match='--mini needs an epoch-based schedule'):
        to_mini(cfg)


def test_mini_without_validation(run_dir):
    """A config without loaders for validation and test has a miniature too; one without training has none, and says so."""
    from mvit3_bench.engine.mini import to_mini
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_1.0_ade20k.py')
    cfg.merge_from_dict({f'{part}_{kind}': None for part in ('val', 'test') for kind in ('dataloader', 'evaluator')})
    assert to_mini(cfg).train_dataloader.dataset.data_root.startswith('data/mini')
    cfg.train_dataloader = None
    with pytest.raises(ValueError, match='no train_dataloader'):
        to_mini(cfg)


def test_mini_of_wrapped_data(run_dir):
    """What a wrapper repeats is shrunk and moved as well."""
    from mvit3_bench.engine.mini import to_mini
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_1.0_ade20k.py')
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=cfg.train_dataloader.dataset)
    inner = to_mini(cfg).train_dataloader.dataset.dataset
    assert inner.data_root.startswith('data/mini')
    assert {step.type: step for step in inner.pipeline}['RandomCrop'].crop_size == (96, 96)


def test_recipe_of_the_ablation():
    """Each step turns one more change on, in the paper's order, and nothing else differs; 100 epochs at batch 192."""
    steps = [Config.fromfile(path) for path in CONFIGS if path.parent.name == 'ablation']
    changes = ('pointwise_fusion', 'fuse_local', 'input_residual', 'depthwise_local')
    assert len(steps) == 5
    for number, cfg in enumerate(steps):
        arch = arch_of(cfg)
        assert [getattr(arch, change) for change in changes] == [index < number for index in range(4)]
        assert cfg.train_cfg.max_epochs == cfg.param_scheduler[1].T_max == 100
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
        assert cfg.auto_scale_lr.base_batch_size == 4 * cfg.train_dataloader.batch_size == 128
        assert not cfg.model.train_cfg and [step.type for step in cfg.train_dataloader.dataset.pipeline] == [
            'mvit3_bench.Load', 'RandomResizedCrop', 'RandomFlip', 'PackInputs']
        assert input_size(cfg) == (384, 384)


@pytest.mark.parametrize('name', ['mvit3_xxs', 'mvit3_0.5'])
def test_recipe_of_imagenet(name):
    """The numbers of the two published recipes."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'cls' / f'{name}_in1k.py')
    v2_type = name == 'mvit3_0.5'
    optimizer, (warm_up, cosine) = cfg.optim_wrapper.optimizer, cfg.param_scheduler
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', 2e-3, 0.05 if v2_type else 0.01)
    assert (warm_up.start_factor * optimizer.lr, warm_up.end, warm_up.by_epoch) == (
        (pytest.approx(1e-6), 20000, False) if v2_type else (pytest.approx(2e-4), 3000, False))
    assert (cosine.type, cosine.eta_min_ratio * 2e-3, cosine.T_max, cfg.train_cfg.max_epochs) == (
        'CosineAnnealingLR', 2e-4, 300, 300)
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
    optimizer, (warm_up, cosine) = cfg.optim_wrapper.optimizer, cfg.param_scheduler
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', lr, weight_decay)
    assert (warm_up.start_factor * lr, warm_up.end, warm_up.by_epoch) == (pytest.approx(9e-5), 500, False)
    assert (cosine.type, cosine.T_max, cfg.train_cfg.max_epochs) == ('CosineAnnealingLR', 200, 200)
    assert cosine.eta_min_ratio * lr == pytest.approx(1e-6)
    assert cfg.auto_scale_lr.base_batch_size == 4 * cfg.train_dataloader.batch_size == 128
    assert cfg.custom_hooks[0].momentum == 5e-4 and cfg.sync_bn == 'torch'
    assert [step.type for step in cfg.train_dataloader.dataset.pipeline] == [
        'mvit3_bench.Load', 'MinIoURandomCrop', 'Resize', 'RandomFlip', 'PhotoMetricDistortion', 'PackDetInputs']
    assert cfg.test_dataloader.dataset.pipeline[1] == dict(type='Resize', scale=(320, 320), keep_ratio=False)


def test_recipe_of_ade20k():
    """The numbers of the published recipe."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_1.0_ade20k.py')
    optimizer, clip = cfg.optim_wrapper.optimizer, cfg.optim_wrapper.clip_grad
    assert (optimizer.type, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ('SGD', 0.02, 0.9, 1e-4)
    assert clip.max_norm == 10 and cfg.optim_wrapper.paramwise_cfg.norm_decay_mult == 0
    scheduler, = cfg.param_scheduler
    assert scheduler.type == 'CosineAnnealingLR' and scheduler.eta_min_ratio * 0.02 == 2e-4
    assert cfg.train_cfg.max_epochs == 120 and cfg.auto_scale_lr.base_batch_size == 16
    assert cfg.model.backbone.output_stride == 8 and cfg.model.decode_head.dilations == (1, 12, 24, 36)
    assert cfg.model.auxiliary_head.loss_decode.loss_weight == 0.4


@pytest.mark.parametrize('name', ['deeplabv3_mvit3_s', 'deeplabv3_mvit3_1.0', 'pspnet_mvit2_0.5'])
def test_recipe_of_voc2012(name):
    """The numbers of the two published recipes."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / f'{name}_voc2012.py')
    v2_type = name != 'deeplabv3_mvit3_s'
    optimizer, (warm_up, cosine) = cfg.optim_wrapper.optimizer, cfg.param_scheduler
    lr, batch = (5e-4, 128) if v2_type else (9e-4, 48)
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', lr, 0.05 if v2_type else 0.01)
    assert (warm_up.start_factor, warm_up.end, warm_up.by_epoch) == (0.1, 500, False)
    last = cosine.eta_min_ratio * lr
    assert (cosine.type, last, cosine.T_max, cfg.train_cfg.max_epochs) == ('CosineAnnealingLR', pytest.approx(1e-6), 50, 50)
    assert cfg.auto_scale_lr.base_batch_size == 4 * cfg.train_dataloader.batch_size == batch
    assert cfg.custom_hooks[0].momentum == 5e-4 and cfg.sync_bn == 'torch' and 'clip_grad' not in cfg.optim_wrapper
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
            'mvit3_bench.Load', 'RandomResize', 'RandomCrop', 'RandomFlip', 'PackSegInputs']
    assert cfg.test_dataloader.dataset.pipeline == ade20k.test_pipeline


@pytest.mark.parametrize('name, factor', [('mvit3_xxs', 10), ('mvit1_xxs', 10), ('mvit3_0.5', 1)])
def test_learning_rate_of_the_head(name, factor):
    """The published factor reaches exactly the parameters of the head, from the first iteration to the last."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / f'deeplabv3_{name}_voc2012.py')
    model = MODELS.build(cfg.model | dict(_scope_='mmseg'))
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    cosine = PARAM_SCHEDULERS.build(cfg.param_scheduler[1] | dict(convert_to_iter_based=False),
                                    default_args=dict(optimizer=optimizer))

    def rates() -> dict[str, float]:
        by_parameter = {parameter: group['lr'] for group in optimizer.param_groups for parameter in group['params']}
        return {name: by_parameter.pop(parameter) for name, parameter in model.named_parameters()}

    for expected in (cfg.optim_wrapper.optimizer.lr, 1e-6):
        base = rates()['backbone.stem.conv.weight']
        assert base == pytest.approx(expected, abs=1e-6)
        for parameter, rate in rates().items():
            assert rate == pytest.approx(base * (factor if parameter.startswith('decode_head.') else 1)), parameter
        for _ in range(cfg.max_epochs):
            optimizer.step()
            cosine.step()


def test_every_published_segmentor_has_a_config():
    """No row of the list of parameter counts is without its config."""
    names = {name for name in golden.parameter_counts() if name.startswith('seg_')}
    assert names == {published_name(path) for path in CONFIGS if path.parent.name == 'seg'} - {None}


@pytest.mark.parametrize('name', ['deeplabv3_mvit3_s', 'pspnet_mvit3_0.5'])
def test_mini_of_voc2012(run_dir, name):
    """--mini shrinks each of the joined data sets, once, and lets it read the miniature."""
    from mvit3_bench.engine.mini import to_mini
    path = conftest.ROOT / 'configs' / 'seg' / f'{name}_voc2012.py'
    full, mini = Config.fromfile(path), to_mini(Config.fromfile(path))
    assert mini.optim_wrapper == full.optim_wrapper and mini.model.decode_head == full.model.decode_head
    for part in mini.train_dataloader.dataset.datasets:
        steps = {step.type: step for step in part.pipeline}
        assert steps['RandomResize'].scale == (144, 144) and steps['RandomCrop'].crop_size == (96, 96)
        assert (Path(part.data_root) / part.ann_file).is_file()
    iterations = mini.train_cfg.max_epochs * len(Runner.build_dataloader(
        mini.train_dataloader | dict(dataset=mini.train_dataloader.dataset | dict(_scope_='mmseg'))))
    assert mini.param_scheduler[0].end <= 0.05 * iterations and 1 / mini.custom_hooks[0].momentum <= 0.05 * iterations


def test_mini_keeps_the_recipe(run_dir):
    """--mini leaves model and recipe alone, and shrinks lengths in pixels, batch, schedule and the horizon of EMA."""
    from mvit3_bench.engine.mini import to_mini
    path = conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_1.0_ade20k.py'
    full, mini = Config.fromfile(path), to_mini(Config.fromfile(path))
    for part in ('backbone', 'decode_head', 'auxiliary_head'):
        assert mini.model[part] == full.model[part]
    assert mini.optim_wrapper == full.optim_wrapper
    iterations = mini.train_cfg.max_epochs * 48 // mini.train_dataloader.batch_size
    assert 1 / mini.custom_hooks[0].momentum <= 0.05 * iterations
    assert mini.param_scheduler[0].T_max == mini.train_cfg.max_epochs
    assert mini.model.data_preprocessor.size == (96, 96) and mini.model.data_preprocessor.std == [255.0] * 3
    steps = {step.type: step for step in mini.train_dataloader.dataset.pipeline}
    assert steps['RandomResize'].scale == (144, 144) and steps['RandomResize'].max_size == 192
    assert steps['RandomCrop'].crop_size == (96, 96)
    assert Path(mini.train_dataloader.dataset.data_root).is_dir()


@pytest.mark.parametrize('name', ['mvit3_xxs', 'mvit3_0.5'])
def test_mini_of_imagenet(run_dir, name):
    """--mini shrinks the sizes of a multi-scale sampler too, and reckons warm-up and EMA in the batches that it makes."""
    from mvit3_bench.engine.mini import to_mini
    path = conftest.ROOT / 'configs' / 'cls' / f'{name}_in1k.py'
    full, mini = Config.fromfile(path), to_mini(Config.fromfile(path))
    assert mini.model == full.model and mini.optim_wrapper == full.optim_wrapper
    if name == 'mvit3_xxs':
        assert (mini.train_dataloader.batch_sampler.sizes, mini.train_dataloader.batch_sampler.base_size) == (
            (40, 48, 64, 72, 80), 64)
    iterations = mini.train_cfg.max_epochs * len(Runner.build_dataloader(
        mini.train_dataloader | dict(dataset=mini.train_dataloader.dataset | dict(_scope_='mmpretrain'))))
    assert mini.param_scheduler[0].end <= 0.05 * iterations and 1 / mini.custom_hooks[0].momentum <= 0.05 * iterations
    assert [step.get('scale', step.get('crop_size')) for step in mini.test_dataloader.dataset.pipeline[1:3]] == [72, 64]


@pytest.mark.parametrize('processes, flags, accumulated, rate', [
    (4, [], 1, None), (1, ['auto'], 4, None), (2, ['2'], 2, None), (1, ['2', 'scale'], 2, 0.5)])
def test_effective_batch(processes, flags, accumulated, rate):
    """--accumulate and --auto-scale-lr keep the batch of 16, or the learning rate in proportion; anything else is said."""
    from mvit3_bench.engine import schedule
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


def test_accumulation_keeps_the_steps_of_a_warm_up():
    """What a recipe counts in iterations lasts as many steps of the optimiser; what it counts in epochs stays."""
    from mvit3_bench.engine import schedule
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'cls' / 'mvit3_0.5_in1k.py')
    schedule.accumulate(cfg, 'auto', processes=1)
    assert cfg.optim_wrapper.accumulative_counts == 6
    assert cfg.param_scheduler[0].end == 6 * 20000 and cfg.param_scheduler[1].T_max == 300
