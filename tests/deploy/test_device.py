"""The form for delegates: the model's outputs, four axes at most, the batch axis first in every step, nothing indexed."""
import conftest
import pytest
import torch
from backbones import build, every_arch, every_type, image
from test_deploy import deviation, lived_in
from torch import nn
from torch.nn import functional as F

from mvit3_bench.cli import export as command
from mvit3_bench.deploy import fuse
from mvit3_bench.deploy.check import RULES, check, name_of, steps
from mvit3_bench.deploy.export import deploy
from mvit3_bench.deploy.targets.base import capture
from mvit3_bench.deploy.wrappers import wrap

slow = pytest.mark.slow(reason='a program of torch.export for every arch')


def check_form(family: str, arch: str, size: tuple[int, int]) -> None:
    """Every step of the graph, as it is given to an exporter."""
    deployed = deploy(lived_in(build(family, arch, out_indices=(1, -1))).eval(), size, raw=True, device=True)
    found = list(steps(capture(deployed, free_batch=False)))
    assert len(found) > 100
    for node, value in found:
        shape = value.shape
        assert len(shape) <= 4 and shape[0] == 1 and all(type(side) is int for side in shape), (node, shape)
    refused = {'im2col', 'col2im', 'unfold', 'gather', 'index', 'index_select', 'expand', 'repeat', 'flip', 'where',
               'masked_fill'}
    assert refused.isdisjoint(name_of(node) for node, _ in found)


@every_type
def test_form(family, arch):
    """A block of each type."""
    check_form(family, arch, (64, 64))


@slow
@every_arch
def test_form_of_every_arch(family, arch):
    """Every arch, at a size with odd maps."""
    check_form(family, arch, (72, 96))


@every_arch
def test_outputs(family, arch):
    """The outputs of the model itself, in double precision; odd maps, too."""
    model, images = lived_in(build(family, arch, out_indices=(1, -1))).double().eval(), image(65, 97, batch=1).double()
    with torch.no_grad():
        assert deviation(deploy(model, (65, 97), raw=True, device=True)(images), model(images)) < 1e-10


@pytest.mark.parametrize('path', [
    'cls/mvit3_xxs_in1k.py', 'det/ssdlite_mvit3_xxs_coco.py', 'seg/deeplabv3_mvit3_0.5_ade20k.py'])
def test_whole_models(path):
    """Each task: outputs of the wrapper, and no delegate of a GPU or an NPU refuses anything."""
    from test_export import whole
    model = whole(path).double()
    reference, deployed = wrap(model, (96, 128), raw=True), deploy(model, (96, 128), raw=True, device=True)
    images = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 255
    with torch.no_grad():
        assert reference.deviation(images, list(deployed(images))) < 1e-8
    assert not deployed.flip  # the order of the colours is in the weights
    assert not any(check(deployed, delegate) for delegate in ('litert-gpu', 'ncnn', 'coreml-ane'))


def test_colours_with_a_mean_each():
    """Mean and std of the preprocessor turn with the colours."""
    from test_export import whole
    model = whole('cls/mvit3_xxs_in1k.py').double()
    model.data_preprocessor.mean = torch.tensor([1.0, 20.0, 40.0], dtype=torch.float64).view(3, 1, 1)
    model.data_preprocessor.std = torch.tensor([50.0, 60.0, 70.0], dtype=torch.float64).view(3, 1, 1)
    reference, deployed = wrap(model, (64, 64), raw=True), deploy(model, (64, 64), raw=True, device=True)
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 255
    assert reference.flip and reference.shift
    with torch.no_grad():
        assert reference.deviation(images, list(deployed(images))) < 1e-8


def test_other_norms_are_left():
    """Group norms of several groups, or without weights, compute what they did."""
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.GroupNorm(2, 8), nn.GroupNorm(1, 8, affine=False), nn.GroupNorm(1, 8))
    nn.init.normal_(model[-1].weight)
    deployed = deploy(model.eval(), (8, 8), raw=True, device=True)
    kinds = [type(module).__name__ for module in deployed.model]
    assert kinds == ['Conv2d', 'GroupNorm', 'GroupNorm', 'ExportGroupNorm']
    images = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(*deployed(images), model(images))


class Unfolding(nn.Module):
    """A network with an operator that many delegates refuse."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1)

    def forward(self, x):
        return F.unfold(self.conv(x), 2, stride=2),


def test_what_is_refused():
    """The first operator or axis, with the module that it is in and a source."""
    usual = wrap(fuse(lived_in(build('v3', 'xxs')).eval()), (64, 64), raw=True).eval()
    for delegate in ('litert-gpu', 'ncnn'):
        first = check(usual, delegate)[0]
        assert first.layer == 'model.layer3.1' and len(first.shape) == 5, first
        assert 'axes, more than 4' in first.reason and first.source.startswith('https://github.com/')
    refused = check(wrap(Unfolding(), (8, 8), raw=True).eval(), 'litert-gpu')
    assert [each.operator for each in refused] == ['im2col'] and 'ir_model_builder' in str(refused[0])
    grouped = deploy(lived_in(build('v3', 'xxs')).eval(), (64, 64), raw=True, device=True)
    assert [each.operator for each in check(grouped, 'executorch-xnnpack')] == ['layer_norm']
    assert all(rule.source.startswith('https://') for rules in RULES.values() for rule in rules)


def test_command(tool, run_dir):
    """Nothing refused: a line; something refused: an error that names it. No file is written."""
    config = conftest.ROOT / 'configs/cls/mvit3_xxs_in1k.py'
    assert tuple(RULES) == command.DELEGATES
    outcome = tool('export', config, 'none', '--check', 'ncnn', '--shape', 64)
    assert not outcome.code and 'ncnn: nothing that it is known to refuse' in outcome.output, outcome.output
    outcome = tool('export', config, 'none', '--check', 'executorch-xnnpack', '--shape', 64)
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    first = 'layer_norm in model.backbone.layer3.1.transformer.0.attn_norm'
    assert f'error: executorch-xnnpack refuses {first}' in outcome.output
    assert 'https://docs.pytorch.org/executorch' in outcome.output and not list(run_dir.glob('*.*'))
