"""Parameters and multiply-adds: by hand on small modules, and the papers' own figures on their models."""
import re

import conftest
import golden
import pytest
import torch
from backbones import every_type
from torch import nn

from mvit3_bench.models import MobileViTv3
from mvit3_bench.models.attention import MultiHeadAttention, SeparableSelfAttention
from mvit3_bench.models.complexity import Complexity, count

CLS = conftest.ROOT / 'configs' / 'cls'
SEG = conftest.ROOT / 'configs' / 'seg'

# arXiv 2209.15159, Table 1 and the release: M multiply-adds at 256x256, to three decimals in the same convention; and truly
PUBLISHED = dict(s=1841.391, xs=926.975, xxs=289.023, s_l2=1651.959, xs_l2=852.817, xxs_l2=255.968)
PUBLISHED |= {'0.5': 481.327, '0.75': 1064.480, '1.0': 1875.960}
TRUE = dict(s=1832.7, xs=966.6, xxs=332.2, s_l2=1669.1, xs_l2=899.8, xxs_l2=300.7)
TRUE |= {'0.5': 479.8, '0.75': 1062.2, '1.0': 1872.9}


class Tokens(nn.Module):
    """An image as tokens, (B, C, H, W) -> (B, HW, C), and a module over them."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x.flatten(2).transpose(1, 2))


@pytest.mark.parametrize('module, parameters, multiply_adds, published', [
    (nn.Conv2d(8, 16, 3, padding=1, bias=False), 8 * 16 * 9, 8 * 16 * 9 * 24, 8 * 16 * 9 * 24),
    (nn.Conv2d(8, 8, 3, padding=1, groups=8), 8 * 9 + 8, 8 * 9 * 24, 8 * 9 * 24 + 8 * 24),
    (Tokens(nn.Linear(8, 5)), 45, 40 * 24, 40 * 24 + 5 * 24),
    (Tokens(MultiHeadAttention(8)), 4 * 72, 4 * 64 * 24 + 2 * 24 * 24 * 8, 4 * 64 * 24 + 4 * 8 * 24 + 2 * 24 * 64),
    (SeparableSelfAttention(8), 17 * 9 + 72, (17 * 8 + 64) * 24, (17 * 8 + 64) * 24 + (17 + 8) * 24),
    (nn.Sequential(nn.Conv2d(8, 8, 1), nn.GroupNorm(1, 8), nn.SiLU()), 72 + 16, 64 * 24, 64 * 24 + 8 * 24)],
    ids=['conv', 'depthwise with bias', 'linear', 'multi-head attention', 'separable attention', 'norm and activation'])
def test_by_hand(module, parameters, multiply_adds, published):
    """Small modules on 4 x 6 pixels, counted on paper."""
    assert count(module, (4, 6), channels=8)[''] == Complexity(parameters, multiply_adds, published)


@pytest.mark.parametrize('arch', PUBLISHED)
def test_published_backbones(arch):
    """With a classifier's bias and products added by hand, the nine models have the published figures."""
    model = MobileViTv3(arch, out_indices=(-1,))
    counts = count(model, (256, 256))['']
    classifier = model.out_channels[0] * 1000
    assert round((counts.published + classifier + 1000) / 1e6, 3) == PUBLISHED[arch]
    assert round((counts.multiply_adds + classifier) / 1e6, 1) == TRUE[arch]


@pytest.mark.parametrize('arch', PUBLISHED)
def test_tool(arch, tool):
    """get_flops.py prints the published figure, the true one beside it and the exact number of parameters."""
    pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')
    outcome = tool('get_flops', CLS / f'mvit3_{arch}_in1k.py', '--depth', 1)
    assert outcome.code in (0, None), outcome.output
    parameters, true, published = map(float, re.search(r'^total +([\d. ]+)$', outcome.output, re.M).group(1).split())
    assert published == PUBLISHED[arch] and round(true, 1) == TRUE[arch]
    assert parameters == round(golden.parameter_counts()[f'cls_v3_{arch}'][0] / 1e6, 3)


@every_type
def test_layers_add_up(family, arch):
    """The layers of a backbone add up to the whole, and the count is proportional to the batch of pixels where it should."""
    from backbones import build
    counts = count(build(family, arch), (64, 96))
    whole = counts['']
    layers = [value for name, value in counts.items() if name and '.' not in name]
    for field in ('parameters', 'multiply_adds', 'published'):
        assert sum(getattr(layer, field) for layer in layers) == getattr(whole, field)
    assert count(build(family, arch), (128, 96))['stem'].multiply_adds == 2 * counts['stem'].multiply_adds


def test_the_model_is_left_as_it_was():
    """Counting leaves no hook behind, changes no batch statistics and keeps the mode."""
    model = MobileViTv3('xxs')
    before = {key: value.clone() for key, value in model.state_dict().items()}
    count(model, (64, 64))
    assert model.training and not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_segmentor(tool):
    """The auxiliary head is apart: it costs parameters, and nothing at inference; the head is counted though not hooked."""
    pytest.importorskip('mmseg', reason='mmsegmentation is not installed')
    outcome = tool('get_flops', SEG / 'deeplabv3_mvit3_0.5_ade20k.py', '--shape', '64', '--depth', 1)
    rows = {name: list(map(float, figures.split()))
            for name, figures in re.findall(r'^([a-z_ ]*[a-z]) +([\d. ]*\d)', outcome.output, re.M)}
    everything, without_auxiliary = golden.parameter_counts()['seg_deeplabv3_v3_0.5_ade20k']
    assert rows['total'][0] == round(everything / 1e6, 3)
    assert rows['total without auxiliary head'][0] == round(without_auxiliary / 1e6, 3)
    assert rows['auxiliary_head'][1] == 0
    assert rows['backbone'][1] + rows['decode_head'][1] == pytest.approx(rows['total'][1], abs=2e-3)


def test_detector_of_two_stages(tool, tmp_path):
    """The Faster R-CNN of docs/swap.md: its second stage is counted too, and layers that run on several levels add up."""
    pytest.importorskip('mmdet', reason='mmdetection is not installed')
    text = re.search(r'# my_faster_rcnn.py\n(.*?)```', (conftest.ROOT / 'docs' / 'swap.md').read_text(), re.S).group(1)
    (tmp_path / 'my_faster_rcnn.py').write_text(text)
    outcome = tool('get_flops', tmp_path / 'my_faster_rcnn.py', '--shape', 64, 96, '--depth', 1)
    rows = {name: float(figure) for name, figure in re.findall(r'^([a-z_]+) +[\d.]+ +([\d.]+)', outcome.output, re.M)}
    assert set(rows) == {'backbone', 'neck', 'rpn_head', 'roi_head', 'total'} and all(rows.values())
    assert sum(rows.values()) == pytest.approx(2 * rows['total'], abs=4e-3)


@pytest.mark.parametrize('arguments, message', [
    (['nothing.py'], 'config not found: nothing.py'),
    ([SEG / 'deeplabv3_mvit3_0.5_ade20k.py', '--shape', 0], '--shape .* is not possible; allowed'),
    ([SEG / 'deeplabv3_mvit3_0.5_ade20k.py', '--shape', 1, 2, 3], '--shape .* is not possible; allowed'),
    ([SEG / 'deeplabv3_mvit3_0.5_ade20k.py', '--cfg-options', 'model.data_preprocessor.size=None'],
     'Commands that have --shape take one'),
    ([SEG / 'deeplabv3_mvit3_0.5_ade20k.py', '--cfg-options', 'model.backbone.arch=xl'], "unknown arch 'xl'")], ids=str)
def test_wrong_arguments(tool, arguments, message):
    """A message and exit code 1, no traceback."""
    pytest.importorskip('mmseg', reason='mmsegmentation is not installed')
    outcome = tool('get_flops', *arguments)
    assert outcome.code == 1 and re.search(f'error: .*{message}', outcome.output, re.S)
    assert 'Traceback' not in outcome.output


def test_counts_without_gradients():
    """Counting keeps no activations for a backward pass."""
    class Watched(nn.Conv2d):
        def forward(self, x):
            assert not torch.is_grad_enabled()
            return super().forward(x)
    assert count(nn.Sequential(Watched(3, 4, 1)), (8, 8))[''].multiply_adds == 8 * 8 * 12
