"""MobileViTv1, v2 and v3 as classifiers: backbone, global average pooling, dropout, linear layer."""
import torch.nn as nn
from torch import Tensor

from .archs import Arch
from .backbone import MobileViTv1, MobileViTv2, MobileViTv3, check

FAMILIES = dict(v1=MobileViTv1, v2=MobileViTv2, v3=MobileViTv3)


def init_linear(layer: nn.Linear, arch: Arch) -> None:
    """Initialise a classifier's linear layer as published for ImageNet."""
    if arch.separable:
        nn.init.xavier_uniform_(layer.weight)
    else:
        nn.init.trunc_normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)


class ClassifierHead(nn.Module):
    """Global average pooling, dropout and linear layer, (B, C, H, W) -> (B, num_classes)."""

    def __init__(self, in_channels: int, num_classes: int, drop_rate: float):
        super().__init__()
        self.dropout = nn.Dropout(drop_rate)
        self.fc = nn.Linear(in_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.dropout(x.mean((2, 3))))


class Classifier(nn.Module):
    """The classifiers of the papers, (B, 3, H, W) -> logits (B, num_classes).

    The input is that of the backbone: pixels / 255, in BGR for the v1 type and in RGB for the v2 type
    (``arch.channel_order``).
    A state dict of :func:`~mvit3_bench.converters.published.from_published` for the task ``'classification'`` loads with
    ``strict=True``.

    Args:
        family: ``'v1'``, ``'v2'`` or ``'v3'``.
        arch: As in :class:`.backbone.MobileViTv3`; the names of each family are in ``ARCHS``.
        num_classes: Number of classes.
        drop_rate: Dropout before the linear layer; None: as published (v1 type 0.1, v2 type 0).
        backbone: More arguments of the backbone, such as ``dict(norm_layer=...)``. Its ``odd_size`` is ``'published'``
            unless given.

    Attributes:
        arch: The architecture, an :class:`.archs.Arch`.

    Raises:
        ValueError: An argument has an impossible value; the message names it and the allowed ones.

    Example:
        >>> Classifier('v3', 's')(torch.rand(1, 3, 256, 256)).shape
        torch.Size([1, 1000])
    """

    def __init__(self, family: str, arch: str | float | dict | Arch, num_classes: int = 1000,
                 drop_rate: float | None = None, backbone: dict | None = None):
        super().__init__()
        check('family', family, family in FAMILIES, ', '.join(map(repr, FAMILIES)))
        check('num_classes', num_classes, isinstance(num_classes, int) and num_classes > 0, 'whole numbers from 1')
        options = dict(odd_size='published') | (backbone or {})
        check('backbone', backbone, 'out_indices' not in options, 'arguments of a backbone but out_indices')
        self.backbone = FAMILIES[family](arch, out_indices=(-1,), **options)
        self.arch = self.backbone.arch
        if drop_rate is None:
            drop_rate = self.arch.head_drop_rate
        check('drop_rate', drop_rate, isinstance(drop_rate, (int, float)) and 0 <= drop_rate < 1, '0 <= drop_rate < 1')
        self.head = ClassifierHead(self.backbone.out_channels[-1], num_classes, drop_rate)
        init_linear(self.head.fc, self.arch)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x)[-1])
