"""Separable self-attention for inference, with the weights of the layer it replaces and the same outputs."""
import torch
from torch import Tensor, nn

from ..models.attention import SeparableSelfAttention
from ..models.inference import known


@known
class SplitAttention(SeparableSelfAttention):
    """Separable self-attention with one convolution each for query, key and value, so that no joint map has to be split.

    Args:
        attention: The layer to replace, of which it takes the weights.
    """

    def __init__(self, attention: SeparableSelfAttention):
        nn.Module.__init__(self)  # the layer's own would make the joint convolution
        dim = attention.proj.in_channels
        self.query, self.key, self.value = (nn.Conv2d(dim, width, 1) for width in (1, dim, dim))
        for part, weight, bias in zip((self.query, self.key, self.value), attention.qkv.weight.split([1, dim, dim]),
                                      attention.qkv.bias.split([1, dim, dim]), strict=True):
            part.weight, part.bias = (nn.Parameter(each.clone(), requires_grad=False) for each in (weight, bias))
        self.proj, self.attn_dropout = attention.proj, nn.Identity()

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.query(x), self.key(x), self.value(x)


@known
class ExportAttention(nn.Module):
    """Separable self-attention for exported models, whose runtimes change the layout of a map for any view of its channels.

    The four sub-grids are four rows of weights, zero outside of their sub-grid, so that their sums are one matrix product.

    Args:
        attention: The layer to replace, of which it takes the weights.
    """

    def __init__(self, attention: SplitAttention):
        super().__init__()
        self.query, self.key, self.value, self.proj = attention.query, attention.key, attention.value, attention.proj

    def forward(self, x: Tensor) -> Tensor:
        batch, dim, height, width = x.shape
        rows, cols = torch.arange(height, device=x.device) % 2, torch.arange(width, device=x.device) % 2
        sub_grid = (2 * rows[:, None] + cols).flatten()  # of each pixel
        outside = sub_grid != torch.arange(4, device=x.device)[:, None]  # (4, HW)
        scores = self.query(x).flatten(2).masked_fill(outside, -torch.inf).softmax(dim=-1)  # (B, 4, HW)
        context = self.key(x).flatten(2) @ scores.transpose(1, 2)  # (B, d, 4)
        context = context.view(batch, dim, 2, 2).repeat(1, 1, height // 2, width // 2)
        return self.proj(torch.relu(self.value(x)) * context)
