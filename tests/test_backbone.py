"""The backbones: shapes, switches, layout, errors."""
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mvit3_bench.models import ARCHS, MobileViTv1, MobileViTv2, MobileViTv3
from mvit3_bench.models.attention import SeparableSelfAttention

FAMILIES = dict(v1=MobileViTv1, v2=MobileViTv2, v3=MobileViTv3)


@pytest.mark.parametrize('output_stride', [32, 16, 8])
@pytest.mark.parametrize('family, arch', [(family, arch) for family, archs in ARCHS.items() for arch in archs])
def test_shapes(family, arch, output_stride):
    """Maps are ceil(H / stride) high, also at odd sizes, and as wide as `out_channels` says."""
    with torch.device('meta'):
        backbone = FAMILIES[family](arch, output_stride=output_stride)
        outs = backbone(torch.rand(2, 3, 65, 97))
    assert tuple(out.shape[1] for out in outs) == backbone.out_channels == ARCHS[family][arch].widths[1:]
    strides = [min(stride, output_stride) for stride in (4, 8, 16, 32)]
    assert [tuple(out.shape[2:]) for out in outs] == [(-(-65 // s), -(-97 // s)) for s in strides]


@pytest.mark.parametrize('arch, size', [('0.5', 8), ('xxs', 7)])
def test_published_odd_size(arch, size):
    """As published, a block of the v2 type turns 7x7 into 8x8, one of the v1 type keeps it."""
    with torch.device('meta'):
        assert MobileViTv3(arch, odd_size='published')(torch.rand(1, 3, 224, 224))[-1].shape[-1] == size


def test_separable_attention_equals_unfolding():
    """The reshaped view gives what unfolding into four sub-grids gives, to 1e-6."""
    torch.manual_seed(0)
    attention = SeparableSelfAttention(16)
    x = torch.randn(2, 16, 6, 8)
    query, key, value = attention.qkv(x).split([1, 16, 16], dim=1)
    out = torch.empty_like(value)
    for i in (0, 1):
        for j in (0, 1):
            q, k, v = (t[:, :, i::2, j::2] for t in (query, key, value))
            scores = q.flatten(2).softmax(-1).view_as(q)
            out[:, :, i::2, j::2] = v.relu() * (scores * k).sum((2, 3), keepdim=True)
    torch.testing.assert_close(attention(x), attention.proj(out), atol=1e-6, rtol=0)


def test_attend_equals_sub_grids():
    """Tokens of one pixel position see each other and nobody else."""
    torch.manual_seed(0)
    block = MobileViTv3('xxs').layer3[1].eval()
    x = torch.randn(2, 64, 6, 8)
    expected = torch.empty_like(x)
    for i in (0, 1):
        for j in (0, 1):
            tokens = x[:, :, i::2, j::2].flatten(2).transpose(1, 2)
            expected[:, :, i::2, j::2] = block.transformer(tokens).transpose(1, 2).reshape(2, 64, 3, 4)
    torch.testing.assert_close(block.attend(x), expected, atol=1e-5, rtol=1e-5)


class Watch(TorchDispatchMode):
    """Remember the operators that run and the highest rank they return."""

    def __init__(self):
        super().__init__()
        self.operators, self.rank = set(), 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.operators.add(str(func))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.rank = max(self.rank, tensor.ndim)
        return out


@pytest.mark.parametrize('family, arch', [('v1', 'xxs'), ('v3', 'xxs'), ('v2', '0.5'), ('v3', '0.5')])
def test_rank_and_operators(family, arch):
    """No tensor above rank 5, nothing is unfolded or folded."""
    backbone = FAMILIES[family](arch).eval()
    with torch.no_grad(), Watch() as watch:
        backbone(torch.rand(1, 3, 64, 64))
    assert watch.rank <= 5
    assert not [name for name in watch.operators if 'im2col' in name or 'col2im' in name or 'fold' in name]


def test_memory_format():
    """Outputs come in the layout of the input, with equal values."""
    backbone = MobileViTv3('0.5').eval()
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        plain, last = backbone(x), backbone(x.contiguous(memory_format=torch.channels_last))
    assert all(out.is_contiguous() for out in plain)
    assert all(out.is_contiguous(memory_format=torch.channels_last) for out in last)
    assert all(torch.equal(a, b) for a, b in zip(plain, last, strict=True))


def test_frozen_stages():
    """0 freezes the stem, statistics included; train() returns self."""
    backbone = MobileViTv3('xxs', frozen_stages=0)
    assert backbone.train() is backbone
    assert not backbone.stem.norm.training and backbone.layer1[0].expand.norm.training
    assert {name.split('.')[0] for name, p in backbone.named_parameters() if not p.requires_grad} == {'stem'}


def test_unused_layers_are_not_built():
    """Layers beyond the last output do not exist, and negative indices count from the end."""
    assert not hasattr(MobileViTv3('xxs', out_indices=(1, 2)), 'layer4')
    assert MobileViTv3('0.5', out_indices=(-1,)).out_channels == (256,)


@pytest.mark.parametrize('kwargs, expected', [
    (dict(arch='huge'), ['huge', 'xxs', '1.0', '2.0']),
    (dict(arch='s', out_indices=(1, 6)), ['out_indices=6', '5']),
    (dict(arch='s', out_indices=(2, 1)), ['out_indices', 'ascending']),
    (dict(arch='s', output_stride=4), ['output_stride=4', '32', '16', '8']),
    (dict(arch='s', odd_size='pad'), ["odd_size='pad'", 'keep', 'published']),
    (dict(arch='s', frozen_stages=9), ['frozen_stages=9', '-1']),
    (dict(arch=dict(name='s', size=3)), ['size', 'input_residual']),
])
def test_impossible_arguments(kwargs, expected):
    """The message names the argument, the value and the allowed ones."""
    with pytest.raises(ValueError) as error:
        MobileViTv3(**kwargs)
    assert all(part in str(error.value) for part in expected), str(error.value)
