"""The convolutional layers: convolution-norm-activation and the inverted residual of MobileNetV2."""
from collections.abc import Callable

import torch.nn as nn
from mmcv.cnn import build_activation_layer, build_norm_layer
from torch import Tensor

from .archs import make_divisible
from .norm_act import norm_act


def _build(argument: str, builder: Callable[..., nn.Module], cfg: dict, channels: int | None = None) -> nn.Module:
    """A layer from a config of the user's; what mmcv and torch say of an impossible one does not name the argument."""
    try:
        return builder(cfg) if channels is None else builder(cfg, channels)[1]
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        layer = '' if channels is None else f' for a layer of {channels} channels'
        raise ValueError(f'{argument}={cfg!r} is not possible{layer}: {error}; allowed: what mmcv.cnn.{builder.__name__} '
                         'can build') from error


class ConvNormAct(nn.Sequential):
    """Convolution without bias, normalisation, activation: (B, C_in, H, W) -> (B, C_out, ceil(H/s), ceil(W/s)).

    Args:
        kernel: Odd kernel size; the padding keeps the size at stride 1.
        norm_cfg: Normalisation as a config.
        act_cfg: Activation as a config, None for no activation.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, norm_cfg: dict, act_cfg: dict | None,
                 stride: int = 1, dilation: int = 1, groups: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, dilation * (kernel // 2), dilation,
                              groups, bias=False)
        self.norm = _build('norm_cfg', build_norm_layer, norm_cfg, out_channels)
        if act_cfg is not None:
            self.act = _build('act_cfg', build_activation_layer, act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self, 'norm') and hasattr(self, 'act'):  # an inference copy has no norm
            return norm_act(self.conv(x), self.norm, self.act)
        return super().forward(x)


class InvertedResidual(nn.Module):
    """1x1 expand, 3x3 depthwise, 1x1 project; plus the input where shapes allow (arXiv 1801.04381)."""

    def __init__(self, in_channels: int, out_channels: int, *, expand_ratio: float, norm_cfg: dict, act_cfg: dict,
                 stride: int = 1, dilation: int = 1):
        super().__init__()
        hidden = make_divisible(in_channels * expand_ratio, 8)
        self.expand = ConvNormAct(in_channels, hidden, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.depthwise = ConvNormAct(hidden, hidden, 3, stride=stride, dilation=dilation, groups=hidden,
                                     norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.project = ConvNormAct(hidden, out_channels, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        out = self.project(self.depthwise(self.expand(x)))
        return x + out if self.residual else out
