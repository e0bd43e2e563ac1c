"""The convolutional layers: convolution-norm-activation and the inverted residual of MobileNetV2."""
from collections.abc import Callable

import torch.nn as nn
from torch import Tensor

from .archs import make_divisible
from .inference import activate, add, conv_norm, foldable, known, unobserved
from .norm_act import norm_act


@known
class ConvNormAct(nn.Sequential):
    """Convolution without bias, normalisation, activation: (B, C_in, H, W) -> (B, C_out, ceil(H/s), ceil(W/s)).

    Args:
        kernel: Odd kernel size; at stride 1 the padding keeps height and width.
        norm_layer: Normalisation: channels -> module.
        act_layer: Activation: () -> module; None for no activation.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, norm_layer: Callable[[int], nn.Module],
                 act_layer: Callable[[], nn.Module] | None, stride: int = 1, dilation: int = 1, groups: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, dilation * (kernel // 2), dilation,
                              groups, bias=False)
        self.norm = norm_layer(out_channels)
        if act_layer is not None:
            self.act = act_layer()

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, 'norm'):  # an inference copy
            return super().forward(x)
        if unobserved(x, self.conv, self.norm) and foldable(x, self.conv, self.norm):
            out = conv_norm(x, self.conv, self.norm)
            return activate(out, self.act) if hasattr(self, 'act') else out
        if hasattr(self, 'act'):
            return norm_act(self.conv(x), self.norm, self.act)
        return super().forward(x)


@known
class InvertedResidual(nn.Module):
    """Inverted residual, (B, C_in, H, W) -> (B, C_out, ceil(H/s), ceil(W/s)).

    1x1 expand, 3x3 depthwise, 1x1 project; the input is added if the shapes match. Source: MobileNetV2, arXiv 1801.04381.
    """

    def __init__(self, in_channels: int, out_channels: int, *, expand_ratio: float, norm_layer: Callable[[int], nn.Module],
                 act_layer: Callable[[], nn.Module], stride: int = 1, dilation: int = 1):
        super().__init__()
        hidden = make_divisible(in_channels * expand_ratio, 8)
        self.expand = ConvNormAct(in_channels, hidden, 1, norm_layer=norm_layer, act_layer=act_layer)
        self.depthwise = ConvNormAct(hidden, hidden, 3, stride=stride, dilation=dilation, groups=hidden,
                                     norm_layer=norm_layer, act_layer=act_layer)
        self.project = ConvNormAct(hidden, out_channels, 1, norm_layer=norm_layer, act_layer=None)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        out = self.project(self.depthwise(self.expand(x)))
        return add(x, out, self.project) if self.residual else out
