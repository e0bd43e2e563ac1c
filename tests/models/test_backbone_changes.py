"""The four changes from v1 to v3, in all sixteen combinations: they build, count as the arithmetic says, and train."""
import itertools

import golden
import pytest
import torch
from backbones import build, build_meta, image

from mvit3_bench.models import ARCHS

CHANGES = ('depthwise_local', 'fuse_local', 'pointwise_fusion', 'input_residual')
CLASSES = 1000
sixteen = pytest.mark.parametrize(
    'on', [on for count in range(5) for on in itertools.combinations(CHANGES, count)], ids=lambda on: '+'.join(on) or 'v1')


def options(on: tuple[str, ...]) -> dict:
    """All four options, those in ``on`` set."""
    return {change: change in on for change in CHANGES}


def parameters(model) -> int:
    """The number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def difference(arch, on: tuple[str, ...]) -> int:
    """How many parameters more than v1 a combination has, from the widths of its three blocks."""
    def of_options(channels, dim, depthwise_local, fuse_local, pointwise_fusion, **_):
        local = 9 * channels * (1 if depthwise_local else channels)
        fusion = (1 if pointwise_fusion else 9) * ((dim if fuse_local else channels) + channels) * channels
        return local + fusion
    return sum(of_options(*widths, **options(on)) - of_options(*widths, **options(()))
               for widths in zip(arch.widths[2:], arch.dims, strict=True))


@sixteen
@pytest.mark.parametrize('arch', ARCHS['v1'])
def test_count(arch, on):
    """Each combination has the parameters that its changes add to or take from the published count of v1."""
    table = ARCHS['v1'][arch]
    model = build_meta('v1', dict(name=arch, **options(on)), out_indices=(-1,))
    classifier = (table.expansion + 1) * CLASSES
    published = golden.parameter_counts()[f'cls_v1_{arch}'][0]
    assert parameters(model) + classifier == published + difference(table, on)


def test_unscaled_v3():
    """All four changes at the widths of v1-S: the unscaled model of the ablation, 4,327,688 parameters with classifier."""
    model = build_meta('v1', dict(name='s', **options(CHANGES)), out_indices=(-1,))
    assert parameters(model) + (640 + 1) * CLASSES == 4_327_688


@sixteen
def test_train(on):
    """Each combination learns to tell four images apart, with a gradient in every parameter."""
    model = build('v1', dict(name='xxs', **options(on)), out_indices=(-1,), drop_rate=0.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        loss = torch.nn.functional.cross_entropy(model(image(batch=4))[0].mean((2, 3)), torch.arange(4))
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
    assert losses[-1] < 0.85 * losses[0]


@pytest.mark.parametrize('arch', ARCHS['v1'])
def test_all_off_is_v1_and_all_on_is_v3(arch):
    """The names of the families say which options are on."""
    v1, v3 = ARCHS['v1'][arch], ARCHS['v3'][arch]
    assert not any(getattr(v1, change) for change in CHANGES) and all(getattr(v3, change) for change in CHANGES)
    keys = list(build_meta('v3', arch).state_dict())
    assert keys == list(build_meta('v1', dict(name=arch, **options(CHANGES))).state_dict())


@pytest.mark.parametrize('change', ['fuse_local', 'input_residual'])
def test_the_two_of_the_v2_type(change):
    """v2 has two of the four changes already; the other two are its options."""
    v2, v3 = ARCHS['v2']['0.5'], ARCHS['v3']['0.5']
    assert not getattr(v2, change) and getattr(v3, change)
    model = build('v2', dict(name='0.5', **{change: True}))
    sum(out.square().mean() for out in model(image())).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
