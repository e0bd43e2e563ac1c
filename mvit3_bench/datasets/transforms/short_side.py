"""Resizing by the shorter side, with its mask."""
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS


@TRANSFORMS.register_module()
class ResizeShortSide(BaseTransform):
    """Resize so that the shorter side has a given or a random length; that of the other is rounded down.

    mmcv's ``Resize`` and mmseg's ``ResizeShortestEdge`` round it to the nearest and resize images with OpenCV alone.
    The mask ``gt_seg_map``, if there is one, is resized to the nearest label by the same library.

    Args:
        scale: Length of the shorter side in pixels, or the least and the largest of a uniform draw.
        max_size: Most that the longer side may have; where it would be longer, it has this length. None for any.
        enlarge_only: Whether an image that is as large already stays as it is.
        backend: ``'cv2'`` or ``'pillow'``; Pillow's smooths what it makes smaller.
        interpolation: Of the image, as in :func:`mmcv.imresize`.

    Raises:
        ValueError: The least length is above the largest, or not positive; or the mask has another size than the image:
            the message names both files.
    """

    def __init__(self, scale: int | tuple[int, int], max_size: int | None = None, enlarge_only: bool = False,
                 backend: str = 'cv2', interpolation: str = 'bilinear'):
        self.scale = (scale, scale) if isinstance(scale, int) else tuple(scale)
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f'ResizeShortSide: scale={scale!r} is not possible; wanted: the length of the shorter side, '
                             'or the least and the largest length')
        self.max_size, self.enlarge_only = max_size, enlarge_only
        self.backend, self.interpolation = backend, interpolation

    def size_of(self, height: int, width: int, length: int) -> tuple[int, int]:
        """Height and width of an image whose shorter side is to have a length."""
        short, long = sorted((height, width))
        new_short, new_long = length, length * long // short
        if self.max_size is not None and new_long > self.max_size:
            new_short, new_long = max(1, self.max_size * short // long), self.max_size
        return (new_short, new_long) if height <= width else (new_long, new_short)

    def transform(self, results: dict) -> dict:
        height, width = results['img'].shape[:2]
        mask = results.get('gt_seg_map')
        if mask is not None and mask.shape[:2] != (height, width):
            raise ValueError(f'the mask {results.get("seg_map_path")} has {mask.shape[1]}x{mask.shape[0]} pixels, its image '
                             f'{results.get("img_path")} {width}x{height}')
        length = np.random.randint(self.scale[0], self.scale[1] + 1)
        if self.enlarge_only and min(height, width) >= length:
            return results
        new_height, new_width = self.size_of(height, width, length)
        results['img'] = mmcv.imresize(results['img'], (new_width, new_height), interpolation=self.interpolation,
                                       backend=self.backend)
        if mask is not None:
            results['gt_seg_map'] = mmcv.imresize(mask, (new_width, new_height), interpolation='nearest',
                                                  backend=self.backend)
        results['img_shape'] = (new_height, new_width)
        # of images as they were loaded, if this is the second resize
        known_height, known_width = results.get('ori_shape', (height, width))
        results['scale_factor'] = (new_width / known_width, new_height / known_height)
        results['keep_ratio'] = True
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(scale={self.scale}, max_size={self.max_size}, enlarge_only={self.enlarge_only}, '
                f'backend={self.backend!r}, interpolation={self.interpolation!r})')
