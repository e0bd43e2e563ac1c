"""The backbones MobileViTv1, v2 and v3: one implementation for the architectures of ``archs.py``."""
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import reduce

import torch
import torch.fx
import torch.nn as nn
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from .archs import Arch, get_arch
from .blocks import MobileViTBlock, SeparableMobileViTBlock
from .inference import density, in_parts, unobserved
from .layers import ConvNormAct, InvertedResidual

# Strides of layer3, layer4, layer5 for each output stride; a stride of 1 in place of 2 doubles the dilation instead.
# The inverted residual of a stage has the former dilation, the block after it the new one.
_STRIDES = {32: (2, 2, 2), 16: (2, 2, 1), 8: (2, 1, 1)}


def check(name: str, value, possible: bool, allowed: str) -> None:
    """Raise a ValueError that names an argument, its value and what is allowed, unless the value is possible."""
    if not possible:
        raise ValueError(f'{name}={value!r} is not possible; allowed: {allowed}')


def _check_among(name: str, value, allowed) -> None:
    check(name, value, value in allowed, ', '.join(map(repr, allowed)))


def init_v1_type(module: nn.Module) -> None:
    """Initialise a model of the v1 type as published for ImageNet; the v2 type is left as PyTorch makes it.

    Convolutions are normal with std sqrt(2 / (out_channels * k * k)), linear layers truncated normal with std 0.02, and
    biases zero.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode='fan_out')
        elif isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)


@torch.fx.wrap
def to_format_of(x: Tensor, images: Tensor) -> Tensor:
    """Convert a map to the memory format of the images, contiguous or channels-last."""
    return x.contiguous(memory_format=torch.contiguous_format if images.is_contiguous() else torch.channels_last)


def _checkpointed(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer whose activations are computed again in the backward pass; the statistics of its norms are updated once."""
    if torch.compiler.is_compiling():  # which updates them once by itself
        return checkpoint(layer, x, use_reentrant=False)
    return checkpoint(layer, x, use_reentrant=False, context_fn=lambda: (nullcontext(), _StatisticsKept(layer)))


class _StatisticsKept(AbstractContextManager):
    """Within it, which may be entered several times, batch norms keep the running statistics that they have.

    Args:
        layer: The module that has the norms.
    """

    def __init__(self, layer: nn.Module):
        self.buffers = [buffer for norm in layer.modules() if isinstance(norm, _BatchNorm) and norm.training
                        for buffer in norm.buffers()]
        self.kept: list[Tensor] = []

    def __enter__(self) -> None:
        self.kept = [buffer.clone() for buffer in self.buffers]

    def __exit__(self, *_) -> None:
        for buffer, kept in zip(self.buffers, self.kept, strict=True):
            buffer.data.copy_(kept)  # autograd, which has saved the buffer, and does not use it, sees no change


class MobileViT(nn.Module):
    """Common part of the three families, see :class:`MobileViTv3` for the arguments."""

    family: str

    def __init__(self,
                 arch: str | float | dict | Arch,
                 in_channels: int = 3,
                 out_indices: tuple[int, ...] = (1, 2, 3, 4),
                 output_stride: int = 32,
                 frozen_stages: int = -1,
                 norm_layer: Callable[[int], nn.Module] = nn.BatchNorm2d,
                 act_layer: Callable[[], nn.Module] = nn.SiLU,
                 drop_rate: float | None = None,
                 attn_drop_rate: float = 0.0,
                 norm_eval: bool = False,
                 with_cp: bool = False,
                 odd_size: str = 'keep'):
        super().__init__()
        self.arch = arch = get_arch(self.family, arch)
        widths = arch.widths if arch.expansion is None else (*arch.widths, arch.expansion)
        drop_rate = arch.drop_rate if drop_rate is None else drop_rate
        check('in_channels', in_channels, isinstance(in_channels, int) and in_channels > 0, 'whole numbers from 1')
        check('out_indices', out_indices, isinstance(out_indices, (tuple, list, range)), 'a tuple of numbers')
        for index in out_indices:
            _check_among('out_indices', index, range(-len(widths), len(widths)))
        _check_among('output_stride', output_stride, _STRIDES)
        _check_among('frozen_stages', frozen_stages, range(-1, len(widths) + 1))
        check('norm_layer', norm_layer, callable(norm_layer), 'channels -> module, for instance torch.nn.BatchNorm2d')
        check('act_layer', act_layer, callable(act_layer), '() -> module, for instance torch.nn.ReLU')
        for name, rate in (('drop_rate', drop_rate), ('attn_drop_rate', attn_drop_rate)):
            check(name, rate, isinstance(rate, (int, float)) and 0 <= rate < 1, f'0 <= {name} < 1')
        _check_among('norm_eval', norm_eval, (False, True))
        _check_among('with_cp', with_cp, (False, True))
        _check_among('odd_size', odd_size, ('keep', 'published'))
        self.out_indices = tuple(index % len(widths) for index in out_indices)
        if not out_indices or list(self.out_indices) != sorted(set(self.out_indices)):
            raise ValueError(f'out_indices={out_indices!r} must name at least one output, each once, in ascending order')
        self.out_channels = tuple(widths[index] for index in self.out_indices)
        self.in_channels = in_channels
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.with_cp = with_cp

        conv = dict(norm_layer=norm_layer, act_layer=act_layer)
        block = dict(drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, fuse_local=arch.fuse_local,
                     input_residual=arch.input_residual, **conv)
        if arch.separable:
            block_type = SeparableMobileViTBlock
            block.update(odd_size=odd_size)
        else:
            block_type = MobileViTBlock
            block.update(depthwise_local=arch.depthwise_local, pointwise_fusion=arch.pointwise_fusion)

        self.stem = ConvNormAct(in_channels, arch.stem, 3, stride=2, **conv)
        self.layer_names = []
        conv.update(expand_ratio=arch.expand_ratio)
        strides = (1, 2, *_STRIDES[output_stride], 1)
        self._strides = strides
        self.strides = self.strides_of(self.out_indices)
        channels, dilation = arch.stem, 1
        for index, width in enumerate(widths[:max(self.out_indices) + 1]):
            if index == 0:
                layer = [InvertedResidual(channels, width, **conv)]
            elif index == 1:
                layer = [InvertedResidual(channels, width, stride=strides[index], **conv)]
                layer += [InvertedResidual(width, width, **conv) for _ in range(arch.layer2_blocks - 1)]
            elif index < 5:
                stage = index - 2
                layer = [InvertedResidual(channels, width, stride=strides[index], dilation=dilation, **conv)]
                dilation *= 2 // strides[index]
                if arch.separable:
                    block.update(dilation=dilation)
                layer += [block_type(width, arch.dims[stage], arch.ffn_dims[stage], arch.depths[stage], **block)]
            else:
                layer = [ConvNormAct(channels, width, 1, norm_layer=norm_layer, act_layer=act_layer)]
            self.layer_names.append(f'layer{index + 1}' if index < 5 else 'expansion')
            self.add_module(self.layer_names[-1], nn.Sequential(*layer))
            channels = width
        if not arch.separable:
            init_v1_type(self)
        self.train()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, in_channels, H, W) -> for each of ``out_indices`` (B, C, ceil(H / stride), ceil(W / stride)).

        The layers run in channels-last. The maps are returned in the memory format of the input, since compiled
        operators of the frameworks read their inputs as contiguous (B, C, H, W) memory.

        Raises:
            ValueError: The image has another number of channels than the backbone; or, in training, the last map has one
                value a channel, which batch norms cannot normalise.
        """
        return self.forward_maps(x, self.out_indices)

    def forward_maps(self, x: Tensor, out_indices: Sequence[int]) -> tuple[Tensor, ...]:
        """The maps of some layers, by ascending index; the layers behind the last of them do not run."""
        images, tracing = x, not isinstance(x, Tensor)  # torch.fx traces with proxies, which have no values
        if not tracing:
            self._check_input(x)
        x = x.contiguous(memory_format=torch.channels_last)
        x, done = self._first_layers(x, min(2, out_indices[0] + 1))  # before the first MobileViT block and output
        outs = []
        for index, name in enumerate(self.layer_names[:out_indices[-1] + 1]):
            layer = getattr(self, name)
            if index >= done:
                checkpoints = self.with_cp and not tracing and x.requires_grad
                x = _checkpointed(layer, x) if checkpoints else layer(x)
            if index in out_indices:
                outs.append(to_format_of(x, images))
        return tuple(outs)

    def _first_layers(self, x: Tensor, number: int) -> tuple[Tensor, int]:
        """The stem, and with it up to this number of layers, where a batch can go through them in parts.

        Returns:
            The map, and the number of layers that it has gone through.
        """
        if not unobserved(x):  # in training, without looking at every module
            return self.stem(x), 0
        layers = [self.stem, *(getattr(self, name) for name in self.layer_names[:number])]
        modules = [module for layer in layers for module in layer.modules()]
        # statistics of a batch are not those of its parts
        together = any(each.training or isinstance(each, _BatchNorm) and each.running_mean is None for each in modules)
        if together or not unobserved(x, *layers):
            return self.stem(x), 0
        return in_parts(lambda part: reduce(lambda maps, layer: layer(maps), layers, part), x, density(modules)), number

    def strides_of(self, indices: Sequence[int]) -> tuple[int, ...]:
        """Strides of the maps of some layers."""
        return tuple(2 * math.prod(self._strides[:index + 1]) for index in indices)

    def _check_input(self, x: Tensor) -> None:
        batch, channels, height, width = x.shape
        if channels != self.in_channels:
            raise ValueError(f'the image has {channels} channels, but the backbone in_channels={self.in_channels}')
        stride = self.strides[-1]
        if self.training and batch == 1 and max(height, width) <= stride and any(
                isinstance(module, nn.BatchNorm2d) and module.training for module in self.modules()):
            raise ValueError(f'one image of {height}x{width} leaves batch norms one value a channel at stride {stride}; '
                             f'train with a batch of 2, images larger than {stride}, norm_eval=True, or another norm')

    def train(self, mode: bool = True) -> 'MobileViT':
        """Set the mode; frozen stages, and with ``norm_eval`` all batch norms, stay in evaluation mode."""
        super().train(mode)
        self._freeze()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze(self) -> None:
        frozen = ['stem', *self.layer_names][:self.frozen_stages + 1]
        for name in frozen:
            getattr(self, name).eval().requires_grad_(False)


class MobileViTv1(MobileViT):
    """MobileViT (arXiv 2110.02178): ``xxs xs s``. Arguments as in :class:`MobileViTv3`."""

    family = 'v1'


class MobileViTv2(MobileViT):
    """MobileViTv2 (arXiv 2206.02680): ``0.5 0.75 1.0 1.25 1.5 1.75 2.0``. Arguments as in :class:`MobileViTv3`."""

    family = 'v2'


class MobileViTv3(MobileViT):
    """MobileViTv3 (arXiv 2209.15159, Table 1).

    The input is pixels / 255 without mean or std, in BGR for ``xxs xs s`` and in RGB for the numbered widths. Weights are
    initialised as published: :func:`init_v1_type` for the v1 type, and PyTorch's own for the v2 type.

    Args:
        arch: ``xxs xs s``, ``xxs_l2 xs_l2 s_l2`` (two transformer layers less in layer4: lower latency), ``0.5 0.75 1.0``
            or another width up to 2.0; see :func:`mvit3_bench.models.archs.get_arch` for more.
        in_channels: Channels of the input image.
        out_indices: Which maps to return: 0 .. 4 are layer1 .. layer5 (strides 2 4 8 16 32), 5 the 1x1 expansion of the
            v1 type; negative ones count from the end. Layers beyond the last are not built.
        output_stride: 32, 16 (layer5 dilated instead of strided) or 8 (layer4 and layer5).
        frozen_stages: -1: none; 0: the stem; i: the stem and layer1 .. layer_i, statistics of batch norms included.
        norm_layer: Normalisation of all convolutions, channels -> module; the transformers keep the norms of the paper.
        act_layer: Activation everywhere, () -> module.
        drop_rate: Dropout after attention and feed-forward network; None: as published (XXS 0.05, XS and S 0.1, v2 type 0).
        attn_drop_rate: Dropout on the attention weights.
        norm_eval: Keep all batch norms in evaluation mode while training.
        with_cp: Recompute the layers' activations in the backward pass, to save memory.
        odd_size: ``'keep'``: the height of maps is ceil(H / stride) for any H; ``'published'``: as in the published code,
            whose v2-type blocks return even sizes.

    Attributes:
        out_channels: Width of each output.
        strides: Stride of each output.

    Raises:
        ValueError: An argument has an impossible value; the message names it and the allowed ones.

    Example:
        >>> backbone = MobileViTv3('s')
        >>> [tuple(out.shape) for out in backbone(torch.rand(1, 3, 256, 256))]
        [(1, 64, 64, 64), (1, 128, 32, 32), (1, 256, 16, 16), (1, 320, 8, 8)]
    """

    family = 'v3'
