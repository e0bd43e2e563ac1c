"""Dilation in place of stride, for a network of any package."""
import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@torch.no_grad()
def dilate(network: nn.Module, output_stride: int, side: int = 256) -> None:
    """Let a network, in place, subsample no further than to a stride: later convolutions are dilated instead of strided.

    Its weights stay, and a map that had a larger stride holds the same values at every other pixel, but for the border, for
    what looks at the whole image, and for a shift of a pixel by convolutions of even kernels. What subsamples otherwise than
    by convolutions and poolings stays as it is: whether the stride was reached, the maps tell.

    Args:
        network: Images (B, 3, H, W) -> maps; it is run once on a blank one, in evaluation mode.
        output_stride: The largest stride that is left.
        side: Of the blank image, in pixels.
    """
    strides = {}  # layer -> stride of its input

    def note(layer: nn.Module, inputs: tuple[Tensor], _) -> None:
        strides[layer] = side // inputs[0].shape[-1]
    handles = [layer.register_forward_hook(note) for layer in network.modules()
               if isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d))]
    training = network.training
    network.eval()
    try:
        network(next(network.parameters()).new_zeros(1, 3, side, side))
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if strides.get(layer, 0) >= output_stride:
                setattr(parent, name, _dilated(layer, strides[layer] // output_stride))


def _dilated(layer: nn.Module, factor: int) -> nn.Module:
    """A layer without stride, whose taps lie apart by a factor; a convolution stays the same object."""
    if isinstance(layer, nn.AvgPool2d):
        return DilatedAvgPool2d(_pair(layer.kernel_size), _pair(layer.padding), factor)
    layer.stride, layer.dilation = (1, 1), tuple(factor * each for each in _pair(layer.dilation))
    if isinstance(layer, nn.Conv2d) and not any(side % 2 for side in layer.kernel_size):
        layer.padding = 'same'  # which an even kernel has more of on one side
    elif not isinstance(layer.padding, str):
        layer.padding = tuple(factor * each for each in _pair(layer.padding))
    return layer


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


class DilatedAvgPool2d(nn.Module):
    """The mean of pixels that lie apart, at every pixel: (B, C, H, W) -> (B, C, H, W). The border is repeated outwards.

    Args:
        kernel: How many pixels, down and across.
        before: How many of them lie above and to the left.
        factor: How far they lie apart.
    """

    def __init__(self, kernel: tuple[int, int], before: tuple[int, int], factor: int):
        super().__init__()
        self.kernel, self.before, self.factor = kernel, before, factor

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        (top, left), (bottom, right) = self.before, (k - 1 - b for k, b in zip(self.kernel, self.before, strict=True))
        x = F.pad(x, [self.factor * each for each in (left, right, top, bottom)], mode='replicate')
        starts = [(self.factor * row, self.factor * column) for row, column in itertools.product(*map(range, self.kernel))]
        return sum(x[..., row:row + height, column:column + width] for row, column in starts) / len(starts)
