"""The form of a model that delegates of phones take: four axes at most, the batch axis first in every step, constant sizes.

GPU and NPU delegates refuse tensors of five axes, an axis that is joined to the batch, fold and unfold, and index operators.
The layers here have the weights of those that they replace, and the same outputs.
"""
import torch
from torch import Tensor, nn

from ..models.archs import NUM_HEADS
from ..models.attention import MultiHeadAttention
from ..models.backbone import MobileViT
from ..models.blocks import MobileViTBlock
from .attention import SplitAttention
from .cache_blocking import CacheBlocked
from .wrappers import ExportWrapper

_OUTSIDE = -1e4  # of a sub-grid: a half-precision number, whose exponential is zero
_POSITIONS = 4  # of a pixel in its patch of 2x2


class DeviceMultiHeadAttention(nn.Module):
    """Multi-head self-attention within each pixel position, (B, 4N, d) -> (B, 4N, d), ordered by position.

    Position and head are one axis, so that no tensor has more than four.

    Args:
        attention: The layer to replace, with the scale in its weights, as in an inference copy.
    """

    def __init__(self, attention: MultiHeadAttention):
        super().__init__()
        dim = attention.proj.in_features
        self.proj = attention.proj
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        for part, weight, bias in zip((self.query, self.key, self.value), attention.qkv.weight.chunk(3),
                                      attention.qkv.bias.chunk(3), strict=True):
            part.weight, part.bias = (nn.Parameter(each.clone(), requires_grad=False) for each in (weight, bias))

    def split(self, x: Tensor) -> Tensor:
        """(B, 4N, d) -> (B, heads * 4, N, d / heads)."""
        batch, tokens, dim = x.shape
        x = x.reshape(batch, tokens, NUM_HEADS, dim // NUM_HEADS).transpose(1, 2)
        return x.reshape(batch, NUM_HEADS * _POSITIONS, tokens // _POSITIONS, dim // NUM_HEADS)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        out = (query @ key.transpose(2, 3)).softmax(dim=-1) @ value
        out = out.reshape(batch, NUM_HEADS, tokens, dim // NUM_HEADS).transpose(1, 2)
        return self.proj(out.reshape(batch, tokens, dim))


class DeviceMobileViTBlock(MobileViTBlock):
    """The block of the v1 type, whose map becomes tokens by two exchanges of neighbouring axes.

    Args:
        block: The block to replace.
    """

    def __init__(self, block: MobileViTBlock):
        nn.Module.__init__(self)  # the block's own would make the layers
        self.fuse_local, self.input_residual = block.fuse_local, block.input_residual
        for name, layer in block.named_children():
            self.add_module(name, layer)

    def attend(self, x: Tensor) -> Tensor:
        batch, dim, height, width = x.shape
        half = height * width // 2
        x = x.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width * dim).transpose(1, 2)  # parity of the row first
        x = x.reshape(batch, half, 2, dim).transpose(1, 2)  # parity of the column first
        x = self.transformer(x.reshape(batch, 2 * half, dim))
        x = x.reshape(batch, 2, half, dim).transpose(1, 2).reshape(batch, 2, height // 2, width * dim)
        return x.transpose(1, 2).reshape(batch, height, width, dim).permute(0, 3, 1, 2)


class DeviceSeparableAttention(nn.Module):
    """Separable self-attention by matrix products with constants, (B, d, H, W) -> (B, d, H, W).

    Args:
        attention: The layer to replace.
        size: H and W.
    """

    def __init__(self, attention: SplitAttention, size: tuple[int, int]):
        super().__init__()
        self.query, self.key, self.value, self.proj = attention.query, attention.key, attention.value, attention.proj
        rows, cols = (torch.arange(side) % 2 for side in size)
        sub_grid = (2 * rows[:, None] + cols).flatten()  # of each pixel
        inside = (sub_grid == torch.arange(_POSITIONS)[:, None]).to(self.query.weight.dtype)  # (4, HW)
        self.register_buffer('inside', inside)
        self.register_buffer('outside', _OUTSIDE * (1 - inside)[None])

    def forward(self, x: Tensor) -> Tensor:
        scores = (self.query(x).flatten(2) + self.outside).softmax(dim=-1)  # (B, 4, HW)
        context = self.key(x).flatten(2) @ scores.transpose(1, 2)  # (B, d, 4)
        return self.proj(torch.relu(self.value(x)) * (context @ self.inside).reshape(x.shape))


def device_form(deployed: ExportWrapper, images: Tensor) -> None:
    """Replace, in what is exported itself, what delegates refuse; it then takes images of this size only.

    Args:
        deployed: With an inference copy of the model.
        images: (B, C, H, W), on which it runs once, to find the sizes of the maps.
    """
    sizes = {}
    handles = [layer.register_forward_pre_hook(lambda layer, inputs: sizes.update({layer: inputs[0].shape[-2:]}))
               for layer in deployed.modules() if isinstance(layer, SplitAttention)]
    with torch.no_grad():
        deployed(images)
    for handle in handles:
        handle.remove()
    for module in list(deployed.modules()):
        for name, child in module.named_children():
            if isinstance(child, SplitAttention):
                setattr(module, name, DeviceSeparableAttention(child, sizes[child]))
            elif type(child) in _REPLACED:
                setattr(module, name, _REPLACED[type(child)](child))
        if isinstance(module, MobileViT) and deployed.flip:
            _fold_flip(deployed, module)


_REPLACED = {MultiHeadAttention: DeviceMultiHeadAttention, MobileViTBlock: DeviceMobileViTBlock,
             CacheBlocked: lambda layers: nn.Sequential(*layers)}


def _fold_flip(deployed: ExportWrapper, backbone: MobileViT) -> None:
    """Turn the order of the colours in the first convolution, and in mean and std, instead of in the images."""
    conv = next(layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d))
    conv.weight = nn.Parameter(conv.weight.flip(1), requires_grad=False)
    for name in ('mean', 'std'):
        if (value := getattr(deployed, name, None)) is not None:
            setattr(deployed, name, value.flip(0))
    deployed.flip = False
