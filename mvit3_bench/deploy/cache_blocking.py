"""Cache blocking: on a CPU the first layers, which have the largest maps, process a batch a few images at a time."""
import torch
from torch import Tensor, nn

from ..models.backbone import MobileViT
from ..models.inference import density, in_parts
from ..models.layers import InvertedResidual

try:
    from torch.fx.experimental.symbolic_shapes import has_static_value
except ImportError:  # an older torch: what is compiled or exported takes its batch whole
    def has_static_value(number: int) -> bool:
        return not torch.compiler.is_compiling()


class CacheBlocked(nn.Sequential):
    """Layers that run on as many images at a time as the cache holds, (B, C, H, W) -> (B, C', H', W'), with equal outputs.

    On other devices than a CPU, and in exported models whose batch is free, the whole batch is processed at once.

    Args:
        layers: The layers.
        density: Numbers in the widest map for each pixel of the image.
    """

    def __init__(self, *layers: nn.Module, density: float):
        super().__init__(*layers)
        self.density = density

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(x, Tensor) and x.device.type == 'cpu' and has_static_value(x.shape[0]):  # else a tracer's
            return in_parts(super().forward, x, self.density)
        return super().forward(x)


def block_first_layers(backbone: MobileViT) -> None:
    """Join, in place, the layers before the first MobileViT block and the first output to one cache-blocked module.

    The backbone can no longer be trained, and its tensors have other names.
    """
    first = []
    for index, name in enumerate(backbone.layer_names):
        layer = getattr(backbone, name)
        residuals = [part for part in layer if isinstance(part, InvertedResidual)]
        first += residuals
        setattr(backbone, name, layer[len(residuals):])  # the rest; an empty nn.Sequential is an identity
        if len(residuals) < len(layer) or index in backbone.out_indices:
            break
    layers = backbone.stem, *first
    backbone.stem = CacheBlocked(*layers, density=density(module for layer in layers for module in layer.modules()))
