"""Building and running backbones, for the tests of them."""
import pytest
import torch
from torch import nn

from mvit3_bench.mmlab import MobileViTv1, MobileViTv2, MobileViTv3
from mvit3_bench.models import ARCHS

FAMILIES = dict(v1=MobileViTv1, v2=MobileViTv2, v3=MobileViTv3)
ALL = [(family, arch) for family, archs in ARCHS.items() for arch in archs]
TYPES = [('v1', 'xxs'), ('v3', 'xxs'), ('v2', '0.5'), ('v3', '0.5')]  # a small one of each type
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
