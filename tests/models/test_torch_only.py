"""The models, the converters and the deployment of backbones and classifiers need torch, torchvision and numpy alone."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from backbones import ALL, FAMILIES, every_type
from conftest import ROOT
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mvit3_bench import models
from mvit3_bench.mmlab.backbones import MobileViT as MobileViTOfAdapter
from mvit3_bench.models import Classifier
from mvit3_bench.models.classifier import FAMILIES as TORCH_FAMILIES
from mvit3_bench.models.layers import ConvNormAct

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def ask(tmp_path_factory):
    """A process in which neither MMEngine nor mmcv nor a framework can be imported: the name of a check -> its traceback."""
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    command = [sys.executable, str(TESTS / 'torch_only_process.py'), str(tmp_path_factory.mktemp('exported'))]
    with subprocess.Popen(command, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        def call(name: str) -> str:
            print(name, file=process.stdin, flush=True)
            answer = process.stdout.readline()
            assert answer, f'the process ended with {process.wait()}'
            return json.loads(answer)
        yield call
        process.stdin.close()


@pytest.mark.parametrize('check', [
    'imports', 'archs', 'cls_v1_xxs', 'cls_v2_0.5', 'cls_v3_xxs', 'cls_v3_s_l2', 'cls_v3_0.5', 'cls_v3_1.0_224',
    'cls_v3_s_192x320', 'fused', 'traced', 'features', 'counted', 'normalised', 'exported', 'imports'])
def test_without_openmmlab(ask, check):
    """What the functions of torch_only_process.py say; the golden names are its ``published``."""
    failure = ask(check)
    assert not failure, failure


def test_start_up():
    """Importing the models takes little more than importing torch."""
    command = [sys.executable, '-X', 'importtime', '-c', 'import mvit3_bench.models']
    log = subprocess.run(command, env=dict(os.environ, PYTHONPATH=str(ROOT)), check=True, capture_output=True,
                         text=True).stderr
    cumulative = {name: int(time) for time, name in re.findall(r'\| +(\d+) \| +(torch|mvit3_bench\.models)$', log, re.M)}
    assert cumulative['mvit3_bench.models'] < 1.2 * cumulative['torch']


@pytest.mark.parametrize('family, arch', ALL)
def test_adapter(family, arch):
    """The classes of OpenMMLab's are the same networks: same keys, shapes and outputs."""
    assert issubclass(FAMILIES[family], TORCH_FAMILIES[family]) and issubclass(FAMILIES[family], MobileViTOfAdapter)
    with torch.device('meta'):
        theirs, ours = FAMILIES[family](arch), TORCH_FAMILIES[family](arch)
    assert theirs.state_dict().keys() == ours.state_dict().keys()
    assert all(value.shape == ours.state_dict()[key].shape for key, value in theirs.state_dict().items())
    assert (theirs.out_channels, theirs.strides, theirs.layer_names) == (ours.out_channels, ours.strides, ours.layer_names)


@every_type
def test_same_initialisation(family, arch):
    """With the same seed, both start from the same weights."""
    weights = []
    for classes in (FAMILIES, TORCH_FAMILIES):
        torch.manual_seed(0)
        weights.append(classes[family](arch).state_dict())
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())


@every_type
def test_norm_layer_and_act_layer(family, arch):
    """norm_layer and act_layer reach every layer, the channels too; no batch norm and no SiLU is left."""
    backbone = dict(norm_layer=lambda channels: nn.GroupNorm(channels // 8, channels), act_layer=nn.Hardswish)
    model = Classifier(family, arch, backbone=backbone)
    assert not any(isinstance(module, (_BatchNorm, nn.SiLU)) for module in model.modules())
    layers = [module for module in model.modules() if isinstance(module, ConvNormAct)]
    assert len(layers) > 20
    for layer in layers:
        assert isinstance(layer.norm, nn.GroupNorm) and layer.norm.num_groups == layer.conv.out_channels // 8
        assert isinstance(getattr(layer, 'act', None), (nn.Hardswish, type(None)))
    assert model(torch.rand(2, 3, 64, 64)).isfinite().all()


@every_type
def test_classifier_dropout(family, arch):
    """Before the linear layer: as published, the v1 type's 0.1 and none of the v2 type, unless it is given."""
    with torch.device('meta'):
        published, given = Classifier(family, arch), Classifier(family, arch, drop_rate=0.3)
    assert published.head.dropout.p == (0.0 if published.arch.separable else 0.1) and given.head.dropout.p == 0.3


@pytest.mark.parametrize('arguments, message', [
    (dict(family='v4'), "family='v4' is not possible; allowed: 'v1', 'v2', 'v3'"),
    (dict(arch='xl'), "unknown arch 'xl' of MobileViTv3; known: xxs"),
    (dict(num_classes=0), 'num_classes=0 is not possible; allowed: whole numbers from 1'),
    (dict(drop_rate=1.5), 'drop_rate=1.5 is not possible; allowed: 0 <= drop_rate < 1'),
    (dict(backbone=dict(out_indices=(1,))), 'is not possible; allowed: arguments of a backbone but out_indices'),
    (dict(backbone=dict(norm_layer=None)), 'norm_layer=None is not possible; allowed: channels -> module'),
    (dict(backbone=dict(norm_layer=dict(type='BN'))), "norm_layer={'type': 'BN'} is not possible"),
    (dict(backbone=dict(act_layer=None)), 'act_layer=None is not possible; allowed: .. -> module')], ids=str)
def test_wrong_arguments(arguments, message):
    """The message names the argument, its value and what is allowed."""
    with pytest.raises(ValueError, match=message):
        Classifier(**dict(dict(family='v3', arch='xxs'), **arguments))


def test_no_config_arguments():
    """The models of torch alone know no arguments of OpenMMLab's."""
    for name in ('norm_cfg', 'act_cfg', 'init_cfg'):
        with pytest.raises(TypeError, match=name):
            models.MobileViTv3('xxs', **{name: dict(type='BN')})
