"""The backbones compute what the published implementation computes, on every golden classification model."""
import golden
import pytest
import torch

from mvit3_bench.checkpoints import from_published, to_published
from mvit3_bench.models import MobileViTv1, MobileViTv2, MobileViTv3

FAMILIES = dict(v1=MobileViTv1, v2=MobileViTv2, v3=MobileViTv3)
CLASSIFIERS = golden.names('cls_*')


def parse(name: str) -> tuple[type, str, tuple[int, int]]:
    """``cls_v3_s_192x320`` -> backbone class, arch, input size."""
    _, family, arch = name.split('_', 2)
    size = (256, 256)
    last = arch.rpartition('_')[2]
    if arch != last and last[0].isdigit():
        height, _, width = last.partition('x')
        arch, size = arch.rpartition('_')[0], (int(height), int(width or height))
    return FAMILIES[family], arch, size


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_end_points(name):
    """The five end points are the published ones to 1e-4 of their std, after strict loading."""
    cls, arch, size = parse(name)
    backbone = cls(arch, out_indices=range(5), odd_size='published').eval()
    backbone.load_state_dict(from_published(golden.state_dict(name), 'backbone'), strict=True)
    with torch.no_grad():
        outs = backbone(golden.image(*size))
    for level, out in enumerate(outs, start=1):
        assert golden.deviation(name, f'feat_out_l{level}', out) < 1e-4, f'layer{level}'


@pytest.mark.parametrize('name', CLASSIFIERS + golden.names('seg_*'))
def test_round_trip(name):
    """published -> ours -> published is the identity."""
    task = dict(cls='classification', seg='segmentation')[name.partition('_')[0]]
    published = golden.state_dict(name)
    back = to_published(from_published(published, task), task)
    assert list(back) == list(published)
    assert all(torch.equal(back[key], published[key]) for key in published)


@pytest.mark.parametrize('name', sorted(n for n in golden.parameter_counts() if n.startswith('cls_')))
def test_parameter_count(name):
    """Backbone with its expansion, plus a linear classifier of 1000 classes, has the exact published count."""
    _, family, arch = name.split('_', 2)
    if arch == 's_unscaled':  # the ablation's last row: the v3 block at the widths of v1
        family, arch = 'v1', dict(name='s', depthwise_local=True, fuse_local=True, pointwise_fusion=True,
                                  input_residual=True)
    backbone = FAMILIES[family](arch, out_indices=(-1,))
    count = sum(p.numel() for p in backbone.parameters()) + 1000 * (backbone.out_channels[0] + 1)
    assert count == golden.parameter_counts()[name][0]
