"""The paper's detector, SSDLite, on mmdetection's SSD: its extra layers, its head and its anchors."""
import numpy as np
import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmcv.ops import nms
from mmdet.models import SSDHead
from mmdet.models.task_modules import SSDAnchorGenerator
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh
from mmengine.dist import all_reduce
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...registry import MODELS, TASK_UTILS


def _loss_cls_or_none(head: SSDHead, name: str):
    """What a head has under a name; None for a ``loss_cls`` that it does not have."""
    try:
        return super(SSDHead, head).__getattr__(name)
    except AttributeError:
        if name != 'loss_cls':
            raise
        return None


# At prediction mmdet 3.3.0 asks every head for its loss_cls, and SSDHead has none: no SSD could be tested (its issues 11063,
# 11305, 11780). Python calls `__getattr__` only for what it does not find: where a loss_cls is set, that is the answer.
SSDHead.__getattr__ = _loss_cls_or_none


@MODELS.register_module()
class SSDLiteNeck(BaseModule):
    """The levels of SSDLite: the backbone's last two, three depthwise separable convolutions of stride 2, and a pooled one.

    Args:
        in_channels: Widths of the backbone's maps, at strides 16 and 32.
        out_channels: Widths of the six levels. A map of the backbone that has another width is projected by a 1x1; the extra
            layers go on from its last map as it is.
        norm_cfg: Normalisation of every convolution but the one after the pooling.
        init_cfg: Initialisation.
    """

    def __init__(self,
                 in_channels: tuple[int, int],
                 out_channels: tuple[int, ...] = (512, 256, 256, 128, 128, 64),
                 norm_cfg: dict = dict(type='BN'),
                 init_cfg: dict | None = dict(type='Xavier', layer='Conv2d', distribution='uniform', bias=0)):
        super().__init__(init_cfg)
        self.projections = nn.ModuleList(
            nn.Identity() if old == new else ConvModule(old, new, 1, norm_cfg=norm_cfg)
            for old, new in zip(in_channels, out_channels, strict=False))
        widths = [in_channels[-1], *out_channels[len(in_channels):]]
        self.extra_layers = nn.ModuleList(
            DepthwiseSeparableConvModule(old, new, 3, stride=2, padding=1, norm_cfg=norm_cfg, dw_act_cfg=None)
            for old, new in zip(widths[:-2], widths[1:-1], strict=True))
        self.extra_layers.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(*widths[-2:], 1, bias=False)))

    def forward(self, features: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        """Maps (B, in_channels[i], H, W) at strides 16 and 32 -> six of ``out_channels``, at 16 32 64 128 256 and 1x1."""
        levels = [project(feature) for project, feature in zip(self.projections, features, strict=True)]
        x = features[-1]
        for layer in self.extra_layers:
            x = layer(x)
            levels.append(x)
        return tuple(levels)


@TASK_UTILS.register_module()
class SSDLiteAnchorGenerator(SSDAnchorGenerator):
    """SSD's anchors as fractions of the image, whatever its size, with centre, width and height clamped to 0..1.

    Args:
        strides: Of the levels. The first one's map tells the size of the image, which should be a multiple of it.
        ratios: For each level, the aspect ratios besides 1.
        input_size: Side of the image in training.
        scale_range: Sizes of the anchors as fractions of the image grow linearly from the first to the second.
    """

    def __init__(self, strides: list[int], ratios: list[list[int]], input_size: int = 320,
                 scale_range: tuple[float, float] = (0.1, 1.05)):
        sizes = [input_size * scale for scale in np.linspace(*scale_range, len(strides) + 1).tolist()]
        super().__init__(strides, ratios, min_sizes=sizes[:-1], max_sizes=sizes[1:], scale_major=False)
        self.input_size, self.basesize_ratio_range = input_size, scale_range  # mmdet's repr asks for them

    def grid_priors(self, featmap_sizes: list[tuple[int, int]], dtype: torch.dtype = torch.float32,
                    device: torch.device | str = 'cuda') -> list[Tensor]:
        """Sizes (H, W) of the levels -> their anchors, each (H * W * A, 4), in pixels x1, y1, x2, y2."""
        # (width, height) in pixels that each map covers; the first covers the image
        extents = [torch.tensor([size[1] * stride[0], size[0] * stride[1]], dtype=dtype, device=device)
                   for size, stride in zip(featmap_sizes, self.strides, strict=True)]
        levels = []
        for extent, anchors in zip(extents, super().grid_priors(featmap_sizes, dtype, device), strict=True):
            centres, sizes = bbox_xyxy_to_cxcywh(anchors).split(2, dim=-1)
            fractions = torch.cat([centres / extent, sizes / self.input_size], dim=-1).clamp(0, 1)
            levels.append(bbox_cxcywh_to_xyxy(fractions) * extents[0].repeat(2))
        return levels


@TASK_UTILS.register_module()
class SSDLiteIoU:
    """IoU as published: a constant is added to the union, which lowers the IoU of small boxes.

    At 1e-5 a box of 0.02 x 0.02 has an IoU of 0.976 with itself.

    Args:
        eps: The constant, in the unit of the boxes' areas.
    """

    def __init__(self, eps: float = 1e-5):
        self.eps = eps

    def __call__(self, boxes: Tensor, others: Tensor, mode: str = 'iou', is_aligned: bool = False) -> Tensor:
        """Boxes (M, 4) and (N, 4) as x1, y1, x2, y2 -> (M, N); the other arguments are those of mmdet's calculators.

        Raises:
            ValueError: Another mode, or aligned boxes, are asked for.
        """
        if mode != 'iou' or is_aligned:
            raise ValueError(f'mode={mode!r} with is_aligned={is_aligned} is not possible; allowed: the IoU of all pairs')
        top_left = torch.maximum(boxes[:, None, :2], others[:, :2])
        bottom_right = torch.minimum(boxes[:, None, 2:], others[:, 2:])
        intersection = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
        areas, other_areas = ((each[:, 2:] - each[:, :2]).prod(dim=-1) for each in (boxes, others))
        return intersection / (areas[:, None] + other_areas - intersection + self.eps)


@MODELS.register_module()
class SSDLiteHead(SSDHead):
    """SSDLite's head: one depthwise 3x3 a level for classes and offsets; matching and detections are the published ones.

    Arguments are those of :class:`mmdet.models.SSDHead`. In ``test_cfg``, -1 is no limit:

    - ``score_thr``: lower scores are left out, as are equal ones;
    - ``max_per_class``: of the boxes of a class, before NMS;
    - ``nms``: arguments of :func:`mmcv.ops.nms`; ``max_num`` limits the boxes of a class after it;
    - ``max_per_img``: of the detections of an image.
    """

    def _init_layers(self) -> None:
        *inner, last = self.in_channels
        # the last level is a single pixel, where a 3x3 has nothing to see
        self.depthwise = nn.ModuleList(
            ConvModule(width, width, 3, padding=1, groups=width, norm_cfg=self.norm_cfg, act_cfg=None) for width in inner)
        self.depthwise.append(nn.Identity())
        outputs = list(zip((*inner, last), self.num_base_priors, strict=True))
        self.cls_convs = nn.ModuleList(nn.Conv2d(width, priors * self.cls_out_channels, 1) for width, priors in outputs)
        self.reg_convs = nn.ModuleList(nn.Conv2d(width, priors * 4, 1) for width, priors in outputs)

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says (Xavier uniform), the predictors as the one published convolution of a level."""
        super().init_weights()
        for cls_conv, reg_conv in zip(self.cls_convs, self.reg_convs, strict=True):
            fan_sum = cls_conv.in_channels + cls_conv.out_channels + reg_conv.out_channels
            for conv in (cls_conv, reg_conv):
                nn.init.uniform_(conv.weight, -(6 / fan_sum) ** 0.5, (6 / fan_sum) ** 0.5)

    def forward(self, x: tuple[Tensor, ...]) -> tuple[list[Tensor], list[Tensor]]:
        """Maps (B, C_i, H_i, W_i) -> for each level logits (B, A_i * (classes + 1), ...) and offsets (B, A_i * 4, ...)."""
        return super().forward([depthwise(level) for depthwise, level in zip(self.depthwise, x, strict=True)])

    def _get_targets_single(self, flat_anchors: Tensor, valid_flags: Tensor, gt_instances: InstanceData, img_meta: dict,
                            gt_instances_ignore: InstanceData | None = None, unmap_outputs: bool = True) -> tuple:
        """mmdet's targets of an image, found in fractions of it, in which the constant of the IoU is given.

        The targets themselves do not depend on the unit.
        """
        height, width = img_meta['img_shape'][:2]
        size = flat_anchors.new_tensor([width, height, width, height])
        truth = InstanceData(bboxes=gt_instances.bboxes / size, labels=gt_instances.labels)
        if gt_instances_ignore is not None:
            gt_instances_ignore = InstanceData(bboxes=gt_instances_ignore.bboxes / size)
        return super()._get_targets_single(flat_anchors / size, valid_flags, truth, img_meta | dict(img_shape=(1, 1)),
                                           gt_instances_ignore, unmap_outputs)

    def get_targets(self, *args, **kwargs) -> tuple:
        """mmdet's targets; the last is what the loss is divided by: the number of positives, its mean over the processes.

        With each process's own, a box would weigh the more the fewer its process has. mmdet counts an image without
        positives as one. Without any positive there is nothing to divide, and the loss is 0.
        """
        labels, *others, _ = super().get_targets(*args, **kwargs)
        positives = sum((level < self.num_classes).sum() for level in labels).float()
        all_reduce(positives, 'mean')
        return labels, *others, positives.item() or 1.0

    def _predict_by_feat_single(self, cls_score_list, bbox_pred_list, score_factor_list, mlvl_priors, img_meta, cfg=None,
                                rescale=False, with_nms=True) -> InstanceData:
        """Detections of one image, best first; arguments as in mmdet, whose own limits the boxes a level, not a class."""
        cfg = cfg or self.test_cfg
        logits, offsets = (torch.cat([level.permute(1, 2, 0).reshape(-1, width) for level in levels])  # (anchors, width)
                           for levels, width in ((cls_score_list, self.cls_out_channels), (bbox_pred_list, 4)))
        scores = logits.softmax(dim=-1)
        boxes = self.bbox_coder.decode(torch.cat(mlvl_priors), offsets, max_shape=img_meta['img_shape'])
        if rescale:
            boxes = boxes / boxes.new_tensor(img_meta['scale_factor']).repeat(2)
        found = []
        # Class by class: mmcv's batched NMS keeps the classes apart by moving their boxes, and that rounds the boxes, and
        # lets those that begin outside the image, as ours may, meet boxes of another class.
        for label in range(self.num_classes):
            index = (scores[:, label] > cfg.score_thr).nonzero()[:, 0]
            if len(index):
                limit = len(index) if cfg.max_per_class == -1 else min(len(index), cfg.max_per_class)
                best, order = scores[index, label].topk(limit)
                kept, order = nms(boxes[index[order]], best, **cfg.nms)
                found.append(InstanceData(bboxes=kept[:, :4], scores=kept[:, 4], labels=torch.full_like(order, label)))
        if not found:
            return InstanceData(bboxes=boxes[:0], scores=scores[:0, 0], labels=boxes.new_zeros(0, dtype=torch.long))
        found = InstanceData.cat(found)
        limit = len(found) if cfg.max_per_img == -1 else cfg.max_per_img
        return found[found.scores.argsort(descending=True)[:limit]]
