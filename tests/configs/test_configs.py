"""Every config loads, builds and has the channel numbers and the parameter count it should have."""
import ast
import re
from pathlib import Path

import conftest
import golden
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS
from mmengine.runner import Runner

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
    if path.parent.name in ('ablation', 'study'):
        return dict(step0_mvit1_s_in1k='cls_v1_s', step4_depthwise_local_in1k='cls_v3_s_unscaled').get(path.stem)
    head, family, arch, dataset = re.fullmatch(r'(.*?)_?mvit(\d)_(.+?)(?:_384)?_([^_]+)', path.stem).groups()
    names = dict(in1k=f'cls_v{family}_{arch}', coco=f'det_v{family}_{arch}',
                 ade20k=f'seg_{head}_v{family}_{arch}_ade20k', voc2012=f'seg_{head}_v{family}_{arch}_voc')
    return names.get(dataset)


def check_cls(model: ConfigDict, arch: Arch) -> None:
    """The classifier takes what the last layer gives, and the colours are those of the weights."""
    assert model.head.in_channels == (arch.expansion or arch.widths[-1])
    assert model.head.get('drop_rate', 0) == (0 if arch.separable else 0.1)
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
    from mvit3_bench.datasets.configs import data_sets
    from mvit3_bench.engine.mini import to_mini
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
    from mvit3_bench.datasets.configs import data_sets
    from mvit3_bench.engine.mini import MINIS, to_mini
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


@pytest.mark.parametrize('before, after', [
    ([dict(type='MultiStepLR', milestones=[8, 11], end=12, gamma=0.1)],
     [dict(type='MultiStepLR', milestones=[13, 18], end=20, gamma=0.1)]),
    ([dict(type='LinearLR', end=1500, by_epoch=False), dict(type='CosineAnnealingLR', begin=3, T_max=9, end=12)],
     [dict(type='LinearLR', end=6, by_epoch=False), dict(type='CosineAnnealingLR', begin=5, T_max=15, end=20)]),
    ([dict(type='LinearLR', end=500, by_epoch=False), dict(type='PolyLR', begin=500, end=20000, by_epoch=False)],
     [dict(type='LinearLR', end=3, by_epoch=False), dict(type='PolyLR', begin=3, end=120, by_epoch=False)]),
    ([dict(type='LinearLR', end=500, by_epoch=False)], [dict(type='LinearLR', end=6, by_epoch=False)]),
    ([dict(type='LinearLR', end=500, by_epoch=False), dict(type='MultiStepLR', milestones=[16000, 20000], by_epoch=False)],
     [dict(type='LinearLR', end=3, by_epoch=False), dict(type='MultiStepLR', milestones=[96, 120], by_epoch=False)]),
    ([dict(type='StepLR', step_size=1, end=40)], [dict(type='StepLR', step_size=2, end=67)])],
    ids=['milestones', 'warm-up', 'iterations', 'warm-up alone', 'milestones of iterations', 'step'])
def test_mini_schedules(run_dir, before, after):
    """Schedules of other configs than ours shrink with the training, of 20 epochs of 6 iterations."""
    from mvit3_bench.engine.mini import to_mini
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_1.0_ade20k.py')
    cfg.train_cfg.max_epochs, cfg.param_scheduler = 12, before
    assert to_mini(cfg).param_scheduler == after


def test_mini_limits_detections(run_dir):
    """The v1 type has no limit an image, and a miniature training so many detections that scoring them takes minutes."""
    from mvit3_bench.engine.mini import to_mini
    full, mini = (change(Config.fromfile(conftest.ROOT / 'configs' / 'det' / 'ssdlite_mvit3_xxs_coco.py')).model.test_cfg
                  for change in (lambda cfg: cfg, to_mini))
    assert (full.max_per_class, full.max_per_img) == (-1, -1) and mini == full | dict(max_per_class=400, max_per_img=200)


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
        steps = {step.type: step for step in reversed(part.pipeline)}  # the first of a type
        assert steps['mvit3_bench.ResizeShortSide'].scale == ((48, 192) if name == 'deeplabv3_mvit3_s' else (48, 144))
        assert steps['RandomCrop'].crop_size == (96, 96)
        assert (Path(part.data_root) / part.ann_file).is_file()
    iterations = mini.train_cfg.max_epochs * len(Runner.build_dataloader(
        mini.train_dataloader | dict(dataset=mini.train_dataloader.dataset | dict(_scope_='mmseg'))))
    assert mini.param_scheduler[0].warmup_iters <= 0.05 * iterations
    assert 1 / mini.custom_hooks[0].momentum <= 0.05 * iterations


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
    assert mini.param_scheduler[0].end == mini.train_cfg.max_epochs
    assert mini.model.data_preprocessor.size == (96, 96) and mini.model.data_preprocessor.std == [255.0] * 3
    steps = {step.type: step for step in mini.train_dataloader.dataset.pipeline}
    resize = steps['mvit3_bench.ResizeShortSide']
    assert resize.scale == (48, 144) and resize.max_size == 192 and steps['Pad'].size == (96, 96)
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
    loader = mini.train_dataloader | dict(dataset=mini.train_dataloader.dataset | dict(_scope_='mmpretrain'))
    batches = Runner.build_dataloader(loader, seed=0).batch_sampler
    iterations = sum(batches.length_of(epoch) if name == 'mvit3_xxs' else len(batches)
                     for epoch in range(mini.train_cfg.max_epochs))
    assert 0.04 * iterations < mini.param_scheduler[0].warmup_iters <= 0.05 * iterations + 0.5
    assert 1 / mini.custom_hooks[0].momentum <= 0.05 * iterations
    assert [step.get('scale', step.get('crop_size')) for step in mini.test_dataloader.dataset.pipeline[1:3]] == [72, 64]


def test_mini_of_coco(run_dir):
    """--mini shrinks the least side of a crop with the images."""
    from mvit3_bench.engine.mini import to_mini
    steps = {step.type: step for step in to_mini(Config.fromfile(
        conftest.ROOT / 'configs/det/ssdlite_mvit3_0.5_coco.py')).train_dataloader.dataset.pipeline}
    assert steps['mvit3_bench.SSDCrop'].min_side == 64 and steps['Resize'].scale == (192, 192)
