"""Evaluation without gradients gives what evaluation with gradients gives, module by module, and touches nothing else's."""
import copy
from functools import partial

import pytest
import torch
from torch import nn

from mvit3_bench.benchmark.models import lived_in
from mvit3_bench.models import Classifier, inference
from mvit3_bench.models.archs import ARCHS

TOLERANCE = 1e-5  # float32 is that far from float64, at some maps of random weights; a mistake is far beyond
MODELS = [('v1', 'xxs'), ('v2', '0.5'), ('v3', 'xxs'), ('v3', '0.5')]


def build(family: str, arch: str, **backbone) -> nn.Module:
    """A classifier whose layers differ."""
    return lived_in(Classifier(family, arch, num_classes=40, backbone=backbone), 0).eval()


def images(batch: int = 2, height: int = 64, width: int = 96) -> torch.Tensor:
    """Random images."""
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def plain(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The output, each module by itself, since a gradient could be wanted."""
    with torch.enable_grad():
        return model(x).detach()


def deviation(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Root mean square of the difference, in standard deviations."""
    return ((found - expected).square().mean().sqrt() / expected.std()).item()


@pytest.mark.parametrize('family, arch', [(family, arch) for family in ARCHS for arch in ARCHS[family]])
@torch.no_grad()
def test_same_outputs(family, arch):
    """As near to what float64 gives as module by module: folding costs no digit."""
    model, x = build(family, arch), images()
    exact = copy.deepcopy(model).double()
    expected, allowed = plain(exact, x.double()), 2 * deviation(plain(model, x).double(), plain(exact, x.double()))
    assert deviation(model(x).double(), expected) < allowed < 1e-5
    with torch.inference_mode():
        assert deviation(model(x.clone()).double(), expected) < allowed
    assert deviation(exact(x.double()), expected) < 1e-13


@pytest.mark.parametrize('family, arch', MODELS[2:])
@torch.no_grad()
def test_what_hooks_keep(family, arch):
    """A hook of any one module gets, and keeps, what the module gives by itself; those around it do not change it."""
    model, x, kept = build(family, arch), images(1), {}

    def keep(name):
        def hook(module, inputs, output):
            kept.setdefault(name, output)
        return hook
    names = [name for name, _ in model.named_modules()]
    handles = [module.register_forward_hook(keep(name)) for name, module in model.named_modules()]
    plain(model, x)
    for handle in handles:
        handle.remove()
    expected, kept = {name: flat(output) for name, output in kept.items()}, {}
    for name in names:
        handle = model.get_submodule(name).register_forward_hook(keep(name))
        model(x)
        handle.remove()
    assert kept.keys() == expected.keys()
    for name, output in kept.items():
        assert deviation(flat(output), expected[name]) < TOLERANCE, name


def flat(output) -> torch.Tensor:
    """All numbers of an output."""
    return torch.cat([each.flatten() for each in ((output,) if isinstance(output, torch.Tensor) else output)]).clone()


@pytest.mark.parametrize('family, arch', MODELS)
def test_nothing_else_changes(family, arch):
    """Neither images nor weights nor statistics; and in training mode a batch is one batch, whose statistics norm it."""
    model, x = build(family, arch), images(4)
    before, state = x.clone(), copy.deepcopy(model.state_dict())
    with torch.no_grad():
        model(x)
    assert torch.equal(x, before) and all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    training = copy.deepcopy(model).train()
    torch.manual_seed(0)
    expected = training(x).detach()
    training.load_state_dict(state)
    torch.manual_seed(0)
    with torch.no_grad():
        assert deviation(training(x), expected) < TOLERANCE


@torch.no_grad()
def test_changed_weights():
    """What is folded is made of the weights of now, also where autograd is told nothing of their change."""
    model, x = build('v3', 'xxs'), images()
    model(x)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.mul_(1.1)
            module.running_var.data.mul_(0.9)
        if isinstance(module, nn.Conv2d):
            module.weight.data.mul_(1.05)
    assert deviation(model(x), plain(model, x)) < TOLERANCE


@torch.no_grad()
def test_in_parts(monkeypatch):
    """A batch that goes through the first layers in parts, of one image or more, also where these are outputs."""
    for out_indices in ((0, 4), (1, 4), (2,)):
        model = lived_in(type(build('v3', 'xxs').backbone)('xxs', out_indices=out_indices), 0).eval()
        x, parts = images(5), []
        with torch.enable_grad():
            expected = [each.detach() for each in model(x)]
        for limit in (1, 2 * 64 * 96 * 16 * 4):
            monkeypatch.setattr(inference, 'CACHE_BYTES', limit)
            model.stem.conv._conv_forward = count(model.stem.conv, parts)
            for found, each in zip(model(x), expected, strict=True):
                assert deviation(found, each) < TOLERANCE
            del model.stem.conv._conv_forward
        assert parts[:5] == [1] * 5 and max(parts[5:]) > 1 and sum(parts) == 10, parts
        parts.clear()


def count(conv: nn.Conv2d, parts: list[int]):
    """A convolution that notes its batches."""
    forward = type(conv)._conv_forward

    def run(x, *args):
        parts.append(len(x))
        return forward(conv, x, *args)
    return run


def test_gradients():
    """Of images in evaluation mode: those of the model whose modules are called one by one."""
    model, x = build('v3', '0.5'), images(1)
    x.requires_grad_()
    found, = torch.autograd.grad(model(x).square().sum(), x)
    handles = [module.register_forward_hook(lambda *_: None) for module in model.modules()]
    expected, = torch.autograd.grad(model(x).square().sum(), x)
    assert len(handles) > 100 and torch.equal(found, expected)


class Doubled(nn.Conv2d):
    """A convolution of somebody else's."""

    def forward(self, x):
        """Twice what it was."""
        return 2 * super().forward(x)


@torch.no_grad()
def test_other_layers():
    """Subclasses, forwards that were put into a layer, and norms and activations of other kinds run as they are."""
    x = images()
    model = build('v3', 'xxs')
    conv = model.backbone.layer2[0].expand.conv
    mine = Doubled(conv.in_channels, conv.out_channels, 1, bias=False)
    mine.load_state_dict(conv.state_dict())
    model.backbone.layer2[0].expand.conv = mine
    linear = model.backbone.layer3[1].transformer[0].fc1
    linear.forward = lambda tokens: 2 * type(linear).forward(linear, tokens)
    assert deviation(model(x), plain(model, x)) < TOLERANCE

    for options in (dict(norm_layer=lambda channels: nn.GroupNorm(1, channels)), dict(norm_layer=lambda _: nn.Identity()),
                    dict(act_layer=nn.GELU), dict(act_layer=nn.Hardswish), dict(act_layer=nn.Identity)):
        for family, arch in (('v3', 'xxs'), ('v3', '0.5')):
            model = build(family, arch, **options)
            assert deviation(model(x), plain(model, x)) < TOLERANCE, options
    model = Classifier('v3', 'xxs', backbone=dict(norm_layer=partial(nn.BatchNorm2d, track_running_stats=False))).eval()
    assert deviation(model(x), plain(model, x)) < TOLERANCE


class Keeping(nn.Module):
    """A layer of somebody else's around another one, which keeps what that gave."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        """The layer's."""
        self.kept = self.layer(x)
        return self.kept


def inner_hook(layer: nn.Module) -> nn.Module:
    """The layer in a list, with a hook on it that keeps what it gives."""
    layer.register_forward_hook(lambda module, _, output: setattr(module, 'kept', output))
    return nn.Sequential(layer)


PLACES = {('v3', 'xxs'): ['stem', 'stem.norm', 'layer1.0.expand', 'layer2.1.project.conv', 'layer2.1.project', 'layer2.1',
                          'layer3.1.fusion.norm', 'layer3.1.transformer.0.attn', 'layer3.1.transformer.0.fc1',
                          'layer3.1.transformer.0.fc2', 'layer3.1.transformer.1.attn.proj'],
          ('v3', '0.5'): ['layer2.1.project.norm', 'layer3.1.proj', 'layer3.1.transformer.0.attn.proj',
                          'layer3.1.transformer.0.fc1', 'layer3.1.transformer.1.fc2']}


@pytest.mark.parametrize('around', [Keeping, inner_hook])
@pytest.mark.parametrize('family, arch, place', [(*model, place) for model, places in PLACES.items() for place in places])
@torch.no_grad()
def test_what_others_keep(family, arch, place, around):
    """What a layer that somebody put in keeps, or a hook inside of it, is what the layer gave."""
    model, x = build(family, arch).backbone, images(3)
    parent, _, name = place.rpartition('.')
    layer = model.get_submodule(place)
    setattr(model.get_submodule(parent), name, wrapped := around(layer))
    with torch.enable_grad():
        expected = model(x)[-1].detach()
    holder = wrapped if around is Keeping else layer
    before = holder.kept.detach().clone()
    assert deviation(model(x)[-1], expected) < TOLERANCE
    assert deviation(holder.kept, before) < TOLERANCE


@pytest.mark.parametrize('place, layer', [
    ('stem.conv', lambda conv: nn.Sequential(nn.Conv2d(3, 3, 1), conv)), ('layer1.0.expand', lambda _: nn.Conv2d(16, 32, 1)),
    ('layer1', lambda _: nn.Identity()), ('layer3.1.transformer.0.attn', lambda _: nn.Identity())])
@pytest.mark.parametrize('out_indices', [(0, 4), (4,)])
@torch.no_grad()
def test_replaced_layers(place, layer, out_indices, monkeypatch):
    """Layers that somebody put in the place of others, in parts of a batch, too."""
    monkeypatch.setattr(inference, 'CACHE_BYTES', 1)
    model = lived_in(type(build('v3', 'xxs').backbone)('xxs', out_indices=out_indices), 0).eval()
    parent, _, name = place.rpartition('.')
    setattr(model.get_submodule(parent), name, layer(model.get_submodule(place)).eval())
    x = images(3)
    with torch.enable_grad():
        expected = [each.detach() for each in model(x)]
    for found, each in zip(model(x), expected, strict=True):
        assert deviation(found, each) < TOLERANCE


@torch.no_grad()
def test_statistics_of_a_batch(monkeypatch):
    """Norms without running statistics see the whole batch, however large its maps."""
    monkeypatch.setattr(inference, 'CACHE_BYTES', 1)
    model, x = build('v3', 'xxs'), images(3)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean = norm.running_var = None
    assert deviation(model(x), plain(model, x)) < TOLERANCE


@torch.no_grad()
def test_global_hooks():
    """A hook of all modules gets what each gives, too."""
    model, x, kept = build('v3', 'xxs'), images(1), []
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, _, output: kept.append((module, flat(output), output)))
    try:
        model(x)
    finally:
        handle.remove()
    layers = {each for each in model.modules() if isinstance(each, (nn.SiLU, nn.BatchNorm2d))}
    assert {module for module, *_ in kept} >= layers
    assert all(torch.equal(before, flat(output)) for _, before, output in kept)


@pytest.mark.parametrize('dtype, allowed', [(torch.float16, 1.1), (torch.bfloat16, 1.1)])
@torch.no_grad()
def test_half_precision(dtype, allowed):
    """The softmax of the separable attention is one of single precision: its weights add up to one."""
    attention = build('v2', '1.0').backbone.layer5[1].transformer[0].attn.to(dtype)
    query = torch.randn(2, 16, 16, 1, generator=torch.Generator().manual_seed(0)).to(dtype)
    exact = attention.context_scores(query.double())
    found = attention.context_scores(query)
    assert found.dtype == dtype
    assert deviation(found.double(), exact) < allowed * deviation(exact.to(dtype).double(), exact)


@torch.no_grad()
def test_autocast():
    """In half precision nothing is folded, and the outputs are those of the plain way."""
    model, x = build('v3', '0.5'), images(1)
    with torch.autocast('cpu', torch.bfloat16):
        expected = plain(model, x)
        assert deviation(model(x).float(), expected.float()) < TOLERANCE
