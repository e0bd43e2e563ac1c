"""What makes the labels of a loaded sample those of its pixels. Where it fails, the sample is refused with the reason.

An image is seen as a viewer shows it, its EXIF orientation applied: so the decoders of mmcv do, and so COCO's boxes are
meant. Labels must be those of that image.
"""
from dataclasses import dataclass
from io import BytesIO
from math import isfinite

import cv2
import numpy as np
from PIL import ExifTags, Image

from ..kept_bytes import take_bytes

# it fills what a truncated JPEG lacks with grey, and says nothing
_CV2_HIDES_TRUNCATION = int(cv2.__version__.partition('.')[0]) < 5
_JPEG, _JPEG_END = b'\xff\xd8\xff', b'\xff\xd9'
LONGEST = 100  # times the shorter side: resized to keep its ratio, a longer image has no height, or gigabytes of width


@dataclass(frozen=True)
class Limits:
    """What of an image is refused.

    Args:
        longest: Times the shorter side that the longer one may have; None for any.
        any_depth: Whether grey images of more than 8 bits are taken as their loading transform reads them.
    """
    longest: float | None = LONGEST
    any_depth: bool = False


def check_sample(results: dict, loaded: set[str], limits: Limits = Limits()) -> None:
    """Check what a loading transform has added to a sample.

    Args:
        results: The sample, after the transform.
        loaded: The keys that are new in it.
        limits: What of an image is refused.

    Raises:
        ValueError: The labels would not be those of the pixels, or the image cannot be used; the message has the reason.
        OSError, SyntaxError: A check sum in a PNG is wrong, or a JPEG is truncated.
    """
    for key in loaded & _CHECKS.keys():
        _CHECKS[key](results, limits)


def _open(content: bytes) -> Image.Image:
    """The header of an image from the bytes of its file; the check sums of a PNG are compared, which no decoder does."""
    header = Image.open(BytesIO(content))
    if header.format == 'PNG':
        header.verify()
    return header


def _check_image(results: dict, limits: Limits) -> None:
    height, width = results['ori_shape']
    if limits.longest and max(height, width) > limits.longest * min(height, width):
        raise ValueError(f'{width}x{height} pixels: one side is more than {limits.longest} times the other; longest=None in '
                         'mvit3_bench.Load and in default_hooks.samples takes it')
    stated = results.get('width'), results.get('height')
    if None not in stated and stated != (width, height):
        raise ValueError(f'the annotation is of {stated[0]}x{stated[1]} pixels, the image, with its EXIF orientation '
                         f'applied, has {width}x{height}')
    if results.get('img_path'):
        content = take_bytes(results['img_path'])
        if content.startswith(_JPEG) and (content.endswith(_JPEG_END) or not _CV2_HIDES_TRUNCATION):
            return  # 8 bits, and complete: nothing that follows can fail
        header = _open(content)
        if header.mode.startswith(('I', 'F')) and not limits.any_depth:
            raise ValueError(f'a grey image of more than 8 bits (mode {header.mode}), whose range is not known: '
                             'save it with 8; or set any_depth=True in mvit3_bench.Load and in default_hooks.samples, '
                             'a decoder that reads it and a data_preprocessor for its range')
        if _CV2_HIDES_TRUNCATION and header.format in ('JPEG', 'MPO'):
            Image.open(BytesIO(content)).load()


def _check_mask(results: dict, limits: Limits) -> None:
    content = take_bytes(results['seg_map_path'])
    header = _open(content)
    _check_mask_format(header, content)
    height, width = results['ori_shape']
    if header.size != (width, height):
        raise ValueError(f'the mask has {header.width}x{header.height} pixels, the image, with its EXIF orientation '
                         f'applied, {width}x{height}')
    # mmsegmentation squeezes a side of one pixel away
    results['gt_seg_map'] = results['gt_seg_map'].reshape(height, width)


def _check_mask_format(header: Image.Image, content: bytes) -> None:
    """Whether a file holds one class number for each pixel, as it was written."""
    if header.format in ('JPEG', 'MPO', 'JPEG2000'):
        raise ValueError(f'the mask is a {header.format}, which does not keep class numbers: save it as PNG')
    if getattr(header, 'n_frames', 1) > 1:
        raise ValueError(f'the mask has {header.n_frames} frames')
    if header.mode not in ('1', 'L', 'P') and not header.mode.startswith('I'):
        raise ValueError(f'a mask has one channel of class numbers, this one has mode {header.mode}: '
                         'save palette indices (PIL mode P or L)')
    if header.format == 'PNG':
        depth, colour = content[24:26]  # of the first chunk, which has a fixed layout
        if colour == 0 and depth in (2, 4):
            raise ValueError(f'a grey mask of {depth} bits, whose numbers Pillow spreads to 0 to 255: save it with 8')
        if 'exif' in header.info and header.getexif().get(ExifTags.Base.Orientation, 1) != 1:  # 1 is upright
            raise ValueError('the mask has an EXIF orientation, which mmsegmentation does not apply: save it upright')
    if header.mode.startswith('I'):
        pixels = np.asarray(Image.open(BytesIO(content)))
        if pixels.min() < 0 or pixels.max() > 255:
            raise ValueError(f'the mask has the labels {pixels.min()} to {pixels.max()}; possible are 0 to 255')


def _check_boxes(results: dict, limits: Limits) -> None:
    for instance in results.get('instances', []):
        if not all(map(isfinite, instance['bbox'])):
            raise ValueError(f'the box {instance["bbox"]} is not finite')


_CHECKS = dict(img=_check_image, gt_seg_map=_check_mask, gt_bboxes=_check_boxes)
