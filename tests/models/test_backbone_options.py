"""Every keyword argument of the backbones does what it says, everywhere it says."""
import re

import pytest
import torch
from backbones import build, build_meta, every_arch, every_type, image, run
from mmcv.cnn import build_norm_layer
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mvit3_bench.checkpoints import io
from mvit3_bench.errors import CheckpointError
from mvit3_bench.models import ARCHS, backbone
from mvit3_bench.models.attention import MultiHeadAttention
from mvit3_bench.models.layers import ConvNormAct


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
    """with_cp recomputes every layer, dropout included, and changes neither outputs nor gradients nor running statistics."""
    calls, checkpoint = [], backbone.checkpoint
    monkeypatch.setattr(backbone, 'checkpoint', lambda *a, **k: (calls.append(a[0]), checkpoint(*a, **k))[1])
    results = []
    for with_cp in (False, True):
        model = build(family, arch, with_cp=with_cp, drop_rate=0.2)
        torch.manual_seed(1)
        outs = model(image())
        sum(out.square().mean() for out in outs).backward()
        results.append([*outs, *(parameter.grad for parameter in model.parameters()), *model.buffers()])
        assert len(calls) == (len(model.layer_names) if with_cp else 0)
    torch.testing.assert_close(*results)


@pytest.mark.parametrize('momentum, backend', [(0.1, None), (None, None), (0.1, 'aot_eager')])
def test_checkpointing_and_several_backward_passes(momentum, backend):
    """Gradients of one loss after the other; norms that average over all batches; and compiled."""
    results = []
    for with_cp in (False, True):
        model = build('v3', 'xxs', with_cp=with_cp, out_indices=(0, 1), norm_cfg=dict(type='BN', momentum=momentum))
        outs = (torch.compile(model, backend=backend) if backend and with_cp else model)(image())
        grads = [torch.autograd.grad(out.square().mean(), model.layer1.parameters(), retain_graph=True) for out in outs]
        results.append([*outs, *grads[0], *grads[1], *model.buffers()])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-6)


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
    published = 0.0 if ARCHS[family][arch].separable else 0.05 if arch.startswith('xxs') else 0.1
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


@every_arch
def test_norm_of_eight_groups_fits_every_width(family, arch):
    """GroupNorm with 8 groups divides every width of every model; SyncBN, too, reaches every layer."""
    for cfg, kind in ((dict(type='GN', num_groups=8), nn.GroupNorm), (dict(type='SyncBN'), nn.SyncBatchNorm)):
        model = build_meta(family, arch, norm_cfg=cfg)
        norms = [module.norm for module in model.modules() if isinstance(module, ConvNormAct)]
        assert len(norms) > 20 and all(isinstance(norm, kind) for norm in norms)


@every_type
def test_default_init(family, arch):
    """The published initialisation: activations that neither die nor explode; biases are zero in the v1 type alone."""
    model = build(family, arch)
    model.init_weights()
    outs = model.train()(image())
    assert all(0.1 < out.std() < 10 for out in outs)
    biases = [parameter for name, parameter in model.named_parameters() if name.endswith('bias')]
    assert biases and any(bias.any() for bias in biases) == ARCHS[family][arch].separable


@pytest.fixture
def log(monkeypatch):
    """The lines logged about loading."""
    lines = []
    monkeypatch.setattr(io, 'print_log', lambda message, *args, **kwargs: lines.append(message))
    return lines


@pytest.mark.parametrize('prefix', [None, 'backbone.'])
@every_type
def test_pretrained(family, arch, prefix, tmp_path, log):
    """init_cfg loads a checkpoint of the backbone, or the backbone in one of a model, and the log counts its tensors."""
    weights = {key: value + 1 for key, value in build(family, arch).state_dict().items()}
    saved = {(prefix or '') + key: value for key, value in weights.items()}
    torch.save(dict(state_dict=saved | {'head.fc.weight': torch.zeros(1)}), tmp_path / 'model.pth')
    model = build(family, arch, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'model.pth'), prefix=prefix))
    model.init_weights()
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    count = sum(not key.endswith('num_batches_tracked') for key in weights)
    assert log == [f'MobileViT{family}: the pretrained checkpoint filled {count} of {count} tensors']


def test_pretrained_in_part(tmp_path, log):
    """The log names each tensor that the checkpoint lacks or has in another shape; those keep their initialisation."""
    weights = build('v3', 'xxs').state_dict()
    weights['stem.conv.weight'] = torch.zeros(16, 4, 3, 3)
    del weights['layer5.1.proj.norm.running_mean']
    torch.save(weights, tmp_path / 'part.pth')
    model = build('v3', 'xxs', init_cfg=[
        dict(type='Constant', layer='Conv2d', val=0.5),
        dict(type='Pretrained', checkpoint=str(tmp_path / 'part.pth'))])
    model.init_weights()
    line, = log
    filled, wanted = map(int, re.search(r'filled (\d+) of (\d+) tensors', line).groups())
    assert wanted - filled == 2 and line.endswith('not filled: stem.conv.weight, layer5.1.proj.norm.running_mean')
    assert (model.stem.conv.weight == 0.5).all()


def test_pretrained_of_something_else(tmp_path, log):
    """A checkpoint that fills nothing raises, and says what it has, what is wanted and what may be the cause."""
    torch.save({f'backbone.{key}': value for key, value in build('v3', 'xxs').state_dict().items()}, tmp_path / 'whole.pth')
    model = build('v3', 'xxs', init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'whole.pth')))
    with pytest.raises(CheckpointError, match=r"none of the \d+ tensors.*backbone\.stem.*prefix='backbone\.'"):
        model.init_weights()
    assert not log


@pytest.mark.parametrize('family, arch', [('v3', 'xs'), ('v1', 'xxs'), ('v3', 0.5)])
def test_pretrained_of_another_arch(tmp_path, log, family, arch):
    """A checkpoint that would fill the tensors whose shape two models happen to share is refused."""
    torch.save(build('v3', 'xxs').state_dict(), tmp_path / 'xxs.pth')
    model = build(family, arch, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'xxs.pth')))
    with pytest.raises(CheckpointError, match='xxs.pth is a checkpoint of another arch|fills none'):
        model.init_weights()
    assert not log and not model._load_state_dict_pre_hooks


def test_pretrained_with_a_needless_prefix(tmp_path, log):
    """A prefix that the checkpoint of a backbone alone does not have is named, with the fix."""
    torch.save(build('v3', 'xxs').state_dict(), tmp_path / 'backbone.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'backbone.pth'), prefix='backbone.')
    model = build('v3', 'xxs', init_cfg=init_cfg)
    with pytest.raises(CheckpointError, match=r'backbone.pth has no keys that begin with backbone\.: leave out prefix'):
        model.init_weights()
    assert not log and not model._load_state_dict_pre_hooks
