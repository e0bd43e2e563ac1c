"""The backbones from outside: shapes, options, memory format, freezing, errors; and their attention against loops."""
import pytest
import torch
from mmcv.cnn import build_norm_layer
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mvit3_bench.models import ARCHS, MobileViTv1, MobileViTv2, MobileViTv3, backbone
from mvit3_bench.models.attention import MultiHeadAttention, SeparableSelfAttention
from mvit3_bench.models.blocks import MobileViTBlock
from mvit3_bench.models.layers import ConvNormAct

FAMILIES = dict(v1=MobileViTv1, v2=MobileViTv2, v3=MobileViTv3)
ALL = [(family, arch) for family, archs in ARCHS.items() for arch in archs]
TYPES = [('v1', 'xxs'), ('v3', 'xxs'), ('v2', '0.5'), ('v3', '0.5')]  # a small one of each type
SUB_GRIDS = [(i, j) for i in range(2) for j in range(2)]
every_arch = pytest.mark.parametrize('family, arch', ALL)
every_type = pytest.mark.parametrize('family, arch', TYPES)


def build(family: str, arch, **kwargs) -> nn.Module:
    """A backbone, of random weights that depend on nothing but the arguments."""
    torch.manual_seed(0)
    return FAMILIES[family](arch, **kwargs)


def build_meta(family: str, arch, **kwargs) -> nn.Module:
    """A backbone without values, for tests that run no image."""
    with torch.device('meta'):
        return FAMILIES[family](arch, **kwargs)


def image(height: int = 64, width: int = 64, *, batch: int = 2, channels: int = 3) -> torch.Tensor:
    """A random input, always the same."""
    return torch.rand(batch, channels, height, width, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def run(model: nn.Module, *size: int, **kwargs) -> tuple[torch.Tensor, ...]:
    """The maps of one image, in evaluation mode."""
    return model.eval()(image(*size, batch=1, **kwargs))


def sizes(outs) -> list[tuple[int, int]]:
    """Height and width of each map."""
    return [tuple(out.shape[-2:]) for out in outs]


# -------------------------------------------------------------------------------------------- shapes
@pytest.mark.parametrize('output_stride', [32, 16, 8])
@every_arch
def test_shapes(family, arch, output_stride):
    """The maps have the widths of ``out_channels`` and the size ceil(H / stride), whatever H."""
    model = build(family, arch, out_indices=range(5), output_stride=output_stride)
    strides = [min(stride, output_stride) for stride in (2, 4, 8, 16, 32)]
    for size in ((32, 64), (65, 97)):
        outs = run(model, *size)
        assert tuple(out.shape[1] for out in outs) == model.out_channels == ARCHS[family][arch].widths
        assert sizes(outs) == [tuple(-(-side // stride) for side in size) for stride in strides]


@every_arch
def test_odd_size_published(family, arch):
    """As published, the v2 type turns the 7x7 of a 224x224 image into 8x8, and the v1 type keeps it."""
    model = build(family, arch, out_indices=range(5), odd_size='published')
    last = 8 if ARCHS[family][arch].separable else 7
    assert sizes(run(model, 224, 224)) == [(s, s) for s in (112, 56, 28, 14, last)]


@pytest.mark.parametrize('family, arch', [('v2', '0.5'), ('v3', '0.5')])
def test_odd_size_published_in_every_stage(family, arch):
    """As published, layer3, layer4 and layer5 of the v2 type all return even sizes, and each goes on with its own."""
    model = build(family, arch, out_indices=range(5), odd_size='published')
    assert sizes(run(model, 72, 104)) == [(36, 52), (18, 26), (10, 14), (6, 8), (4, 4)]


@pytest.mark.parametrize('channels', [1, 4])
@every_type
def test_in_channels(family, arch, channels):
    """The stem takes the number of channels it was built for."""
    outs = run(build(family, arch, in_channels=channels), 64, 64, channels=channels)
    assert sizes(outs) == [(16, 16), (8, 8), (4, 4), (2, 2)]


@every_type
def test_unused_layers_are_not_built(family, arch):
    """Layers beyond the last output do not exist, and the others are those of the whole model."""
    model, whole = build(family, arch, out_indices=(0, 2)), build_meta(family, arch)
    assert [name for name, _ in model.named_children()] == ['stem', 'layer1', 'layer2', 'layer3']
    assert 'expansion' not in dict(whole.named_children())
    weights = whole.state_dict()
    assert all(weights[key].shape == value.shape for key, value in model.state_dict().items())
    assert sizes(run(model, 64, 64)) == [(32, 32), (8, 8)]


@every_type
def test_negative_out_indices(family, arch):
    """Negative indices count from the end, which is the expansion in the v1 type and layer5 in the v2 type."""
    table = ARCHS[family][arch]
    widths = table.widths if table.separable else (*table.widths, table.expansion)
    model = build(family, arch, out_indices=(0, -2, -1))
    assert model.out_channels == (widths[0], *widths[-2:])
    assert tuple(out.shape[1] for out in run(model, 64, 64)) == model.out_channels


# ----------------------------------------------------------------------------------------- attention
def naive_separable(attention: SeparableSelfAttention, x: torch.Tensor) -> torch.Tensor:
    """Separable self-attention by the book: unfold into (B, d, 4, N), attend over N, fold back."""
    patches = torch.stack([x[:, :, i::2, j::2].flatten(2) for i, j in SUB_GRIDS], dim=2)
    dim = x.shape[1]
    query, key, value = attention.qkv(patches).split([1, dim, dim], dim=1)
    context = (query.softmax(dim=-1) * key).sum(dim=-1, keepdim=True)
    patches = attention.proj(value.relu() * context)
    out = torch.empty_like(x)
    for index, (i, j) in enumerate(SUB_GRIDS):
        out[:, :, i::2, j::2] = patches[:, :, index].view_as(out[:, :, i::2, j::2])
    return out


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize('size', [(8, 12), (2, 2), (6, 2)], ids=str)
def test_separable_attention_equals_unfolding(size, memory_format):
    """The strided form equals the unfolded one, values and gradients."""
    torch.manual_seed(0)
    attention = SeparableSelfAttention(16).double()
    x = torch.randn(3, 16, *size, dtype=torch.float64).to(memory_format=memory_format).requires_grad_()
    out, expected = attention(x), naive_separable(attention, x)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    weight = torch.randn_like(out)
    grads = [torch.autograd.grad((y * weight).sum(), [x, *attention.parameters()]) for y in (out, expected)]
    torch.testing.assert_close(*grads, rtol=0, atol=1e-10)


def test_separable_attention_of_large_scores():
    """Scores of 1e4 neither overflow nor become NaN: the softmax is a stable one."""
    torch.manual_seed(0)
    attention = SeparableSelfAttention(8)
    x = 1e4 * torch.randn(1, 8, 4, 4)
    out = attention(x)
    assert out.isfinite().all()
    torch.testing.assert_close(out, naive_separable(attention, x), rtol=1e-5, atol=0.1)


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize('size', [(8, 12), (2, 2), (6, 2)], ids=str)
def test_attend_equals_four_sub_grids(size, memory_format):
    """The v1 type's attention equals the transformer run on each of the four strided sub-grids by itself."""
    torch.manual_seed(0)
    block = MobileViTBlock(8, 16, 32, 2, depthwise_local=True, fuse_local=True, pointwise_fusion=True,
                           input_residual=True, norm_cfg=dict(type='BN'), act_cfg=dict(type='SiLU'), drop_rate=0.0,
                           attn_drop_rate=0.0).double()
    x = torch.randn(3, 16, *size, dtype=torch.float64).to(memory_format=memory_format)
    expected = torch.empty_like(x)
    for i, j in SUB_GRIDS:
        grid = x[:, :, i::2, j::2]
        tokens = block.transformer(grid.flatten(2).transpose(1, 2))
        expected[:, :, i::2, j::2] = tokens.transpose(1, 2).reshape(grid.shape)
    torch.testing.assert_close(block.attend(x), expected, rtol=0, atol=1e-10)


class Watch(TorchDispatchMode):
    """Notes the name and the highest rank of the outputs of every operator that runs."""

    def __init__(self):
        super().__init__()
        self.ranks = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        ranks = [leaf.dim() for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        self.ranks[str(func)] = max([self.ranks.get(str(func), 0), *ranks])
        return out

    def unfolding(self) -> list[str]:
        """The operators that fold or unfold."""
        return [name for name in self.ranks if any(word in name for word in ('fold', 'im2col', 'col2im'))]


def test_watch_sees_unfolding():
    """The watch used below does see an unfold, a fold and a tensor of rank 6."""
    x = torch.rand(1, 2, 4, 4)
    with Watch() as watch:
        nn.functional.fold(nn.functional.unfold(x, 2, stride=2), (4, 4), 2, stride=2)
        x.unfold(2, 2, 2).unfold(3, 2, 2)
    assert len(watch.unfolding()) == 3 and max(watch.ranks.values()) == 6


@pytest.mark.parametrize('size', [(64, 64), (65, 97)], ids=['even', 'odd'])
@every_type
def test_no_unfolding_and_no_rank_above_five(family, arch, size):
    """No operator of the forward pass folds or unfolds or returns a tensor of more than rank 5."""
    model = build(family, arch, out_indices=(-1,))
    with Watch() as watch:
        run(model, *size)
    assert any('convolution' in name for name in watch.ranks)
    assert not watch.unfolding()
    assert {name: rank for name, rank in watch.ranks.items() if rank > 5} == {}


# ------------------------------------------------------------------------------------------- options
@every_type
def test_memory_format(family, arch):
    """The maps come back in the memory format of the input, with the same values."""
    model = build(family, arch).eval()
    with torch.no_grad():
        plain = model(image())
        last = model(image().to(memory_format=torch.channels_last))
    for one, other in zip(plain, last, strict=True):
        assert one.is_contiguous()
        assert other.is_contiguous(memory_format=torch.channels_last) and not other.is_contiguous()
        assert torch.equal(one, other)


@pytest.mark.parametrize('frozen_stages', [-1, 0, 2])
@every_type
def test_frozen_stages(family, arch, frozen_stages):
    """Frozen stages get no gradient and keep their batch statistics in training; all the others learn."""
    model = build(family, arch, frozen_stages=frozen_stages)
    assert model.train() is model
    before = {name: value.clone() for name, value in model.named_buffers()}
    sum(out.square().mean() for out in model(image())).backward()
    frozen = set(['stem', 'layer1', 'layer2'][:frozen_stages + 1])
    assert {name for name, module in model.named_children() if not module.training} == frozen
    for name, parameter in model.named_parameters():
        learns = name.split('.')[0] not in frozen
        assert parameter.requires_grad == learns and (parameter.grad is not None) == learns, name
    for name, value in model.named_buffers():
        assert torch.equal(value, before[name]) == (name.split('.')[0] in frozen), name


def test_frozen_stages_thaw_in_no_mode():
    """Switching to evaluation and back leaves frozen stages frozen."""
    model = build('v3', 'xxs', frozen_stages=1).eval().train()
    assert model.training and not model.layer1.training and model.layer2.training


@every_type
def test_norm_eval(family, arch):
    """With norm_eval every batch norm evaluates in training; dropout and all else trains; eval() is as ever."""
    model = build_meta(family, arch, norm_eval=True)
    assert model.train() is model and model.training
    modules = [module for module in model.modules() if not list(module.children())]
    for module in modules:
        assert module.training != isinstance(module, _BatchNorm)
    assert not any(module.training for module in model.eval().modules())


@every_type
def test_checkpointing(family, arch, monkeypatch):
    """with_cp recomputes every layer, dropout included, and changes neither outputs nor gradients."""
    calls, checkpoint = [], backbone.checkpoint
    monkeypatch.setattr(backbone, 'checkpoint', lambda *a, **k: (calls.append(a[0]), checkpoint(*a, **k))[1])
    results = []
    for with_cp in (False, True):
        model = build(family, arch, with_cp=with_cp, drop_rate=0.2)
        torch.manual_seed(1)
        outs = model(image())
        sum(out.square().mean() for out in outs).backward()
        results.append([*outs, *(parameter.grad for parameter in model.parameters())])
        assert len(calls) == (len(model.layer_names) if with_cp else 0)
    torch.testing.assert_close(*results)


@every_type
def test_norm_and_activation(family, arch):
    """norm_cfg and act_cfg reach every layer; no BatchNorm and no SiLU is left."""
    model = build(family, arch, out_indices=(-1,), norm_cfg=dict(type='GN', num_groups=8), act_cfg=dict(type='ReLU'))
    assert not any(isinstance(module, (_BatchNorm, nn.SiLU)) for module in model.modules())
    layers = [module for module in model.modules() if isinstance(module, ConvNormAct)]
    assert len(layers) > 20
    for layer in layers:
        assert isinstance(layer.norm, nn.GroupNorm) and layer.norm.num_groups == 8
        assert isinstance(getattr(layer, 'act', None), (nn.ReLU, type(None)))
    assert all(out.isfinite().all() for out in run(model, 64, 64))


def test_norm_of_the_config_is_the_one_built():
    """The arguments of norm_cfg arrive too, not only its type."""
    norm_cfg = dict(type='BN', eps=1e-3, momentum=0.01)
    expected = build_norm_layer(norm_cfg, 16)[1]
    model = build_meta('v3', 'xxs', norm_cfg=norm_cfg)
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    assert norms and {(norm.eps, norm.momentum) for norm in norms} == {(expected.eps, expected.momentum)}


@pytest.mark.parametrize('drop_rate', [None, 0.0, 0.3])
@every_type
def test_drop_rates(family, arch, drop_rate):
    """drop_rate reaches every dropout and defaults to the published one; attn_drop_rate reaches every attention."""
    model = build_meta(family, arch, drop_rate=drop_rate, attn_drop_rate=0.25)
    rates = {name: module.p for name, module in model.named_modules() if isinstance(module, nn.Dropout)}
    on_attention = {rate for name, rate in rates.items() if name.endswith('attn_dropout')}
    on_attention |= {module.attn_drop_rate for module in model.modules() if isinstance(module, MultiHeadAttention)}
    assert on_attention == {0.25}
    published = 0.0 if ARCHS[family][arch].separable else 0.1
    others = [rate for name, rate in rates.items() if not name.endswith('attn_dropout')]
    assert len(others) == sum(ARCHS[family][arch].depths)
    assert set(others) == {published if drop_rate is None else drop_rate}


def test_attention_dropout_acts_in_training_only():
    """The v1 type, whose attention has no dropout layer, drops attention weights in training and not in evaluation."""
    torch.manual_seed(0)
    attention, tokens = MultiHeadAttention(16, attn_drop_rate=0.5), torch.randn(1, 9, 16)
    assert not torch.allclose(attention(tokens), attention(tokens))
    attention.eval()
    assert torch.equal(attention(tokens), attention(tokens))


# -------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize('family, arch', [
    ('v3', 'xl'), ('v1', 'xl'), ('v1', 'xxs_l2'), ('v1', '0.5'), ('v1', 1.0), ('v2', 's'), ('v2', 'xxs'), ('v3', 2.5),
    ('v3', 0), ('v3', -1.0), ('v2', 'nan'), ('v3', None), ('v3', '')])
def test_unknown_arch(family, arch):
    """An arch that is unknown or of another family is refused, with its name and every known one."""
    with pytest.raises(ValueError, match='arch') as error:
        build_meta(family, arch)
    message = str(error.value)
    assert repr(arch) in message and f'MobileViT{family}' in message
    assert all(name in message for name in ARCHS[family])


@pytest.mark.parametrize('arch', [dict(name='xl'), dict(depths=(1, 1, 1))], ids=['unknown', 'missing'])
def test_dict_without_a_known_name(arch):
    """A dict whose name is unknown or missing is refused like a name."""
    with pytest.raises(ValueError, match='unknown arch.*xxs'):
        build_meta('v3', arch)


def test_unknown_field_of_arch():
    """A dict with a field that does not exist is refused, with the field and every known one."""
    with pytest.raises(ValueError, match=r'arch has no field.*\bdepht\b.*\bdepths\b.*\binput_residual\b'):
        build_meta('v3', dict(name='xxs', depht=(1, 1, 1)))


@pytest.mark.parametrize('family, name, value, wrong, allowed', [
    ('v3', 'out_indices', (1, 6), 6, range(-6, 6)),
    ('v3', 'out_indices', (-7,), -7, range(-6, 6)),
    ('v2', 'out_indices', (5,), 5, range(-5, 5)),
    ('v3', 'output_stride', 4, 4, (8, 16, 32)),
    ('v3', 'output_stride', 64, 64, (8, 16, 32)),
    ('v3', 'output_stride', '16', '16', (8, 16, 32)),
    ('v3', 'odd_size', 'crop', 'crop', ('keep', 'published')),
    ('v1', 'odd_size', None, None, ('keep', 'published')),
    ('v3', 'frozen_stages', -2, -2, range(-1, 7)),
    ('v3', 'frozen_stages', 7, 7, range(-1, 7)),
    ('v2', 'frozen_stages', 6, 6, range(-1, 6))])
def test_impossible_value(family, name, value, wrong, allowed):
    """The message names the argument, the value and what is allowed."""
    with pytest.raises(ValueError, match=name) as error:
        build_meta(family, '0.5' if family == 'v2' else 'xxs', **{name: value})
    head, _, tail = str(error.value).partition('; allowed: ')
    assert f'{name}={wrong!r}' in head
    assert sorted(tail.split(', ')) == sorted(map(repr, allowed))


@pytest.mark.parametrize('value', [(2, 1), (1, 1), (-1, 0), (4, -2), ()], ids=str)
def test_out_indices_out_of_order(value):
    """Outputs named twice, in another order or not at all are refused, with the value and the rule."""
    with pytest.raises(ValueError, match='at least one output, each once, in ascending order') as error:
        build_meta('v3', 'xxs', out_indices=value)
    assert f'out_indices={value!r}' in str(error.value)
