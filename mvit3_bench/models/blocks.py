"""The MobileViT block: local features by convolution, global features by attention, and their fusion.

v3 differs from v1 by four changes, and from v2 by the second and the third, since v2 has the others. Each is an option:

==  ================  =============================  ================================
#   option            off (v1)                       on (v3)
==  ================  =============================  ================================
1   pointwise_fusion  the fusing convolution is 3x3  it is 1x1
2   fuse_local        input and global are fused     local and global are fused
3   input_residual    no residual                    the input is added to the output
4   depthwise_local   the local 3x3 is full          the local 3x3 is depthwise
==  ================  =============================  ================================

Source: arXiv 2209.15159, Section 3.1 and Table 6.
"""
from collections.abc import Callable

import torch
import torch.fx
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .attention import SeparableLayer, TransformerLayer
from .inference import add
from .layers import ConvNormAct


def _resize(x: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    return F.interpolate(x, size, mode='bilinear', align_corners=align_corners)


@torch.fx.wrap
def to_even_size(x: Tensor, align_corners: bool = False) -> Tensor:
    """Resize an odd height or width up to the next even one, which 2x2 patches need; an even map is returned as it is."""
    height, width = x.shape[-2:]
    even = height + height % 2, width + width % 2
    return x if (height, width) == even else _resize(x, even, align_corners)


@torch.fx.wrap
def to_size_of(x: Tensor, other: Tensor) -> Tensor:
    """Resize a map to the height and width of another; a map of that size is returned as it is."""
    size = other.shape[-2:]
    return x if x.shape[-2:] == size else _resize(x, size)


class MobileViTBlock(nn.Module):
    """The block of the v1 type: multi-head attention over tokens, (B, C, H, W) -> (B, C, H, W).

    An odd height or width is resized up (bilinear) for the attention and back after it, as published.

    Args:
        channels: C, of the input and of the output.
        dim: Width of the tokens.
        ffn_dim: Hidden width of the feed-forward networks.
        depth: Number of transformer layers.
        pointwise_fusion, fuse_local, input_residual, depthwise_local: The four changes, see above.
        norm_layer, act_layer: Normalisation of the convolutions, channels -> module, and activation, () -> module.
        drop_rate: Dropout after attention and after the feed-forward network.
        attn_drop_rate: Dropout on the attention weights.
    """

    def __init__(self, channels: int, dim: int, ffn_dim: int, depth: int, *, pointwise_fusion: bool, fuse_local: bool,
                 input_residual: bool, depthwise_local: bool, norm_layer: Callable[[int], nn.Module],
                 act_layer: Callable[[], nn.Module], drop_rate: float, attn_drop_rate: float):
        super().__init__()
        conv = dict(norm_layer=norm_layer, act_layer=act_layer)
        self.fuse_local = fuse_local
        self.input_residual = input_residual
        self.local_conv = ConvNormAct(channels, channels, 3, groups=channels if depthwise_local else 1, **conv)
        self.local_proj = nn.Conv2d(channels, dim, 1, bias=False)
        self.transformer = nn.Sequential(
            *(TransformerLayer(dim, ffn_dim, act_layer=act_layer, drop_rate=drop_rate, attn_drop_rate=attn_drop_rate)
              for _ in range(depth)),
            nn.LayerNorm(dim))
        self.proj = ConvNormAct(dim, channels, 1, **conv)
        self.fusion = ConvNormAct((dim if fuse_local else channels) + channels, channels, 1 if pointwise_fusion else 3,
                                  **conv)

    def attend(self, x: Tensor) -> Tensor:
        """The transformer on a map of even height and width, (B, d, H, W) -> (B, d, H, W).

        One copy rearranges the map into tokens, another one back. The pixel position precedes the batch, so that batch and
        row are one axis throughout and no view has more than rank 5.
        """
        batch, dim, height, width = x.shape
        rows, cols = height // 2, width // 2
        x = x.permute(0, 2, 3, 1).reshape(batch * rows, 2, cols, 2, dim)  # a view in channels-last
        x = x.permute(1, 3, 0, 2, 4).reshape(4 * batch, rows * cols, dim)  # (4B, N, d)
        x = self.transformer(x)
        x = x.view(2, 2, batch * rows, cols, dim).permute(2, 0, 3, 1, 4)
        return x.reshape(batch, height, width, dim).permute(0, 3, 1, 2)  # (4B, N, d) -> (B, d, H, W)

    def forward(self, x: Tensor) -> Tensor:
        local = self.local_proj(self.local_conv(x))
        features = to_size_of(self.attend(to_even_size(local)), local)
        out = self.fusion(torch.cat([local if self.fuse_local else x, self.proj(features)], dim=1))
        return add(x, out, self.fusion) if self.input_residual else out


class SeparableMobileViTBlock(nn.Module):
    """The block of the v2 type: separable self-attention, (B, C, H, W) -> (B, C, H, W).

    Args:
        channels: C, of the input and of the output.
        dim: Width of the attention.
        ffn_dim: Hidden width of the feed-forward networks.
        depth: Number of layers.
        dilation: Of the local 3x3.
        fuse_local, input_residual: The second and the third change, which v2 does not have, see above.
        norm_layer, act_layer: Normalisation of the convolutions, channels -> module, and activation, () -> module.
        drop_rate: Dropout after attention and after the feed-forward network.
        attn_drop_rate: Dropout on the attention weights.
        odd_size: Treatment of an odd height or width. ``'keep'``: only the attention works on a map resized up, and the
            output has the size of the input. ``'published'``: the block's input is resized up and the output has that
            size (7x7 becomes 8x8), as in the training of the published weights.
    """

    def __init__(self, channels: int, dim: int, ffn_dim: int, depth: int, *, dilation: int, fuse_local: bool,
                 input_residual: bool, norm_layer: Callable[[int], nn.Module], act_layer: Callable[[], nn.Module],
                 drop_rate: float, attn_drop_rate: float, odd_size: str):
        super().__init__()
        self.fuse_local = fuse_local
        self.input_residual = input_residual
        self.odd_size = odd_size
        self.local_conv = ConvNormAct(channels, channels, 3, groups=channels, dilation=dilation, norm_layer=norm_layer,
                                      act_layer=act_layer)
        self.local_proj = nn.Conv2d(channels, dim, 1, bias=False)
        self.transformer = nn.Sequential(
            *(SeparableLayer(dim, ffn_dim, act_layer=act_layer, drop_rate=drop_rate, attn_drop_rate=attn_drop_rate)
              for _ in range(depth)),
            nn.GroupNorm(1, dim))
        self.proj = ConvNormAct(2 * dim if fuse_local else dim, channels, 1, norm_layer=norm_layer, act_layer=None)

    def forward(self, x: Tensor) -> Tensor:
        if self.odd_size == 'published':
            x = to_even_size(x, align_corners=True)
        local = self.local_proj(self.local_conv(x))
        features = to_size_of(self.transformer(to_even_size(local)), local)
        out = self.proj(torch.cat([features, local], dim=1) if self.fuse_local else features)
        return add(x, out, self.proj) if self.input_residual else out
