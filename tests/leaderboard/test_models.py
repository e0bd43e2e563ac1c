"""The published figures of the leaderboard: each has a source, timm's are timm's, and the models are those that they say."""
import csv
from collections import Counter

import pytest
import timm
import torch
import torchvision
from conftest import ROOT

from mvit3_bench.leaderboard import models as models_module
from mvit3_bench.leaderboard.models import TIMM_RESULTS, downstream, models
from mvit3_bench.models.archs import get_arch
from mvit3_bench.paper.published import others, published

PAPER = {'MobileNetV1', 'MobileNetV2', 'MobileNetV3', 'MnasNet', 'MixNet', 'ShuffleNetV1', 'ShuffleNetV2', 'EfficientNet',
         'DeiT', 'EdgeNeXt', 'Mobile-Former', 'MobileViTv1', 'MobileViTv2'}
CURRENT = {'RepViT', 'MobileNetV4', 'FastViT', 'EfficientFormerV2', 'EfficientViT (MIT)', 'EfficientViT (Microsoft)',
           'TinyViT', 'StarNet', 'SHViT', 'SwiftFormer', 'MobileOne', 'GhostNetV3', 'iFormer', 'LSNet'}
BEYOND = ('in12k', 'in21k', 'in22k')  # tags of weights that saw more than ImageNet-1K
# of networks that are the same in training and in use
COUNTED = ('mobilenetv2_100', 'efficientnet_b0', 'mixnet_s', 'mobilenetv4_conv_small', 'edgenext_xx_small', 'starnet_s1',
           'swiftformer_xs', 'shvit_s1', 'iformer_t', 'convnext_atto', 'levit_128s', 'mambaout_femto')


@pytest.fixture(scope='module')
def timm_results():
    """The rows of timm's results-imagenet.csv that belong to models of the leaderboard."""
    with (ROOT / 'tests' / 'data' / 'timm_results.csv').open(encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def test_complete():
    """The models that the paper compares with, and at least forty current ones, are there; each figure has a source."""
    families = Counter(each.family for each in models())
    assert not PAPER - set(families) and not CURRENT - set(families)
    assert sum(each.year >= 2021 and not each.build.startswith('mvit') for each in models()) >= 40
    for each in models():
        assert each.source and each.origin in ('timm', 'published') and each.top1, each.name
        assert each.published_top1 or each.origin == 'timm', each.name
        for count in (each.params_M, each.flops_M):
            assert count is None or 0.5 < count < 3000, each.name
    assert not {each.model for each in others()} - {each.name for each in models()}


def test_ours():
    """Ours are archs of this package, with the figures of the paper's tables, which stand in one place."""
    figures = {f'{row.family}_{row.model}': row.value for row in published() if row.dataset == 'imagenet1k'}
    ours = [each for each in models() if each.build.startswith('mvit')]
    assert len(ours) == 15
    for each in ours:
        family, arch = each.build.removeprefix('mvit').split('_', 1)
        assert get_arch(f'v{family}', arch) and each.top1 == figures[each.build] and each.size == 256


def test_builds():
    """timm and torchvision have the models that they are said to build."""
    names = set(timm.list_models())
    for each in models():
        package, _, name = each.build.rpartition('/')
        assert package != 'timm' or name in names, each.name
        assert package != 'torchvision' or name in torchvision.models.list_models(), each.name


def test_timm(timm_results):
    """Figures of timm are those of its table, and the weights are chosen by the rule."""
    assert timm_results
    for each in (each for each in models() if each.build.startswith('timm/')):
        rows = {row['model'].partition('.')[2]: float(row['top1']) for row in timm_results
                if row['model'].partition('.')[0] == each.build[5:] and int(row['img_size']) == each.size}
        alone = {tag: top1 for tag, top1 in rows.items() if not any(beyond in tag for beyond in BEYOND)} or rows
        assert each.weights == max(alone, key=alone.get, default=''), each.name
        assert each.origin == ('timm' if alone else 'published')
        if alone:
            assert each.top1 == alone[each.weights], each.name


@pytest.mark.parametrize('name', COUNTED)
def test_parameters(name):
    """The authors' parameters are those of the model that is built."""
    with torch.device('meta'):
        model = timm.create_model(name, num_classes=1000)
    counted = sum(weight.numel() for weight in model.parameters()) / 1e6
    params = next(each.params_M for each in models() if each.build == f'timm/{name}')
    assert params == pytest.approx(counted, rel=0.03)


def test_downstream():
    """Detectors and segmentors of the paper's competitors; no row stands there twice."""
    rows = downstream()
    assert len(set(rows)) == len(rows)
    for each in rows:
        assert each.source and each.metric == dict(detection='bbox_mAP', segmentation='mIoU')[each.task]
        assert 10 < each.value < 90 and each.size in (320, 512, 520)
    ssdlite = {each.model for each in rows if each.head == 'ssdlite'}
    assert {'MobileNetV1', 'MobileNetV2', 'MobileNetV3-Large', 'MnasNet-A1', 'MixNet'} <= ssdlite
    assert {(each.dataset, each.head) for each in rows} >= {('voc2012', 'deeplabv3'), ('ade20k', 'deeplabv3')}


@pytest.mark.parametrize('found, changed, message', [
    (',2019,timm/mobilenetv3_large_100', ',2019,mobilenetv3_large_100', "MobileNetV3-Large: build 'mobilenetv3_large_100'"),
    ('convolutional', 'convolution', "kind 'convolution'"), ('79.058', '7.9058', "RepViT-M0.9: top1 '7.9058'"),
    ('RepViT-M1.0', 'RepViT-M0.9', 'name RepViT-M0.9 stands there twice'),
    ('timm/repvit_m1_0', 'timm/repvit_m0_9', 'build timm/repvit_m0_9 stands there twice')])
def test_wrong(tmp_path, monkeypatch, found, changed, message):
    """A slip in the file is found and named."""
    text = (ROOT / 'mvit3_bench' / 'leaderboard' / 'models.csv').read_text(encoding='utf-8')
    (tmp_path / 'models.csv').write_text(text.replace(found, changed, 1), encoding='utf-8')
    monkeypatch.setattr(models_module, 'files', lambda package: tmp_path)
    with pytest.raises(ValueError, match='models.csv') as error:
        models.__wrapped__()
    assert message in str(error.value)


def test_source_of_timm():
    """Where a model has no figures of its authors, the source is timm's table."""
    assert {each.name for each in models() if each.source == TIMM_RESULTS} == {'MnasNet-B1', 'EfficientViT-B0'}
