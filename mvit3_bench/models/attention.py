"""The transformer layer of the v1 type and the separable self-attention layer of the v2 type.

Both attend within each of the four pixel positions of the 2x2 patches: a pixel attends only to pixels whose row and column
have the same parity as its own.
"""
from collections.abc import Callable

import torch
import torch.fx
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .archs import NUM_HEADS
from .inference import activate, add, known, unobserved


@torch.fx.wrap
def in_single(x: Tensor) -> Tensor:
    """A tensor of half precision in single precision; others as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


@known
class MultiHeadAttention(nn.Module):
    """Multi-head self-attention over tokens, (B, N, d) -> (B, N, d)."""

    def __init__(self, dim: int, attn_drop_rate: float = 0.0):
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.attn_drop_rate = attn_drop_rate
        self.scale = (dim // NUM_HEADS)**-0.5

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value: (B, N, d) -> three of (B, heads, N, d / heads)."""
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, NUM_HEADS, dim // NUM_HEADS)
        return qkv.permute(2, 0, 3, 1, 4).unbind(0)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.project(x)
        dropout = self.attn_drop_rate if self.training else 0.0
        out = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=self.scale)
        return self.proj(out.transpose(1, 2).reshape(x.shape))


class TransformerLayer(nn.Module):
    """Pre-norm transformer layer of the v1 type over tokens, (B, N, d) -> (B, N, d).

    Source: v1, Section 3.1; unchanged in v3.
    """

    def __init__(self, dim: int, ffn_dim: int, *, act_layer: Callable[[], nn.Module], drop_rate: float,
                 attn_drop_rate: float):
        super().__init__()
        self.attn_norm = nn.LayerNorm(dim)
        self.attn = MultiHeadAttention(dim, attn_drop_rate)
        self.ffn_norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, ffn_dim)
        self.act = act_layer()
        self.fc2 = nn.Linear(ffn_dim, dim)
        self.dropout = nn.Dropout(drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        x = add(x, self.dropout(self.attn(self.attn_norm(x))), self.dropout, self.attn)
        hidden = activate(self.fc1(self.ffn_norm(x)), self.act, self.fc1)
        return add(x, self.dropout(self.fc2(hidden)), self.dropout, self.fc2)


@known
class SeparableSelfAttention(nn.Module):
    """Separable self-attention on a map of even height and width, (B, d, H, W) -> (B, d, H, W).

    The published code unfolds the map into four sub-grids of N = HW/4 pixels. Unfolding is not needed: every step is
    pointwise or reduces over one sub-grid, and a sub-grid is a stride of a reshaped view. Source: v2, Section 3.2.
    """

    def __init__(self, dim: int, attn_drop_rate: float = 0.0):
        super().__init__()
        self.qkv = nn.Conv2d(dim, 1 + 2 * dim, 1)
        self.proj = nn.Conv2d(dim, dim, 1)
        self.attn_dropout = nn.Dropout(attn_drop_rate)

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value: (B, d, H, W) -> (B, 1, H, W), (B, d, H, W), (B, d, H, W)."""
        dim = x.shape[1]
        if type(self.qkv) is nn.Conv2d and self.qkv.bias is not None and unobserved(x, self.qkv):
            # separate maps, instead of strides of a joint one
            return tuple(F.conv2d(x, *parts) for parts in zip(
                self.qkv.weight.split([1, dim, dim]), self.qkv.bias.split([1, dim, dim]), strict=True))
        return self.qkv(x).split([1, dim, dim], dim=1)

    @staticmethod
    def grid(x: Tensor) -> Tensor:
        """(B, H, W, c) -> (B, H/2, 2, W/2, 2c): rows and columns are each split into (index in the sub-grid, parity).

        Channels are merged with the column's parity, so that the rank is 5 at most.
        """
        batch, height, width, channels = x.shape
        return x.reshape(batch, height // 2, 2, width // 2, 2 * channels)

    def context_scores(self, query: Tensor) -> Tensor:
        """Weights of the pixels in the context of their sub-grid, a softmax over it: (B, H, W, 1) -> (B, H, W, 1)."""
        grid = self.grid(in_single(query))
        return (grid - grid.logsumexp((1, 3), keepdim=True)).exp().view(query.shape).type_as(query)

    def forward(self, x: Tensor) -> Tensor:
        batch, dim, height, width = x.shape
        query, key, value = self.project(x)  # torch.fx does not trace a loop over these
        query = query.permute(0, 2, 3, 1)  # (B, H, W, 1)
        key = key.permute(0, 2, 3, 1)  # (B, H, W, d)
        value = value.permute(0, 2, 3, 1)  # (B, H, W, d)
        scores = self.attn_dropout(self.context_scores(query))
        context = self.grid(scores * key).sum((1, 3), keepdim=True)  # (B, 1, 2, 1, 2d)
        out = self.grid(F.relu(value)) * context
        return self.proj(out.view(batch, height, width, dim).permute(0, 3, 1, 2))


class SeparableLayer(nn.Module):
    """Pre-norm layer of the v2 type on a map of even height and width, (B, d, H, W) -> (B, d, H, W).

    Source: v2, Section 3.2; unchanged in v3.
    """

    def __init__(self, dim: int, ffn_dim: int, *, act_layer: Callable[[], nn.Module], drop_rate: float,
                 attn_drop_rate: float):
        super().__init__()
        self.attn_norm = nn.GroupNorm(1, dim)
        self.attn = SeparableSelfAttention(dim, attn_drop_rate)
        self.ffn_norm = nn.GroupNorm(1, dim)
        self.fc1 = nn.Conv2d(dim, ffn_dim, 1)
        self.act = act_layer()
        self.fc2 = nn.Conv2d(ffn_dim, dim, 1)
        self.dropout = nn.Dropout(drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        x = add(x, self.dropout(self.attn(self.attn_norm(x))), self.dropout, self.attn)
        hidden = activate(self.fc1(self.ffn_norm(x)), self.act, self.fc1)
        return add(x, self.dropout(self.fc2(hidden)), self.dropout, self.fc2)
