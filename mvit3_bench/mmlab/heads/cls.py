"""The paper's classifier of the v1 type, on mmpretrain's classes."""
import torch.nn as nn
from mmpretrain.models.heads import LinearClsHead
from torch import Tensor

from ...registry import MODELS


@MODELS.register_module()
class DropoutLinearClsHead(LinearClsHead):
    """mmpretrain's linear classifier behind a dropout, as the v1 type trains it.

    Args:
        drop_rate: Probability of the dropout.
        **kwargs: As in :class:`mmpretrain.models.heads.LinearClsHead`; so are the shapes: (B, C) -> logits
            (B, num_classes).
    """

    def __init__(self, drop_rate: float, **kwargs):
        super().__init__(**kwargs)
        self.dropout = nn.Dropout(drop_rate)

    def pre_logits(self, feats: tuple[Tensor]) -> Tensor:
        """What the linear layer sees of the pooled features."""
        return self.dropout(super().pre_logits(feats))
