"""Images of a config's data sets as an exported model takes them, and how far two models agree on them."""
import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import UsageError

BEST = 100  # anchors of an image that a detector's agreement looks at


def pipeline_images(cfg, loader: str, size: tuple[int, int], count: int) -> Tensor:
    """Images of a data set behind the test pipeline, evenly spread over it.

    Args:
        cfg: Config of MMEngine, of one of the three tasks.
        loader: Whose data set, for instance ``'train_dataloader'``.
        size: Height and width.
        count: How many, or all, if there are less.

    Returns:
        (count, 3, H, W), float32, RGB, 0 .. 255.

    Raises:
        UsageError: The config has no such data set, or it cannot be read.
    """
    from mmengine.registry import DATASETS, init_default_scope  # the rest of this room needs torch alone

    from ...datasets.configs import data_sets
    from ...registry import scope_of
    init_default_scope(scope_of(cfg))
    sets, tested = (list(data_sets(cfg.get(name)).values()) for name in (loader, 'test_dataloader'))
    if not sets or not tested:
        raise UsageError(f'INT8 needs images to calibrate with, but the config has no {loader}', loader)
    try:
        dataset = DATASETS.build(dict(sets[0], pipeline=tested[0].pipeline))
        chosen = torch.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().long().tolist()
        inputs = [dataset[index]['inputs'] for index in chosen]
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise UsageError(f'INT8 needs images to calibrate with, and those of {loader} cannot be read: {error}', loader,
                         'prepare the data of the config, or name another folder by --cfg-options') from error
    return torch.stack([as_taken(each, size) for each in inputs])


def as_taken(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(3, h, w) BGR of a loader -> (3, H, W) RGB; other channels than three stay in their order."""
    image = (image.flip(0) if image.shape[0] == 3 else image).float()
    return image if tuple(image.shape[1:]) == size else F.interpolate(image[None], size, mode='bilinear')[0]


def agreement(task: str, raw: bool, expected: list[Tensor], found: list[Tensor]) -> float:
    """Share of answers that two models have in common.

    Of images, the class with the highest score; of pixels, the label; of a detector before its post-processing, the classes
    of each image's 100 anchors that the first model is surest of, and behind it, the first model's detections that have one
    of their class in the second with an overlap of at least a half.
    """
    if task == 'detection':
        return _of_anchors(expected[1], found[1]) if raw else _of_detections(expected, found)
    if task == 'segmentation' and not raw:
        return (expected[0] == found[0]).float().mean().item()
    return (expected[0].argmax(1) == found[0].argmax(1)).float().mean().item()


def _of_anchors(expected: Tensor, found: Tensor) -> float:
    (best, classes), others = expected.max(-1), found.argmax(-1)
    chosen = best.topk(min(BEST, best.shape[1]), dim=1).indices
    return (classes.gather(1, chosen) == others.gather(1, chosen)).float().mean().item()


def _of_detections(expected: list[Tensor], found: list[Tensor]) -> float:
    from torchvision.ops import box_iou
    matched, count = 0, 0
    for boxes, _, labels, other_boxes, _, other_labels in zip(*expected, *found, strict=True):
        here, there = labels >= 0, other_labels >= 0
        count += int(here.sum())
        if here.any() and there.any():
            same = labels[here, None] == other_labels[there]
            matched += int(((box_iou(boxes[here], other_boxes[there]) >= 0.5) & same).any(1).sum())
    return matched / count if count else 1.0
