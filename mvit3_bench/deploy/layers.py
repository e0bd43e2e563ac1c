"""Layers that cannot be exported, or run slowly when exported, and the equivalent ones that replace them."""
from torch import Tensor, nn

from .attention import ExportAttention, SplitAttention


class AdaptivePool(nn.Module):
    """Adaptive average pooling as two matrix products: ONNX has none whose bins are of unequal width.

    Args:
        output_size: Height and width of the output.
    """

    def __init__(self, output_size: tuple[int, int]):
        super().__init__()
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        rows, cols = (x.new_tensor(_bins(*sizes)) for sizes in zip(x.shape[-2:], self.output_size, strict=True))
        return rows @ x @ cols.T  # (bins, H) @ (B, C, H, W) @ (W, bins)


def _bins(length: int, bins: int) -> list[list[float]]:
    """A row a bin, with the share that each pixel has in its mean."""
    edges = [(i * length // bins, -(-(i + 1) * length // bins)) for i in range(bins)]
    return [[float(start <= pixel < stop) / (stop - start) for pixel in range(length)] for start, stop in edges]


class ExportGroupNorm(nn.Module):
    """Group norm of one group, (B, C, H, W) -> (B, C, H, W), by means of the channels and the mean of these.

    Exported as it is, it becomes an instance norm of a single row of all pixels, which ONNX Runtime and OpenVINO add up less
    precisely: the maps of MobileViTv2-1.0 are then 2e-4 of their standard deviation from those in float64, with means 1e-5.

    Args:
        norm: The layer to replace.
        device: Means are over the last two axes alone, as XNNPACK has them.
    """

    def __init__(self, norm: nn.GroupNorm, device: bool = False):
        super().__init__()
        self.eps, self.device = norm.eps, device
        self.weight, self.bias = (nn.Parameter(each.clone().reshape(1, -1, 1, 1), requires_grad=False)
                                  for each in (norm.weight, norm.bias))

    def mean(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 1, 1, 1)."""
        means = x.mean((2, 3), keepdim=True)
        if self.device:
            return means.reshape(x.shape[0], 1, x.shape[1], 1).mean((2, 3), keepdim=True)
        return means.mean(1, keepdim=True)

    def forward(self, x: Tensor) -> Tensor:
        x = x - self.mean(x)
        return x * (self.mean(x * x) + self.eps).rsqrt() * self.weight + self.bias


def replace_layers(model: nn.Module, device: bool = False) -> nn.Module:
    """Replace, in the model itself, layers that cannot be exported, or run slowly when exported, by equivalent ones.

    :class:`AdaptivePool` replaces adaptive poolings to more than a single pixel, :class:`.attention.ExportAttention` the
    separable attention of an inference copy, :class:`ExportGroupNorm` group norms of one group; with ``device`` in the
    form for delegates.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, SplitAttention):
                setattr(module, name, ExportAttention(child))
            elif type(child) is nn.GroupNorm and child.num_groups == 1 and child.affine:
                setattr(module, name, ExportGroupNorm(child, device))
            elif isinstance(child, nn.AdaptiveAvgPool2d):
                size = child.output_size if isinstance(child.output_size, tuple) else (child.output_size,) * 2
                if size != (1, 1):
                    setattr(module, name, AdaptivePool(size))
    return model
