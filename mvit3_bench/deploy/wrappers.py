"""The modules that are exported for each task: a model with its preprocessing and its post-processing.

A wrapper takes ``images``, (B, 3, H, W), float32, RGB, 0 .. 255. It normalises them and puts the channels in the order that
the weights were trained on, so that an application need not know either. The size is fixed, the batch is not.
"""
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..models.classifier import Classifier
from ..models.forward import in_channels
from .nms import nms

_LOG_SIDES = abs(math.log(16 / 1000))  # of the box to its anchor: the limit of mmdet's coder


class ExportWrapper(nn.Module):
    """A model as it is exported. This class itself wraps a backbone, whose inputs and outputs stay as they are.

    Args:
        model: A backbone, a classifier, or a model of OpenMMLab's, in evaluation mode.
        size: Height and width of the images.
        raw: End before the post-processing.

    Raises:
        ValueError: Images of this size, or the model, cannot be exported.
    """
    task = 'backbone'
    image = 'as the backbone sees it: normalised, its own order of channels'
    raw_names: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    flip = False  # the order of the colours, for the weights

    def __init__(self, model: nn.Module, size: tuple[int, int], raw: bool = False):
        super().__init__()
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f'images of size {tuple(size)} are not possible; allowed: a height and a width of 1 or more')
        self.model, self.size, self.raw = model, tuple(size), raw
        self.channels = in_channels(model)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        outputs = self.network(images)
        return outputs if self.raw else self.finish(*outputs)

    def network(self, images: Tensor) -> tuple[Tensor, ...]:
        """Everything before the post-processing."""
        outputs = self.model(images)
        return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)  # logits, or the maps of a backbone

    def finish(self, *outputs: Tensor) -> tuple[Tensor, ...]:
        """The post-processing."""
        return outputs

    def output_names(self) -> tuple[str, ...]:
        return self.raw_names if self.raw else self.names

    @torch.no_grad()
    def deviation(self, images: Tensor, found: list[Tensor]) -> float:
        """Largest deviation of an exported file's outputs from this wrapper's, in standard deviations of the latter."""
        outputs = self.network(images)
        if not all(each.isfinite().all() for each in outputs):
            return torch.nan
        return deviation(found, outputs) if self.raw else self._deviation_of_answers(outputs, found)

    @torch.no_grad()
    def predicted(self, images: Tensor) -> list:
        """What the framework's own post-processing makes of the same images, in the form of :meth:`finish`."""
        return list(self.finish(*self.network(images)))

    def _deviation_of_answers(self, outputs: tuple[Tensor, ...], found: list[Tensor]) -> float:
        return deviation(found, self.finish(*outputs))


def deviation(found: list[Tensor], expected: tuple[Tensor, ...]) -> float:
    """The largest deviation of any output, in standard deviations of the expected one; NaN if one is."""
    pairs = zip(found, expected, strict=True)
    scales = ((one, other, other.std() if other.numel() > 1 else other.abs().max()) for one, other in pairs)
    return torch.stack([(one - other).abs().max() / scale for one, other, scale in scales]).max().item()  # NaN stays NaN


class _TaskWrapper(ExportWrapper):
    """A model of OpenMMLab with its data preprocessor; the loaders of OpenMMLab give BGR."""
    image = 'RGB, 0 .. 255'

    def __init__(self, model: nn.Module, size: tuple[int, int], raw: bool = False):
        super().__init__(model, size, raw)
        preprocessor = model.data_preprocessor
        flags = (getattr(preprocessor, name, False) for name in ('to_rgb', 'channel_conversion', '_channel_conversion'))
        self.flip = self.channels == 3 and not any(flags)
        self.mean, self.std = (getattr(preprocessor, name, None) for name in ('mean', 'std'))
        self.shift = self.mean is not None and bool(self.mean.any())

    def normalise(self, images: Tensor) -> Tensor:
        images = images.flip(1) if self.flip else images
        if self.shift:
            images = images - self.mean
        return images if self.std is None else images / self.std


class ClassifierWrapper(_TaskWrapper):
    """Images -> ``scores`` (B, classes), of a softmax, or of sigmoids where mmpretrain has them; raw: ``logits``."""
    task, raw_names, names = 'classification', ('logits',), ('scores',)

    def __init__(self, model: nn.Module, size: tuple[int, int], raw: bool = False):
        super().__init__(model, size, raw)
        owners = {getattr(getattr(model.head, key, None), '__qualname__', '') for key in ('predict', '_get_predictions')}
        self.sigmoid = owners == {'MultiLabelClsHead.predict', 'MultiLabelClsHead._get_predictions'}
        if not (raw or self.sigmoid or owners == {'ClsHead.predict', 'ClsHead._get_predictions'}):
            raise ValueError(f'the head {type(model.head).__name__} cannot be exported with its post-processing; allowed: '
                             'heads that predict as ClsHead or MultiLabelClsHead, or --raw')

    def network(self, images: Tensor) -> tuple[Tensor]:
        return self.model.head(self.model.extract_feat(self.normalise(images))),

    def finish(self, logits: Tensor) -> tuple[Tensor]:
        return logits.sigmoid() if self.sigmoid else logits.softmax(dim=1),

    @torch.no_grad()
    def predicted(self, images: Tensor) -> list:
        samples = self.model.head.predict(self.model.extract_feat(self.normalise(images)))
        return [torch.stack([sample.pred_score for sample in samples])]


class TorchClassifierWrapper(ExportWrapper):
    """The same for a :class:`mvit3_bench.models.classifier.Classifier`, whose arch names the order of the channels."""
    task, image, raw_names, names = 'classification', 'RGB, 0 .. 255', ('logits',), ('scores',)

    def __init__(self, model: nn.Module, size: tuple[int, int], raw: bool = False):
        super().__init__(model, size, raw)
        self.flip = self.channels == 3 and model.arch.channel_order == 'bgr'

    def network(self, images: Tensor) -> tuple[Tensor]:
        return self.model((images.flip(1) if self.flip else images) / 255),

    def finish(self, logits: Tensor) -> tuple[Tensor]:
        return logits.softmax(dim=1),


class SegmentorWrapper(_TaskWrapper):
    """Images -> ``labels`` (B, H, W), int64; raw: the ``logits`` of the head, (B, classes, h, w), at its own stride.

    A model tested in windows (``mode='slide'``) is exported as one window.
    """
    task, raw_names, names = 'segmentation', ('logits',), ('labels',)

    def network(self, images: Tensor) -> tuple[Tensor]:
        return self.model.decode_head(self.model.extract_feat(self.normalise(images))),

    def finish(self, logits: Tensor) -> tuple[Tensor]:
        logits = self._resize(logits)
        if logits.shape[1] == 1:  # a binary head
            return (logits.sigmoid() > self.model.decode_head.threshold).squeeze(1).long(),
        return logits.argmax(dim=1),

    @torch.no_grad()
    def predicted(self, images: Tensor) -> list:
        features = self.model.extract_feat(self.normalise(images))
        metas = [dict(img_shape=self.size, ori_shape=self.size, pad_shape=self.size)] * len(images)
        logits = self.model.decode_head.predict(features, metas, self.model.test_cfg)
        return [torch.stack([each.pred_sem_seg.data[0] for each in self.model.postprocess_result(logits)]).long()]

    def _resize(self, logits: Tensor) -> Tensor:
        return F.interpolate(logits, self.size, mode='bilinear', align_corners=self.model.align_corners)

    def _deviation_of_answers(self, outputs: tuple[Tensor], found: list[Tensor]) -> float:
        """A label may differ where two classes are equal but for rounding: how far is its logit below the best?"""
        logits, labels = self._resize(*outputs), found[0]
        if logits.shape[1] == 1:
            return (labels != self.finish(*outputs)[0]).float().mean().item()
        return ((logits.amax(1) - logits.gather(1, labels.unsqueeze(1)).squeeze(1)).max() / logits.std()).item()


class DetectorWrapper(_TaskWrapper):
    """Images -> ``boxes`` (B, M, 4), ``scores`` (B, M), ``labels`` (B, M), int64, best first; the rest is label -1, score 0.

    M is ``max_per_img``, or as many as can be found if that is -1; boxes are x1, y1, x2, y2 in pixels of the images. Raw:
    ``boxes`` (B, N, 4) of all anchors, decoded, and ``scores`` (B, N, classes).
    """
    task, raw_names, names = 'detection', ('boxes', 'scores'), ('boxes', 'scores', 'labels')

    def __init__(self, model: nn.Module, size: tuple[int, int], raw: bool = False):
        super().__init__(model, size, raw)
        head = model.bbox_head
        if type(head).__name__ != 'SSDLiteHead':
            raise ValueError(f'the detection head {type(head).__name__} cannot be exported; allowed: SSDLiteHead')
        coder = head.bbox_coder
        if type(coder).__name__ != 'DeltaXYWHBBoxCoder' or coder.add_ctr_clamp:
            raise ValueError(f'the box coder {type(coder).__name__} of the head cannot be exported; allowed: '
                             'DeltaXYWHBBoxCoder without add_ctr_clamp')
        stride = head.prior_generator.strides[0][0]
        if any(side % stride for side in size):
            better = 'x'.join(str(-(-side // stride) * stride) for side in size)
            raise ValueError(f'images of {size[0]}x{size[1]} are not possible for this detector; allowed: multiples of '
                             f'{stride}, which its anchors need, for instance {better}')
        with torch.no_grad():
            maps, _ = head(model.extract_feat(next(model.parameters()).new_zeros(1, self.channels, *size)))
        priors = head.prior_generator.grid_priors([level.shape[-2:] for level in maps], device='cpu')
        corners = torch.cat(priors)[None]  # (1, N, 4)
        limits = torch.tensor([size[1], size[0]] * 2)  # of x and y
        for name, value in dict(
                sides=corners[..., 2:] - corners[..., :2], centres=(corners[..., 2:] + corners[..., :2]) / 2,
                stds=torch.tensor(coder.stds)[None, None], means=torch.tensor(coder.means)[None, None],
                limits=limits[None, None].float()).items():
            self.register_buffer(name, value, persistent=False)

    def network(self, images: Tensor) -> tuple[Tensor, Tensor]:
        head = self.model.bbox_head
        outputs = head(self.model.extract_feat(self.normalise(images)))
        logits, offsets = (
            torch.cat([level.permute(0, 2, 3, 1).reshape(images.shape[0], -1, width) for level in levels], dim=1)
            for levels, width in zip(outputs, (head.cls_out_channels, 4), strict=True))
        return self.decode(offsets), logits.softmax(dim=-1)[..., :head.num_classes]

    def decode(self, offsets: Tensor) -> Tensor:
        """Boxes of all anchors, as the head's coder decodes them, with the batch axis kept: (B, N, 4) -> (B, N, 4)."""
        offsets = offsets * self.stds + self.means
        centres = self.centres + offsets[..., :2] * self.sides
        half = offsets[..., 2:].clamp(-_LOG_SIDES, _LOG_SIDES).exp() * (self.sides / 2)
        boxes = torch.cat([centres - half, centres + half], dim=-1)
        return torch.minimum(boxes.clamp(min=0), self.limits) if self.model.bbox_head.bbox_coder.clip_border else boxes

    def finish(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        cfg = self.model.test_cfg
        batch, anchors, classes = scores.shape
        candidates = anchors if cfg.max_per_class == -1 else min(cfg.max_per_class, anchors)
        max_num = cfg.nms.get('max_num', -1)
        answers = classes * (candidates if max_num == -1 else min(max_num, candidates))
        if cfg.max_per_img != -1:
            answers = min(cfg.max_per_img, answers)
        scores, index = scores.transpose(1, 2).topk(candidates)  # (B, classes, candidates)
        index = index.view(batch, classes * candidates, 1).expand(-1, -1, 4)
        boxes = boxes.gather(1, index)  # (B, classes * candidates, 4)
        kept = nms(boxes.view(batch * classes, candidates, 4), scores.view(batch * classes, candidates),
                        float(cfg.nms.iou_threshold), float(cfg.score_thr), max_num)
        scores = scores.view(batch, classes * candidates) * kept.view(batch, classes * candidates)
        scores, index = scores.topk(answers)
        found = scores > 0
        boxes = boxes.gather(1, index.unsqueeze(-1).expand(-1, -1, 4)) * found.unsqueeze(-1)
        return boxes, scores, torch.where(found, index // candidates, -1)

    @torch.no_grad()
    def predicted(self, images: Tensor) -> list:
        head = self.model.bbox_head
        metas = [dict(img_shape=self.size, scale_factor=(1.0, 1.0))] * len(images)
        found = head.predict_by_feat(*head(self.model.extract_feat(self.normalise(images))), batch_img_metas=metas)
        return [[getattr(each, name) for each in found] for name in ('bboxes', 'scores', 'labels')]

    def _deviation_of_answers(self, outputs: tuple[Tensor, Tensor], found: list[Tensor]) -> float:
        """Each detection against the nearest of its class. One in a hundred may differ: where two boxes overlap by just the
        threshold, or two scores are equal, rounding decides which is kept.
        """
        scale = [each.std() for each in outputs]
        worst = []
        for boxes, scores, labels, *expected in zip(*found, *self.finish(*outputs), strict=True):
            if not (boxes.isfinite().all() and scores.isfinite().all()):
                return torch.inf
            nearest = []
            for label in torch.cat([labels, expected[2]]).unique():
                if label == -1:
                    continue
                here, there = labels == label, expected[2] == label
                if here.any() != there.any():
                    nearest.append(boxes.new_full((max(here.sum(), there.sum()),), torch.inf))
                elif here.any():
                    distance = torch.maximum((boxes[here, None] - expected[0][there]).abs().amax(-1) / scale[0],
                                             (scores[here, None] - expected[1][there]).abs() / scale[1])
                    nearest += [distance.amin(0), distance.amin(1)]
            if nearest:
                nearest = torch.cat(nearest).sort()[0]
                worst.append(nearest[-1 - len(nearest) // 100].item())
        return max(worst, default=0.0)


def wrap(model: nn.Module, size: tuple[int, int], raw: bool = False) -> ExportWrapper:
    """Wrap a model of any task for the export; arguments and errors as in :class:`ExportWrapper`."""
    for part, kind in (('bbox_head', DetectorWrapper), ('decode_head', SegmentorWrapper), ('head', ClassifierWrapper)):
        if hasattr(model, part) and hasattr(model, 'data_preprocessor'):
            return kind(model, size, raw)
    if isinstance(model, Classifier):
        return TorchClassifierWrapper(model, size, raw)
    if hasattr(model, 'data_preprocessor'):
        raise ValueError(f'{type(model).__name__} cannot be exported; allowed: classifiers, segmentors with a decode_head, '
                         'detectors with a bbox_head, backbones')
    return ExportWrapper(model, size, raw)
