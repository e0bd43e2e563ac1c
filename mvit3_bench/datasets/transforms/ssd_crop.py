"""The random crop that the published SSDLite is trained with."""
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import autocast_box_type

from ...registry import TRANSFORMS

_LEAST_SIDE = 0.3  # of the image's
_RATIOS = (0.5, 2.0)  # height / width
_TRIALS = 40


@TRANSFORMS.register_module()
class SSDCrop(BaseTransform):
    """Crop a random part of the image that overlaps with a box, as SSD does.

    A mode is drawn: the whole image, or one of the least IoUs. For an IoU up to 40 crops are tried, until **any** box has
    that IoU with the crop, and the crop contains the centre of one; then another mode is drawn. Boxes whose centre is in
    the crop stay and are clipped to it. Width and height are uniform in 0.3 to 1 of the image's, within a ratio of 1 to 2.
    mmdet's ``MinIoURandomCrop`` asks **every** box for the IoU, and has a mode without. Ignored boxes, which
    are crowds, do not count; an image without others stays whole.

    Reads and changes ``img``, ``img_shape``, ``gt_bboxes`` and, where they are, ``gt_bboxes_labels``, ``gt_ignore_flags``,
    ``gt_masks`` and ``gt_seg_map``.

    Args:
        min_ious: The least IoUs.
        min_side: Least width and height of a crop, in pixels. An image that is smaller stays whole.
    """

    def __init__(self, min_ious: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0), min_side: int = 1):
        self.min_ious, self.min_side = tuple(min_ious), min_side

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        height, width = results['img'].shape[:2]
        boxes = results['gt_bboxes'].convert_to('hbox').numpy()
        if 'gt_ignore_flags' in results:
            boxes = boxes[~results['gt_ignore_flags'].astype(bool)]
        if len(boxes) and min(height, width) >= self.min_side:
            patch = self._draw(boxes, height, width)
            if patch is not None:
                _crop(results, patch)
        return results

    def _draw(self, boxes: np.ndarray, height: int, width: int) -> np.ndarray | None:
        """The crop, x1, y1, x2, y2; None for the whole image."""
        while True:
            mode = np.random.randint(1 + len(self.min_ious))
            if mode == 0:
                return None
            patches = self._candidates(height, width)
            fitting = (_overlaps(boxes, patches).max(axis=1) >= self.min_ious[mode - 1]) & (
                _centres_inside(boxes, patches).any(axis=1))
            if fitting.any():
                return patches[fitting.argmax()]  # the first

    def _candidates(self, height: int, width: int) -> np.ndarray:
        """The trials of one mode, (N, 4): crops of any place and size, without those whose ratio or side is not allowed."""
        limits = np.array([width, height])
        sizes = (np.random.uniform(_LEAST_SIDE, 1, (_TRIALS, 2)) * limits).astype(int)
        starts = (np.random.uniform(0, 1, (_TRIALS, 2)) * (limits - sizes)).astype(int)
        ratios = sizes[:, 1] / sizes[:, 0].clip(1)
        allowed = (sizes.min(axis=1) >= self.min_side) & (ratios >= _RATIOS[0]) & (ratios <= _RATIOS[1])
        return np.concatenate([starts, starts + sizes], axis=1)[allowed]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_ious={self.min_ious}, min_side={self.min_side})'


def _overlaps(boxes: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) and crops (M, 4) -> their IoU, (M, N)."""
    patches = patches[:, None]
    shared = np.minimum(boxes[:, 2:], patches[..., 2:]) - np.maximum(boxes[:, :2], patches[..., :2])
    shared = shared.clip(0).prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return shared / (areas + (patches[..., 2:] - patches[..., :2]).prod(axis=2) - shared)


def _centres_inside(boxes: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) and crops (M, 4) -> whether the box's centre is in the crop, (M, N)."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    patches = patches[:, None]
    return ((centres > patches[..., :2]) & (centres < patches[..., 2:])).all(axis=2)


def _crop(results: dict, patch: np.ndarray) -> None:
    left, top, right, bottom = patch.tolist()
    kept, = _centres_inside(results['gt_bboxes'].convert_to('hbox').numpy(), patch[None])
    boxes = results['gt_bboxes'][kept]
    boxes.translate_([-left, -top])
    boxes.clip_([bottom - top, right - left])
    results['gt_bboxes'] = boxes
    for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
        if key in results:
            results[key] = results[key][kept]
    if 'gt_masks' in results:
        results['gt_masks'] = results['gt_masks'][kept.nonzero()[0]].crop(patch)
    for key in ('img', 'gt_seg_map'):
        if key in results:
            results[key] = results[key][top:bottom, left:right]
    results['img_shape'] = (bottom - top, right - left)
