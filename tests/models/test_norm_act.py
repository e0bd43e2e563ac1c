"""Batch norm and SiLU in one step give the outputs, gradients and statistics of the two layers."""
import copy

import pytest
import torch
from backbones import build, every_type, image
from torch import nn

from mvit3_bench.models.norm_act import _held, norm_act


@pytest.fixture
def layers():
    """A norm with weights and statistics of its own, an activation, and an input of unequal channels, in float64."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3, momentum=0.3).double()
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(tensor, 1.0)
    x = (torch.randn(2, 3, 4, 5, dtype=torch.float64) * torch.tensor([1.0, 3.0, 0.2]).view(3, 1, 1) + 1).requires_grad_()
    return norm, nn.SiLU(), x


def in_one_step(x) -> bool:
    return 'BatchNormSiLU' in type(x.grad_fn).__name__


def test_global_hooks_are_called(layers):
    """Hooks of all modules, as those of these two."""
    norm, act, x = layers
    called = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: called.append(module))
    try:
        norm_act(x, norm, act)
    finally:
        handle.remove()
    assert called == [norm, act]


def test_functional_transforms(layers):
    """torch.func.grad, and forward differentiation, with batch norms that follow their statistics."""
    norm, act, x = layers
    expected, = torch.autograd.grad(norm_act(x, norm, act).square().sum(), x)
    step, buffers = Step(norm, act), {f'norm.{name}': each.clone() for name, each in norm.named_buffers()}
    found = torch.func.grad(lambda x, buffers: torch.func.functional_call(step, buffers, x).square().sum())(
        x.detach(), buffers)
    assert torch.allclose(found, expected)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x.detach(), torch.ones_like(x))
        out = norm_act(dual, norm, act).square().sum()
        assert torch.allclose(torch.autograd.forward_ad.unpack_dual(out).tangent, expected.sum())


def test_fake_tensors(layers):
    """A backward pass without numbers leaves nothing to those with numbers."""
    norm, act, x = layers
    vars(_held).clear()
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = mode.from_tensor(x.detach()).requires_grad_()
        norm_act(fake, norm, act).sum().backward()
    norm_act(x, norm, act).sum().backward()
    assert type(x.grad) is torch.Tensor


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_equal(layers, memory_format):
    """Outputs, all gradients, running statistics and their count."""
    norm, act, x = layers
    other = copy.deepcopy(norm)
    image = x.contiguous(memory_format=memory_format)
    found, expected = norm_act(image, norm, act), act(other(image))
    assert in_one_step(found)
    torch.testing.assert_close(found, expected)
    weights = torch.rand_like(x)
    for one, two in zip(torch.autograd.grad((found * weights).sum(), (x, *norm.parameters())),
                        torch.autograd.grad((expected * weights).sum(), (x, *other.parameters())), strict=True):
        torch.testing.assert_close(one, two)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in norm.state_dict().items())


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_maps_of_any_size_and_layout(dtype):
    """The backward passes share memory: of smaller maps after larger ones, of other layouts and of views."""
    torch.manual_seed(0)
    big = torch.randn(2, 3, 8, 8, dtype=dtype)
    for map_ in (big, big[:1], big.to(memory_format=torch.channels_last), big[..., ::2], big.mT, torch.cat([big, big])):
        gradients = []
        for step in (norm_act, lambda x, norm, act: act(norm(x))):
            x = map_.clone(memory_format=torch.preserve_format).requires_grad_()
            step(x, nn.BatchNorm2d(3).to(dtype), nn.SiLU()).square().sum().backward()
            gradients.append(x.grad)
        torch.testing.assert_close(*gradients)


def test_derivatives(layers):
    """First and second derivatives against finite differences."""
    norm, act, x = layers

    def function(x, weight, bias):
        return torch.func.functional_call(Step(norm, act), {'norm.weight': weight, 'norm.bias': bias}, (x,))
    inputs = (x, *(each.detach().clone().requires_grad_() for each in norm.parameters()))
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


class Step(nn.Module):
    def __init__(self, norm, act):
        super().__init__()
        self.norm, self.act = norm, act

    def forward(self, x):
        return norm_act(x, self.norm, self.act)


def test_frozen(layers):
    """Parameters, or an input, that need no gradient get none."""
    norm, act, x = layers
    norm.bias.requires_grad_(False)
    out = norm_act(x.detach(), norm, act)
    assert in_one_step(out)
    out.sum().backward()
    assert norm.weight.grad is not None and norm.bias.grad is None and x.grad is None


def test_hooks_are_called(layers):
    """Whoever watches a layer sees it run."""
    norm, act, x = layers
    for module in (norm, act):
        seen = []
        handle = module.register_forward_hook(lambda *_, seen=seen: seen.append(True))
        assert not in_one_step(norm_act(x, norm, act)) and seen
        handle.remove()
    assert in_one_step(norm_act(x, norm, act))


@pytest.mark.parametrize('other', [
    dict(norm=nn.BatchNorm2d(3).eval()), dict(norm=nn.GroupNorm(1, 3)), dict(norm=nn.BatchNorm2d(3, momentum=None)),
    dict(norm=nn.BatchNorm2d(3, affine=False)), dict(norm=nn.BatchNorm2d(3, track_running_stats=False)),
    dict(act=nn.ReLU())],
    ids=['eval', 'group norm', 'no momentum', 'no weights', 'no statistics', 'relu'])
def test_other_layers(layers, other):
    """Anything else is computed layer by layer."""
    norm, act = other.get('norm', nn.BatchNorm2d(3)), other.get('act', nn.SiLU())
    x = layers[2].detach().float().requires_grad_()
    out = norm_act(x, norm, act)
    assert not in_one_step(out)
    torch.testing.assert_close(out, act(norm(x)))


@every_type
def test_backbones(family, arch):
    """A whole network has the gradients it has with layers that are watched, at a third less memory kept for them."""
    gradients, kept = [], []
    for watched in (False, True):
        model = build(family, arch, drop_rate=0.0)
        for module in model.modules():
            if watched and isinstance(module, nn.SiLU):
                module.register_forward_hook(lambda *_: None)
        saved = {}

        def note(tensor, saved=saved):
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss = sum(out.square().mean() for out in model(image()))
        loss.backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
        kept.append(sum(saved.values()) - sum(each.nbytes for each in model.parameters()))
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4 * gradients[0].abs().max().item())
    assert kept[0] < 0.8 * kept[1]
