"""The losses of the models that are timed in training, on drawn labels."""
from collections.abc import Callable

import torch
from mmengine.structures import InstanceData, PixelData
from torch import Tensor, nn
from torch.nn import functional as F

from .models import TimedModel

OBJECTS = 7  # in an image, about as many as in one of COCO
Loss = Callable[[nn.Module, Tensor], Tensor]  # of a network on images


def loss_of(model: TimedModel, batch: int, seed: int) -> Loss:
    """The loss of a classifier, detector or segmentor on images whose labels are drawn.

    A classifier has cross entropy with label smoothing, which every package can compute; the others have the losses of
    their heads.
    """
    generator = torch.Generator().manual_seed(seed)
    if model.classifier:
        labels = torch.randint(1000, (batch,), generator=generator)

        def loss(network: nn.Module, images: Tensor) -> Tensor:
            logits = network(images)[0]
            return F.cross_entropy(logits, labels.to(logits.device) % logits.shape[1], label_smoothing=0.1)
        return loss
    _, *size = model.size
    network = model.network.model
    sample = _detection if hasattr(network, 'bbox_head') else _segmentation
    samples = [sample(network, size, generator) for _ in range(batch)]

    def loss(network: nn.Module, images: Tensor) -> Tensor:
        labelled = [sample.to(images.device) for sample in samples]
        return network.model.parse_losses(network.model(images, labelled, mode='loss'))[0]
    return loss


def _detection(detector: nn.Module, size: list[int], generator: torch.Generator):
    """An image with boxes anywhere, a tenth to a half of it wide and high."""
    from mmdet.structures import DetDataSample
    sides = torch.empty(OBJECTS, 2).uniform_(0.1, 0.5, generator=generator)
    centres = torch.empty(OBJECTS, 2).uniform_(0.25, 0.75, generator=generator)
    boxes = torch.cat([centres - sides / 2, centres + sides / 2], dim=1) * torch.tensor([*size[::-1], *size[::-1]])
    labels = torch.randint(detector.bbox_head.num_classes, (OBJECTS,), generator=generator)
    return DetDataSample(
        gt_instances=InstanceData(bboxes=boxes, labels=labels),
        metainfo=dict(img_shape=tuple(size), batch_input_shape=tuple(size), pad_shape=tuple(size), scale_factor=(1.0, 1.0)))


def _segmentation(segmentor: nn.Module, size: list[int], generator: torch.Generator):
    """An image whose classes are drawn pixel by pixel."""
    from mmseg.structures import SegDataSample
    classes = torch.randint(segmentor.decode_head.num_classes, (1, *size), generator=generator)
    return SegDataSample(gt_sem_seg=PixelData(data=classes), metainfo=dict(img_shape=tuple(size)))
