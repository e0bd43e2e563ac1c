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


def replace_layers(model: nn.Module) -> nn.Module:
    """Replace, in the model itself, layers that cannot be exported, or run slowly when exported, by equivalent ones.

    :class:`AdaptivePool` replaces adaptive poolings to more than a single pixel, :class:`.attention.ExportAttention` the
    separable attention of an inference copy.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, SplitAttention):
                setattr(module, name, ExportAttention(child))
            elif isinstance(child, nn.AdaptiveAvgPool2d):
                size = child.output_size if isinstance(child.output_size, tuple) else (child.output_size,) * 2
                if size != (1, 1):
                    setattr(module, name, AdaptivePool(size))
    return model
