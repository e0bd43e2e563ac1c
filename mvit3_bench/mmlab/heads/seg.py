"""The paper's segmentation heads, on mmsegmentation's classes."""
import torch
from mmcv.cnn import ConvModule
from mmengine.dist import all_reduce
from mmengine.model import initialize
from mmseg.models import losses
from mmseg.models.decode_heads import ASPPHead, PSPHead
from mmseg.models.decode_heads.psp_head import PPM
from torch import Tensor, nn

from ...registry import MODELS


class _InitialisedByConfig:
    """A head whose ``init_cfg`` has the last word: mmcv's ConvModules initialise themselves after it."""

    def init_weights(self) -> None:
        super().init_weights()
        if self.init_cfg:
            initialize(self, self.init_cfg)


@MODELS.register_module()
class DeepLabV3Head(_InitialisedByConfig, ASPPHead):
    """DeepLabv3 as in the MobileViT papers: mmseg's ASPP head with a 1x1 instead of a 3x3 bottleneck.

    The 3x3 of mmseg costs 8/9 of the bottleneck's parameters more than the paper counts. Shapes are those of
    :class:`mmseg.models.decode_heads.ASPPHead`: maps (B, C_i, H, W) -> logits (B, num_classes, H, W).

    Args:
        aspp_drop_rate: Element-wise dropout after the bottleneck, before the channel-wise one of ``dropout_ratio``. The
            published v1 type has both.
        **kwargs: As in :class:`mmseg.models.decode_heads.ASPPHead`.
    """

    def __init__(self, aspp_drop_rate: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.aspp_dropout = nn.Dropout(aspp_drop_rate)
        old = self.bottleneck
        self.bottleneck = ConvModule(old.in_channels, old.out_channels, 1, conv_cfg=self.conv_cfg,
                                     norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)

    def _forward_feature(self, inputs: tuple[Tensor, ...]) -> Tensor:
        return self.aspp_dropout(super()._forward_feature(inputs))


@MODELS.register_module()
class PSPNetHead(_InitialisedByConfig, PSPHead):
    """PSPNet as in the MobileViT papers: mmseg's, with branches that are together as wide as the input.

    Each of mmseg's is as wide as the output, ``channels``. Arguments and shapes are those of
    :class:`mmseg.models.decode_heads.PSPHead`: maps (B, C_i, H, W) -> logits (B, num_classes, H, W).
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        layers = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        width = self.in_channels // len(self.pool_scales)
        self.psp_modules = PPM(self.pool_scales, self.in_channels, width, align_corners=self.align_corners, **layers)
        self.bottleneck = ConvModule(self.in_channels + len(self.pool_scales) * width, self.channels, 3, padding=1, **layers)


@MODELS.register_module()
class CrossEntropyLoss(losses.CrossEntropyLoss):
    """mmseg's cross entropy with ``avg_non_ignore``: the mean over the labelled pixels of all processes.

    mmseg takes the mean of each process's own; a pixel would weigh the more the fewer its process has. Shapes are mmseg's:
    logits (B, num_classes, H, W) and labels (B, H, W) -> a number.

    Args:
        class_weight: Weight of each class.
        loss_weight: Factor of the loss.
        loss_name: Its name in the log.
    """

    def __init__(self, class_weight: list[float] | None = None, loss_weight: float = 1.0, loss_name: str = 'loss_ce'):
        super().__init__(class_weight=class_weight, loss_weight=loss_weight, loss_name=loss_name, avg_non_ignore=True)

    def forward(self, cls_score: Tensor, label: Tensor, weight: Tensor | None = None, ignore_index: int = 255) -> Tensor:
        """The loss; ``weight`` is that of each pixel, (B, H, W), which the mean does not count."""
        labelled = label != ignore_index
        count = (torch.tensor(self.class_weight, device=label.device)[label[labelled]].sum() if self.class_weight
                 else labelled.sum().float())
        all_reduce(count, 'mean')
        return super().forward(cls_score, label, weight, avg_factor=count, ignore_index=ignore_index)
