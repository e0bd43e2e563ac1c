"""Dilation in place of stride, for a network of any package."""
import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@torch.no_grad()
def dilate(network: nn.Module, output_stride: int, side: int = 128, channels: int = 3) -> None:
    """Let a network, in place, subsample no further than to a stride: later convolutions are dilated instead of strided.

    Its weights stay, and a map that had a larger stride holds the same values at every other pixel, but for the border, for
    what looks at the whole image, and for a shift of a pixel by convolutions of even kernels. Strides that the maps' sizes
    do not depend on, such as those of keys and values within an attention, stay. What subsamples otherwise than by
    convolutions and poolings stays, too: whether the stride was reached, the maps tell.

    Args:
        network: Images (B, C, H, W) -> maps; it is run on blank ones, in evaluation mode.
        output_stride: The largest stride that is left.
        side: Of the blank image, in pixels.
        channels: C.
    """
    training, image = network.training, next(network.parameters()).new_zeros(1, channels, side, side)
    network.eval()
    strides = {layer: stride for layer, stride in _input_strides(network, image).items() if stride >= output_stride}
    strided = [layer for layer in strides if _pair(layer.stride) != (1, 1)]
    sizes = _sizes(network, image)
    for layer in strided:
        stride, layer.stride = layer.stride, (1, 1)
        if _sizes(network, image) == sizes:
            del strides[layer]
        layer.stride = stride
    network.train(training)
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if layer in strides:
                setattr(parent, name, _dilated(layer, strides[layer] // output_stride))


def _input_strides(network: nn.Module, image: Tensor) -> dict[nn.Module, int]:
    """Convolutions and poolings, in the order in which they run -> the stride of what they take."""
    strides = {}

    def note(layer: nn.Module, inputs: tuple[Tensor], _) -> None:
        strides[layer] = image.shape[-1] // inputs[0].shape[-1]
    handles = [layer.register_forward_hook(note) for layer in network.modules()
               if isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d))]
    network(image)
    for handle in handles:
        handle.remove()
    return strides


def _sizes(network: nn.Module, image: Tensor) -> list[torch.Size] | None:
    """The sizes of a network's maps; None if it cannot be run."""
    try:
        outputs = network(image)
    except RuntimeError:  # of a residual, for instance, whose branches have different sizes now
        return None
    return [output.shape for output in outputs]


def _dilated(layer: nn.Module, factor: int) -> nn.Module:
    """A layer without stride, whose taps lie apart by a factor; a convolution stays the same object."""
    kernel, before = _pair(layer.kernel_size), layer.padding
    if isinstance(layer, nn.AvgPool2d):
        return DilatedAvgPool2d(kernel, _pair(before), factor)
    layer.stride, layer.dilation = (1, 1), tuple(factor * each for each in _pair(layer.dilation))
    if isinstance(layer, nn.MaxPool2d):
        layer.padding = 0
        return nn.Sequential(nn.ConstantPad2d(_padding(kernel, _pair(before), factor), -torch.inf), layer)
    if not any(side % 2 for side in kernel):
        layer.padding = 'same'  # which an even kernel has more of on one side
    elif not isinstance(before, str):
        layer.padding = tuple(factor * each for each in _pair(before))
    return layer


def _padding(kernel: tuple[int, int], before: tuple[int, int], factor: int) -> list[int]:
    """Padding as torch takes it, (left, right, top, bottom), that keeps the size of a map."""
    return [factor * each for k, b in zip(reversed(kernel), reversed(before), strict=True) for each in (b, k - 1 - b)]


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
        x = F.pad(x, _padding(self.kernel, self.before, self.factor), mode='replicate')
        starts = [(self.factor * row, self.factor * column) for row, column in itertools.product(*map(range, self.kernel))]
        return sum(x[..., row:row + height, column:column + width] for row, column in starts) / len(starts)
