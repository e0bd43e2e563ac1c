"""The paper's segmentation heads, on mmsegmentation's classes."""
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import ASPPHead, PSPHead
from mmseg.models.decode_heads.psp_head import PPM

from ...registry import MODELS


@MODELS.register_module()
class DeepLabV3Head(ASPPHead):
    """DeepLabv3 as in the MobileViT papers: mmseg's ASPP head with a 1x1 instead of a 3x3 bottleneck.

    The 3x3 of mmseg costs 8/9 of the bottleneck's parameters more than the paper counts. Arguments and shapes are those of
    :class:`mmseg.models.decode_heads.ASPPHead`: maps (B, C_i, H, W) -> logits (B, num_classes, H, W).
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        old = self.bottleneck
        self.bottleneck = ConvModule(old.in_channels, old.out_channels, 1, conv_cfg=self.conv_cfg,
                                     norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)


@MODELS.register_module()
class PSPNetHead(PSPHead):
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
